import csv
import re
import shutil
import wave

import numpy as np
import pytest
from PIL import Image

from pggan_framework.cli.main import main
from pggan_framework.cli.prepare import run
from pggan_framework.errors import UserError
from pggan_framework.recipes import cats, notes

COLOURS = [((200, 0, 0, 255), (0, 200, 0, 255)), ((0, 0, 200, 255), (255, 255, 0, 51), (0, 0, 0, 0))]


@pytest.fixture
def parts(tmp_path):
    """Two bodies that fill the left half, three eyes that fill the upper half."""
    for kind, colours in enumerate(COLOURS):
        folder = tmp_path / "robohash" / "sets" / "set4" / f"00{kind}#0{kind}part"
        folder.mkdir(parents=True)
        for number, colour in enumerate(colours):
            image = Image.new("RGBA", (64, 64))
            image.paste(colour, (0, 0, 32, 64) if kind == 0 else (0, 0, 64, 32))
            image.save(folder / f"00{number}.png")
    return tmp_path


def read(folder):
    return {file.name: np.asarray(Image.open(file)) for file in sorted(folder.glob("*.png"))}


def test_cats_are_all_combinations_once(parts, capsys):
    out = parts / "out"
    assert run(["cats", str(out), "--from", str(parts), "--count", "6", "--size", "8"]) == 0
    pictures = read(out)
    assert list(pictures) == [f"cat_{index:05d}.png" for index in range(6)]
    seen = set()
    for picture in pictures.values():
        assert picture.shape == (8, 8, 3)
        body = tuple(picture[7, 0].tolist())
        assert body in {(200, 0, 0), (0, 200, 0)}
        assert picture[7, 7].tolist() == [255, 255, 255]
        # upper left, by hand: opaque blue; a fifth of yellow over the body; nothing
        eyes = tuple(picture[0, 0].tolist())
        mixed = (body[0] * 0.8 + 51, body[1] * 0.8 + 51, 0)
        kind = 0 if eyes == (0, 0, 200) else 2 if eyes == body else 1
        assert kind != 1 or eyes == mixed
        seen.add((body, kind))
    assert len(seen) == 6
    assert "CC-BY-4.0" in (out / "CREDITS.txt").read_text()
    assert "David Revoy" in capsys.readouterr().out


def test_the_same_seed_gives_the_same_cats_and_a_larger_count_more(parts):
    for name, words in {"a": ["--count", "3"], "b": ["--count", "5"], "c": ["--count", "5", "--seed", "1"]}.items():
        run(["cats", str(parts / name), "--from", str(parts / "robohash"), "--size", "8", *words])
    a, b, c = (read(parts / name) for name in "abc")
    assert all((a[name] == b[name]).all() for name in a)
    assert any((b[name] != c[name]).any() for name in b)


def test_the_background(parts):
    words = ["--count", "1", "--size", "8", "--background", "#010203"]
    run(["cats", str(parts / "out"), "--from", str(parts / "robohash/sets/set4"), *words])
    assert next(iter(read(parts / "out").values()))[7, 7].tolist() == [1, 2, 3]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "no recipe or source is given; recipes: cats, notes"),
        (["cat"], "unknown recipe 'cat' (did you mean 'cats'?)"),
        (["cats"], "OUT"),
        (["cats", "OUT", "--sise", "3"], "--sise"),
        (["cats", "OUT", "--count", "x"], "'x'"),
        (["cats", "OUT", "--count", "7"], "only 6 different"),
        (["cats", "OUT", "--count", "0"], "count is 0"),
        (["cats", "OUT", "--size", "1"], "size is 1"),
        (["cats", "OUT", "--seed", "-1"], "seed is -1"),
        (["cats", "OUT", "--background", "blau"], "'blau'"),
        (["cats", "full", "--count", "3"], "exists already"),
        (["notes", "OUT", "--pitches", "80", "50"], "80 to 50 is outside 0 to 127"),
        (["notes", "OUT", "--velocities", "0", "50"], "0 to 50 is outside 1 to 127"),
        (["notes", "OUT", "--program", "128"], "program: 128 is outside 0 to 127"),
        (["notes", "OUT", "--rate", "500"], "rate: 500 is outside 8000 to 96000"),
        (["notes", "OUT", "--seconds", "0"], "seconds is 0"),
    ],
)
def test_mistakes_are_one_line_and_leave_nothing(parts, monkeypatch, words, message):
    monkeypatch.chdir(parts)
    (parts / "full").mkdir()
    (parts / "full" / "file").touch()
    if words[:1] == ["cats"] and len(words) > 1:
        words = [*words, "--from", "robohash"]
    with pytest.raises(UserError) as caught:
        run(words)
    assert message in str(caught.value) and "\n" not in str(caught.value)
    assert {file.name for file in parts.iterdir()} == {"full", "robohash"}


def test_missing_parts_say_what_to_install(tmp_path, monkeypatch):
    with pytest.raises(UserError, match=r"no cat parts.*pip install robohash.*CC-BY-4\.0"):
        run(["cats", str(tmp_path / "out"), "--from", str(tmp_path)])
    monkeypatch.setattr(cats, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"robohash is not installed.*pip install robohash"):
        run(["cats", str(tmp_path / "out")])


def test_missing_fluidsynth_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setattr(notes.shutil, "which", lambda name: None)
    with pytest.raises(UserError, match=r"Debian packages fluidsynth .*fluid-soundfont-gm \(MIT\)"):
        run(["notes", str(tmp_path / "out")])
    monkeypatch.setattr(notes.shutil, "which", lambda name: "fluidsynth")
    monkeypatch.setattr(notes, "SOUNDFONTS", (str(tmp_path / "none.sf2"),))
    with pytest.raises(UserError, match=r"no soundfont at .*none\.sf2.*fluid-soundfont-gm"):
        run(["notes", str(tmp_path / "out")])
    (tmp_path / "bad.sf2").write_text("no soundfont at all")
    with pytest.raises(UserError, match=r"bad\.sf2 is not a soundfont"):
        run(["notes", str(tmp_path / "out"), "--soundfont", str(tmp_path / "bad.sf2")])


@pytest.mark.parametrize("words", [["-h"], ["cats", "-h"], ["notes", "-h"]])
def test_help(words, capsys):
    assert main(["prepare", *words]) == 0
    assert "pggan prepare" in capsys.readouterr().out


# The examples of the standard (MIDI 1.0, standard MIDI files): number, its variable-length form.
@pytest.mark.parametrize(
    ("number", "form"),
    [
        (0, "00"),
        (0x40, "40"),
        (0x7F, "7f"),
        (0x80, "8100"),
        (0x2000, "c000"),
        (0x3FFF, "ff7f"),
        (0xFFFFFFF, "ffffff7f"),
    ],
)
def test_variable_length_quantities(number, form):
    assert notes.variable_length(number).hex() == form


def test_a_midi_file_byte_by_byte():
    # Written by hand: format 0, one track, 1000 ticks a quarter of 1,000,000 microseconds; program 5; note 60 on, off
    # after 975 ms (74f), all sound off 393 ms later (309), the end 20 ms after that.
    track = "00 ff51030f4240  00 c005  00 903c64  874f 803c00  8309 b07800  14 ff2f00".replace(" ", "")
    header = "4d546864 00000006 0000 0001 03e8".replace(" ", "")
    made = notes.midi_file([(60, 100)], step=1388, held=975, program=5)
    assert made.hex() == header + "4d54726b" + f"{len(track) // 2:08x}" + track


@pytest.mark.skipif(shutil.which("fluidsynth") is None, reason="needs fluidsynth")
def test_notes_have_the_pitch_their_name_says(tmp_path):
    try:
        notes.find_fluidsynth(None)
    except UserError as error:
        pytest.skip(str(error))
    out = tmp_path / "notes"
    assert run(["notes", str(out), "--count", "6", "--seconds", "1.5", "--rate", "11025"]) == 0
    rows = list(csv.DictReader((out / "labels.csv").open()))
    assert [row["file"] for row in rows] == sorted(file.name for file in out.glob("*.wav")) and len(rows) == 6
    for index, row in enumerate(rows):
        pitch, velocity = map(int, re.fullmatch(rf"note_000{index}_m(\d+)_v(\d+)\.wav", row["file"]).groups())
        assert (pitch, velocity) == (int(row["pitch"]), int(row["velocity"]))
        assert 48 <= pitch <= 83 and 60 <= velocity <= 120
        with wave.open(str(out / row["file"])) as file:
            assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (11025, 1, 2)
            samples = np.frombuffer(file.readframes(99999), "<i2").astype(float)
        assert len(samples) == round(1.5 * 11025)
        onset = np.argmax(np.abs(samples) > 0.02 * np.abs(samples).max())
        assert onset < 0.03 * 11025
        spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples)), 65536))
        frequency = np.fft.rfftfreq(65536, 1 / 11025)

        def strength(shift, pitch=pitch, spectrum=spectrum, frequency=frequency):
            tone = 440 * 2 ** ((pitch + shift - 69) / 12)
            return sum(spectrum[np.abs(frequency - k * tone) < 0.012 * k * tone].sum() for k in (1, 2, 3))

        assert max(range(-3, 4), key=strength) == 0
