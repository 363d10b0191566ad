"""Checkpoints: written atomically, read without running any code from the file, complete for an exact resume."""

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
"""Values in a checkpoint, and how deep they are nested: a run's have some thousands, less than ten deep."""
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
    """A checkpoint cannot be written: the only write failure that ends a run."""


def save_checkpoint(path: Path, state: Mapping[str, Any]) -> None:
    """Write `state` (plain values and tensors) to `path`; a crash leaves the older file or the new one, never half.

    The new file is read back from the disk and its checksums are verified before it takes the older one's place.

    Raises:
        CheckpointError: if the file cannot be written (a full disk, a missing folder), or reads back damaged.
    """
    try:
        with atomic_path(path) as temporary:
            torch.save({"format": FORMAT, "version": VERSION, **state}, temporary)
            forget_cached(temporary)
            verify_zip(temporary)
    except (OSError, RuntimeError, MemoryError, DamagedError) as error:
        # torch's writer of zips does not pass on why a file takes no more bytes.
        reason = "the disk is full, or another limit is reached" if "unexpected pos" in str(error) else error
        raise CheckpointError(f"cannot write the checkpoint {path}: {reason}") from error


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint onto the CPU, its checksums verified.

    Raises:
        DamagedError: if it is cut short, damaged, or no file of torch.save.
        UserError: if the file does not exist, is not a checkpoint of this project, or has a version this release does
            not
            read.
    """
    if not path.is_file():
        raise UserError(f"checkpoint {path} does not exist; allowed: a network-snapshot-*.pt file")
    try:
        verify_zip(path)
        with catch_warnings():
            simplefilter("ignore")  # of what is odd in the file, which is refused here or is none of the user's
            state = torch.load(path, map_location="cpu", weights_only=True)
        check_tree(state)
    except Exception as error:  # what a hostile pickle raises depends on where it stops making sense
        reason = str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__
        if isinstance(error, UnpicklingError):  # torch's own words advise to run what the file requests
            reason = "it is not a file of plain values and tensors; nothing in it was run"
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
    """Check that a value from a file takes no more memory than the file: it may come from a stranger.

    Raises:
        ValueError: if values are nested too deep or refer to each other until they are too many, or a tensor is larger
            than its storage, or is of a kind that no checkpoint has.
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
