from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from pggan_framework import __version__
from pggan_framework.cli import main as cli
from pggan_framework.cli.main import COMMANDS, main
from pggan_framework.config import General
from pggan_framework.errors import UserError

ROOT = Path(__file__).parents[2]


def test_help_is_quick_fits_a_screen_and_leaves_torch_alone() -> None:
    command = [sys.executable, "-X", "importtime", "train.py", "-h"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert not imported & {"torch", "librosa", "numpy"}
    lines = done.stdout.splitlines()
    assert len(lines) <= 86
    assert max(map(len, lines)) <= 120
    for name in vars(General()):
        assert sum(line.split()[:1] == [f"--{name}"] for line in lines) == 1
    assert any(line.split()[0] == "optimizer" and "Adam" in line for line in lines if line.strip())
    start = time.perf_counter()
    subprocess.run([sys.executable, "train.py", "-h"], cwd=ROOT, capture_output=True, check=True)
    assert time.perf_counter() - start < 2  # 0.4 s when nothing else runs


@pytest.mark.parametrize("words", [[], ["-h"], ["--help"]])
def test_the_commands_are_listed(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 0
    out = capsys.readouterr().out
    assert all(f"  {name} " in out for name in COMMANDS)


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"{__version__}\n"


def test_components_are_listed_with_a_line_each(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["components"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "optimizer:" in lines
    assert any(line.split()[:1] == ["DepthManager"] and len(line.split()) > 3 for line in lines)


@pytest.mark.parametrize(
    "words",
    [
        ["components", "DepthManager"],
        ["train", "--help_component", "DepthManager"],
        ["train", "--help_component=DepthManager"],
    ],
)
def test_the_flags_of_one_component(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 0
    out = capsys.readouterr().out
    assert "--DepthManager.minibatch_overrides  dict[int, int] (default: {6: 14, 7: 6, 8: 3})" in out
    assert "--DepthManager.minibatch_size" not in out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["trian"], "error: unknown command 'trian' (did you mean 'train'?); allowed: "),
        (["components", "DepthManger"], "error: unknown component 'DepthManger' (did you mean 'DepthManager'?)"),
        (["components", "--what"], "error: components: unexpected '--what'"),
        (["train", "--help_component"], "error: --help_component needs the name of a component"),
        (["train", "--total_kimg", "long"], "error: --total_kimg: long is not of type float"),
        (["train", "stray"], "error: stray does not exist"),
        (["train", "--total_kimg", "1", "stray", "words"], "error: unexpected 'stray'"),
        (["train", "-h", "--total_kimg", "long"], "error: --total_kimg: long is not of type float"),
    ],
)
def test_mistakes_end_in_one_line_and_status_2(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith(message)
    assert captured.err.count("\n") == 1
    assert captured.out == ""


@pytest.mark.parametrize(
    ("words", "shown"), [(["--debug"], True), (["--debug", "False"], False), (["--debug=no"], False)]
)
def test_debug_shows_the_traceback(words: list[str], shown: bool, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "--total_kimg", "long", *words]) == 2
    assert ("Traceback" in capsys.readouterr().err) is shown


def test_an_interrupt_is_130(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(words: list[str]) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "_run", interrupted)
    assert main([]) == 130


def test_user_errors_have_no_newline() -> None:
    assert str(UserError("a\n  b")) == "a b"
