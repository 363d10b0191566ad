"""Two runs in two threads: each gives, bit for bit, what it gives alone."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import torch
from tiny import TONES

from pggan_framework import run
from pggan_framework.runs.folders import snapshots

FLAGS: dict[str, Any] = {
    **TONES,
    "TonesDataset.count": 12,
    "total_kimg": 0.06,
    "DepthManager.lod_training_nimg": 12,
    "DepthManager.lod_transition_nimg": 12,
    "DepthManager.tick_kimg_default": 0.024,
    "DepthManager.tick_kimg_overrides": {},
}
RUNS: dict[str, dict[str, Any]] = {
    # They differ in all that was once state of a module, and draw from the global generators in passing.
    "dropout": {"Discriminator.dropout": 0.3, "random_seed": 1, "activation_checkpointing": "always"},
    "noisy": {"loss": "StandardGAN", "StandardGAN.label_noise": 0.2, "penalties": ["R1"], "random_seed": 2},
}


def weights(name: str, folder: Path) -> dict[str, torch.Tensor]:
    result = run(overrides={**FLAGS, **RUNS[name], "exp_name": name, "result_dir": str(folder)})
    state = torch.load(snapshots(result.path)[-1], weights_only=True)
    networks = {**{f"G.{k}": v for k, v in state["networks"]["G"].items()}, **state["networks"]["D"]}
    return {**networks, **{f"ema.{k}": v for k, v in state["ema"].items()}}


def test_two_runs_in_two_threads_give_what_each_gives_alone(tmp_path: Path) -> None:
    alone = {name: weights(name, tmp_path / "alone") for name in RUNS}
    folder = next((tmp_path / "alone").glob("*-noisy"))
    facts = json.loads((folder / "environment.json").read_text())
    machine = torch.load(snapshots(folder)[-1], weights_only=True)["machine"]
    assert machine.keys() == {"kernels", "threads", "cpu_capability"} and machine.items() <= facts.items()
    found: dict[str, dict[str, torch.Tensor]] = {}
    threads = [
        threading.Thread(target=lambda name=name: found.update({name: weights(name, tmp_path / name)})) for name in RUNS
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for name, expected in alone.items():
        assert found[name].keys() == expected.keys()
        assert all(torch.equal(value, expected[key]) for key, value in found[name].items()), name
