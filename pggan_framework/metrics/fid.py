"""FID: the Frechet distance of an extractor's features."""

from __future__ import annotations

import numpy as np

from pggan_framework.metrics.base import Features
from pggan_framework.metrics.deep import FeatureMetric
from pggan_framework.metrics.frechet import frechet_distance
from pggan_framework.registry import register


@register("metric", "fid")
class FID(FeatureMetric):
    """Frechet distance of features (Heusel et al., arXiv 1706.08500); 0 is best, few images increase it.

    Only ``fid_inception`` with the published number of images is comparable with published values.
    """

    name = "fid"
    minimum = 64

    def compare(self, reals: Features, others: Features) -> dict[str, float]:
        """Return one value, ``fid_lite0`` or with another extractor's name."""
        self.check_count(reals, others)
        return self.named({"fid": frechet_distance(reals.astype(np.float64), others.astype(np.float64))})
