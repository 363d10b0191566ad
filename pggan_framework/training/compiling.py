"""Which phases of a run are worth compiling, and that they are: the general flag ``compile``."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from math import isfinite
from typing import TYPE_CHECKING, Any, Literal

import torch

from pggan_framework.cpu import native, winograd
from pggan_framework.training.backward import Captures, obstacle
from pggan_framework.training.capture import Captured
from pggan_framework.training.compiler import Record, compiler, has_compiler
from pggan_framework.training.estimate import Training, estimate
from pggan_framework.training.plugin import Plugin

if TYPE_CHECKING:
    from pggan_framework.training.trainer import Trainer

Wish = Literal["auto", "never", "always"]
Phase = tuple[int, bool]
"""A depth, and whether it is fading in."""

FEWEST_STEPS = 2000
"""A phase with fewer never pays for compiling; it is not looked at any closer."""
_MARGIN = 1.5
"""How many times its cost compiling must save."""
_SAVED, _SAVED_OVERHEAD = 0.05, 0.65
"""Share of the time that compiling saves, where it was not measured: this much, and so much of the overhead.

Measured with networks from 1,000 to 2 million weights, 4 to 16 px, on a CPU.
"""
_LOSS = "steps take longer than compiled ones, by 5 % with large networks to several times with tiny ones"


def _cost(depth: int) -> float:
    """Seconds that compiling both updates takes, where it was not measured."""
    return 60.0 + 20.0 * depth


class Compiling(Plugin):
    """Has the gradients computed by compiled graphs in those phases of a run in which that saves time.

    The choice for all phases is made before the first step and kept in the checkpoints, so that a resumed run computes
    as it would have without a break.

    Args:
        wish: auto, never or always.
        lengths: nimg -> what each phase has left from there on, in images or, with `clock`, in seconds.
        batch: depth -> images a batch.
        clock: whether lengths are seconds.
        notes: what there is to say before anything else.
        record: what compiling cost before; that of this machine by default.
    """

    def __init__(
        self,
        wish: Wish,
        lengths: Callable[[int], Mapping[Phase, float]],
        batch: Callable[[int], int],
        clock: bool = False,
        notes: Sequence[str] = (),
        record: Record | None = None,
    ) -> None:
        self.wish, self.lengths, self.batch, self.clock = wish, lengths, batch, clock
        self.notes = [note for note in notes if note]
        self.chosen: dict[Phase, bool] | None = None
        self.phase: Phase | None = None
        self._record = record
        self._made: dict[str, Captured] = {}
        self._captures: Captures | None = None

    def setup(self, trainer: Trainer) -> None:
        """Know the trainer."""
        super().setup(trainer)
        self._total = trainer.total_nimg

    def before_step(self) -> None:
        """Choose, at first; then compile or not, as the phase that begins was chosen to be."""
        trainer = self.trainer
        if self.phase is None:
            self._start()
        phase = trainer.depth, trainer.G.fading
        if self._captures is None or self.chosen is None or phase == self.phase:
            self.phase = phase
            return
        self.phase = phase
        self._made.clear()
        self._captures.forget()
        self._captures.enabled = self.chosen.get(phase, False) and self._fits(phase)

    def _start(self) -> None:
        trainer = self.trainer
        step, say = trainer.parts.step, trainer.parts.logger.message
        for note in [*self.notes, *self._convolutions()]:
            say(note)
        if self.wish == "never":
            return
        lengths = self.lengths(trainer.nimg)
        worth = any(self._is_long(phase, length) for phase, length in lengths.items())
        if self.wish == "auto" and self.chosen is None and not worth:
            self.chosen = {}  # as in most short runs: nothing worth a word
            return
        reason = obstacle(step.loss) or ("the pictures are augmented at random" if step.augmentations.parts else "")
        reason = reason or ("" if has_compiler(trainer.parts.device) else "there is no C++ compiler, or no Triton")
        if reason:
            say(f"compile {self.wish}: not used, because {reason}; {_LOSS}")
            return
        if self.chosen is None:
            self.chosen = {phase: self.wish == "always" or self._pays(*phase, lengths[phase]) for phase in lengths}
        names = [self._words(phase) for phase, yes in self.chosen.items() if yes and phase in lengths]
        if not names:
            say("compile auto: not used, since no phase is long enough for it to save more time than it takes")
            return
        say(f"compile {self.wish}: {', '.join(names)}; each when it begins")
        self._captures = step.gradients = Captures(compiler(trainer.parts.device), say, self._note)

    def _convolutions(self) -> list[str]:
        """What there is to say of the networks' convolutions, which are the same whether graphs are compiled or not."""
        step = self.trainer.parts.step
        kernels = [p.shape[0] for network in (step.G, step.D) for p in network.parameters() if p.dim() == 4]
        said = winograd.note(self.trainer.parts.device, max(kernels, default=0))
        return [said] if said else []

    def _words(self, phase: Phase) -> str:
        depth, fading = phase
        size = "x".join(map(str, self.trainer.G.growth.shape_at(depth)[1:]))
        return f"{size} fading" if fading else size

    def _fits(self, phase: Phase) -> bool:
        """Whether a phase that begins now can still be compiled before a clock ends training, and it pays."""
        left = self.trainer.seconds_left
        if not isfinite(left):
            return True
        if self.wish == "auto":
            return self._pays(*phase, self.lengths(self.trainer.nimg).get(phase, 0.0))
        seconds, _ = self.record.of(self._name(phase)) or (_cost(phase[0]), 0.0)
        if seconds > left:
            self.trainer.parts.logger.message(
                f"compile always: {self._words(phase)} is not compiled, which takes about {seconds:.0f} s: training has"
                f" {max(left, 0):.0f} s left"
            )
        return seconds <= left

    def _is_long(self, phase: Phase, length: float) -> bool:
        """Whether it can be that compiling pays."""
        if self.clock:
            return length > _MARGIN * _cost(phase[0])
        return length / (self.batch(phase[0]) * self.trainer.D_training_repeats) >= FEWEST_STEPS

    def _pays(self, depth: int, fading: bool, length: float) -> bool:
        """Whether compiling saves `_MARGIN` times what it costs, by what is known of it."""
        phase = depth, fading
        if not self._is_long(phase, length):
            return False
        step, repeats = self.trainer.parts.step, self.trainer.D_training_repeats
        optimizers = step.G_optimizer, step.D_optimizer
        training = Training(step.loss, *optimizers, repeats, self.trainer.nimg, step.micro_batch)
        guess = estimate(step.G, step.D, step.G.growth, depth, self.batch(depth), training)
        seconds, saved = self.record.of(self._name(phase)) or (
            _cost(depth),
            _SAVED + _SAVED_OVERHEAD * guess.overhead,
        )
        length *= 1 if self.clock else guess.seconds_per_kimg / 1000
        return saved * min(length, self.trainer.seconds_left) > _MARGIN * seconds

    @property
    def record(self) -> Record:
        """What compiling cost before."""
        if self._record is None:
            self._record = Record.of_this_machine()
        return self._record

    def _name(self, phase: Phase) -> str:
        """Of a phase of such a training on such a machine."""
        step = self.trainer.parts.step
        facts = [
            torch.__version__, torch.get_num_threads(), torch.backends.cpu.get_cpu_capability(), phase,
            self.batch(phase[0]), str(self.trainer.parts.device), str(step.precision),
            bool(native.processor()) and native.compiler() is not None,
            [term.name for term in step.loss.terms],
            [(type(network).__name__, [tuple(p.shape) for p in network.parameters()]) for network in (step.G, step.D)],
            *([] if step.micro_batch is None else [step.micro_batch]),
        ]  # fmt: skip
        return hashlib.sha256(repr(facts).encode()).hexdigest()[:24]

    def _note(self, side: str, captured: Captured) -> None:
        """Say what compiling an update has cost and brings; remember it when both updates are compiled."""
        say = self.trainer.parts.logger.message
        say(
            f"compiled {side}'s update at {self._words(self.phase or (0, False))} in {captured.seconds:.0f} s:"
            f" {1000 * captured.after:.3g} ms in place of {1000 * captured.before:.3g}"
        )
        self._made[side] = captured
        if len(self._made) == 2 and self.phase is not None:
            before, after, seconds = (
                sum(getattr(made, name) for made in self._made.values()) for name in ("before", "after", "seconds")
            )
            self.record.add(self._name(self.phase), seconds, max(1 - after / before, 0.0))

    def state_dict(self) -> dict[str, Any]:
        """What was chosen, and for a run of what length."""
        if self.chosen is None:
            return {}
        return {"total": self._total, "compiled": [list(phase) for phase, yes in self.chosen.items() if yes]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Keep to what was chosen, unless the run has another length now, or a clock ends it."""
        if state.get("total") == self._total and self.wish == "auto" and not isfinite(self.trainer.seconds_left):
            self.chosen = dict.fromkeys(((depth, fading) for depth, fading in state["compiled"]), True)
