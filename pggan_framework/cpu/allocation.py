"""Settings of the C library's allocator for large buffers during training."""

from __future__ import annotations

import ctypes

from pggan_framework.cpu.pool import use_pool

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD, _MMAP_MAX = -1, -2, -3, -4  # from glibc's malloc.h
_MIB = 1 << 20


def keep_freed_memory(keep: bool = True, pool: bool = True) -> bool:
    """Let glibc keep the memory of freed tensors for reuse, instead of returning it to the system each time.

    Every step frees and requests the same buffers. By default, buffers above 32 MiB are mapped again each time, and a
    new page of memory costs more time than a layer spends on it. The setting applies to the whole process, whose
    resident memory then does not shrink between steps. On Linux, large tensors are allocated from the pool if it is
    available.

    Args:
        keep: False restores the settings that glibc itself reaches in a program that frees large buffers.
        pool: allow the pool, which is compiled code of this package.

    Returns:
        True if the system has this allocator (Linux with glibc); otherwise nothing is changed.
    """
    use_pool(keep and pool)
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError, TypeError):
        return False
    if keep:
        settings = {_MMAP_MAX: 0, _TRIM_THRESHOLD: 2**31 - 1, _TOP_PAD: 64 * _MIB}
    else:
        settings = {_MMAP_MAX: 65536, _MMAP_THRESHOLD: 32 * _MIB, _TRIM_THRESHOLD: 64 * _MIB, _TOP_PAD: 128 * 1024}
    return all(mallopt(name, value) for name, value in settings.items())
