"""Presets are found by name from anywhere; a user's file of that name comes first."""

from __future__ import annotations

from pathlib import Path

import pytest

from pggan_framework.config import resolve_overrides
from pggan_framework.config.presets import CONFIGS, PLUGINS, find_config, presets
from pggan_framework.errors import UserError


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", presets())
def test_every_preset_is_found_by_its_name(name: str) -> None:
    assert find_config(name) == CONFIGS / f"{name}.yaml"
    assert resolve_overrides(name, {"resume": "latest"}).general.exp_name in (name, "specs512")


def test_the_presets_come_with_the_plugins_they_name() -> None:
    assert {"tones", "cats", "demo"} <= set(presets())
    config = resolve_overrides("tones", {})
    assert config.general.plugins == ["PitchMonitor"] and (PLUGINS / "pitch_monitor.py").is_file()
    assert config.components["PitchMonitor"]["low_hz"] == 300


def test_a_file_comes_first_and_then_the_folder_configs(empty_folder: Path) -> None:
    (empty_folder / "configs").mkdir()
    (empty_folder / "configs/tones.yaml").write_text("total_kimg: 7\n")
    assert resolve_overrides("tones", {}).general.total_kimg == 7
    (empty_folder / "tones").write_text("total_kimg: 8\n")
    assert resolve_overrides("tones", {}).general.total_kimg == 8


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            "tonse",
            r"--config tonse: .* no such preset \(did you mean 'tones'\?\); allowed: a YAML file, or",
        ),
        ("configs/tones.yaml", r"there is no folder configs; the preset of this name: --config tones"),
        ("tones.yaml", r"tones\.yaml does not exist; the preset of this name: --config tones"),
        ("mine/own.yaml", r"there is no folder mine$"),
    ],
)
def test_what_is_not_there_is_said(given: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        resolve_overrides(given, {})


@pytest.mark.usefixtures("own_plugins")
def test_a_users_copy_of_a_shipped_plugin_replaces_it(empty_folder: Path) -> None:
    resolve_overrides("tones", {})
    text = (PLUGINS / "pitch_monitor.py").read_text().replace("low_hz: float = 50", "low_hz: float = 70")
    (empty_folder / "plugins").mkdir()
    (empty_folder / "plugins/pitch_monitor.py").write_text(text)
    for _ in range(2):
        config = resolve_overrides(None, {"plugins": ["PitchMonitor"]})
        assert config.components["PitchMonitor"]["low_hz"] == 70
