"""FastGAN's self-supervision: images must be reconstructible from D's feature maps."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from pggan_framework.errors import UserError
from pggan_framework.losses.context import StepContext
from pggan_framework.losses.penalty import Penalty
from pggan_framework.networks.base import DiscriminatorBase, GeneratorBase
from pggan_framework.networks.pggan import Discriminator
from pggan_framework.registry import register


@register("penalty")
class SelfSupervision(Penalty):
    """Mean absolute error of reals reconstructed from D's feature maps (FastGAN, arXiv 2101.04775, equation 3).

    The 8-pixel maps are decoded to the whole image, and a random quarter of the 16-pixel maps to that quarter of the
    image. It needs ``--Discriminator.decoders True`` and is 0 up to the depth of 8 pixels.

    Args:
        weight: factor of the error.
    """

    name = "self_supervision"
    side = "D"
    needs = ("reals",)

    def __init__(self, weight: float = 1.0, **kwargs: Any) -> None:
        super().__init__(weight, **kwargs)

    def check(self, G: GeneratorBase, D: DiscriminatorBase) -> None:
        """Check that D has decoders.

        Raises:
            UserError: if D has no decoders, or the data have label maps.
        """
        if not isinstance(D, Discriminator) or D.decoders is None or D.takes_maps:
            raise UserError(
                f"SelfSupervision needs a discriminator with decoders, and {type(D).__name__} has none; allowed:"
                " --Discriminator.decoders True, with data that have no label maps"
            )

    def __call__(self, context: StepContext) -> Tensor:
        """Compute the scalar sum over the reconstructions of the mean over their values."""
        D = context.D
        assert isinstance(D, Discriminator)
        errors = [(made - target).abs().mean() for made, target in D.reconstructions(context.reals)]
        return sum(errors, context.reals.new_zeros(()))
