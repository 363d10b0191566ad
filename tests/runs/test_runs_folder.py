"""What a run's folder holds is whole, also while a resumed run rewrites it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pggan_framework.runs.folders import stored_config, write_run_files
from pggan_framework.storage import atomic as files


def test_a_death_while_rewriting_keeps_the_older_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_run_files(tmp_path, "total_kimg: 20\n", {"device": "cpu"})

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(files.os, "replace", die)
    with pytest.raises(KeyboardInterrupt):
        write_run_files(tmp_path, "total_kimg: 40\n", {"device": "cuda"})
    assert stored_config(tmp_path) == {"total_kimg": 20}
    assert json.loads((tmp_path / "environment.json").read_text()) == {"device": "cpu"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.yaml", "environment.json"]
