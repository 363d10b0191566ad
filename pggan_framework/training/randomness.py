"""Randomness derived from (seed, rank, nimg), so that a resumed run needs no iterator state."""

from __future__ import annotations

import random
import threading
from typing import Any

import numpy as np
import torch

GLOBAL_GENERATORS = threading.RLock()
"""Held by whoever seeds torch's, NumPy's and Python's global generators until what depends on them is drawn.

They belong to the process: of two runs in two threads, one takes a step at a time."""


def derive(*numbers: int) -> int:
    """Mix whole numbers into one 63-bit seed; the same numbers give the same seed, others an unrelated one."""
    low, high = np.random.SeedSequence([number & (2**64 - 1) for number in numbers]).generate_state(2, np.uint32)
    return (int(high) << 32 | int(low)) & (2**63 - 1)


def seed_step(seed: int, rank: int, nimg: int) -> None:
    """Seed torch (every device), numpy's global generator and Python's for the step that starts at `nimg` images.

    All that a step draws, in the networks, the loss or a plugin, is then a function of (seed, rank, nimg).
    """
    step_seed = derive(seed, rank, nimg)
    # What torch.manual_seed does, without the stack trace that it takes at each call and that costs a fifth of the
    # smallest step.
    torch.default_generator.manual_seed(step_seed)
    if torch.cuda.is_available():
        torch.cuda.manual_seed_all(step_seed)
    elif torch.backends.mps.is_available():
        torch.mps.manual_seed(step_seed)
    np.random.seed(step_seed & (2**32 - 1))  # noqa: NPY002  -- a user's plugin may draw from the global one
    random.seed(step_seed)


def random_state() -> dict[str, Any]:
    """The state of torch's, numpy's and Python's global generators, as plain values and tensors."""
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
    """Take back what `random_state` gave."""
    torch.set_rng_state(state["torch"])
    words = state["numpy"]
    np.random.set_state(  # noqa: NPY002
        ("MT19937", words["key"].numpy().astype(np.uint32), words["pos"], words["has_gauss"], words["gauss"])
    )
    python = state["python"]
    random.setstate((python["version"], tuple(python["words"]), python["gauss"]))
