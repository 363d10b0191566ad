"""pggan doctor says what there is, what is used, and what to do; it changes nothing."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from pggan_framework.cli import doctor
from pggan_framework.cli.main import main


def _found(tmp_path: Path, capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, dict[str, dict[str, str]]]:
    status = main(["doctor", "--json", "--result_dir", str(tmp_path / "results"), *words])
    return status, {finding["name"]: finding for finding in json.loads(capsys.readouterr().out)}


def test_it_reports_this_machine_and_leaves_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, found = _found(tmp_path, capsys, "--device", "cpu")
    assert found["torch"]["value"].split("+")[0] == torch.__version__.split("+")[0]
    assert found["device"]["use"].startswith("cpu, torch.float32")
    assert str(tmp_path) in found["results"]["value"]
    assert not list(tmp_path.iterdir())


def test_what_is_short_comes_with_advice_and_status_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=1 << 20))
    monkeypatch.setattr("pggan_framework.cpu.native.compiler", lambda: None)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda index: f"GPU {index}")
    monkeypatch.setattr(doctor, "version", lambda package: {"torch": "2.9.1+cpu", "pillow": "12.10.0"}[package])
    monkeypatch.setattr(doctor, "EXTRAS", {"no_such_package": ("wandb", "WandbLogger")})
    status, found = _found(tmp_path, capsys, "--device", "cpu")
    assert status == 1
    assert "free disk space" in found["results"]["advice"]
    assert "TMPDIR" in found["temporary files"]["advice"]
    assert "--shm-size 2g" in found["shared memory"]["advice"]
    assert "pip install 'torch>=2.10'" in found["torch"]["advice"]
    assert not found["pillow"]["advice"]
    assert "g++" in found["compiler"]["advice"]
    assert "pip install 'pggan_framework[wandb]'" in found["not installed"]["value"]
    assert main(["doctor", "--result_dir", str(tmp_path), "--device", "cpu"]) == 1
    text = capsys.readouterr().out
    assert "! results" in text and "-> free disk space" in text


def test_a_device_that_is_not_there_is_a_finding(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, found = _found(tmp_path, capsys, "--device", "cuda:99")
    assert status == 1
    assert "device: 'cuda:99' is given" in found["device"]["advice"]


def test_an_unknown_flag_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--what"]) == 2
    assert capsys.readouterr().err.startswith("error: pggan doctor: ")
