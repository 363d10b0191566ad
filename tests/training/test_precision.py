from pathlib import Path

import pytest
import torch
from tiny import TONES

from pggan_framework.config import resolve_overrides
from pggan_framework.cpu.allocation import keep_freed_memory
from pggan_framework.errors import UserError
from pggan_framework.launch import experiment as launch
from pggan_framework.launch.experiment import Experiment
from pggan_framework.losses import R1, WGANGP, LogisticGAN
from pggan_framework.losses.base import Loss
from pggan_framework.networks import Discriminator, Generator
from pggan_framework.networks.execution import Execution
from pggan_framework.training.optimizers import Adam
from pggan_framework.training.precision import AGREES, choose_precision, device_settings, has_bf16
from pggan_framework.training.selfcheck import deviation
from pggan_framework.training.step import TrainingStep

CPU = torch.device("cpu")


def test_a_cpu_says_whether_it_has_bfloat16(tmp_path: Path) -> None:
    info = tmp_path / "cpuinfo"
    assert not has_bf16(CPU, info)
    for flags, wanted in (("fpu avx2 avx512f", False), ("fpu avx512_bf16", True), ("amx_bf16 amx_tile", True)):
        info.write_text(f"processor\t: 0\nflags\t\t: {flags}\n")
        assert has_bf16(CPU, info) is wanted


def test_precision_follows_the_wish_where_the_device_can(monkeypatch) -> None:
    can = "pggan_framework.training.precision.has_bf16"
    monkeypatch.setattr(can, lambda device: True)
    assert choose_precision("bf16", CPU) == (torch.bfloat16, "")
    assert choose_precision("fp32", CPU) == choose_precision("auto", CPU) == (torch.float32, "")
    assert choose_precision("auto", torch.device("cuda")) == (torch.bfloat16, "")
    monkeypatch.setattr(can, lambda device: False)
    assert choose_precision("auto", torch.device("cuda")) == (torch.float32, "")
    kind, note = choose_precision("bf16", CPU)
    assert kind == torch.float32 and "this cpu has no units for it; fp32 is used" in note


def test_the_allocator_can_be_told_or_there_is_none() -> None:
    known = keep_freed_memory()
    assert keep_freed_memory(False) is known
    assert torch.ones(1 << 24).sum() == 1 << 24


def test_tf32_needs_a_gpu_that_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    kind, note = choose_precision("tf32", CPU)
    assert kind == torch.float32 and "tf32 is given, but this cpu has no units for it; fp32 is used" in note
    for capability, said in (((8, 0), ""), ((7, 5), "precision: tf32 is given, but this cuda has no")):
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _, found=capability: found)
        kind, note = choose_precision("tf32", torch.device("cuda"))
        assert kind == torch.float32 and note.startswith(said) and bool(note) == bool(said)
    assert choose_precision("auto", torch.device("mps")) == (torch.float32, "")


def switches() -> tuple[bool, ...]:
    cudnn = torch.backends.cudnn
    return (
        torch.backends.cuda.matmul.allow_tf32,
        cudnn.allow_tf32,
        cudnn.benchmark,
        cudnn.deterministic,
        torch.are_deterministic_algorithms_enabled(),
    )


@pytest.mark.parametrize(
    ("precision", "deterministic", "expected"),
    [
        ("fp32", False, (False, False, True, False, False)),
        ("tf32", False, (True, True, True, False, False)),
        ("auto", False, (True, True, True, False, False)),
        ("bf16", True, (True, True, False, True, True)),
    ],
)
def test_switches_of_a_gpu_are_set_for_the_run_and_set_back(
    precision: str, deterministic: bool, expected: tuple[bool, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    before = switches()
    with device_settings(CPU, precision, deterministic):  # type: ignore[arg-type]
        assert switches() == before  # a CPU's results are exact in any case
    with pytest.raises(KeyError), device_settings(torch.device("cuda"), precision, deterministic):  # type: ignore[arg-type]
        assert switches() == expected
        raise KeyError
    assert switches() == before


def small_step(loss: Loss, precision: torch.dtype) -> TrainingStep:
    torch.manual_seed(0)
    G, D = Generator([3, 8, 8], fmap_base=64, fmap_max=16, latent_size=8), Discriminator([3, 8, 8], fmap_base=64)
    for network in (G, D):
        network.execute(Execution(precision))
    adam = Adam()
    optimizers = adam.build(G.parameters(), 0.001), adam.build(D.parameters(), 0.001, "D")
    return TrainingStep(G, D, loss, *optimizers, lambda count: torch.randn(count, 8))


@pytest.mark.parametrize("loss", [WGANGP(), LogisticGAN() + [R1(1.0)]])
def test_losses_in_bfloat16_are_near_those_in_float32(loss: Loss) -> None:
    step = small_step(loss, torch.bfloat16)
    weights, state = [p.clone() for p in step.D.parameters()], torch.get_rng_state()
    off = deviation(step)
    assert 0 < off <= AGREES
    assert deviation(small_step(loss, torch.float32)) == 0
    assert all(map(torch.equal, step.D.parameters(), weights)) and torch.equal(torch.get_rng_state(), state)
    assert step.D.execution.precision == torch.bfloat16 and step.D.depth == 1


@pytest.mark.parametrize(("off", "kept"), [(0.04, torch.bfloat16), (0.2, torch.float32), (float("nan"), torch.float32)])
def test_a_run_whose_losses_differ_in_bfloat16_trains_in_float32(
    off: float, kept: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launch, "choose_precision", lambda *_: (torch.bfloat16, ""))
    monkeypatch.setattr(launch, "deviation", lambda step: off)
    experiment = Experiment(resolve_overrides(None, {**TONES, "precision": "bf16", "device": "cpu"}))
    assert experiment.generator.execution.precision == experiment.discriminator.execution.precision == kept
    (note,) = [note for note in experiment.notes if note.startswith("precision")]
    assert ("fp32, because losses in bf16 differ by" in note) == (kept == torch.float32)


def test_what_has_no_deterministic_form_is_refused_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def check(step: TrainingStep) -> None:
        raise RuntimeError("grid_sampler_2d_backward_cuda does not have a deterministic implementation, but you set")

    monkeypatch.setattr(launch, "check_gradients", check)
    flags = {**TONES, "device": "cpu"}
    with pytest.raises(UserError, match="deterministic: 'grid_sampler_2d_backward_cuda' has no deterministic form"):
        Experiment(resolve_overrides(None, {**flags, "deterministic": True}))
    with pytest.raises(RuntimeError, match="deterministic implementation"):
        Experiment(resolve_overrides(None, flags))
