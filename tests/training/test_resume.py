"""An interrupted run that continues equals one that was never interrupted, bit for bit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from pggan_framework import Plugin, UserError, register, run
from pggan_framework.registry import REGISTRY
from pggan_framework.runs.folders import snapshots

TINY = {
    "dataset_class": "TonesDataset",
    "TonesDataset.count": 50,
    "Generator.fmap_base": 64,
    "Generator.fmap_max": 8,
    "Generator.latent_size": 8,
    "Discriminator.fmap_base": 64,
    "Discriminator.fmap_max": 8,
    "minibatch_size": 8,
    "postprocessors": [],
    "loggers": ["JSONLLogger"],
    "lr_rampup_kimg": 0.08,
    "DepthManager.tick_kimg_default": 0.02,
    "DepthManager.tick_kimg_overrides": {},
    "DepthManager.lod_training_nimg": 40,
    "DepthManager.lod_transition_nimg": 40,
    "SaverPlugin.network_snapshot_ticks": 1,
    "SaverPlugin.keep_old_checkpoints": True,
    "QualityMonitor.every_ticks": 0,  # tests/plugins/test_quality.py resumes with it
    "exp_name": "tiny",
}
CLOCKS = {"time", "sec.tick", "sec.kimg", "ms.data", "ms.saving"}


class Killed(BaseException):
    """Stands for a machine that goes away."""


@pytest.fixture
def kill_at() -> Any:
    """A plugin that breaks a run off in the middle of a step, as a kill would: nothing is saved."""
    limit = {"nimg": 10**9}

    class KillSwitch(Plugin):
        """Breaks off."""

        def before_step(self) -> None:
            if self.trainer.nimg >= limit["nimg"]:
                raise Killed

    register("plugin")(KillSwitch)
    yield limit
    REGISTRY.remove("KillSwitch")


def _stats(folder: Path) -> list[dict[str, float]]:
    lines = (folder / "stats.jsonl").read_text().splitlines()
    return [{k: v for k, v in json.loads(line).items() if k not in CLOCKS} for line in lines]


def _same(a: Any, b: Any, where: str = "") -> None:
    """Compare two checkpoint states to the bit, naming the first difference."""
    if isinstance(a, torch.Tensor):
        assert torch.equal(a, b), where
    elif isinstance(a, dict):
        assert a.keys() == b.keys(), where
        for key in a:
            if key not in {"config", "seconds"}:
                _same(a[key], b[key], f"{where}.{key}")
    elif isinstance(a, (list, tuple)):
        assert len(a) == len(b), where
        for i, (x, y) in enumerate(zip(a, b, strict=True)):
            _same(x, y, f"{where}[{i}]")
    else:
        assert a == b, where


def _last_state(folder: Path) -> dict[str, Any]:
    state: dict[str, Any] = torch.load(snapshots(folder)[-1], weights_only=True)
    return state


# 4 px until 40 images, fade to 8 px until 80, stable until 120, fade to 16 px ...; checkpoints at 24, 48, 72, 96 ...
@pytest.mark.parametrize(
    ("killed", "total", "workers"),
    [(32, 0.04, 0), (64, 0.096, 0), (36, 0.064, 2), (78, 0.168, 2)],
    ids=["stable", "mid-fade", "into a fade", "across a depth"],
)
def test_killed_and_resumed_equals_uninterrupted(
    tmp_path: Path, kill_at: dict[str, int], killed: int, total: float, workers: int
) -> None:
    flags = {**TINY, "total_kimg": total, "num_data_workers": workers, "plugins": ["KillSwitch"]}
    whole = run(overrides={**flags, "result_dir": str(tmp_path / "whole")})
    kill_at["nimg"] = killed
    with pytest.raises(Killed):
        run(overrides={**flags, "result_dir": str(tmp_path / "parts")})
    kill_at["nimg"] = 10**9
    rest = run(overrides={**flags, "result_dir": str(tmp_path / "parts"), "resume": "latest"})
    assert rest.path == tmp_path / "parts" / "000-tiny"
    assert rest.nimg == whole.nimg
    _same(_last_state(whole.path), _last_state(rest.path))
    assert _stats(whole.path) == _stats(rest.path)


def test_a_finished_run_can_be_made_longer(tmp_path: Path) -> None:
    whole = run(overrides={**TINY, "total_kimg": 0.144, "result_dir": str(tmp_path / "whole")})
    run(overrides={**TINY, "total_kimg": 0.07, "result_dir": str(tmp_path / "parts")})
    rest = run(overrides={"total_kimg": 0.144, "result_dir": str(tmp_path / "parts"), "resume": "latest"})
    _same(_last_state(whole.path), _last_state(rest.path))
    assert _stats(whole.path) == _stats(rest.path)


def test_a_changed_configuration_is_listed_and_refused(tmp_path: Path) -> None:
    flags = {**TINY, "total_kimg": 0.02, "result_dir": str(tmp_path)}
    run(overrides=flags)
    changed = {**flags, "total_kimg": 0.04, "G_lr_max": 0.5, "resume": "latest"}
    with pytest.raises(UserError, match=r"G_lr_max: 0.001 -> 0.5"):
        run(overrides=changed)
    result = run(overrides={**changed, "allow_config_change": True})
    assert result.nimg == 40


def test_where_pictures_are_kept_may_change(tmp_path: Path) -> None:
    flags = {**TINY, "result_dir": str(tmp_path / "parts")}
    whole = run(overrides={**TINY, "total_kimg": 0.1, "result_dir": str(tmp_path / "whole")})
    run(overrides={**flags, "total_kimg": 0.05})
    rest = run(overrides={**flags, "total_kimg": 0.1, "TonesDataset.preload": False, "resume": "latest"})
    _same(_last_state(whole.path)["networks"], _last_state(rest.path)["networks"])


def test_changed_data_are_refused(tmp_path: Path) -> None:
    flags = {**TINY, "total_kimg": 0.05, "result_dir": str(tmp_path)}
    run(overrides=flags)
    with pytest.raises(UserError, match=r"TonesDataset.count: 50 -> 60.*other files or parameters"):
        run(overrides={**flags, "total_kimg": 0.1, "TonesDataset.count": 60, "resume": "latest"})


def test_nothing_to_resume_is_an_error_not_a_fresh_start(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no run 'tiny' with a checkpoint"):
        run(overrides={**TINY, "result_dir": str(tmp_path), "resume": "latest"})
    assert list(tmp_path.iterdir()) == []


def test_weights_of_an_older_run_start_a_new_one(tmp_path: Path) -> None:
    old = run(overrides={**TINY, "total_kimg": 0.05, "result_dir": str(tmp_path)})
    snapshot = snapshots(old.path)[-1]
    flags = {**TINY, "total_kimg": 0.008, "result_dir": str(tmp_path), "resume_network": str(snapshot)}
    new = run(overrides={**flags, "G_lr_max": 1e-30, "D_lr_max": 1e-30})
    assert new.path.name == "001-tiny"
    _same(_last_state(old.path)["networks"]["G"], _last_state(new.path)["networks"]["G"])
    with pytest.raises(UserError, match="does not fit these networks"):
        run(overrides={**flags, "Generator.latent_size": 16})
    assert len(list(tmp_path.iterdir())) == 2


def test_the_average_of_an_older_run_is_kept_where_its_images_count(tmp_path: Path) -> None:
    flags = {**TINY, "total_kimg": 0.05, "result_dir": str(tmp_path), "EMA.half_life_kimg": 1000, "EMA.rampup": 1}
    old = run(overrides={**flags, "G_lr_max": 0.1})
    more = {"resume_network": str(snapshots(old.path)[-1]), "Trainer.resume_nimg": 90, "total_kimg": 0.098}
    new = run(overrides={**flags, **more})
    before, after = _last_state(old.path)["ema"], _last_state(new.path)["ema"]
    name = "blocks.0.conv.weight"
    raw = _last_state(old.path)["networks"]["G"][name]
    # A half-life of 98 images, not of the 8 that were shown since.
    assert (after[name] - before[name]).norm() < 0.2 * (raw - before[name]).norm()
