"""Pitch accuracy of labelled sounds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pggan_framework.errors import UserError, at_least, nearest
from pggan_framework.metrics.base import Clips, Features, Metric, as_array
from pggan_framework.metrics.trackers import TRACKERS
from pggan_framework.registry import register

if TYPE_CHECKING:
    from torch import Tensor

IN_TUNE = 50.0
"""Tolerance in cents, half a semitone; beyond it, another note is closer."""


def hertz(midi: ArrayLike) -> NDArray[np.float64]:
    """Convert MIDI numbers to Hz: 69 is 440 Hz, and 12 more is an octave higher."""
    frequencies: NDArray[np.float64] = 440 * 2 ** ((np.asarray(midi, dtype=np.float64) - 69) / 12)
    return frequencies


def pitch_errors(
    waves: NDArray[np.float32] | Tensor, sample_rate: int, midi: ArrayLike | Tensor, tracker: str = "pyin"
) -> NDArray[np.float64]:
    """Return the difference of each sound's pitch from its label in cents, [N]; nan if the tracker finds no pitch.

    The tracker searches from an octave below the lowest label to an octave above the highest.

    Args:
        waves: [N, T] or [N, channels, T].
        sample_rate: samples per second.
        midi: the intended pitch of each sound, MIDI numbers [N].
        tracker: ``pyin``, ``torchcrepe`` or ``autocorrelation``.

    Raises:
        UserError: if the tracker is unknown or not installed.
        ValueError: if waves and labels differ in number, or a label is not below half the sample rate.
    """
    return _errors(Clips(as_array(waves), sample_rate, midi=as_array(midi).astype(np.float64)), tracker)


def _errors(clips: Clips, tracker: str) -> NDArray[np.float64]:
    if tracker not in TRACKERS:
        raise UserError(
            f"unknown pitch tracker '{tracker}'{nearest(tracker, TRACKERS)}; allowed: {', '.join(TRACKERS)}"
        )
    assert clips.midi is not None
    wanted = hertz(clips.midi)
    if not np.all((wanted > 0) & (wanted < clips.sample_rate / 2)):
        raise ValueError(f"pitches of {wanted.min():.0f} to {wanted.max():.0f} Hz do not fit {clips.sample_rate} Hz")
    # If half an octave above the highest label exceeds Nyquist, search up to Nyquist.
    low, high = float(wanted.min()) / 2, min(2 * float(wanted.max()), 0.49 * clips.sample_rate)
    track = TRACKERS[tracker]
    found = [track(wave, clips.sample_rate, low, high) if np.any(wave) else np.nan for wave in clips.mono]
    errors: NDArray[np.float64] = 1200 * np.log2(np.array(found, dtype=np.float64) / wanted)
    return errors


@register("metric", "pitch")
class Pitch(Metric):
    """Pitch accuracy against the label ``pitch`` (MIDI numbers): median error in cents, and fractions of clips.

    ``pitch.cents`` is the median absolute error of the clips with a pitch, ``pitch.in_tune`` the fraction of all clips
    within 50 cents, ``pitch.voiced`` the fraction with a pitch.

    Args:
        tracker: ``pyin``, which takes tenths of a second per clip; ``torchcrepe``, a separate package; or
            ``autocorrelation``, the fastest.
        count: largest number of clips measured.

    Raises:
        UserError: if `count` is below 1.
    """

    name = "pitch"
    alone = True
    minimum = 1

    def __init__(self, tracker: Literal["pyin", "torchcrepe", "autocorrelation"] = "pyin", count: int = 100) -> None:
        at_least("pitch", 1, count=count)
        self.tracker, self.limit = tracker, count

    def lacks(self, clips: Clips) -> str:
        """Require labels."""
        return "sounds labelled with their pitch" if clips.midi is None else ""

    def features(self, clips: Clips) -> Features:
        """Return the error in cents, [N, 1]."""
        return _errors(clips, self.tracker)[:, None]

    def compare(self, reals: Features, others: Features) -> dict[str, float]:
        """Return ``pitch.cents``, ``pitch.in_tune`` and ``pitch.voiced``."""
        self.check_count(others)
        errors = np.abs(others[:, 0])
        heard = errors[np.isfinite(errors)]
        return {
            "pitch.cents": float(np.median(heard)) if len(heard) else float("nan"),
            "pitch.in_tune": float(np.sum(heard <= IN_TUNE) / len(errors)),
            "pitch.voiced": len(heard) / len(errors),
        }
