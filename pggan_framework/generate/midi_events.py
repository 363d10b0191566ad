"""Parse the events of a Standard MIDI File leniently, as players do: invalid parts are skipped, not rejected."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

_TEMPO = 500_000
"""Default microseconds per beat."""
_DATA_BYTES = {0x80: 2, 0x90: 2, 0xA0: 2, 0xB0: 2, 0xC0: 1, 0xD0: 1, 0xE0: 2}
_SYSTEM_BYTES = {0xF1: 1, 0xF2: 2, 0xF3: 1}
"""Numbers of data bytes of system messages that do not belong in files; other messages from 0xF4 to 0xFE have none."""


class Event(NamedTuple):
    """A channel message, or an event without a channel, such as the end of a track, which only has a time.

    Args:
        seconds: time from the beginning.
        kind: the upper half of the status byte: 0x80 note off, 0x90 note on, 0xB0 control change, 0xC0 program change
            ...; 0 for an event without a channel.
        channel: 0 to 15.
        first: first data byte.
        second: second data byte; 0 if there is none.
    """

    seconds: float
    kind: int
    channel: int = 0
    first: int = 0
    second: int = 0


class _Timed(NamedTuple):
    tick: int
    tempo: int | None
    event: Event


def midi_events(data: bytes) -> Iterator[Event]:
    """Yield all events of a file in order; tracks of format 2 are played in sequence, tracks of other formats together.

    A track that is cut short, chunks of unknown kind, meta events of wrong lengths and stray bytes are not errors.

    Raises:
        ValueError: if the file is not a MIDI file, with the reason.
    """
    start = data.find(b"MThd", 0, 64) if data[:4] == b"RIFF" else 0  # RMID: a MIDI file in a RIFF chunk
    if data[start : start + 4] != b"MThd" or start < 0:
        raise ValueError("it ends too early" if len(data) < 4 else "MThd not found")
    if len(data) < start + 14:
        raise ValueError("it ends too early")
    kind, division = (int.from_bytes(data[at : at + 2], "big") for at in (start + 8, start + 12))
    if not division & (0xFF if division & 0x8000 else 0x7FFF):
        raise ValueError("its header says that a beat has 0 ticks")
    tracks = []
    at = start + 8 + int.from_bytes(data[start + 4 : start + 8], "big")
    while at + 8 <= len(data):
        size = int.from_bytes(data[at + 4 : at + 8], "big")
        if data[at : at + 4] == b"MTrk":
            tracks.append(list(_track(data[at + 8 : at + 8 + size])))
        at += 8 + size
    # Upper byte negative: frames per second, with ticks per frame in the lower byte (SMF 1.0); otherwise ticks per
    # beat.
    frames = 256 - (division >> 8) if division & 0x8000 else 0
    a_tick = 1 / (frames * (division & 0xFF)) if frames else None
    seconds = 0.0
    for song in [[track] for track in tracks] if kind == 2 else [tracks]:
        tick, tempo = 0, _TEMPO
        for timed in sorted((each for track in song for each in track), key=lambda each: each.tick):
            seconds += (timed.tick - tick) * (a_tick or tempo / 1e6 / division)
            tick, tempo = timed.tick, timed.tempo or tempo
            yield timed.event._replace(seconds=seconds)


def _track(data: bytes) -> Iterator[_Timed]:
    at, tick, status = 0, 0, 0
    while at < len(data):
        delta, at = _number(data, at)
        tick += delta
        if at >= len(data):
            return
        if data[at] >= 0x80:
            found, at = data[at], at + 1
            if found == 0xFF:
                meta = data[at : at + 1]
                size, at = _number(data, at + 1)
                # A tempo event of another length, or with tempo 0, is invalid.
                tempo = int.from_bytes(data[at : at + 3], "big") if meta == b"\x51" and size == 3 else 0
                at += size
                yield _Timed(tick, tempo or None, Event(0, 0))
                if meta == b"\x2f":
                    return
                continue
            if found in (0xF0, 0xF7):
                size, at = _number(data, at)
                at += size
                continue
            if found > 0xF0:
                at += _SYSTEM_BYTES.get(found, 0)
                continue
            status = found
        elif not status:
            at += 1  # a data byte without a message
            continue
        count = _DATA_BYTES[status & 0xF0]
        values = [min(value, 127) for value in data[at : at + count]]
        if len(values) < count:
            return
        at += count
        yield _Timed(tick, None, Event(0, status & 0xF0, status & 0x0F, values[0], values[1] if count == 2 else 0))


def _number(data: bytes, at: int) -> tuple[int, int]:
    """Read a variable-length number of at most four bytes; return it and the position after it."""
    value = 0
    for _ in range(4):
        if at >= len(data):
            break
        byte, at = data[at], at + 1
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            break
    return value, at
