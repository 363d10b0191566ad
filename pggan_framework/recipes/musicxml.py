"""Read notes from MusicXML scores, packed (.mxl) or plain: pitch, onset, duration, and the score's tempo."""

from __future__ import annotations

import zipfile
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

from pggan_framework.data.sources.packed import read_member
from pggan_framework.errors import UserError
from pggan_framework.storage.zips import RAISED

SEMITONES = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
CONTAINER = "META-INF/container.xml"


class ScoreNote(NamedTuple):
    """A note.

    Args:
        onset: start of the note in quarters from the beginning of the piece.
        duration: duration in quarters.
        pitch: MIDI note number; 60 is middle C.
        part: the voice or instrument, counted from 0.
    """

    onset: Fraction
    duration: Fraction
    pitch: int
    part: int


class Score(NamedTuple):
    """The notes, tempo and key of a score.

    Args:
        notes: notes of all parts.
        tempo: quarters per minute, if the score specifies it.
        fifths: sharps of the key at the beginning, negative for flats.
    """

    notes: list[ScoreNote]
    tempo: float | None
    fifths: int


def read_score(path: Path) -> Score:
    """Read a score. Repeats are played once, grace notes are omitted, and tied notes are joined.

    Raises:
        UserError: if it cannot be read, or is not a part-wise score.
    """
    try:
        root = ElementTree.fromstring(_content(path))
        if root.tag != "score-partwise":
            raise ValueError(f"it is a {root.tag}; expected score-partwise")
        notes = [note for number, part in enumerate(root.iter("part")) for note in _part(part, number)]
        tempo = next((float(sound.get("tempo", "")) for sound in root.iter("sound") if sound.get("tempo")), None)
        fifths = int(root.findtext(".//key/fifths", "0"))
    except (*RAISED, ElementTree.ParseError) as error:
        raise UserError(f"cannot read the score {path}: {error}") from error
    return Score(notes, tempo if tempo and tempo > 0 else None, fifths)


def _content(path: Path) -> bytes:
    """The XML of a score, unpacked if it is compressed."""
    if not zipfile.is_zipfile(path):
        return path.read_bytes()
    with zipfile.ZipFile(path) as package:
        for entry in ElementTree.fromstring(read_member(package, CONTAINER)).iter():
            if name := entry.get("full-path"):  # the first one is the score
                return read_member(package, name)
    raise ValueError(f"its {CONTAINER} names no score")


def _part(part: ElementTree.Element, number: int) -> list[ScoreNote]:
    """The notes of a part, with ties joined."""
    notes: list[ScoreNote] = []
    tied: dict[int, int] = {}  # pitch -> index in `notes` of an open tie
    divisions, now, last = 1, Fraction(0), Fraction(0)
    for measure in part.iter("measure"):
        for entry in measure:
            divisions = int(entry.findtext("divisions") or divisions) if entry.tag == "attributes" else divisions
            length = Fraction(entry.findtext("duration") or 0) / divisions
            if entry.tag == "backup":
                now -= length
            elif entry.tag == "forward":
                now += length
            elif entry.tag == "note" and entry.find("grace") is None:
                onset = last if entry.find("chord") is not None else now
                last, now = onset, onset + length
                pitch = _pitch(entry)
                if pitch is None:
                    continue
                ties = {tie.get("type") for tie in entry.iter("tie")}
                before = tied.pop(pitch, None)
                # A tie may be left open by mistake; it cannot extend beyond the end of its note.
                if "stop" in ties and before is not None and sum(notes[before][:2]) == onset:
                    place = before
                    notes[place] = notes[place]._replace(duration=onset + length - notes[place].onset)
                else:
                    place = len(notes)
                    notes.append(ScoreNote(onset, length, pitch, number))
                if "start" in ties:
                    tied[pitch] = place
    return notes


def _pitch(note: ElementTree.Element) -> int | None:
    """Return the MIDI number of a note; None for a rest."""
    step, octave = note.findtext("pitch/step"), note.findtext("pitch/octave")
    if step is None or octave is None:
        return None
    pitch = 12 * (int(octave) + 1) + SEMITONES[step.strip()] + round(float(note.findtext("pitch/alter") or 0))
    return pitch if 0 <= pitch <= 127 else None
