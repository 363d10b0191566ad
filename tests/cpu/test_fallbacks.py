"""Whatever is missing or broken about our convolutions, a run continues with the library's, and one line says so."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from pggan_framework import cpu
from pggan_framework.cpu import Geometry, native, pool, winograd

CPU = torch.device("cpu")
SAME = Geometry((1, 1), (1, 1))


@pytest.fixture(autouse=True)
def as_in_a_new_process(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Nothing is loaded yet, on a CPU that the code is for, and nothing is compiled for long."""
    monkeypatch.setenv("TORCH_EXTENSIONS_DIR", str(tmp_path))
    monkeypatch.setattr(native, "processor", lambda: "AVX2")
    caches = winograd.load, native._library, pool.load
    for cache in caches:
        cache.cache_clear()
    yield
    for cache in caches:
        cache.cache_clear()


def no_home(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    def missing() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("TORCH_EXTENSIONS_DIR")
    monkeypatch.setattr(Path, "home", missing)


def no_compiler(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    monkeypatch.setattr(native, "compiler", lambda: None)


def failing_compiler(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    monkeypatch.setattr(native, "compiler", lambda: "false")


def no_folder(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    (folder / "file").touch()
    monkeypatch.setenv("TORCH_EXTENSIONS_DIR", str(folder / "file"))


def unreadable(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    def refused(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(native, "build", refused)


def broken_library(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    path = native.file(torch.float32)
    path.parent.mkdir(parents=True)
    path.write_bytes(b"\x7fELF half written")


def another_library(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    path = native.file(torch.float32)
    path.parent.mkdir(parents=True)
    source = folder / "other.c"
    source.write_text("int other(void) { return 1; }\n")
    compiler = native.compiler()
    if compiler is None:
        pytest.skip("there is no compiler")
    subprocess.run([compiler, "-shared", "-fPIC", "-o", str(path), str(source)], check=True)


FAULTS: dict[Callable[[pytest.MonkeyPatch, Path], None], str] = {
    no_home: "there is no home folder",
    no_compiler: "there is no C++ compiler",
    failing_compiler: "compiling quicker ones failed",
    no_folder: "cannot be compiled or kept",
    unreadable: "Permission denied",
    broken_library: "cannot be loaded; delete it",
    another_library: "cannot be loaded; delete it",
}


@pytest.mark.parametrize("kernels", ["auto", "native"])
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_a_fault_is_one_line_and_the_librarys_convolution(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, fault: Callable[..., None], kernels: cpu.Kernels
) -> None:
    fault(monkeypatch, tmp_path)
    note = cpu.note(CPU, 32, kernels)
    assert note.startswith("convolutions: the library's, because ") and FAULTS[fault] in note and "\n" not in note
    assert cpu.facts(32, kernels)["kernels"] in ("products", "torch")
    x, weight = torch.randn(16, 32, 8, 8), torch.randn(32, 32, 3, 3)
    found = cpu.convolution(x, weight, None, SAME, None, kernels)
    torch.testing.assert_close(found, torch.nn.functional.conv2d(x, weight, padding=1))
    if fault in (no_home, no_compiler, failing_compiler, no_folder):
        assert pool.load() is None  # nor does the pool of tensors stop anything


def test_torch_asks_for_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native, "_library", pytest.fail)
    assert cpu.note(CPU, 512, "torch") == "" and cpu.facts(512, "torch")["kernels"] == "torch"
    x, weight = torch.randn(16, 32, 8, 8), torch.randn(32, 32, 3, 3)
    gradient = cpu.convolution(x, weight, None, SAME, 0.2, "torch")
    found = cpu.convolution_backward(gradient, x, weight, SAME, (True, True, False), "torch")
    assert [value is None for value in found] == [False, False, True]
    assert torch.equal(cpu.weight_gradient(x, gradient, weight, SAME, "torch"), found[1])  # type: ignore[arg-type]


def test_the_verdict_is_kept_for_each_kind_of_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    native.file(torch.float32).parent.mkdir(parents=True)
    tried: list[str] = []

    def trial(kind: str, found: bool) -> bool:
        monkeypatch.setattr(native, "model", lambda: kind)
        return native.passed(torch.float32, lambda: bool(tried.append(kind)) or found)

    assert trial("fast", True) and not trial("slow", False)
    assert trial("fast", False) and not trial("slow", True)  # known from before
    assert tried == ["fast", "slow"]


def test_the_model_of_a_cpu(tmp_path: Path) -> None:
    info = tmp_path / "cpuinfo"
    info.write_text("processor\t: 0\nmodel name\t: A CPU @ 2 GHz\nflags\t: avx2\n")
    assert native.model(info) == "A CPU @ 2 GHz"
    assert native.model(tmp_path / "none") == ""
