"""The package's own networks, layer by layer, with the input and output space of each."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import torch
from torch import nn

from pggan_framework.errors import UserError
from pggan_framework.labels.attributes import LabelSpace
from pggan_framework.models.growing.labels import input_space, label_space
from pggan_framework.models.growing.layers import Transfer
from pggan_framework.models.growing.spaces import SAME, Space, diagonal, with_one_more
from pggan_framework.models.growing.widths import widened
from pggan_framework.networks.autoencoder import AutoencoderDiscriminator
from pggan_framework.networks.base import GrowingNetwork
from pggan_framework.networks.blocks import GeneratorBlock, Head, SeedBlock
from pggan_framework.networks.layers import ScaledConv
from pggan_framework.networks.pggan import Discriminator, Generator
from pggan_framework.networks.projection import ProjectionDiscriminator
from pggan_framework.networks.statistics import SCALES, RowStatistics


@dataclass(frozen=True)
class Between:
    """The relations between source and target that both networks share.

    Args:
        image: mapping of the channels of an image.
        seed: mapping of the positions in the seed block.
        rows: mapping of the rows of an image at full size.
        finer: number of columns at full size per column of the source, for the same duration.
    """

    image: Space = SAME
    seed: Space = SAME
    rows: Space = SAME
    finer: float = 1.0


def transfer(side: str, source: GrowingNetwork, target: GrowingNetwork, between: Between) -> Transfer:
    """Return the recipes that compute the tensors of the target from the tensors of the source.

    Args:
        side: G or D.
        source: trained network.
        target: new network.
        between: mappings at both ends.

    Raises:
        UserError: if no mapping exists.
    """
    made = Transfer(side)
    bodies = Discriminator, ProjectionDiscriminator
    if type(source) is Generator and type(target) is Generator:
        _generator(made, "", source, target, between)
    elif type(source) in bodies and type(target) in bodies:
        assert isinstance(source, Discriminator) and isinstance(target, Discriminator)
        _discriminator(made, source, target, between)
    elif type(source) is AutoencoderDiscriminator and type(target) is AutoencoderDiscriminator:
        _discriminator(made, source, target, between)
        _rest(made, source, target, ("code",))
        _generator(made, "decoder.", source.decoder, target.decoder, between)
    elif type(source) is not type(target):
        raise UserError(
            f"a {type(source).__name__} cannot become a {type(target).__name__}: all layers would have to be retrained;"
            f" allowed: {type(source).__name__}, or train without resume_network"
        )
    else:
        _by_name(made, source, target)
    old, new = _layers(source), _layers(target)
    # Optional layers (residual, excitation, decoders) have the same spaces as their blocks.
    noted = {row.layer.partition(".")[2] for row in made.rows}
    further = [name for name in new if name in old and name not in noted]
    _rest(made, source, target, (*further, *(f"{name}.norm" for name in further)))
    noted |= {*further}
    for network, names, what in ((target, set(new) - noted, "added"), (source, set(old) - set(new), "dropped")):
        for name in sorted(names):
            weight = next(iter(network.get_submodule(name).state_dict().values()))
            made.note(name, [what], weight.shape, weight.shape)
    return made


def _layers(network: nn.Module) -> list[str]:
    """Names of the layers with a weight; the norm of a layer is part of the layer."""
    names = dict.fromkeys(name.rpartition(".")[0] for name in network.state_dict())
    return [name for name in names if not name.endswith((".norm", ".spectral"))]


def _by_name(made: Transfer, source: nn.Module, target: nn.Module) -> None:
    """Map networks of other classes: layers of the same name must have the same shape; further layers are new."""
    old, new = source.state_dict(), target.state_dict()
    for name in new:
        if name in old and old[name].shape != new[name].shape:
            shapes = ["x".join(map(str, each[name].shape)) for each in (old, new)]
            raise UserError(
                f"{name} of {type(source).__name__} is {shapes[0]}, and {shapes[1]} is requested; there is no mapping"
                f" for {type(source).__name__}, so that this layer would have to be retrained; allowed: the same shapes"
            )
    layers = dict.fromkeys(name.rpartition(".")[0] for name in old if name in new)
    _rest(made, source, target, tuple(layers))


def _rest(made: Transfer, source: nn.Module, target: nn.Module, names: tuple[str, ...]) -> None:
    """Copy layers that must have the same shapes."""
    old, new = source.state_dict(), target.state_dict()
    for layer in names:
        tensors = [name for name in new if name.rpartition(".")[0] == layer and name in old]
        for name in tensors:
            if old[name].shape != new[name].shape:
                raise UserError(f"{name} would have to be retrained; allowed: the shape {tuple(old[name].shape)}")
            made.copy(name)
        if tensors:
            made.note(layer, ["kept"], old[tensors[0]].shape, new[tensors[0]].shape)


def _maps(network: Generator | Discriminator, depth: int) -> int:
    """The number of feature maps at a depth; -1 is the discriminator's dense layer."""
    if isinstance(network, Generator):
        return int(network.get_submodule(f"to_rgb.{depth}").state_dict()["weight"].shape[1])
    name = "blocks.0.dense" if depth < 0 else f"from_rgb.{depth}"
    return int(network.get_submodule(name).state_dict()["weight"].shape[0])


def _generator(made: Transfer, prefix: str, source: Generator, target: Generator, between: Between) -> None:
    if source.latent_size != target.latent_size:
        raise UserError(
            f"latents have {source.latent_size} numbers, and {target.latent_size} are requested: the meaning of latents"
            f" would have to be learned anew; allowed: latent_size {source.latent_size}"
        )
    old, new = source.blocks[0], target.blocks[0]
    assert isinstance(old, SeedBlock) and isinstance(new, SeedBlock)
    depths = range(min(source.max_depth, target.max_depth) + 1)
    maps = [widened(_maps(source, depth), _maps(target, depth), True) for depth in depths]
    spaces = source.label_space, target.label_space
    labels = label_space(*spaces)
    plain = plain_of(source), plain_of(target)
    both = source.normalize_latents and target.normalize_latents
    inputs = input_space(source.latent_size, labels, spaces, plain, both)
    sizes = [(block.shape[0], prod(block.shape[1:]), block.dense.weight.shape[1]) for block in (old, new)]
    made.layer(f"{prefix}blocks.0.dense", old.dense, new.dense, [maps[0], between.seed], [inputs], (sizes[0], sizes[1]))
    made.layer(f"{prefix}blocks.0.conv", old.conv, new.conv, [maps[0]], [maps[0]])
    for depth in depths:
        if depth > 0:
            before, after = source.blocks[depth], target.blocks[depth]
            assert isinstance(before, GeneratorBlock) and isinstance(after, GeneratorBlock)
            name = f"{prefix}blocks.{depth}"
            made.layer(f"{name}.first", before.first, after.first, [maps[depth]], [maps[depth - 1]])
            made.layer(f"{name}.second", before.second, after.second, [maps[depth]], [maps[depth]])
        images = _convs(source.to_rgb[depth], target.to_rgb[depth])
        made.layer(f"{prefix}to_rgb.{depth}", *images, [between.image], [maps[depth]])


def plain_of(generator: Generator) -> list[str]:
    """The names of the labels that a generator appends after the normalization."""
    space, counted = generator.label_space, generator.normalized
    if counted is None or not isinstance(space, LabelSpace):
        return []
    start, names = generator.latent_size, []
    for attribute in space.attributes:
        if counted[start] == 0:
            names.append(attribute.name)
        start += attribute.size
    return names


def _discriminator(made: Transfer, source: Discriminator, target: Discriminator, between: Between) -> None:
    depths = range(min(source.max_depth, target.max_depth) + 1)
    maps = {depth: widened(_maps(source, depth), _maps(target, depth), False) for depth in (-1, *depths)}
    old, new = source.blocks[0], target.blocks[0]
    assert isinstance(old, Head) and isinstance(new, Head)
    if (old.mbstd == "none") != (new.mbstd == "none"):
        raise UserError(
            f"mbstd is {old.mbstd}, and {new.mbstd} is requested: the last convolution would have to be retrained;"
            " allowed: the same"
        )
    seen = maps[0]
    if new.mbstd != "none":
        # The minibatch deviations are averaged over more feature maps.
        seen = with_one_more(maps[0], _maps(target, 0) / _maps(source, 0))
    made.layer("blocks.0.conv", old.conv, new.conv, [maps[0]], [seen])
    sizes = [
        (head.dense.weight.shape[0], head.conv.weight.shape[0], head.dense.weight.shape[1] // head.conv.weight.shape[0])
        for head in (old, new)
    ]
    made.layer("blocks.0.dense", old.dense, new.dense, [maps[-1]], [maps[0], between.seed], (sizes[0], sizes[1]))
    for depth in depths:
        images = _convs(source.from_rgb[depth], target.from_rgb[depth])
        made.layer(f"from_rgb.{depth}", *images, [maps[depth]], [between.image])
        if depth > 0:
            before, after = source.blocks[depth], target.blocks[depth]
            for part, written in (("first", depth), ("second", depth - 1)):
                pair = _convs(getattr(before, part), getattr(after, part))
                made.layer(f"blocks.{depth}.{part}", *pair, [maps[written]], [maps[depth]])
    if isinstance(source.rows, RowStatistics) and isinstance(target.rows, RowStatistics):
        _row_statistics(made, source.rows, target.rows, between, maps[-1])
    if hasattr(source, "score"):
        made.layer("score", source.score, target.score, [SAME], [maps[-1]])
    labels = label_space(source.label_space, target.label_space)
    if source.classify is not None and target.classify is not None:
        made.layer("classify", source.classify, target.classify, [labels], [maps[-1]])
    elif isinstance(source, ProjectionDiscriminator) and isinstance(target, ProjectionDiscriminator):
        made.layer("embed", source.embed, target.embed, [labels], [maps[-1]])


def _row_statistics(
    made: Transfer, source: RowStatistics, target: RowStatistics, between: Between, features: Space
) -> None:
    """Map the layers that read each row's mean, deviation and change; a level shift affects only the means."""
    image, held = between.image, between.image.held
    seen = image
    if image is not SAME:
        assert image.into is not None
        still = None if held is None else torch.cat([SCALES[0] * held, 0 * held, 0 * held])
        into = diagonal(image.into, image.into, image.into * between.finer)
        free = None if image.free is None else diagonal(image.free, image.free, image.free)
        seen = Space(into, into, "mapped", free, held=still)
    elif between.finer != 1:
        eye = torch.eye(source.first.weight.shape[1] // source.rows // 3, dtype=torch.float64)
        seen = Space(None, diagonal(eye, eye, eye * between.finer), "mapped")
    sizes = [
        (layer.first.weight.shape[0], layer.first.weight.shape[1] // layer.rows, layer.rows)
        for layer in (source, target)
    ]
    made.layer("rows.first", source.first, target.first, [SAME], [seen, between.rows], (sizes[0], sizes[1]))
    made.layer("rows.second", source.second, target.second, [features], [SAME])


def _convs(source: nn.Module, target: nn.Module) -> tuple[ScaledConv, ScaledConv]:
    assert isinstance(source, ScaledConv) and isinstance(target, ScaledConv)
    return source, target
