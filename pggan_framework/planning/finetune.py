"""Adjust a plan for fine-tuning a model on new data with few files; pure functions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pggan_framework.errors import UserError, plural
from pggan_framework.planning.choose import MINUTES, Choice
from pggan_framework.planning.targets import Facts
from pggan_framework.registry import REGISTRY

RATES = ((100, 0.25), (500, 0.5))
"""Learning-rate factors by number of examples; below the number, the factor multiplies the model's rates."""
FREEZE_BELOW = 500
"""Number of examples below which the discriminator's blocks near the image are frozen (FreezeD, Mo et al. 2020)."""
SHORTEST, EXAMPLES_A_MINUTE = 3.0, 20
"""Default length: the minimum in minutes, and the examples per further minute; longer training copies few examples."""
ENCODING = ("frequency", "n_fft", "hop_length", "frames", "bins", "img_mode", "margin", "channels", "seed_shape")
SHAPE = "model_dataset_depth_offset", "size", "resize"
OPTIMIZATION = ("loss", "penalties", "generator", "discriminator")


def minutes_for(count: int) -> float:
    """Return the default minutes of fine-tuning on `count` examples, 3 to 10."""
    return min(max(count / EXAMPLES_A_MINUTE, SHORTEST), MINUTES)


def adjust(choice: Choice, source: Facts, count: int, given: Mapping[str, Any]) -> Choice:
    """Adjust the choice to the source's networks, codec and losses, and to the number of examples.

    Args:
        choice: choice for the new data alone.
        source: model to start from.
        count: number of recordings or images.
        given: flags that the user set, by dotted name; they stay unchanged.

    Raises:
        UserError: if the data are sounds and the model makes images, or vice versa.
    """
    config = dict(choice.config)
    name = str(config["dataset_class"])
    sound = name == "SoundImageDataset"
    if sound != (source.codec is not None):
        kinds = ("images", "recordings") if sound else ("sounds", "images")
        raise UserError(
            f"--from {source.checkpoint}: the model makes {kinds[0]}, and the folder holds {kinds[1]}: all layers would"
            f" have to be retrained; allowed: a model of {'sounds' if sound else 'images'}, or train without --from"
        )
    data = {key: value for key, value in config[name].items() if key not in (*ENCODING, *SHAPE)}
    data |= _encoding(source) if sound else _size(source)
    config[name] = data
    for key in OPTIMIZATION:
        config[key] = source.config[key]
    for key in (*(source.config[side] for side in ("generator", "discriminator")), source.config["loss"]):
        config[key] = {
            k: v for k, v in source.config.get(key, {}).items() if k not in ("plain_labels", "position_bias")
        }
    for key in source.config["penalties"]:
        config[key] = dict(source.config.get(key, {}))
    factor = next((factor for limit, factor in RATES if count < limit), 1.0)
    for key in ("G_lr_max", "D_lr_max"):
        config[key] = source.config[key] * factor
    depth = source.growth.max_depth
    frozen = depth if count < FREEZE_BELOW / 5 else depth // 2 if count < FREEZE_BELOW else 0
    # FreezeD knows the blocks of these networks only.
    if not (source.config.get("progressive_growing", True) and _has_blocks(source.config["discriminator"])):
        frozen = 0
    if frozen:
        config["plugins"] = [*config.get("plugins", []), "FreezeD"]
        config["FreezeD"] = {"blocks": frozen}
    config["resume_network"] = source.checkpoint
    manager = {**config.get("DepthManager", {}), "trained_depth": min(source.progress, depth)}
    config["DepthManager"] = manager
    config["minutes"] = given.get("minutes", minutes_for(count))
    lines = [line for line in choice.lines if not line.startswith(("size:", "longer clips", "larger images", "clips:"))]
    shape = "x".join(map(str, source.growth.shape))
    lines += [
        f"from: {source.checkpoint}, images of {shape}; its codec, networks and losses are reused, and {count} examples"
        f" get {plural(format(config['minutes'], 'g'), 'minute')} at {factor:g} of its learning rates",
        f"frozen: {frozen} of {depth} blocks of the discriminator, from the image on (FreezeD)"
        if frozen
        else "frozen: nothing; for fewer than 500 examples and a PGGAN discriminator, its blocks would be",
        "copies: 'pggan evaluate latest --neighbours 8' counts samples that are copies of the data; fewer --minutes"
        " reduce them",
    ]
    return replace(choice, config=config, lines=lines)


def _has_blocks(discriminator: str) -> bool:
    """True if FreezeD can freeze blocks of the registered discriminator."""
    from pggan_framework.networks import Discriminator

    return issubclass(REGISTRY.get(discriminator, "discriminator").cls, Discriminator)


def _encoding(source: Facts) -> dict[str, Any]:
    """Return the dataset flags that reproduce the encoding of the source's images."""
    codec, own = source.codec, source.dataset
    assert codec is not None
    sizes = codec.parameters
    found: dict[str, Any] = {
        "frequency": codec.sample_rate,
        "img_mode": codec.name,
        "seed_shape": list(source.growth.seed),
        "channels": own.get("channels", "both" if codec.channels == 2 else "mix"),
    }
    found |= {key: sizes[key] for key in ("n_fft", "hop_length", "frames") if key in sizes}
    if codec.name != "raw":
        found["margin"] = sizes.get("margin", 0)
    if "mels" in sizes:
        found["bins"] = sizes["mels"]
    return found


def _size(source: Facts) -> dict[str, Any]:
    channels, height, width = source.growth.shape
    modes = {1: "L", 3: "RGB", 4: "RGBA"}
    found: dict[str, Any] = {"size": [height, width], "resize": "crop", "seed_shape": list(source.growth.seed)}
    return found | ({"imread_mode": modes[channels]} if channels in modes else {})
