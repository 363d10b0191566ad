"""All metrics at once: baselines, what is left out, what is refused."""

from __future__ import annotations

import math
import subprocess
import sys

import numpy as np
import pytest

from pggan_framework import UserError
from pggan_framework.labels.attributes import Attribute, LabelSpace
from pggan_framework.metrics import evaluate_sounds
from pggan_framework.metrics.base import Clips
from pggan_framework.metrics.decoding import midi_of
from pggan_framework.metrics.levels import Loudness
from pggan_framework.metrics.pitch import Pitch
from pggan_framework.metrics.report import Figure, measure, table

RATE = 8000
MIDI = np.tile([55.0, 60.0, 67.0], 60)


def notes(midi: np.ndarray, seed: int) -> np.ndarray:  # type: ignore[type-arg]
    random = np.random.default_rng(seed)
    time = np.arange(1024) / RATE
    hertz = 440 * 2 ** ((midi - 69) / 12)
    levels = 10 ** random.uniform(-1, -0.2, (len(midi), 1))
    waves = levels * (np.sin(2 * np.pi * hertz[:, None] * time) + 0.3 * np.sin(4 * np.pi * hertz[:, None] * time))
    return (waves * np.exp(-5 * time) + 1e-3 * random.standard_normal(waves.shape)).astype(np.float32)


@pytest.fixture(scope="module")
def reals() -> np.ndarray:  # type: ignore[type-arg]
    return notes(MIDI, 0)


def test_reals_in_the_fakes_place_are_at_the_floor_and_detuned_ones_above(reals: np.ndarray) -> None:  # type: ignore[type-arg]
    names = ["frechet", "loudness", "silence"]
    good = evaluate_sounds(reals, notes(MIDI, 1), RATE, names)
    bad = evaluate_sounds(reals, notes(MIDI + 4, 1) * 0.1, RATE, names)
    assert good["frechet"] < 1.5 * good["frechet.floor"]
    assert bad["frechet"] > 3 * bad["frechet.floor"] == 3 * good["frechet.floor"]
    assert bad["loudness.distance"] == pytest.approx(20, abs=1.5)
    assert good["loudness.distance"] < 2
    assert good["silence"] == 0


def test_pitch_is_measured_against_each_sides_own_labels(reals: np.ndarray) -> None:  # type: ignore[type-arg]
    found = evaluate_sounds(reals[:6], notes(MIDI[:3] + 4, 1), RATE, ["pitch"], MIDI[:6], MIDI[:3] + 3)
    assert found["pitch.in_tune"] == 0
    assert found["pitch.in_tune.floor"] == found["pitch.voiced"] == 1
    assert found["pitch.cents"] == pytest.approx(100, abs=15)


def test_the_floor_is_the_metric_of_the_two_halves(reals: np.ndarray) -> None:  # type: ignore[type-arg]
    found = evaluate_sounds(reals, reals[:90], RATE, ["loudness"])
    wanted = Loudness()(Clips(reals[:90], RATE), Clips(reals[90:], RATE))
    assert {name: found[f"{name}.floor"] for name in wanted} == wanted
    assert found["loudness.distance"] == 0


def test_by_default_all_that_apply(reals: np.ndarray) -> None:  # type: ignore[type-arg]
    found = evaluate_sounds(reals, reals, RATE)
    assert {"frechet", "ndb.share", "ndb.jsd", "silence", "loudness.p5", "centroid.p95"} <= set(found)
    assert not {"pitch.cents", "consistency", "embeddings"} & set(found)
    few = evaluate_sounds(reals[:20], reals, RATE)
    assert "frechet" not in few
    assert "silence" in few


@pytest.mark.parametrize(
    ("metrics", "message"),
    [
        (["frechett"], r"unknown metric 'frechett' \(did you mean 'frechet'\?\)"),
        (["TonesDataset"], "is a dataset, not a metric|unknown metric"),
        (["frechet"], "frechet needs 64 clips per side; there are 10"),
        (["pitch"], "pitch needs sounds labelled"),
        (["consistency"], "consistency needs the images"),
    ],
)
def test_named_metrics_that_cannot_be_taken(reals: np.ndarray, metrics: list[str], message: str) -> None:  # type: ignore[type-arg]
    with pytest.raises(UserError, match=message):
        evaluate_sounds(reals[:20], reals, RATE, metrics)


def test_waves_that_do_not_fit(reals: np.ndarray) -> None:  # type: ignore[type-arg]
    with pytest.raises(ValueError, match="differ in more than number"):
        evaluate_sounds(reals, reals[:, :512], RATE)


def test_limits_hold_over_batches_and_stop_reading(reals: np.ndarray) -> None:  # type: ignore[type-arg]
    asked = []

    def batches(midi: bool):  # type: ignore[no-untyped-def]
        for start in range(0, 180, 30):
            asked.append(start)
            yield Clips(reals[start : start + 30], RATE, midi=MIDI[start : start + 30])

    found = measure([Pitch("autocorrelation", count=40)], batches(True), 180)
    assert found["pitch"].shape == (40, 1)
    assert asked == [0, 30]
    both = measure([Pitch("autocorrelation", count=40), Loudness()], batches(True), 180)
    assert both["pitch"].shape == (40, 1)
    assert both["loudness"].shape == (180, 1)


def test_table_is_aligned() -> None:
    lines = table([Figure("frechet", 12.3456, 3.0, 500), Figure("pitch.cents", math.nan, 4.0, 7)]).splitlines()
    assert lines[0].split() == ["metric", "value", "real", "vs", "real", "n"]
    assert lines[1].split() == ["frechet", "12.35", "3", "500"]
    assert lines[2].split() == ["pitch.cents", "-", "4", "7"]
    assert len({len(line) for line in lines}) == 1


def test_labels_as_midi_numbers() -> None:
    space = LabelSpace((Attribute("kind", ("a", "b")), Attribute("pitch", ("60", "72"))))
    labels = np.array([[0, 1], [1, 0]])
    assert list(midi_of(space, labels)) == [72, 60]  # type: ignore[arg-type]
    assert midi_of(LabelSpace((Attribute("kind", ("a", "b")),)), labels[:, :1]) is None
    between = np.array([[60.5], [72.25]])
    assert list(midi_of(LabelSpace((Attribute("pitch", span=(57, 80)),)), between)) == [60.5, 72.25]  # type: ignore[arg-type]
    assert midi_of(LabelSpace((Attribute("pitch", span=(57, 400)),)), between) is None
    assert midi_of(LabelSpace((Attribute("pitch", ("low", "high")),)), labels[:, :1]) is None
    assert midi_of(LabelSpace((Attribute("pitch", ("220", "440")),)), labels[:, :1]) is None
    assert midi_of(None, None) is None


def test_importing_loads_nothing_that_is_not_asked_for() -> None:
    code = (
        "import sys, pggan_framework.metrics as m; from pggan_framework.metrics.report import default_metrics;"
        "default_metrics(m.Metric); default_metrics(m.PictureMetric);"
        "print(*{'librosa', 'sklearn', 'torchcrepe', 'aisfx'} & set(sys.modules), sep=',')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
