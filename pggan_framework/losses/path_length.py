"""The path length penalty: a step in style space should change images by a constant amount."""

from __future__ import annotations

from collections.abc import Mapping
from math import sqrt
from typing import Any

import torch
from torch import Tensor

from pggan_framework.cpu.transfer import to_device
from pggan_framework.losses.context import StepContext
from pggan_framework.losses.penalty import Penalty
from pggan_framework.networks.stylegan2 import StyleGAN2Generator
from pggan_framework.registry import register


@register("penalty")
class PathLength(Penalty):
    """Pulls the norm of ``J^T y`` to its running mean (Karras et al. 2020, arXiv 1912.04958, equation 4).

    J is the Jacobian of the images with respect to the styles, and y is normal noise of the images' shape; for
    generators without styles, the latents replace the styles. By default, half of the batch is used in every fourth
    update.

    Args:
        weight: weight of the penalty.
        interval: compute the penalty only in every n-th update of G, with n times the weight.
        decay: step size of the running mean.
    """

    name = "path_length"
    side = "G"
    needs = ()

    def __init__(self, weight: float = 2.0, interval: int = 4, decay: float = 0.01, **kwargs: Any) -> None:
        super().__init__(weight, interval, **kwargs)
        self.decay = decay
        self.require("decay", 0 < decay <= 1, "above 0 to 1")
        self.mean = torch.zeros(())

    def __call__(self, context: StepContext) -> Tensor:
        """Compute the scalar ``mean((norm(J^T y) - mean) ** 2)``; log the mean norm as ``path_length.norm``."""
        some = slice(None, -(-len(context.latents) // 2))
        latents, labels = context.latents[some], None if context.labels is None else context.labels[some]
        G = context.G
        if isinstance(G, StyleGAN2Generator):
            points = G.styles(latents, labels)
            images = G.synthesize(points)
        else:
            points = latents.detach().requires_grad_()
            images = G(points, labels)
        noise = torch.randn_like(images) / sqrt(images.shape[2] * images.shape[3])
        (gradients,) = torch.autograd.grad((images * noise).sum(), points, create_graph=True)
        # With a style per layer, average the squares over the layers.
        norms = gradients.square().sum(-1).reshape(len(points), -1).mean(1).sqrt()
        self.mean = to_device(self.mean.to(norms.dtype), norms.device)  # only in the first update
        context.log("path_length.norm", norms.mean())
        return (norms - torch.lerp(self.mean, norms.mean().detach(), self.decay)).square().mean()

    def after_update(self, context: StepContext) -> None:
        """Update the running mean, on the device."""
        if "path_length.norm" in context.stats:
            self.mean = torch.lerp(self.mean, context.average(context.stats["path_length.norm"]), self.decay)

    def state_dict(self) -> dict[str, Any]:
        """Return the running mean."""
        return {"mean": self.mean}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore the running mean."""
        self.mean = state["mean"]
