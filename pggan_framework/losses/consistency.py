"""The consistency term: D's output on a real must not depend on its dropout mask."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from pggan_framework.errors import UserError
from pggan_framework.losses.context import StepContext
from pggan_framework.losses.penalty import Penalty
from pggan_framework.networks.base import DiscriminatorBase, GeneratorBase
from pggan_framework.registry import register

_DROPOUTS = nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout, nn.FeatureAlphaDropout


@register("penalty")
class Consistency(Penalty):
    """Penalizes the difference between two dropout passes of the same real (CT-GAN, Wei et al. 2018, arXiv 1803.01541).

    The penalty is ``mean(relu(d(D(x'), D(x'')) + 0.1 d(h(x'), h(x'')) - margin))``, where h are the penultimate
    features. As in the authors' code, d is the squared difference, averaged over the features for h.

    Args:
        weight: weight of the penalty, lambda 2 in the paper.
        margin: tolerated difference, M' in the paper; 0 to 0.2 is usual.
    """

    name = "dropout_consistency"
    side = "D"
    needs = ("reals", "real_verdict")

    def __init__(self, weight: float = 2.0, margin: float = 0.0, **kwargs: Any) -> None:
        super().__init__(weight, **kwargs)
        self.margin = margin
        self.require("margin", margin >= 0, "0 and above")

    def check(self, G: GeneratorBase, D: DiscriminatorBase) -> None:
        """Check that D has dropout.

        Raises:
            UserError: if D has no dropout.
        """
        if not any(isinstance(module, _DROPOUTS) and module.p > 0 for module in D.modules()):
            raise UserError(
                f"Consistency compares two dropout passes, but {type(D).__name__} has no dropout;"
                " allowed: a discriminator with dropout, as Discriminator.dropout 0.3"
            )

    def __call__(self, context: StepContext) -> Tensor:
        """Compute the scalar mean over one extra pass and the pass of the adversarial loss."""
        first, second = context.real_verdict, context.judge(context.reals)
        of_scores = (first.scores - second.scores).square()
        of_features = (first.features - second.features).square().mean(1)
        return (of_scores + 0.1 * of_features - self.margin).relu().mean()
