"""`pggan prepare digits`, with a stand-in for espeak-ng, and with the real one."""

from __future__ import annotations

import csv
import shutil
import sys
import wave
from pathlib import Path

import numpy as np
import pytest

from pggan_framework.cli.prepare import run
from pggan_framework.errors import UserError

ESPEAK = f"""#!{sys.executable}
import sys, wave
words = sys.argv[1:]
if words == ["--voices"]:
    print("Pty Language Age/Gender VoiceName File Other")
    print(" 2 en-us --/M English_(America) gmw/en-US (en 3)")
    print(" 2 en-gb --/M English_(Britain) gmw/en")
elif words == ["--voices=variant"]:
    print("Pty Language Age/Gender VoiceName File Other")
    print(" 5 variant --/F female2 !v/f2")
    print(" 5 variant --/M male7 !v/m7")
else:
    flags = dict(zip(words[:8:2], words[1:8:2]))
    assert words[8] == "--" and list(flags) == ["-v", "-s", "-p", "-w"]
    if words[9] == "mute":
        sys.exit("cannot")
    with wave.open(flags["-w"], "wb") as file:
        file.setparams((1, 2, 22050, 0, "NONE", ""))
        file.writeframes(bytes([len(words[9]), 0, int(flags["-s"]), 0, int(flags["-p"]), 0]))
"""
VOICES = ["--voices", "en-us", "en-gb+f2"]


@pytest.fixture
def espeak(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "espeak-ng").write_text(ESPEAK)
    (tmp_path / "bin" / "espeak-ng").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))


@pytest.mark.usefixtures("espeak")
def test_words_voices_speeds_and_pitches(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    words = ["--words", "yes", "Go on", "--speed", "150", "152", "--pitch", "40", "40"]
    assert run(["digits", str(out), "--count", "9", *words, *VOICES]) == 0
    assert "9 recordings of 2 words in 2 voices" in capsys.readouterr().out
    rows = list(csv.DictReader((out / "labels.csv").open()))
    assert {row["file"] for row in rows} == {path.relative_to(out).as_posix() for path in out.rglob("*.wav")}
    assert [row["word"] for row in rows] == ["yes", "go-on"] * 4 + ["yes"]
    assert {row["voice"] for row in rows} == {"en-us", "en-gb+f2"}
    for index, row in enumerate(rows):
        assert row["file"] == f"{row['word']}/{index:04d}_{row['voice']}.wav"
        with wave.open(str(out / row["file"])) as file:
            said, speed, pitch = np.frombuffer(file.readframes(9), "<i2").tolist()
        assert (said, speed, pitch) == (len({"yes": "yes", "go-on": "Go on"}[row["word"]]), int(row["speed"]), 40)
        assert 150 <= speed <= 152 and int(row["pitch"]) == 40


@pytest.mark.usefixtures("espeak")
def test_a_larger_count_begins_with_the_same_ones(tmp_path: Path) -> None:
    for name, words in {"a": ["--count", "4"], "b": ["--count", "12"], "c": ["--count", "4", "--seed", "1"]}.items():
        run(["digits", str(tmp_path / name), *words, *VOICES])
    tables = [(tmp_path / name / "labels.csv").read_text().splitlines() for name in "abc"]
    assert len(tables[0]) == 5 and tables[1][:5] == tables[0] and tables[2] != tables[0]
    assert {path.name for path in (tmp_path / "a").iterdir()} == {"zero", "one", "two", "three", "labels.csv"}


@pytest.mark.usefixtures("espeak")
def test_mistakes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = str(tmp_path / "out")
    for words, message in (
        (["--voices", "en-uk"], r"no voice 'en-uk' \(did you mean 'en-us'\?\); see 'espeak-ng --voices'"),
        (["--voices", "en-us+f22"], r"no variant '\+f22' \(did you mean 'f2'\?\)"),
        ([*VOICES, "--count", "0"], "count is 0"),
        ([*VOICES, "--speed", "10", "20"], "speed: 10 to 20 is outside 80 to 450"),
        ([*VOICES, "--pitch", "70", "30"], "pitch: 70 to 30 is outside 0 to 99"),
        ([*VOICES, "--words", "yes", "no!", "no"], "allowed are distinct words with at least one letter or digit"),
        ([*VOICES, "--words", "?"], "allowed are distinct words"),
        ([*VOICES, "--words", "yes", "mute"], "espeak-ng cannot speak 'mute' as .*: cannot"),
    ):
        with pytest.raises(UserError, match=message) as caught:
            run(["digits", out, *words])
        assert "\n" not in str(caught.value)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match="espeak-ng is not installed; run 'apt-get install espeak-ng' .GPL-3"):
        run(["digits", out])
    assert {path.name for path in tmp_path.iterdir()} == {"bin"}


@pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="needs espeak-ng")
def test_the_real_one_speaks(tmp_path: Path) -> None:
    assert run(["digits", str(tmp_path / "out"), "--count", "10"]) == 0
    files = sorted((tmp_path / "out").rglob("*.wav"))
    assert len({file.parent.name for file in files}) == len(files) == 10
    for path in files:
        with wave.open(str(path)) as file:
            assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (22050, 1, 2)
            sound = np.frombuffer(file.readframes(99999), "<i2") / 32768
        assert 0.3 < len(sound) / 22050 < 2
        assert 0.1 < np.abs(sound).max() < 1 and sound.std() > 0.01
