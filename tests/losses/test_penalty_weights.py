"""Weights of penalties: lazy, scheduled, by depth; and penalties in a run, from flags to an exact resume."""

import json

import pytest
import torch
from tiny import TONES

from pggan_framework import UserError, run
from pggan_framework.cli.main import main
from pggan_framework.config import resolve
from pggan_framework.losses import R1, WGANGP, GradientPenalty, HingeGAN, Progress, StepContext, ZeroGP
from pggan_framework.networks import Discriminator, Generator
from pggan_framework.runs.folders import snapshots

SHORT = {**TONES, "DepthManager.lod_training_nimg": 12, "DepthManager.lod_transition_nimg": 12, "exp_name": "short"}


@pytest.fixture
def networks():
    torch.manual_seed(0)
    return Generator([1, 16, 16], 32, fmap_max=4, latent_size=3), Discriminator([1, 16, 16], 32, fmap_max=4)


def context(networks, nimg=0, updates=0, depth=0):
    for network in networks:
        network.depth = depth
    random = torch.Generator().manual_seed(1)
    latents, reals = torch.randn(4, 3, generator=random), torch.randn(4, 1, 4 << depth, 4 << depth, generator=random)
    mixing = torch.rand(4, 1, 1, 1, generator=random)
    return StepContext("D", *networks, latents, reals, mixing=mixing, progress=Progress(nimg, updates))


def test_a_lazy_penalty_is_the_same_on_average(networks):
    lazy, eager = HingeGAN() + R1(3, interval=4).terms, HingeGAN() + R1(3).terms
    totals, logged = [], []
    for updates in range(8):
        step = context(networks, updates=updates)
        totals.append(float(lazy.total(step).detach()))
        logged.append("r1" in step.stats)
    step = context(networks)
    assert sum(totals) / 8 == pytest.approx(float(eager.total(step).detach()), rel=1e-6)
    assert logged == [True, False, False, False] * 2
    assert float(step.stats["r1"]) > 0


def test_a_schedule_and_depths(networks):
    penalty = ZeroGP(8, schedule={20: 1, 60: 0.5, 10: 0}, depth_weights={1: 4})
    at = {kimg: penalty.weight_in(context(networks, kimg * 1000)) for kimg in (0, 10, 15, 20, 50, 60, 999)}
    assert at == {0: 0, 10: 0, 15: pytest.approx(4), 20: 8, 50: pytest.approx(5), 60: 4, 999: 4}
    assert [penalty.weight_in(context(networks, 20_000, depth=depth)) for depth in (0, 1, 2)] == [8, 4, 4]


def test_a_weight_of_zero_costs_nothing(networks):
    step = context(networks)
    (HingeGAN() + ZeroGP(0).terms).total(step)
    assert "zero_gp" not in step.stats


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"weight": -1}, "GradientPenalty.weight -1 is not allowed; allowed: 0 and above"),
        ({"weight": float("nan")}, "GradientPenalty.weight nan"),
        ({"interval": 0}, "GradientPenalty.interval 0 is not allowed; allowed: 1 and up"),
        ({"schedule": {0: -1}}, "GradientPenalty.schedule"),
        ({"depth_weights": {-1: 1}}, "GradientPenalty.depth_weights"),
    ],
)
def test_what_is_refused(given, message):
    with pytest.raises(UserError, match=message):
        GradientPenalty(**given)


def test_the_gradient_penalty_of_WGANGP_is_the_same(networks):
    inside = WGANGP(iwass_lambda=7, iwass_target=3)
    outside = WGANGP(iwass_lambda=0) + GradientPenalty(7, 3).terms
    assert torch.equal(*(loss.total(context(networks)) for loss in (inside, outside)))


def test_flags():
    words = ["--penalties", "[R1,", "PullAway]", "--R1.schedule", "{0: 1, 62.5: 0.1}", "--R1.depth_weights", "{2: 5}"]
    config = resolve([*words, "--R1.interval", "16", "--PullAway.centred", "True"])
    assert config.general.penalties == ["R1", "PullAway"]
    wanted = {"weight": 10.0, "interval": 16, "schedule": {0.0: 1.0, 62.5: 0.1}, "depth_weights": {2: 5.0}}
    assert config.components["R1"] == wanted
    assert config.components["PullAway"]["centred"] is True
    assert "loss" not in resolve(["--penalties", "[UnrolledD]"]).components["UnrolledD"]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ("--penalties [R3]", "unknown penalty 'R3'"),
        ("--penalties [WGANGP]", "is a loss, not a penalty"),
        ("--penalties [AuxiliaryClassifier]", "is part of every run; list additional penalties only"),
        ("--penalties [GradientPenalty]", "there is a term 'gradient_penalty' already"),
        ("--penalties [Consistency]", "has no dropout; allowed: a discriminator with dropout"),
        ("--penalties [R1] --R1.interval 0", "R1.interval 0 is not allowed"),
    ],
)
def test_errors_of_the_user(tmp_path, capsys, flags, message):
    small = [f"--{key}={value}" for key, value in TONES.items() if "." in key]
    assert main(["train", *small, "--result_dir", str(tmp_path), *flags.split()]) == 2
    assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


COMBINATIONS = {
    "lazy": {
        "penalties": ["R1", "R2", "GDPP"],
        "R1.interval": 3,
        "R1.schedule": {0: 1, 0.06: 0.2},
        "GDPP.interval": 2,
        "GDPP.depth_weights": {0: 1, 1: 0.5},
        "Trainer.D_training_repeats": 2,
    },
    "unrolled": {"loss": "HingeGAN", "penalties": ["UnrolledD", "GradientPenalty"], "UnrolledD.steps": 1},
    "dropout": {"penalties": ["Consistency", "TV", "ZeroGP", "PullAway"], "Discriminator.dropout": 0.3},
}


@pytest.mark.parametrize("flags", COMBINATIONS.values(), ids=COMBINATIONS)
def test_resumed_equals_uninterrupted(tmp_path, flags):
    flags = {**SHORT, **flags}
    whole = run(overrides={**flags, "total_kimg": 0.056, "result_dir": str(tmp_path / "whole")})
    run(overrides={**flags, "total_kimg": 0.028, "result_dir": str(tmp_path / "parts")})
    rest = run(overrides={"total_kimg": 0.056, "result_dir": str(tmp_path / "parts"), "resume": "latest"})
    assert rest.nimg == whole.nimg
    states = [torch.load(snapshots(done.path)[-1], weights_only=True) for done in (whole, rest)]
    for network in "GD":
        weights = [state["networks"][network] for state in states]
        assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
    figures = json.loads((whole.path / "stats.jsonl").read_text().splitlines()[-1])
    named = {"R1": "r1", "R2": "r2", "GDPP": "gdpp", "UnrolledD": "unrolled_D_loss", "TV": "score_tv"}
    named |= {"GradientPenalty": "gradient_penalty", "Consistency": "dropout_consistency"}
    named |= {"ZeroGP": "zero_gp", "PullAway": "pull_away"}
    assert all(named[penalty] in figures for penalty in flags["penalties"])
