"""The notebook of the tutorials runs from top to bottom, with a training of seconds."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from pages import ROOT

from pggan_framework.config import resolve_overrides
from pggan_framework.launch import start as launch

TINY = {
    "minutes": None,
    "schedule": None,
    "total_kimg": 0.06,
    "Generator.fmap_max": 8,
    "Discriminator.fmap_max": 8,
    "TonesDataset.count": 30,
    "DepthManager.lod_training_nimg": 8,
    "DepthManager.lod_training_overrides": {},
    "DepthManager.lod_transition_nimg": 8,
    "DepthManager.lod_transition_overrides": {},
    "DepthManager.tick_kimg_default": 0.03,
    "OutputGenerator.samples_count": 2,
    "SoundSaver.griffin_lim_iter": 1,
}


@pytest.mark.slow
def test_the_notebook_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    notebook = json.loads((ROOT / "docs" / "tutorials" / "first_sound.ipynb").read_text(encoding="utf-8"))
    shutil.copytree(ROOT / "configs", tmp_path / "configs")
    monkeypatch.chdir(tmp_path)

    def tiny(config: Any, overrides: dict[str, Any], base: Any = None) -> Any:
        assert overrides["minutes"] <= 5  # the whole notebook is to take ten minutes on a CPU
        return resolve_overrides(config, {**overrides, **TINY}, base)

    monkeypatch.setattr(launch, "resolve_overrides", tiny)
    scope: dict[str, Any] = {"__name__": "notebook"}
    for number, cell in enumerate(notebook["cells"]):
        assert not cell.get("outputs"), "the notebook is stored without outputs"
        if cell["cell_type"] == "code":
            exec(compile("".join(cell["source"]), f"cell {number}", "exec"), scope)
    assert "baseline" in capsys.readouterr().out
    assert scope["training"]._repr_html_() and scope["sounds"][0]._repr_html_()
