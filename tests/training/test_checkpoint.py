"""Checkpoints are written atomically, and a wrong file is an error."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
import torch

from pggan_framework.errors import UserError
from pggan_framework.storage.atomic import atomic_path
from pggan_framework.training.checkpoint import FORMAT, load_checkpoint, save_checkpoint

PARTS = (
    "config",
    "nimg",
    "tick",
    "networks",
    "ema",
    "optimizers",
    "random",
    "plugins",
    "codec",
    "growth",
    "trainer",
    "data",
)


def _state() -> dict[str, object]:
    return {part: {"x": torch.arange(1000)} for part in PARTS}


def test_round_trip(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "a.pt", _state())
    assert torch.equal(load_checkpoint(tmp_path / "a.pt")["ema"]["x"], torch.arange(1000))
    assert [path.name for path in tmp_path.iterdir()] == ["a.pt"]


def test_an_interrupted_write_leaves_the_older_file(tmp_path: Path) -> None:
    path = tmp_path / "a.pt"
    path.write_bytes(b"old")
    with pytest.raises(KeyboardInterrupt), atomic_path(path) as temporary:
        temporary.write_bytes(b"half")
        raise KeyboardInterrupt
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.pt"]


@pytest.mark.parametrize("length", [0, 10, 500, 0.5, 0.99])
def test_a_truncated_file_is_one_clear_line(tmp_path: Path, length: float) -> None:
    path = tmp_path / "a.pt"
    save_checkpoint(path, _state())
    data = path.read_bytes()
    path.write_bytes(data[: int(length * len(data)) if 0 < length < 1 else int(length)])
    with pytest.raises(UserError, match="cannot be read as a checkpoint") as caught:
        load_checkpoint(path)
    assert "\n" not in str(caught.value)


def test_another_format_version_or_missing_part_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.pt"
    torch.save({"model": torch.ones(1)}, path)
    with pytest.raises(UserError, match="not a checkpoint of pggan_framework"):
        load_checkpoint(path)
    torch.save({"format": FORMAT, "version": 99, **_state()}, path)
    with pytest.raises(UserError, match="version 99"):
        load_checkpoint(path)
    torch.save({"format": FORMAT, "version": 1, "nimg": 3}, path)
    with pytest.raises(UserError, match="lacks config"):
        load_checkpoint(path)
    with pytest.raises(UserError, match="does not exist"):
        load_checkpoint(tmp_path / "none.pt")


class _Evil:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return print, ("code from the file runs",)


def test_a_file_cannot_run_code(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "a.pt"
    torch.save({"format": FORMAT, "x": _Evil()}, path)
    with pytest.raises(UserError):
        load_checkpoint(path)
    path.write_bytes(pickle.dumps(_Evil()))
    with pytest.raises(UserError):
        load_checkpoint(path)
    assert "code from" not in capsys.readouterr().out


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot write the checkpoint"):
        save_checkpoint(tmp_path / "missing" / "a.pt", _state())
