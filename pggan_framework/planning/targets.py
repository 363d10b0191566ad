"""The configuration of a run that grows a model to a target rate, size, number of channels or width; pure functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil, log, log2
from typing import Any

import numpy as np

from pggan_framework.audio.base import Codec
from pggan_framework.audio.mel import mel_centres
from pggan_framework.data.datasets.wave import codec_for
from pggan_framework.errors import UserError, nearest
from pggan_framework.schedules.growth import Growth

SOUND = ("rate", "seconds", "bins", "frames", "hop", "n_fft", "mode")
IMAGES = ("size",)
BOTH = ("labels", "channels", "width")


@dataclass(frozen=True)
class Facts:
    """The properties of a model to start from.

    Args:
        config: resolved configuration of the model.
        growth: shapes of its images at all depths.
        codec: codec of its sounds; None for images.
        progress: depth that it was trained to; see `DepthManager.trained_depth`.
        checkpoint: checkpoint file of the model.
    """

    config: Mapping[str, Any]
    growth: Growth
    codec: Codec | None
    progress: float
    checkpoint: str

    @property
    def dataset(self) -> dict[str, Any]:
        """Return the parameters of the model's dataset."""
        return dict(self.config.get(self.config["dataset_class"], {}))


def grown(source: Facts, to: Mapping[str, Any]) -> dict[str, Any]:
    """Return the configuration of the model with the targets applied.

    Args:
        source: model to start from.
        to: targets such as ``rate`` and ``size``, or flags such as ``Generator.fmap_max``.

    Raises:
        UserError: if a target does not exist for these data, or its value is invalid.
    """
    name = str(source.config["dataset_class"])
    flags = {key: value for key, value in to.items() if "." in key}
    short = {key: value for key, value in to.items() if "." not in key}
    allowed = (*(IMAGES if source.codec is None else SOUND), *BOTH)
    for key in short:
        if key not in allowed:
            raise UserError(
                f"--to {key} is given{nearest(key, allowed)}; allowed for {name}: {', '.join(allowed)}, or a flag such"
                " as Generator.fmap_max"
            )
    config = {**source.config, "resume_network": source.checkpoint}
    if "Generator" in config:  # how labels enter the network depends on the labels of both models
        config["Generator"] = {name: value for name, value in config["Generator"].items() if name != "plain_labels"}
    data = source.dataset
    growth = source.growth
    if source.codec is not None and set(short) & set(SOUND):
        sizes, growth = _sound(source, source.codec, short, data)
        data |= sizes
    elif "size" in short:
        size = short["size"] if isinstance(short["size"], list) else [short["size"]] * 2
        growth = Growth.of((growth.channels, *size), growth.seed)
        data |= {"size": short["size"], "seed_shape": list(growth.seed)}
        if data.get("resize") == "none":
            data["resize"] = "crop"
    if "labels" in short:
        data["labels"] = _listed(short["labels"])
    if "channels" in short:
        data |= _channels(name, str(short["channels"]))
    config[name] = data
    if "width" in short:
        _widen(config, short["width"])
    for key, value in flags.items():
        owner, _, parameter = key.partition(".")
        config[owner] = {**config.get(owner, {}), parameter: value}
    if config.get("progressive_growing", True):
        config["DepthManager"] = _schedule(
            config.get("DepthManager", {}), min(source.progress, growth.max_depth), growth
        )
    config["Trainer"] = {**config.get("Trainer", {}), "resume_nimg": 0}
    return config


def _sound(
    source: Facts, old: Codec, short: Mapping[str, Any], data: Mapping[str, Any]
) -> tuple[dict[str, Any], Growth]:
    """Return the dataset's sizes, and the growth whose seed block preserves the positions of frequencies and times."""
    own = old.parameters
    if "n_fft" not in own:
        raise UserError(f"the codec {old.name} has no frequencies to keep; allowed: abslog, mellog, if, ifmel, complex")
    mode = str(short.get("mode", old.name))
    mel = mode in ("mellog", "ifmel")
    rate = int(short.get("rate", old.sample_rate))
    ratio = rate / old.sample_rate
    hop = int(short.get("hop", round(own["hop_length"] * ratio)))
    window = max(1 << round(log2(own["n_fft"] * ratio)), 1 << ceil(log2(2 * hop)) if mel else 0)
    n_fft = int(short.get("n_fft", window))
    if "bins" in short and not mel:
        n_fft = 2 * int(short["bins"])
    margin = int(own.get("margin", 0))
    columns = own["hop_length"] / old.sample_rate / (hop / rate)
    frames = int(short.get("frames", round(own["frames"] * columns)))
    grid = [1 << sum(axis) for axis in zip(*source.growth.doubles, strict=True)] or [1, 1]
    if "seconds" in short:
        wanted = float(short["seconds"]) * rate / hop + 2 * margin
        frames = max(round(wanted / grid[1]), 1) * grid[1]
    bins = n_fft // 2
    if mel:
        # Keep the number of bands per mel, so that each band keeps its frequency.
        length = _mels(rate) / _mels(old.sample_rate)
        bins = int(short.get("bins", max(round((old.shape[1] + 1) * length / grid[0]), 1) * grid[0]))
    new = codec_for(mode, rate, n_fft, hop, frames, margin, bins if mel else None, old.channels)
    heights = (_mels(rate), _mels(old.sample_rate)) if mel else (rate, old.sample_rate)
    times = [codec.time_range()[1] - codec.time_range()[0] for codec in (new, old)]
    seed = (
        _cells(new.shape[1], source.growth.seed[0] * heights[0] / heights[1]),
        _cells(new.shape[2], source.growth.seed[1] * times[0] / times[1]),
    )
    growth = Growth.of(new.shape, seed)
    sizes: dict[str, Any] = {"n_fft": n_fft, "hop_length": hop, "frames": frames, "seed_shape": list(seed)}
    sizes |= {"frequency": rate, "img_mode": mode, "bins": bins if mel else None, "margin": margin}
    return sizes, growth


def _mels(rate: int) -> float:
    """Return the length of the band up to half the sample rate on the mel scale, in an arbitrary unit."""
    hz = np.asarray(mel_centres(16000, 4000))
    return float(np.interp(rate / 2, hz, np.arange(len(hz)))) if rate <= 16000 else len(hz) * _above(rate)


def _above(rate: int) -> float:
    """Return the logarithmic part of the mel scale (Slaney) above 8 kHz, relative to 8 kHz."""
    return (15 + 27 * log(rate / 2000) / log(6.4)) / (15 + 27 * log(8) / log(6.4))


def _cells(size: int, wanted: float) -> int:
    """Return the side of the seed block closest to `wanted` from which doubling reaches `size`."""
    sides = [size >> halvings for halvings in range(size.bit_length()) if size % (1 << halvings) == 0]
    return min(sides, key=lambda side: abs(log(side / wanted)))


def _listed(value: Any) -> list[str] | None:
    if value is None or value == "none":
        return None
    return [str(name) for name in value] if isinstance(value, Sequence) and not isinstance(value, str) else [str(value)]


def _channels(dataset: str, value: str) -> dict[str, Any]:
    """Return the flags for grey or colour images, or for mono or stereo sounds."""
    known = {
        "SoundImageDataset": {"mono": {"channels": "mix"}, "stereo": {"channels": "both"}},
        "DefaultImageFolderDataset": {
            "grey": {"imread_mode": "L"},
            "colour": {"imread_mode": "RGB"},
            "opacity": {"imread_mode": "RGBA"},
        },
    }
    allowed = known.get(dataset, {})
    if value not in allowed:
        raise UserError(f"--to channels={value} is given; allowed for {dataset}: {', '.join(allowed) or 'none'}")
    return allowed[value]


def _widen(config: dict[str, Any], factor: Any) -> None:
    """Multiply the feature maps of both networks."""
    if isinstance(factor, bool) or not isinstance(factor, int | float) or factor < 1:
        raise UserError(f"--to width={factor} is given; allowed: a factor of 1 and up, such as width=2")
    for side in ("generator", "discriminator"):
        own = dict(config.get(config[side], {}))
        for name in ("fmap_base", "fmap_max"):
            if name not in own:
                raise UserError(f"--to width={factor}: {config[side]} has no {name}; set its own parameters instead")
            own[name] = round(own[name] * factor)
        config[config[side]] = own


def _schedule(stored: Mapping[str, Any], progress: float, growth: Growth) -> dict[str, Any]:
    """Return DepthManager's parameters for the existing depths; the schedule starts where the model stopped."""
    found = {
        name: {depth: item for depth, item in value.items() if int(depth) <= growth.max_depth}
        if isinstance(value, Mapping)
        else value
        for name, value in stored.items()
    }
    return {**found, "trained_depth": min(progress, float(growth.max_depth))}
