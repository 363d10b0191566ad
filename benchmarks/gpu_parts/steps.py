"""Training steps for the parts: contestants on a device, and one step of a run with each registered component."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal
from unittest.mock import patch

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from benchmarks.contestants import ours, plain
from benchmarks.gpu_parts.harness import Setting
from pggan_framework.config import resolve_overrides
from pggan_framework.launch.experiment import Experiment
from pggan_framework.networks.execution import Execution
from pggan_framework.registry import REGISTRY
from pggan_framework.training import compiling
from pggan_framework.training.compiler import compiler
from pggan_framework.training.graphs import Captures
from pggan_framework.training.hooks import Hooks
from pggan_framework.training.precision import device_settings
from pggan_framework.training.trainer import Trainer

Contestant = Literal["plain", "ours", "ours compiled"]
Precision = Literal["fp32", "tf32", "bf16"]
SMALL = {"fmap_base": 64, "fmap_max": 16}
NETWORKS = {
    "labelled": ("Generator", "Discriminator", "labels"),
    "projection": ("Generator", "ProjectionDiscriminator", "labels"),
    "projected": ("Generator", "ProjectedDiscriminator", "labels"),
    "auto-encoder": ("Generator", "AutoencoderDiscriminator", "plain"),
    "DCGAN": ("DCGANGenerator", "DCGANDiscriminator", "plain"),
    "SPADE": ("SPADEGenerator", "MapDiscriminator", "maps"),
    "R3GAN": ("R3GANGenerator", "R3GANDiscriminator", "labels"),
    "StyleGAN2": ("StyleGAN2Generator", "StyleGAN2Discriminator", "plain"),
}
"""Pairs of networks -> G, D, and which data they are trained on."""
IN_STEPS = ("DepthManager", "DepthTables", "LRScheduler", "EfficientLossMonitor")
"""The plugins that work in every step."""


def wait(device: str) -> None:
    """Wait until the device has finished all work."""
    if device != "cpu":
        torch.cuda.synchronize(device)


def milliseconds(function: Callable[[], object], device: str, seconds: float) -> float:
    """Return the milliseconds per call: the median of rounds within this number of seconds, after two warm-up calls."""
    for _ in range(2):
        function()
    wait(device)
    rounds: list[float] = []
    end = time.perf_counter() + seconds
    while len(rounds) < 3 or time.perf_counter() < end:
        start = time.perf_counter()
        for _ in range(3):
            function()
        wait(device)
        rounds.append((time.perf_counter() - start) / 3)
    return 1000 * float(np.median(rounds))


def graph_compiler(setting: Setting) -> Any:
    """Return torch.compile for the device; with --tiny, a captured graph is used without compiling."""
    return (lambda graph: graph) if setting.tiny else compiler(torch.device(setting.device))


@contextmanager
def run_compiler(setting: Setting) -> Iterator[None]:
    """A context in which runs use `graph_compiler`."""
    with patch.object(compiling, "compiler", lambda device: graph_compiler(setting)):
        yield


def contestant(
    setting: Setting, which: Contestant, side: int, batch: int, widths: tuple[int, int, int], precision: Precision
) -> Callable[[], None]:
    """Return one update of D, G and the EMA as a function, on images that stay on the device.

    Args:
        setting: setting of the script.
        which: the plain reference, our eager step, or our compiled step.
        side: side of the images.
        batch: number of images per step.
        widths: fmap_base, fmap_max and latents.
        precision: precision of the step; only ours supports bf16.
    """
    device = torch.device(setting.device)
    real = torch.rand(batch, 3, side, side, device=device) * 2 - 1
    if which == "plain":
        training = plain.Training(side, *widths, 1e-3, 0.999, setting.device)
        return lambda: training.step(real, 1.0)
    step, ema = ours.training_step(side, *widths, 1.0, device=setting.device)
    if precision == "bf16":
        for network in (step.G, step.D):
            network.execute(Execution(torch.bfloat16))
    if which == "ours compiled":
        step.gradients = Captures(graph_compiler(setting), _must_compile)
    one = ours.stepper(step, ema, batch)
    return lambda: one(real)


def _must_compile(text: str) -> None:
    if "not compiled" in text:
        raise RuntimeError(text)


@contextmanager
def settings_of(setting: Setting, precision: Precision) -> Iterator[None]:
    """A context with PyTorch's global settings of a run with this precision."""
    with device_settings(torch.device(setting.device), precision, deterministic=False):
        yield


def images(folder: Path, side: int) -> Path:
    """Write eight random images in two folders, and a map of three classes for each image."""
    random = np.random.default_rng(0)
    for number in range(8):
        for kind, shape, levels in (("images", (side, side, 3), 256), ("maps", (side, side), 3)):
            file = folder / kind / str(number % 2) / f"{number}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(random.integers(0, levels, shape, dtype=np.uint8)).save(file)
    return folder


def configurations() -> dict[str, dict[str, Any]]:
    """Return the flags of a run with each registered loss, penalty, pair of networks and augmentation, by name."""

    def own(kind: str) -> list[str]:
        return [component.name for component in REGISTRY if component.kind == kind and component.is_own]

    found: dict[str, dict[str, Any]] = {}
    for loss in own("loss"):
        D = {"discriminator": "AutoencoderDiscriminator"} if loss == "BEGAN" else {}
        found[f"loss {loss}"] = {"loss": loss, **D}
    for penalty in own("penalty"):
        options: dict[str, dict[str, Any]]
        options = {"Consistency": {"dropout": 0.1}, "SelfSupervision": {"decoders": True}}
        option = options.get(penalty)
        more: dict[str, Any] = {"Discriminator": {**SMALL, **option}} if option else {}
        if penalty != "AuxiliaryClassifier":  # it comes with labels
            found[f"penalty {penalty}"] = {"loss": "LogisticGAN", "penalties": [penalty], **more}
    for name, (G, D_name, data) in NETWORKS.items():
        found[f"networks {name}"] = {"generator": G, "discriminator": D_name, "data": data}
    found["networks StyleGAN2"] |= {"loss": "LogisticGAN", "penalties": ["PathLength"]}
    found["networks labelled"]["AuxiliaryClassifier"] = {"class_weights": "balanced"}
    for augmentation in own("augmentation"):
        own_flags: dict[str, Any] = {
            "ADA": {"ADA": {"initial_p": 0.5, "interval": 1}},
            "ColourJitter": {"ColourJitter": {"rotation": 10.0, "flip": 0.5}},
        }.get(augmentation, {})
        found[f"augmentation {augmentation}"] = {
            "loss": "LogisticGAN",
            "augmentations": [augmentation],
            **own_flags,
        }
    return found


def flags_of(data: Path, device: str, folder: Path, given: dict[str, Any]) -> dict[str, Any]:
    """Return all flags of a run that is in mid-fade after 8 images, based on flags from `configurations`."""
    flags = dict(given)
    kind = flags.pop("data", "plain")
    G, D = flags.setdefault("generator", "Generator"), flags.setdefault("discriminator", "Discriminator")
    grows = REGISTRY.get(G).cls.grows  # type: ignore[attr-defined]
    if kind == "maps":
        own: dict[str, Any] = {"image_dir": str(data / "images"), "label_dir": str(data / "maps"), "classes": 3}
        source: dict[str, Any] = {"dataset_class": "LabelMapDataset", "LabelMapDataset": own}
    else:
        own = {"dir_path": str(data / "images"), "labels": ["folder"] if kind == "labels" else None}
        source = {"dataset_class": "DefaultImageFolderDataset", "DefaultImageFolderDataset": own}
    return {
        **source,
        "progressive_growing": grows,
        "minibatch_size": 4,
        "postprocessors": [],
        "loggers": ["JSONLLogger"],
        "compile": "never",
        "device": device,
        "result_dir": str(folder),
        G: {**SMALL, "latent_size": 8, **({"hidden": 4} if G == "SPADEGenerator" else {})},
        D: {**SMALL, **({"extractor": "random", "size": 32} if D == "ProjectedDiscriminator" else {})},
        **({"DepthManager": {"lod_training_nimg": 4, "lod_transition_nimg": 8}} if grows else {}),
        **flags,
    }


def trainer_of(flags: dict[str, Any], folder: Path) -> Trainer:
    """Build a trainer in mid-fade that only does what a step needs; it writes no files."""
    experiment = Experiment(resolve_overrides(None, flags))
    trainer, logger = experiment.trainer(folder)
    trainer.plugins = [plugin for plugin in trainer.plugins if type(plugin).__name__ in IN_STEPS]
    trainer.hooks = Hooks(trainer.plugins, logger)
    trainer.nimg = 8 if experiment.manager is not None else 0
    return trainer


def devices_of(trainer: Trainer) -> set[str]:
    """Return the devices of all tensors that persist between steps."""
    kept: list[Tensor] = [*trainer.losses.values()]
    for network in (trainer.G, trainer.D, trainer.parts.ema.generator):
        kept += [*network.parameters(), *network.buffers()]
        kept += [p.grad for p in network.parameters() if p.grad is not None]
    return {tensor.device.type for tensor in kept}
