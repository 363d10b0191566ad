"""The loop: counts nimg and ticks, takes steps, calls plugins."""

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

_STREAMS = 21  # which stream of the seed the further ones are drawn from


@register("training")
class Trainer:
    """Trains both networks until `total_kimg` thousand real images were shown.

    Args:
        parts: networks, data, plugins; built by the experiment.
        D_training_repeats: updates of D per update of G; each uses a new batch of reals.
        tick_nimg_default: images per tick, unless DepthManager sets it.
        resume_nimg: position in images where the schedule of a new run with trained networks starts.
        label_sampling: labels of G's updates: data, with the data's frequencies; or uniform, every value equally often,
            and continuous ones uniform over their range.
        write_in_background: write images, sounds and checkpoints during training; False: between steps.

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
        self.hooks = Hooks(self.plugins, parts.logger)
        self.D_training_repeats = D_training_repeats
        self.label_sampling = label_sampling
        self.nimg = self.tick_start_nimg = resume_nimg
        self.tick = 0
        self.iteration = 0
        self.minibatch_size = parts.minibatch_size
        self.tick_nimg = tick_nimg_default
        self.stats: dict[str, float] = {}
        """The tick's values; plugins add theirs in `on_tick`."""
        self.losses: dict[str, Tensor] = {}
        """The last step's means, scalars on the device."""
        self.lr_factors: dict[str, float] = {}
        """Factors of the learning rates, by the component that sets them."""
        self.stop_reason = self._wish = ""
        self.failed = False
        self.finishing = False
        """Whether a clock ends training as planned."""
        self.stream = 0
        """Which of the seed's streams of random numbers the steps draw from; another one repeats nothing exactly."""
        self.open_state: dict[str, Any] | None = None
        """What a checkpoint holds where that is not the present state: the one before a last, shorter tick was closed,
        from which a longer run resumes, or before a change of depth whose first step may not fit into the memory."""
        self._consistent = True
        """Whether the present state is one between two steps; not within a step once a weight has changed."""
        for optimizer in (parts.step.D_optimizer, parts.step.G_optimizer):
            optimizer.register_step_pre_hook(lambda *_: setattr(self, "_consistent", False))
        self.background = Background(write_in_background, self.hooks.warn)
        """Writes files while training continues."""
        self.timing = Timing()
        """What the steps have waited for."""
        # A process must not be forked while a thread of this one may hold a lock.
        parts.loader.before_fork = self.background.join
        parts.loader.stopping = lambda: bool(self.stop_reason or self._wish)

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
        """End training after the present step; with several ranks, once all have agreed."""
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
        """Whether the run has reached its end, so that no step is left."""
        return self.nimg >= self.total_nimg or any(plugin.complete for plugin in self.plugins)

    @property
    def budget(self) -> Budget | None:
        """The wall-clock budget of this session; None if there is none."""
        return self.parts.budget

    @property
    def seconds_left(self) -> float:
        """Seconds until a clock ends training, whichever is first; infinity if only images are counted."""
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
        """Images [N, C, h, w] in [-1, 1] of the EMA generator, at the current depth and alpha.

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
        """`count` images of `generate` and their labels [count, A], drawn as the data have them; None without.

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
        except BaseException as error:
            self.failed = True
            # A second Ctrl-C ends at once; weights that are not finite replace no checkpoint; and of several ranks each
            # has a part of the tick's sums, which a failure keeps them from gathering.
            if isinstance(error, DivergedError) or not isinstance(error, Exception) or self.world.size > 1:
                self.open_state, self._consistent = None, False
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
            self._close_last_tick()
        except StoppedWaitingError:
            # The next batch does not come. Other ranks wait for this one's gradients: they must not wait for ever.
            if self.world.size > 1:
                raise UserError("training was due to end, and a batch of data did not arrive") from None
            self.stop_reason = self.stop_reason or "no data"
        except DivergedError as error:
            if not any(plugin.on_diverged(error) for plugin in self.plugins):
                raise
            self.open_state, self._consistent = None, True
            return False
        return True

    def _close_last_tick(self) -> None:
        """End a last tick that is shorter than the others; after a stop it stays open, and is resumed."""
        shorter = self.nimg > self.tick_start_nimg
        if not (shorter and self.finishing):
            self.hooks.call("on_stop")
            self.open_state = self.state_dict()
        if shorter and (self.finishing or not self.stop_reason):
            self.end_tick()

    def _end(self) -> None:
        """Call every plugin's `on_end`; the first error is raised, or logged where another one has ended the run."""
        errors = list(self.hooks.on_end(self.background.close, self.parts.loader.close))
        if errors and not self.failed:
            raise errors[0]
        for error in errors:
            self.hooks.warn("after the failure", error)

    def state_to_save(self) -> dict[str, Any] | None:
        """The state of the last finished step; None if it is lost, since a step failed halfway or diverged."""
        if self.open_state is not None:
            return self.open_state
        return self.state_dict() if self._consistent else None

    def take_step(self) -> None:
        """One step: D on one or more batches of reals, then G, then the EMA; then the plugins."""
        self.hooks.call("before_step")
        parts, before, size = self.parts, self.nimg, self.minibatch_size
        ranges = parts.dataset.range_in, parts.dataset.range_out
        self._seed(before)
        # All batches are here before a weight changes: data that fail to come leave a consistent state.
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
            if self._consistent:  # forward passes change nothing else
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
            self.stop_reason = self._wish or "another process was asked to stop"
        self.hooks.after_step(self, before)

    def _seed(self, nimg: int) -> None:
        """Seed what the step that starts at `nimg` images draws: alike in all ranks, or in this one alone."""
        seed = derive(self.parts.seed, _STREAMS, self.stream) if self.stream else self.parts.seed
        if self.world.size == 1:
            seed_step(seed, 0, nimg)
        else:
            self.world.seed(derive(seed, 0, nimg))
            seed_step(seed, self.world.rank + 1, nimg)

    def end_tick(self) -> None:
        """Close the tick: fresh `stats`, then every plugin's `on_tick` that is due."""
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
        """Everything an exact resume needs: plain values and tensors."""
        return state_of(self)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore `state`; after `setup`."""
        restore(self, state)
