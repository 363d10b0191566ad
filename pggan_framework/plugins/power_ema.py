"""PowerEMA: averages of the generator for post-hoc EMA synthesis of any length after training."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor

from pggan_framework.errors import UserError
from pggan_framework.networks.torch_private import foreach
from pggan_framework.registry import register
from pggan_framework.storage.atomic import atomic_path
from pggan_framework.training.background import frozen
from pggan_framework.training.plugin import Every, Plugin
from pggan_framework.training.power_average import decay, gamma_of

FOLDER = "averages"
"""Folder of the stored averages, next to the checkpoints."""


@register("plugin")
class PowerEMA(Plugin):
    """Stores power-function averages of G (EDM2, Karras et al. 2024, arXiv 2312.02696) for ``pggan ema``.

    Each length costs one more average per step. Every few ticks, all averages, each as large as the generator, are
    written to one file. The average of a block begins when the block is added, or when the regular EMA restarts.

    Args:
        directory: the run's folder; passed by the run.
        lengths: relative lengths: standard deviations of the averaging profiles, as fractions of the training.
        snapshot_ticks: ticks between two files.

    Raises:
        UserError: if a number is outside its limits.
    """

    injected: ClassVar[tuple[str, ...]] = ("directory",)
    main_process_only = True
    every = Every(1, "iteration"), Every(1, "tick")

    def __init__(self, directory: Path, lengths: tuple[float, float] = (0.05, 0.1), snapshot_ticks: int = 5) -> None:
        try:
            self._gammas = {f"{length:g}": gamma_of(length) for length in lengths}
        except ValueError as error:
            raise UserError(f"PowerEMA.lengths: {error}; usual: 0.05,0.1") from error
        if snapshot_ticks < 1:
            raise UserError(f"PowerEMA.snapshot_ticks {snapshot_ticks} is not allowed; allowed: 1 and up")
        self.folder, self.snapshot_ticks = directory / FOLDER, snapshot_ticks
        self._averages: dict[str, dict[str, Tensor]] = {length: {} for length in self._gammas}
        self._before = self._stored = -1

    def before_step(self) -> None:
        """Record the training progress."""
        self._before = self.trainer.nimg

    @torch.no_grad()
    def after_step(self) -> None:
        """Update the averages with the weights in use."""
        nimg, births = self.trainer.nimg, self.trainer.parts.ema.births
        weights = {name: weight for name, weight in self.trainer.G.named_parameters() if name in births}
        for length, gamma in self._gammas.items():
            averages = self._averages[length]
            for birth in {births[name] for name in weights}:
                names = [name for name in weights if births[name] == birth]
                mine = [averages.setdefault(name, weights[name].detach().clone()) for name in names]
                rest = decay(gamma, nimg - birth, nimg - self._before)
                foreach("lerp_", mine, [weights[name].detach() for name in names], 1 - rest)

    def on_tick(self) -> None:
        """Write the averages if enough ticks have passed."""
        if self.trainer.tick % self.snapshot_ticks == 0:
            self._store()

    def on_end(self) -> None:
        """Write the last averages."""
        if self.trainer.iteration:
            self._store()

    def _store(self) -> None:
        if self.trainer.nimg == self._stored:
            return
        self._stored = self.trainer.nimg
        state = frozen(
            {"nimg": self._stored, "births": dict(self.trainer.parts.ema.births), "averages": self._averages}
        )
        path = self.folder / f"averages-{self._stored:09d}.pt"

        def write() -> None:
            path.parent.mkdir(parents=True, exist_ok=True)
            with atomic_path(path) as temporary:
                torch.save(state, temporary)

        self.trainer.background.submit(write, name="averages")

    def state_dict(self) -> dict[str, Any]:
        """Return the averages."""
        return {"averages": {length: dict(averages) for length, averages in self._averages.items()}}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the averages of lengths that are still configured."""
        device = next(self.trainer.G.parameters()).device
        for length, averages in state.get("averages", {}).items():
            if length in self._averages:
                self._averages[length] = {name: value.to(device, copy=True) for name, value in averages.items()}
