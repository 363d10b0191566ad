"""What training at a depth will cost, without training: for a dry run."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from math import lcm
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Adam, Optimizer

from pggan_framework.cpu.memory import resident_bytes
from pggan_framework.losses.auxiliary import AuxiliaryClassifier
from pggan_framework.losses.base import Loss, Sum
from pggan_framework.losses.context import Progress, Side, StepContext
from pggan_framework.losses.wgan import WGANGP
from pggan_framework.networks.base import DiscriminatorBase, GeneratorBase
from pggan_framework.networks.describe import meta_copy
from pggan_framework.schedules.growth import Growth
from pggan_framework.training.costing import Ledger, Work, speed
from pggan_framework.training.step import TrainingStep

_CALL_SECONDS = 50e-6
"""Rough time that one operation of a step takes whatever its size, autograd and Python included; measured on a CPU."""

_REACHED = 0.7
"""Share of the speed measured on one wide convolution and one copy that a whole step reaches; measured on a CPU, 4 to
64 px, where it was between 0.5 and 0.75, lowest for few feature maps."""

_PERIOD = 1024
"""Updates that are looked at, at most, for how often terms with an interval are computed."""


@dataclass(frozen=True)
class Estimate:
    """What a depth costs.

    Args:
        parameters: weights of both networks that are in use.
        memory_bytes: peak of weights, their average, gradients, optimiser state and activations, with what the
            allocator leaves unused between them, beyond what PyTorch itself takes (0.1 to 0.5 GB).
        seconds_per_kimg: time for a thousand images.
        overhead: share of that time that operations take whatever their size.
        notes: what could not be counted, in words.
        tensors: bytes of tensors that stay from step to step, and the most of others, with what convolutions need
            besides, that are alive at once; `memory_bytes` follows from them.
    """

    parameters: int
    memory_bytes: int
    seconds_per_kimg: float
    overhead: float = 0.0
    notes: tuple[str, ...] = ()
    tensors: tuple[int, int] = (0, 0)


@dataclass(frozen=True)
class Training:
    """How the networks are trained.

    Args:
        loss: what each minimises, penalties included; it is not changed.
        G_optimizer: of G's parameters; nor are the optimisers.
        D_optimizer: of D's.
        repeats: updates of D for each of G.
        nimg: real images shown when it is looked at, for terms whose weight depends on it.
        micro_batch: largest micro-batch; None for the whole batch.
    """

    loss: Loss
    G_optimizer: Optimizer
    D_optimizer: Optimizer
    repeats: int = 1
    nimg: int = 0
    micro_batch: int | None = None


def estimate(
    G: GeneratorBase, D: DiscriminatorBase, growth: Growth, depth: int, batch: int, training: Training | None = None
) -> Estimate:
    """Estimate the training at `depth`, faded in, from operations on shapes without values.

    A term that is computed only in every so many-th update is counted as its average. One that cannot be computed
    without values is left out, and named in the notes.

    Args:
        G: the generator; neither it nor `D` is changed.
        D: the discriminator.
        growth: the shapes both grow through.
        depth: where to train.
        batch: images a step.
        training: WGAN-GP and Adam by default, with an auxiliary classifier where there are labels.
    """
    training = _usual(G, D) if training is None else training
    device = next(G.parameters()).device
    notes: list[str] = []
    shadow, work, peak = _counted(G, D, growth, depth, batch, training, notes)
    used = [p for network in (shadow.G, shadow.D) for p in network.parameters() if p.grad is not None]
    state = _state(shadow)
    rate, bandwidth = speed(device)
    # Each value written is about one more read. Optimisers read and write weights and states, and read gradients; the
    # average reads G and itself, and writes itself.
    averaged = sum(map(_size, G.parameters()))
    gradients = sum(map(_size, used))
    moved = 3 * gradients + 2 * state + 3 * averaged
    seconds = (work.flops / rate + 2 * work.written / bandwidth) / _REACHED + work.calls * _CALL_SECONDS
    seconds += moved / bandwidth
    weights = sum(_size(p) for network in (G, D) for p in network.parameters())
    tensors = weights + averaged + state, peak
    return Estimate(
        parameters=sum(p.numel() for p in used),
        memory_bytes=resident_bytes(*tensors, device),
        seconds_per_kimg=seconds * 1000 / (batch * training.repeats),
        overhead=work.calls * _CALL_SECONDS / seconds,
        notes=tuple(notes),
        tensors=tensors,
    )


def memory_bytes(
    G: GeneratorBase, D: DiscriminatorBase, growth: Growth, depth: int, batch: int, training: Training
) -> int:
    """`Estimate.memory_bytes` alone, for which no speed is measured; the arguments are those of `estimate`."""
    shadow, _, peak = _counted(G, D, growth, depth, batch, training, [])
    kept = sum(_size(p) for network in (G, D, G) for p in network.parameters())  # G's average is as large as G
    return resident_bytes(kept + _state(shadow), peak, next(G.parameters()).device)


def _counted(
    G: GeneratorBase,
    D: DiscriminatorBase,
    growth: Growth,
    depth: int,
    batch: int,
    training: Training,
    notes: list[str],
) -> tuple[TrainingStep, Work, int]:
    """The step on the meta device, what it costs, and the most bytes alive in it; see `estimate`."""
    shadow = _shadow(G, D, depth, training)
    reals = torch.empty(batch, *growth.shape_at(depth), device="meta")
    device = next(G.parameters()).device
    try:
        return shadow, *_count(shadow, reals, training.nimg, training.repeats, device)
    except Exception:  # noqa: BLE001  -- a user-defined term may request values in any way
        shadow = _shadow(G, D, depth, training)
        shadow.loss = _countable(shadow, reals, training.nimg, notes)
        return shadow, *_count(shadow, reals, training.nimg, training.repeats, device)


def _state(step: TrainingStep) -> int:
    """Bytes of the optimizers' state."""
    states = [step.G_optimizer.state, step.D_optimizer.state]
    return sum(_size(value) for of in states for kept in of.values() for value in kept.values())


def _size(value: Any) -> int:
    """Bytes of a tensor."""
    return value.numel() * value.element_size() if isinstance(value, Tensor) else 0


def _usual(G: GeneratorBase, D: DiscriminatorBase) -> Training:
    loss: Loss = WGANGP()
    if G.label_space is not None and D.classifies:
        loss = loss + AuxiliaryClassifier().terms
    return Training(loss, Adam(G.parameters()), Adam(D.parameters()))


def _shadow(G: GeneratorBase, D: DiscriminatorBase, depth: int, training: Training) -> TrainingStep:
    """The same training step on the meta device."""
    generator, discriminator = meta_copy(G), meta_copy(D)
    for network in (generator, discriminator):
        network.depth = depth
        network.alpha = 1
    space = generator.label_space

    def labels(count: int) -> Tensor:
        assert space is not None
        return torch.empty(space.condition_shape(count, generator.size), device="meta")

    return TrainingStep(
        generator,
        discriminator,
        deepcopy(training.loss),
        _moved(training.G_optimizer, G, generator),
        _moved(training.D_optimizer, D, discriminator),
        lambda count: torch.empty(count, generator.latent_size, device="meta"),
        labels=None if space is None else labels,
        micro_batch=training.micro_batch,
    )


def _moved(optimizer: Optimizer, old: nn.Module, new: nn.Module) -> Optimizer:
    """A copy of the optimiser of `old`'s parameters, of `new`'s, with no state yet."""
    memo: dict[int, Any] = {id(p): q for p, q in zip(old.parameters(), new.parameters(), strict=True)}
    memo[id(optimizer.state)] = type(optimizer.state)(dict)
    moved = deepcopy(optimizer, memo)
    for group in moved.param_groups:  # the quick forms are not for the meta device
        group.update({name: False for name in ("fused", "foreach") if name in group})
    return moved


def _count(step: TrainingStep, reals: Tensor, nimg: int, repeats: int, device: torch.device) -> tuple[Work, int]:
    """What `repeats` updates of D and one of G cost on average, and the most bytes alive at once on `device`."""
    labels = None if step.labels is None else step.labels(len(reals))
    total = Work()
    with Ledger(workspaces=device.type == "cpu") as ledger:
        for optimizer in (step.G_optimizer, step.D_optimizer):
            # Its quick form does in one call what these do in many: its cost is added by hand.
            optimizer.register_step_pre_hook(lambda *_: ledger.pause(True))
            optimizer.register_step_post_hook(lambda *_: ledger.pause(False))

        def of_D(progress: Progress) -> None:
            step.discriminator_update(reals, labels, progress)

        def of_G(progress: Progress) -> None:
            step.generator_update(len(reals), progress)

        updates: list[tuple[Side, Callable[[Progress], None], int]] = [("D", of_D, repeats), ("G", of_G, 1)]
        for side, update, times in updates:
            for number, share in _kinds(step, side, nimg).items():
                before = ledger.work
                update(Progress(nimg, number))
                total = total + (ledger.work - before) * (share * times)
    return total, ledger.peak


def _kinds(step: TrainingStep, side: Side, nimg: int) -> dict[int, float]:
    """One update of each kind, by which terms are computed in it -> how many of all updates are of this kind."""
    terms = step.loss.terms
    period = min(lcm(*(getattr(term, "interval", 1) for term in terms)), _PERIOD)
    found: dict[tuple[bool, ...], list[int]] = {}
    for number in range(period):
        context = StepContext(side, step.G, step.D, torch.empty(0), progress=Progress(nimg, number))
        found.setdefault(tuple(bool(term.weight_in(context)) for term in terms), []).append(number)
    return {numbers[0]: len(numbers) / period for numbers in found.values()}


def _countable(step: TrainingStep, reals: Tensor, nimg: int, notes: list[str]) -> Loss:
    """The terms of the loss that can do without values; `notes` says which cannot."""
    labels = None if step.labels is None else step.labels(len(reals))
    kept = []
    for term in step.loss.terms:
        latents = step.latents(len(reals))
        seen = reals if term.side == "D" or term.needs_reals else None
        context = StepContext(
            term.side, step.G, step.D, latents, seen, labels, progress=Progress(nimg), D_optimizer=step.D_optimizer
        )
        try:
            torch.autograd.backward(term(context))
            term.after_update(context)
        except Exception:  # noqa: BLE001  -- see `estimate`
            notes.append(f"{term.name} is not counted: it cannot be computed on shapes alone")
        else:
            kept.append(term)
    if not notes:
        notes.append(
            f"{type(step.loss).__name__} is not counted, only its terms: it cannot be computed on shapes alone"
        )
    for side in ("D", "G"):
        if all(term.side != side for term in kept):
            kept += [term for term in WGANGP().terms if term.side == side]
            notes.append(f"{side} is counted as with WGAN-GP")
    return Sum(kept)
