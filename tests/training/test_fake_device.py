"""A step on a GPU on paper: every registered component stays on the device, and the host never waits for it.

`SYNCS` lists what may wait, by the component that is at work; docs/explanation/performance.md has the same list with the reasons.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fake_cuda import HostSyncError, PaperCuda, on_paper, on_the_host
from PIL import Image

from pggan_framework.config import resolve_overrides
from pggan_framework.data.base import DepthDataset
from pggan_framework.launch import experiment as launch
from pggan_framework.registry import REGISTRY
from pggan_framework.training.hooks import Hooks
from pggan_framework.training.trainer import Trainer

DOCS = Path(__file__).parents[2] / "docs" / "explanation" / "performance.md"
SYNCS: dict[str, tuple[str, ...]] = {
    "GDPP": ("_linalg_eigh",),
    "Adam.skip_nonfinite": ("_local_scalar_dense",),
}
"""Component -> operations of a step with it that make the host wait."""

IN_STEPS = ("DepthManager", "DepthTables", "LRScheduler", "EfficientLossMonitor")
"""The plugins that work in every step."""


def named(kind: str) -> list[str]:
    """Every registered component of a kind that is part of the package."""
    return [component.name for component in REGISTRY if component.kind == kind and component.is_own]


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four 8x8 images in two folders, and a map of three classes for each."""
    root = tmp_path_factory.mktemp("images")
    random = np.random.default_rng(0)
    for number in range(4):
        for kind, shape, levels in (("images", (8, 8, 3), 256), ("maps", (8, 8), 3)):
            file = root / kind / str(number % 2) / f"{number}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(random.integers(0, levels, shape, dtype=np.uint8)).save(file)
    return root


@cache
def data_of(images: Path, kind: str) -> tuple[dict[str, Any], DepthDataset]:
    """The flags of a small data set without labels, with folders as labels, or with label maps; and the data set."""
    if kind == "maps":
        own: dict[str, Any] = {"image_dir": str(images / "images"), "label_dir": str(images / "maps"), "classes": 3}
        flags = {"dataset_class": "LabelMapDataset", "LabelMapDataset": own}
    else:
        own = {"dir_path": str(images / "images"), "labels": ["folder"] if kind == "labels" else None}
        flags = {"dataset_class": "DefaultImageFolderDataset", "DefaultImageFolderDataset": own}
    return flags, launch.build_dataset(resolve_overrides(None, flags))


SMALL = {"fmap_base": 16, "fmap_max": 4}


class Paper:
    """Takes steps of a run on a device that is on paper.

    Args:
        images: the folder of images.
        folder: for runs.
        monkeypatch: pytest's.
    """

    def __init__(self, images: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.images, self.folder, self.monkeypatch = images, folder, monkeypatch

    def step(
        self,
        kind: str = "plain",
        generator: str = "Generator",
        discriminator: str = "Discriminator",
        device: str = "cuda",
        waits: tuple[str, ...] = (),
        **flags: Any,
    ) -> PaperCuda:
        """One step in mid-fade, at 8 px, of a run with these flags; the mode knows what has waited."""
        given, dataset = data_of(self.images, kind)
        grows = REGISTRY.get(generator).cls.grows  # type: ignore[attr-defined]
        phases = {"lod_training_nimg": 4, "lod_transition_nimg": 8} if grows and "schedule" not in flags else {}
        config = resolve_overrides(
            None,
            {
                **given,
                "generator": generator,
                "discriminator": discriminator,
                "progressive_growing": grows,
                "minibatch_size": 4,
                "postprocessors": [],
                "loggers": ["JSONLLogger"],
                "compile": "never",
                "device": "cpu",
                "result_dir": str(self.folder),
                generator: {**SMALL, "latent_size": 3, **({"hidden": 4} if generator == "SPADEGenerator" else {})},
                discriminator: dict(SMALL),
                **({"DepthManager": phases} if phases else {}),
                **flags,
            },
        )
        patch = self.monkeypatch.setattr
        with on_paper(self.monkeypatch, device, waits) as mode:
            patch(launch, "choose_device", lambda *_: torch.device(device, 0))
            patch(launch, "build_dataset", lambda _: dataset)
            patch(launch, "check_gradients", lambda _: None)  # it looks at values, once, before the first step
            experiment = launch.Experiment(config)
            patch(experiment, "drawn_labels", on_the_host(experiment.drawn_labels))
            trainer, logger = experiment.trainer(self.folder)
            trainer.plugins = [plugin for plugin in trainer.plugins if type(plugin).__name__ in IN_STEPS]
            trainer.hooks = Hooks(trainer.plugins, logger)
            batches = trainer.parts.loader._batches
            patch(batches, "read", on_the_host(batches.read))
            patch(batches, "labels", on_the_host(batches.labels))
            trainer.nimg = 8 if phases else 0
            self.prepare(trainer)
            with mode.watched():
                trainer.take_step()
            if phases:
                assert trainer.G.fading and trainer.depth == 1
            self.check(trainer, device)
        return mode

    def prepare(self, trainer: Trainer) -> None:
        """What a test changes before the step."""

    @staticmethod
    def check(trainer: Trainer, device: str) -> None:
        """Everything that stays from step to step is on the device."""
        kept = [*trainer.losses.values(), *trainer.G.parameters(), *trainer.D.buffers()]
        kept += [p.grad for p in trainer.D.parameters() if p.grad is not None]
        kept += [*trainer.parts.ema.generator.parameters()]
        assert {tensor.device.type for tensor in kept} == {device}
        monitor = next(plugin for plugin in trainer.plugins if type(plugin).__name__ == "EfficientLossMonitor")
        assert {value.device.type for value in monitor.state_dict()["sums"].values()} == {device}
        assert set(monitor.state_dict()["counts"]) == set(trainer.losses)


@pytest.fixture
def paper(images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Paper]:
    """Steps on paper."""
    yield Paper(images, tmp_path, monkeypatch)


@pytest.mark.parametrize("loss", named("loss"))
def test_every_loss(paper: Paper, loss: str) -> None:
    mode = paper.step(loss=loss, discriminator="AutoencoderDiscriminator" if loss == "BEGAN" else "Discriminator")
    assert mode.waited == set()


UNLABELLED = [name for name in named("penalty") if name != "AuxiliaryClassifier"]


@pytest.mark.parametrize("penalty", UNLABELLED)
def test_every_penalty(paper: Paper, penalty: str) -> None:
    flags: dict[str, Any] = {"loss": "LogisticGAN", "penalties": [penalty]}
    if penalty == "Consistency":
        flags["Discriminator"] = {**SMALL, "dropout": 0.1}
    mode = paper.step(waits=SYNCS.get(penalty, ()), **flags)
    assert mode.waited == set(SYNCS.get(penalty, ()))


NETWORKS = {
    "Generator": ("Discriminator", "labels"),
    "ProjectionDiscriminator": ("Generator", "labels"),
    "AutoencoderDiscriminator": ("Generator", "plain"),
    "DCGANGenerator": ("DCGANDiscriminator", "plain"),
    "SPADEGenerator": ("MapDiscriminator", "maps"),
}
"""A network -> another one for the same data, and which data."""


def test_every_network_is_looked_at() -> None:
    looked_at = {*NETWORKS, *(other for other, _ in NETWORKS.values())}
    assert looked_at == {*named("generator"), *named("discriminator")}


@pytest.mark.parametrize("network", NETWORKS)
def test_every_network(paper: Paper, network: str) -> None:
    other, kind = NETWORKS[network]
    G, D = (network, other) if REGISTRY.get(network).kind == "generator" else (other, network)
    balanced = {"AuxiliaryClassifier": {"class_weights": "balanced"}} if network == "Generator" else {}
    assert paper.step(kind, G, D, **balanced).waited == set()


@pytest.mark.parametrize("augmentation", named("augmentation"))
def test_every_augmentation(paper: Paper, augmentation: str) -> None:
    more: dict[str, Any] = {"ADA": {"initial_p": 0.5, "interval": 1}} if augmentation == "ADA" else {}
    if augmentation == "ColourJitter":
        more = {"ColourJitter": {"rotation": 10.0, "flip": 0.5}}
    assert paper.step(augmentations=[augmentation], loss="LogisticGAN", **more).waited == set()


SCHEDULES: dict[str, dict[str, Any]] = {
    "IterationSchedule": {"iterations": {0: 2}, "alpha_jumps": {0: 1}, "alpha_jump_length": {0: 1}},
    "StaircaseSchedule": {"iterations": {0: 3}, "delay": {0: 1}, "interval": 1, "jumps": {0: 1}},
    "StageSchedule": {"cycles": {0: [[1, 0.4]]}, "freeze": True},
    "WallClockSchedule": {"minutes": 5.0, "min_steps": 0},
}


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_every_schedule(paper: Paper, schedule: str) -> None:
    assert paper.step(schedule=schedule, **{schedule: SCHEDULES[schedule]}).waited == set()


def test_every_schedule_is_looked_at() -> None:
    assert {*SCHEDULES} == {*named("schedule")}


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
    assert paper.step(waits=waits, **flags).waited == set(waits)


@pytest.mark.parametrize("flags", [{}, {"loss": "LogisticGAN", "augmentations": ["ADA"]}])
def test_no_float64_on_an_apple_gpu(paper: Paper, flags: dict[str, Any]) -> None:
    assert paper.step(device="mps", **flags).waited == set()


def test_what_waits_is_in_the_docs() -> None:
    text = DOCS.read_text(encoding="utf-8")
    assert all(f"`{name}`" in text for name in SYNCS)


class Waiting(Paper):
    """A run with a term that waits.

    Args:
        how: what it does to the fakes.
    """

    how: Any

    def prepare(self, trainer: Trainer) -> None:
        """Let the loss look at values."""
        terms = trainer.parts.step.loss.terms
        usual = type(terms[0]).__call__
        self.monkeypatch.setattr(
            type(terms[0]), "__call__", lambda term, context: (self.how(context.fakes), usual(term, context))[1]
        )


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
def test_a_term_that_waits_is_found(how: Any, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    waiting = Waiting(images, tmp_path, monkeypatch)
    waiting.how = staticmethod(how)
    with pytest.raises((HostSyncError, RuntimeError)):
        waiting.step()
