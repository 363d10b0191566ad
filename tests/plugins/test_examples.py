"""The examples in plugins/ do what they say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tiny import TONES

from pggan_framework import UserError, run
from pggan_framework.config.discovery import load_all
from pggan_framework.registry import REGISTRY

PLUGINS = str(Path(__file__).resolve().parents[2] / "plugins")
SMALL = {**TONES, "plugin_dirs": [PLUGINS], "total_kimg": 0.008}


def test_npy_dataset_trains_and_gives_the_arrays_pictures(tmp_path: Path) -> None:
    array = np.random.default_rng(0).integers(0, 256, (6, 3, 16, 16), dtype=np.uint8)
    np.save(tmp_path / "a.npy", array)
    load_all([PLUGINS])
    dataset = REGISTRY.get("NpyDataset").cls(tmp_path / "a.npy")
    assert (dataset.images([4, 0], 2) == array[[4, 0]]).all()
    mean = array[4, :, :4, :4].reshape(3, -1).mean(1)
    assert abs(dataset.images([4], 0)[0, :, 0, 0] - mean).max() <= 0.5
    flags = {**SMALL, "dataset_class": "NpyDataset", "NpyDataset.path": str(tmp_path / "a.npy")}
    assert run(overrides={**flags, "result_dir": str(tmp_path)}).nimg == 8


@pytest.mark.parametrize("array", [np.zeros((3, 16, 16), np.uint8), np.zeros((2, 3, 16, 16), np.float32)])
def test_npy_dataset_refuses_other_arrays(tmp_path: Path, array: np.ndarray) -> None:  # type: ignore[type-arg]
    np.save(tmp_path / "a.npy", array)
    load_all([PLUGINS])
    with pytest.raises(UserError, match=r"allowed: uint8 \[N, C, H, W\]"):
        REGISTRY.get("NpyDataset").cls(tmp_path / "a.npy")
    (tmp_path / "b.npy").write_text("no array")
    with pytest.raises(UserError, match=r"b.npy cannot be read"):
        REGISTRY.get("NpyDataset").cls(tmp_path / "b.npy")


def test_pitch_monitor_hears_what_the_generator_plays(tmp_path: Path) -> None:
    """A generator replaced by one real tone: the monitor must find that tone's pitch."""
    import torch

    from pggan_framework import Plugin, register

    class Tone(Plugin):
        """Puts one tone of the data in the place of the EMA generator."""

        def before_step(self) -> None:
            dataset = self.trainer.parts.dataset
            picture = torch.from_numpy(dataset.image(0)).float()[None]

            def play(latents: torch.Tensor) -> torch.Tensor:
                return picture.repeat(len(latents), 1, 1, 1)

            self.trainer.parts.ema.generator.forward = play

    register("plugin")(Tone)
    try:
        flags = {
            **SMALL,
            "TonesDataset.count": 3,
            "plugins": ["Tone", "PitchMonitor"],
            "PitchMonitor.every_ticks": 1,
            "PitchMonitor.low_hz": 300,
            "progressive_growing": False,
            "Trainer.tick_nimg_default": 8,
            "result_dir": str(tmp_path),
        }
        stats = run(overrides=flags).stats
    finally:
        REGISTRY.remove("Tone")
    load_all([])
    pitch = REGISTRY.get("TonesDataset").cls(count=3).pitch_hz[0]
    assert stats["pitch.share"] == 1
    assert stats["pitch.median"] == pytest.approx(pitch, rel=0.01)
    assert stats["pitch.low"] == pytest.approx(stats["pitch.high"], rel=0.01)
