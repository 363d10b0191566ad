"""The auxiliary classifier: D predicts the label of an image, and G generates images that are classified correctly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import cross_entropy

from pggan_framework.cpu.transfer import to_device
from pggan_framework.errors import UserError, nearest
from pggan_framework.losses.base import Term
from pggan_framework.losses.context import Side, StepContext
from pggan_framework.networks.base import DiscriminatorBase, GeneratorBase, Verdict
from pggan_framework.registry import register

Counts = Sequence[NDArray[np.int64] | None]
"""For each attribute, the counts of its values in the data; None for a continuous attribute."""


@dataclass(frozen=True)
class LabelWeights:
    """Weights of the label errors.

    Args:
        attributes: weight by name of the attribute; 1 for missing names.
        classes: for each attribute, the weight [K] of each value, or None for a continuous one; no weights by default.
    """

    attributes: Mapping[str, float]
    classes: list[Tensor | None] | None = None


class _LabelTerm(Term):
    """The error of the predicted logits for the labels, summed over the attributes; logs the accuracy."""

    def __init__(self, weight: float, weights: LabelWeights) -> None:
        self.weight = weight
        self.weights = weights

    def check(self, G: GeneratorBase, D: DiscriminatorBase) -> None:
        """Check that the weights are for existing attributes.

        Raises:
            UserError: if an attribute does not exist, all weights are 0, or there are no classes to balance.
        """
        attributes = () if D.label_space is None else D.label_space.attributes
        names = [attribute.name for attribute in attributes]
        for name in self.weights.attributes:
            if name not in names:
                raise UserError(
                    f"AuxiliaryClassifier.attribute_weights: there is no label '{name}'{nearest(name, names)};"
                    f" allowed: {', '.join(names)}"
                )
        if not any(self.weights.attributes.get(name, 1) for name in names):
            raise UserError("AuxiliaryClassifier.attribute_weights are all 0; allowed: one of them above 0")
        if self.weights.classes is not None and all(attribute.span for attribute in attributes):
            raise UserError(
                f"AuxiliaryClassifier.class_weights 'balanced' is given, but {', '.join(names)} are continuous;"
                " allowed: none"
            )

    def _error(self, context: StepContext, verdict: Verdict) -> Tensor:
        space, labels = context.D.label_space, context.labels
        if verdict.logits is None or space is None or labels is None:
            raise RuntimeError("the auxiliary classifier needs labels, and a discriminator that has logits for them")
        blocks = zip(*(torch.split(both, list(space.sizes), 1) for both in (verdict.logits, labels)), strict=True)
        sums, right, off = [], [], []
        for place, (attribute, (found, wanted)) in enumerate(zip(space.attributes, blocks, strict=True)):
            if attribute.span is not None:
                errors = (found - wanted).square().sum(1)
                off.append((found - wanted).abs().mean() / 2)
            else:
                errors = cross_entropy(found, wanted, reduction="none")
                classes = None if self.weights.classes is None else self.weights.classes[place]
                if classes is not None:
                    if classes.device != wanted.device or classes.dtype != wanted.dtype:  # only in the first update
                        classes = to_device(classes.to(wanted.dtype), wanted.device)
                        self.weights.classes[place] = classes  # type: ignore[index]
                    errors = errors * (wanted @ classes)
                right.append((found.argmax(1) == wanted.argmax(1)).float().mean())
            if weight := self.weights.attributes.get(attribute.name, 1):
                sums.append(errors.mean() * weight)
        if right:
            context.log(f"{self.name}_right", torch.stack(right).mean())
        if off:
            context.log(f"{self.name}_off", torch.stack(off).mean())
        return torch.stack(sums).sum()


class RealLabels(_LabelTerm):
    """The label error of D on reals."""

    name: ClassVar[str] = "D_label"
    side: ClassVar[Side] = "D"
    needs = ("real_verdict",)

    def __call__(self, context: StepContext) -> Tensor:
        """The scalar error of the reals' labels."""
        return self._error(context, context.real_verdict)


class FakeLabels(_LabelTerm):
    """The label error of G on fakes with their requested labels."""

    name: ClassVar[str] = "G_label"
    side: ClassVar[Side] = "G"
    needs = ("fake_verdict",)

    def __call__(self, context: StepContext) -> Tensor:
        """The scalar error of the fakes' requested labels."""
        return self._error(context, context.fake_verdict)


@register("penalty")
class AuxiliaryClassifier:
    """Trains D to classify labels, and G to match them (AC-GAN, Odena et al. 2017, arXiv 1610.09585).

    The error is the sum over all labels of the cross-entropy, or of the squared error for a continuous label in [-1,
    1].

    Args:
        weight: weight of the error, for D on reals and G on fakes. 1 is usual; GANSynth uses 10 for pitch.
        attribute_weights: weight of each label's error by name (default: 1); 0 ignores a label.
        class_weights: balanced: weight each value's cross-entropy inversely to its frequency, with mean 1 over the
            data.
        label_counts: number of occurrences of each value; passed by the data.

    Raises:
        UserError: if a weight is not above 0, or the weight of an attribute is negative.
    """

    injected: ClassVar[tuple[str, ...]] = ("label_counts",)
    schedulable: ClassVar[tuple[str, ...]] = ("weight",)

    def __init__(
        self,
        weight: float = 1.0,
        attribute_weights: dict[str, float] = {},  # noqa: B006  -- copied, never changed
        class_weights: Literal["none", "balanced"] = "none",
        label_counts: Counts | None = None,
    ) -> None:
        for name, number in attribute_weights.items():
            if not number >= 0:
                raise UserError(
                    f"AuxiliaryClassifier.attribute_weights: {name}: {number} is not allowed; allowed: 0 and up"
                )
        classes = None
        if class_weights == "balanced":
            classes = [None if counts is None else balanced(counts) for counts in label_counts or ()]
        weights = LabelWeights(dict(attribute_weights), classes)
        self.terms: Sequence[Term] = (RealLabels(1, weights), FakeLabels(1, weights))
        self.weight = weight

    @property
    def weight(self) -> float:
        """Weight of the error, for D and for G.

        Raises:
            UserError: if it is set to a value that is not above 0.
        """
        return self.terms[0].weight

    @weight.setter
    def weight(self, value: float) -> None:
        if not value > 0:
            raise UserError(f"AuxiliaryClassifier.weight {value} is not allowed; allowed: above 0")
        for term in self.terms:
            term.weight = value


def balanced(counts: NDArray[np.int64]) -> Tensor:
    """Compute weights [K] inversely proportional to the counts of K values, with mean 1 over all occurrences.

    A value that does not occur is weighted like a value that occurs once.
    """
    occurring = int(np.count_nonzero(counts))
    return torch.from_numpy(counts.sum() / (occurring * np.maximum(counts, 1)))
