"""Scores written here, as music21's corpus has them."""

from __future__ import annotations

import zipfile
from fractions import Fraction
from pathlib import Path

import pytest

from pggan_framework import UserError
from pggan_framework.recipes.musicxml import ScoreNote, read_score

HEAD = '<?xml version="1.0" encoding="utf-8"?>\n<!DOCTYPE score-partwise PUBLIC "-//Recordare//DTD" "partwise.dtd">\n'


def note(step: str, octave: int, duration: int, inside: str = "", alter: int | None = None, chord: bool = False) -> str:
    altered = "" if alter is None else f"<alter>{alter}</alter>"
    pitch = f"<pitch><step>{step}</step>{altered}<octave>{octave}</octave></pitch>"
    return f"<note>{'<chord/>' if chord else ''}{pitch}<duration>{duration}</duration>{inside}</note>"


def rest(duration: int) -> str:
    return f"<note><rest/><duration>{duration}</duration></note>"


TIE, TIED, BOTH = '<tie type="start"/>', '<tie type="stop"/>', '<tie type="stop"/><tie type="start"/>'
FIRST = (
    "<attributes><divisions>2</divisions><key><fifths>-3</fifths></key></attributes><sound tempo='96'/>"
    + note("C", 4, 2)
    + note("E", 4, 2, alter=-1, chord=True)
    + rest(1)
    + "<note><grace/><pitch><step>D</step><octave>4</octave></pitch></note>"
    + note("F", 4, 1, alter=1)
    + note("G", 4, 4, TIE),
    note("G", 4, 8, BOTH),
    "<attributes><divisions>4</divisions></attributes>"
    + note("G", 4, 4, TIED)
    + note("G", 4, 4)
    + "<backup><duration>8</duration></backup><forward><duration>4</duration></forward>"
    + note("B", 2, 2),
)
# A tie that nothing takes up, until much later.
SECOND = (
    "<attributes><divisions>1</divisions></attributes>"
    + rest(1)
    + note("A", 3, 1, TIE)
    + rest(3)
    + note("A", 3, 2, TIED),
)
# quarters: (onset, duration, pitch, part), by hand
NOTES = [
    (0, 1, 60, 0),
    (0, 1, 63, 0),
    (Fraction(3, 2), Fraction(1, 2), 66, 0),
    (2, 7, 67, 0),
    (9, 1, 67, 0),
    (9, Fraction(1, 2), 47, 0),
    (1, 1, 57, 1),
    (5, 2, 57, 1),
]


def score(*parts: tuple[str, ...]) -> str:
    bars = ["".join(f"<measure>{bar}</measure>" for bar in part) for part in parts]
    return HEAD + "<score-partwise>" + "".join(f"<part>{part}</part>" for part in bars) + "</score-partwise>"


def packed(path: Path, text: str, name: str = "bach.xml", first: bool = False) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        if first:
            archive.writestr("mimetype", "application/vnd.recordare.musicxml")
        root = f'<rootfiles><rootfile full-path="{name}"/></rootfiles>'
        archive.writestr("META-INF/container.xml", f"<container>{root}</container>")
        archive.writestr("bach.xml", text)
    return path


def test_notes_in_quarters(tmp_path: Path) -> None:
    text = score(FIRST, SECOND)
    (tmp_path / "plain.xml").write_text(text)
    paths = [tmp_path / "plain.xml", packed(tmp_path / "a.mxl", text), packed(tmp_path / "b.mxl", text, first=True)]
    for path in paths:
        found = read_score(path)
        assert sorted(found.notes) == sorted(
            ScoreNote(Fraction(on), Fraction(long), *rest) for on, long, *rest in NOTES
        )
        assert (found.tempo, found.fifths) == (96, -3)


def test_a_score_that_says_nothing_of_tempo_and_key(tmp_path: Path) -> None:
    (tmp_path / "a.xml").write_text(score(SECOND))
    found = read_score(tmp_path / "a.xml")
    assert found.tempo is None and found.fifths == 0


def test_what_is_no_score(tmp_path: Path) -> None:
    whole = score(FIRST)
    (tmp_path / "half.xml").write_text(whole[: len(whole) // 2])
    (tmp_path / "time.xml").write_text(whole.replace("score-partwise", "score-timewise"))
    (tmp_path / "step.xml").write_text(whole.replace("<step>G", "<step>H"))
    packed(tmp_path / "gone.mxl", whole, name="other.xml")
    for name, message in (
        ("half.xml", "cannot read the score .*half.xml"),
        ("time.xml", "it is a score-timewise"),
        ("step.xml", "'H'"),
        ("gone.mxl", "no item named 'other.xml'"),
        ("none.xml", "No such file"),
    ):
        with pytest.raises(UserError, match=message) as caught:
            read_score(tmp_path / name)
        assert "\n" not in str(caught.value)
