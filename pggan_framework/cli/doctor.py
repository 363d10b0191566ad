"""``pggan doctor``: report this machine's resources, their use by a run, and advice."""

from __future__ import annotations

import importlib.util
import json
import os
import platform
import re
import shutil
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from pggan_framework import __version__
from pggan_framework.cli.parser import Parser
from pggan_framework.errors import UserError, plural

EXAMPLES = """examples:
  pggan doctor
  pggan doctor --result_dir /data/results --device cuda --json
"""
SAFE = {
    "torch": ((2, 10), "in earlier ones a stranger's checkpoint can corrupt the memory (CVE-2026-24747)"),
    "pillow": ((12, 3), "in earlier ones a stranger's image can (CVE-2026-59204)"),
}
"""The first versions without a known fault in file readers used here, and the fault."""
EXTRAS = {
    "tensorboard": ("tensorboard", "TensorBoardLogger"),
    "wandb": ("wandb", "WandbLogger"),
    "imageio_ffmpeg": ("video", "mp4 videos"),
    "mido": ("dev", "the project's own tests"),
    "safetensors": ("export", "pggan export --format safetensors"),
    "onnx": ("export", "pggan export --format onnx"),
    "huggingface_hub": ("huggingface", "Pretrained.from_hub"),
    "torchcrepe": ("sound-metrics", "pitch metrics"),
    "torch_fidelity": ("inception", "FID and KID by Inception"),
}
"""Optional packages, with the extra that installs each and the feature that needs it."""
LEAST_DISK, LEAST_SHM, LEAST_FILES = 5 << 30, 1 << 30, 1024
"""Free bytes and limit of open files below which a long run may fail."""


@dataclass(frozen=True)
class Finding:
    """One line of the report.

    Args:
        name: name of the resource.
        value: state of the resource.
        use: part of the resource that a run uses; empty if a run uses all of it.
        advice: advice for the user; empty if there is no problem.
    """

    name: str
    value: str
    use: str = ""
    advice: str = ""


def run(argv: Sequence[str]) -> int:
    """Run ``pggan doctor`` with its arguments; returns 0, or 1 if there is advice.

    Raises:
        UserError: if a flag is invalid.
    """
    parser = Parser("doctor", "Report this machine's resources, what a run uses of them, and advice.", EXAMPLES)
    parser.add_argument(
        "--result_dir", type=Path, default=Path("results"), metavar="DIR", help="folder of the runs (default: results)"
    )
    parser.add_argument("--device", default="auto", help="device to examine (default: auto)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    given = parser.parse_args(list(argv))
    findings = examine(given.result_dir, given.device)
    if given.json:
        print(json.dumps([asdict(finding) for finding in findings], indent=2))
    else:
        width = max(len(finding.name) for finding in findings)
        for finding in findings:
            use = f"; used: {finding.use}" if finding.use else ""
            print(f"{'!' if finding.advice else ' '} {finding.name:<{width}}  {finding.value}{use}")
            if finding.advice:
                print(f"  {'':<{width}}  -> {finding.advice}")
    return int(any(finding.advice for finding in findings))


def examine(result_dir: Path, device: str = "auto") -> list[Finding]:
    """Examine all resources without changing anything on the machine.

    Args:
        result_dir: folder of runs.
        device: value of the general flag `device`.
    """
    return [*_software(), *_compute(device), *_storage(result_dir), *_packages()]


def _software() -> list[Finding]:
    found = [
        Finding("pggan_framework", __version__),
        Finding("python", f"{platform.python_version()} on {platform.system()} {platform.machine()}"),
    ]
    for package, (least, why) in SAFE.items():
        number = version(package)
        old = tuple(int(part) for part in re.findall(r"\d+", number)[:2]) < least
        wanted = f"{package}>={'.'.join(map(str, least))}"
        found.append(Finding(package, number, "", f"pip install '{wanted}': {why}" if old else ""))
    return found


def _compute(name: str) -> list[Finding]:
    import torch

    from pggan_framework.cpu import native
    from pggan_framework.cpu.memory import free_bytes
    from pggan_framework.launch.build import choose_device
    from pggan_framework.training.compiler import has_compiler
    from pggan_framework.training.precision import choose_precision

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    threads = torch.get_num_threads()
    model = native.model() or platform.processor()
    found = [Finding("processor", f"{model}, {plural(cores, 'core')}", plural(threads, "thread"))]
    gpus = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    try:
        device = choose_device(name)
    except UserError as error:
        return [*found, Finding("device", ", ".join(gpus) or "no GPU that torch can use", "", str(error))]
    dtype, note = choose_precision("auto", device)
    found.append(Finding("device", ", ".join(gpus) or "no GPU that torch can use", f"{device}, {dtype}", note))
    free = free_bytes(device)
    if free is not None:
        few = free < 2 << 30
        advice = "close other programs, or train with a smaller --micro_batch" if few else ""
        found.append(Finding("free memory", _size(free), "", advice))
    there = has_compiler(device)
    what = "Triton" if device.type == "cuda" else native.compiler() or "none"
    advice = "" if there else "install g++: depths are then compiled, and large layers take a third of the time"
    found.append(Finding("compiler", what if there else "none", "compile auto" if there else "eager mode", advice))
    if device.type == "cpu":
        fits = bool(native.processor())
        text = f"for {native.processor()}" if fits else "none for this processor"
        found.append(Finding("own kernels", text, "auto" if fits and there else "torch's own"))
    return found


def _storage(result_dir: Path) -> list[Finding]:
    import torch

    place = next(folder for folder in (result_dir.resolve(), *result_dir.resolve().parents) if folder.is_dir())
    found = []
    writable = os.access(place, os.W_OK)
    advice = "" if writable else "you may not write there: give --result_dir a folder of yours"
    free = shutil.disk_usage(place).free
    if writable and free < LEAST_DISK:
        advice = f"free disk space: checkpoints, samples and data of a long run need more than {_size(LEAST_DISK)}"
    found.append(Finding("results", f"{place}, {_size(free)} free", "", advice))
    temporary = Path(tempfile.gettempdir())
    free = shutil.disk_usage(temporary).free
    advice = "" if free >= LEAST_SHM else "set TMPDIR to a folder on a larger disk"
    found.append(Finding("temporary files", f"{temporary}, {_size(free)} free", "", advice))
    shm = Path("/dev/shm")
    if shm.is_dir():
        free = shutil.disk_usage(shm).free
        enough = free >= LEAST_SHM or torch.cuda.device_count() < 2
        advice = "" if enough else "for training on several GPUs, start the container with --shm-size 2g"
        found.append(Finding("shared memory", f"{_size(free)} free", "by NCCL, between GPUs", advice))
    if sys.platform != "win32":
        import resource

        files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        advice = "" if files >= LEAST_FILES else f"ulimit -n {LEAST_FILES}"
        found.append(Finding("open files", str(files), "", advice))
    return found


def _packages() -> list[Finding]:
    present, missing = [], []
    for package, (extra, what) in EXTRAS.items():
        if importlib.util.find_spec(package) is None:
            missing.append(f"{package} ({what}: pip install 'pggan_framework[{extra}]')")
            continue
        try:
            present.append(f"{package} {version(package.replace('_', '-'))}")
        except PackageNotFoundError:
            present.append(package)
    found = [Finding("optional packages", ", ".join(present) or "none")]
    return found + ([Finding("not installed", "; ".join(missing))] if missing else [])


def _size(count: float) -> str:
    return f"{count / 2**30:.1f} GiB"
