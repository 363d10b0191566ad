"""Run: a run's folder from Python."""

from __future__ import annotations

import numpy as np
import pytest
from folders import make_run

from pggan_framework import Run, Sound, UserError


@pytest.fixture
def folder(tmp_path):
    return make_run(tmp_path / "results" / "007-cats", [10, 20, 30])


def test_metrics_are_columns_of_equal_length(folder):
    metrics = Run(folder).metrics
    assert metrics["kimg"] == [10, 20, 30] and metrics["D_loss"] == [-10, None, -30]
    assert {len(column) for column in metrics.values()} == {3}


def test_samples_and_sounds_are_those_of_the_last_time(folder):
    run = Run(str(folder))
    assert [np.asarray(image)[0, 0].tolist() for image in run.samples] == [[30, 0, 0], [30, 0, 1]]
    assert {image.size for image in run.samples} == {(4, 4)}
    first, second = run.sounds
    assert isinstance(second, Sound) and second.sample_rate == 8000 and second.wave.shape == (80,)
    np.testing.assert_allclose(second.wave, 0.1, atol=1e-4)
    assert "<audio controls" in second._repr_html_() and "0.01 s, 8000 Hz, 1 ch" in repr(first)


def test_a_notebook_shows_where_it_is(folder):
    run = Run(folder)
    shown = run._repr_html_()
    assert "30 of 40 kimg" in shown and "data:image/png;base64," in shown
    assert repr(run) == f"Run('{folder}': status unknown, 30 kimg)"
    (folder / "run.json").write_text('{"status": "finished"}')
    assert Run(folder).status == "finished"


def test_latest_is_the_last_of_a_folder(folder):
    assert Run(result_dir=folder.parent).name == "007-cats"
    assert Run("latest", folder.parent).config["loss"] == "WGANGP"


def test_ticks_that_a_rollback_has_undone_are_not_there(folder):
    with (folder / "stats.jsonl").open("a") as file:
        file.write('\n{"kimg": 15, "G_loss": 7}\n{"kimg": 25, "G_loss": 8}\n')
    assert Run(folder).metrics["kimg"] == [10, 15, 25]


@pytest.mark.parametrize("name", ["nowhere", ".", "../results"])
def test_what_is_no_run_is_refused(folder, name):
    with pytest.raises(UserError, match="does not exist|is not a run's folder"):
        Run(folder.parent / name)


def test_a_sound_survives_its_file(tmp_path):
    wave = np.stack([np.linspace(-0.5, 0.5, 50), np.zeros(50)]).astype(np.float32)
    Sound(wave, 8000).save(tmp_path / "a" / "b.wav")
    again = Sound.read(tmp_path / "a" / "b.wav")
    np.testing.assert_allclose(again, wave, atol=2e-4)
    assert again.name == "b" and again.seconds == 50 / 8000
    with pytest.raises(UserError, match="cannot read"):
        Sound.read(tmp_path / "none.wav")
