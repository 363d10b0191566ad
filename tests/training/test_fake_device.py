"""A step on a GPU on paper: every registered component stays on the device, and the host never waits for it.

`SYNCS` lists what may wait, by the component at work; docs/explanation/performance.md has the reasons.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from fake_cuda import HostSyncError, on_paper, on_the_host

from benchmarks.gpu_parts.steps import SMALL, configurations, devices_of, flags_of, images, trainer_of
from pggan_framework.config import resolve_overrides
from pggan_framework.data.base import DepthDataset
from pggan_framework.launch import experiment as launch
from pggan_framework.losses.wgan import CriticTerm
from pggan_framework.registry import REGISTRY

DOCS = Path(__file__).parents[2] / "docs" / "explanation" / "performance.md"
SYNCS: dict[str, tuple[str, ...]] = {
    "GDPP": ("_linalg_eigh",),
    "Adam.skip_nonfinite": ("_local_scalar_dense",),
}
"""Component -> operations of a step with it that make the host wait."""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images of 8x8 pixels in two folders, and a map of three classes for each."""
    return images(tmp_path_factory.mktemp("images"), 8)


@cache
def dataset_of(flags: str) -> DepthDataset:
    """The data of a run, once for each kind."""
    return launch.build_dataset(resolve_overrides(None, json.loads(flags)))


class Paper:
    """Takes steps of a run on a device that is on paper.

    Args:
        data: the folder of images.
        folder: for runs.
        monkeypatch: pytest's.
    """

    def __init__(self, data: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.data, self.folder, self.monkeypatch = data, folder, monkeypatch

    def step(self, flags: dict[str, Any], device: str = "cuda", waits: tuple[str, ...] = ()) -> set[str]:
        """One step in mid-fade, at 8 px, of a run with these flags; what has waited."""
        given = flags_of(self.data, "cpu", self.folder, flags)
        if "schedule" in given:
            del given["DepthManager"]
        own = {name: given[name] for name in ("dataset_class", given["dataset_class"])}
        dataset = dataset_of(json.dumps(own, sort_keys=True))
        patch = self.monkeypatch.setattr
        with on_paper(self.monkeypatch, device, waits) as mode:
            patch(launch, "choose_device", lambda *_: torch.device(device, 0))
            patch(launch, "build_dataset", lambda _: dataset)
            patch(launch, "check_gradients", lambda _: None)  # it looks at values, once, before the first step
            patch(launch, "bytes_at_hand", lambda _: None)
            patch(launch, "choose_precision", lambda *_: (torch.float32, ""))  # it asks the driver
            patch(launch.Experiment, "drawn_labels", on_the_host(launch.Experiment.drawn_labels))
            trainer = trainer_of(given, self.folder)
            batches = trainer.parts.loader._batches
            patch(batches, "read", on_the_host(batches.read))
            patch(batches, "labels", on_the_host(batches.labels))
            if "schedule" in given:
                trainer.nimg = 0
            with mode.watched():
                trainer.take_step()
            if "DepthManager" in given:
                assert trainer.G.fading and trainer.depth == 1
            assert devices_of(trainer) == {device}
            monitor = next(plugin for plugin in trainer.plugins if type(plugin).__name__ == "EfficientLossMonitor")
            assert set(monitor.state_dict()["counts"]) == set(trainer.losses)
            assert {value.device.type for value in monitor.state_dict()["sums"].values()} == {device}
        return mode.waited


@pytest.fixture
def paper(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Paper:
    """Steps on paper."""
    return Paper(data, tmp_path, monkeypatch)


def steps() -> dict[str, dict[str, Any]]:
    """The configurations that the GPU script runs too, those penalties in one step that need nothing else."""
    found = configurations()
    alone = [name for name, flags in found.items() if flags.keys() == {"loss", "penalties"} and "UnrolledD" not in name]
    penalties = [penalty for name in alone for penalty in found.pop(name)["penalties"]]
    return {**found, "penalties together": {"loss": "LogisticGAN", "penalties": penalties}}


@pytest.mark.parametrize("name", steps())
def test_every_component(paper: Paper, name: str) -> None:
    waits = SYNCS["GDPP"] if name == "penalties together" else ()
    assert paper.step(steps()[name], waits=waits) == set(waits)


def test_no_component_is_left_out() -> None:
    flags = json.dumps(steps())
    for kind in ("loss", "penalty", "generator", "discriminator", "augmentation"):
        own = {component.name for component in REGISTRY if component.kind == kind and component.is_own}
        assert own == {name for name in own if f'"{name}"' in flags or name in ("Generator", "Discriminator")}
    assert {*SCHEDULES} == {c.name for c in REGISTRY if c.kind == "schedule" and c.is_own}


SCHEDULES: dict[str, dict[str, Any]] = {
    "IterationSchedule": {"iterations": {0: 2}, "alpha_jumps": {0: 1}, "alpha_jump_length": {0: 1}},
    "StaircaseSchedule": {"iterations": {0: 3}, "delay": {0: 1}, "interval": 1, "jumps": {0: 1}},
    "StageSchedule": {"cycles": {0: [[1, 0.4]]}, "freeze": True},
    "WallClockSchedule": {"minutes": 5.0, "min_steps": 0},
}


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_every_schedule(paper: Paper, schedule: str) -> None:
    assert paper.step({"schedule": schedule, schedule: SCHEDULES[schedule]}) == set()


@pytest.mark.parametrize(
    ("flags", "waits"),
    [
        ({"Adam": {"clip_norm": 1.0}}, ()),
        ({"Adam": {"skip_nonfinite": True}}, SYNCS["Adam.skip_nonfinite"]),
        ({"micro_batch": 2, "Discriminator": {**SMALL, "mbstd_group": 2}}, ()),
        ({"activation_checkpointing": "always"}, ()),
        ({"Discriminator": {**SMALL, "spectral_norm": True}, "Trainer": {"D_training_repeats": 2}}, ()),
        ({"StandardGAN": {"label_noise": 0.1, "label_swap": 0.1}, "loss": "StandardGAN"}, ()),
        ({"by_depth": {"WGANGP.iwass_lambda": {0: 10.0, 1: 5.0}}}, ()),
    ],
)
def test_settings_of_a_step(paper: Paper, flags: dict[str, Any], waits: tuple[str, ...]) -> None:
    assert paper.step(flags, waits=waits) == set(waits)


@pytest.mark.parametrize("flags", [{}, {"loss": "LogisticGAN", "augmentations": ["ADA"]}])
def test_no_float64_on_an_apple_gpu(paper: Paper, flags: dict[str, Any]) -> None:
    assert paper.step(flags, device="mps", waits=("_to_copy",)) <= {"_to_copy"}  # it has no page-locked memory


def test_what_waits_is_in_the_docs() -> None:
    text = DOCS.read_text(encoding="utf-8")
    assert all(f"`{name}`" in text for name in SYNCS)


@pytest.mark.parametrize(
    "how",
    [
        lambda x: x.mean().item(),
        lambda x: bool(x.mean() > 0),
        lambda x: x.cpu(),
        lambda x: x[x > 0],
        lambda x: x.nonzero(),
        lambda x: x * torch.ones(8),
        lambda x: x * torch.tensor(1.0, device=x.device),
        lambda x: torch.ones(3).to(x.device, non_blocking=True),
        lambda x: x[torch.tensor([0, 1])],
        lambda x: torch.linalg.inv(x[0, 0]),
    ],
)
def test_what_waits_is_found(how: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with on_paper(monkeypatch) as mode:
        x = torch.randn(4, 3, 8, 8, device=mode.paper)
        with mode.watched(), pytest.raises((HostSyncError, RuntimeError)):
            how(x)


def test_a_term_that_waits_fails_a_step(paper: Paper, monkeypatch: pytest.MonkeyPatch) -> None:
    usual = CriticTerm.__call__
    monkeypatch.setattr(
        CriticTerm, "__call__", lambda term, context: (context.fakes.mean().item(), usual(term, context))[1]
    )
    with pytest.raises(HostSyncError, match="_local_scalar_dense: the host reads a value"):
        paper.step({})
