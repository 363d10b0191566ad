"""An example of a trainer plugin of one's own: which pitches does the generator play?"""

import numpy as np
import torch

from pggan_framework import Every, Plugin, UserError, register
from pggan_framework.audio.measure import estimate_pitch
from pggan_framework.plugins.output import to_unit_range
from pggan_framework.training.randomness import derive


@register("plugin")
class PitchMonitor(Plugin):
    """Adds the pitch range of generated sounds to the figures of a tick: 10th, 50th and 90th percentile in Hz.

    Each sample is decoded as SoundSaver would, at full depth only; ``pitch.share`` is how many of them have a pitch.

    Args:
        count: how many samples are measured.
        every_ticks: ticks between two measurements.
        low_hz: lowest pitch looked for.
        high_hz: highest pitch looked for.
    """

    def __init__(self, count: int = 32, every_ticks: int = 5, low_hz: float = 50, high_hz: float = 2000) -> None:
        self.count, self.low_hz, self.high_hz = count, low_hz, high_hz
        self.every = Every(every_ticks, "tick")

    def on_tick(self) -> None:
        """Measure."""
        parts = self.trainer.parts
        if parts.dataset.codec is None:
            raise UserError("PitchMonitor: these data are no sound; allowed: a dataset with a codec")
        if self.trainer.depth < self.trainer.G.max_depth:
            return
        random = torch.Generator().manual_seed(derive(parts.seed, self.trainer.nimg))
        latents = torch.randn(self.count, self.trainer.G.latent_size, generator=random)
        with torch.no_grad():
            images = parts.ema.generator(latents.to(parts.device)).float().cpu().numpy()
        waves = parts.dataset.codec.decode(to_unit_range(images, parts.dataset.range_out))
        rate = parts.dataset.codec.sample_rate
        pitches = np.array([estimate_pitch(wave, rate, self.low_hz, self.high_hz) for wave in waves])
        heard = pitches[np.isfinite(pitches)]
        self.trainer.stats["pitch.share"] = len(heard) / len(pitches)
        if len(heard):
            low, middle, high = np.percentile(heard, [10, 50, 90])
            self.trainer.stats.update({"pitch.low": low, "pitch.median": middle, "pitch.high": high})
