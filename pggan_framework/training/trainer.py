"""The training loop: counts nimg and ticks, takes steps and calls plugins."""

from __future__ import annotations

from math import inf
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pggan_framework.cpu.transfer import to_device
from pggan_framework.data.loader import to_network_range
from pggan_framework.data.workers import StoppedWaitingError
from pggan_framework.errors import DivergedError, UserError
from pggan_framework.labels.attributes import Labels
from pggan_framework.losses.context import Progress
from pggan_framework.networks.base import DiscriminatorBase, GeneratorBase
from pggan_framework.registry import register
from pggan_framework.training.background import Background, frozen
from pggan_framework.training.budget import Budget
from pggan_framework.training.hooks import Hooks
from pggan_framework.training.parts import Parts
from pggan_framework.training.randomness import GLOBAL_GENERATORS, derive, seed_step
from pggan_framework.training.state import restore, state_of
from pggan_framework.training.timing import Timing

_STREAMS = 21  # random stream of the seed from which further streams are drawn


@register("training")
class Trainer:
    """Trains both networks on `total_kimg` thousand real images.

    Args:
        parts: networks, data and plugins, built by the experiment.
        D_training_repeats: number of updates of D per update of G; each uses a new batch of reals.
        tick_nimg_default: number of images per tick, unless DepthManager sets it.
        resume_nimg: position in images where the schedule of a new run with trained networks starts.
        label_sampling: labels of G's updates: ``data``, with the data's frequencies; or ``uniform``, with equal
            frequencies, or uniform over the range of a continuous label.
        write_in_background: write images, sounds and checkpoints while training continues, instead of between steps.

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
        """The fraction of the last batch that this rank computed."""
        self.plugins = [plugin for plugin in parts.plugins if self.world.main or not plugin.main_process_only]
        self.hooks = Hooks(self.plugins, parts.logger)
        self.D_training_repeats = D_training_repeats
        self.label_sampling = label_sampling
        self.nimg = self.tick_start_nimg = resume_nimg
        self.tick = 0
        self.iteration = 0
        self.minibatch_size = parts.minibatch_size
        self.tick_nimg = tick_nimg_default
        self.stats: dict[str, float] = {}
        """The values of the tick, to which plugins add values in `on_tick`."""
        self.losses: dict[str, Tensor] = {}
        """The means of the last step, as scalars on the device."""
        self.lr_factors: dict[str, float] = {}
        """Learning-rate factors, by the component that sets them."""
        self.stop_reason = self._stop_request = ""
        self.failed = False
        self.finishing = False
        """True if the growth plan ends training by time."""
        self.stream = 0
        """The random stream of the seed that the steps use; another stream gives different numbers."""
        self.open_state: dict[str, Any] | None = None
        """The state for the next checkpoint, if it is not the current state: the state before a last, shorter tick was
        closed, from which a longer run resumes, or before a change of depth whose first step may not fit into memory.
        """
        self._consistent = True
        """True between two steps; False within a step once a weight has changed."""
        for optimizer in (parts.step.D_optimizer, parts.step.G_optimizer):
            optimizer.register_step_pre_hook(lambda *_: setattr(self, "_consistent", False))
        self.background = Background(write_in_background, self.hooks.warn)
        """The thread that writes files while training continues."""
        self.timing = Timing()
        """Waiting times of the steps."""
        # Do not fork while a thread of this process may hold a lock.
        parts.loader.before_fork = self.background.join
        parts.loader.stopping = lambda: bool(self.stop_reason or self._stop_request)

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
        """The number of real images shown so far, in thousands."""
        return self.nimg / 1000

    @property
    def depth(self) -> int:
        """Index of the deepest block in use."""
        return self.G.depth

    @property
    def total_nimg(self) -> int:
        """The number of images at which training ends."""
        return round(self.parts.total_kimg * 1000)

    def stop(self, reason: str) -> None:
        """End training after the current step; in distributed training, after all ranks have agreed."""
        if self.world.size == 1:
            self.stop_reason = self.stop_reason or reason
        else:
            self._stop_request = self._stop_request or reason
            self.parts.step.stop_requested = True

    def finish(self, reason: str) -> None:
        """End training after the current step as if `total_kimg` were reached: close the last, shorter tick.

        In distributed training this is a `stop`, since the clocks of the ranks differ and closing a tick is a
        collective operation.
        """
        self.finishing = self.finishing or (self.world.size == 1 and not self.stop_reason)
        self.stop(reason)

    @property
    def ending(self) -> bool:
        """True during the last step or tick, in which plugins can skip files that `on_end` will write."""
        return bool(self.stop_reason) or self.nimg >= self.total_nimg

    @property
    def complete(self) -> bool:
        """True if the run is complete."""
        return self.nimg >= self.total_nimg or any(plugin.complete for plugin in self.plugins)

    @property
    def budget(self) -> Budget | None:
        """The time budget of this command; None for no limit."""
        return self.parts.budget

    @property
    def seconds_left(self) -> float:
        """Seconds until the first clock ends training; infinity if only images are counted."""
        return min((plugin.seconds_left() for plugin in self.plugins), default=inf)

    def grow_to(self, depth: int, alpha: float) -> None:
        """Set depth and alpha of G, D and the EMA generator; calls the plugins if the depth has changed."""
        changed = depth != self.G.depth
        if changed and self.iteration > 0 and self.world.size == 1:
            self.open_state = frozen(self.state_dict())
        for network in (self.G, self.D, self.parts.ema.generator):
            network.depth = depth
            network.alpha = alpha
        if changed and self.iteration > 0:
            self.hooks.call("on_depth_change")

    def generate(self, latents: Tensor, labels: Labels | None = None) -> NDArray[np.float32]:
        """Generate images [N, C, h, w] in [-1, 1] with the EMA generator, at the current depth and alpha.

        Args:
            latents: latents, [N, F].
            labels: labels, [N, A], for labelled data.
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
        """Generate `count` images and their labels [count, A] with the data's frequencies; None without labels.

        The result depends only on `seed` and the weights, and the random state of the training is left unchanged.
        """
        random = torch.Generator().manual_seed(seed)
        latents = torch.randn(count, self.G.latent_size, generator=random)
        labels = self.parts.dataset.labels
        if self.parts.dataset.label_space is None or labels is None:
            return self.generate(latents), None
        drawn = labels[torch.randint(len(labels), (count,), generator=random).numpy()]
        return self.generate(latents, drawn), drawn

    def setup(self) -> None:
        """Set up every plugin; call this before any state is loaded."""
        for plugin in self.plugins:
            plugin.setup(self)

    def run(self) -> None:
        """Train until the end, a `stop` or an error; `on_end` of every plugin runs in each case."""
        try:
            while not self._train():
                pass
        except BaseException as error:
            self.failed = True
            # No state is saved after a second Ctrl-C, which ends immediately; if weights are not finite, since they
            # must not replace a checkpoint; or after a failure in distributed training, since the ranks cannot gather
            # their sums of the tick.
            if isinstance(error, DivergedError) or not isinstance(error, Exception) or self.world.size > 1:
                self.open_state, self._consistent = None, False
            raise
        finally:
            self._end()

    def _train(self) -> bool:
        """Train until the end or a `stop`; returns False if training has diverged and a plugin has recovered it."""
        try:
            while self.nimg < self.total_nimg and not self.stop_reason:
                # Runs in other threads share the global generators.
                with GLOBAL_GENERATORS:
                    self.take_step()
                if self.nimg - self.tick_start_nimg >= self.tick_nimg:
                    self.end_tick()
            self._close_last_tick()
        except StoppedWaitingError:
            # The next batch failed. The other ranks wait for the gradients of this rank and must not wait forever.
            if self.world.size > 1:
                raise UserError("training was about to end, but a batch of data did not arrive") from None
            self.stop_reason = self.stop_reason or "no data"
        except DivergedError as error:
            if not any(plugin.on_diverged(error) for plugin in self.plugins):
                raise
            self.open_state, self._consistent = None, True
            return False
        return True

    def _close_last_tick(self) -> None:
        """Close a last tick that is shorter than the others; after a `stop`, the tick stays open for a resume."""
        shorter = self.nimg > self.tick_start_nimg
        if not (shorter and self.finishing):
            self.hooks.call("on_stop")
            self.open_state = self.state_dict()
        if shorter and (self.finishing or not self.stop_reason):
            self.end_tick()

    def _end(self) -> None:
        """Call `on_end` of every plugin; the first error is raised, or logged if another error has ended the run."""
        errors = list(self.hooks.on_end(self.background.close, self.parts.loader.close))
        if errors and not self.failed:
            raise errors[0]
        for error in errors:
            self.hooks.warn("after the failure", error)

    def state_to_save(self) -> dict[str, Any] | None:
        """Return the state of the last finished step; None if it is lost because a step failed midway or diverged."""
        if self.open_state is not None:
            return self.open_state
        return self.state_dict() if self._consistent else None

    def take_step(self) -> None:
        """Take a step: update D on one or more batches of reals, then G, then the EMA; then call the plugins."""
        self.hooks.call("before_step")
        parts, before, size = self.parts, self.nimg, self.minibatch_size
        ranges = parts.dataset.range_in, parts.dataset.range_out
        self._seed(before)
        # Load all batches before a weight changes, so that a failure to load data leaves a consistent state.
        starts = [before + repeat * size for repeat in range(self.D_training_repeats)]
        with self.timing.of("data"):
            batches = [parts.loader.batch(nimg, self.depth, size) for nimg in starts]
        buffers = [(each, each.clone()) for network in (self.G, self.D) for each in network.buffers()]
        try:
            for repeat, (nimg, batch) in enumerate(zip(starts, batches, strict=True)):
                labels = parts.loader.labels(nimg, self.depth, size)
                self.losses = parts.step.discriminator_update(
                    to_network_range(to_device(batch, parts.device), *ranges),
                    None if labels is None else to_device(labels, parts.device),
                    Progress(before, self.iteration * self.D_training_repeats + repeat),
                    size,
                )
            G_losses = parts.step.generator_update(size, Progress(before, self.iteration))
        except Exception:
            if self._consistent:  # forward passes change no other state
                for buffer, earlier in buffers:
                    buffer.copy_(earlier)
            raise
        self.losses = {**self.losses, **G_losses}
        self.nimg = before + size * self.D_training_repeats
        parts.ema.update(self.G, self.nimg, self.nimg - before)
        self.iteration += 1
        self.open_state, self._consistent = None, True
        self.share = parts.step.division(size).rank.share
        if self.world.agreed():
            self.stop_reason = self._stop_request or "another process requested the end of training"
        self.hooks.after_step(self, before)

    def _seed(self, nimg: int) -> None:
        """Seed the step that starts at `nimg` images: the random numbers of all ranks, and of this rank."""
        seed = derive(self.parts.seed, _STREAMS, self.stream) if self.stream else self.parts.seed
        if self.world.size == 1:
            seed_step(seed, 0, nimg)
        else:
            self.world.seed(derive(seed, 0, nimg))
            seed_step(seed, self.world.rank + 1, nimg)

    def end_tick(self) -> None:
        """Close the tick: reset `stats`, then call `on_tick` of every plugin that is due."""
        start = Budget.now()
        self.background.collect()
        if self.world.size > 1:
            self._consistent = False
            networks = self.G, self.D, self.parts.ema.generator
            self.world.broadcast([buffer for network in networks for buffer in network.buffers()])
            self.world.check_equal([weight for network in networks for weight in network.parameters()])
            self._consistent = True
        self.tick += 1
        self.tick_start_nimg = self.nimg
        self.stats = {"tick": self.tick, "nimg": self.nimg, "kimg": self.kimg, "depth": self.depth}
        self.hooks.on_tick(self.tick)
        if self.budget is not None:
            self.budget.note("tick", Budget.now() - start)

    def state_dict(self) -> dict[str, Any]:
        """Return everything needed for an exact resume, as plain values and tensors."""
        return state_of(self)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore `state`; call this after `setup`."""
        restore(self, state)
