"""What the machine lacks, and a reader of the output that has gone, are one line or none, never a traceback."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from pggan_framework.cli import info
from pggan_framework.cli.main import explained, main

RAISED = [
    (MemoryError(), "--micro_batch"),
    (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"), "--micro_batch"),
    (
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9"),
        "--micro_batch",
    ),
    (RuntimeError("could not create a primitive"), "--micro_batch"),
    (RuntimeError("std::bad_alloc"), "--micro_batch"),
    (RuntimeError("can't start new thread"), "--micro_batch"),
    (ImportError("a.so: failed to map segment from shared object"), "--micro_batch"),
    (RecursionError("maximum recursion depth exceeded"), "nested too deep"),
    (OSError(28, "No space left on device", "results/x"), "results/x: No space left on device"),
    (OSError("read failed\nagain"), "read failed again"),
]


@pytest.mark.parametrize(("error", "message"), RAISED)
def test_one_line_says_what_to_do(
    error: Exception, message: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(argv: object) -> int:
        raise error

    monkeypatch.setattr(info, "run", fail)
    assert main(["info", "x"]) == 2
    text = capsys.readouterr().err
    assert text.startswith("error: ") and text.count("\n") == 1 and message in text
    assert main(["info", "x", "--debug"]) == 2
    assert "Traceback" in capsys.readouterr().err


def test_a_fault_of_the_program_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(argv: object) -> int:
        raise RuntimeError("a bug")

    monkeypatch.setattr(info, "run", fail)
    with pytest.raises(RuntimeError, match="a bug"):
        main(["info", "x"])
    assert explained(KeyError("x")) is None
    assert explained(ImportError("No module named 'x'")) is None


def test_a_pipe_that_closes_early_is_silent() -> None:
    program = "import sys; from pggan_framework.cli.main import main\nsys.exit(main(['components']))"
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None and process.stderr is not None
    process.stdout.close()
    error = process.stderr.read().decode()
    process.stderr.close()
    assert process.wait() in (0, 141)
    assert not error


@pytest.mark.parametrize("content", [b"text\n", b"", b"PK\x03\x04", b"\x80\x02}q\x00."])
@pytest.mark.parametrize("command", ["info", "generate", "evaluate", "export"])
def test_a_file_that_is_no_checkpoint_is_one_line(
    command: str, content: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a.pt"
    path.write_bytes(content)
    more = {"export": ["--format", "safetensors", str(tmp_path / "b.safetensors")]}.get(command, [])
    assert main([command, str(path), *more]) == 2
    text = capsys.readouterr().err
    assert text.startswith("error: ") and text.count("\n") == 1
