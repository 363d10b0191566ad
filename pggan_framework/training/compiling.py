"""Which phases of a run are worth compiling, and that they are: the general flag ``compile``."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import json
import os
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor

from pggan_framework.files import atomic_path
from pggan_framework.networks import native, winograd
from pggan_framework.training.backward import Captures, obstacle
from pggan_framework.training.capture import Captured
from pggan_framework.training.estimate import Training, estimate
from pggan_framework.training.plugin import Plugin

if TYPE_CHECKING:
    from torch.fx import GraphModule

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


def has_compiler(device: torch.device) -> bool:
    """Whether there is what torch.compile needs: a C++ compiler for a CPU, Triton for a GPU."""
    if device.type == "cuda":
        return importlib.util.find_spec("triton") is not None
    return any(shutil.which(name) for name in (os.environ.get("CXX", ""), "g++", "clang++") if name)


def compiler(device: torch.device) -> Callable[[GraphModule], Callable[..., Sequence[Tensor]]]:
    """What turns a graph into a function: torch.compile, with CUDA graphs on a GPU."""
    # Random numbers as in eager mode, so that the two can be compared.
    options: dict[str, Any] = {"fallback_random": True, "triton.cudagraphs": device.type == "cuda"}
    return partial(_Compiled, options)


class _Compiled:
    """A graph as compiled code.

    Args:
        options: inductor's.
        graph: the graph.
    """

    def __init__(self, options: dict[str, Any], graph: GraphModule) -> None:
        self._compile: Callable[[], Callable[..., Sequence[Tensor]]] = partial(
            torch.compile, graph, dynamic=False, options=options
        )
        self._function: Callable[..., Sequence[Tensor]] = self._compile()
        self._ran = False

    def __call__(self, *inputs: Tensor) -> Sequence[Tensor]:
        found: Sequence[Tensor]
        try:
            found = self._function(*inputs)
        except Exception as error:
            if self._ran or not mend(error):
                raise
            self._function = self._compile()
            found = self._function(*inputs)
        self._ran = True
        return found


def _cache() -> Path:
    """The folder where torch keeps compiled code between runs."""
    return Path(importlib.import_module("torch._inductor.codecache").cache_dir())


def mend(error: Exception) -> bool:
    """Delete half-written code from torch's cache, which a program that was killed while compiling leaves there.

    Returns:
        Whether the error was that such code cannot be loaded; then another try makes it anew.
    """
    named = re.search(r"(/\S+\.so): (?:file too short|invalid ELF|cannot read)", str(error))
    if named is None or not Path(named[1]).is_file() or not Path(named[1]).is_relative_to(_cache()):
        return False
    Path(named[1]).unlink()
    return True


class Record:
    """What compiling cost and saved on this machine before; it lies with torch's own cache of compiled code.

    Args:
        path: the file; it need not exist.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def of_this_machine(cls) -> Record:
        """The one in torch's cache folder, so that both are lost together."""
        return cls(_cache() / "pggan_framework.json")

    def _all(self) -> dict[str, dict[str, float]]:
        try:
            found = json.loads(self.path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def of(self, phase: str) -> tuple[float, float] | None:
        """Seconds to compile it, and the share of the time that was saved; None where it was never compiled."""
        entry = self._all().get(phase)
        return None if entry is None else (entry["seconds"], entry["saved"])

    def add(self, phase: str, seconds: float, saved: float) -> None:
        """Remember a phase; a folder that cannot be written to is none of a training's business."""
        entries = {**self._all(), phase: {"seconds": seconds, "saved": saved}}
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with atomic_path(self.path) as temporary:
                temporary.write_text(json.dumps(entries), encoding="utf-8")
        except OSError:
            return


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
        self._captures.enabled = self.chosen.get(phase, False)

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
        return saved * length * (1 if self.clock else guess.seconds_per_kimg / 1000) > _MARGIN * seconds

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
        """Keep to what was chosen, unless the run has another length now."""
        if state.get("total") == self._total and self.wish == "auto":
            self.chosen = dict.fromkeys(((depth, fading) for depth, fading in state["compiled"]), True)
