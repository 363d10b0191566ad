"""Files are written atomically, and what killed writers leave is removed."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pggan_framework.recipes import new_folder
from pggan_framework.storage.atomic import ABANDONED, atomic_path, sweep, temporary_name


@pytest.fixture(scope="module")
def dead() -> int:
    """The number of a process that has ended."""
    done = subprocess.Popen([sys.executable, "-c", ""])
    done.wait()
    return done.pid


def _left(path: Path, process: int, host: str | None = None, age: float = 0) -> Path:
    """A temporary file of `path` that another process has left."""
    own = temporary_name(path).name
    named = own.replace(f"-{os.getpid()}.tmp", f"-{process}.tmp")
    if host is not None:
        named = f".{path.name}.{host}-{process}.tmp"
    left = path.with_name(named)
    left.write_bytes(b"half")
    os.utime(left, (time.time() - age,) * 2)
    return left


def test_a_writer_removes_what_killed_writers_of_the_same_file_have_left(tmp_path: Path, dead: int) -> None:
    path = tmp_path / "a.b.pt"
    mine = _left(path, dead)
    kept = [_left(tmp_path / "other.pt", dead), _left(path, os.getppid()), tmp_path / ".a.b.pt.tmp"]
    kept[-1].touch()
    with atomic_path(path) as temporary:
        temporary.write_bytes(b"whole")
        assert not path.exists() and not mine.exists()
    assert path.read_bytes() == b"whole" and all(each.exists() for each in kept)
    assert len(list(tmp_path.iterdir())) == 1 + len(kept)


def test_of_another_machine_only_old_ones_go(tmp_path: Path, dead: int) -> None:
    young, old = _left(tmp_path / "a", dead, "elsewhere", 60), _left(tmp_path / "b", dead, "elsewhere", ABANDONED + 60)
    sweep(tmp_path)
    assert young.exists() and not old.exists()
    sweep(tmp_path, owned=True)
    assert not young.exists()


def test_an_owner_sweeps_all_those_of_its_own_number_too(tmp_path: Path) -> None:
    theirs, own = _left(tmp_path / "a", os.getppid()), _left(tmp_path / "a", os.getpid())
    sweep(tmp_path)
    assert own.exists() and theirs.exists()
    sweep(tmp_path, owned=True)  # in a container each start is process 1
    assert not own.exists() and not theirs.exists()
    sweep(tmp_path / "missing")


def test_an_error_leaves_the_older_file(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_text("old")
    with pytest.raises(ZeroDivisionError), atomic_path(path) as temporary:
        temporary.write_text("new")
        raise ZeroDivisionError
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


def test_a_temporary_file_that_cannot_be_removed_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(path: Path, missing_ok: bool = False) -> None:
        raise OSError(errno.EIO, "Input/output error", str(path))

    monkeypatch.setattr(Path, "unlink", refused)
    with atomic_path(tmp_path / "a") as temporary:
        temporary.write_text("new")
    assert (tmp_path / "a").read_text() == "new"
    with pytest.raises(ZeroDivisionError), atomic_path(tmp_path / "a"):
        raise ZeroDivisionError


@pytest.mark.parametrize("same", [False, True])
def test_a_new_folder_sweeps_those_of_killed_starts(tmp_path: Path, dead: int, same: bool) -> None:
    left = _left(tmp_path / "cats", os.getpid() if same else dead)
    left.unlink()
    left.mkdir()
    (left / "0.png").touch()
    with new_folder(tmp_path / "cats") as temporary:
        (temporary / "1.png").touch()
    assert [path.name for path in tmp_path.iterdir()] == ["cats"]
