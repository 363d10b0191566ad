"""The smallest networks that still grow, on a handful of synthetic tones."""

from __future__ import annotations

TONES: dict[str, object] = {
    "dataset_class": "TonesDataset",
    "TonesDataset.count": 20,
    "Generator.fmap_base": 32,
    "Generator.fmap_max": 4,
    "Generator.latent_size": 4,
    "Discriminator.fmap_base": 32,
    "Discriminator.fmap_max": 4,
    "minibatch_size": 4,
    "postprocessors": [],
    "QualityMonitor.every_ticks": 0,
    "loggers": ["JSONLLogger"],
}
