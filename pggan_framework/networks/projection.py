"""A discriminator conditioned on labels (cGANs with projection discriminator, Miyato and Koyama 2018, eq. 3)."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from pggan_framework.errors import UserError
from pggan_framework.labels.attributes import LabelSpace
from pggan_framework.networks.base import Verdict
from pggan_framework.networks.norms import SpectralNorm
from pggan_framework.networks.pggan import Discriminator
from pggan_framework.registry import register
from pggan_framework.schedules.growth import Growth


class LabelEmbedding(nn.Module):
    """A vector for each value of each attribute; a label's vector is the sum of its values' vectors.

    Args:
        width: total number of values of all attributes.
        features: F of the vectors.
        wscale: draw vectors from N(0, 1) and scale them in every forward pass; else draw them already scaled.
        spectral: divide the matrix of all vectors by its largest singular value.
    """

    def __init__(self, width: int, features: int, wscale: bool = True, spectral: bool = False) -> None:
        super().__init__()
        scale = 1 / sqrt(features)  # the scale of a dense layer from the features to a score
        self.weight = nn.Parameter(torch.randn(width, features) * (1 if wscale else scale))
        self.scale = scale if wscale else 1.0
        self.spectral = SpectralNorm(width) if spectral else None

    def forward(self, labels: Tensor) -> Tensor:
        """Labels [N, width], one one-hot block per attribute -> [N, F]."""
        weight = self.weight * self.scale
        return labels @ (weight if self.spectral is None else self.spectral(weight))


@register("discriminator")
class ProjectionDiscriminator(Discriminator):
    """The progressively grown discriminator, conditioned on labels by projection.

    Its score is the score of `Discriminator` plus the inner product of the features with an embedding of the label,
    which is the sum over all attributes (Miyato and Koyama 2018, arXiv 1802.05637). It does not classify, so no
    auxiliary classifier needs a weight.

    Args:
        shape: [C, H, W] of the images at full depth, or their growth; given by the data.
        label_space: labels of the images; passed by the data.
        options: further parameters of `Discriminator`.

    Raises:
        UserError: if the data are not labelled.
    """

    classifies: ClassVar[bool] = False

    def __init__(
        self,
        shape: Sequence[int] | Growth,
        label_space: LabelSpace | None = None,
        wscale: bool = True,
        spectral_norm: bool = False,
        **options: Any,
    ) -> None:
        if label_space is None:
            raise UserError(
                "ProjectionDiscriminator is for labelled data, but the data have no labels; name some of the dataset's,"
                " or choose Discriminator"
            )
        super().__init__(shape, wscale=wscale, label_space=None, spectral_norm=spectral_norm, **options)
        self.label_space = label_space
        self.embed = LabelEmbedding(label_space.width, self.score.weight.shape[1], wscale, spectral_norm)

    def judge(self, images: Tensor, labels: Tensor | None = None, parts: int = 1) -> Verdict:
        """Compute scores [N] and penultimate features [N, F] of labelled images [N, C, h, w].

        Args:
            images: [N, C, h, w] at the current depth.
            labels: [N, width].
            parts: number of equal batches in `images`; minibatch stddev and batch norm stay within each batch.

        Raises:
            ValueError: if labels are missing, or the images do not have the shape of the current depth.
        """
        self.check_labels(labels, len(images))
        assert labels is not None
        features = self.encode(images, labels, parts)
        fit = (self.embed(labels) * features).sum(1)
        return Verdict(self.score(features).squeeze(1) + fit, features)
