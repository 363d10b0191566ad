"""micro_batch: a batch that is computed in parts gives what the undivided one gives."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pggan_framework import UserError, run
from pggan_framework.augmentation.ada import ADA
from pggan_framework.augmentation.base import Augmentation, Augmentations
from pggan_framework.labels.attributes import Attribute, LabelSpace
from pggan_framework.losses import (
    BEGAN,
    R1,
    WGANGP,
    GradientPenalty,
    HingeGAN,
    PullAway,
    RelativisticAverageGAN,
    RelativisticGAN,
)
from pggan_framework.losses.auxiliary import AuxiliaryClassifier
from pggan_framework.losses.base import Loss, Sum
from pggan_framework.losses.context import Progress
from pggan_framework.networks import AutoencoderDiscriminator, DCGANGenerator, Discriminator, Generator
from pggan_framework.networks.stddev import group_stddev, stddev_groups
from pggan_framework.runs.folders import snapshots
from pggan_framework.schedules.growth import Growth
from pggan_framework.training.distributed import World
from pggan_framework.training.gradients import GradientGuard
from pggan_framework.training.graphs import Captures
from pggan_framework.training.portions import micro_batch_notes, micro_batches
from pggan_framework.training.step import TrainingStep

SPACE = LabelSpace((Attribute("kind", ("a", "b", "c")),))
GROWTH = Growth.of((2, 8, 16), (2, 4))
Figures = dict[str, torch.Tensor]


@settings(deadline=None)
@given(count=st.integers(1, 70), most=st.integers(1, 20), group=st.integers(1, 7))
def test_the_parts_are_the_batch_in_whole_groups(count: int, most: int, group: int) -> None:
    largest = -(-count // stddev_groups(count, group)) if group > 1 else 1
    if most < min(largest, count):
        with pytest.raises(UserError, match=f"micro_batch {most} .* groups of {largest}; allowed: {largest} and up"):
            micro_batches(count, most, group)
        return
    parts = [part.tolist() for part in micro_batches(count, most, group)]
    assert sorted(sample for part in parts for sample in part) == list(range(count))
    assert all(0 < len(part) <= most for part in parts) and len(parts) >= -(-count // most)
    if group > 1 and len(parts) > 1:
        x = torch.randn(count, 3, 1, 1, dtype=torch.float64, generator=torch.Generator().manual_seed(count))
        whole = group_stddev(x, group)
        for part in parts:
            assert torch.allclose(group_stddev(x[part], group), whole[part], rtol=1e-12, atol=0)


def test_the_parts_by_hand() -> None:
    def parts(*numbers: Any) -> list[list[int]]:
        return [part.tolist() for part in micro_batches(*numbers)]

    assert parts(8, None, 4) == parts(8, 8, 4) == [list(range(8))]
    assert parts(16, 8, 4) == [[0, 1, 4, 5, 8, 9, 12, 13], [2, 3, 6, 7, 10, 11, 14, 15]]
    assert parts(5, 2) == [[0], [1, 2], [3, 4]]


def step_of(
    most: int | None,
    loss: Loss,
    world: World | None = None,
    augmentations: Sequence[Augmentation] = (),
    labelled: bool = False,
    **options: Any,
) -> TrainingStep:
    """In float64, at the middle depth of three, in its fade."""
    torch.manual_seed(5)
    space = SPACE if labelled else None
    G = Generator(GROWTH, latent_size=5, label_space=space, fmap_base=64, fmap_max=6, **options).double()
    kind = AutoencoderDiscriminator if isinstance(loss, BEGAN) else Discriminator
    D = kind(GROWTH, label_space=space, fmap_base=64, fmap_max=6, **options).double()
    for network in (G, D):
        network.depth, network.alpha = 1, 0.3

    def source() -> torch.Generator | None:
        return None if world is None else world.generator(torch.device("cpu"))

    def labels(count: int) -> torch.Tensor:
        return torch.eye(3, dtype=torch.float64)[torch.randint(3, (count,), generator=source())]

    return TrainingStep(
        G,
        D,
        loss,
        torch.optim.SGD(G.parameters(), 0.1),
        torch.optim.SGD(D.parameters(), 0.1),
        lambda count: torch.randn(count, 5, dtype=torch.float64, generator=source()),
        labels=labels if labelled else None,
        augmentations=Augmentations(augmentations),
        guard=GradientGuard(clip_norm=0.5),
        world=world,
        micro_batch=most,
    )


def notes_of(step: TrainingStep, batches: Sequence[int]) -> list[str]:
    return micro_batch_notes(step.loss, step.G, step.D, step.world, step.micro_batch, batches)


def updates(step: TrainingStep, count: int, steps: int = 2) -> tuple[Figures, list[Figures]]:
    """Weights, buffers and states after some steps, and the last gradients; the values of each update."""
    figures = []
    for number in range(steps):
        random = torch.Generator().manual_seed(number)
        reals = torch.rand(count, *step.D.growth.shape_at(1), generator=random, dtype=torch.float64) * 2 - 1
        labels = None
        if step.labels is not None:
            labels = torch.eye(3, dtype=torch.float64)[torch.randint(3, (count,), generator=random)]
        torch.manual_seed(number)
        step.world.seed(number)
        figures.append(step.discriminator_update(reals, labels, Progress(0, number), count))
        figures.append(step.generator_update(count, Progress(0, number)))
    found: Figures = {}
    for name, network in (("G", step.G), ("D", step.D)):
        found |= {f"{name}.{key}": value for key, value in network.state_dict().items()}
        found |= {f"{name}.{key}'": p.grad for key, p in network.named_parameters() if p.grad is not None}
    for key, state in step.loss.state_dict().items():
        found |= {f"{key}.{name}": torch.as_tensor(value).double() for name, value in state.items()}
    return found, figures


def assert_close(mine: Figures, theirs: Figures, tolerance: float = 1e-12) -> None:
    assert mine.keys() == theirs.keys()
    for name, value in theirs.items():
        # What BEGAN keeps, and how many labels are right, is of single precision.
        close = tolerance if value.dtype == torch.float64 and "began" not in name else 1e-6
        assert (mine[name] - value).abs().max() <= close * max(1.0, float(value.abs().max())), name


CASES: dict[str, tuple[Loss, dict[str, Any]]] = {
    "labels": (WGANGP(iwass_epsilon=0.1) + AuxiliaryClassifier().terms, {"labelled": True}),
    "BEGAN": (BEGAN(lambda_k=0.5), {}),
    "pairs": (RelativisticGAN() + R1(interval=2).terms, {}),
    "spectral": (HingeGAN() + GradientPenalty().terms, {"spectral_norm": True}),
}


@pytest.mark.parametrize(
    ("case", "count", "most"), [(case, 12, 4) for case in CASES] + [("labels", 14, 8), ("spectral", 6, 3)]
)
def test_gradients_states_and_figures_are_those_of_the_whole_batch(case: str, count: int, most: int) -> None:
    loss, options = CASES[case]
    (whole, figures), (parts, others) = (
        updates(step_of(each, Sum(loss.terms) if case != "BEGAN" else BEGAN(lambda_k=0.5), **options), count)
        for each in (None, most)
    )
    assert len(micro_batches(count, most, 4)) > 1
    assert_close(parts, whole)
    for mine, theirs in zip(others, figures, strict=True):
        # The measure of BEGAN is of each part: an absolute value is not a mean.
        mine, theirs = ({k: v for k, v in each.items() if k != "began.measure"} for each in (mine, theirs))
        assert_close(mine, theirs)


def test_captured_gradients_of_parts_are_those_of_the_whole_batch() -> None:
    expected, figures = updates(step_of(None, WGANGP()), 12, 1)
    step = step_of(8, WGANGP())
    step.gradients = captures = Captures(lambda graph: graph, pytest.fail)
    found, others = updates(step, 12, 1)
    assert_close(found, expected, 1e-11)
    assert_close(others[-2], figures[-2], 1e-11)
    # A graph for each size of a part, 8 and 4, of D and of G.
    assert len(captures.graphs) == 4


class Half(World):
    """One of two processes, the other of which is not there: it keeps what it would send."""

    def __init__(self, rank: int) -> None:
        super().__init__(rank, 2)
        self.sent: list[list[torch.Tensor]] = []

    def all_reduce(self, gradients: Sequence[torch.Tensor], share: float, stop: bool = False) -> None:
        self.sent.append([gradient * share for gradient in gradients])

    def mean(self, values: torch.Tensor, share: float) -> torch.Tensor:
        return values


def test_parts_of_processes_add_up_to_the_batch_and_are_sent_once() -> None:
    step = step_of(None, WGANGP())
    step.guard = GradientGuard()
    reals = torch.rand(12, *step.D.growth.shape_at(1), dtype=torch.float64)
    world = World()
    torch.manual_seed(3)
    step.discriminator_update(reals)
    expected = [p.grad for p in step.D.parameters() if p.grad is not None]
    sums = [torch.zeros_like(gradient) for gradient in expected]
    for rank in range(2):
        world = Half(rank)
        half = step_of(4, WGANGP(), world)
        world.seed(3)
        half.discriminator_update(reals[world.part(12, 4)], total=12)
        assert len(world.sent) == 1  # 8 or 4 samples of 12, in parts of 4
        for total, sent in zip(sums, world.sent[0], strict=True):
            total += sent
    for total, gradient in zip(sums, expected, strict=True):
        assert (total - gradient).abs().max() <= 1e-12 * max(1.0, float(gradient.abs().max()))


def test_ada_hears_of_every_real_of_the_batch_in_its_order() -> None:
    seen = []

    class Listener(ADA):
        """Notes what it receives."""

        def observe(self, scores: torch.Tensor) -> Any:
            seen.append(scores)
            return super().observe(scores)

    for most in (None, 4):
        updates(step_of(most, HingeGAN(), augmentations=[Listener(fixed_p=0.0)]), 12)
    assert len(seen) == 4
    for whole, parts in zip(seen[:2], seen[2:], strict=True):
        torch.testing.assert_close(parts, whole, rtol=1e-11, atol=1e-12)


def test_what_compares_samples_is_named() -> None:
    step = step_of(4, RelativisticAverageGAN() + PullAway().terms)
    said = notes_of(step, [12, 4, 16])
    assert said[0] == "micro_batch 4: batches are computed in parts: 12 in 3, 16 in 4"
    assert "D_relativistic_average, G_relativistic_average, pull_away compare the samples of a part only" in said[1]
    assert notes_of(step, [4]) == [] == notes_of(step_of(None, WGANGP()), [64])
    assert len(notes_of(step_of(4, WGANGP()), [12])) == 1
    step = step_of(4, WGANGP(), norm="batch")
    assert "Generator's batch norm, Discriminator's batch norm compare" in notes_of(step, [12])[1]
    step.G = DCGANGenerator([2, 8, 16])
    assert "DCGANGenerator's batch norm" in notes_of(step, [12])[1]


TINY: dict[str, Any] = {
    "dataset_class": "TonesDataset",
    "TonesDataset.count": 20,
    "Generator.fmap_base": 32,
    "Generator.fmap_max": 4,
    "Generator.latent_size": 4,
    "Discriminator.fmap_base": 32,
    "Discriminator.fmap_max": 4,
    "minibatch_size": 12,
    "DepthManager.minibatch_overrides": {1: 8},
    "DepthManager.lod_training_nimg": 48,
    "DepthManager.lod_transition_nimg": 48,
    "DepthManager.tick_kimg_default": 0.04,
    "postprocessors": [],
    "loggers": ["TeeLogger", "JSONLLogger"],
    "SaverPlugin.network_snapshot_ticks": 1,
    "SaverPlugin.keep_old_checkpoints": True,
    "exp_name": "tiny",
}


def last_state(folder: Path) -> dict[str, Any]:
    state: dict[str, Any] = torch.load(snapshots(folder)[-1], weights_only=True)
    return state


def test_a_run_says_so_and_resumes_exactly_with_another_size_too(tmp_path: Path) -> None:
    flags = {**TINY, "result_dir": str(tmp_path / "parts"), "total_kimg": 0.12, "micro_batch": 4}
    parts = run(overrides=flags)
    text = (parts.path / "log.txt").read_text()
    assert text.count("micro_batch 4: batches are computed in parts: 8 in 2, 12 in 3") == 1
    assert "micro_batch: 4\n" in (parts.path / "config.yaml").read_text()
    first = run(overrides={**flags, "total_kimg": 0.06, "result_dir": str(tmp_path / "first")})
    rest = run(overrides={"resume": "latest", "result_dir": str(tmp_path / "first"), "total_kimg": 0.12})
    assert rest.path == first.path
    mine, theirs = last_state(rest.path), last_state(parts.path)
    assert mine["nimg"] == theirs["nimg"] >= 120
    for name in ("G", "D"):
        for key, value in theirs["networks"][name].items():
            assert torch.equal(mine["networks"][name][key], value), key
    # Another division, on a machine with more memory, is not a change of the configuration.
    more = run(
        overrides={"resume": "latest", "result_dir": str(tmp_path / "first"), "total_kimg": 0.2, "micro_batch": 8}
    )
    assert more.nimg >= 200


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"micro_batch": 0}, "micro_batch 0 is not allowed; allowed: 1 and up"),
        ({"micro_batch": 2}, "micro_batch 2 is given, but the minibatch stddev of a batch of 8 compares groups of 4"),
    ],
)
def test_what_cannot_be_divided_is_refused(given: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=message):
        run(overrides={**TINY, **given, "result_dir": str(tmp_path), "total_kimg": 0.2})
    assert list(tmp_path.iterdir()) == []
