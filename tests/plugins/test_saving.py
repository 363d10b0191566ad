"""Checkpoints by ticks and minutes; samples from fixed latents and the EMA generator."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from tiny import TONES

from pggan_framework import register, run
from pggan_framework.models.pretrained import load_generator
from pggan_framework.postprocessors.base import Artifact, Postprocessor
from pggan_framework.registry import REGISTRY
from pggan_framework.runs.folders import snapshots

SMALL = {
    **TONES,
    "minibatch_size": 500,
    "DepthManager.tick_kimg_default": 1,
    "DepthManager.lod_training_nimg": 4000,
    "DepthManager.lod_transition_nimg": 2000,
    "total_kimg": 5,
}
KEPT: list[tuple[str, int, NDArray[np.float32]]] = []


class Keeping(Postprocessor):
    """Keeps what it is given."""

    def save(self, samples: NDArray[np.float32], kind: str, kimg: int) -> list[Artifact]:
        KEPT.append((kind, kimg, samples))
        return []


@pytest.fixture
def keeping() -> Any:
    KEPT.clear()
    register("postprocessor")(Keeping)
    yield
    REGISTRY.remove("Keeping")


@pytest.mark.parametrize(
    ("flags", "names"),
    [
        ({"SaverPlugin.network_snapshot_ticks": 2, "SaverPlugin.keep_old_checkpoints": True}, [2, 4, 5]),
        ({"SaverPlugin.network_snapshot_ticks": 2}, [5]),
        ({"SaverPlugin.network_snapshot_minutes": 1e-9, "SaverPlugin.keep_old_checkpoints": True}, [1, 2, 3, 4, 5]),
        ({"SaverPlugin.network_snapshot_minutes": 0, "SaverPlugin.keep_old_checkpoints": True}, [5]),
    ],
)
def test_when_checkpoints_are_written_and_removed(tmp_path: Path, flags: dict[str, Any], names: list[int]) -> None:
    result = run(overrides={**SMALL, **flags, "result_dir": str(tmp_path)})
    assert [path.name for path in snapshots(result.path)] == [f"network-snapshot-{kimg:06d}.pt" for kimg in names]


def test_checkpoints_dir_holds_a_folder_a_run(tmp_path: Path) -> None:
    flags = {"result_dir": str(tmp_path / "runs"), "checkpoints_dir": str(tmp_path / "weights"), "exp_name": "a"}
    run(overrides={**SMALL, **flags})
    run(overrides={**SMALL, **flags})
    found = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.pt"))
    assert found == [f"weights/00{n}-a/network-snapshot-000005.pt" for n in (0, 1)]
    assert run(overrides={**flags, "total_kimg": 6, "resume": "latest"}).path.name == "001-a"


def test_samples_come_from_the_same_latents_and_reals_once(tmp_path: Path, keeping: None) -> None:
    flags = {
        "postprocessors": ["Keeping"],
        "OutputGenerator.samples_count": 5,
        "OutputGenerator.output_snapshot_ticks": 2,
    }
    result = run(overrides={**SMALL, **flags, "total_kimg": 8, "result_dir": str(tmp_path)})
    assert [(kind, kimg) for kind, kimg, _ in KEPT] == [("reals", 0), *(("fakes", kimg) for kimg in (1, 2, 4, 6, 8))]
    assert KEPT[0][2].shape == (5, 1, 32, 32)
    assert [samples.shape[2:] for _, _, samples in KEPT[1:]] == [(4, 4)] * 3 + [(8, 8)] * 2
    # The last grid is what the stored, EMA generator makes of the stored latents.
    path = snapshots(result.path)[-1]
    latents = torch.load(path, weights_only=True)["plugins"]["OutputGenerator"]["latents"]
    with torch.no_grad():
        again = load_generator(path).generator(latents).numpy()
    assert np.allclose(KEPT[-1][2], again, atol=1e-5)


def test_another_output_range_reaches_the_savers_as_minus_one_to_one(tmp_path: Path, keeping: None) -> None:
    flags = {"postprocessors": ["Keeping"], "TonesDataset.range_out": (0, 2), "result_dir": str(tmp_path)}
    run(overrides={**SMALL, **flags, "total_kimg": 0.5})
    reals = KEPT[0][2]
    assert reals.min() >= -1
    assert reals.max() <= 1
    assert reals.min() < -0.9


def test_a_pretrained_generator_gives_the_same_samples_for_the_same_seed(tmp_path: Path) -> None:
    result = run(overrides={**SMALL, "result_dir": str(tmp_path)})
    pretrained = load_generator(snapshots(result.path)[-1])
    assert pretrained.nimg == 5000
    assert pretrained.codec is not None
    assert pretrained.codec.sample_rate == 8000
    first, again, other = (
        pretrained.sample(7, seed=3, batch=2),
        pretrained.sample(7, seed=3),
        pretrained.sample(7, seed=4),
    )
    assert first.shape == (7, 1, 8, 8)
    assert np.allclose(first, again, atol=1e-5)
    assert not np.allclose(first, other, atol=1e-3)
