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
    """A vector for each value of each attribute; a label's vector is the sum of its values'.

    Args:
        width: how many values all attributes have together.
        features: F of the vectors.
        wscale: scale vectors drawn from N(0, 1) in every forward pass; else draw them scaled.
        spectral: divide the vectors, as one matrix, by its largest singular value.
    """

    def __init__(self, width: int, features: int, wscale: bool = True, spectral: bool = False) -> None:
        super().__init__()
        scale = 1 / sqrt(features)  # that of a dense layer from the features to a score
        self.weight = nn.Parameter(torch.randn(width, features) * (1 if wscale else scale))
        self.scale = scale if wscale else 1.0
        self.spectral = SpectralNorm(width) if spectral else None

    def forward(self, labels: Tensor) -> Tensor:
        """Labels [N, width], a one-hot block for each attribute -> [N, F]."""
        weight = self.weight * self.scale
        return labels @ (weight if self.spectral is None else self.spectral(weight))


@register("discriminator")
class ProjectionDiscriminator(Discriminator):
    """The progressively grown discriminator, conditioned on labels by projection.

    Its score is that of `Discriminator` plus the inner product of the features with an embedding of the label, in which
    the embeddings of several attributes add up (Miyato and Koyama 2018, arXiv 1802.05637). It does not classify, so
    that there is no auxiliary classifier to weigh.

    Args:
        shape: [C, H, W] of the images at full depth, or their growth; given by the data.
        label_space: what the images are labelled with; given by the data.
        options: those of `Discriminator`.

    Raises:
        UserError: if the data have no labels.
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
        """Scores [N] and penultimate features [N, F] of images [N, C, h, w] with these labels.

        Args:
            images: [N, C, h, w] at the current depth.
            labels: [N, width].
            parts: how many equal batches `images` are; minibatch stddev and batch norm stay within each.

        Raises:
            ValueError: if labels are missing, or the images are not of the current depth's shape.
        """
        self.check_labels(labels, len(images))
        assert labels is not None
        features = self.encode(images, labels, parts)
        fit = (self.embed(labels) * features).sum(1)
        return Verdict(self.score(features).squeeze(1) + fit, features)
