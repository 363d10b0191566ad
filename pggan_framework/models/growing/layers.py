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
"""Computes a tensor of the target from the tensors of the source, for the raw and the EMA network."""
Weighted = ScaledConv | ScaledLinear | LabelEmbedding
"""Layers with a weight, a scale of the weight and, optionally, a spectral norm."""
STRENGTH = 0.3
"""Standard deviation of the weights that distinguish copies, relative to newly initialized weights."""


@dataclass(frozen=True)
class Row:
    """A row of the report: how a layer was initialized.

    Args:
        layer: name of the layer, such as ``G.blocks.2.first``.
        what: one or two of kept, mapped, widened, added and dropped.
        detail: shapes of the weight before and after.
    """

    layer: str
    what: str
    detail: str


@dataclass
class Transfer:
    """Recipes that compute the tensors of one network from the tensors of another.

    Args:
        side: G or D, for the table.
        recipes: recipe of each tensor, by its name in the target.
        kept: names of the tensors that are equal in source and target.
        rows: rows of the table.
    """

    side: str
    recipes: dict[str, Recipe] = field(default_factory=dict)
    kept: set[str] = field(default_factory=set)
    rows: list[Row] = field(default_factory=list)

    def copy(self, name: str) -> None:
        """Copy a tensor unchanged."""
        self.recipes[name] = lambda state: state[name]
        self.kept.add(name)

    def note(self, name: str, kinds: Sequence[str], before: Sequence[int], after: Sequence[int]) -> None:
        """Add a row to the table."""
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
            name: name of the layer in both networks.
            source: layer of the source.
            target: layer of the target.
            out: spaces that the layer writes: one space, or feature maps and positions, whose product gives the rows.
            into: spaces that the layer reads: one space, or feature maps and positions.
            sizes: sizes of these spaces in source and target, if the layer writes or reads two spaces.

        Raises:
            UserError: if the layer cannot be mapped in this way.
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
            # A norm removes the scale of its input, so copies of a row need no scaling.
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
        """Weights that differ between copies but have no effect on values of the source; None without copies."""
        free = [space.free for space in view.into]
        if all(matrix is None for matrix in free):
            return None
        std = STRENGTH * (1.0 if target.scale != 1.0 else sqrt(2 / target.weight[0].numel()))
        random = torch.Generator().manual_seed(zlib.crc32(f"{self.side}.{name}".encode()))
        noise = torch.randn(view.after, generator=random, dtype=torch.float64) * std
        return along(noise, [*[None] * view.written, *free]).reshape(target.weight.shape)

    def _norm(self, name: str, source: Norm, out: Space) -> None:
        """Map the weights of a norm, scaled as its copies require, and its running averages."""
        if source.kind == "layer" and out is not SAME:
            raise UserError(
                f"{name} is normalized over all feature maps (norm layer), which more of them change; allowed: the same"
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
    """A weight that is reshaped to have one axis for each space.

    Args:
        written: number of axes that the layer writes; it reads the others.
        before: sizes in the source, then the kernel sizes.
        after: sizes in the target, then the kernel sizes.
        out: spaces that the layer writes.
        into: spaces that the layer reads.
        scale: scale of the source's weights.
    """

    written: int
    before: tuple[int, ...]
    after: tuple[int, ...]
    out: Sequence[Space]
    into: Sequence[Space]
    scale: float

    def mapped(self, weight: Tensor) -> Tensor:
        """Map a weight of the source to the sizes of the target."""
        matrices = [*(space.out for space in self.out), *(space.into for space in self.into)]
        return along(weight.reshape(self.before), matrices)

    def bias(self, weight: Tensor, bias: Tensor, size: int) -> Tensor:
        """Map the bias like the rows, including the effect of dropped inputs and the offset of the written space.

        Args:
            weight: weight of the source.
            bias: bias of the source, with one value per row, or per feature map for all positions.
            size: size of the target's bias, of either kind.
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
    """The optional parts of a layer: a norm and a spectral norm."""
    return {name.rpartition(".")[0] for name in _shapes(layer)}


def _by(shape: Sequence[int]) -> str:
    return "x".join(map(str, shape))
