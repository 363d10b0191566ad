"""A component that is not what its kind must be is refused when it is built, in one line."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny import TONES

from pggan_framework import DepthDataset, Plugin, UserError
from pggan_framework.config import resolve_overrides
from pggan_framework.launch.build import build_dataset, build_networks, make
from pggan_framework.losses.base import Loss
from pggan_framework.networks.base import DiscriminatorBase, GeneratorBase, Verdict, growth_of
from pggan_framework.registry import REGISTRY, register
from pggan_framework.training.optimizers import OptimizerFactory

SMALL = {**TONES, "plugin_dirs": []}


@pytest.fixture
def added() -> Iterator[Callable[[str, type], str]]:
    """Register a class for the time of the test; returns its name."""
    names: list[str] = []

    def add(kind: str, cls: type) -> str:
        register(kind)(cls)
        names.append(cls.__name__)
        return cls.__name__

    yield add
    for name in names:
        REGISTRY.remove(name)


class Images(DepthDataset):
    """Three images of one value."""

    def __init__(self, value: float = 0.5, kind: str = "float32", size: int = 8, **kwargs: Any) -> None:
        self.value, self.kind, self.size = value, kind, size
        super().__init__((1, 8, 8), **kwargs)

    def __len__(self) -> int:
        return 3

    def image(self, index: int) -> np.ndarray:  # type: ignore[type-arg]
        return np.full((1, self.size, self.size), self.value, self.kind)

    def fingerprint(self) -> str:
        return "images"


class Unprepared(Images):
    def __init__(self) -> None:
        self.value = 0.0


@pytest.mark.parametrize(
    ("value", "more"),
    [(0.5, {}), (255.0, {}), (0, {}), (-1, {"range_in": [-1, 1]}), (200, {"kind": "uint8"}), (1, {"kind": "float16"})],
)
def test_a_dataset_in_its_range_is_taken(
    added: Callable[[str, type], str], value: float, more: dict[str, object]
) -> None:
    name = added("dataset", Images)
    flags = {f"Images.{flag}": each for flag, each in {"value": value, **more}.items()}
    assert len(build_dataset(resolve_overrides(None, {**SMALL, "dataset_class": name, **flags}))) == 3


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"value": -1}, r"Images: image 0 has values from -1 to -1; allowed: range_in, 0 to 255; give the range"),
        ({"value": 2, "range_in": [-1, 1]}, "image 0 has values from 2 to 2; allowed: range_in, -1 to 1"),
        ({"value": float("nan")}, "has values from nan to nan"),
        (
            {"kind": "int64", "value": 1},
            r"image 0 is int64 \[1, 8, 8\]; allowed: uint8, float16 or float32 \[1",
        ),
        ({"size": 4}, r"image 0 is float32 \[1, 4, 4\]; allowed: .* \[1, 8, 8\]"),
    ],
)
def test_a_dataset_that_breaks_its_promise_is_refused(
    added: Callable[[str, type], str], flags: dict[str, object], message: str
) -> None:
    name = added("dataset", Images)
    named = {f"Images.{flag}": value for flag, value in flags.items()}
    with pytest.raises(UserError, match=message):
        build_dataset(resolve_overrides(None, {**SMALL, "dataset_class": name, **named}))


def test_a_dataset_that_was_not_set_up_is_refused(added: Callable[[str, type], str]) -> None:
    with pytest.raises(UserError, match=r"Unprepared does not call super\(\).__init__\(shape\)"):
        build_dataset(resolve_overrides(None, {**SMALL, "dataset_class": added("dataset", Unprepared)}))


class FollowsG(GeneratorBase):
    def __init__(self, shape: object) -> None:
        super().__init__(growth_of(shape), 4)  # type: ignore[arg-type]
        self.weight = torch.nn.Parameter(torch.ones(1))

    def forward(self, latents: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor:
        return self.weight.expand(len(latents), *self.growth.shape_at(self.depth))


class NoBase(torch.nn.Module):
    def __init__(self, shape: object) -> None:
        super().__init__()


class NoForward(GeneratorBase):
    def __init__(self, shape: object) -> None:
        super().__init__(growth_of(shape), 4)  # type: ignore[arg-type]


class FullSize(FollowsG):
    def forward(self, latents: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor:
        return self.weight.expand(len(latents), *self.growth.shape)


class OneArgument(FollowsG):
    def forward(self, latents: torch.Tensor) -> torch.Tensor:  # type: ignore[override]
        return self.weight.expand(len(latents), *self.growth.shape_at(self.depth))


class NoShape(GeneratorBase):
    def __init__(self) -> None:
        super().__init__(growth_of((1, 32, 32)), 4)

    forward = FollowsG.forward


class NoSuper(GeneratorBase):
    def __init__(self, shape: object) -> None:
        torch.nn.Module.__init__(self)

    forward = FollowsG.forward


class Random(FollowsG):
    """Draws, drops and normalizes, none of which may be noticed in the training."""

    def __init__(self, shape: object) -> None:
        super().__init__(shape)
        self.norm = torch.nn.BatchNorm2d(1)

    def forward(self, latents: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor:
        made = super().forward(latents)
        return self.norm(made + torch.rand_like(made))  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("cls", "message"),
    [
        (NoBase, r"generator NoBase in .* does not derive from pggan_framework\.networks\.base\.GeneratorBase"),
        (NoForward, "generator NoForward in .* does not define forward; see pggan_framework"),
        (FullSize, r"FullSize\.forward returns \[2, 1, 32, 32\] at depth 0; allowed: images \[2, 1, 4, 4\]"),
        (OneArgument, r"OneArgument\.forward\(latents \[2, 4\], None\) fails: TypeError"),
        (NoShape, r"NoShape in .* cannot be created: got an unexpected keyword argument 'shape'"),
        (NoSuper, r"NoSuper does not call super\(\).__init__ of GeneratorBase"),
    ],
)
def test_a_generator_that_does_not_follow_the_interface_is_refused(
    added: Callable[[str, type], str], cls: type, message: str
) -> None:
    name = added("generator", cls)
    with pytest.raises(UserError, match=message) as error:
        config = resolve_overrides(None, {**SMALL, "generator": name})
        build_networks(config, build_dataset(config))
    assert "\n" not in str(error.value)


def test_the_look_at_a_generator_leaves_no_trace(added: Callable[[str, type], str]) -> None:
    config = resolve_overrides(None, {**SMALL, "generator": added("generator", Random)})
    dataset = build_dataset(config)
    generator, _ = build_networks(config, dataset)
    after = torch.rand(3)
    assert generator.training and generator.depth == generator.max_depth
    assert generator.norm.running_mean.item() == 0  # type: ignore[union-attr, operator]
    build_networks(resolve_overrides(None, {**SMALL, "generator": added("generator", FollowsG)}), dataset)
    assert torch.equal(torch.rand(3), after)


class Judges(DiscriminatorBase):
    """Gives what `found` makes of the number of images."""

    found: Callable[[int], object]

    def __init__(self, shape: object) -> None:
        super().__init__(growth_of(shape))  # type: ignore[arg-type]

    def judge(self, images: torch.Tensor, labels: torch.Tensor | None = None, parts: int = 1) -> Verdict:
        return type(self).found(len(images))  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("found", "message"),
    [
        (lambda n: torch.zeros(n), r"Judges\.judge returns \[2\]; allowed: a networks.base.Verdict"),
        (lambda n: Verdict(torch.zeros(n, 1), torch.zeros(n, 3)), r"returns scores \[2, 1\] and features \[2, 3\]"),
        (lambda n: Verdict(torch.zeros(n), torch.zeros(n)), r"features \[2\] for 2 images; allowed: scores \[2\]"),
        (lambda n: 1 / 0, r"Judges\.judge\(images \[2, 1, 4, 4\], None\) fails: ZeroDivisionError"),
        (lambda n: Verdict(torch.zeros(n), torch.zeros(n, 3)), None),
    ],
)
def test_a_discriminator_that_does_not_follow_the_interface_is_refused(
    added: Callable[[str, type], str],
    monkeypatch: pytest.MonkeyPatch,
    found: Callable[[int], object],
    message: str | None,
) -> None:
    monkeypatch.setattr(Judges, "found", staticmethod(found), raising=False)
    config = resolve_overrides(None, {**SMALL, "discriminator": added("discriminator", Judges)})
    dataset = build_dataset(config)
    if message is None:
        assert isinstance(build_networks(config, dataset)[1], Judges)
        return
    with pytest.raises(UserError, match=message):
        build_networks(config, dataset)


class Termless(Loss):
    pass


class Unrelated:
    """Derives from nothing."""


@pytest.mark.parametrize(
    ("kind", "flag", "cls", "message"),
    [
        ("loss", "loss", Termless, "loss Termless in .* does not define terms; see pggan_framework.losses.base.Loss"),
        ("loss", "loss", Unrelated, "loss Unrelated in .* does not derive from pggan_framework.losses.base.Loss"),
        ("penalty", "penalties", Unrelated, "does not derive from pggan_framework.losses.penalty.Penalty"),
        ("plugin", "plugins", Unrelated, "does not derive from pggan_framework.training.plugin.Plugin"),
        ("logger", "loggers", Unrelated, "does not derive from pggan_framework.loggers.base.Logger"),
        ("schedule", "schedule", Unrelated, "does not derive from pggan_framework.schedules.base.Schedule"),
        ("optimizer", "optimizer", Unrelated, "does not derive from pggan_framework.training.optimizers"),
    ],
)
def test_any_kind_is_checked(added: Callable[[str, type], str], kind: str, flag: str, cls: type, message: str) -> None:
    name = added(kind, cls)
    given = [name] if flag in ("penalties", "plugins", "loggers") else name
    with pytest.raises(UserError, match=message):
        make(resolve_overrides(None, {**SMALL, flag: given}), name)


class Listens(Plugin):
    """Takes a general flag and what the run knows.

    Args:
        random_seed: injected.
        directory: injected.
        own: a flag.
    """

    injected = ("random_seed", "directory")

    def __init__(self, random_seed: int, directory: Path, own: int = 3) -> None:
        self.values = random_seed, directory, own


def test_a_class_is_given_what_it_lists_and_no_more(added: Callable[[str, type], str]) -> None:
    name = added("plugin", Listens)
    config = resolve_overrides(None, {**SMALL, "plugins": [name], "random_seed": 8})
    assert config.components[name] == {"own": 3}
    assert make(config, name, directory=Path("here"), logger="not listed").values == (8, Path("here"), 3)
    with pytest.raises(
        UserError, match=r"Listens in .* cannot be created: missing .*'directory'; what can be injected"
    ):
        make(config, name)


class SGD(OptimizerFactory):
    """Plain gradient descent.

    Args:
        momentum: of the steps.
    """

    def __init__(self, momentum: float = 0.0) -> None:
        self.momentum = momentum

    def build(self, parameters: Any, lr: float, side: str = "G") -> torch.optim.Optimizer:
        return torch.optim.SGD(parameters, lr, momentum=self.momentum)


@pytest.mark.slow
def test_another_optimizer_trains(added: Callable[[str, type], str], tmp_path: Path) -> None:
    from pggan_framework import run

    flags = {**SMALL, "optimizer": added("optimizer", SGD), "SGD.momentum": 0.5, "result_dir": str(tmp_path)}
    result = run(overrides={**flags, "total_kimg": 0.008})
    assert np.isfinite([result.stats["D_loss"], result.stats["G_loss"]]).all()
    assert "optimizer: SGD\n" in (result.path / "config.yaml").read_text()
    again = run(overrides={"result_dir": str(tmp_path), "resume": "latest", "total_kimg": 0.012})
    assert again.nimg == 12
