"""A trained generator as a function that can be differentiated by what it is given, and by nothing else."""

from __future__ import annotations

from copy import deepcopy

from torch import Tensor

from pggan_framework.models.pretrained import Pretrained


class Painter:
    """Latents, and what a network sees of labels, into pictures in [-1, 1].

    It works on a frozen copy of the generator, so that the model is left as it is. What lies outside the range is cut
    off as in any picture made of it, but lets gradients through: a value that was cut off can come back.

    Args:
        model: from `pretrained.load_generator`.
    """

    def __init__(self, model: Pretrained) -> None:
        self.generator = deepcopy(model.generator).requires_grad_(False).eval()
        self.low, self.high = model.range_out

    def __call__(self, latents: Tensor, condition: Tensor | None = None) -> Tensor:
        """Latents [N, F] and labels as the network sees them -> pictures [N, C, h, w]."""
        made = self.generator(latents, condition).float()
        pictures = (made - self.low) * (2 / (self.high - self.low)) - 1
        cut: Tensor = pictures + (pictures.clamp(-1, 1) - pictures).detach()
        return cut
