"""Checkpoints: written atomically, loaded without executing code from the file, and complete for an exact resume."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any
from warnings import catch_warnings, simplefilter

import torch

from pggan_framework.errors import DamagedError, UserError
from pggan_framework.storage.atomic import atomic_path, forget_cached
from pggan_framework.storage.zips import verify_zip

FORMAT = "pggan_framework checkpoint"
VERSION = 1
_MOST_VALUES, _DEEPEST = 2_000_000, 64
"""Largest number of values in a checkpoint, and deepest nesting; a run's checkpoint has a few thousand values and less
than 10 levels.
"""
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


class CheckpointError(UserError):
    """Raised if a checkpoint cannot be written, the only write failure that ends a run."""


def save_checkpoint(path: Path, state: Mapping[str, Any]) -> None:
    """Write `state` (plain values and tensors) to `path` atomically: a crash leaves either the old or the new file.

    The new file is read back from the disk and its checksums are verified before it replaces the old file.

    Raises:
        CheckpointError: if the file cannot be written (a full disk, a missing folder), or is damaged when it is read
            back.
    """
    try:
        with atomic_path(path) as temporary:
            torch.save({"format": FORMAT, "version": VERSION, **state}, temporary)
            forget_cached(temporary)
            verify_zip(temporary)
    except (OSError, RuntimeError, MemoryError, DamagedError) as error:
        # torch's zip writer does not report why a write fails.
        reason = "the disk is full, or another limit is reached" if "unexpected pos" in str(error) else error
        raise CheckpointError(f"cannot write the checkpoint {path}: {reason}") from error


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint onto the CPU and verify its checksums.

    Raises:
        DamagedError: if the file is truncated, damaged, or not written by torch.save.
        UserError: if the file does not exist, is not a checkpoint of this project, or has a version that this release
            does not read.
    """
    if not path.is_file():
        raise UserError(f"checkpoint {path} does not exist; allowed: a network-snapshot-*.pt file")
    try:
        verify_zip(path)
        with catch_warnings():
            simplefilter("ignore")  # these concern files that are rejected below, or do not matter to the user
            state = torch.load(path, map_location="cpu", weights_only=True)
        check_tree(state)
    except Exception as error:  # a hostile pickle can raise almost any exception
        reason = str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__
        if isinstance(error, UnpicklingError):  # torch's message advises the user to run code from the file
            reason = "it is not a file of plain values and tensors; nothing in it was executed"
        raise DamagedError(
            f"{path} cannot be read as a checkpoint: it is truncated, damaged or of another kind ({reason})"
        ) from error
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        raise UserError(f"{path} is not a checkpoint of pggan_framework; allowed: its network-snapshot-*.pt")
    if state.get("version") != VERSION:
        raise UserError(f"{path} has checkpoint version {state.get('version')}; this release reads version {VERSION}")
    missing = [part for part in PARTS if part not in state]
    if missing:
        raise UserError(f"{path} lacks {', '.join(missing)}: it is not a complete checkpoint")
    return state


def check_tree(state: Any) -> None:
    """Check that a value from an untrusted file takes no more memory than the file.

    Raises:
        ValueError: if values are nested too deep, there are too many of them (counting every reference), or a tensor is
            larger than its storage or of a kind that no checkpoint contains.
    """
    stack, count = [(state, 0)], 0
    while stack:
        value, depth = stack.pop()
        count += 1
        if count > _MOST_VALUES or depth > _DEEPEST:
            raise ValueError("its values are too many or nested too deep")
        if isinstance(value, Mapping):
            stack.extend((item, depth + 1) for pair in value.items() for item in pair)
        elif isinstance(value, (list, tuple, set, frozenset)):
            stack.extend((item, depth + 1) for item in value)
        elif isinstance(value, torch.Tensor):
            plain = value.layout == torch.strided and value.device.type == "cpu"
            if not plain or value.numel() * value.element_size() > value.untyped_storage().nbytes():
                raise ValueError("a tensor in it is larger than what is stored of it")
