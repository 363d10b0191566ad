"""Which metrics share a chart, and how several runs and seeds are drawn."""

from __future__ import annotations

import numpy as np

from pggan_framework.reporting.panels import SECTIONS, depth_marks, panels_of


def by_title(panels):
    return {panel.chart.title: panel for panel in panels}


def test_metrics_that_belong_together_share_a_chart_with_unit_and_direction():
    ticks = [
        {"kimg": 1, "time": 9, "G_loss": 2.0, "D_real": 1, "sound.frechet.floor": 2, "sound.frechet": 3, "mine": 1},
        {"kimg": 2, "D_loss": 4.0, "sec.kimg": 4.0, "sound.consistency": -20},
    ]
    panels = by_title(panels_of({"a": [ticks]}))
    assert list(panels) == ["Loss", "Mean D output", "Fréchet distance", "Spectral consistency", "Speed", "mine"]
    assert [SECTIONS.index(panel.section) for panel in panels.values()] == [0, 0, 1, 1, 2, 3]
    frechet, baseline = panels["Fréchet distance"].chart.curves
    assert (frechet.name, baseline.name) == ("sound.frechet", "sound.frechet of reals")
    assert baseline.baseline and baseline.style == frechet.style
    assert panels["Fréchet distance"].chart.note == "lower is better" and panels["Loss"].chart.note == ""
    assert panels["Spectral consistency"].chart.unit == "dB"
    losses = {curve.name: (curve.x.tolist(), curve.y.tolist()) for curve in panels["Loss"].chart.curves}
    assert losses == {"G_loss": ([1], [2]), "D_loss": ([2], [4])}
    (speed,) = panels["Speed"].chart.curves
    assert speed.y.tolist() == [250] and panels["Speed"].chart.unit == "images/s"
    assert speed.name == "images per second"


def test_charts_of_several_runs_have_different_titles():
    tick = {"kimg": 1, "G_lr": 1, "D_lr": 1, "D_loss": 1, "quality": 3.0, "picture.swd.16": 1, "picture.swd.32": 1}
    panels = panels_of({"a": [[tick]], "b": [[tick]]})
    titles = [panel.chart.title for panel in panels]
    assert len(set(titles)) == len(titles) and {"Learning rate: G_lr", "Learning rate: D_lr", "Loss"} < set(titles)
    (quality,) = [panel for panel in panels if panel.chart.title == "Distance to the data"]
    assert quality.section == SECTIONS[1] and quality.chart.log and quality.chart.unit == "times the baseline"


def test_what_is_not_finite_is_left_out():
    assert panels_of({"a": [[{"kimg": 1, "x": float("nan"), "y": None, "time": 3}]]}) == []


def test_a_run_has_the_same_look_in_every_chart_of_several():
    runs = {f"run{number}": [[{"kimg": 1, "G_loss": number, "D_loss": 0, "x": 0}]] for number in range(12)}
    del runs["run3"][0][0]["x"]
    looks = [{curve.name: curve.classes for curve in panel.chart.curves} for panel in panels_of(runs)]
    assert len(looks) == 3 and len(set(looks[0].values())) == 12
    assert all(looks[0][name] == look for each in looks for name, look in each.items())


def test_seeds_are_their_mean_and_range_where_all_have_values():
    first = [{"kimg": kimg, "a": kimg} for kimg in (1, 2, 4)]
    second = [{"kimg": kimg, "a": 3 * kimg} for kimg in (2, 3, 6)]
    (panel,) = panels_of({"both": [first, second]})
    (curve,) = panel.chart.curves
    assert curve.x.tolist() == [2, 3, 4]
    np.testing.assert_allclose(curve.y, [4, 6, 8])
    np.testing.assert_allclose(curve.band, [[2, 3, 4], [6, 9, 12]])


def test_depths_are_marked_where_they_begin():
    ticks = [{"kimg": kimg, "depth": depth} for kimg, depth in ((1, 0), (2, 0), (3, 1), (4, 2))]
    assert depth_marks(ticks) == {2: "depth 1", 3: "depth 2"}
