"""Example of a user-defined trainer plugin: the pitches that the generator plays."""

import numpy as np
from numpy.typing import NDArray

from pggan_framework import Every, Plugin, UserError, register
from pggan_framework.audio.measure import estimate_pitch
from pggan_framework.labels.attributes import Labels
from pggan_framework.training.randomness import derive


@register("plugin")
class PitchMonitor(Plugin):
    """Adds the pitch range of generated sounds to a tick's values: 10th, 50th and 90th percentile in Hz.

    Each sample is decoded as by SoundSaver, at full depth only; ``pitch.share`` is the fraction of samples with a
    detected pitch. If the data have the label ``pitch`` (MIDI numbers), ``pitch.cents`` is the median error of these
    samples, and ``pitch.in_tune`` is the fraction of all samples within 50 cents.

    Args:
        count: number of samples to measure.
        every_ticks: ticks between two measurements.
        low_hz: lowest detectable pitch.
        high_hz: highest detectable pitch.
    """

    def __init__(self, count: int = 32, every_ticks: int = 5, low_hz: float = 50, high_hz: float = 2000) -> None:
        self.count, self.low_hz, self.high_hz = count, low_hz, high_hz
        self.every = Every(every_ticks, "tick")

    def on_tick(self) -> None:
        """Measure."""
        parts = self.trainer.parts
        if parts.dataset.codec is None:
            raise UserError("PitchMonitor: these data are not sound; allowed: a dataset with a codec")
        if self.trainer.depth < self.trainer.G.max_depth:
            return
        pictures, labels = self.trainer.sample(self.count, derive(parts.seed, self.trainer.nimg))
        waves = parts.dataset.codec.decode(pictures, refine_iter=16)
        rate = parts.dataset.codec.sample_rate
        pitches = np.array([estimate_pitch(wave, rate, self.low_hz, self.high_hz) for wave in waves])
        heard = pitches[np.isfinite(pitches)]
        self.trainer.stats["pitch.share"] = len(heard) / len(pitches)
        if len(heard):
            low, middle, high = np.percentile(heard, [10, 50, 90])
            self.trainer.stats.update({"pitch.low": low, "pitch.median": middle, "pitch.high": high})
        wanted = None if labels is None else self.wanted(labels)
        if wanted is not None:
            cents = 1200 * np.abs(np.log2(pitches / wanted))
            self.trainer.stats["pitch.in_tune"] = float(np.mean(cents < 50))
            if len(heard):
                self.trainer.stats["pitch.cents"] = float(np.nanmedian(cents))

    def wanted(self, labels: Labels) -> NDArray[np.float64] | None:
        """Return the pitches [N] in Hz for labels [N, A]; None if no attribute is ``pitch``."""
        space = self.trainer.parts.dataset.label_space
        names = [] if space is None else [attribute.name for attribute in space.attributes]
        if space is None or "pitch" not in names:
            return None
        place = names.index("pitch")
        midi = np.array([float(space.attributes[place].value(code)) for code in labels[:, place]])
        hertz: NDArray[np.float64] = 440 * 2 ** ((midi - 69) / 12)
        return hertz
