"""Power-function averages: their profiles, and any one of them from a few that were stored."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import TONES

from pggan_framework import run
from pggan_framework.cli.main import main
from pggan_framework.runs.folders import snapshots
from pggan_framework.training.checkpoint import load_checkpoint
from pggan_framework.training.power_average import coefficients, decay, gamma_of


@pytest.mark.parametrize("length", [0.01, 0.05, 0.1, 0.25])
def test_a_length_is_the_profiles_deviation(length: float) -> None:
    gamma = gamma_of(length)
    moments = (np.arange(400_000) + 0.5) / 400_000
    weights = (gamma + 1) * moments**gamma / 400_000
    mean = (weights * moments).sum()
    assert weights.sum() == pytest.approx(1, abs=1e-3)
    assert np.sqrt((weights * (moments - mean) ** 2).sum()) == pytest.approx(length, rel=1e-3)
    if length == 0.05:
        assert gamma == pytest.approx(16.97, abs=0.01)  # EDM2, section 3.1
    if length == 0.1:
        assert gamma == pytest.approx(6.94, abs=0.01)


@settings(max_examples=20, deadline=None)
@given(st.floats(0.02, 0.25), st.integers(30, 80), st.integers(0, 2**16))
def test_a_length_is_made_of_two_others(length: float, steps: int, seed: int) -> None:
    """Against the average computed step by step, of values that drift as weights do."""
    values = np.cumsum(np.random.default_rng(seed).normal(size=steps * 8)) / 20
    gammas = [gamma_of(each) for each in (0.05, 0.1, length)]
    averages, stored = [0.0] * 3, []
    for step, value in enumerate(values):
        for index, gamma in enumerate(gammas):
            rest = decay(gamma, 16.0 * (step + 1), 16.0)
            averages[index] += (1 - rest) * (value - averages[index])
        if step % 16 == 15 or step == len(values) - 1:
            stored += [
                ((16.0 * (step + 1), gamma), average) for gamma, average in zip(gammas[:2], averages, strict=False)
            ]
    factors = coefficients([profile for profile, _ in stored], (16.0 * len(values), gammas[2]))
    made = sum(factor * value for factor, (_, value) in zip(factors, stored, strict=True))
    assert sum(factors) == pytest.approx(1)
    assert made == pytest.approx(averages[2], abs=0.05 * max(np.ptp(values), 0.1))


@pytest.mark.parametrize("length", [0.0, -1.0, 0.289, float("nan")])
def test_a_length_outside_its_limits_is_refused(
    length: float, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ValueError, match="is not above 0 and below 0.289"):
        gamma_of(length)
    assert main(["ema", str(tmp_path), "--length", str(length)]) == 2
    assert "allowed: numbers above 0 and below 0.288" in capsys.readouterr().err


def test_a_runs_average_of_another_length(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flags: dict[str, Any] = {
        **TONES,
        "TonesDataset.n_fft": 32,
        "TonesDataset.hop_length": 16,
        "total_kimg": 0.12,
        "progressive_growing": False,
        "plugins": ["PowerEMA"],
        "PowerEMA.snapshot_ticks": 1,
        "lr_rampup_kimg": 0,
        "Trainer.tick_nimg_default": 20,
        "result_dir": str(tmp_path),
        "exp_name": "ema",
    }
    steps: list[dict[str, torch.Tensor]] = []
    from pggan_framework.training.ema import EMA

    update = EMA.update

    def noted(self: EMA, G: Any, nimg: int, batch: int) -> None:
        update(self, G, nimg, batch)
        steps.append({name: weight.detach().double().clone() for name, weight in G.named_parameters()})

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(EMA, "update", noted)
        result = run(overrides=flags)
    checkpoint = snapshots(result.path)[-1]
    assert len(list((result.path / "averages").iterdir())) == 6
    assert main(["ema", str(result.path), "--length", "0.15", "--result_dir", str(tmp_path)]) == 0
    made = load_checkpoint(result.path / "network-ema-0.15.pt")
    own = load_checkpoint(checkpoint)
    travelled = 0.0
    for name, value in made["ema"].items():
        average = torch.zeros_like(steps[0][name])
        for step, weights in enumerate(steps):
            average += (1 - decay(gamma_of(0.15), 4.0 * (step + 1), 4.0)) * (weights[name] - average)
        torch.testing.assert_close(value.double(), average, rtol=0, atol=1e-3, msg=name)
        travelled = max(travelled, float((value - own["networks"]["G"][name]).abs().max()))
    assert travelled > 5e-3
    capsys.readouterr()
    assert main(["ema", str(result.path), "--length", "0.1,0.2", "--count", "8"]) == 0
    out = capsys.readouterr().out
    assert "run's" in out and "network-ema-" in out
    for file in (result.path / "averages").iterdir():
        file.unlink()
    assert main(["ema", str(result.path), "--length", "0.1"]) == 2
    assert "allowed: runs with --plugins PowerEMA" in capsys.readouterr().err
