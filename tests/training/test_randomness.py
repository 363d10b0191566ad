"""Every global generator is a function of (seed, rank, nimg), and can be kept and given back."""

from __future__ import annotations

import random

import numpy as np
import torch

from pggan_framework.training.randomness import derive, random_state, restore_random_state, seed_step


def draw() -> tuple[list[float], float, float]:
    return torch.rand(3).tolist(), float(np.random.rand()), random.random()  # noqa: NPY002


def test_a_step_draws_the_same_whatever_came_before() -> None:
    seed_step(7, 0, 160)
    first = draw()
    draw()
    seed_step(7, 0, 160)
    assert draw() == first
    for other in ((8, 0, 160), (7, 1, 160), (7, 0, 176)):
        seed_step(*other)
        assert all(a != b for a, b in zip(draw(), first, strict=True))


def test_torch_is_seeded_as_by_its_own_function() -> None:
    seed_step(7, 0, 160)
    ours = torch.rand(5)
    torch.manual_seed(derive(7, 0, 160))
    assert torch.equal(ours, torch.rand(5))


def test_the_state_is_given_back() -> None:
    seed_step(1, 0, 0)
    draw()
    state = random_state()
    after = draw()
    draw()
    restore_random_state(state)
    assert draw() == after
