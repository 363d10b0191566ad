"""The loop: counts nimg and ticks, takes steps, calls plugins."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import inf
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pggan_framework.data.base import DepthDataset
from pggan_framework.data.loader import BatchLoader, to_network_range
from pggan_framework.errors import DivergedError, UserError
from pggan_framework.labels.attributes import Labels
from pggan_framework.loggers.base import Logger
from pggan_framework.losses.context import Progress
from pggan_framework.networks.base import DiscriminatorBase, GeneratorBase
from pggan_framework.registry import register
from pggan_framework.training.background import Background
from pggan_framework.training.budget import Budget
from pggan_framework.training.ema import EMA
from pggan_framework.training.plugin import Every, Plugin
from pggan_framework.training.randomness import GLOBAL_GENERATORS, derive, seed_step
from pggan_framework.training.state import restore, state_of
from pggan_framework.training.step import TrainingStep
from pggan_framework.training.timing import Timing

_STREAMS = 21  # which stream of the seed the further ones are drawn from


@dataclass
class Parts:
    """What a trainer works with, built by `experiment`.

    Args:
        dataset: the pictures.
        loader: gives their batches.
        step: one update of D and of G.
        ema: the averaged generator.
        plugins: called in this order.
        device: where the networks are.
        minibatch_size: real images a D update; DepthManager changes it with the depth.
        total_kimg: when to end, in thousand real images.
        seed: the run's seed.
        config: the resolved configuration, for the checkpoints.
        directory: the run's folder, for plugins that write files.
        logger: hears of what plugins write and have to say.
        budget: wall-clock time of this start of the program; None: no limit.
        origin: the models that the weights come from, oldest first, as plain values; none for a run from the start.
        machine: what results depend on to the last bit besides the configuration, for the checkpoints.
    """

    dataset: DepthDataset
    loader: BatchLoader
    step: TrainingStep
    ema: EMA
    plugins: Sequence[Plugin]
    device: torch.device
    minibatch_size: int
    total_kimg: float
    seed: int
    config: Mapping[str, Any] = field(default_factory=dict)
    directory: Path | None = None
    logger: Logger = field(default_factory=Logger)
    budget: Budget | None = None
    origin: list[dict[str, Any]] = field(default_factory=list)
    machine: Mapping[str, str] = field(default_factory=dict)


@register("training")
class Trainer:
    """Trains both networks until `total_kimg` thousand real images were shown.

    Args:
        parts: networks, data, plugins; built by the experiment.
        D_training_repeats: discriminator updates for each generator update; each takes a new batch of reals.
        tick_nimg_default: images a tick where no DepthManager says otherwise.
        resume_nimg: images at which a new run's schedule starts, for a network taken from elsewhere.
        label_sampling: how the labels of G's updates are drawn. data: as often as the data have them; uniform: every
            value of a label as often as any other, each label apart, and a continuous one anywhere in its range.
        write_in_background: write pictures, sounds and checkpoints while training goes on; False: one after the other.

    Raises:
        UserError: if a number is outside its limits.
    """

    injected: ClassVar[tuple[str, ...]] = ("parts",)

    def __init__(
        self,
        parts: Parts,
        D_training_repeats: int = 1,
        tick_nimg_default: int = 2000,
        resume_nimg: int = 0,
        label_sampling: Literal["data", "uniform"] = "data",
        write_in_background: bool = True,
    ) -> None:
        for name, value in (("D_training_repeats", D_training_repeats), ("tick_nimg_default", tick_nimg_default)):
            if value < 1:
                raise UserError(f"Trainer.{name} {value} is not allowed; allowed: 1 and up")
        if not 0 <= resume_nimg < parts.total_kimg * 1000:
            raise UserError(
                f"Trainer.resume_nimg {resume_nimg} is not allowed; allowed: 0 and up, in images, and less than"
                f" total_kimg, {parts.total_kimg:g} thousand"
            )
        self.parts = parts
        self.world = parts.step.world
        self.share = 1.0
        """Of the last batch, what this process has computed."""
        self.plugins = [plugin for plugin in parts.plugins if self.world.main or not plugin.main_process_only]
        self.D_training_repeats = D_training_repeats
        self.label_sampling = label_sampling
        self.nimg = self.tick_start_nimg = resume_nimg
        self.tick = 0
        self.iteration = 0
        self.minibatch_size = parts.minibatch_size
        self.tick_nimg = tick_nimg_default
        self.stats: dict[str, float] = {}
        """The tick's figures; plugins add theirs in `on_tick`."""
        self.losses: dict[str, Tensor] = {}
        """The last step's means, scalars on the device."""
        self.lr_factors: dict[str, float] = {}
        """What the learning rates are multiplied by, by who asks for it."""
        self.stop_reason = self._wish = ""
        self.failed = False
        self.finishing = False
        """Whether a clock ends training as planned."""
        self.stream = 0
        """Which of the seed's streams of random numbers the steps draw from; another one repeats nothing exactly."""
        self.open_state: dict[str, Any] | None = None
        """The state before a last, shorter tick was closed, where there was one: a longer run goes on from it."""
        self.background = Background(write_in_background)
        """Writes files while training goes on."""
        self.timing = Timing()
        """What the steps have waited for."""
        # A process must not be forked while a thread of this one may hold a lock.
        parts.loader.before_fork = self.background.join
        self._clock: dict[tuple[int, Every], float] = {}

    @property
    def G(self) -> GeneratorBase:
        """The generator being trained."""
        return self.parts.step.G

    @property
    def D(self) -> DiscriminatorBase:
        """The discriminator being trained."""
        return self.parts.step.D

    @property
    def kimg(self) -> float:
        """Thousand real images shown so far."""
        return self.nimg / 1000

    @property
    def depth(self) -> int:
        """Index of the deepest block in use."""
        return self.G.depth

    @property
    def total_nimg(self) -> int:
        """Images at which training ends."""
        return round(self.parts.total_kimg * 1000)

    def stop(self, reason: str) -> None:
        """End training after the step that is under way; with several processes, when all have heard of it."""
        if self.world.size == 1:
            self.stop_reason = self.stop_reason or reason
        else:
            self._wish = self._wish or reason
            self.parts.step.wish = True

    def finish(self, reason: str) -> None:
        """End training after the step that is under way as at `total_kimg`: its last, shorter tick is closed.

        With several processes it is a `stop`, since their clocks differ and closing a tick is a common effort.
        """
        self.finishing = self.finishing or (self.world.size == 1 and not self.stop_reason)
        self.stop(reason)

    @property
    def ending(self) -> bool:
        """Whether the step or tick under way is the last: what `on_end` writes need not be written before."""
        return bool(self.stop_reason) or self.nimg >= self.total_nimg

    @property
    def complete(self) -> bool:
        """Whether the run has come to its end, so that no step is left to take."""
        return self.nimg >= self.total_nimg or any(plugin.complete for plugin in self.plugins)

    @property
    def budget(self) -> Budget | None:
        """Wall-clock time of this start of the program; None where there is no limit."""
        return self.parts.budget

    @property
    def seconds_left(self) -> float:
        """Seconds until a clock ends training, whichever is first; infinity where only images are counted."""
        return min((plugin.seconds_left() for plugin in self.plugins), default=inf)

    def grow_to(self, depth: int, alpha: float) -> None:
        """Set depth and alpha of G, D and the averaged generator; tells the plugins where the depth has changed."""
        changed = depth != self.G.depth
        for network in (self.G, self.D, self.parts.ema.generator):
            network.depth = depth
            network.alpha = alpha
        if changed and self.iteration > 0:
            for plugin in self.plugins:
                plugin.on_depth_change()

    def generate(self, latents: Tensor, labels: Labels | None = None) -> NDArray[np.float32]:
        """Pictures [N, C, h, w] in [-1, 1] of the averaged generator, at the current depth and alpha.

        Args:
            latents: [N, F].
            labels: [N, A], where the data are labelled.
        """
        parts = self.parts
        space, extra = parts.dataset.label_space, []
        if space is not None and labels is not None:
            extra = [torch.from_numpy(space.condition(labels, self.G.size)).to(parts.device)]
        with torch.no_grad():
            pictures: NDArray[np.float32] = parts.ema.generator(latents.to(parts.device), *extra).float().cpu().numpy()
        low, high = parts.dataset.range_out
        return pictures if (low, high) == (-1, 1) else ((pictures - low) * (2 / (high - low)) - 1).astype(np.float32)

    def sample(self, count: int, seed: int) -> tuple[NDArray[np.float32], Labels | None]:
        """`count` pictures of `generate` and their labels [count, A], drawn as the data have them; None without.

        They depend on `seed` and the weights, and do not touch the training's own randomness.
        """
        random = torch.Generator().manual_seed(seed)
        latents = torch.randn(count, self.G.latent_size, generator=random)
        labels = self.parts.dataset.labels
        if self.parts.dataset.label_space is None or labels is None:
            return self.generate(latents), None
        drawn = labels[torch.randint(len(labels), (count,), generator=random).numpy()]
        return self.generate(latents, drawn), drawn

    def setup(self) -> None:
        """Set up every plugin; before any state is loaded."""
        for plugin in self.plugins:
            plugin.setup(self)

    def run(self) -> None:
        """Train until the end, a `stop` or an error; every plugin's `on_end` runs in each case."""
        try:
            while not self._train():
                pass
        except BaseException:
            self.failed = True
            raise
        finally:
            self._end()

    def _train(self) -> bool:
        """Train until the end or a `stop`; False where training has diverged and a plugin has put it right."""
        try:
            while self.nimg < self.total_nimg and not self.stop_reason:
                # Two runs in two threads share the global generators.
                with GLOBAL_GENERATORS:
                    self.take_step()
                if self.nimg - self.tick_start_nimg >= self.tick_nimg:
                    self.end_tick()
            if self.finishing and self.nimg > self.tick_start_nimg:
                self.end_tick()
            elif not self.stop_reason and self.nimg > self.tick_start_nimg:
                self.open_state = self.state_dict()
                self.end_tick()
        except DivergedError as error:
            if not any(plugin.on_diverged(error) for plugin in self.plugins):
                raise
            self.open_state = None
            return False
        return True

    def _end(self) -> None:
        """Call every plugin's `on_end`; the first error is raised when all have been called."""
        errors: list[Exception] = []
        for plugin in self.plugins:
            try:
                plugin.on_end()
            except Exception as error:  # noqa: BLE001  -- the other plugins must still get to end
                errors.append(error)
        try:
            self.background.close()
        except Exception as error:  # noqa: BLE001  -- see above
            errors.append(error)
        self.parts.loader.close()
        if errors and not self.failed:
            raise errors[0]

    def take_step(self) -> None:
        """One step: D on one batch of reals or more, then G, then the average; then the plugins."""
        for plugin in self.plugins:
            plugin.before_step()
        before = self.nimg
        parts = self.parts
        ranges = parts.dataset.range_in, parts.dataset.range_out
        self._seed(before)
        for repeat in range(self.D_training_repeats):
            with self.timing.of("data"):
                batch = parts.loader.batch(self.nimg, self.depth, self.minibatch_size)
            reals = to_network_range(batch.to(parts.device, non_blocking=True), *ranges)
            labels = parts.loader.labels(self.nimg, self.depth, self.minibatch_size)
            self.nimg += self.minibatch_size
            self.losses = parts.step.discriminator_update(
                reals,
                None if labels is None else labels.to(parts.device, non_blocking=True),
                Progress(before, self.iteration * self.D_training_repeats + repeat),
                self.minibatch_size,
            )
        G_losses = parts.step.generator_update(self.minibatch_size, Progress(before, self.iteration))
        self.losses = {**self.losses, **G_losses}
        parts.ema.update(self.G, self.nimg, self.nimg - before)
        self.iteration += 1
        self.share = parts.step.division(self.minibatch_size).rank.share
        if self.world.agreed():
            self.stop_reason = self._wish or "another process was asked to stop"
        for plugin in self.plugins:
            if self._due(plugin, before):
                plugin.after_step()

    def _seed(self, nimg: int) -> None:
        """Seed what the step that starts at `nimg` images draws: alike in all processes, or in this one alone."""
        seed = derive(self.parts.seed, _STREAMS, self.stream) if self.stream else self.parts.seed
        if self.world.size == 1:
            seed_step(seed, 0, nimg)
        else:
            self.world.seed(derive(seed, 0, nimg))
            seed_step(seed, self.world.rank + 1, nimg)

    def _due(self, plugin: Plugin, before: int) -> bool:
        """Whether `after_step` is due: always, unless the plugin counts in iterations, kimg or seconds."""
        intervals = [every for every in plugin.intervals() if every.unit != "tick"]
        return not intervals or any(self._passed(plugin, every, before) for every in intervals)

    def _passed(self, plugin: Plugin, every: Every, before: int) -> bool:
        """Whether one interval ended within the last step, which started at `before` images."""
        if every.unit == "iteration":
            return self.iteration % max(1, round(every.count)) == 0
        if every.unit == "kimg":
            length = every.count * 1000
            return self.nimg // length > before // length
        key, now = (id(plugin), every), time.monotonic()
        if now - self._clock.setdefault(key, now) < every.count:
            return False
        self._clock[key] = now
        return True

    def end_tick(self) -> None:
        """Close the tick: fresh `stats`, then every plugin's `on_tick` that is due."""
        start = Budget.now()
        self.background.collect()
        if self.world.size > 1:
            networks = self.G, self.D, self.parts.ema.generator
            self.world.broadcast([buffer for network in networks for buffer in network.buffers()])
            self.world.check_equal([weight for network in networks for weight in network.parameters()])
        self.tick += 1
        self.tick_start_nimg = self.nimg
        self.stats = {"tick": self.tick, "nimg": self.nimg, "kimg": self.kimg, "depth": self.depth}
        for plugin in self.plugins:
            ticks = [every.count for every in plugin.intervals() if every.unit == "tick"]
            if not ticks or any(self.tick % max(1, round(count)) == 0 for count in ticks):
                plugin.on_tick()
        if self.budget is not None:
            self.budget.note("tick", Budget.now() - start)

    def state_dict(self) -> dict[str, Any]:
        """Everything an exact resume needs: plain values and tensors."""
        return state_of(self)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where `state` was taken; after `setup`."""
        restore(self, state)
