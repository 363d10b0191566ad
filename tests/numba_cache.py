"""What librosa compiles on the way in, half a minute's work, is kept in .pytest_cache for all test processes to come.

numba's cache is not safe for processes that fill it side by side: what one has compiled is then found under another's
name, and crashes. So each test process has its own cache, which begins as a copy of what one process, alone with
the folder that it wrote to, has left.
"""

from __future__ import annotations

import atexit
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from importlib.abc import MetaPathFinder
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

FOLDER = Path(__file__).parents[1] / ".pytest_cache"
HEAVY = "librosa.util.utils"
"""The first module of librosa that compiles anything."""
FILL = """
import librosa
import numpy as np

wave = np.sin(np.arange(8000, dtype=np.float32) / 10)
librosa.feature.melspectrogram(y=wave, sr=8000, n_fft=256)
librosa.pyin(wave, sr=8000, fmin=100, fmax=1000, frame_length=512)
"""


def take() -> None:
    """Give this process, which must not have imported numba, its own cache."""
    own = Path(tempfile.mkdtemp(prefix="numba-"))
    atexit.register(shutil.rmtree, own, ignore_errors=True)
    os.environ["NUMBA_CACHE_DIR"] = str(own)
    kept = _kept()
    if kept.is_dir():
        shutil.copytree(kept, own, dirs_exist_ok=True)
    else:
        sys.meta_path.insert(0, _Filler(kept, own))


def _kept() -> Path:
    """Where it is kept, by what decides whether numba takes it for its own."""
    found = find_spec("librosa")
    assert found is not None and found.origin is not None
    told = [found.origin, os.stat(found.origin).st_mtime_ns, version("librosa"), version("numba"), sys.version]
    return FOLDER / f"numba-{hashlib.sha256(repr(told).encode()).hexdigest()[:16]}"


class _Filler(MetaPathFinder):
    """Finds nothing, but compiles and keeps what `HEAVY` would compile when that is imported."""

    def __init__(self, kept: Path, own: Path) -> None:
        self.kept, self.own = kept, own

    def find_spec(self, fullname: str, path: object, target: object = None) -> None:
        if fullname != HEAVY:
            return
        sys.meta_path.remove(self)
        FOLDER.mkdir(exist_ok=True)
        with (FOLDER / "numba.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not self.kept.is_dir():
                self._fill()
        if self.kept.is_dir():
            shutil.copytree(self.kept, self.own, dirs_exist_ok=True)

    def _fill(self) -> None:
        new = tempfile.mkdtemp(prefix="numba-new-", dir=FOLDER)
        try:
            done = subprocess.run([sys.executable, "-c", FILL], env=os.environ | {"NUMBA_CACHE_DIR": new}, check=False)
            if done.returncode == 0:
                os.rename(new, self.kept)
        finally:
            shutil.rmtree(new, ignore_errors=True)
