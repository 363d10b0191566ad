"""A trained generator as a function that is differentiable with respect to its inputs only."""

from __future__ import annotations

from copy import deepcopy

from torch import Tensor

from pggan_framework.models.pretrained import Pretrained


class Painter:
    """Maps latents and the network input of labels to images in [-1, 1].

    It works on a frozen copy of the generator, so that the model is unchanged. Values outside the range are clipped, as
    in generated images, but let gradients through, so that a clipped value can return to the range.

    Args:
        model: from `pretrained.load_generator`.
    """

    def __init__(self, model: Pretrained) -> None:
        self.generator = deepcopy(model.generator).requires_grad_(False).eval()
        self.low, self.high = model.range_out

    def __call__(self, latents: Tensor, condition: Tensor | None = None) -> Tensor:
        """Latents [N, F] and the network input of labels -> images [N, C, h, w]."""
        made = self.generator(latents, condition).float()
        pictures = (made - self.low) * (2 / (self.high - self.low)) - 1
        cut: Tensor = pictures + (pictures.clamp(-1, 1) - pictures).detach()
        return cut
