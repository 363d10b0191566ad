"""Checks of the machine, the gradients, the device of all tensors, and synchronization within a step."""

from __future__ import annotations

import platform
import shutil
import subprocess
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from benchmarks.gpu_parts.harness import Recorder, Setting
from benchmarks.gpu_parts.reference import Both
from benchmarks.gpu_parts.steps import configurations, devices_of, flags_of, images, settings_of, trainer_of
from pggan_framework.networks.execution import Execution

SIDES = ("D", "G")


def environment(setting: Setting, record: Recorder) -> None:
    """Record the GPU, its driver, and versions."""
    record("python", platform.python_version())
    record("torch", torch.__version__, cuda=str(torch.version.cuda))
    if not setting.on_gpu:
        record("device", platform.processor() or platform.machine(), threads=torch.get_num_threads())
        return
    about = torch.cuda.get_device_properties(setting.device)
    record("device", about.name)
    record("compute capability", f"{about.major}.{about.minor}")
    record("memory", about.total_memory / 2**30, "GiB")
    record("multiprocessors", about.multi_processor_count)
    record("cuDNN", str(torch.backends.cudnn.version()))  # type: ignore[no-untyped-call]
    if shutil.which("nvidia-smi"):
        asked = ["nvidia-smi", "--query-gpu=driver_version,clocks.max.sm,power.limit", "--format=csv,noheader"]
        record(
            "driver, clock, power", subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip()
        )
    free, total = torch.cuda.mem_get_info(setting.device)
    record("free memory", free / total, "of all")


def correctness(setting: Setting, record: Recorder) -> None:
    """Check float64 gradients against the plain reference, float32 and bf16, and a step with each component."""
    for side in (8,) if setting.tiny else (8, 32, 128):
        record.attempt(f"gradients {side} px", lambda side=side: _gradients(setting, record, side))  # type: ignore[misc]
    for name, flags in _some(setting).items():
        record.attempt(name, lambda n=name, f=flags: _one_step(setting, record, n, f))  # type: ignore[misc]


def _some(setting: Setting) -> dict[str, dict[str, object]]:
    """Return all configurations; with --tiny, only one of each kind."""
    found = configurations()
    if not setting.tiny:
        return found
    first = {name.split()[0]: name for name in found}
    return {first[kind]: found[first[kind]] for kind in ("penalty", "augmentation")}


def _gradients(setting: Setting, record: Recorder, side: int) -> None:
    """Compare gradients at one size with alpha 1 and 0.3: relative norm of the difference, maximum over all weights."""
    widths = (32, 8) if setting.tiny else (512, 64)
    torch.manual_seed(0)
    both = Both(side, widths, 8, setting.device)
    depth, batch = side.bit_length() - 3, 8
    options = {"device": setting.device, "dtype": torch.float64}
    reals = torch.rand(batch, 3, side, side, **options) * 2 - 1  # type: ignore[call-overload]
    drawn = reals, torch.randn(batch, 8, **options), torch.rand(batch, 1, 1, 1, **options)  # type: ignore[call-overload]
    kinds: dict[str, Execution | None] = {"float64": None, "fp32": Execution(), "tf32": Execution()}
    kinds["bf16"] = Execution(torch.bfloat16)
    for alpha in (1.0, 0.3):
        for which in SIDES:
            for kind, execution in kinds.items():
                with settings_of(setting, "fp32" if kind in ("float64", "fp32") else "tf32"):
                    found, wanted = both.gradients(which, drawn, alpha, depth, execution)  # type: ignore[arg-type]
                off = max(
                    float((a.double() - b).norm() / b.norm().clamp(min=1e-3))
                    for a, b in zip(found, wanted, strict=True)
                )
                about = {"px": side, "alpha": alpha, "network": which, "precision": kind}
                record("gradient's difference", off, "of its norm", **about)
                if kind == "float64" and not off <= 1e-11:
                    raise AssertionError(f"gradients in float64 differ by {off:.1e}: {about}")


def _one_step(setting: Setting, record: Recorder, name: str, flags: dict[str, object]) -> None:
    """Run two steps at 16 px; check that values are finite and that everything is on the device."""
    side = 8 if setting.tiny else 16
    folder = setting.folder("components")
    trainer = trainer_of(flags_of(images(folder / f"data{side}", side), setting.device, folder, flags), folder)
    for _ in range(2):
        trainer.take_step()
    losses = {name: float(value) for name, value in trainer.losses.items()}
    finite = bool(torch.tensor(list(losses.values())).isfinite().all())
    where = devices_of(trainer)
    record(name, "finite" if finite else f"not finite: {losses}", devices=",".join(sorted(where)))
    assert finite, f"{name}: {losses}"
    assert where == {torch.device(setting.device).type}, f"{name}: tensors on {where}"


def syncs(setting: Setting, record: Recorder) -> None:
    """Check that a step does not wait for the device, with `torch.cuda.set_sync_debug_mode`, for each configuration."""
    side = 8 if setting.tiny else 16
    folder = setting.folder("syncs")
    data = images(folder / "data", side)
    for name, given in _some(setting).items():
        flags = flags_of(data, setting.device, folder, given)
        record.attempt(name, lambda n=name, f=flags: _waits(setting, record, n, f))  # type: ignore[misc]


def _waits(setting: Setting, record: Recorder, name: str, flags: dict[str, object]) -> None:
    trainer = trainer_of(flags, setting.folder("syncs"))
    trainer.take_step()  # states move to the device, and buffers are allocated
    line = ""
    try:
        with _no_waiting(setting):
            trainer.take_step()
    except RuntimeError as error:
        if "synchroniz" not in str(error):
            raise
        own = [f for f in traceback.extract_tb(error.__traceback__) if "pggan_framework" in f.filename]
        last = own[-1]
        line = f"{last.filename.partition('pggan_framework/')[2]}:{last.lineno}: {last.line}"
    record(name, line or ("nothing waits" if setting.on_gpu else "a CPU has nothing to wait for"))


@contextmanager
def _no_waiting(setting: Setting) -> Iterator[None]:
    """A context in which each operation that makes the host wait for the GPU raises a RuntimeError."""
    if not setting.on_gpu:
        yield
        return
    torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode("default")
