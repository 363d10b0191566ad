"""PGGAN in ordinary PyTorch, written from the paper: what one writes first, and what most public code looks like.

Nearest x2, convolution, activation; mean after the activation; reals and fakes scored one after the other; the penalty
by ``autograd.grad`` with ``create_graph``; torch's Adam; the average in a loop. Nothing of ours is imported.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from math import log2, sqrt

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Conv(nn.Module):
    """Equalised convolution with "same" padding and a bias."""

    def __init__(self, channels_in: int, channels_out: int, kernel: int, gain: float = sqrt(2)) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(channels_out, channels_in, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(channels_out))
        self.scale = gain / sqrt(channels_in * kernel**2)
        self.padding = kernel // 2

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, h, w] -> [N, C', h, w]."""
        return F.conv2d(x, self.weight * self.scale, self.bias, padding=self.padding)


class Dense(nn.Module):
    """Equalised dense layer."""

    def __init__(self, features_in: int, features_out: int, gain: float = sqrt(2)) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(features_out, features_in))
        self.bias = nn.Parameter(torch.zeros(features_out))
        self.scale = gain / sqrt(features_in)

    def forward(self, x: Tensor) -> Tensor:
        """[N, F] -> [N, F']."""
        return F.linear(x, self.weight * self.scale, self.bias)


def _lrelu(x: Tensor) -> Tensor:
    return F.leaky_relu(x, 0.2)


def _pixel_norm(x: Tensor) -> Tensor:
    return x / torch.sqrt((x**2).mean(1, keepdim=True) + 1e-8)


def _stddev(x: Tensor, group: int = 4) -> Tensor:
    """[N, C, h, w] -> [N, C + 1, h, w]."""
    n, c, h, w = x.shape
    group = min(group, n)
    y = x.view(group, -1, c, h, w)
    y = y - y.mean(0, keepdim=True)
    y = torch.sqrt((y**2).mean(0) + 1e-8).mean((1, 2, 3), keepdim=True)
    return torch.cat([x, y.repeat(group, 1, h, w)], 1)


class Block(nn.Module):
    """Two convolutions with their activations, enlarging before the first or shrinking after the second.

    Args:
        before: C of the input.
        middle: C between the two.
        after: C of the output.
        up: whether it is one of G's, with pixel norm, or one of D's.
    """

    def __init__(self, before: int, middle: int, after: int, up: bool) -> None:
        super().__init__()
        self.first, self.second, self.up = Conv(before, middle, 3), Conv(middle, after, 3), up

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, h, w] -> [N, C', h', w']."""
        if self.up:
            x = F.interpolate(x, scale_factor=2, mode="nearest")
            return _pixel_norm(_lrelu(self.second(_pixel_norm(_lrelu(self.first(x))))))
        return F.avg_pool2d(_lrelu(self.second(_lrelu(self.first(x)))), 2)


class Generator(nn.Module):
    """Latents [N, F] -> images [N, 3, R, R].

    Args:
        maps: feature maps at 4, 8, ... px.
        latent: F.
    """

    def __init__(self, maps: list[int], latent: int) -> None:
        super().__init__()
        self.dense = Dense(latent, maps[0] * 16, sqrt(2) / 4)
        self.first = Conv(maps[0], maps[0], 3)
        self.blocks = nn.ModuleList(
            Block(before, after, after, up=True) for before, after in zip(maps, maps[1:], strict=False)
        )
        self.to_rgb = nn.ModuleList(Conv(count, 3, 1, 1.0) for count in maps)

    def forward(self, z: Tensor, alpha: float, depth: int | None = None) -> Tensor:
        """Images of 4 * 2**depth pixels, the full size by default."""
        depth = len(self.blocks) if depth is None else depth
        x = _pixel_norm(_lrelu(self.dense(_pixel_norm(z)).view(len(z), -1, 4, 4)))
        x = before = _pixel_norm(_lrelu(self.first(x)))
        for block in list(self.blocks)[:depth]:
            before, x = x, block(x)
        image: Tensor = self.to_rgb[depth](x)
        if alpha < 1 and depth > 0:
            old = F.interpolate(self.to_rgb[depth - 1](before), scale_factor=2, mode="nearest")
            image = (1 - alpha) * old + alpha * image
        return image


class Discriminator(nn.Module):
    """Images [N, 3, R, R] -> scores [N].

    Args:
        maps: feature maps at 4, 8, ... px.
        features: of the last hidden layer.
    """

    def __init__(self, maps: list[int], features: int) -> None:
        super().__init__()
        self.from_rgb = nn.ModuleList(Conv(3, count, 1) for count in maps)
        self.blocks = nn.ModuleList(
            Block(before, before, after, up=False) for after, before in zip(maps, maps[1:], strict=False)
        )
        self.last = Conv(maps[0] + 1, maps[0], 3)
        self.dense = Dense(maps[0] * 16, features)
        self.score = Dense(features, 1, 1.0)

    def forward(self, images: Tensor, alpha: float, depth: int | None = None) -> Tensor:
        """Scores of images of 4 * 2**depth pixels, the full size by default."""
        depth = len(self.blocks) if depth is None else depth
        x = _lrelu(self.from_rgb[depth](images))
        for number, block in enumerate(reversed(list(self.blocks)[:depth])):
            x = block(x)
            if number == 0 and alpha < 1:
                old = _lrelu(self.from_rgb[depth - 1](F.avg_pool2d(images, 2)))
                x = (1 - alpha) * old + alpha * x
        x = _lrelu(self.last(_stddev(x)))
        scores: Tensor = self.score(_lrelu(self.dense(x.flatten(1)))).squeeze(1)
        return scores


class Training:
    """Both networks, their optimisers, and the average of the generator.

    Args:
        resolution: of the full images.
        fmap_base: feature maps of a layer at 2**k pixels are fmap_base / 2**(k - 1), and fmap_max at most.
        fmap_max: see there.
        latent: size of the latents.
        lr: learning rate of both.
        decay: share of the average that stays after a step.
        device: where it is trained.
    """

    def __init__(
        self,
        resolution: int,
        fmap_base: int,
        fmap_max: int,
        latent: int,
        lr: float,
        decay: float,
        device: str = "cpu",
    ) -> None:
        last, *maps = (min(fmap_base // 2**stage, fmap_max) for stage in range(int(log2(resolution))))
        maps = [min(fmap_base // 2 ** (stage + 1), fmap_max) for stage in range(len(maps))]
        self.latent, self.decay = latent, decay
        self.G, self.D = Generator(maps, latent).to(device), Discriminator(maps, last).to(device)
        self.average = deepcopy(self.G).requires_grad_(False)
        self.G_adam = torch.optim.Adam(self.G.parameters(), lr=lr, betas=(0.0, 0.99))
        self.D_adam = torch.optim.Adam(self.D.parameters(), lr=lr, betas=(0.0, 0.99))

    def step(self, real: Tensor, alpha: float) -> None:
        """One update of D, of G and of the average on images [N, 3, R, R] in [-1, 1]."""
        G, D, batch = self.G, self.D, len(real)
        depth = int(log2(real.shape[-1])) - 2
        if alpha < 1 and depth > 0:
            old = F.interpolate(F.avg_pool2d(real, 2), scale_factor=2, mode="nearest")
            real = (1 - alpha) * old + alpha * real
        self.D_adam.zero_grad()
        fake = G(torch.randn(batch, self.latent, device=real.device), alpha, depth).detach()
        real_scores, fake_scores = D(real, alpha, depth), D(fake, alpha, depth)
        mix = torch.rand(batch, 1, 1, 1, device=real.device)
        points = (real + mix * (fake - real)).requires_grad_()
        (gradient,) = torch.autograd.grad(D(points, alpha, depth).sum(), points, create_graph=True)
        penalty = ((gradient.flatten(1).norm(dim=1) - 1) ** 2).mean()
        loss = fake_scores.mean() - real_scores.mean() + 10 * penalty + 0.001 * (real_scores**2).mean()
        loss.backward()
        self.D_adam.step()
        self.G_adam.zero_grad()
        # D's weights get gradients here too; the next D update throws them away.
        latents = torch.randn(batch, self.latent, device=real.device)
        (-D(G(latents, alpha, depth), alpha, depth).mean()).backward()
        self.G_adam.step()
        for kept, weight in zip(self.average.parameters(), G.parameters(), strict=True):
            kept.mul_(self.decay).add_(weight.data, alpha=1 - self.decay)


def make(
    resolution: int, fmap_base: int, fmap_max: int, latent: int, batch: int, alpha: float
) -> Callable[[Tensor], None]:
    """A training step with WGAN-GP and drift: one update of D, one of G, one of the average."""
    training = Training(resolution, fmap_base, fmap_max, latent, 1e-3, 0.999)

    def step(real: Tensor) -> None:
        training.step(real, alpha)

    return step
