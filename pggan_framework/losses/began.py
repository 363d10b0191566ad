"""BEGAN: D is an auto-encoder, and both losses are reconstruction errors (Berthelot et al. 2017, arXiv 1703.10717)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from pggan_framework.cpu.transfer import to_device
from pggan_framework.errors import UserError
from pggan_framework.losses.base import Loss, Term, logged_scores
from pggan_framework.losses.context import StepContext
from pggan_framework.networks.base import DiscriminatorBase, GeneratorBase, Verdict
from pggan_framework.networks.describe import meta_copy, meta_inputs
from pggan_framework.registry import register


def _error(images: Tensor, verdict: Verdict) -> Tensor:
    """Compute L(x), the scalar mean of ``abs(x - AE(x))`` over the batch [N, C, h, w]."""
    if verdict.reconstruction is None:
        raise RuntimeError("BEGAN needs a discriminator that gives a reconstruction")
    return (images - verdict.reconstruction).abs().mean()


class BalancedErrors(Term):
    """``L(real) - k * L(fake)``, where k is adapted to keep ``L(fake)`` near ``gamma * L(real)``.

    Logs k as ``began.k``, the deviation ``gamma * L(real) - L(fake)`` as ``began.balance``, and the measure of
    convergence ``L(real) + abs(balance)`` as ``began.measure``.

    Args:
        gamma: target ratio of the errors.
        lambda_k: step size of k.
    """

    name = "D_began"
    side = "D"
    needs = ("reals", "fakes", "real_verdict", "fake_verdict")

    def __init__(self, gamma: float, lambda_k: float) -> None:
        self.gamma, self.lambda_k = gamma, lambda_k
        self.k = torch.zeros(())

    def __call__(self, context: StepContext) -> Tensor:
        """Compute the scalar difference, with the k from before this update."""
        logged_scores(context)
        real, fake = _error(context.reals, context.real_verdict), _error(context.fakes, context.fake_verdict)
        self.k = to_device(self.k, real.device)  # only in the first update
        balance = self.gamma * real - fake
        context.log("began.k", self.k)
        context.log("began.balance", balance)
        context.log("began.measure", real + balance.abs())
        return real - self.k * fake

    def check(self, G: GeneratorBase, D: DiscriminatorBase) -> None:
        """Check that D reconstructs its input.

        Raises:
            UserError: if D does not reconstruct its input.
        """
        probe = meta_copy(D)
        if probe.judge(*meta_inputs(probe, 4)).reconstruction is None:
            raise UserError(
                f"BEGAN needs a discriminator that is an auto-encoder, and {type(D).__name__} is not;"
                " allowed: --discriminator AutoencoderDiscriminator"
            )

    def after_update(self, context: StepContext) -> None:
        """Update k within 0 to 1 on the device, without synchronization."""
        self.k = (self.k + self.lambda_k * context.average(context.stats["began.balance"].float())).clamp(0, 1)

    def state_dict(self) -> dict[str, Any]:
        """Return the weight k."""
        return {"k": self.k}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore the weight k."""
        self.k = state["k"]


class FakeError(Term):
    """``L(fake)``: trains G to generate images that D reconstructs well."""

    name = "G_began"
    side = "G"
    needs = ("fakes", "fake_verdict")

    def __call__(self, context: StepContext) -> Tensor:
        """Compute the scalar mean error."""
        return _error(context.fakes, context.fake_verdict)


@register("loss")
class BEGAN(Loss):
    """Boundary equilibrium loss: an auto-encoder as discriminator, balanced with G (arXiv 1703.10717, eq. 1).

    It needs ``--discriminator AutoencoderDiscriminator``.

    Args:
        gamma: target ratio of the error on fakes to the error on reals, above 0 and at most 1; 0.5 to 0.8 is usual.
            Lower values give cleaner, less diverse samples.
        lambda_k: step size of the weight of fakes in D's loss.

    Raises:
        UserError: if a parameter is outside its limits.
    """

    schedulable: ClassVar[tuple[str, ...]] = ("gamma",)

    def __init__(self, gamma: float = 0.5, lambda_k: float = 0.001) -> None:
        if not 0 < lambda_k <= 1:
            raise UserError(f"BEGAN.lambda_k {lambda_k} is not allowed; allowed: above 0 to 1; usual: 0.001")
        self._terms = BalancedErrors(gamma, lambda_k), FakeError()
        self.gamma = gamma

    @property
    def gamma(self) -> float:
        """The target ratio of the errors.

        Raises:
            UserError: if it is set to a value that is not above 0 and at most 1.
        """
        return self._terms[0].gamma

    @gamma.setter
    def gamma(self, value: float) -> None:
        if not 0 < value <= 1:
            raise UserError(f"BEGAN.gamma {value} is not allowed; allowed: above 0 to 1")
        self._terms[0].gamma = value

    @property
    def terms(self) -> Sequence[Term]:
        """D's term, which stores k, and G's term."""
        return self._terms
