"""Estimate the cost of training at a depth for a dry run."""

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
"""Approximate fixed time per operation of a step, including autograd and Python; measured on a CPU."""

_REACHED = 0.7
"""Fraction of the measured speed (of one wide convolution and one copy) that a complete step reaches. On a CPU at 4 to
64 px it was between 0.5 and 0.75, lowest for few feature maps.
"""

_PERIOD = 1024
"""Largest number of updates that are examined to find how often terms with an interval are computed."""


@dataclass(frozen=True)
class Estimate:
    """The cost of training at a depth.

    Args:
        parameters: number of weights in use in both networks.
        memory_bytes: peak memory of weights, EMA weights, gradients, optimizer state and activations, including
            allocator fragmentation, without PyTorch's own memory (0.1 to 0.5 GB).
        seconds_per_kimg: time in seconds for a thousand images.
        overhead: fraction of this time that is a fixed cost per operation, independent of its size.
        notes: messages about costs that could not be counted.
        tensors: bytes of tensors that persist between steps, and peak bytes of temporary tensors, including convolution
            workspaces; `memory_bytes` is computed from both.
    """

    parameters: int
    memory_bytes: int
    seconds_per_kimg: float
    overhead: float = 0.0
    notes: tuple[str, ...] = ()
    tensors: tuple[int, int] = (0, 0)


@dataclass(frozen=True)
class Training:
    """The training settings.

    Args:
        loss: loss of both networks, including penalties; not modified.
        G_optimizer: optimizer of G's parameters; not modified.
        D_optimizer: optimizer of D's parameters; not modified.
        repeats: number of updates of D per update of G.
        nimg: number of real images shown at the estimated moment, for terms whose weight depends on it.
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
    """Estimate the cost of training at `depth`, faded in, from operations on shapes without values.

    Terms that are computed at an interval are counted with their average cost. Terms that cannot be computed without
    values are omitted and named in the notes.

    Args:
        G: generator; not modified.
        D: discriminator; not modified.
        growth: shapes at all depths.
        depth: depth to estimate.
        batch: number of images per step.
        training: training settings; by default WGAN-GP and Adam, with an auxiliary classifier for labelled data.
    """
    training = _usual(G, D) if training is None else training
    device = next(G.parameters()).device
    notes: list[str] = []
    shadow, work, peak = _counted(G, D, growth, depth, batch, training, notes)
    used = [p for network in (shadow.G, shadow.D) for p in network.parameters() if p.grad is not None]
    state = _state(shadow)
    rate, bandwidth = speed(device)
    # Each written value is read about once. Optimizers read and write weights and states, and read gradients; the EMA
    # reads G and its own weights, and writes its own weights.
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
    """Return only `Estimate.memory_bytes`, without a speed measurement; same arguments as `estimate`."""
    shadow, _, peak = _counted(G, D, growth, depth, batch, training, [])
    kept = sum(_size(p) for network in (G, D, G) for p in network.parameters())  # the EMA of G is as large as G
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
    """Return the step on the meta device, its cost, and its peak of allocated bytes; see `estimate`."""
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
    """Return the size of the optimizers' state in bytes."""
    states = [step.G_optimizer.state, step.D_optimizer.state]
    return sum(_size(value) for of in states for kept in of.values() for value in kept.values())


def _size(value: Any) -> int:
    """Return the size of a tensor in bytes."""
    return value.numel() * value.element_size() if isinstance(value, Tensor) else 0


def _usual(G: GeneratorBase, D: DiscriminatorBase) -> Training:
    loss: Loss = WGANGP()
    if G.label_space is not None and D.classifies:
        loss = loss + AuxiliaryClassifier().terms
    return Training(loss, Adam(G.parameters()), Adam(D.parameters()))


def _shadow(G: GeneratorBase, D: DiscriminatorBase, depth: int, training: Training) -> TrainingStep:
    """Build the training step on the meta device."""
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
    """Copy an optimizer of the parameters of `old`, without state, as an optimizer of the parameters of `new`."""
    memo: dict[int, Any] = {id(p): q for p, q in zip(old.parameters(), new.parameters(), strict=True)}
    memo[id(optimizer.state)] = type(optimizer.state)(dict)
    moved = deepcopy(optimizer, memo)
    for group in moved.param_groups:  # fused and foreach versions do not support the meta device
        group.update({name: False for name in ("fused", "foreach") if name in group})
    return moved


def _count(step: TrainingStep, reals: Tensor, nimg: int, repeats: int, device: torch.device) -> tuple[Work, int]:
    """Return the mean cost of `repeats` updates of D and one of G, and the peak of allocated bytes on `device`."""
    labels = None if step.labels is None else step.labels(len(reals))
    total = Work()
    with Ledger(workspaces=device.type == "cpu") as ledger:
        for optimizer in (step.G_optimizer, step.D_optimizer):
            # The fused optimizer needs one call instead of many, so its cost is added below.
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
    """Map one update of each kind (set of computed terms) to the fraction of updates of this kind."""
    terms = step.loss.terms
    period = min(lcm(*(getattr(term, "interval", 1) for term in terms)), _PERIOD)
    found: dict[tuple[bool, ...], list[int]] = {}
    for number in range(period):
        context = StepContext(side, step.G, step.D, torch.empty(0), progress=Progress(nimg, number))
        found.setdefault(tuple(bool(term.weight_in(context)) for term in terms), []).append(number)
    return {numbers[0]: len(numbers) / period for numbers in found.values()}


def _countable(step: TrainingStep, reals: Tensor, nimg: int, notes: list[str]) -> Loss:
    """Return the loss with only the terms that can be computed without values; `notes` receives the omitted terms."""
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
