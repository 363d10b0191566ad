"""PGGAN in ordinary PyTorch, written from the paper: the straightforward implementation, similar to most public code.

The blocks are nearest x2, convolution and activation, with the mean after the activation. Reals and fakes are scored
one after the other; the penalty uses ``autograd.grad`` with ``create_graph``; the optimizer is torch's Adam; the EMA is
a loop. Nothing is imported from this project.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from math import log2, sqrt

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Conv(nn.Module):
    """Equalized convolution with "same" padding and a bias."""

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
    """Equalized dense layer."""

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
    """Append the minibatch standard deviation: [N, C, h, w] -> [N, C + 1, h, w]."""
    n, c, h, w = x.shape
    group = min(group, n)
    y = x.view(group, -1, c, h, w)
    y = y - y.mean(0, keepdim=True)
    y = torch.sqrt((y**2).mean(0) + 1e-8).mean((1, 2, 3), keepdim=True)
    return torch.cat([x, y.repeat(group, 1, h, w)], 1)


class Block(nn.Module):
    """Two convolutions with their activations, which enlarge before the first or shrink after the second convolution.

    Args:
        before: number of input channels.
        middle: number of channels between the convolutions.
        after: number of output channels.
        up: whether the block belongs to G, with pixel norm, or to D.
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
        maps: number of feature maps at 4, 8, ... px.
        latent: latent size, F.
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
        """Generate images of 4 * 2**depth pixels, by default at full size."""
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
        maps: number of feature maps at 4, 8, ... px.
        features: number of features in the last hidden layer.
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
        """Score images of 4 * 2**depth pixels, by default at full size."""
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
    """Both networks, their optimizers, and the EMA generator.

    Args:
        resolution: side of the full-size images.
        fmap_base: a layer at 2**k pixels has fmap_base / 2**(k - 1) feature maps, at most fmap_max.
        fmap_max: largest number of feature maps.
        latent: latent size.
        lr: learning rate of both networks.
        decay: factor of the old average in each EMA update.
        device: device of the training.
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
        """Update D, G and the EMA once on images [N, 3, R, R] in [-1, 1]."""
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
    """Build a training step with WGAN-GP and drift: an update of D, an update of G, and an update of the EMA."""
    training = Training(resolution, fmap_base, fmap_max, latent, 1e-3, 0.999)

    def step(real: Tensor) -> None:
        training.step(real, alpha)

    return step
