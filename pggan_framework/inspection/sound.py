"""The sound sections of a report: levels of the clips, and the codec's reconstruction error."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite

import numpy as np
from numpy.typing import NDArray

from pggan_framework.audio.base import Codec, Wave
from pggan_framework.data.datasets.wave import WaveDataset
from pggan_framework.errors import plural
from pggan_framework.inspection.decoding import (
    ALIKE,
    COMPARED,
    POOR,
    Decoding,
    RoundTrip,
    alternatives,
    quality,
    round_trip,
)
from pggan_framework.inspection.files import CLIPPED
from pggan_framework.inspection.levels import QUANTILES, SILENT_DB, Level, level_counts, measure, quantiles
from pggan_framework.inspection.report import Report, histogram
from pggan_framework.inspection.warnings import padding_and_silence

MOST = 20
"""Number of outliers measured in addition to the representative clips."""


def add_clips(
    report: Report, dataset: WaveDataset, measured: Sequence[int], count: int
) -> tuple[list[int], list[Wave]]:
    """Report the levels of the measured clips; choose `count` of them, from the quietest to the loudest.

    Returns:
        The indices of the chosen clips, and their waves.
    """
    levels: dict[int, Level] = {}
    clipped, contents = [], []
    for index in measured:
        wave = dataset.wave(index)
        contents.append(padding_and_silence(wave, dataset.codec.sample_rate))
        levels[index] = measure(wave)
        clipped.append(dataset.codec.clipped_share(wave))
    _add_levels(report, levels, len(dataset))
    # Count all outliers known to exceed the range, whether measured or not.
    beyond = dataset.beyond_range
    shares = dict(zip(measured, clipped, strict=True))
    shares |= {
        index: dataset.codec.clipped_share(dataset.wave(index)) for index in list(beyond)[:MOST] if index not in shares
    }
    _add_clipped(report, float(np.mean(list(shares.values()))), beyond)
    padding, silence = (float(np.mean(fractions)) for fractions in zip(*contents, strict=True))
    report.figures["contents"] = {"padding": padding, "silence": silence}
    shown = by_level(levels, count)
    report.add(
        "clips to look at and listen to",
        {
            f"clip_{number:02d}": f"clip {index + 1} of {len(dataset)}, RMS {levels[index].rms_db:.1f} dB"
            for number, index in enumerate(shown)
        },
    )
    return shown, [dataset.wave(index) for index in shown]


def by_level(levels: dict[int, Level], count: int) -> list[int]:
    """Choose `count` representative clips: the median clips of `count` groups, from quiet to loud.

    Silent clips are chosen only if there are no others.
    """
    audible = [index for index, level in levels.items() if not level.silent]
    ordered = sorted(audible or levels, key=lambda index: levels[index].rms_db)
    count = min(count, len(ordered))
    return [ordered[(2 * number + 1) * len(ordered) // (2 * count)] for number in range(count)]


def add_round_trip(
    report: Report, codec: Codec, originals: Sequence[Wave], pictures: NDArray[np.float32], decoding: Decoding
) -> NDArray[np.float32]:
    """Report the reconstruction error of sounds with SoundSaver's settings and with other settings.

    Args:
        report: report that gets a section.
        codec: codec of the sounds.
        originals: original sounds; empty if they are unknown.
        pictures: encoded sounds [N, C, bins, frames], as passed to the networks.
        decoding: settings of SoundSaver.

    Returns:
        The sounds decoded with SoundSaver's settings, [N, ...].
    """
    heading = "sound encoded and decoded again: spectral convergence in dB; lower is better"
    if not originals:
        report.add(heading, {"not measured": "a prepared file holds no originals; inspect the folder it was made from"})
        return decoding.decode(codec, pictures)
    usual = round_trip(codec, originals, pictures, decoding)
    worst = max(usual.decibels)
    rows = [
        ("SoundSaver", f"{_decibels(usual.mean)}, the worst clip {_decibels(worst)}, {usual.seconds:.2g} s per clip"),
        ("each clip", ", ".join(map(_decibels, usual.decibels))),
    ]
    figures = {"mean_db": usual.mean, "clips_db": usual.decibels, "seconds_a_clip": usual.seconds}
    compared = min(COMPARED, len(pictures))
    before = RoundTrip(usual.waves[:compared], usual.decibels[:compared], usual.seconds).mean
    others: dict[str, dict[str, float]] = {}
    for flags, other in alternatives(codec, pictures[0], decoding):
        found = round_trip(codec, originals[:compared], pictures[:compared], other)
        better = 0.0 if before == found.mean else before - found.mean
        change = "equal" if abs(better) < ALIKE else f"{abs(better):.1f} dB {'better' if better > 0 else 'worse'}"
        rows.append(("with " * (not others), f"{flags}: {change}, {found.seconds:.2g} s per clip"))
        others[flags] = {"better_db": better, "seconds_a_clip": found.seconds}
    rows.append(("reference", "-20 dB or lower is hardly distinguishable, -10 dB or higher is clearly audible"))
    report.add(heading, rows)
    report.figures["round_trip"] = figures | {"clips": len(originals), "others": others}
    report.verdict.append(
        f"a sound that is encoded and decoded again is {quality(usual.mean)} ({_decibels(usual.mean)}); generated"
        " sounds will not be better"
    )
    if usual.mean > POOR:
        report.warnings.append(
            f"the codec loses too much of these sounds ({usual.mean:.1f} dB): choose another img_mode, a larger n_fft"
            " or a smaller hop_length, or SoundSaver settings from the list above"
        )
    return usual.waves


def _add_levels(report: Report, levels: dict[int, Level], total: int) -> None:
    silent = [index for index, level in levels.items() if level.silent]
    audible = [level for level in levels.values() if not level.silent]
    rms, peak = [level.rms_db for level in audible], [level.peak_db for level in audible]
    share = float(np.mean([level.full_scale for level in levels.values()]))
    which = f"all {total} clips" if len(levels) == total else f"{len(levels)} of {total} clips, evenly spaced"
    rows = [("RMS", _spread(quantiles(rms))), ("peak", _spread(quantiles(peak)))] if audible else []
    rows += histogram(level_counts(rms))
    rows += [
        ("silent", f"{plural(len(silent), 'clip')} (peak below {SILENT_DB:g} dB)"),
        ("at full scale", f"{share:.4%} of the samples"),
    ]
    report.add(f"levels of {which}, dB of full scale", rows)
    report.figures["levels"] = {
        "measured": len(levels),
        "rms_db": quantiles(rms),
        "peak_db": quantiles(peak),
        "rms_histogram": level_counts(rms),
        "silent": len(silent),
        "full_scale_share": share,
    }
    if silent:
        first = ", ".join(str(index + 1) for index in silent[:5]) + " ..." * (len(silent) > 5)
        verb = "is" if len(silent) == 1 else "are"
        report.warnings.append(f"{len(silent)} of {len(levels)} clips {verb} silent: number {first}")
    if share > CLIPPED:
        report.warnings.append(
            f"{share:.2%} of the clips' samples are at full scale: the sound is clipped, which is audible as"
            " distortion, and generated sounds will have it too"
        )


def _add_clipped(report: Report, fraction: float, beyond: Mapping[int, float]) -> None:
    rows = {"clipped values": f"{fraction:.4%} are outside the fitted range"}
    if beyond:
        first, above = next(iter(beyond.items()))
        count = plural(len(beyond), "clip")
        rows["outliers"] = f"{count} far louder than all others, number {first + 1} by {above:.1f} dB"
        report.warnings.append(
            f"{count} so much louder than all others that the codec clips them (the loudest is number"
            f" {first + 1}, {above:.1f} dB above its range; the outliers are named above): remove them, or bring files"
            " to one level with --SoundImageDataset.normalize peak"
        )
    report.add("the codec", rows)
    report.figures["codec_clipped_share"] = fraction
    report.figures["outliers"] = len(beyond)
    if fraction > CLIPPED:
        report.warnings.append(f"the codec clips {fraction:.2%} of the values: they are outside the fitted range")


def _spread(found: dict[str, float]) -> str:
    return ", ".join(f"{found[str(share)]:.1f} ({share} %)" for share in QUANTILES)


def _decibels(value: float) -> str:
    return f"{value:.1f} dB" if isfinite(value) else "exact"
