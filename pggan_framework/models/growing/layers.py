"""Map one layer of the source to the target, by its input and output spaces."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import prod, sqrt

import torch
from torch import Tensor, nn

from pggan_framework.errors import UserError
from pggan_framework.models.growing.spaces import SAME, Space, along
from pggan_framework.networks.layers import ScaledConv, ScaledLinear
from pggan_framework.networks.norms import Norm
from pggan_framework.networks.projection import LabelEmbedding

State = Mapping[str, Tensor]
Recipe = Callable[[State], Tensor]
"""Makes a target's tensor from a source's tensors, of the raw or of the EMA network alike."""
Weighted = ScaledConv | ScaledLinear | LabelEmbedding
"""Layers with a weight, its scale and, perhaps, a spectral norm."""
STRENGTH = 0.3
"""Standard deviation of the weights that tell copies apart, in that of fresh weights."""


@dataclass(frozen=True)
class Row:
    """What happened to a layer.

    Args:
        layer: its name, ``G.blocks.2.first``.
        what: kept; mapped; widened; added; or dropped; or two of them.
        detail: shapes of the weight before and after.
    """

    layer: str
    what: str
    detail: str


@dataclass
class Transfer:
    """How one network's tensors are made from another's.

    Args:
        side: G or D, for the table.
        recipes: by name of the target's tensor.
        kept: names of the target's tensors that are equal to the source's.
        rows: of the table.
    """

    side: str
    recipes: dict[str, Recipe] = field(default_factory=dict)
    kept: set[str] = field(default_factory=set)
    rows: list[Row] = field(default_factory=list)

    def copy(self, name: str) -> None:
        """Take a tensor unchanged."""
        self.recipes[name] = lambda state: state[name]
        self.kept.add(name)

    def note(self, name: str, kinds: Sequence[str], before: Sequence[int], after: Sequence[int]) -> None:
        """Add a row of the table."""
        what = ", ".join(dict.fromkeys(kind for kind in kinds if kind != "kept")) or "kept"
        shapes = _by(before) if tuple(before) == tuple(after) else f"{_by(before)} -> {_by(after)}"
        self.rows.append(Row(f"{self.side}.{name}", what, shapes))

    def layer(
        self,
        name: str,
        source: Weighted,
        target: Weighted,
        out: Sequence[Space],
        into: Sequence[Space],
        sizes: tuple[Sequence[int], Sequence[int]] | None = None,
    ) -> None:
        """Map a convolution or a dense layer.

        Args:
            name: of both.
            source: the source's layer.
            target: the target's layer.
            out: the spaces that it writes: one, or feature maps and positions, whose product the rows are.
            into: the spaces that it reads, likewise.
            sizes: of these spaces, in the source and in the target, where a side has two.

        Raises:
            UserError: if the layer cannot be mapped so.
        """
        spaces = [*out, *into]
        same = all(space is SAME for space in spaces)
        old, new = source.weight.shape, target.weight.shape
        if old[2:] != new[2:]:
            raise UserError(
                f"{name} has kernels of {_by(old[2:])}, and kernels of {_by(new[2:])} are requested: all convolutions"
                " would have to be retrained; allowed: the same kernel_size"
            )
        if _parts(source) != _parts(target):
            raise UserError(f"{name} has a norm in one network only, and would have to be retrained; allowed: the same")
        if not same and source.spectral is not None:
            raise UserError(
                f"{name} is divided by its largest singular value (spectral_norm), which another shape changes: all"
                " layers would have to be retrained; allowed: the same layers, or other depths"
            )
        ratio = source.scale / target.scale
        if same and ratio == 1 and _shapes(source) == _shapes(target):
            for part in source.state_dict():
                self.copy(f"{name}.{part}")
            self.note(name, ["kept"], old, new)
            return
        if isinstance(source, ScaledConv) and source.norm is not None:
            self._norm(name, source.norm, out[0])
            # The norm takes the size of its input away, so that copies of a row are equal to it.
            out = [replace(space, out=None if space.out is None else space.out.sign()) for space in out]
        before, after = sizes or (old[:2], new[:2])
        view = _View(len(out), (*before, *old[2:]), (*after, *new[2:]), out, into, source.scale)
        noise = self._noise(f"{name}.weight", target, view)

        def weight(state: State) -> Tensor:
            mapped = view.mapped(state[f"{name}.weight"]).double() * ratio
            mapped = mapped.reshape(new)
            return (mapped if noise is None else mapped + noise).to(target.weight.dtype)

        self.recipes[f"{name}.weight"] = weight
        if (own := getattr(target, "bias", None)) is not None:
            size = len(own)
            self.recipes[f"{name}.bias"] = lambda state: view.bias(
                state[f"{name}.weight"], state[f"{name}.bias"], size
            ).to(target.weight.dtype)
        if source.spectral is not None and target.spectral is not None:
            self.copy(f"{name}.spectral.direction")
        self.note(name, [space.kind for space in spaces] if not same else ["mapped"], old, new)

    def _noise(self, name: str, target: Weighted, view: _View) -> Tensor | None:
        """Weights that read nothing of the source's values but differ between copies; None without copies."""
        free = [space.free for space in view.into]
        if all(matrix is None for matrix in free):
            return None
        std = STRENGTH * (1.0 if target.scale != 1.0 else sqrt(2 / target.weight[0].numel()))
        random = torch.Generator().manual_seed(zlib.crc32(f"{self.side}.{name}".encode()))
        noise = torch.randn(view.after, generator=random, dtype=torch.float64) * std
        return along(noise, [*[None] * view.written, *free]).reshape(target.weight.shape)

    def _norm(self, name: str, source: Norm, out: Space) -> None:
        """A norm's weights, which are as small as copies are to be, and its averages."""
        if source.kind == "layer" and out is not SAME:
            raise UserError(
                f"{name} is normalised over all feature maps (norm layer), which more of them change; allowed: the same"
                " fmap_base and fmap_max"
            )
        for part in source.state_dict():
            matrix = out.out if out.out is None or part in ("weight", "bias") else out.out.sign()

            def recipe(state: State, part: str = part, matrix: Tensor | None = matrix) -> Tensor:
                value = state[f"{name}.norm.{part}"]
                return along(value, [matrix]).to(value.dtype)

            self.recipes[f"{name}.norm.{part}"] = recipe


@dataclass(frozen=True)
class _View:
    """A weight with an axis for each space.

    Args:
        written: how many of the axes are written; the others are read.
        before: the source's sizes, then the kernel's.
        after: the target's.
        out: the spaces that are written.
        into: the spaces that are read.
        scale: of the source's weights.
    """

    written: int
    before: tuple[int, ...]
    after: tuple[int, ...]
    out: Sequence[Space]
    into: Sequence[Space]
    scale: float

    def mapped(self, weight: Tensor) -> Tensor:
        """The source's weight in the target's sizes."""
        matrices = [*(space.out for space in self.out), *(space.into for space in self.into)]
        return along(weight.reshape(self.before), matrices)

    def bias(self, weight: Tensor, bias: Tensor, size: int) -> Tensor:
        """The bias as rows are mapped, with what inputs were that are no more, and with the written space's offset.

        Args:
            weight: the source's.
            bias: the source's: one a row, or one a feature map for all positions.
            size: of the target's bias, of either kind.
        """
        rows = self.before[: self.written]
        found = bias.double()
        found = found.reshape(rows) if found.numel() == prod(rows) else found[:, None].expand(rows)
        held = self.into[0].held
        if held is not None:
            kernel = weight.double().reshape(*rows, len(held), -1).sum(-1)
            found = found + self.scale * (kernel @ held)
        found = along(found, [space.out for space in self.out])
        offset = self.out[0].offset
        found = found if offset is None else found + offset
        return found.reshape(size) if found.numel() == size else found.reshape(size, -1).mean(1)


def _shapes(layer: nn.Module) -> dict[str, torch.Size]:
    return {name: value.shape for name, value in layer.state_dict().items()}


def _parts(layer: nn.Module) -> set[str]:
    """Whether it has a norm, a spectral norm."""
    return {name.rpartition(".")[0] for name in _shapes(layer)}


def _by(shape: Sequence[int]) -> str:
    return "x".join(map(str, shape))
