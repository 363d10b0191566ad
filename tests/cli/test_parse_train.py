from __future__ import annotations

from pathlib import Path

import pytest

from pggan_framework.cli.main import main

FOLDER = ["--dataset_class", "DefaultImageFolderDataset", "--postprocessors", "ImageSaver"]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_a_printed_config_prints_itself(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = [*FOLDER, "--DefaultImageFolderDataset.dir_path", "x", "--DepthManager.minibatch_overrides.6", "9"]
    assert main(["train", *line, "--print_config"]) == 0
    first = capsys.readouterr().out
    assert "  minibatch_overrides: {6: 9, 7: 6, 8: 3}\n" in first
    Path("first.yaml").write_text(first)
    assert main(["train", "--print_config", "--config", "first.yaml"]) == 0
    assert capsys.readouterr().out == first
    assert [path.name for path in tmp_path.iterdir()] == ["first.yaml"]


def test_a_missing_parameter_is_one_line_and_status_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", *FOLDER]) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("error: DefaultImageFolderDataset.dir_path is required")
    assert captured.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
