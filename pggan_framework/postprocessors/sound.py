"""SoundSaver: save generated spectrograms as sound files."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from pggan_framework.audio.base import Codec, PhaseStart, Wave
from pggan_framework.audio.finish import finished
from pggan_framework.errors import UserError, nearest
from pggan_framework.postprocessors.base import Artifact, Postprocessor
from pggan_framework.postprocessors.soundfiles import SoundFormat, check_format, write_sound
from pggan_framework.registry import register
from pggan_framework.schedules.growth import Growth

Gain = Literal["keep", "common", "peak"]
"""Gain modes of files; see `with_gain`."""
LOUDEST = 10 ** (-1 / 20)
"""-1 dB of full scale: the peak level after a gain; lossy formats overshoot slightly."""
PAUSE = 0.25
"""Seconds of silence between the samples of a strip."""


@register("postprocessor")
class SoundSaver(Postprocessor):
    """Saves each sample of a tick as a sound file, decoded by the data's codec, and all of them in one file.

    Images of every depth are enlarged to full size before decoding, so that pitch and length are correct from the first
    depth on. Levels are those of the data unless a gain is configured; a clip that would exceed full scale is
    attenuated as a whole. The first 0.5 ms and the last 1.5 ms are faded, so that clips start and end without clicks.

    Args:
        samples_path: folder of the sound files, inside the run's folder.
        griffin_lim_iter: Griffin-Lim iterations for codecs that store no phases.
        seed: random seed of the initial phases.
        phase_start: initial phases: ``auto``, the phases in the image (``if``, ``ifmel``) or else ``pghi``; ``pghi``,
            phase-gradient heap integration; or ``random``, which is several dB worse after the same number of
            iterations.
        refine_iter: Griffin-Lim iterations on the phases in an image of ``if`` or ``ifmel``, which make generated
            phases consistent with the magnitudes.
        sample_rate: sample rate in Hz; optional, and must equal the sample rate of the codec.
        hop_length: samples per column; optional, and must equal the hop length of the codec.
        format: ``wav`` or ``flac`` (16 bits), ``mp3``, or ``ogg`` or ``opus`` (both Opus in an Ogg container, resampled
            if Opus does not support the rate).
        gain: ``keep``, the level of the data; ``common``, one gain per tick that sets the loudest peak to -1 dB of full
            scale; or ``peak``, a separate gain for each sample with the same target.
        fade: fade both ends of each clip; False for loops, whose ends must meet.
        strip: also write a file ``..._all`` with all samples, a quarter of a second apart.
    """

    def __init__(
        self,
        samples_path: str = "sound",
        griffin_lim_iter: int = 32,
        seed: int = 0,
        phase_start: PhaseStart = "auto",
        refine_iter: int = 16,
        sample_rate: int | None = None,
        hop_length: int | None = None,
        format: SoundFormat = "wav",
        gain: Gain = "keep",
        fade: bool = True,
        strip: bool = True,
    ) -> None:
        for name, steps in (("griffin_lim_iter", griffin_lim_iter), ("refine_iter", refine_iter)):
            if steps < 0:
                raise UserError(f"SoundSaver.{name} {steps} is not allowed; allowed: 0 or more")
        if gain not in get_args(Gain):
            raise UserError(
                f"SoundSaver.gain '{gain}' is not allowed{nearest(gain, get_args(Gain))};"
                f" allowed: {', '.join(get_args(Gain))}"
            )
        self.samples_path = samples_path
        self.griffin_lim_iter, self.seed = griffin_lim_iter, seed
        self.phase_start, self.refine_iter = phase_start, refine_iter
        self.sample_rate, self.hop_length = sample_rate, hop_length
        self.format, self.gain, self.fade, self.strip = format, gain, fade, strip

    def setup(self, directory: Path, growth: Growth, codec: Codec | None) -> None:
        """See `Postprocessor.setup`.

        Raises:
            UserError: if the data are not sound, a flag contradicts their codec, or this machine's libsndfile cannot
                write the format.
        """
        if codec is None:
            raise UserError(
                "SoundSaver needs data that are sound; these data have no codec; remove it from postprocessors"
            )
        for name, given in (("sample_rate", self.sample_rate), ("hop_length", self.hop_length)):
            known = codec.parameters.get(name)
            if given is not None and given != known:
                raise UserError(
                    f"SoundSaver.{name} {given} differs from the data's: codec {codec.name} has"
                    f" {'none' if known is None else known}; omit the flag, the data set it"
                )
        check_format(self.format)
        super().setup(directory, growth, codec)

    def save(self, samples: NDArray[np.float32], kind: str, kimg: int) -> list[Artifact]:
        """Decode `samples` [N, C, h, w] in [-1, 1] and write ``fakes_sound_000120_00.wav`` and so on.

        With more than one sample and `strip`, ``fakes_sound_000120_all.wav`` is written last.

        Raises:
            UserError: if a file cannot be written.
        """
        assert self.codec is not None
        height, width = self.growth.shape[1:]
        full = samples.repeat(height // samples.shape[2], axis=2).repeat(width // samples.shape[3], axis=3)
        waves = self.codec.decode(
            full, self.seed, self.griffin_lim_iter, phase_start=self.phase_start, refine_iter=self.refine_iter
        )
        waves = with_gain(
            finished(waves, self.codec.sample_rate, fade=self.fade, start_db=self.codec.start_db), self.gain
        )
        sounds = {f"{number:02d}": wave for number, wave in enumerate(waves)}
        if self.strip and len(waves) > 1:
            sounds["all"] = joined(waves, round(PAUSE * self.codec.sample_rate))
        stem = f"{kind}_sound" if kind == "reals" else f"{kind}_sound_{self.numbered(kimg)}"
        artifacts = []
        for which, wave in sounds.items():
            path = self.directory / self.samples_path / f"{stem}_{which}.{self.format}"
            write_sound(path, wave, self.codec.sample_rate, self.format)
            artifacts.append(Artifact("audio", f"{kind}_sound_{which}", path))
        return artifacts


def with_gain(waves: Wave, gain: Gain) -> Wave:
    """Scale waves [N, T] or [N, channels, T]: not at all (``keep``), with one gain (``common``) or one each (``peak``).

    A gain sets the loudest sample over all channels of a wave to -1 dB of full scale. Waves below half a 16-bit step
    are silent and remain unchanged.
    """
    if gain == "keep":
        return waves
    axes = tuple(range(0 if gain == "common" else 1, waves.ndim))
    peaks = np.abs(waves).max(axis=axes, keepdims=True)
    louder: Wave = (waves * (LOUDEST / np.where(peaks < 2**-16, LOUDEST, peaks))).astype(np.float32)
    return louder


def joined(waves: Wave, pause: int) -> Wave:
    """Concatenate waves [N, ..., T] with `pause` silent samples between them: [..., N * T + (N - 1) * pause]."""
    silence = np.zeros((*waves.shape[1:-1], pause), np.float32)
    parts = [part for wave in waves for part in (silence, wave)][1:]
    return np.concatenate(parts, axis=-1)
