"""Checkpoints: written atomically, read without running any code from the file, complete for an exact resume."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any
from warnings import catch_warnings, simplefilter

import torch

from pggan_framework.errors import UserError
from pggan_framework.storage.atomic import atomic_path

FORMAT = "pggan_framework checkpoint"
VERSION = 1
_PARTS = (
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


def save_checkpoint(path: Path, state: Mapping[str, Any]) -> None:
    """Write `state` (plain values and tensors) to `path`; a crash leaves the older file or the new one, never half.

    Raises:
        UserError: if the file cannot be written (a full disk, a missing folder).
    """
    try:
        with atomic_path(path) as temporary:
            torch.save({"format": FORMAT, "version": VERSION, **state}, temporary)
    except (OSError, RuntimeError) as error:
        raise UserError(f"cannot write the checkpoint {path}: {error}") from error


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint onto the CPU.

    Raises:
        UserError: if there is no such file, it is cut short, it is no checkpoint of this project, or of a version this
            release does not read.
    """
    if not path.is_file():
        raise UserError(f"checkpoint {path} does not exist; allowed: a network-snapshot-*.pt file")
    try:
        with catch_warnings():
            simplefilter("ignore")  # of what is odd in the file, which is refused here or is none of the user's
            state = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, UnpicklingError, EOFError, ValueError, OSError, KeyError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        if isinstance(error, UnpicklingError):  # torch's own words advise to run what the file asks for
            reason = "it is no file of plain values and tensors; nothing in it was run"
        raise UserError(
            f"{path} cannot be read as a checkpoint: it is cut short or of another kind ({reason})"
        ) from error
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        raise UserError(f"{path} is no checkpoint of pggan_framework; allowed: a network-snapshot-*.pt written by it")
    if state.get("version") != VERSION:
        raise UserError(f"{path} is of checkpoint version {state.get('version')}; this release reads version {VERSION}")
    missing = [part for part in _PARTS if part not in state]
    if missing:
        raise UserError(f"{path} lacks {', '.join(missing)}: it is no complete checkpoint")
    return state
