"""Synthetic tones: a dataset that needs no files."""

from __future__ import annotations

import hashlib
import json

import numpy as np
from numpy.typing import NDArray

from pggan_framework.audio import Wave
from pggan_framework.data.datasets.wave import ImgMode, WaveDataset, codec_for
from pggan_framework.errors import UserError
from pggan_framework.labels.attributes import collect
from pggan_framework.registry import register

QUIETEST_DB = -18.0
"""Peak of the quietest tones relative to the loudest."""


@register("dataset")
class TonesDataset(WaveDataset):
    """Synthetic tones of different pitches, each a sum of harmonics with an attack and a decay.

    Pitches are spaced evenly on a logarithmic scale between `low_hz` and `high_hz`. Tones differ in the number and
    roll-off of their partials, in attack, decay and onset, and by up to 18 dB in level. Tone i depends only on `seed`
    and i.

    Args:
        count: number of tones.
        frequency: sample rate in Hz.
        n_fft: window length in samples, a power of two; an image has n_fft / 2 rows.
        hop_length: number of samples between columns, at most n_fft / 2.
        frames: number of columns of an image (default: n_fft / 2; 128 for ``if`` and ``ifmel``); a tone has
            (frames - 2 * margin) * hop_length samples.
        margin: silent columns at each end that decoding discards (default: n_fft / (2 * hop_length) for ``abslog`` and
            ``mellog``, else 0).
        bins: number of rows of an image: mel bands in mel modes, folded rows in ``raw``, otherwise n_fft / 2.
        img_mode: content of an image: ``abslog``, log magnitudes; ``mellog``, the same in mel bands; ``if``, magnitudes
            and instantaneous frequencies; ``ifmel``, the same in mel bands, for single notes; ``complex``, real and
            imaginary parts; ``reallog``, real parts; or ``raw``, the folded waveform.
        low_hz: lowest pitch in Hz.
        high_hz: highest pitch in Hz, below half the sample rate.
        partials: largest number of partials.
        seed: random seed of the tones.
        labels: label to condition the networks on: ``pitch``, the MIDI note; tones are then tuned to it.
        preload: keep all encoded images in memory.

    Raises:
        UserError: if a number is outside its limits.
    """

    def __init__(
        self,
        count: int = 2000,
        frequency: int = 8000,
        n_fft: int = 64,
        hop_length: int = 32,
        frames: int | None = None,
        margin: int | None = None,
        bins: int | None = None,
        img_mode: ImgMode = "abslog",
        low_hz: float = 400,
        high_hz: float = 1600,
        partials: int = 8,
        seed: int = 0,
        labels: list[str] | None = None,
        preload: bool = True,
        model_dataset_depth_offset: int = 2,
        seed_shape: tuple[int, int] | None = None,
        range_out: tuple[float, float] = (-1, 1),
    ) -> None:
        for name, number in (("count", count), ("partials", partials)):
            if number < 1:
                raise UserError(f"TonesDataset.{name} {number} is not allowed; allowed: 1 or more")
        if seed < 0:
            raise UserError(f"TonesDataset.seed {seed} is not allowed; allowed: 0 or more")
        if not 0 < low_hz <= high_hz < frequency / 2:
            raise UserError(
                f"TonesDataset.low_hz {low_hz} and high_hz {high_hz} are not range of pitches;"
                f" allowed: above 0 and below half the sample rate, {frequency / 2:g} Hz, low_hz first"
            )
        codec = codec_for(img_mode, frequency, n_fft, hop_length, frames, margin, bins)
        self.low_hz, self.high_hz, self.partials, self.seed = low_hz, high_hz, partials, seed
        self.pitch_hz: NDArray[np.float64] = np.array([self._random(index)[1] for index in range(count)])
        """Pitch of each tone, Hz, [count]."""
        if labels is not None:
            self._label(labels)
        super().__init__(
            codec,
            preload,
            model_dataset_depth_offset=model_dataset_depth_offset,
            seed_shape=seed_shape,
            range_out=range_out,
        )

    def _label(self, names: list[str]) -> None:
        """Tune the tones to the nearest MIDI notes, and use the notes as labels."""
        for name in names:
            if name != "pitch":
                raise UserError(f"TonesDataset.labels: '{name}' is given; allowed: pitch")
        midi = np.rint(69 + 12 * np.log2(self.pitch_hz / 440)).astype(int)
        self.pitch_hz = 440 * 2 ** ((midi - 69) / 12)
        self.label_space, self.labels = collect({name: midi.tolist() for name in names})

    def __len__(self) -> int:
        return len(self.pitch_hz)

    def _random(self, index: int) -> tuple[np.random.Generator, float]:
        """The random generator of tone `index`, and the pitch, which is its first random number."""
        random = np.random.default_rng([self.seed, index])
        return random, self.low_hz * (self.high_hz / self.low_hz) ** random.random()

    def wave(self, index: int) -> Wave:
        """Synthesize tone `index`, float32 [codec.samples]; attack and decay scale with the length of the tone."""
        random, pitch = self._random(index)[0], self.pitch_hz[index]
        length = self.codec.samples / self.codec.sample_rate
        onset = length * random.uniform(0.02, 0.2)
        attack = length * np.exp(random.uniform(np.log(0.01), np.log(0.15)))
        decay = length * np.exp(random.uniform(np.log(0.12), np.log(1.0)))
        falloff = random.uniform(0.3, 1.8)
        partials = int(random.integers(min(2, self.partials), self.partials + 1))
        phases = random.uniform(0, 2 * np.pi, self.partials)
        level = 0.8 * 10 ** (random.uniform(QUIETEST_DB, 0) / 20)
        # Partial k is weaker and decays faster for higher k, and stays clear of the Nyquist frequency.
        numbers = np.arange(1, partials + 1)
        numbers = numbers[numbers * pitch <= 0.47 * self.codec.sample_rate]
        numbers = numbers if len(numbers) else np.ones(1, dtype=int)
        time = np.arange(self.codec.samples) / self.codec.sample_rate - onset
        after = np.maximum(time, 0.0)
        envelopes = np.exp(-np.outer(numbers**0.5, after) / decay) * numbers[:, None] ** -falloff
        stack = envelopes * np.sin(2 * np.pi * pitch * np.outer(numbers, time) + phases[: len(numbers), None])
        # A short release avoids a click at the end of the clip.
        release = np.minimum((length - onset - time) / (0.04 * length), 1.0)
        tone = stack.sum(axis=0) * (1 - np.exp(-after / attack * 3)) * release
        wave: Wave = (level * tone / np.abs(tone).max()).astype(np.float32)
        return wave

    def summary(self) -> dict[str, str]:
        """A summary of the tones."""
        return {
            **super().summary(),
            "pitches": f"{self.pitch_hz.min():.1f} to {self.pitch_hz.max():.1f} Hz, synthesised,"
            f" up to {self.partials} partials, seed {self.seed}",
        }

    def fingerprint(self) -> str:
        """Digest of the parameters, which determine the tones."""
        parameters = [len(self), self.low_hz, self.high_hz, self.partials, self.seed, self.codec.encoding()]
        parameters += [] if self.label_space is None else [self.label_space.state_dict()]
        return hashlib.sha256(json.dumps([type(self).__name__, *parameters]).encode()).hexdigest()[:16]
