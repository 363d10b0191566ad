"""Complete runs: training with samples, report and checkpoint; growing, resuming, plugins, generating, NCCL."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.gpu_parts.harness import Recorder, Setting
from benchmarks.gpu_parts.steps import run_compiler, wait
from pggan_framework import run
from pggan_framework.launch.start import RunResult
from pggan_framework.metrics.structural import ms_ssim
from pggan_framework.metrics.swd import sliced_wasserstein
from pggan_framework.models.pretrained import load_generator
from pggan_framework.reporting.run import REPORT
from pggan_framework.runs.folders import snapshots
from pggan_framework.training.checkpoint import load_checkpoint

HERE = Path(__file__).parent


def flags(setting: Setting, folder: str, **more: Any) -> dict[str, Any]:
    """Return the flags of a run on synthetic tones."""
    width = {"fmap_base": 32, "fmap_max": 4} if setting.tiny else {"fmap_base": 2048, "fmap_max": 128}
    found: dict[str, Any] = {
        "dataset_class": "TonesDataset",
        "TonesDataset": {"count": 20 if setting.tiny else 2000},
        "Generator": {**width, "latent_size": 4 if setting.tiny else 128},
        "Discriminator": width,
        "minibatch_size": 4 if setting.tiny else 16,
        "loggers": ["JSONLLogger"],
        "OutputGenerator": {"samples_count": 2},
        "QualityMonitor": {"every_ticks": 0},
        "compile": "never",
        "device": setting.device,
        "result_dir": str(setting.folder(folder)),
    }
    for name, value in more.items():
        found[name] = {**found.get(name, {}), **value} if isinstance(value, dict) else value
    return found


def images_a_phase(setting: Setting) -> int:
    """Return the number of images in each phase of a depth, the fade and the stable phase."""
    return 8 if setting.tiny else 400


def growing(setting: Setting) -> dict[str, Any]:
    """Return the flags of a schedule that grows through all depths, tick by tick."""
    each = images_a_phase(setting)
    ticks: dict[str, Any] = {"tick_kimg_default": each / 1000, "tick_kimg_overrides": {}}
    phases = {"lod_training_nimg": each, "lod_transition_nimg": each}
    batches: dict[str, Any] = {"minibatch_default": 4 if setting.tiny else 16, "minibatch_overrides": {}}
    return {"DepthManager": {**phases, **ticks, **batches}}


def finished(result: RunResult, record: Recorder, name: str, **about: Any) -> None:
    """Record how a run ended.

    Raises:
        AssertionError: if the run has left no checkpoint, or a value is not finite.
    """
    kept = snapshots(result.path)
    images = list(result.path.rglob("*.png"))
    record(name, result.nimg / 1000, "kimg", checkpoints=len(kept), images=len(images), **about)
    assert result.exit_status == 0, f"exit status {result.exit_status}"
    assert kept and images and (result.path / REPORT).is_file(), "a sample, the report or the checkpoint is missing"
    wrong = {key: value for key, value in result.stats.items() if not np.isfinite(value)}
    assert not wrong, f"not finite: {wrong}"


def training(setting: Setting, record: Recorder) -> None:
    """Train for 60 s with samples, report and checkpoint."""
    seconds = min(60.0, 0.75 * setting.seconds)
    length: dict[str, Any] = {"total_kimg": 0.016} if setting.tiny else {"minutes": seconds / 60}
    start = time.perf_counter()
    result = run(None, flags(setting, "training", precision="auto", **length))
    finished(result, record, "training", seconds=round(time.perf_counter() - start, 1), depth=result.stats["depth"])


def all_depths(setting: Setting, record: Recorder) -> None:
    """Train through all depths with --compile auto."""
    total = 8 * images_a_phase(setting) / 1000  # four depths, 4 to 32 px: each stable and all but the first fading
    with run_compiler(setting):
        result = run(None, flags(setting, "growing", compile="auto", total_kimg=total, **growing(setting)))
    finished(result, record, "growing", depth=result.stats["depth"])
    assert result.stats["depth"] == 3, result.stats


def resume(setting: Setting, record: Recorder) -> None:
    """Check that a run resumed in mid-fade, or in a stable phase, equals an uninterrupted run."""
    each = images_a_phase(setting)
    for deterministic in (False, True) if setting.on_gpu else (False,):
        for phase, halfway in (("stable", 2.5), ("fade", 1.5)) if not setting.tiny else (("fade", 1.5),):
            start = time.perf_counter()
            more = {"deterministic": deterministic, "Trainer": {"write_in_background": False}, **growing(setting)}
            name = f"resume_{phase}_{deterministic}"
            total = 4 * each / 1000
            whole = run(None, flags(setting, name, exp_name="whole", total_kimg=total, **more))
            part = run(None, flags(setting, name, exp_name="part", total_kimg=halfway * each / 1000, **more))
            again = run(None, {"resume": str(part.path), "result_dir": str(part.path.parent), "total_kimg": total})
            off = difference(whole.path, again.path)
            record("resume", off, "largest difference of a weight", deterministic=deterministic, phase=phase,
                   seconds=round(time.perf_counter() - start, 1))  # fmt: skip
            if deterministic or not setting.on_gpu:
                assert off == 0, f"resumed in {phase}: weights differ by {off:.1e}"


def difference(first: Path, second: Path) -> float:
    """Return the largest difference of a weight between the last checkpoints of two runs."""
    a, b = (load_checkpoint(snapshots(folder)[-1]) for folder in (first, second))
    pairs = [(a["ema"], b["ema"]), *((a["networks"][name], b["networks"][name]) for name in "GD")]
    return max(float((x[key].double() - y[key].double()).abs().max()) for x, y in pairs for key in x)


def plugins(setting: Setting, record: Recorder) -> None:
    """Run compiled steps with plugins that read gradients at the end of a tick."""
    more: dict[str, Any] = {"plugins": ["Alarms", "GradientFlow"], "GradientFlow": {"every_ticks": 1}}
    more["loggers"] = ["TeeLogger", "JSONLLogger"]  # log.txt says what was compiled
    more |= {"Alarms": {"samples": 4, "diversity_ticks": 1}}
    ticks = {"DepthManager": {"tick_kimg_default": 0.008 if setting.tiny else 0.5, "tick_kimg_overrides": {}}}
    total = 0.016 if setting.tiny else 2.0
    with run_compiler(setting):
        made = flags(setting, "plugins", compile="always", progressive_growing=False, total_kimg=total, **more, **ticks)
        result = run(None, made)
    finished(result, record, "compiled, with Alarms and GradientFlow")
    for name in ("gradient.G.max", "gradient.D.max", "diversity"):
        record(name, float(result.stats[name]))
    text = (result.path / "log.txt").read_text(encoding="utf-8") if (result.path / "log.txt").is_file() else ""
    record("compiled updates", text.count("compiled D's") + text.count("compiled G's"))


def samples(setting: Setting, record: Recorder) -> None:
    """Generate images, decode clips, and compute SWD and MS-SSIM on the device."""
    made = run(None, flags(setting, "samples", progressive_growing=False, total_kimg=0.016))
    model = load_generator(snapshots(made.path)[-1])
    model.generator.to(setting.device)
    count, clips, side = (8, 2, 16) if setting.tiny else (1000, 64, 64)
    model.sample(8)

    def timed(name: str, work: Any, amount: int) -> Any:
        start = time.perf_counter()
        found = work()
        wait(setting.device)
        record(name, time.perf_counter() - start, "s", count=amount)
        return found

    pictures = timed("generate", lambda: model.sample(count), count)
    waves = timed("decode", lambda: model.decode(pictures[:clips]), clips)
    assert np.isfinite(pictures).all() and np.isfinite(waves).all(), "samples are not finite"
    random = np.random.default_rng(0)
    real, fake = (random.integers(0, 256, (count, 3, side, side), dtype=np.uint8) for _ in range(2))
    there = timed("swd", lambda: sliced_wasserstein(real, fake, device=setting.device), count)
    few = slice(0, 64)
    on_cpu = sliced_wasserstein(real[few], fake[few])
    same = sliced_wasserstein(real[few], fake[few], device=setting.device)
    record("swd's difference from the CPU's", max(abs(same[k] - on_cpu[k]) / on_cpu[k] for k in on_cpu), "of it")
    record("swd", there.average, "x 1000")
    alike = timed("ms_ssim", lambda: ms_ssim(real, fake, setting.device), count)
    record("ms_ssim's difference from the CPU's", abs(alike - ms_ssim(real, fake)))


def nccl(setting: Setting, record: Recorder) -> None:
    """Run collective operations with one rank, started by torchrun: NCCL on a GPU, Gloo on a CPU."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "1"]
    command += [str(HERE / "one_rank.py"), setting.device]
    started = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        output, errors = started.communicate(timeout=max(setting.seconds - 3, 1))
    except subprocess.TimeoutExpired:
        started.terminate()  # torchrun ends its ranks, which run in separate sessions and would outlive it
        raise
    said = output.strip().splitlines()
    record("one rank", said[-1] if said else "nothing", status=started.returncode)
    assert started.returncode == 0, errors[-2000:]
