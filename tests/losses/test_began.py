"""BEGAN: its errors and k by hand, k exact after a resume, and what it refuses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny import TONES

from pggan_framework import UserError, run
from pggan_framework.losses import BEGAN
from pggan_framework.losses.context import StepContext
from pggan_framework.networks import AutoencoderDiscriminator, Discriminator, Generator
from pggan_framework.runs.folders import snapshots
from pggan_framework.training.checkpoint import load_checkpoint
from pggan_framework.training.optimizers import Adam
from pggan_framework.training.step import TrainingStep

SMALL: dict[str, Any] = {"fmap_base": 32, "fmap_max": 4}


def networks() -> tuple[Generator, AutoencoderDiscriminator]:
    torch.manual_seed(0)
    G = Generator([1, 8, 8], latent_size=3, **SMALL).double()
    return G, AutoencoderDiscriminator([1, 8, 8], hidden_size=3, **SMALL).double()


def error(D: AutoencoderDiscriminator, images: torch.Tensor) -> float:
    rebuilt = D.judge(images).reconstruction
    assert rebuilt is not None
    return float(np.abs(images.detach().numpy() - rebuilt.detach().numpy()).mean())


@pytest.mark.parametrize("k", [0.0, 0.25, 1.0])
def test_the_formula(k: float) -> None:
    G, D = networks()
    loss = BEGAN(gamma=0.7, lambda_k=0.05)
    loss.load_state_dict({"D_began": {"k": torch.tensor(k)}})
    reals, latents = torch.randn(4, 1, 8, 8, dtype=torch.float64), torch.randn(4, 3, dtype=torch.float64)
    real, fake = error(D, reals), error(D, G(latents))
    step = StepContext("D", G, D, latents, reals)
    assert loss.total(step).item() == pytest.approx(real - k * fake, rel=1e-12)
    assert step.stats["began.k"].item() == k
    assert step.stats["began.measure"].item() == pytest.approx(real + abs(0.7 * real - fake), rel=1e-12)
    assert step.stats["D_real"].item() == pytest.approx(-real) and step.stats["D_fake"].item() == pytest.approx(-fake)
    assert loss.state_dict()["D_began"]["k"].item() == k  # computing a loss moves nothing
    loss.after_update(step)
    moved = min(max(k + 0.05 * (0.7 * real - fake), 0), 1)
    assert loss.state_dict()["D_began"]["k"].item() == pytest.approx(moved, abs=1e-7)
    step = StepContext("G", G, D, latents)
    assert loss.total(step).item() == pytest.approx(fake, rel=1e-12)
    loss.after_update(step)
    assert loss.state_dict()["D_began"]["k"].item() == pytest.approx(moved, abs=1e-7)  # G's update does not count


def test_k_stays_within_0_and_1() -> None:
    G, D = networks()
    for reals, expected in ((torch.full((4, 1, 8, 8), 50.0), 1.0), (torch.zeros(4, 1, 8, 8), 0.0)):
        loss = BEGAN(gamma=1, lambda_k=1)
        loss.load_state_dict({"D_began": {"k": torch.tensor(0.5)}})
        step = StepContext("D", G, D, torch.randn(4, 3).double(), reals.double())
        with torch.no_grad():
            D.decoder.to_rgb[1].bias.fill_(0)
        loss.total(step)
        step.stats["began.balance"] = step.stats["began.balance"] * 100  # far off
        loss.after_update(step)
        assert loss.state_dict()["D_began"]["k"].item() == expected


def test_d_pushes_the_error_on_fakes_up_and_g_pulls_it_down() -> None:
    G, D = networks()
    loss = BEGAN()
    loss.load_state_dict({"D_began": {"k": torch.tensor(0.5)}})
    reals, latents = torch.randn(4, 1, 8, 8, dtype=torch.float64), torch.randn(4, 3, dtype=torch.float64)
    weight = D.code.weight
    (whole,) = torch.autograd.grad(loss.total(StepContext("D", G, D, latents, reals)), weight)
    (of_real,) = torch.autograd.grad(-D(reals).mean(), weight)
    (of_fake,) = torch.autograd.grad(-D(G(latents)).mean(), weight)
    torch.testing.assert_close(whole, of_real - 0.5 * of_fake)
    p = G.blocks[0].dense.weight
    (got,) = torch.autograd.grad(loss.total(StepContext("G", G, D, latents)), p)
    torch.testing.assert_close(got, torch.autograd.grad(-D(G(latents)).mean(), p)[0])


def test_it_learns_to_rebuild_and_k_follows() -> None:
    torch.manual_seed(0)
    G = Generator([1, 4, 4], latent_size=3, **SMALL)
    D = AutoencoderDiscriminator([1, 4, 4], hidden_size=3, **SMALL)
    adam, loss = Adam(), BEGAN(gamma=1, lambda_k=0.1)
    optimizers = adam.build(G.parameters(), 1e-2), adam.build(D.parameters(), 1e-2)
    step = TrainingStep(G, D, loss, *optimizers, lambda n: torch.randn(n, 3))
    reals = torch.randn(8, 1, 4, 4)
    stats = []
    for _ in range(60):
        stats.append(step.discriminator_update(reals))
        step.generator_update(8)
    assert stats[-1]["D_real"] > 0.9 * stats[0]["D_real"]  # scores are negative errors
    assert stats[-1]["D_fake"] > 0.85 * stats[0]["D_fake"]
    k = 0.0
    for figures in stats:
        assert figures["began.k"].item() == pytest.approx(k, abs=1e-5)
        k = min(max(k + 0.1 * (-figures["D_real"].item() + figures["D_fake"].item()), 0), 1)
    assert k > 0


def test_another_discriminator_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    with pytest.raises(
        UserError, match="BEGAN needs .* auto-encoder, and Discriminator is not; allowed: .*AutoencoderDiscriminator"
    ):
        run(overrides={**TONES, "loss": "BEGAN", "result_dir": str(tmp_path)})
    assert not list(tmp_path.iterdir())
    G, D = networks()
    BEGAN().check(G, D)
    with pytest.raises(UserError, match="auto-encoder"):
        BEGAN().check(G, Discriminator([1, 8, 8], **SMALL))


@pytest.mark.parametrize("flag,value", [("gamma", 0), ("gamma", 1.1), ("lambda_k", 0), ("lambda_k", 2)])
def test_limits(flag: str, value: float) -> None:
    with pytest.raises(UserError, match=rf"BEGAN\.{flag} {value} is not allowed; allowed: above 0 to 1"):
        BEGAN(**{flag: value})


def test_a_run_in_two_parts_equals_one(tmp_path: Path) -> None:
    flags = {
        **{name: value for name, value in TONES.items() if not name.startswith("Discriminator.")},
        "loss": "BEGAN",
        "BEGAN.gamma": 1.0,
        "BEGAN.lambda_k": 0.5,
        "discriminator": "AutoencoderDiscriminator",
        "AutoencoderDiscriminator.fmap_base": 32,
        "AutoencoderDiscriminator.fmap_max": 4,
        "AutoencoderDiscriminator.hidden_size": 3,
        "DepthManager.tick_kimg_default": 0.02,
        "DepthManager.tick_kimg_overrides": {},
        "DepthManager.lod_training_nimg": 20,
        "DepthManager.lod_transition_nimg": 20,
        "exp_name": "began",
    }
    whole = run(overrides={**flags, "total_kimg": 0.12, "result_dir": str(tmp_path / "a")})
    assert {"began.k", "began.measure", "D_real", "D_fake", "D_loss", "G_loss"} <= set(whole.stats)
    part = run(overrides={**flags, "total_kimg": 0.108, "result_dir": str(tmp_path / "b")})  # amid the third fade
    assert load_checkpoint(snapshots(part.path)[-1])["loss"]["D_began"]["k"].item() > 0
    run(overrides={"resume": str(part.path), "total_kimg": 0.12})
    first, second = (load_checkpoint(snapshots(path)[-1]) for path in (whole.path, part.path))
    assert 0 < first["loss"]["D_began"]["k"].item() < 1
    assert torch.equal(first["loss"]["D_began"]["k"], second["loss"]["D_began"]["k"])
    for network in ("G", "D"):
        weights = first["networks"][network]
        assert all(torch.equal(weights[name], second["networks"][network][name]) for name in weights)
