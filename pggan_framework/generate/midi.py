"""Read Standard MIDI Files as notes in seconds, with the volume, expression and sustain of their channels."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from pggan_framework.errors import UserError
from pggan_framework.generate.midi_events import Event, midi_events
from pggan_framework.generate.score import Note

DRUMS = 9
"""The drum channel of General MIDI, counted from 0; musicians call it channel 10."""
LONGEST = 3600.0
"""Maximum length in seconds; a piece is mixed in memory."""
NOTE_OFF, NOTE_ON, CONTROL, PROGRAM = 0x80, 0x90, 0xB0, 0xC0
VOLUME, EXPRESSION, SUSTAIN, SOUND_OFF, RESET, NOTES_OFF = 7, 11, 64, 120, 121, 123
DEFAULTS = {VOLUME: 100, EXPRESSION: 127}
"""Default controller values of a channel (General MIDI)."""
_OTHERS = {0xA0: "key pressure", 0xD0: "channel pressure", 0xE0: "pitch bend"}
_CONTROLLERS = {1: "modulation", 5: "portamento", 10: "pan", 65: "portamento", 66: "sostenuto", 67: "soft pedal"}
_CONTROLLERS |= {71: "resonance", 74: "brightness", 91: "reverb", 93: "chorus"}
_HANDLED = {VOLUME, EXPRESSION, SUSTAIN, 0, 32, 6, 38, 98, 99, 100, 101, 39, 43}
"""Supported controllers, and controllers without audible effect: banks, parameter numbers and values, fine volume."""


@dataclass(frozen=True)
class Score:
    """The contents of a MIDI file.

    Args:
        notes: sorted by onset, without drums.
        drums: number of skipped notes on the drum channel.
        ignored: number of unsupported messages that would change the sound, by name, the most frequent first.
    """

    notes: tuple[Note, ...]
    drums: int
    ignored: Mapping[str, int] = field(default_factory=dict)


def read_midi(path: Path) -> Score:
    """Read all notes of all tracks, with tempo changes, channel volume, expression and the sustain pedal.

    A note that is never released ends with the file. If a pitch is struck again while it sounds, the first release ends
    the first note. A damaged file is read as far as possible.

    Raises:
        UserError: if the file does not exist, is not a MIDI file, contains no notes except drums, or lasts longer than
        an hour.
    """
    if not path.is_file():
        raise UserError(f"there is no MIDI file {path}; allowed: scale, major or a .mid file")
    try:
        events = list(midi_events(path.read_bytes()))
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read as a MIDI file: {getattr(error, 'strerror', None) or error}") from error
    levels = _Levels(events)
    notes = []
    for note in _notes(events):
        if note.onset + note.duration > LONGEST:
            raise UserError(f"{path} lasts longer than {LONGEST / 60:g} minutes; cut it into parts")
        notes.append(levels.heard(note))
    played = sorted((note for note in notes if note.channel != DRUMS), key=lambda note: (note.onset, note.pitch))
    drums = len(notes) - len(played)
    if not played:
        raise UserError(f"{path} holds no notes{f' but {drums} of drums (channel 10)' if drums else ''}")
    return Score(tuple(played), drums, _ignored(events))


class _Levels:
    """Gain of each channel over time: squared volume times squared expression, 1 at their defaults."""

    def __init__(self, events: Iterable[Event]) -> None:
        self._times: dict[int, list[float]] = defaultdict(list)
        self._gains: dict[int, list[float]] = defaultdict(list)
        now: dict[int, dict[int, int]] = defaultdict(lambda: dict(DEFAULTS))
        for event in events:
            if event.kind != CONTROL or event.first not in (VOLUME, EXPRESSION, RESET):
                continue
            if event.first == RESET:
                now[event.channel][EXPRESSION] = DEFAULTS[EXPRESSION]
            else:
                now[event.channel][event.first] = event.second
            values = now[event.channel]
            gain = (values[VOLUME] / DEFAULTS[VOLUME]) ** 2 * (values[EXPRESSION] / DEFAULTS[EXPRESSION]) ** 2
            times, gains = self._times[event.channel], self._gains[event.channel]
            if times and times[-1] == event.seconds:
                gains[-1] = gain
            elif gain != (gains[-1] if gains else 1.0):
                times.append(event.seconds)
                gains.append(gain)

    def heard(self, note: Note) -> Note:
        """Return the note with its channel's gain at its onset and the later changes while it sounds."""
        times, gains = self._times[note.channel], self._gains[note.channel]
        first = bisect_right(times, note.onset)
        last = bisect_right(times, note.onset + note.duration)
        changes = [(time - note.onset, gain) for time, gain in zip(times[first:last], gains[first:last], strict=True)]
        return replace(note, gain=gains[first - 1] if first else 1.0, changes=tuple(changes))


def _ignored(events: Iterable[Event]) -> dict[str, int]:
    """Count the unsupported messages outside the drum channel that would change the sound."""
    counts: Counter[str] = Counter()
    for event in events:
        if event.channel == DRUMS:
            continue
        if event.kind in _OTHERS:
            counts[_OTHERS[event.kind]] += 1
        elif event.kind == CONTROL and event.first < SOUND_OFF and event.first not in _HANDLED:
            counts[_CONTROLLERS.get(event.first, f"controller {event.first}")] += 1
    return dict(counts.most_common())


def _notes(events: Iterable[Event]) -> Iterator[Note]:
    """Yield the notes, sorted by their ends."""
    programs: dict[int, int] = defaultdict(int)
    held: dict[tuple[int, int], deque[Note]] = defaultdict(deque)
    released: dict[int, list[Note]] = defaultdict(list)
    pedals: set[int] = set()
    seconds = 0.0
    for seconds, kind, channel, first, second in events:
        if kind == PROGRAM:
            programs[channel] = first
        elif kind == NOTE_ON and second > 0:
            held[channel, first].append(Note(seconds, 0.0, first, second, channel, programs[channel]))
        elif kind in (NOTE_ON, NOTE_OFF):
            waiting = held[channel, first]
            if waiting and channel in pedals:
                released[channel].append(waiting.popleft())
            elif waiting:
                yield _ended(waiting.popleft(), seconds)
        elif kind == CONTROL and first in (SUSTAIN, RESET):
            if first == SUSTAIN and second >= 64:
                pedals.add(channel)
            else:
                pedals.discard(channel)
                yield from (_ended(note, seconds) for note in released.pop(channel, []))
        elif kind == CONTROL and (first == SOUND_OFF or first >= NOTES_OFF):
            stopped = [note for key in list(held) if key[0] == channel for note in held.pop(key)]
            if channel in pedals and first != SOUND_OFF:
                released[channel] += stopped
            else:
                yield from (_ended(note, seconds) for note in [*stopped, *released.pop(channel, [])])
    for left in (*held.values(), *released.values()):
        yield from (_ended(note, seconds) for note in left)


def _ended(note: Note, seconds: float) -> Note:
    return replace(note, duration=seconds - note.onset)
