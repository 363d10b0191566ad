"""The section of a sound dataset's summary that describes its recordings."""

from __future__ import annotations

from collections import Counter

import numpy as np

from pggan_framework.data.recordings.clips import TARGET_DB
from pggan_framework.data.recordings.folder import Recordings
from pggan_framework.data.walk import named
from pggan_framework.errors import plural


def describe_recordings(recordings: Recordings, full_scale: float) -> dict[str, str]:
    """Summarize which files were found, resampled, cut, padded, trimmed, normalized and skipped.

    Args:
        recordings: recordings of a folder, all of which have been read.
        full_scale: fraction of the samples that are at full scale.
    """
    policy = recordings.policy
    used = [file.header for file in recordings.files if file.clips]
    seconds = [header.frames / header.sample_rate for header in used]
    rates = Counter(header.sample_rate for header in used)
    ways = Counter(header.channels for header in used)
    lines = {
        "files": f"{len(used)} in {recordings.directory}, {min(seconds):.3f} to {max(seconds):.3f} s,"
        f" {sum(seconds) / 60:.1f} min in all",
        "sample rates": "; ".join(
            f"{count} at {rate} Hz{'' if rate == policy.sample_rate else f', resampled to {policy.sample_rate} Hz'}"
            for rate, count in sorted(rates.items())
        ),
        "channels": "; ".join(
            f"{count} with {number}{_channels(number, policy.channels)}" for number, count in sorted(ways.items())
        ),
        "length": _length(recordings),
    }
    if policy.trim_db is not None:
        lines["trimmed"] = _trimmed(recordings)
    if policy.normalize != "none":
        gains = [file.survey.gain_db for file in recordings.files if file.clips and file.survey]
        lines["levels"] = (
            f"each file brought to a{'n rms' if policy.normalize == 'rms' else ' peak'} of"
            f" {TARGET_DB[policy.normalize]:g} dB of full scale by {min(gains):+.1f} to {max(gains):+.1f} dB, median"
            f" {np.median(gains):+.1f} dB; the networks learn no differences of level between files"
        )
    lines["full scale"] = f"{full_scale:.4%} of the samples"
    lines["skipped"] = named(recordings.skipped) if recordings.skipped else "none"
    if recordings.damaged:
        lines["damaged"] = named(recordings.damaged)
    if recordings.corrected:
        lines["wrong headers"] = f"{named(recordings.corrected)}; read up to where they really end"
    return {**lines, **recordings.tree.described(recordings.others, "recordings")}


def _channels(number: int, channels: str) -> str:
    """A description of how a file with `number` channels is converted."""
    if channels == "both":
        return {1: ", the same in both", 2: ""}.get(number, f", the first 2 of {number} used")
    if number == 1:
        return ""
    return ", mixed to 1" if channels == "mix" else f", the first of {number} used"


def _length(recordings: Recordings) -> str:
    policy = recordings.policy
    surveyed = [(file, file.survey.length) for file in recordings.files if file.survey]
    short = [file for file, length in surveyed if policy.is_short(length)]
    padded = sum(file.clips > 0 for file in short)
    left = sum(length - policy.used(file.clips, length) for file, length in surveyed if file.clips)
    used = {
        "first": "their beginning is",
        "random": f"one stretch of each, chosen by seed {policy.seed}, is",
        "slices": f"slices that share {policy.overlap:.0%} are" if policy.overlap else "slices side by side are",
    }[policy.too_long]
    return (
        f"{plural(padded, 'file')} padded with silence to {policy.samples / policy.sample_rate:.3f} s,"
        f" {len(short) - padded} rejected as too short,"
        f" {left / policy.sample_rate:.1f} s of longer files not used ({used} used)"
    )


def _trimmed(recordings: Recordings) -> str:
    policy = recordings.policy
    cut = [
        file.header.length_at(policy.sample_rate) - file.survey.length
        for file in recordings.files
        if file.clips and file.survey
    ]
    return (
        f"{sum(cut) / policy.sample_rate:.1f} s cut off the beginnings and ends of"
        f" {plural(sum(map(bool, cut)), 'file')}: what is more than {policy.trim_db:g} dB below the file's peak"
    )
