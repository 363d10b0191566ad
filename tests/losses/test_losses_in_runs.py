"""Losses from the flags: exact resume, refused flags. That each trains, tests/test_combinations.py sees."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from tiny import TONES

from pggan_framework import UserError, run
from pggan_framework.runs.folders import snapshots
from pggan_framework.training.checkpoint import load_checkpoint

GROWING: dict[str, Any] = {
    **TONES,
    "DepthManager.tick_kimg_default": 0.02,
    "DepthManager.tick_kimg_overrides": {},
    "DepthManager.lod_training_nimg": 20,
    "DepthManager.lod_transition_nimg": 20,
    "exp_name": "short",
}


def test_tricks_and_reals_for_g_resume_exactly(tmp_path: Path) -> None:
    flags = {
        **GROWING,
        "loss": "RelativisticAverageGAN",
        "RelativisticAverageGAN.label_noise": 0.2,
        "RelativisticAverageGAN.label_swap": 0.1,
        "TonesDataset.labels": ["pitch"],
        "Trainer.D_training_repeats": 2,
    }
    whole = run(overrides={**flags, "total_kimg": 0.08, "result_dir": str(tmp_path / "a")})
    part = run(overrides={**flags, "total_kimg": 0.032, "result_dir": str(tmp_path / "b")})
    run(overrides={"resume": str(part.path), "total_kimg": 0.08})
    first, second = (load_checkpoint(snapshots(path)[-1])["networks"] for path in (whole.path, part.path))
    for network in ("G", "D"):
        assert all(torch.equal(first[network][name], second[network][name]) for name in first[network])
    assert {"D_label", "G_label"} <= set(whole.stats)


@pytest.mark.parametrize("flag", ["iwass_lambda", "iwass_epsilon", "iwass_target"])
def test_flags_of_the_wasserstein_loss_are_refused_by_another(flag: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=f"{flag}: the loss HingeGAN has no {flag}; it has: none"):
        run(overrides={**GROWING, "loss": "HingeGAN", flag: 5, "result_dir": str(tmp_path)})
    with pytest.raises(UserError, match=f"the loss StandardGAN has no {flag}; it has: label_smoothing, label_noise"):
        run(overrides={**GROWING, "loss": "StandardGAN", flag: 5, "result_dir": str(tmp_path)})
    assert not list(tmp_path.iterdir())


def test_limits_are_told_before_a_folder_is_made(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"StandardGAN.label_swap 0.7 is not allowed"):
        run(overrides={**GROWING, "loss": "StandardGAN", "StandardGAN.label_swap": 0.7, "result_dir": str(tmp_path)})
    with pytest.raises(UserError, match="unknown loss 'HingeGANN' .did you mean 'HingeGAN'"):
        run(overrides={**GROWING, "loss": "HingeGANN", "result_dir": str(tmp_path)})
    assert not list(tmp_path.iterdir())
