"""Standard MIDI Files as notes in seconds."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pggan_framework.errors import UserError
from pggan_framework.generate.score import Note

DRUMS = 9
"""The channel that General MIDI keeps for drums, counted from 0: musicians call it 10."""
LONGEST = 3600.0
"""Seconds; a piece is mixed in memory."""
_TEMPO = 500_000
"""Microseconds a beat, until the file says otherwise."""
_SUSTAIN = 64


@dataclass(frozen=True)
class Score:
    """What a file holds.

    Args:
        notes: by onset, without drums.
        drums: how many notes of the drum channel were left out.
    """

    notes: tuple[Note, ...]
    drums: int


def read_midi(path: Path) -> Score:
    """Read all notes of all tracks, with tempo changes and the sustain pedal.

    A note that is never released ends with the file; where a pitch is struck again while it sounds, the first release
    ends the first of them.

    Raises:
        UserError: if there is no such file, it is no MIDI file, it holds no notes but those of drums, or it lasts
            longer than an hour.
    """
    if not path.is_file():
        raise UserError(f"there is no MIDI file {path}; allowed: scale, major or a .mid file")
    notes = []
    for note in _notes(_load(path)):
        if note.onset + note.duration > LONGEST:
            raise UserError(f"{path} lasts longer than {LONGEST / 60:g} minutes; cut it into parts")
        notes.append(note)
    played = sorted((note for note in notes if note.channel != DRUMS), key=lambda note: (note.onset, note.pitch))
    drums = len(notes) - len(played)
    if not played:
        raise UserError(f"{path} holds no notes{f' but {drums} of drums (channel 10)' if drums else ''}")
    return Score(tuple(played), drums)


def _load(path: Path) -> Any:
    import mido
    from mido.midifiles.meta import KeySignatureError

    try:
        return mido.MidiFile(str(path), clip=True)
    # What mido raises depends on where the bytes stop making sense.
    except (OSError, EOFError, ValueError, LookupError, TypeError, KeySignatureError) as error:
        reason = str(error).strip().rstrip(".") or "it ends too early"
        raise UserError(f"{path} cannot be read as a MIDI file: {reason}") from error


def _events(midi: Any) -> Iterator[tuple[float, Any]]:
    """The messages of all tracks in order, with their times in seconds.

    Tracks of format 2 follow one another; those of the other formats run together.
    """
    import mido

    smpte = midi.ticks_per_beat < 0
    beats = max(midi.ticks_per_beat, 1)
    # Negative: frames a second in the upper byte, as a negative number, ticks a frame in the lower (SMF 1.0).
    fixed = 1 / (-(midi.ticks_per_beat >> 8) * max(midi.ticks_per_beat & 0xFF, 1)) if smpte else 0.0
    songs = [[track] for track in midi.tracks] if midi.type == 2 else [midi.tracks]
    seconds = 0.0
    for tracks in songs:
        tempo = _TEMPO
        for message in mido.merge_tracks(tracks):
            seconds += message.time * (fixed or tempo / 1e6 / beats)
            if message.type == "set_tempo":
                tempo = message.tempo
            yield seconds, message


def _notes(midi: Any) -> Iterator[Note]:
    """The notes, in the order in which they end."""
    programs: dict[int, int] = defaultdict(int)
    held: dict[tuple[int, int], deque[Note]] = defaultdict(deque)
    released: dict[int, list[Note]] = defaultdict(list)
    pedals: set[int] = set()
    seconds = 0.0
    for seconds, message in _events(midi):
        if message.type == "program_change":
            programs[message.channel] = message.program
        elif message.type == "note_on" and message.velocity > 0:
            note = Note(seconds, 0.0, message.note, message.velocity, message.channel, programs[message.channel])
            held[message.channel, message.note].append(note)
        elif message.type in ("note_on", "note_off"):
            waiting = held[message.channel, message.note]
            if waiting and message.channel in pedals:
                released[message.channel].append(waiting.popleft())
            elif waiting:
                yield _ended(waiting.popleft(), seconds)
        elif message.type == "control_change" and message.control == _SUSTAIN:
            if message.value >= 64:
                pedals.add(message.channel)
            else:
                pedals.discard(message.channel)
                yield from (_ended(note, seconds) for note in released.pop(message.channel, []))
    for left in (*held.values(), *released.values()):
        yield from (_ended(note, seconds) for note in left)


def _ended(note: Note, seconds: float) -> Note:
    return replace(note, duration=seconds - note.onset)
