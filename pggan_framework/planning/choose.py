"""Choose a configuration, with explanations, from a survey, a measured speed and a budget; pure functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any

import numpy as np

from pggan_framework.errors import plural
from pggan_framework.inspection.warnings import FEW as COPIED
from pggan_framework.inspection.warnings import DataFacts, data_warnings
from pggan_framework.planning.speed import FMAP_BASE, FMAP_MAX, LATENTS, Speed
from pggan_framework.planning.survey import ImageSurvey, SoundSurvey

SIDES = 16, 32, 64, 128, 256
"""Allowed numbers of rows and columns at full size."""
LAST = 0.6
"""Fraction of the training time at the last depth, the default of WallClockSchedule."""
START_UP = 15.0
"""Seconds of a run that are not training: imports, data, samples, report."""
SOUND_RATE = 16000
"""Sample rate in Hz for wide-band recordings; a higher rate needs more frames than a short run can learn."""
NARROW_HZ = 3700.0
"""Bandwidth in Hz below which recordings lose nothing at a sample rate of 8 kHz."""
CLIP_SECONDS = 0.25, 1.0
"""Shortest and longest clip in seconds; with other `frames` than planned, the longest is longer or shorter."""
MARGIN = 2
"""Number of columns at each end that decoding discards, with the artifacts of zero padding."""
FEW = 500
"""Number of clips or images below which the discriminator's inputs are augmented."""
CLIPS_WANTED = 1000
"""Target number of segments from long recordings."""
LABEL_FILES, LABEL_VALUES = 20, 20
"""Smallest number of files per folder, and largest number of folders, with which folders become labels."""
MINUTES = 10.0
"""The budget if none is given."""


@dataclass(frozen=True)
class Choice:
    """A configuration, and its explanation.

    Args:
        config: configuration as nested plain values, as in a config file.
        lines: text about the data, the choices and their reasons, the expected result, and useful changes.
        comments: reason for the value of each ``Owner.parameter`` or general flag.
    """

    config: dict[str, Any]
    lines: Sequence[str]
    comments: Mapping[str, str]


def choose(
    data: str, found: SoundSurvey | ImageSurvey, speed: Speed, minutes: float, given: Mapping[str, Any]
) -> Choice:
    """Choose every setting that `given` does not fix.

    Args:
        data: path of the folder.
        found: survey of the folder's contents.
        speed: training speed of this machine.
        minutes: budget of the complete run in minutes.
        given: flags that the user set, such as ``SoundImageDataset.frequency``, as plain values.
    """
    if isinstance(found, SoundSurvey):
        return _sound(data, found, speed, minutes, given)
    return _images(data, found, speed, minutes, given)


def affordable_side(speed: Speed, minutes: float, largest: int = SIDES[-1]) -> int:
    """The largest side, up to `largest`, whose last depth is trained on enough images within the budget.

    25 * side ** 1.5 images are enough: 4,500 at 32 px, 13,000 at 64 px, 36,000 at 128 px. The smallest side is always
    allowed.

    Args:
        speed: training speed of this machine.
        minutes: budget of the complete run in minutes.
        largest: limit in pixels that the data set.
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
    usual = float(np.percentile(found.seconds, 90))
    if mode == "mellog":
        n_fft = int(own.get("n_fft", 1 << round(np.log2(0.032 * rate))))
        # More columns than planned allow longer clips; fewer columns require shorter ones.
        seconds = min(max(usual, CLIP_SECONDS[0]), CLIP_SECONDS[1] * frames / side)
        # The number is even, since decoding centres a frame between two columns if windows overlap by about half.
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
    overlap = float(policy.get("overlap", 0.0))
    distinct = round(clips * (1 - overlap))  # overlapping clips are no more data than clips side by side
    few = distinct < FEW
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
    higher = min(found.rate, 22050 if rate < 22050 else 44100)
    brighter = higher > rate and found.bandwidth > 0.45 * rate  # the recordings reach the Nyquist frequency
    kinds = f" in {plural(len(found.folders), 'folder')}" if found.folders else ""
    lines = [
        f"found: {plural(len(found.seconds), 'recording')}{kinds}, {_duration(total)} in all,"
        f" {min(found.seconds):.2f} to {max(found.seconds):.2f} s each, {found.rate} Hz"
        f"{_channel_words(found.channels, own)}, energy up to {found.bandwidth:.0f} Hz"
        f"{_ignored(found.unreadable, found.images, 'images')}",
        f"clips: {clips} of {clip:.2f} s at {rate} Hz ({_policy_words(policy)}; shorter recordings are padded)",
        _size_line(side, speed, minutes, f"spectrograms of {bins} bands x {frames} frames"),
        *_label_line(labels, found.folders, own),
        *_few_line(distinct, "clips without overlap" if overlap else "clips", "recordings"),
        *_padding_line(found.seconds, clip, frames),
        *_larger_line(
            {
                f"longer clips: --SoundImageDataset.frames {2 * frames}": usual > clip,
                f"a higher rate: --SoundImageDataset.frequency {higher}": brighter,
            }
        ),
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
    chosen = min(size) if isinstance(size, list | tuple) else int(size)
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
        **_networks(bool(labels), chosen, own),
    }
    kinds = f" in {plural(len(found.folders), 'folder')}" if found.folders else ""
    lines = [
        f"found: {plural(len(found.sides), 'image')}{kinds}, shorter side {min(found.sides)} to {max(found.sides)} px"
        + _ignored(found.unreadable, found.sounds, "recordings"),
        _size_line(side, speed, minutes, f"images of {size} px"),
        *_label_line(labels, found.folders, own),
        *_few_line(len(found.sides), "images", "images"),
        *_larger_line({f"larger images: --DefaultImageFolderDataset.size {2 * chosen}": 2 * chosen <= typical}),
    ]
    comments = {"DefaultImageFolderDataset.resize": "scale the shorter side, cut the middle; or pad, stretch"}
    return Choice(config, lines, comments | _COMMENTS)


def _larger_line(flags: Mapping[str, bool]) -> list[str]:
    """The flags for larger samples that the data allow."""
    allowed = [flag for flag, fits in flags.items() if fits]
    need = "both need" if len(allowed) == 2 else "needs"
    return [f"{'; '.join(allowed)}; {need} more --minutes"] if allowed else []


_COMMENTS = {
    "minutes": "wall-clock time of the whole run",
    "schedule": "depths are entered by the clock; the last one gets 60 % of the time",
    "WallClockSchedule.min_steps": "depths that would get fewer steps are not entered",
    "loss": "compares each fake with a real: samples vary more than with LogisticGAN",
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
        "loss": "RelativisticGAN",
        "penalties": ["R1"],
        "minibatch_size": 16,
        "lr_rampup_kimg": 0,
        "G_lr_max": rate,
        "D_lr_max": rate,
        "compile": "never" if minutes < 120 else "auto",
    }


def _networks(labelled: bool, side: int, own: Mapping[str, Any]) -> dict[str, Any]:
    """Configure networks, optimization and output; `side` is the shorter full side, `own` the dataset's set flags."""
    # Up to 32x32, a step of 16 images takes hardly longer than a step of 8; at 64x64 (depth 4), it takes twice as long.
    usual = not {"seed_shape", "model_dataset_depth_offset"} & set(own)
    halved = {4: 8} if side >= 64 and usual else {}
    networks: dict[str, Any] = {
        "Generator": {"fmap_base": FMAP_BASE, "fmap_max": FMAP_MAX, "latent_size": LATENTS},
        "Discriminator": {"fmap_base": FMAP_BASE, "fmap_max": FMAP_MAX},
        "R1": {"weight": 1.0, "interval": 8},
        "EMA": {"half_life_kimg": 3.0},
        "DepthManager": {"minibatch_overrides": halved, "tick_kimg_default": 1, "tick_kimg_overrides": {}},
        # Small images need fewer steps than the default, and a plan for them leaves few.
        "WallClockSchedule": {"min_steps": min(25 * side // 4, 400)},
        "OutputGenerator": {"samples_count": 24, "output_snapshot_ticks": 5},
        "SaverPlugin": {"network_snapshot_ticks": 1000},
    }
    return networks | ({"AuxiliaryClassifier": {"weight": 1.0}} if labelled else {})


def _own(given: Mapping[str, Any], owner: str) -> dict[str, Any]:
    """Return the parameters of one component that the user set."""
    return {name.partition(".")[2]: value for name, value in given.items() if name.startswith(f"{owner}.")}


def _labels(folders: Mapping[str, int], own: Mapping[str, Any]) -> list[str]:
    """Return labels by folder if there are several folders with enough files, and the user has not set labels."""
    enough = 2 <= len(folders) <= LABEL_VALUES and min(folders.values()) >= LABEL_FILES
    return ["folder"] if enough and not any(name.startswith("labels") for name in own) else []


def _stretches(seconds: Sequence[float], clip: float) -> tuple[dict[str, Any], int]:
    """Return the flags for recordings that are longer than a clip, and the approximate number of clips.

    If there are many files, each is assumed to be a single event, and its beginning is used. A few long files are cut
    into segments, which overlap if there would otherwise be fewer than `CLIPS_WANTED`.
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
        f"size: {what}; this machine trains {1 / speed.at(side):.0f} per second, about {shown / 1000:.0f} thousand"
        f" at full size in {plural(f'{minutes:g}', 'minute')}"
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
    """Return a warning if most of an average clip would be padding."""
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
