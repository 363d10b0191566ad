"""`pggan prepare chorales`, on scores written here."""

from __future__ import annotations

import csv
import shutil
import wave
from pathlib import Path

import mido
import numpy as np
import pytest

from pggan_framework.cli.prepare import run
from pggan_framework.errors import UserError
from pggan_framework.recipes import chorales, notes

STEPS = {"C": 60, "E": 64, "G": 67, "A": 69}


def part(steps: str) -> str:
    """A part of half notes, each letter one; a point is a rest."""
    entries = [
        "<note><rest/><duration>2</duration></note>"
        if step == "."
        else f"<note><pitch><step>{step}</step><octave>4</octave></pitch><duration>2</duration></note>"
        for step in steps
    ]
    return f"<part><measure><attributes><divisions>1</divisions></attributes>{''.join(entries)}</measure></part>"


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """The unpacked package: two pieces of 12 and 5 seconds at 60 quarters a minute, one that is too short."""
    folder = tmp_path / "music21" / "corpus" / "bach"
    folder.mkdir(parents=True)
    for name, parts in (("bwv1", ["CEGAC.", "CCCCCC"]), ("bwv2", ["GA"]), ("bwv3", ["C"])):
        text = '<sound tempo="60"/>' + "".join(map(part, parts))
        (folder / f"{name}.xml").write_text(f"<score-partwise>{text}</score-partwise>")
    (folder / "bwv4.krn").write_text("**kern\n")
    return tmp_path


@pytest.fixture
def synthesizer(monkeypatch: pytest.MonkeyPatch) -> list[mido.MidiFile]:
    """In place of fluidsynth: half a sine wave for each note that sounds; keeps the MIDI files."""
    played = []

    def play(score: bytes, rate: int, length: int, program: int, command: str, font: Path, gain: float) -> np.ndarray:
        import io

        played.append(mido.MidiFile(file=io.BytesIO(score)))
        sound = np.zeros(length, np.int16)
        now, held = 0.0, {}
        for message in played[-1]:
            now += message.time
            if message.type == "note_on":
                held[message.channel, message.note] = now
            elif message.type == "note_off":
                start, end = round(held.pop((message.channel, message.note)) * rate), round(now * rate)
                sound[start:end] += np.int16(100 * (message.note - 59))
        assert not held
        return sound

    monkeypatch.setattr(chorales, "find_fluidsynth", lambda font: ("fluidsynth", Path("font.sf2")))
    monkeypatch.setattr(chorales, "synthesize", play)
    return played


def clips(folder: Path) -> dict[str, np.ndarray]:
    found = {}
    for file in sorted(folder.glob("*.wav")):
        with wave.open(str(file)) as opened:
            assert (opened.getframerate(), opened.getnchannels(), opened.getsampwidth()) == (8000, 1, 2)
            found[file.stem] = np.frombuffer(opened.readframes(99999), "<i2")
    return found


WORDS = ["--seconds", "2", "--rate", "8000"]


def test_clips_side_by_side(corpus: Path, synthesizer: list[mido.MidiFile], capsys: pytest.CaptureFixture[str]) -> None:
    out = corpus / "out"
    assert run(["chorales", str(out), "--from", str(corpus), "--program", "19", *WORDS]) == 0
    assert "9 clips of 2.0 s at 8000 Hz from 3 chorales, which is all there are. Music by" in capsys.readouterr().out
    found = clips(out)
    assert list(found) == [f"bwv1_00{index}" for index in range(6)] + ["bwv2_000", "bwv2_001", "bwv3_000"]
    # A half note at 60 quarters a minute lasts 2 s: each clip is one chord of the two parts.
    for index, step in enumerate("CEGAC."):
        level = 100 + (0 if step == "." else 100 * (STEPS[step] - 59))
        assert set(found[f"bwv1_00{index}"].tolist()) == {level}, index
    for index, step in enumerate("GA"):
        assert set(found[f"bwv2_00{index}"].tolist()) == {100 * (STEPS[step] - 59)}
    rows = list(csv.DictReader((out / "labels.csv").open()))
    assert {row["file"] for row in rows} == {f"{name}.wav" for name in found}
    assert {(row["piece"], row["begin"]) for row in rows if row["piece"] == "bwv2"} == {("bwv2", "0"), ("bwv2", "2")}
    assert "encoders" in (out / "CREDITS.txt").read_text()
    (played,) = synthesizer
    programs = {message.channel: message.program for message in played if message.type == "program_change"}
    assert 9 not in programs and set(programs.values()) == {19}
    assert {message.channel for message in played if message.type == "note_on"} == {0, 1}


def test_a_larger_count_begins_with_the_same_clips(corpus: Path, synthesizer: list[mido.MidiFile]) -> None:
    for name, words in {"a": ["--count", "4"], "b": ["--count", "7"], "c": ["--count", "4", "--seed", "3"]}.items():
        assert run(["chorales", str(corpus / name), "--from", str(corpus / "music21"), *words, *WORDS]) == 0
    a, b, c = (clips(corpus / name) for name in "abc")
    assert len(a) == 4 and len(b) == 7 and set(a) < set(b)
    assert all(np.array_equal(a[name], b[name]) for name in a)
    assert set(c) != set(a)


def test_mistakes(corpus: Path, synthesizer: list[mido.MidiFile], monkeypatch: pytest.MonkeyPatch) -> None:
    out = str(corpus / "out")
    here = ["--from", str(corpus)]
    for words, message in (
        ([*here, "--count", "0"], "count is 0"),
        ([*here, "--seconds", "0"], "seconds is 0"),
        ([*here, "--seconds", "60"], "no chorale lasts 60.0 seconds"),
        ([*here, "--rate", "100"], "rate: 100 is outside 8000 to 96000"),
        ([*here, "--program", "128"], "program: 128 is outside 0 to 127"),
        (["--from", str(corpus / "none")], r"no scores \(corpus/bach\) in .*; run 'pip install --no-deps music21'"),
    ):
        with pytest.raises(UserError, match=message) as caught:
            run(["chorales", out, *words])
        assert "\n" not in str(caught.value)
    monkeypatch.setattr(chorales, "find_spec", lambda name: None)
    with pytest.raises(UserError, match="music21 is not installed; .*20 MB; BSD, its scores with their encoders' perm"):
        run(["chorales", out])
    assert not Path(out).exists()


@pytest.mark.skipif(shutil.which("fluidsynth") is None, reason="needs fluidsynth")
def test_chords_are_heard(corpus: Path) -> None:
    try:
        notes.find_fluidsynth(None)
    except UserError as error:
        pytest.skip(str(error))
    assert run(["chorales", str(corpus / "out"), "--from", str(corpus), "--count", "9", *WORDS]) == 0
    found = clips(corpus / "out")
    frequency = np.fft.rfftfreq(1 << 16, 1 / 8000)
    for step, name in (("G", "bwv2_000"), ("A", "bwv2_001")):
        wave_ = found[name].astype(float)
        spectrum = np.abs(np.fft.rfft(wave_ * np.hanning(len(wave_)), 1 << 16))

        def strength(pitch: int, spectrum: np.ndarray = spectrum) -> float:
            tone = 440 * 2 ** ((pitch - 69) / 12)
            return sum(spectrum[np.abs(frequency - k * tone) < 0.012 * k * tone].sum() for k in (1, 2, 3))

        assert max(range(55, 80), key=strength) == STEPS[step]
