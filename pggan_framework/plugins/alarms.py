"""Alarms: detect failed training, then warn, stop, or roll back to the last good checkpoint."""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from pggan_framework.data.loader import to_network_range
from pggan_framework.errors import DivergedError, UserError, plural
from pggan_framework.plugins.saver import SaverPlugin
from pggan_framework.registry import register
from pggan_framework.runs.folders import number_of, snapshots
from pggan_framework.training.checkpoint import load_checkpoint
from pggan_framework.training.plugin import Plugin
from pggan_framework.training.randomness import derive

if TYPE_CHECKING:
    from pathlib import Path

    from pggan_framework.training.trainer import Trainer

_REALS, _FAKES = 22, 23  # random streams of the seed, for reals and fakes
_BATCH = 8
_SIDE = 64
"""Images are compared at up to this many pixels per side."""


@register("plugin")
class Alarms(Plugin):
    """Checks each tick for non-finite losses, gradients and weights, large losses, and mode collapse.

    Collapse is measured as the mean distance between two samples of the EMA generator, relative to the mean distance
    between two real images, and logged as ``diversity``.

    Policy ``warn`` logs an alarm once when it begins and once when it is over; ``stop`` ends the run as failed and
    keeps the last checkpoint; ``rollback`` resumes from that checkpoint with other random numbers, so the failure is
    not repeated. A non-finite loss ends a run under ``warn`` too.

    Args:
        policy: reaction to an alarm.
        max_loss: largest absolute mean of ``D_loss`` and ``G_loss`` over a tick; None disables the check.
        min_diversity: lower limit of ``diversity``; 0 disables the measurement.
        diversity_after_kimg: start of the diversity check; early samples are always similar.
        diversity_ticks: ticks between two measurements.
        samples: number of generated images, and of real images, in a measurement.
        rollbacks: largest number of rollbacks before the run stops.
    """

    def __init__(
        self,
        policy: Literal["warn", "stop", "rollback"] = "warn",
        max_loss: float | None = 1000.0,
        min_diversity: float = 0.1,
        diversity_after_kimg: float = 50.0,
        diversity_ticks: int = 5,
        samples: int = 32,
        rollbacks: int = 3,
    ) -> None:
        for name, value, least in (
            ("min_diversity", min_diversity, 0),
            ("diversity_after_kimg", diversity_after_kimg, 0),
            ("diversity_ticks", diversity_ticks, 1),
            ("samples", samples, 2),
            ("rollbacks", rollbacks, 1),
        ):
            if not value >= least:
                raise UserError(f"Alarms.{name} {value:g} is not allowed; allowed: {least} and up")
        if max_loss is not None and not max_loss > 0:
            raise UserError(f"Alarms.max_loss {max_loss:g} is not allowed; allowed: above 0, or None")
        self.policy = policy
        self.max_loss = max_loss
        self.min_diversity = min_diversity
        self.diversity_after_kimg = diversity_after_kimg
        self.diversity_ticks = diversity_ticks
        self.samples = samples
        self.rollbacks = rollbacks
        self._gone_back = 0
        self._ringing: set[str] = set()
        self._reals: dict[int, float] = {}

    def setup(self, trainer: Trainer) -> None:
        """Find the folder of the checkpoints.

        Raises:
            UserError: if the data have fewer images than a measurement needs.
        """
        super().setup(trainer)
        self._saver = next(plugin for plugin in trainer.parts.plugins if isinstance(plugin, SaverPlugin))
        if self.min_diversity:
            trainer.parts.dataset.check_all_present("Alarms.min_diversity")
        if self.min_diversity and len(trainer.parts.dataset) < 2:
            raise UserError("Alarms.min_diversity: a single image has no diversity; allowed: 0 for these data")

    def on_tick(self) -> None:
        """Run all checks.

        Raises:
            DivergedError: if a check fails, unless the policy is to warn.
        """
        alarms = {**self._not_finite(), **self._large_losses(), **self._collapse()}
        if self.policy == "warn":
            self._warn(alarms)
        elif alarms:
            raise DivergedError(f"alarm: {' and '.join(alarms.values())} at {self.trainer.kimg:.1f} kimg")

    def on_diverged(self, error: DivergedError) -> bool:
        """Roll back to the last checkpoint if the policy, the checkpoints and the limit allow it."""
        if self.policy != "rollback":
            return False
        trainer, logger = self.trainer, self.trainer.parts.logger
        trainer.background.join()
        trainer.world.barrier()
        checkpoint = self._last_checkpoint()
        if checkpoint is None or self._gone_back >= self.rollbacks:
            limit = f"{plural(self._gone_back, 'time')} is the limit"
            reason = "there is no checkpoint yet" if checkpoint is None else limit
            logger.message(f"rollback is not possible: {reason}")
            return False
        count = self._gone_back + 1
        # Loading also restores the count and stream of this plugin, which must not be reset.
        trainer.load_state_dict(load_checkpoint(checkpoint))
        self._gone_back = trainer.stream = count
        # The text after the semicolon is a monitor's advice for a run that has ended.
        reason = str(error).partition(";")[0]
        logger.message(
            f"{reason}; rolled back to {checkpoint.name} ({trainer.kimg:.1f} kimg), with other random numbers,"
            f" {count} of at most {plural(self.rollbacks, 'time')}"
        )
        return True

    def _last_checkpoint(self) -> Path | None:
        """Return the path of the newest checkpoint of this run."""
        found = [p for p in snapshots(self._saver.directory) if number_of(p) * 1000 <= self.trainer.nimg]
        return found[-1] if found else None

    def _warn(self, alarms: dict[str, str]) -> None:
        logger, kimg = self.trainer.parts.logger, self.trainer.kimg
        for name in alarms.keys() - self._ringing:
            logger.message(f"alarm: {alarms[name]} at {kimg:.1f} kimg")
        for name in sorted(self._ringing - alarms.keys()):
            logger.message(f"alarm is over: {name} at {kimg:.1f} kimg")
        self._ringing = set(alarms)

    def _not_finite(self) -> dict[str, str]:
        """Return alarms for non-finite gradients and weights; non-finite losses have already raised an error."""
        alarms = {}
        for name, network in (("G", self.trainer.G), ("D", self.trainer.D)):
            weights = list(network.parameters())
            gradients = [weight.grad for weight in weights if weight.grad is not None]
            for what, tensors in (("gradient", gradients), ("weights", [weight.detach() for weight in weights])):
                if tensors and not bool(torch.stack([_finite(tensor) for tensor in tensors]).all()):
                    alarms[f"{name} {what}"] = f"{name}'s {what} not finite"
        return alarms

    def _large_losses(self) -> dict[str, str]:
        if self.max_loss is None:
            return {}
        losses = {name: self.trainer.stats[name] for name in ("D_loss", "G_loss") if name in self.trainer.stats}
        return {
            name: f"{name} {loss:.4g}, beyond {self.max_loss:g}"
            for name, loss in losses.items()
            if abs(loss) > self.max_loss
        }

    def _collapse(self) -> dict[str, str]:
        trainer = self.trainer
        name = "diversity"
        if not self.min_diversity or trainer.tick % self.diversity_ticks:
            # Between two measurements, the last result applies.
            return {name: "diversity still too low"} if name in self._ringing else {}
        diversity = self._fake_distance() / max(self._real_distance(), 1e-12)
        trainer.stats[name] = diversity
        if trainer.kimg < self.diversity_after_kimg or diversity >= self.min_diversity:
            return {}
        if not isfinite(diversity):
            return {name: "samples not finite"}
        return {name: f"samples are alike: diversity {diversity:.3g}, below {self.min_diversity:g}"}

    def _fake_distance(self) -> float:
        """Return the mean distance of samples from constant latents, so that only the network differs between ticks."""
        seed = self.trainer.parts.seed
        sizes = [min(_BATCH, self.samples - start) for start in range(0, self.samples, _BATCH)]
        batches = [
            self._small(torch.from_numpy(self.trainer.sample(size, derive(seed, _FAKES, number))[0]))
            for number, size in enumerate(sizes)
        ]
        return mean_distance(torch.cat(batches))

    def _real_distance(self) -> float:
        """Return the mean distance of reals; measured once per depth."""
        trainer = self.trainer
        if trainer.depth not in self._reals:
            dataset = trainer.parts.dataset
            order = np.random.default_rng(derive(trainer.parts.seed, _REALS)).permutation(len(dataset))
            chosen = order[: self.samples].tolist()
            batches = [
                self._small(
                    to_network_range(
                        torch.from_numpy(dataset.images(chosen[start : start + _BATCH], trainer.depth)),
                        dataset.range_in,
                        (-1, 1),
                    )
                )
                for start in range(0, len(chosen), _BATCH)
            ]
            self._reals[trainer.depth] = mean_distance(torch.cat(batches))
        return self._reals[trainer.depth]

    def _small(self, pictures: Tensor) -> Tensor:
        """Reduce images [N, C, h, w] to the largest size of the data with at most 64 pixels per side."""
        growth = self.trainer.parts.dataset.growth
        depth = max(d for d in range(self.trainer.depth + 1) if d == 0 or max(growth.shape_at(d)[1:]) <= _SIDE)
        size = growth.shape_at(depth)[1:]
        return F.adaptive_avg_pool2d(pictures, size)

    def state_dict(self) -> dict[str, Any]:
        """Return the number of rollbacks and the active alarms."""
        return {"gone_back": self._gone_back, "ringing": sorted(self._ringing)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the counts."""
        self._gone_back = state.get("gone_back", 0)
        self._ringing = set(state.get("ringing", []))


def mean_distance(pictures: Tensor) -> float:
    """Return the mean pairwise Euclidean distance of `pictures` [N, C, h, w]; N is 2 or more."""
    return float(torch.pdist(pictures.flatten(1).double()).mean())


def _finite(tensor: Tensor) -> Tensor:
    """True if all of `tensor` is finite, as a tensor on its device; the maximum propagates NaN."""
    return tensor.abs().max().isfinite()
