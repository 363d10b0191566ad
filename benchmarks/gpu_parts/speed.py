"""Time and memory of a step, the largest batch, and the kernels of a step."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch

from benchmarks.gpu_parts.harness import Recorder, Setting
from benchmarks.gpu_parts.steps import Contestant, Precision, contestant, milliseconds, settings_of, wait

PAPER = 8192, 512, 512
"""fmap_base, fmap_max and latents of the PGGAN paper."""
TINY = 32, 8, 8
BATCHES = {256: 14, 512: 6, 1024: 3}
"""Those of the PGGAN paper; 16 below 256 px."""


def timing(setting: Setting, record: Recorder) -> None:
    """Measure milliseconds, images per second and peak memory: all cases at 32 and 128 px, then the other sizes."""
    seconds = 0.05 if setting.tiny else 0.4
    first, others = ([8], []) if setting.tiny else ([32, 128], [8, 16, 64, 256, 512, 1024])
    for side in first:
        _time_eager(setting, record, side, seconds)
    for side in first:  # compiling takes a minute or so
        _time(setting, record, "ours compiled", side, "bf16", seconds)
    if setting.on_gpu:
        for side in first:
            _time(setting, record, "ours", side, "bf16", seconds, benchmark=False)
    for side in others:
        _time_eager(setting, record, side, seconds)
    record.attempt("largest batch", lambda: _largest_batch(setting, record))
    for side in first:
        _time(setting, record, "ours compiled", side, "tf32", seconds)
    for side in others:
        _time(setting, record, "ours compiled", side, "bf16", seconds)


def _time_eager(setting: Setting, record: Recorder, side: int, seconds: float) -> None:
    """Time our step and the plain step at each precision; only ours supports bfloat16."""
    kinds: list[tuple[Contestant, Precision]] = [("ours", "bf16"), ("ours", "tf32"), ("plain", "tf32")]
    kinds += [("ours", "fp32"), ("plain", "fp32")]
    for which, precision in kinds:
        _time(setting, record, which, side, precision, seconds)


def _time(
    setting: Setting,
    record: Recorder,
    which: Contestant,
    side: int,
    precision: Precision,
    seconds: float,
    benchmark: bool = True,
) -> None:
    """Time one contestant at one size."""
    batch = 4 if setting.tiny else BATCHES.get(side, 16)
    about = {"contestant": which, "px": side, "batch": batch, "precision": precision, "cudnn.benchmark": benchmark}

    def work() -> None:
        with settings_of(setting, precision):
            torch.backends.cudnn.benchmark = benchmark
            start = time.perf_counter()
            one = contestant(setting, which, side, batch, TINY if setting.tiny else PAPER, precision)
            one()
            wait(setting.device)
            first = time.perf_counter() - start
            if setting.on_gpu:
                torch.cuda.reset_peak_memory_stats()
            took = milliseconds(one, setting.device, seconds)
            peak = torch.cuda.max_memory_allocated() / 2**20 if setting.on_gpu else 0.0
        record("step", took, "ms", images_a_second=round(1000 * batch / took), MiB=round(peak), first_s=first, **about)

    record.attempt("step", work, **about)
    free(setting)


def free(setting: Setting) -> None:
    """Return unused memory to the GPU."""
    if setting.on_gpu:
        torch.cuda.empty_cache()


def _largest_batch(setting: Setting, record: Recorder) -> None:
    """Double the batch at 128 px until it does not fit, and time the largest batch that fits."""
    side, batch, largest = (8, 4, 8) if setting.tiny else (128, 16, 4096)
    while batch <= largest:
        try:
            with settings_of(setting, "bf16"):
                one = contestant(setting, "ours", side, batch, TINY if setting.tiny else PAPER, "bf16")
                took = milliseconds(one, setting.device, 0.05)
        except torch.OutOfMemoryError:
            break
        finally:
            one = None  # type: ignore[assignment]
            free(setting)
        record("step", took, "ms", images_a_second=round(1000 * batch / took), contestant="ours", px=side, batch=batch,
               precision="bf16")  # fmt: skip
        batch *= 2


def profile(setting: Setting, record: Recorder) -> None:
    """Profile the kernels of one step by time, and the fraction of the step in which no kernel runs."""
    for side in (8,) if setting.tiny else (32, 256):
        for which in ("ours", "ours compiled"):
            about = {"contestant": which, "px": side, "precision": "fp32" if setting.tiny else "bf16"}
            record.attempt(
                "kernels",
                lambda side=side, which=which, about=about: _profile(setting, record, side, which, about),  # type: ignore[misc]
                **about,
            )
            free(setting)


def _profile(setting: Setting, record: Recorder, side: int, which: Contestant, about: dict[str, Any]) -> None:
    batch = 4 if setting.tiny else BATCHES.get(side, 16)
    with settings_of(setting, "tf32"):
        one = contestant(setting, which, side, batch, TINY if setting.tiny else PAPER, about["precision"])
        for _ in range(5):
            one()
        wait(setting.device)
        activities = [torch.profiler.ProfilerActivity.CPU]
        activities += [torch.profiler.ProfilerActivity.CUDA] if setting.on_gpu else []
        start = time.perf_counter()
        with torch.profiler.profile(activities=activities) as found:
            one()
            wait(setting.device)
        seconds = time.perf_counter() - start
    kind = "self_device_time_total" if setting.on_gpu else "self_cpu_time_total"
    by_time: Callable[[Any], float] = lambda event: getattr(event, kind)  # noqa: E731
    top = sorted(found.key_averages(), key=by_time, reverse=True)[:20]
    for place, event in enumerate(top, 1):
        record("kernel", by_time(event) / 1000, "ms", place=place, kernel=event.key[:80], calls=event.count, **about)
    if setting.on_gpu:
        record("no kernel runs", idle_fraction(_kernels(found)), "of the step", **about)
    record("step with the profiler", 1000 * seconds, "ms", **about)


def _kernels(found: Any) -> list[tuple[float, float]]:
    """Return start and end of each GPU activity in microseconds."""
    events = [e for e in found.events() if str(e.device_type).endswith("CUDA")]
    return [(e.time_range.start, e.time_range.end) for e in events]


def idle_fraction(spans: list[tuple[float, float]]) -> float:
    """Return the fraction of the time from the first start to the last end that no span covers; 0 without spans."""
    if not spans:
        return 0.0
    covered, reached = 0.0, min(start for start, _ in spans)
    first = reached
    for start, end in sorted(spans):
        covered += max(end - max(start, reached), 0.0)
        reached = max(reached, end)
    return 1 - covered / max(reached - first, 1e-9)
