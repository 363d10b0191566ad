"""The auxiliary classifier: D says which label a picture has, and G is to make pictures of which it is said rightly."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from pggan_framework.errors import UserError
from pggan_framework.losses.base import Side, StepContext, Term
from pggan_framework.networks.base import Verdict
from pggan_framework.registry import register


class _LabelTerm(Term):
    """Cross-entropy of the logits against the labels, summed over the attributes; logs the share of right ones."""

    def __init__(self, weight: float) -> None:
        self.weight = weight

    def _cross_entropy(self, context: StepContext, verdict: Verdict) -> Tensor:
        space, labels = context.D.label_space, context.labels
        if verdict.logits is None or space is None or labels is None:
            raise RuntimeError("the auxiliary classifier needs labels, and a discriminator that has logits for them")
        blocks = list(zip(*(torch.split(both, list(space.sizes), 1) for both in (verdict.logits, labels)), strict=True))
        right = [(logits.argmax(1) == wanted.argmax(1)).float().mean() for logits, wanted in blocks]
        context.log(f"{self.name}_right", torch.stack(right).mean())
        return torch.stack([cross_entropy(logits, wanted) for logits, wanted in blocks]).sum()


class RealLabels(_LabelTerm):
    """D on reals."""

    name: ClassVar[str] = "D_label"
    side: ClassVar[Side] = "D"

    def __call__(self, context: StepContext) -> Tensor:
        """The scalar cross-entropy of the reals' labels."""
        return self._cross_entropy(context, context.real_verdict)


class FakeLabels(_LabelTerm):
    """G on the fakes it made for a label."""

    name: ClassVar[str] = "G_label"
    side: ClassVar[Side] = "G"

    def __call__(self, context: StepContext) -> Tensor:
        """The scalar cross-entropy of the labels the fakes were made for."""
        return self._cross_entropy(context, context.fake_verdict)


@register("penalty")
class AuxiliaryClassifier:
    """Teaches labels where the data have them (AC-GAN, Odena et al. 2017, arXiv 1610.09585).

    Args:
        weight: of the cross-entropy, on reals for D and on fakes for G. 1 is usual; GANSynth takes 10 for pitch.
    """

    def __init__(self, weight: float = 1.0) -> None:
        if not weight > 0:
            raise UserError(f"AuxiliaryClassifier.weight {weight} is not allowed; allowed: above 0")
        self.terms: Sequence[Term] = (RealLabels(weight), FakeLabels(weight))
