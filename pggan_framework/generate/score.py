"""Scores: notes in time, scales, and the choice of a model's pitch for each note."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pggan_framework.errors import UserError

WHITE_KEYS = (0, 2, 4, 5, 7, 9, 11)
"""C major: semitones above C."""


@dataclass(frozen=True)
class Note:
    """One note.

    Args:
        onset: time of the key press in seconds from the start.
        duration: time until the key is released in seconds.
        pitch: MIDI number; 60 is middle C, 69 is 440 Hz.
        velocity: velocity of the key press, 1 to 127.
        channel: MIDI channel, from 0.
        program: General MIDI instrument, from 0.
        gain: linear gain of the note's channel at the onset.
        changes: later gains of the channel while the note sounds, each with its time in seconds from the onset.
    """

    onset: float
    duration: float
    pitch: int
    velocity: int = 100
    channel: int = 0
    program: int = 0
    gain: float = 1.0
    changes: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True)
class Fit:
    """How a model plays a pitch.

    Args:
        pitch: MIDI number of the generated pitch.
        semitones: pitch shift by resampling; above 0, the clip is played faster.
        octaves: octaves by which the note was transposed.
    """

    pitch: int
    semitones: int = 0
    octaves: int = 0


def fit(pitch: int, pitches: Sequence[int]) -> Fit:
    """Find how a model with these `pitches` plays `pitch`.

    A note outside the range is transposed by octaves into it. A note between two pitches, or outside a range smaller
    than an octave, uses the nearest pitch.
    """
    low, high = min(pitches), max(pitches)

    def cost(octaves: int) -> tuple[int, int]:
        moved = pitch + 12 * octaves
        return max(low - moved, moved - high, 0), abs(octaves)

    octaves = min(range(-11, 12), key=cost)
    wanted = pitch + 12 * octaves
    nearest = min(pitches, key=lambda candidate: (abs(candidate - wanted), candidate))
    return Fit(nearest, wanted - nearest, octaves)


def scale(pitches: Sequence[int], seconds: float, major: bool = False) -> list[Note]:
    """Return notes for all `pitches`, or for the pitches in C major, in ascending order, each `seconds` long.

    Raises:
        UserError: if no pitch is in C major.
    """
    steps = [pitch for pitch in sorted(pitches) if not major or pitch % 12 in WHITE_KEYS]
    if not steps:
        raise UserError(f"none of the model's pitches ({', '.join(map(str, pitches))}) is in C major; allowed: scale")
    return [Note(index * seconds, seconds, pitch) for index, pitch in enumerate(steps)]
