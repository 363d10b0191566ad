"""Randomness derived from (seed, rank, nimg), so that a resumed run needs no iterator state."""

from __future__ import annotations

import random
import threading
from typing import Any

import numpy as np
import torch

GLOBAL_GENERATORS = threading.RLock()
"""Lock that is held from seeding the global generators of torch, NumPy and Python until the dependent numbers are
drawn. The generators are global to the process, so if two threads have runs, only one run takes a step at a time.
"""


def derive(*numbers: int) -> int:
    """Hash integers to a 63-bit seed; equal numbers give equal seeds, and different numbers give unrelated seeds."""
    low, high = np.random.SeedSequence([number & (2**64 - 1) for number in numbers]).generate_state(2, np.uint32)
    return (int(high) << 32 | int(low)) & (2**63 - 1)


def seed_step(seed: int, rank: int, nimg: int) -> None:
    """Seed the global generators of torch (all devices), numpy and Python for the step that starts at `nimg` images.

    All random numbers of a step, in the networks, the loss or a plugin, are then a function of (seed, rank, nimg).
    """
    step_seed = derive(seed, rank, nimg)
    # Equivalent to torch.manual_seed without the stack trace that it records at each call, which would take a fifth of
    # the smallest step.
    torch.default_generator.manual_seed(step_seed)
    if torch.cuda.is_available():
        torch.cuda.manual_seed_all(step_seed)
    elif torch.backends.mps.is_available():
        torch.mps.manual_seed(step_seed)
    np.random.seed(step_seed & (2**32 - 1))  # noqa: NPY002  -- user-defined plugins may use the global generator
    random.seed(step_seed)


def random_state() -> dict[str, Any]:
    """Return the state of the global generators of torch, numpy and Python, as plain values and tensors."""
    numpy_state = np.random.get_state(legacy=False)  # noqa: NPY002
    assert isinstance(numpy_state, dict)
    version, words, gauss = random.getstate()
    return {
        "torch": torch.get_rng_state(),
        "numpy": {
            "key": torch.from_numpy(numpy_state["state"]["key"].astype(np.int64)),
            "pos": int(numpy_state["state"]["pos"]),
            "has_gauss": int(numpy_state["has_gauss"]),
            "gauss": float(numpy_state["gauss"]),
        },
        "python": {"version": version, "words": list(words), "gauss": gauss},
    }


def restore_random_state(state: dict[str, Any]) -> None:
    """Restore a state from `random_state`."""
    torch.set_rng_state(state["torch"])
    words = state["numpy"]
    np.random.set_state(  # noqa: NPY002
        ("MT19937", words["key"].numpy().astype(np.uint32), words["pos"], words["has_gauss"], words["gauss"])
    )
    python = state["python"]
    random.setstate((python["version"], tuple(python["words"]), python["gauss"]))
