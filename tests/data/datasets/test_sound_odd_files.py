"""The rows of sounds in the table "What happens with odd files" of docs/reference/data.md, one by one."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from odd_rows import rows_of

from pggan_framework.data.datasets.sound import SoundImageDataset
from pggan_framework.errors import UserError

SMALL = {"n_fft": 64, "hop_length": 32, "margin": 0, "frequency": 8000, "too_long": "slices", "jobs": 1}  # 1024 samples
SOUND = np.random.default_rng(0).uniform(-0.5, 0.5, 4096).astype(np.float32)


def written(**how):
    """A file of SOUND, as it is or changed."""
    name, sound, rate = how.pop("name", "odd.wav"), how.pop("sound", SOUND), how.pop("rate", 8000)
    return lambda path, monkeypatch: soundfile.write(path / name, sound, rate, **how)


def tagged(path, monkeypatch):
    soundfile.write(path / "odd.flac", SOUND, 8000)
    (path / "odd.flac").write_bytes(b"ID3\x04\0\0\0\0\x10\0" + bytes(2048) + (path / "odd.flac").read_bytes())


def torn(name: str, part: float):
    def make(path, monkeypatch):
        soundfile.write(path / name, np.tile(SOUND, 10), 8000)
        whole = (path / name).read_bytes()
        (path / name).write_bytes(whole[: int(len(whole) * part)])

    return make


def forbidden(path, monkeypatch):
    """As root, permissions do not bite: opening the file is made to fail as it does for others."""
    soundfile.write(path / "odd.wav", SOUND, 8000)
    opened = open

    def refuse(file, *args, **kwargs):
        if str(file).endswith("odd.wav"):
            raise PermissionError(13, "Permission denied", str(file))
        return opened(file, *args, **kwargs)

    monkeypatch.setattr("builtins.open", refuse)


def hidden(path, monkeypatch):
    (path / ".git").mkdir()
    soundfile.write(path / ".git" / "odd.wav", SOUND, 8000)
    soundfile.write(path / ".odd.wav", SOUND, 8000)


def nan(path, monkeypatch):
    sound = SOUND.copy()
    sound[:4096:1024] = np.nan
    soundfile.write(path / "odd.wav", sound, 8000, subtype="FLOAT")


def used(expected: np.ndarray, atol: float, said: tuple[str, str] | None = None):
    """The odd file is used: its slices in order are `expected`."""

    def check(data: SoundImageDataset) -> None:
        waves = np.concatenate([data.wave(i) for i in range(1, len(data))])
        assert data.skipped == {}
        np.testing.assert_allclose(waves, expected, atol=atol)
        if said:
            assert said[1] in data.summary()[said[0]]

    return check


def skipped(reason: str):
    def check(data: SoundImageDataset) -> None:
        assert len(data) == 1
        assert reason in data.skipped["odd.wav"]
        assert f"odd.wav ({data.skipped['odd.wav']})" in data.summary()["skipped"]

    return check


def silent(data: SoundImageDataset) -> None:
    assert len(data) == 5 and all(np.all(data.image(i) == -1) for i in range(1, 5))


def mp3(data: SoundImageDataset) -> None:
    waves = np.concatenate([data.wave(i) for i in range(1, len(data))])
    assert len(waves) == 4096 and np.corrcoef(waves, SOUND)[0, 1] > 0.9


def beginning_used(data: SoundImageDataset) -> None:
    clips = len(data) - 1
    assert 10 < clips < 30 and data.skipped == {}
    np.testing.assert_allclose(np.concatenate([data.wave(1 + i) for i in range(4)]), SOUND, atol=1e-4)
    assert f"{40 - clips} of 40 clips left out" in data.summary()["damaged"]


def shorter(data: SoundImageDataset) -> None:
    assert len(data) - 1 == 20 - 1 and data.skipped == {}  # half of it, less the header


def not_opened(data: SoundImageDataset) -> None:
    assert len(data) == 1 and data.summary()["other files"] == "1 .txt (odd.txt); not read as recordings"


def left_alone(data: SoundImageDataset) -> None:
    assert len(data) == 1 and data.skipped == {} and "other files" not in data.summary()
    assert data.summary()["hidden or system files"] == "2: .git/, .odd.wav; left out"


def counted(clips: int, line: str, said: str):
    """The good file and so many clips of the odd one are used, and a line of the summary says something."""

    def check(data: SoundImageDataset) -> None:
        assert len(data) == 1 + clips and data.skipped == {}
        assert said in data.summary()[line]

    return check


def others(sound: np.ndarray, **how):
    """The odd file among twelve like the good one."""

    def make(path, monkeypatch):
        for number in range(12):
            soundfile.write(path / f"b{number:02}.wav", np.roll(SOUND[:1024], number + 1), 8000, subtype="FLOAT")
        soundfile.write(path / "odd.wav", sound, 8000, subtype="FLOAT")

    return make


def integers(data: SoundImageDataset) -> None:
    assert len(data) == 13 and "times full scale" in data.skipped["odd.wav"]


def clipped(data: SoundImageDataset) -> None:
    assert len(data) == 14 and data.summary()["outliers"].startswith("1: odd.wav at 0.0 s; far louder than all others")


def stream(data: bytes) -> bytes:
    """An mp3 without its Info frame."""
    return data[data.index(data[:2], 4) :]


def mp3_of(change: Callable[[bytes], bytes]):
    def make(path, monkeypatch):
        soundfile.write(path / "odd.mp3", SOUND, 8000, bitrate_mode="VARIABLE")
        (path / "odd.mp3").write_bytes(change((path / "odd.mp3").read_bytes()))

    return make


def header_of(name: str, at: Callable[[bytes], int], new: bytes):
    """A file of SOUND with other bytes in its header."""

    def make(path, monkeypatch):
        soundfile.write(path / name, SOUND, 8000)
        data = bytearray((path / name).read_bytes())
        data[at(data) : at(data) + len(new)] = new
        (path / name).write_bytes(data)

    return make


def foreign(path, monkeypatch):
    monkeypatch.setattr("pggan_framework.audio.ffmpeg.find_program", lambda: None)
    (path / "odd.wav").write_bytes(b"\0\0\0\x18ftypM4A " + bytes(200))


def linked(path, monkeypatch):
    (path.parent / "elsewhere").mkdir()
    soundfile.write(path.parent / "elsewhere" / "odd.wav", SOUND, 8000)
    (path / "odd").symlink_to(path.parent / "elsewhere")
    (path / "odd again").symlink_to(path)


def latin(path, monkeypatch):
    with (path / os.fsdecode(b"odd T\xf6ne.wav")).open("wb") as file:
        soundfile.write(file, SOUND, 8000, format="WAV")


def one_copy(path, monkeypatch):
    soundfile.write(path / "odd.wav", SOUND[:1024], 8000)


THREE = np.stack([SOUND, 0.5 * SOUND, np.zeros(4096, np.float32)], axis=1)
ROWS: dict[str, tuple[Callable, Callable | str]] = {
    "a silent recording": (written(sound=np.zeros(4096)), silent),
    "a single sample": (written(sound=SOUND[:1]), "odd.wav is shorter than one image: 1 sample "),
    "a header without samples": (written(sound=SOUND[:0]), skipped("it holds no samples")),
    "an empty file": (lambda path, _: (path / "odd.wav").touch(), skipped("it is an empty file")),
    "NaN samples": (nan, skipped("not finite numbers")),
    "3 channels": (written(sound=THREE), used(SOUND / 2, 1e-4, ("channels", "1 with 3, mixed to 1"))),
    "a sample rate of 8 kHz": (
        written(sound=np.sin(np.arange(2048) / 4), rate=4000),  # half the dataset's rate
        used(np.sin(np.arange(4096) / 8), 0.2, ("sample rates", "1 at 4000 Hz, resampled to 8000 Hz")),
    ),
    "a sample rate below 500 Hz or above 4 MHz": (
        header_of("odd.wav", lambda data: data.index(b"fmt ") + 12, b"\1\0\0\0"),
        skipped("its header says 1 Hz; allowed: 500 to 4000000"),
    ),
    "8-bit samples": (written(subtype="PCM_U8"), used(SOUND, 2**-7)),
    "24-bit samples": (written(subtype="PCM_24"), used(SOUND, 2**-23)),
    "float samples beyond full scale": (written(sound=4 * SOUND, subtype="FLOAT"), used(4 * SOUND, 0)),
    "float samples at integer scale, next to files at full scale": (others(32767 * SOUND), integers),
    "a recording that is 30 dB louder than all others": (others(np.tile(10.0 * np.sin(np.arange(1024) / 2), 1)), clipped),
    "a constant offset": (
        written(sound=SOUND + 0.2, subtype="FLOAT"),
        counted(4, "offset", "was removed from 1: odd.wav"),
    ),
    "a duplicate of another recording": (one_copy, counted(1, "equal sounds", "1: odd.wav at 0.0 s; the same samples")),
    "mp3": (written(name="odd.mp3", compression_level=0), mp3),
    "an mp3 stream without a length or with a variable bit rate": (mp3_of(stream), counted(5, "skipped", "none")),
    "an mp3 with foreign bytes before, in or after the sound": (
        mp3_of(lambda data: bytes(200) + stream(data) + bytes(9000)),
        counted(5, "wrong headers", "1: odd.mp3 (9200 bytes of it are not sound)"),
    ),
    "two concatenated mp3 or ogg files": (
        mp3_of(lambda data: data + data),
        counted(10, "wrong headers", "1: odd.mp3 (its header"),
    ),
    "a truncated mp3": (
        mp3_of(lambda data: data[: len(data) * 3 // 4]),
        counted(3, "wrong headers", "1: odd.mp3 (its header says 10 frames, it holds "),
    ),
    "a wav whose header states 0 bytes or too few bytes": (
        header_of("odd.wav", lambda data: data.index(b"data") + 4, bytes(4)),
        used(SOUND, 2**-15, ("wrong headers", "1: odd.wav (its header says that its samples are 0 bytes")),
    ),
    "a flac of unknown length": (header_of("odd.flac", lambda _: 22, bytes(4)), used(SOUND, 2**-15)),
    "flac, ogg or wav after an ID3 tag": (tagged, used(SOUND, 2**-15)),
    "a speech encoding such as GSM or G.721": (written(subtype="GSM610"), counted(4, "skipped", "none")),
    "m4a, aac, wma, webm, mka, wv, ape": (
        foreign,
        skipped("it needs ffmpeg: install it, or pip install imageio-ffmpeg"),
    ),
    "a text file with the extension of a sound": (lambda path, _: (path / "odd.wav").write_text("words " * 999), skipped("ormat not recogn")),
    "a truncated flac": (torn("odd.flac", 0.5), beginning_used),
    "a truncated wav": (torn("odd.wav", 0.5), shorter),
    "a file without read permission": (forbidden, skipped("Permission denied")),
    "a broken link": (lambda path, _: (path / "odd.wav").symlink_to("gone.wav"), skipped("No such file")),
    "a linked folder": (linked, counted(4, "links", "1: odd again; they lead to folders that are read already")),
    "a name that is not in UTF-8 (Latin-1 names of old collections)": (latin, used(SOUND, 1e-4)),
    "an unknown extension": (lambda path, _: (path / "odd.txt").write_text("x"), not_opened),
    "a hidden file, or a file in a hidden or system folder": (hidden, left_alone),
    "an empty folder": (lambda path, _: (path / "a.wav").unlink(), "has no readable sound: it is empty"),
}


@pytest.mark.parametrize("row", ROWS)
def test_odd_file(tmp_path, monkeypatch, row):
    make, outcome = ROWS[row]
    tmp_path = tmp_path / "data"
    tmp_path.mkdir()
    soundfile.write(tmp_path / "a.wav", SOUND[:1024], 8000)  # a good one next to it, the first by name
    make(tmp_path, monkeypatch)
    if isinstance(outcome, str):
        with pytest.raises(UserError, match=outcome):
            SoundImageDataset(tmp_path, **SMALL)
        return
    data = SoundImageDataset(tmp_path, **SMALL)
    np.testing.assert_allclose(data.wave(0), SOUND[:1024], atol=1e-4)
    outcome(data)
    if data.skipped or "damaged" in data.summary():
        with pytest.raises(UserError, match=r"^odd\.\w+ in .* cannot be used: .*bad_files to skip$"):
            SoundImageDataset(tmp_path, bad_files="error", **SMALL)


def test_the_table_in_the_docs_has_these_rows():
    assert rows_of("sound") == list(ROWS)
