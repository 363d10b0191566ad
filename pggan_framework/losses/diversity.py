"""Diversity terms, which keep G's samples different from each other."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn.functional import mse_loss, normalize

from pggan_framework.losses.context import StepContext
from pggan_framework.losses.penalty import Penalty
from pggan_framework.registry import register


def _cosines(x: Tensor) -> Tensor:
    """Compute the cosine of the angle between each pair of samples: [N, ...] -> [N, N]."""
    flat = normalize(x.flatten(1), dim=1)
    return flat @ flat.T


@register("penalty")
class PullAway(Penalty):
    """Pushes the samples of a batch apart by their angles (EBGAN's PT, Zhao et al. 2017, arXiv 1609.03126, eq. 4).

    The penalty is ``mean(cos(s_i, s_j) ** 2)`` over all pairs of different samples or, if centred,
    ``mean((cos(s_i, s_j) ** 2 - cos(z_i, z_j) ** 2) ** 2)``.

    Args:
        weight: weight of the penalty.
        of: vectors to compare: D's penultimate features or the images.
        centred: target the squared cosines of the latents instead of zero.
    """

    name = "pull_away"
    side = "G"
    compares = True

    def __init__(
        self,
        weight: float = 0.1,
        of: Literal["features", "pictures"] = "features",
        centred: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(weight, **kwargs)
        self.of, self.centred = of, centred
        self.needs = ("fake_verdict",) if of == "features" else ("fakes",)

    def __call__(self, context: StepContext) -> Tensor:
        """Compute the scalar mean; 0 for a single sample."""
        samples = context.fake_verdict.features if self.of == "features" else context.fakes
        squares = _cosines(samples).square()
        if self.centred:
            squares = (squares - _cosines(context.latents).square()).square()
        count = len(squares)
        # The diagonal is masked instead of subtracted, since a difference of sums has rounding errors.
        others = squares.masked_fill(torch.eye(count, dtype=torch.bool, device=squares.device), 0)
        return others.sum() / max(count * (count - 1), 1)


def _eigen(features: Tensor) -> tuple[Tensor, Tensor]:
    """Decompose the cosines of features [N, F]: ascending eigenvalues [N], eigenvectors [N, N] in columns.

    The gradient follows from first-order perturbation theory. For nearly equal eigenvalues, such as all beyond F, the
    gradient of the eigenvectors is undefined; here it is damped, whereas the gradient of ``torch.linalg.eigh`` is
    infinite.
    """
    kernel = _cosines(features)
    with torch.no_grad():
        values, vectors = torch.linalg.eigh(kernel.cpu() if kernel.device.type == "mps" else kernel)
        values, vectors = values.to(kernel.device), vectors.to(kernel.device)
        gaps = values - values.unsqueeze(1)
        damped = gaps / (gaps.square() + torch.finfo(values.dtype).eps)
    turned = vectors.T @ kernel @ vectors
    # The values of `turned` are zero except for its diagonal: it adds only the gradient.
    return turned.diagonal(), vectors + vectors @ (damped * turned)


@register("penalty")
class GDPP(Penalty):
    """Matches the diversity of a batch of fakes to that of the reals (Elfeki et al. 2019, arXiv 1812.00068).

    The cosines of D's penultimate features form two kernels, one of the reals and one of the fakes, which are
    decomposed. The penalty is ``magnitude * mse(values_fake, values_real) - sum_i w_i abs(<v_i_real, v_i_fake>)``,
    where w are the eigenvalues of the reals scaled to 0 to 1.

    Args:
        weight: weight of the penalty.
        magnitude: weight of the eigenvalues' mean square difference; some implementations use 0.0001.
    """

    name = "gdpp"
    side = "G"
    needs = ("real_verdict", "fake_verdict")
    compares = True

    def __init__(self, weight: float = 1.0, magnitude: float = 1.0, **kwargs: Any) -> None:
        super().__init__(weight, **kwargs)
        self.magnitude = magnitude
        self.require("magnitude", magnitude >= 0, "0 and above")

    def __call__(self, context: StepContext) -> Tensor:
        """Compute the scalar; its minimum is minus the sum of the weights w."""
        real_values, real_vectors = _eigen(context.real_verdict.features)
        span = (real_values[-1] - real_values[0]).clamp_min(torch.finfo(real_values.dtype).eps)
        weights = (real_values - real_values[0]) / span
        values, vectors = _eigen(context.fake_verdict.features)
        alike = (real_vectors * vectors).sum(0).abs()
        return self.magnitude * mse_loss(values, real_values) - (weights * alike).sum()
