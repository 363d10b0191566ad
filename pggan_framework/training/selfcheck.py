"""Check before training that every loss term trains its network."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from pggan_framework.errors import UserError
from pggan_framework.losses.base import Loss, Term
from pggan_framework.losses.context import Side, StepContext
from pggan_framework.losses.unrolled import UnrolledD
from pggan_framework.networks.base import GrowingNetwork
from pggan_framework.training.step import TrainingStep

_BATCH = 4
_SMALL = 1 << 14
_NAMES: Mapping[Side, str] = {"D": "discriminator", "G": "generator"}


def check_gradients(step: TrainingStep) -> None:
    """Check that each term's gradient reaches the network that it trains, and that no gradient of D's terms reaches G.

    The check uses four random images at the lowest depth and the gradients of small weights only; before a term is
    rejected, it is repeated with all weights. Weights, buffers, optimizers and the random state are left unchanged. G's
    terms cannot reach D, which is frozen in G's update.

    Raises:
        UserError: if the check fails; the message names the first such term, or the network without a term.
    """
    loss, networks = step.loss, (step.G, step.D)
    for side in _NAMES:
        if all(term.side != side for term in loss.terms):
            raise UserError(f"the loss has no term that trains the {_NAMES[side]}; allowed: one or more")
    # A loss that overrides the sum of its terms is also checked as a whole; one unrolled step is enough for this.
    own = [] if type(loss).total is Loss.total else [loss]
    whole = [UnrolledD(loss.loss, 1, loss.first_order)] if isinstance(loss, UnrolledD) else own
    device = next(step.G.parameters()).device
    with torch.random.fork_rng([device] if device.type == "cuda" else []), _kept(networks):
        torch.manual_seed(0)
        depth = max(network.depths[0] for network in networks)
        for network in networks:
            network.depth, network.alpha = depth, 1
        with _only_small(networks):
            contexts = {side: _context(step, side) for side in _NAMES}
            doubtful = [part for part in (*loss.terms, *whole) if _faults(part, contexts, step)]
        for part in doubtful:
            for fault in _faults(part, {side: _context(step, side) for side in _NAMES}, step):
                raise UserError(fault)


def deviation(step: TrainingStep) -> float:
    """Return the difference between the losses in the networks' precision, a, and in float32, b: |a - b| / (1 + |b|).

    The losses are computed as in `check_gradients`, for four random images at the lowest depth; the larger difference
    of D and G is returned. Weights, buffers, execution and the random state are left unchanged.
    """
    networks: tuple[GrowingNetwork, ...] = (step.G, step.D)
    device, usual = next(step.G.parameters()).device, [network.execution for network in networks]
    losses: list[list[float]] = []
    with torch.random.fork_rng([device] if device.type == "cuda" else []), _kept(networks):
        depth = max(network.depths[0] for network in networks)
        for network in networks:
            network.depth, network.alpha = depth, 1
        for kind in (usual[0].precision, torch.float32):
            torch.manual_seed(0)
            for network in networks:
                network.execute(replace(network.execution, precision=kind))
            losses.append([float(step.loss.total(_context(step, side)).detach()) for side in _NAMES])
        for network, execution in zip(networks, usual, strict=True):
            network.execute(execution)
    low, full = losses
    return max(abs(a - b) / (1 + abs(b)) for a, b in zip(low, full, strict=True))


@contextmanager
def _only_small(networks: Sequence[GrowingNetwork]) -> Iterator[None]:
    """A context without gradients of large weights, which are most of the cost."""
    large = [p for network in networks for p in network.parameters() if p.requires_grad and p.numel() > _SMALL]
    for parameter in large:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in large:
            parameter.requires_grad_(True)


@contextmanager
def _kept(networks: Sequence[GrowingNetwork]) -> Iterator[None]:
    """A context that restores depth, alpha and buffers of the networks."""
    places = [(network, network.depth, float(network.alpha)) for network in networks]
    buffers = [(buffer, buffer.clone()) for network in networks for buffer in network.buffers()]
    try:
        yield
    finally:
        with torch.no_grad():
            for buffer, before in buffers:
                buffer.copy_(before)
        for network, depth, alpha in places:
            network.depth, network.alpha = depth, alpha


def _context(step: TrainingStep, side: Side) -> StepContext:
    """Build the context of an update of `side` on random images in [-1, 1] and latents."""
    like = next(step.G.parameters())
    latents = torch.randn(_BATCH, step.G.latent_size, device=like.device, dtype=like.dtype)
    shape = step.G.growth.shape_at(step.G.depth)
    reals: Tensor | None = torch.rand(_BATCH, *shape, device=like.device, dtype=like.dtype) * 2 - 1
    if side == "G" and not step.loss.needs_reals_for_G:
        reals = None
    labels, space = None, step.D.label_space if step.G.label_space is None else step.G.label_space
    if space is not None:
        rows = space.uniform((np.arange(_BATCH)[:, None] + np.zeros(len(space.attributes))) / _BATCH)
        labels = torch.from_numpy(space.condition(rows, step.G.size)).to(like)
    augment = step.augmentations.of_fakes
    return StepContext(side, step.G, step.D, latents, reals, labels, D_optimizer=step.D_optimizer, augment=augment)


def _faults(part: Term | Loss, contexts: Mapping[Side, StepContext], step: TrainingStep) -> list[str]:
    """Return messages about faults in the gradients of a term, or of the complete loss."""
    sides: Sequence[Side] = (part.side,) if isinstance(part, Term) else ("D", "G")
    name, found = type(part).__name__, []
    for side in sides:
        context = contexts[side]
        value = part(context) if isinstance(part, Term) else part.total(context)
        if not _reaches(value, step.D if side == "D" else step.G):
            found.append(f"{name} is to train the {_NAMES[side]}, but its gradient does not reach it")
        elif side == "D" and _reaches(value, step.G):
            found.append(f"{name} is to train the discriminator only, but its gradient reaches the generator")
    return found


def _reaches(value: Tensor, network: GrowingNetwork) -> bool:
    """True if the gradient of a scalar reaches a weight, or the scalar is at its minimum, zero."""
    if not value.requires_grad:
        return False
    weights = [parameter for parameter in network.parameters() if parameter.requires_grad]
    found = torch.autograd.grad(value, weights, retain_graph=True, allow_unused=True) if weights else ()
    gradients = [gradient for gradient in found if gradient is not None]
    return bool(gradients) and (float(value.detach()) == 0 or any(bool(g.any()) for g in gradients))
