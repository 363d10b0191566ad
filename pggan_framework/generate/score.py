"""Scores: notes in time, scales, and the model pitch that plays each note."""

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
        onset: when the key goes down, seconds from the start.
        duration: how long it is held, seconds.
        pitch: MIDI number; 60 is middle C, 69 is 440 Hz.
        velocity: how hard the key is struck, 1 to 127.
        channel: MIDI channel, from 0.
        program: General MIDI instrument, from 0.
        gain: of its channel when the key goes down; linear.
        changes: later gains of the channel while it sounds, each with its time, seconds from the onset.
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
        pitch: the pitch it is requested, MIDI.
        semitones: by how much that is played faster (above 0) or slower, to be in tune.
        octaves: by how many octaves the note itself was moved.
    """

    pitch: int
    semitones: int = 0
    octaves: int = 0


def fit(pitch: int, pitches: Sequence[int]) -> Fit:
    """How a model of these `pitches` plays `pitch`.

    A note below or above its range is moved by octaves into it; one that falls between its pitches, or, where the range
    is smaller than an octave, next to it, is taken from the nearest pitch.
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
    """All of `pitches`, or those of them in C major, upwards, each held for `seconds`, one after another.

    Raises:
        UserError: if none is in C major.
    """
    steps = [pitch for pitch in sorted(pitches) if not major or pitch % 12 in WHITE_KEYS]
    if not steps:
        raise UserError(f"none of the model's pitches ({', '.join(map(str, pitches))}) is in C major; allowed: scale")
    return [Note(index * seconds, seconds, pitch) for index, pitch in enumerate(steps)]
