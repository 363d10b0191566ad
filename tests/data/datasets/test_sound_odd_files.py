"""The table "What happens with odd files" of docs/data.md, row by row."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from pggan_framework.data.datasets.sound import SoundImageDataset
from pggan_framework.errors import UserError

DOCS = Path(__file__).parents[3] / "docs" / "data.md"
SMALL = {"n_fft": 64, "hop_length": 32, "margin": 0, "frequency": 8000, "too_long": "slices", "jobs": 1}  # 1024 samples
SOUND = np.random.default_rng(0).uniform(-0.5, 0.5, 4096).astype(np.float32)


def written(**how):
    """A file of SOUND, as it is or changed."""
    name, sound, rate = how.pop("name", "odd.wav"), how.pop("sound", SOUND), how.pop("rate", 8000)
    return lambda path, monkeypatch: soundfile.write(path / name, sound, rate, **how)


def torn(name: str, part: float):
    def make(path, monkeypatch):
        soundfile.write(path / name, np.tile(SOUND, 10), 8000)
        whole = (path / name).read_bytes()
        (path / name).write_bytes(whole[: int(len(whole) * part)])

    return make


def forbidden(path, monkeypatch):
    """As root, permissions do not bite: opening the file is made to fail as it does for others."""
    soundfile.write(path / "odd.wav", SOUND, 8000)
    opened = Path.open

    def refuse(self, *args, **kwargs):
        if self.name == "odd.wav":
            raise PermissionError(13, "Permission denied", str(self))
        return opened(self, *args, **kwargs)

    monkeypatch.setattr(Path, "open", refuse)


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
    assert len(data) == 1 and data.summary()["other files"] == "1: 1 .txt (odd.txt); not read as recordings"


def left_alone(data: SoundImageDataset) -> None:
    assert len(data) == 1 and data.skipped == {} and "other files" not in data.summary()
    assert data.summary()["hidden or system files"] == "2: .git/, .odd.wav; left out"


THREE = np.stack([SOUND, 0.5 * SOUND, np.zeros(4096, np.float32)], axis=1)
ROWS: dict[str, tuple[Callable, Callable | str]] = {
    "silence": (written(sound=np.zeros(4096)), silent),
    "one sample": (written(sound=SOUND[:1]), "odd.wav is shorter than one picture: 1 samples"),
    "no samples": (written(sound=SOUND[:0]), skipped("it holds no samples")),
    "NaN samples": (nan, skipped("no finite numbers")),
    "3 channels": (written(sound=THREE), used(SOUND / 2, 1e-4, ("channels", "1 with 3, mixed to 1"))),
    "8 kHz": (
        written(sound=np.sin(np.arange(2048) / 4), rate=4000),  # half the dataset's rate
        used(np.sin(np.arange(4096) / 8), 0.2, ("sample rates", "1 at 4000 Hz, resampled to 8000 Hz")),
    ),
    "8 bit": (written(subtype="PCM_U8"), used(SOUND, 2**-7)),
    "24 bit": (written(subtype="PCM_24"), used(SOUND, 2**-23)),
    "float, beyond full scale": (written(sound=4 * SOUND, subtype="FLOAT"), used(4 * SOUND, 0)),
    "mp3": (written(name="odd.mp3", compression_level=0), mp3),
    "a renamed text file": (lambda path, _: (path / "odd.wav").write_text("words " * 999), skipped("ormat not recogn")),
    "a truncated flac": (torn("odd.flac", 0.5), beginning_used),
    "a truncated wav": (torn("odd.wav", 0.5), shorter),
    "unreadable (no permission)": (forbidden, skipped("Permission denied")),
    "a link to nowhere": (lambda path, _: (path / "odd.wav").symlink_to("gone.wav"), skipped("No such file")),
    "another ending": (lambda path, _: (path / "odd.txt").write_text("x"), not_opened),
    "hidden, or in a hidden folder": (hidden, left_alone),
    "an empty folder": (lambda path, _: (path / "a.wav").unlink(), "has no readable sound: it is empty"),
}


@pytest.mark.parametrize("row", ROWS)
def test_odd_file(tmp_path, monkeypatch, row):
    make, outcome = ROWS[row]
    soundfile.write(tmp_path / "a.wav", SOUND[:1024], 8000)  # a good one beside it, the first by name
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
    section = DOCS.read_text(encoding="utf-8").split("### What happens with odd files")[1]
    table = [line for line in section.split("\n\n")[1].splitlines() if line.startswith("| ")][1:]
    assert [line.split(" | ")[0].removeprefix("| ") for line in table] == list(ROWS)
