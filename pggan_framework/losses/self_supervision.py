"""FastGAN's self-supervision: D's feature maps are to hold what an image is made of."""

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
    """Mean absolute error of images made of D's feature maps of reals (FastGAN, arXiv 2101.04775, equation 3).

    The maps of 8 pixels are decoded to the whole image, a random quarter of those of 16 pixels to that quarter. Needs
    ``--Discriminator.decoders True``. It is 0 up to the depth of 8 pixels.

    Args:
        weight: what it is multiplied by.
    """

    name = "self_supervision"
    side = "D"
    needs = ("reals",)

    def __init__(self, weight: float = 1.0, **kwargs: Any) -> None:
        super().__init__(weight, **kwargs)

    def check(self, G: GeneratorBase, D: DiscriminatorBase) -> None:
        """See that D has decoders.

        Raises:
            UserError: if it has none, or is shown label maps.
        """
        if not isinstance(D, Discriminator) or D.decoders is None or D.takes_maps:
            raise UserError(
                f"SelfSupervision needs a discriminator with decoders, and {type(D).__name__} has none; allowed:"
                " --Discriminator.decoders True, with data that have no label maps"
            )

    def __call__(self, context: StepContext) -> Tensor:
        """The scalar sum of the means over all values of each reconstruction."""
        D = context.D
        assert isinstance(D, Discriminator)
        errors = [(made - target).abs().mean() for made, target in D.reconstructions(context.reals)]
        return sum(errors, context.reals.new_zeros(()))
