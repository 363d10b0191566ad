"""Choose a configuration, with reasons, from a survey, a measured speed and a budget. Pure functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any

import numpy as np

from pggan_framework.inspection.warnings import FEW as COPIED
from pggan_framework.inspection.warnings import DataFacts, data_warnings
from pggan_framework.planning.speed import FMAP_BASE, FMAP_MAX, LATENTS, Speed
from pggan_framework.planning.survey import ImageSurvey, SoundSurvey

SIDES = 16, 32, 64, 128, 256
"""Rows and columns at full size."""
LAST = 0.6
"""Fraction of the time spent at the last depth, WallClockSchedule's default."""
START_UP = 15.0
"""Seconds of a run outside training: imports, data, samples, the report."""
SOUND_RATE = 16000
"""Sample rate for wide-band recordings, Hz: higher rates need more frames than a short run can learn."""
NARROW_HZ = 3700.0
"""Recordings with less bandwidth lose nothing at 8 kHz."""
CLIP_SECONDS = 0.25, 1.0
"""Shortest and longest clip in seconds."""
MARGIN = 2
"""Columns at each end that decoding discards, with the artefacts of zero padding."""
FEW = 500
"""Clips or images below which the discriminator's inputs are augmented."""
CLIPS_WANTED = 1000
"""Target number of segments from long recordings."""
LABEL_FILES, LABEL_VALUES = 20, 20
"""Fewest files per folder, and most folders, for folders to become labels."""
MINUTES = 10.0
"""The budget if none is given."""


@dataclass(frozen=True)
class Choice:
    """A configuration, and its explanation.

    Args:
        config: nested plain values, as a config file has them.
        lines: what was found, what was chosen and why, what to expect, what to change.
        comments: for ``Owner.parameter`` or a general flag, why it has this value.
    """

    config: dict[str, Any]
    lines: Sequence[str]
    comments: Mapping[str, str]


def choose(
    data: str, found: SoundSurvey | ImageSurvey, speed: Speed, minutes: float, given: Mapping[str, Any]
) -> Choice:
    """Choose every setting that `given` does not fix.

    Args:
        data: the folder.
        found: its contents.
        speed: of this machine.
        minutes: the budget of the whole run.
        given: flags that the user set, ``SoundImageDataset.frequency`` and so on, as plain values.
    """
    if isinstance(found, SoundSurvey):
        return _sound(data, found, speed, minutes, given)
    return _images(data, found, speed, minutes, given)


def affordable_side(speed: Speed, minutes: float, largest: int = SIDES[-1]) -> int:
    """The largest side, up to `largest`, whose last depth sees enough images within the budget.

    Enough are 25 * side ** 1.5: 4,500 at 32 px, 13,000 at 64 px, 36,000 at 128 px. The smallest side is always allowed.

    Args:
        speed: of this machine.
        minutes: the budget of the whole run.
        largest: limit set by the data, pixels.
    """
    seconds = LAST * max(60 * minutes - START_UP, 1.0)
    possible = [side for side in SIDES if side <= largest and seconds / speed.at(side) >= 25 * side**1.5]
    return max(possible, default=SIDES[0])


def _sound(data: str, found: SoundSurvey, speed: Speed, minutes: float, given: Mapping[str, Any]) -> Choice:
    own = _own(given, "SoundImageDataset")
    side = affordable_side(speed, minutes, 128)
    narrow = found.bandwidth <= NARROW_HZ or found.rate <= 11025
    rate = int(own.get("frequency", 8000 if narrow else min(SOUND_RATE, found.rate)))
    mode = str(own.get("img_mode", "mellog"))
    dataset: dict[str, Any] = {"dir_path": data, "preload": True, "img_mode": mode, "frequency": rate}
    frames = int(own.get("frames", side))
    margin = int(own.get("margin", MARGIN))
    if mode == "mellog":
        n_fft = int(own.get("n_fft", 1 << round(np.log2(0.032 * rate))))
        seconds = float(np.clip(np.percentile(found.seconds, 90), *CLIP_SECONDS))
        # Even, since decoding centres a frame between two columns if windows overlap by about half.
        wanted = 2 * ceil(seconds * rate / max(frames - 2 * margin, 1) / 2)
        hop = int(own.get("hop_length", np.clip(wanted, n_fft // 8, n_fft // 2)))
        dataset |= {"n_fft": n_fft, "hop_length": hop, "frames": frames, "bins": int(own.get("bins", side))}
        dataset["margin"] = margin
    else:
        n_fft = int(own.get("n_fft", 2 * int(own.get("bins", side))))
        hop = int(own.get("hop_length", n_fft // 4))
        dataset |= {"n_fft": n_fft, "hop_length": hop, "frames": frames}
    bins = int(dataset.get("bins", n_fft // 2))
    clip = (frames - 2 * int(dataset.get("margin", 0))) * hop / rate
    policy, clips = _stretches(found.seconds, clip)
    dataset |= {"too_short": "pad", **policy}
    labels = _labels(found.folders, own)
    if labels:
        dataset["labels"] = labels
    few = clips < FEW
    config: dict[str, Any] = {
        "dataset_class": "SoundImageDataset",
        **_common(minutes, 0.003),
        "augmentations": ["SpectrogramAugment"] if few else [],
        "postprocessors": ["ImageSaver", "SoundSaver"],
        "SoundImageDataset": dataset,
        **_networks(bool(labels), min(frames, bins), own),
        **({"SpectrogramAugment": {"time_shift": 0.0}} if few else {}),
    }
    config["Discriminator"]["row_statistics"] = True
    total = sum(found.seconds)
    kinds = f" in {len(found.folders)} folders" if found.folders else ""
    lines = [
        f"found: {len(found.seconds)} recordings{kinds}, {_duration(total)} in all, {min(found.seconds):.2f} to"
        f" {max(found.seconds):.2f} s each, {found.rate} Hz{_channel_words(found.channels, own)}, energy up to"
        f" {found.bandwidth:.0f} Hz" + _ignored(found.unreadable, found.images, "images"),
        f"clips: {clips} of {clip:.2f} s at {rate} Hz ({_policy_words(policy)}; shorter recordings are padded)",
        _size_line(side, speed, minutes, f"spectrograms of {bins} bands x {frames} frames"),
        *_label_line(labels, found.folders, own),
        *_few_line(clips, "clips", "recordings"),
        *_padding_line(found.seconds, clip, frames),
        f"longer clips: --SoundImageDataset.frames {2 * frames}; a higher rate: --SoundImageDataset.frequency 22050;"
        " both need more --minutes",
    ]
    comments = {
        "SoundImageDataset.frequency": "Hz; 16 kHz keeps speech and most of music, 8 kHz where recordings are narrow",
        "SoundImageDataset.frames": f"columns; with hop_length they give clips of {clip:.2f} s",
        "SoundImageDataset.bins": "mel bands",
        "SoundImageDataset.margin": "columns of silence at each end that decoding discards",
    }
    return Choice(config, lines, comments | _COMMENTS)


def _images(data: str, found: ImageSurvey, speed: Speed, minutes: float, given: Mapping[str, Any]) -> Choice:
    own = _own(given, "DefaultImageFolderDataset")
    typical = int(np.percentile(found.sides, 25))
    largest = max((side for side in SIDES if side <= max(typical, SIDES[0])), default=SIDES[0])
    side = affordable_side(speed, minutes, largest)
    size = own.get("size", side)
    labels = _labels(found.folders, own)
    few = len(found.sides) < FEW
    dataset: dict[str, Any] = {"dir_path": data, "preload": True, "size": size, "resize": "crop"}
    if labels:
        dataset["labels"] = labels
    config = {
        "dataset_class": "DefaultImageFolderDataset",
        **_common(minutes, 0.006 if side <= 32 else 0.004),
        "augmentations": ["DiffAugment"] if few else [],
        "DefaultImageFolderDataset": dataset,
        **_networks(bool(labels), min(size) if isinstance(size, list | tuple) else int(size), own),
    }
    kinds = f" in {len(found.folders)} folders" if found.folders else ""
    lines = [
        f"found: {len(found.sides)} images{kinds}, shorter side {min(found.sides)} to {max(found.sides)} px"
        + _ignored(found.unreadable, found.sounds, "recordings"),
        _size_line(side, speed, minutes, f"images of {size} px"),
        *_label_line(labels, found.folders, own),
        *_few_line(len(found.sides), "images", "images"),
        "larger images: --DefaultImageFolderDataset.size 128 and more --minutes",
    ]
    comments = {"DefaultImageFolderDataset.resize": "scale the shorter side, cut the middle; or pad, stretch"}
    return Choice(config, lines, comments | _COMMENTS)


_COMMENTS = {
    "minutes": "wall-clock time of the whole run",
    "schedule": "depths are entered by the clock; the last one gets 60 % of the time",
    "lr_rampup_kimg": "a short run cannot spare a ramp-up",
    "Discriminator.row_statistics": "also feeds each band's mean, deviation and change over the clip to D",
    "R1.interval": "the penalty costs half an update; every eighth update is enough",
    "EMA.half_life_kimg": "upper limit; the half-life is 5 % of the images seen at a depth",
    "DepthManager.minibatch_overrides": "from 64x64 on: half the batch, twice the updates",
    "compile": "compiling takes longer than it saves in a short run",
}


def _common(minutes: float, rate: float) -> dict[str, Any]:
    return {
        "minutes": minutes,
        "schedule": "WallClockSchedule",
        "loss": "LogisticGAN",
        "penalties": ["R1"],
        "minibatch_size": 16,
        "lr_rampup_kimg": 0,
        "G_lr_max": rate,
        "D_lr_max": rate,
        "compile": "never" if minutes < 120 else "auto",
    }


def _networks(labelled: bool, side: int, own: Mapping[str, Any]) -> dict[str, Any]:
    """Networks, optimization and output; `side` is the shorter side at full size, `own` the dataset's given flags."""
    # Up to 32x32, a step of 16 images takes hardly longer than one of 8; at 64x64, depth 4, it takes twice as long.
    usual = not {"seed_shape", "model_dataset_depth_offset"} & set(own)
    halved = {4: 8} if side >= 64 and usual else {}
    networks: dict[str, Any] = {
        "Generator": {"fmap_base": FMAP_BASE, "fmap_max": FMAP_MAX, "latent_size": LATENTS},
        "Discriminator": {"fmap_base": FMAP_BASE, "fmap_max": FMAP_MAX},
        "R1": {"weight": 1.0, "interval": 8},
        "EMA": {"half_life_kimg": 3.0},
        "DepthManager": {"minibatch_overrides": halved, "tick_kimg_default": 1, "tick_kimg_overrides": {}},
        "OutputGenerator": {"samples_count": 24, "output_snapshot_ticks": 5},
        "SaverPlugin": {"network_snapshot_ticks": 1000},
    }
    return networks | ({"AuxiliaryClassifier": {"weight": 1.0}} if labelled else {})


def _own(given: Mapping[str, Any], owner: str) -> dict[str, Any]:
    """The parameters of one component that the user set."""
    return {name.partition(".")[2]: value for name, value in given.items() if name.startswith(f"{owner}.")}


def _labels(folders: Mapping[str, int], own: Mapping[str, Any]) -> list[str]:
    """Labels by folder if there are several with enough files, and the user has not set labels."""
    enough = 2 <= len(folders) <= LABEL_VALUES and min(folders.values()) >= LABEL_FILES
    return ["folder"] if enough and not any(name.startswith("labels") for name in own) else []


def _stretches(seconds: Sequence[float], clip: float) -> tuple[dict[str, Any], int]:
    """How recordings longer than a clip are used, and the approximate number of clips.

    Many files are assumed to be single events, and their beginnings are used. A few long ones are cut into segments,
    which overlap if there would be fewer than `CLIPS_WANTED`.
    """
    lengths = np.asarray(seconds)
    if len(lengths) >= 200 or float(np.median(lengths)) < 3 * clip:
        return {"too_long": "first"}, len(lengths)
    apart = float(np.sum(lengths // clip))
    overlap = 0.0 if apart >= CLIPS_WANTED else min(round(1 - max(apart, 1.0) / CLIPS_WANTED, 2), 0.75)
    count = int(np.sum(np.maximum((lengths - clip) // (clip * (1 - overlap)) + 1, 1)))
    return {"too_long": "slices", "overlap": overlap}, count


def _policy_words(policy: Mapping[str, Any]) -> str:
    if policy["too_long"] == "first":
        return "the beginning of each recording"
    return f"segments of each recording that overlap by {policy['overlap']:.0%}" if policy["overlap"] else "segments"


def _size_line(side: int, speed: Speed, minutes: float, what: str) -> str:
    shown = LAST * max(60 * minutes - START_UP, 1.0) / speed.at(side)
    return (
        f"size: {what}; this machine trains {1 / speed.at(side):.0f} per second, so {minutes:g} minutes show about"
        f" {shown / 1000:.0f} thousand at full size"
    )


def _label_line(labels: Sequence[str], folders: Mapping[str, int], own: Mapping[str, Any]) -> list[str]:
    if labels:
        return [f"labels: the {len(folders)} folders; generate one with --label folder={next(iter(folders))}"]
    if len(folders) > 1 and not any(name.startswith("labels") for name in own):
        return [
            f"labels: none; folders become labels where each of 2 to {LABEL_VALUES} has {LABEL_FILES} files or more"
        ]
    return []


def _few_line(count: int, what: str, files: str) -> list[str]:
    if count >= FEW:
        return []
    copies = f"; with fewer than {COPIED}, samples will be close to copies" if count < COPIED else ""
    return [f"few: {count} {what}, so they are augmented{copies}; more {files} help more than more time"]


def _padding_line(seconds: Sequence[float], clip: float, frames: int) -> list[str]:
    """A warning if most of an average clip would be padding."""
    padding = float(np.mean([max(1 - length / clip, 0.0) for length in seconds]))
    return [f"note: {line}" for line in data_warnings(DataFacts(COPIED, sound=True, padding=padding, frames=frames))]


def _channel_words(channels: int, own: Mapping[str, Any]) -> str:
    if channels == 1 or "channels" in own:
        return ""
    return f", {channels} channels (mixed to one; --SoundImageDataset.channels both keeps two)"


def _ignored(unreadable: int, others: int, what: str) -> str:
    parts = [f"{unreadable} unreadable"] if unreadable else []
    parts += [f"{others} {what} ignored"] if others else []
    return f" ({', '.join(parts)})" if parts else ""


def _duration(seconds: float) -> str:
    return (
        f"{seconds:.0f} s"
        if seconds < 120
        else f"{seconds / 60:.0f} min"
        if seconds < 7200
        else f"{seconds / 3600:.1f} h"
    )
