"""Whole runs of several processes: as one alone would have it, after a restart too."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from processes import Command, forking, ranks
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from pggan_framework import run
from pggan_framework.cli.main import main

TRAIN = Path(__file__).parents[2] / "train.py"
TINY = """
dataset_class: TonesDataset
TonesDataset: {count: 50}
Generator: {fmap_base: 64, fmap_max: 8, latent_size: 8}
Discriminator: {fmap_base: 64, fmap_max: 8}
minibatch_size: 12
lr_rampup_kimg: 0.2
postprocessors: [ImageSaver]
DepthManager: {tick_kimg_default: 0.05, tick_kimg_overrides: {}, lod_training_nimg: 100, lod_transition_nimg: 100}
SaverPlugin: {network_snapshot_ticks: 1}
QualityMonitor: {every_ticks: 0}
exp_name: tiny
"""


def _torchrun(folder: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2", str(TRAIN)]
    one_thread = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.run([*words, *flags], cwd=folder, env=one_thread, capture_output=True, text=True, check=False)


def _train(folder: Path, size: int, *flags: str) -> list[Command]:
    (folder / "tiny.yaml").write_text(TINY)
    return ranks(["train", *flags], size, folder)


def _worker(folder: str, words: list[str]) -> None:
    os.chdir(folder)
    torch.set_num_threads(1)
    sys.exit(main(words))


def _restarting(folder: Path, words: list[str]) -> None:
    """Two processes that torchrun's own engine starts, and starts once more where one fails."""
    (folder / "tiny.yaml").write_text(TINY)
    forking()
    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=2,
        run_id="tiny",
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        max_restarts=1,
        monitor_interval=0.1,
        start_method="forkserver",
    )
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)}
    try:
        elastic_launch(config, _worker)(str(folder), words)
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


def _stats(run: Path) -> list[dict[str, Any]]:
    lines = (run / "stats.jsonl").read_text().splitlines()
    clocks = ("time", "sec.", "ms.")
    return [{k: v for k, v in json.loads(line).items() if not k.startswith(clocks)} for line in lines]


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two processes, by the command that people type: from a cold start to the interpreters' end."""
    folder = tmp_path_factory.mktemp("two")
    (folder / "tiny.yaml").write_text(TINY)
    done = _torchrun(folder, "--config", "tiny.yaml", "--total_kimg", "0.18")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("finished") == 1
    assert [path.name for path in (folder / "results").iterdir()] == ["000-tiny"]
    return folder / "results" / "000-tiny"


@pytest.mark.slow
def test_a_run_of_two_processes_that_three_go_on_with_is_that_of_one(tmp_path: Path, two: Path) -> None:
    (tmp_path / "tiny.yaml").write_text(TINY)
    one = run(tmp_path / "tiny.yaml", {"total_kimg": 0.24, "result_dir": str(tmp_path / "results")})
    assert one.exit_status == 0
    shutil.copytree(two, tmp_path / "three" / two.name)
    three = _train(tmp_path, 3, "--result_dir", "three", "--resume", "latest", "--total_kimg", "0.24")
    assert [each.status for each in three] == [0, 0, 0], [each.error for each in three]
    expected, found = _stats(tmp_path / "results" / two.name), _stats(tmp_path / "three" / two.name)
    assert len(expected) == len(found) == 4
    for mine, other in zip(expected, found, strict=True):
        assert other == pytest.approx(mine, rel=1e-3, abs=1e-3)


KILLER = '''
"""Ends one process, once, as a machine that goes away would."""
import os
from pathlib import Path

from pggan_framework import Plugin, register


@register("plugin")
class Killer(Plugin):
    """Kills process 1."""

    def before_step(self) -> None:
        mark = Path("killed")
        if os.environ.get("RANK") == "1" and self.trainer.nimg >= 120 and not mark.exists():
            mark.touch()
            os._exit(9)
'''


@pytest.mark.slow
def test_a_killed_process_is_started_again_and_the_result_is_the_same(tmp_path: Path, two: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "killer.py").write_text(KILLER)
    flags = ["--config", "tiny.yaml", "--total_kimg", "0.18", "--plugin_dirs", "mine", "--plugins", "Killer"]
    _restarting(tmp_path, ["train", *flags])
    assert (tmp_path / "killed").exists()
    assert [path.name for path in (tmp_path / "results").iterdir()] == [two.name]
    assert _stats(tmp_path / "results" / two.name) == _stats(two)


@pytest.mark.slow
def test_torchrun_tells_a_mistake_once(tmp_path: Path) -> None:
    wrong = _torchrun(tmp_path, "--dataset_class", "TonesDataset", "--total_kimg", "-1")
    assert wrong.returncode != 0
    assert wrong.stderr.count("error: ") == 1 and "total_kimg" in wrong.stderr
    assert list(tmp_path.iterdir()) == []
