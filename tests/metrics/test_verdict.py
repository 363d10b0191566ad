"""Metrics in words: fake numbers, worked out by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pggan_framework.metrics import Clips
from pggan_framework.metrics.edges import Clipping, Edges
from pggan_framework.metrics.levels import Loudness
from pggan_framework.metrics.verdict import judge_images, judge_sound

REALS = {
    "frechet": 10.0,
    "consistency": -27.0,
    "silence": 0.02,
    "clipping": 0.0,
    "edges.start": -12.0,
    "edges.end": -30.0,
    "loudness.p50": -20.0,
    "loudness.spread": 10.0,
    "centroid.p50": 1500.0,
}


def judged(n: int = 300, **fakes: float) -> Any:
    given = {name.replace("__", "."): value for name, value in fakes.items()}
    return judge_sound({**REALS, **given, **{f"{name}.floor": value for name, value in REALS.items()}}, n)


def test_good_sounds() -> None:
    found = judged(frechet=31.0)
    assert (found.grade, found.problems) == ("good", ())
    assert found.line == "good; about 3.1 times the distance between two halves of the recordings"


@pytest.mark.parametrize(("frechet", "n", "grade"), [(50, 300, "good"), (51, 300, "fair"), (121, 300, "poor")])
def test_grades(frechet: float, n: int, grade: str) -> None:
    assert judged(n, frechet=frechet).grade == grade


def test_a_baseline_of_few_clips_is_a_bias_and_hides_much() -> None:
    # 3 times the baseline of 100 clips is what 7 times that of 300 is.
    found = judged(100, frechet=30.0)
    assert (found.grade, found.distance.partition(" times")[0]) == ("fair", "about 7.0")
    assert judged(100, frechet=9.0).distance.startswith("about 1.0 times")


@pytest.mark.parametrize(
    ("fakes", "words"),
    [
        ({"consistency": -8.0}, "still noisy: spectral consistency -8 dB, the recordings have -27; train longer"),
        ({"loudness__p50": -29.0}, "too quiet by 9 dB"),
        ({"loudness__p50": -15.0}, "too loud by 5 dB"),
        ({"silence": 0.4}, "40% of the samples are silent (recordings: 2%)"),
        ({"clipping": 0.012}, "clipped: 1.2% of the sample values are at full scale (recordings: 0.0%)"),
        (
            {"edges__end": -2.0},
            "samples end in a click: last 10 ms at -2 dB relative to the whole sample (recordings: -30)",
        ),
        (
            {"edges__start": 3.0},
            "samples start with a click: first 2 ms at 3 dB relative to the whole sample (recordings: -12)",
        ),
        ({"loudness__spread": 4.0}, "levels vary less than the recordings' (4 dB, recordings: 10 dB)"),
        ({"centroid__p50": 1000.0}, "too dull: spectral centroid 1000 Hz, the recordings have 1500"),
        ({"centroid__p50": 2000.0}, "too bright: spectral centroid 2000 Hz, the recordings have 1500"),
    ],
)
def test_each_problem(fakes: dict[str, float], words: str) -> None:
    found = judged(**fakes)
    assert (found.grade, found.problems) == ("fair", (words,))
    assert found.line.startswith(words)


def test_within_limits_nothing_is_named() -> None:
    fine = {"consistency": -13.5, "loudness__p50": -22.9, "clipping": 0.001, "silence": 0.12, "edges__end": -20.1}
    assert judged(**fine, edges__start=-6.0, loudness__spread=6.7, centroid__p50=1870.0).problems == ()


def test_the_worst_comes_first_and_one_line_has_two() -> None:
    found = judged(frechet=400.0, loudness__p50=-24.0, consistency=-2.0, silence=0.3, centroid__p50=2000.0)
    assert [words.split()[0] for words in found.problems] == ["still", "30%", "too", "too"]
    assert found.grade == "poor"
    assert found.line == (
        "still noisy: spectral consistency -2 dB, the recordings have -27; train longer;"
        " 30% of the samples are silent (recordings: 2%);"
        " about 40.0 times the distance between two halves of the recordings"
    )


def test_what_is_missing_is_not_judged() -> None:
    assert judge_sound({"frechet": None, "frechet.floor": 3.0, "silence": float("nan")}, 20).line == "not measured"
    assert judge_images({}, 1000).grade == ""


def test_images() -> None:
    floors = {"swd.64.floor": 4.0, "swd.32.floor": 4.0, "swd.16.floor": 4.0, "swd.average.floor": 4.0}
    good = judge_images({**floors, "swd.64": 8.0, "swd.32": 8.0, "swd.16": 8.0, "swd.average": 8.0}, 1000)
    assert good.line == "good; about 2.0 times the distance between two halves of the training images"
    poor = judge_images({**floors, "swd.64": 40.0, "swd.32": 12.0, "swd.16": 11.0, "swd.average": 21.0}, 1000)
    assert (poor.grade, poor.problems) == ("poor", ("fine detail differs most",))
    assert judge_images({**floors, "swd.64": 12.0, "swd.16": 20.0, "swd.average": 16.0}, 1000).problems == (
        "large shapes differ most",
    )


def test_edges_clipping_and_spread() -> None:
    waves = np.full((3, 1000), 0.1, np.float32)  # 8 kHz: 16 samples are the start, 80 the end
    waves[:, -80:] = 0.0
    waves[0, :16] = 1.0
    waves[1] = 0
    clips = Clips(waves, 8000)
    levels = Edges().features(clips)
    whole = (16 * 1 + 904 * 0.01) / 1000
    assert levels[0] == pytest.approx([-10 * np.log10(whole), -100])
    assert np.isnan(levels[1]).all() and levels[2] == pytest.approx([-10 * np.log10(0.92), -100], abs=1e-5)
    assert Edges().compare(levels, levels[1:])["edges.start"] == pytest.approx(-10 * np.log10(0.92), abs=1e-5)
    assert Clipping()(clips, clips) == {"clipping": pytest.approx(16 / 3000)}
    known = np.arange(11.0)[:, None]
    assert Loudness().compare(known, known)["loudness.spread"] == 8


def test_few_images_are_judged_as_many_would_be():
    # 31.9 next to 28.0 with 64 images, 19.4 next to 6.9 with 1,000 of the same generator: 2.8 times, no 1.1.
    few = judge_images({"swd.average": 31.9, "swd.average.floor": 28.0}, 64)
    many = judge_images({"swd.average": 19.4, "swd.average.floor": 6.9}, 1000)
    assert few.distance.startswith("about 2.4 times") and many.distance.startswith("about 2.8 times")
    assert judge_images({"swd.average": 27.0, "swd.average.floor": 28.0}, 64).grade == "good"
