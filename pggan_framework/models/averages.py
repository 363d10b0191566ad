"""EMA generators of any averaging length, combined from the averages that a run has stored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pggan_framework.errors import UserError
from pggan_framework.plugins.power_ema import FOLDER
from pggan_framework.training.checkpoint import check_tree
from pggan_framework.training.power_average import Profile, coefficients, gamma_of


def stored_averages(folder: Path, nimg: int) -> list[dict[str, Any]]:
    """The averages that `PowerEMA` stored next to the checkpoints in `folder`, up to `nimg` images, oldest first.

    Raises:
        UserError: if there are no averages, or a file is damaged.
    """
    found: list[dict[str, Any]] = []
    for path in sorted((folder / FOLDER).glob("averages-*.pt")):
        try:
            state = torch.load(path, map_location="cpu", weights_only=True)
            check_tree(state)
            whole = {length: dict(values) for length, values in state["averages"].items()}
            found.append({"nimg": int(state["nimg"]), "births": dict(state["births"]), "averages": whole})
        except Exception as error:  # a hostile pickle can raise almost any exception
            raise UserError(f"{path} is damaged ({error!r}); remove it, since the others are enough") from error
    found = [state for state in found if state["nimg"] <= nimg]
    if not found:
        raise UserError(
            f"{folder / FOLDER} contains no averages up to {nimg} images; allowed: runs with --plugins PowerEMA"
        )
    return found


def with_length(state: Mapping[str, Any], stored: Sequence[Mapping[str, Any]], length: float) -> dict[str, Any]:
    """Return a checkpoint whose EMA generator has a different averaging length.

    The average of a weight combines the averages stored since it was first trained. A weight without stored averages is
    unchanged.

    Args:
        state: contents of the checkpoint.
        stored: result of `stored_averages`.
        length: relative length of the average.

    Raises:
        ValueError: if the length is not above 0 and below 0.289.
    """
    gamma, ema = gamma_of(length), dict(state["ema"])
    born = state["trainer"]["ema_births"]
    solved: dict[tuple[float, tuple[int, ...]], list[float]] = {}
    for name in [name for name in ema if name in born]:
        birth = born[name]
        of_weight: list[tuple[Profile, int, Tensor]] = [
            ((float(row["nimg"] - birth), gamma_of(float(kept))), row["nimg"], values[name])
            for row in stored
            if row["births"].get(name) == birth and row["nimg"] > birth
            for kept, values in row["averages"].items()
            if name in values and values[name].shape == ema[name].shape
        ]
        if not of_weight:
            continue
        key = birth, tuple(nimg for _, nimg, _ in of_weight)
        if key not in solved:
            solved[key] = coefficients([p for p, _, _ in of_weight], (float(state["nimg"] - birth), gamma))
        total = sum(factor * value.double() for factor, (_, _, value) in zip(solved[key], of_weight, strict=True))
        ema[name] = torch.as_tensor(total).to(ema[name].dtype)
    return {**state, "ema": ema}
