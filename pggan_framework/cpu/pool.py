"""A pool for large CPU tensors: one address range in which freed blocks are reused, on Linux.

glibc wastes about as much memory as the tensors need: see ``pool.cpp``, which is compiled once per machine. Without a
compiler, glibc's allocator is used.
"""

from __future__ import annotations

import ctypes
import hashlib
import subprocess
import sys
from functools import lru_cache
from pathlib import Path

import torch

from pggan_framework.cpu import native

SOURCE = Path(__file__).with_name("pool.cpp")
_TORCH = Path(torch.__file__).parent
FLAGS = (
    "-O2",
    "-std=c++20",
    "-fPIC",
    "-shared",
    f"-D_GLIBCXX_USE_CXX11_ABI={int(torch.compiled_with_cxx11_abi())}",
    f"-I{_TORCH / 'include'}",
    f"-L{_TORCH / 'lib'}",
    "-lc10",
)


def use_pool(wanted: bool = True) -> bool:
    """Enable or disable the pool for new large CPU tensors; values are unaffected.

    Returns:
        True if the pool is available; otherwise nothing is changed.
    """
    library = load()
    return library is not None and bool(library.use_pool(ctypes.c_bool(wanted)))


@lru_cache(maxsize=1)
def load() -> ctypes.CDLL | None:
    """The compiled code, compiled if needed; None if it is unavailable."""
    found = native.compiler()
    key = hashlib.sha256(SOURCE.read_bytes() + repr((FLAGS, found, torch.__version__)).encode()).hexdigest()[:16]
    try:
        path = native.folder() / f"pool_{key}.so"
        if not sys.platform.startswith("linux") or not (path.exists() or found):
            return None
        if not path.exists():
            native.build(path, [str(found), str(SOURCE), *FLAGS])
        # Global, because the convolutions' workspaces look it up by name.
        library = ctypes.CDLL(str(path), mode=ctypes.RTLD_GLOBAL)
        library.use_pool.restype = ctypes.c_bool
    except (OSError, AttributeError, subprocess.SubprocessError):
        return None
    return library
