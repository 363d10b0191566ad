"""A trained generator as a function differentiable with respect to its inputs only."""

from __future__ import annotations

from copy import deepcopy

from torch import Tensor

from pggan_framework.models.pretrained import Pretrained


class Painter:
    """Maps latents and the network input of labels to images in [-1, 1].

    It uses a frozen copy of the generator, so the model is unchanged. Values outside the range are clipped, as in
    generated images, but gradients pass through the clipping, so a clipped value can return to the range.

    Args:
        model: model loaded by `pretrained.load_generator`.
    """

    def __init__(self, model: Pretrained) -> None:
        self.generator = deepcopy(model.generator).requires_grad_(False).eval()
        self.low, self.high = model.range_out

    def __call__(self, latents: Tensor, condition: Tensor | None = None) -> Tensor:
        """Generate images [N, C, h, w] from latents [N, F] and the network input of labels."""
        made = self.generator(latents, condition).float()
        pictures = (made - self.low) * (2 / (self.high - self.low)) - 1
        cut: Tensor = pictures + (pictures.clamp(-1, 1) - pictures).detach()
        return cut
