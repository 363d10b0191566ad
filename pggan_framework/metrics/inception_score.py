"""The Inception score: confident class predictions per image, many classes over all images."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from pggan_framework.errors import at_least
from pggan_framework.metrics.base import Features
from pggan_framework.metrics.deep import FeatureMetric, Source
from pggan_framework.registry import register


def inception_scores(logits: NDArray[np.floating], splits: int) -> NDArray[np.float64]:
    """Compute exp(E KL(p(y|x) || p(y))) (Salimans et al., section 4) of each of `splits` parts of logits [N, K]."""
    scores = []
    for part in np.array_split(np.asarray(logits, np.float64), splits):
        shifted = part - part.max(axis=1, keepdims=True)
        log_p = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
        p = np.exp(log_p)
        log_mean = np.log(np.maximum(p.mean(axis=0), np.finfo(np.float64).tiny))
        scores.append(np.exp((p * (log_p - log_mean)).sum(axis=1).mean()))
    return np.array(scores)


@register("metric", "is")
class InceptionScore(FeatureMetric):
    """Inception score (Salimans et al., arXiv 1606.03498): mean and deviation over parts; must be selected.

    Values are between 1 and the number of classes. The score measures how well images fit ImageNet's classes and
    ignores the reals: it has little meaning for other data.

    Args:
        splits: number of parts whose scores are averaged, of at least two images each.

    Raises:
        UserError: if `splits` is below 1.
    """

    name = "is"
    source: ClassVar[Source] = "logits"
    default = False
    alone = True

    def __init__(self, splits: int = 10) -> None:
        at_least("is", 1, splits=splits)
        self.splits = splits
        self.minimum = 2 * splits

    def compare(self, reals: Features, others: Features) -> dict[str, float]:
        """Return ``is_lite0`` and ``is_lite0.std``, or with another extractor's name."""
        self.check_count(others)
        found = inception_scores(others, self.splits)
        return self.named({"is": float(found.mean()), "is.std": float(found.std())})
