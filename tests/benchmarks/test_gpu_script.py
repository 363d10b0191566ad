"""benchmarks/gpu.py on a CPU: every part measures something, and one that fails stops no other."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from processes import forking

from benchmarks import gpu
from benchmarks.gpu_parts.harness import Part, Recorder, Setting, run_parts
from benchmarks.gpu_parts.speed import idle_fraction

SCRIPT = Path(gpu.__file__)


def quick(setting: Setting, record: Recorder) -> None:
    """A part that works."""
    record("answer", 42, "units", device=setting.device)


def raising(setting: Setting, record: Recorder) -> None:
    record("before", 1.0)
    raise ValueError("on purpose")


def endless(setting: Setting, record: Recorder) -> None:
    record("before", 1.0)
    time.sleep(600)


def crashing(setting: Setting, record: Recorder) -> None:
    record("before", 1.0)
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize("failing", [[*gpu.WORTH][place] for place in (0, 1, -1)])
def test_a_part_that_fails_stops_no_other(failing: str, tmp_path: Path) -> None:
    parts = {name: Part(raising if name == failing else quick, 10) for name in gpu.WORTH}
    entries = run_parts(parts, "cpu", True, tmp_path, 10)
    assert entries == json.loads((tmp_path / "results.json").read_text())
    assert {entry["part"] for entry in entries if entry["name"] == "answer"} == gpu.WORTH.keys() - {failing}
    (error,) = [entry for entry in entries if "traceback" in entry]
    assert error["part"] == failing and "ValueError: on purpose" in error["traceback"]
    text = (tmp_path / "results.md").read_text()
    assert f"| {failing} | before | 1 |  |  |" in text and "ValueError: on purpose" in text


@pytest.mark.parametrize(
    ("part", "said"), [(endless, "TimeoutError: it took more than 1 s"), (crashing, "it was ended by SIGKILL")]
)
def test_a_part_that_hangs_or_crashes_keeps_what_it_measured(part: object, said: str, tmp_path: Path) -> None:
    parts = {"first": Part(part, 1), "second": Part(quick, 1)}  # type: ignore[arg-type]
    entries = run_parts(parts, "cpu", True, tmp_path, 2 / 60)
    assert [e["value"] for e in entries if e["name"] in ("before", "answer")] == [1.0, 42]
    assert [said in e["traceback"] for e in entries if "traceback" in e] == [True]


def test_only_some_parts_run_and_share_the_time(tmp_path: Path) -> None:
    seen: list[float] = []
    parts = {name: Part(lambda setting, record: record("limit", setting.seconds), 10) for name in "abc"}
    entries = run_parts(parts, "cpu", True, tmp_path, 1, only=["c", "a"])
    seen = [entry["value"] for entry in entries if entry["name"] == "limit"]
    assert seen == [30, 30] and {entry["part"] for entry in entries} == {"a", "c"}


def test_an_unknown_part_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        gpu.main(["--out", "x", "--only", "timing,speeed"])
    assert ended.value.code == 2 and "there is no part speeed; allowed: environment" in capsys.readouterr().err


def test_time_without_a_kernel() -> None:
    assert idle_fraction([]) == 0
    assert idle_fraction([(0, 2), (1, 3), (5, 10)]) == pytest.approx(0.2)
    assert idle_fraction([(3, 4), (0, 10)]) == 0


def test_the_script_finds_its_modules_from_any_folder(tmp_path: Path) -> None:
    command, alone = [sys.executable, str(SCRIPT), "--help"], {**os.environ, "PYTHONPATH": ""}
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path, env=alone)
    assert done.returncode == 0, done.stderr
    assert "First test on a GPU" in done.stdout


def alone(words: list[str]) -> None:
    """Run the script; programs that it starts find modules only where the script and Python look for them."""
    os.environ["PYTHONPATH"] = ""
    gpu.main(words)


def test_all_of_it_on_a_cpu(tmp_path: Path) -> None:
    words = ["--device", "cpu", "--tiny", "--minutes", "15", "--out", str(tmp_path)]
    process = forking().Process(target=alone, args=(words,))
    process.start()
    process.join()
    assert process.exitcode == 0
    entries = json.loads((tmp_path / "results.json").read_text())
    failed = [entry["traceback"] for entry in entries if "traceback" in entry]
    assert not failed, "\n".join(failed)
    assert {entry["part"] for entry in entries} == gpu.WORTH.keys()
    by_name = {(entry["part"], entry["name"]): entry for entry in entries}
    assert by_name["environment", "torch"]["value"] == torch.__version__
    exact = [e["value"] for e in entries if e["name"] == "gradient's difference" and e["precision"] == "float64"]
    assert len(exact) == 4 and max(exact) <= 1e-11
    assert by_name["resume", "resume"]["value"] == 0
    timed = {(e["contestant"], e["precision"]) for e in entries if (e["part"], e["name"]) == ("timing", "step")}
    assert {("plain", "fp32"), ("ours", "bf16"), ("ours compiled", "tf32")} <= timed
    assert by_name["plugins", "compiled updates"]["value"] >= 2
    assert by_name["nccl", "one rank"]["value"] == "gloo with one rank on cpu: right"
    assert sum(e["part"] == "profile" and e["name"] == "kernel" for e in entries) == 40
    assert (tmp_path / "results.md").read_text().startswith("| part | name | value | unit | |")
