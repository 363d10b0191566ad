"""Any loss with any networks, penalties, augmentations and schedules: trained from YAML, or refused with a reason."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from PIL import Image

from pggan_framework import run
from pggan_framework.errors import UserError

pytestmark = pytest.mark.usefixtures("memory_is_counted")
LOSSES = [
    "BEGAN",
    "HingeGAN",
    "LSGAN",
    "LogisticGAN",
    "RelativisticAverageGAN",
    "RelativisticGAN",
    "StandardGAN",
    "WGANGP",
]
PENALTIES = [
    "Consistency",
    "Drift",
    "GDPP",
    "GradientPenalty",
    "PathLength",
    "PullAway",
    "R1",
    "R2",
    "TV",
    "UnrolledD",
    "ZeroGP",
]
SMALL_G, SMALL_D = {"fmap_base": 16, "fmap_max": 4, "latent_size": 3}, {"fmap_base": 16, "fmap_max": 4}
NETWORKS: dict[str, dict[str, Any]] = {
    "PGGAN": {"generator": "Generator", "discriminator": "Discriminator"},
    "labelled": {"generator": "Generator", "discriminator": "Discriminator", "labels": True},
    "projection": {"generator": "Generator", "discriminator": "ProjectionDiscriminator", "labels": True},
    "projected": {
        "generator": "Generator",
        "discriminator": "ProjectedDiscriminator",
        "options": {"extractor": "random", "size": 32},
        "labels": True,
    },
    "auto-encoder": {"generator": "Generator", "discriminator": "AutoencoderDiscriminator"},
    "DCGAN": {"generator": "DCGANGenerator", "discriminator": "DCGANDiscriminator", "grows": False},
    "DCGAN's G": {"generator": "DCGANGenerator", "discriminator": "Discriminator", "grows": False},
    "R3GAN": {"generator": "R3GANGenerator", "discriminator": "R3GANDiscriminator", "labels": True},
    "StyleGAN2": {"generator": "StyleGAN2Generator", "discriminator": "StyleGAN2Discriminator"},
    "SPADE": {"generator": "SPADEGenerator", "discriminator": "MapDiscriminator", "maps": True},
}
SCHEDULES: dict[str, dict[str, Any]] = {
    "": {"DepthManager": {"lod_training_nimg": 4, "lod_transition_nimg": 8}},
    "IterationSchedule": {"iterations": {0: 2}, "alpha_jumps": {0: 1}, "alpha_jump_length": {0: 1}},
    "StaircaseSchedule": {"iterations": {0: 3}, "delay": {0: 1}, "interval": 1, "jumps": {0: 1}},
    "StageSchedule": {"cycles": {0: [[1, 0.4]]}, "freeze": True},
    "WallClockSchedule": {"minutes": 5, "min_steps": 0},
}


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten coloured 8x8 images in two folders, and a map of three classes for each."""
    root = tmp_path_factory.mktemp("pictures")
    random = np.random.default_rng(0)
    for number in range(10):
        for kind, shape, levels in (("images", (8, 8, 3), 256), ("maps", (8, 8), 3)):
            file = root / kind / str(number % 2) / f"{number}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(random.integers(0, levels, shape, dtype=np.uint8)).save(file)
    return root


@pytest.fixture
def clean(tmp_path: Path) -> Iterator[Path]:
    """A folder for runs, gone afterwards."""
    yield tmp_path
    shutil.rmtree(tmp_path, ignore_errors=True)


def config_of(pictures: Path, loss: str, networks: str, **more: Any) -> dict[str, Any]:
    """A config of small networks, as YAML has it."""
    chosen = NETWORKS[networks]
    G, D = chosen["generator"], chosen["discriminator"]
    if chosen.get("maps"):
        dataset = {"image_dir": str(pictures / "images"), "label_dir": str(pictures / "maps"), "classes": 3}
        data = {"dataset_class": "LabelMapDataset", "LabelMapDataset": dataset}
    else:
        dataset = {"dir_path": str(pictures / "images"), "labels": ["folder"] if chosen.get("labels") else None}
        data = {"dataset_class": "DefaultImageFolderDataset", "DefaultImageFolderDataset": dataset}
    grows = chosen.get("grows", True)
    config = {
        **data,
        "generator": G,
        "discriminator": D,
        "loss": loss,
        "progressive_growing": grows,
        "minibatch_size": 4,
        "total_kimg": 0.02,
        "postprocessors": [],
        "loggers": ["JSONLLogger"],
        "OutputGenerator": {"samples_count": 2},
        G: dict(SMALL_G, **({"hidden": 4} if G == "SPADEGenerator" else {})),
        D: {**SMALL_D, **chosen.get("options", {})},
        **({"DepthManager": {"lod_training_nimg": 4, "lod_transition_nimg": 8}} if grows else {}),
    }
    for name, value in more.items():
        config[name] = {**config.get(name, {}), **value} if isinstance(value, dict) else value
    return config


def attempt(config: dict[str, Any], folder: Path) -> str:
    """Train a few steps; '' where all values are finite, else the line that refuses it."""
    file = folder / "config.yaml"
    file.write_text(yaml.safe_dump(config))
    try:
        result = run(file, {"result_dir": str(folder / "results")})
    except UserError as error:
        assert str(error).strip() and "\n" not in str(error)
        return str(error)
    assert result.exit_status == 0 and result.nimg >= 8
    assert np.isfinite(list(result.stats.values())).all(), result.stats
    return ""


# A third of all pairs: each loss with two or three of the networks, each of the networks with two or three losses, and
# BEGAN with the auto-encoder. What a pair adds to its two parts, `combinations` below draws.
PAIRS = [(loss, kind) for i, loss in enumerate(LOSSES) for j, kind in enumerate(NETWORKS) if (i + j) % 3 == 0]


@pytest.mark.parametrize(("loss", "networks"), PAIRS)
def test_every_loss_and_all_networks(loss: str, networks: str, pictures: Path, clean: Path) -> None:
    refused = attempt(config_of(pictures, loss, networks), clean)
    rebuilds = networks == "auto-encoder"
    if loss == "BEGAN" and not rebuilds:
        assert "BEGAN needs a discriminator that is an auto-encoder" in refused
    else:
        assert not refused


@st.composite
def combinations(draw: st.DrawFn) -> dict[str, Any]:
    """A loss, networks, up to three penalties, an augmentation, a schedule, norms and optimizer settings."""
    networks = draw(st.sampled_from(sorted(NETWORKS)))
    loss = "BEGAN" if networks == "auto-encoder" and draw(st.booleans()) else draw(st.sampled_from(LOSSES))
    schedule = draw(st.sampled_from(sorted(SCHEDULES)))
    more: dict[str, Any] = {
        "penalties": draw(st.lists(st.sampled_from(PENALTIES), max_size=3, unique=True)),
        "augmentations": draw(st.lists(st.sampled_from(["DiffAugment", "ADA", "ColourJitter"]), max_size=1)),
        "Adam": {"clip_norm": draw(st.sampled_from([None, 1.0])), "weight_decay": draw(st.sampled_from([0.0, 0.01]))},
        "Trainer": {"D_training_repeats": draw(st.integers(1, 2))},
    }
    if "Drift" in more["penalties"] or "GradientPenalty" in more["penalties"]:
        more["WGANGP"] = {"iwass_lambda": 0.0, "iwass_epsilon": 0.0} if loss == "WGANGP" else {}
    if schedule and NETWORKS[networks].get("grows", True):
        more["schedule"] = schedule
        more[schedule] = SCHEDULES[schedule]
        more["DepthManager"] = {"lod_training_nimg": 100_000, "lod_transition_nimg": 100_000}
    if NETWORKS[networks]["discriminator"] in ("Discriminator", "ProjectionDiscriminator", "MapDiscriminator"):
        norm = draw(st.sampled_from(["none", "batch", "instance", "layer", "local_response"]))
        more[NETWORKS[networks]["discriminator"]] = {"norm": norm, "spectral_norm": draw(st.booleans())}
    return {"networks": networks, "loss": loss, "more": {k: v for k, v in more.items() if v != {}}}


@settings(
    max_examples=10,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.generate],  # to look for a smaller example would take many trainings
)
@given(combinations())
def test_combinations_train_or_say_why_not(
    pictures: Path, tmp_path_factory: pytest.TempPathFactory, drawn: dict[str, Any]
) -> None:
    folder = tmp_path_factory.mktemp("drawn")
    refused = attempt(config_of(pictures, drawn["loss"], drawn["networks"], **drawn["more"]), folder)
    shutil.rmtree(folder)
    if refused:
        reasons = (
            "BEGAN needs a discriminator that is an auto-encoder",
            "DiffAugment moves what is in an image, but the data are labelled with maps",
            "ADA moves what is in an image, but the data are labelled with maps",
            "ColourJitter moves what is in an image, but the data are labelled with maps",
            "does not know its blocks by depth",
            "Consistency compares two dropout passes, but",
            "SelfSupervision needs a discriminator with decoders",
        )
        assert any(reason in refused for reason in reasons), refused
