"""inspect_data: values against values worked out by hand."""

from __future__ import annotations

import json

import numpy as np
import pytest

from pggan_framework.audio import build_codec, spectral_convergence
from pggan_framework.data.base import DepthDataset
from pggan_framework.data.datasets.tones import TonesDataset
from pggan_framework.data.datasets.wave import WaveDataset
from pggan_framework.inspection import Decoding, Report, inspect_data
from pggan_framework.inspection.decoding import alternatives
from pggan_framework.inspection.levels import level_counts, measure
from pggan_framework.inspection.report import histogram
from pggan_framework.inspection.sound import by_level
from pggan_framework.labels.attributes import collect

SAMPLES = 1024


class Waves(WaveDataset):
    """Given waves of 1024 samples at 8 kHz; counts how often they are requested."""

    def __init__(self, waves, mode="abslog", **sizes):
        self.given, self.asked = np.asarray(waves, np.float32), []
        super().__init__(build_codec(mode, sample_rate=8000, **(sizes or {"n_fft": 64, "hop_length": 32, "margin": 0})))

    def __len__(self):
        return len(self.given)

    def wave(self, index):
        self.asked.append(index)
        return self.given[index]

    def fingerprint(self):
        return "waves"


class Pictures(DepthDataset):
    """Given uint8 images, labelled or not."""

    def __init__(self, pictures, **labels):
        self.given = np.asarray(pictures, np.uint8)
        super().__init__(self.given.shape[1:])
        if labels:
            self.label_space, self.labels = collect(labels)

    def __len__(self):
        return len(self.given)

    def image(self, index):
        return self.given[index]

    def fingerprint(self):
        return "pictures"


def sine(amplitude, cycles=100):
    """Whole periods, so that the root mean square is exactly amplitude / sqrt 2."""
    return amplitude * np.sin(2 * np.pi * cycles * np.arange(SAMPLES) / SAMPLES + 0.1)


def figures(inspection):
    return json.loads(inspection.report.json())


def test_a_sine_of_half_scale():
    level = measure(sine(0.5).astype(np.float32))
    assert level.rms_db == pytest.approx(-9.03, abs=0.005)  # 20 log10(0.5 / sqrt 2)
    assert level.peak_db == pytest.approx(-6.02, abs=0.05)
    assert level.full_scale == 0 and not level.silent
    assert measure(np.zeros((2, 9), np.float32)).silent
    assert measure(np.array([[1.0, 0], [-1, 0.999]], np.float32)).full_scale == 0.5


def test_levels_and_silence():
    found = inspect_data(Waves([sine(0.5), sine(0.05), np.zeros(SAMPLES), sine(0.5)]), "waves", clips=2)
    levels = figures(found)["levels"]
    assert levels["measured"] == 4 and levels["silent"] == 1
    # of -29.03, -9.03, -9.03: the median, and a tenth of the way from the quietest to it
    assert levels["rms_db"] == {"5": pytest.approx(-27.03, abs=0.01), "50": -9.03, "95": -9.03}
    assert levels["rms_histogram"] == {"-30 to -24": 1, "-24 to -18": 0, "-18 to -12": 0, "-12 to -6": 2}
    assert "1 of 4 clips is silent: number 3" in found.report.warnings
    assert "-9.0 (50 %)" in found.report.text() and "1 clip (peak below -80 dB)" in found.report.text()


@pytest.mark.parametrize(("cut", "warns"), [(80, True), (8, False)])  # 1 % and 0.1 % of 8000 samples
def test_samples_at_full_scale_warn_above_a_thousandth(cut, warns):
    wave = np.tile([0.25, -0.25], 4000)
    wave[:cut] = 1
    found = inspect_data(Waves([wave], "raw", samples=8000, height=16), "waves", clips=1)
    assert figures(found)["levels"]["full_scale_share"] == cut / 8000
    said = [w for w in found.report.warnings if "at full scale" in w]
    assert [f"{cut / 8000:.2%} of the clips' samples are at full scale" in w for w in said] == [True] * warns


def test_values_beyond_the_codecs_range_warn():
    data = Waves([sine(0.5)], "raw", samples=SAMPLES)
    data.codec.statistics["peak"] = 0.25  # |sin| > 1/2 in two thirds of the time
    found = inspect_data(data, "waves")
    assert figures(found)["codec_clipped_share"] == pytest.approx(2 / 3, abs=0.01)
    assert any("the codec clips 66" in warning for warning in found.report.warnings)


def test_the_round_trip_is_that_of_the_pictures_the_networks_get():
    data = TonesDataset(count=5, preload=False)
    found = inspect_data(data, "tones", clips=3)
    trip = figures(found)["round_trip"]
    assert trip["clips"] == 3 and trip["mean_db"] == pytest.approx(np.mean(trip["clips_db"]))
    for number, decibels in enumerate(trip["clips_db"]):
        original, decoded = (found.sounds[f"clip_{number:02d}_{kind}.wav"] for kind in ("original", "decoded"))
        assert decibels == pytest.approx(spectral_convergence(original, decoded))
        assert any(np.array_equal(original, data.wave(index)) for index in range(5))
    more = trip["others"]["--SoundSaver.griffin_lim_iter 96"]
    assert more["seconds_a_clip"] > 0
    better = inspect_data(data, "tones", decoding=Decoding(griffin_lim_iter=96), clips=3)
    gained = np.mean(trip["clips_db"][:2]) - np.mean(figures(better)["round_trip"]["clips_db"][:2])
    assert more["better_db"] == pytest.approx(gained)


def test_exact_codecs_have_nothing_to_compare():
    found = inspect_data(TonesDataset(count=60, img_mode="complex"), "tones", clips=2, max_clips=3)
    trip = figures(found)["round_trip"]
    assert trip["mean_db"] < -40 and trip["others"] == {}
    assert "hardly distinguishable from the original" in found.report.verdict[-1]
    assert "no problem was found" in found.report.verdict[0]


def test_a_poor_codec_warns():
    noise = np.random.default_rng(0).normal(0, 0.1, (2, SAMPLES))
    found = inspect_data(Waves(noise), "noise", decoding=Decoding(griffin_lim_iter=0))
    assert figures(found)["round_trip"]["mean_db"] > -10
    assert any("loses too much" in warning for warning in found.report.warnings)
    assert "clearly worse" in found.report.verdict[-1]


@pytest.mark.parametrize(
    ("mode", "read"), [("abslog", ["griffin_lim_iter 96"]), ("if", ["refine_iter", "phase_start"])]
)
def test_only_settings_a_codec_reads_are_compared(mode, read):
    data = Waves([sine(0.5)], mode, n_fft=64, hop_length=32, frames=32)
    flags = [flags for flags, _ in alternatives(data.codec, data.image(0).astype(np.float32), Decoding())]
    assert len(flags) == len(read) and all(name in flag for name, flag in zip(read, flags, strict=True))
    again = [flags for flags, _ in alternatives(data.codec, data.image(0)[:], Decoding(phase_start="random"))]
    assert "--SoundSaver.phase_start pghi" in again


def test_all_silent():
    found = inspect_data(Waves(np.zeros((2, SAMPLES))), "silence")
    assert figures(found)["levels"]["rms_db"] == {} and figures(found)["levels"]["silent"] == 2
    assert "exact" in found.report.text() and "nan" not in found.report.text()


def test_large_data_are_measured_in_part():
    data = Waves([sine(0.5)] * 100)
    data.asked.clear()
    found = inspect_data(data, "waves", clips=1, max_clips=5)
    assert set(data.asked) == {0, 25, 50, 74, 99}  # 24.75 apart, rounded
    assert figures(found)["count"] == 100 and figures(found)["levels"]["measured"] == 5
    assert "5 of 100 clips, evenly spaced" in found.report.text()


def test_clips_stand_for_quiet_and_loud_ones():
    levels = {index: measure(np.full(4, amplitude)) for index, amplitude in enumerate([0.4, 0.1, 0.3, 0.2, 0])}
    assert by_level(levels, 2) == [3, 0]  # halves 0.1 0.2 and 0.3 0.4: the upper middles
    assert by_level(levels, 9) == [1, 3, 2, 0]
    assert by_level({7: levels[4]}, 2) == [7]


def test_axes_and_stages():
    text = inspect_data(Waves([sine(0.5)]), "waves").report.text()
    assert "125 Hz, centres from 0 to 3875 Hz" in text  # 8000 / 64
    assert "0.004 s, 0.128 s in total" in text  # 32 / 8000
    assert "4x4, 8x8, 16x16, 32x32: 4 depths" in text


def test_pictures(tmp_path):
    planes = np.zeros((3, 3, 8, 8))
    planes[0, 0], planes[1, 1], planes[1, 1, 0, 0] = 90, 60, 61
    found = inspect_data(Pictures(planes), "pictures")
    values = figures(found)["values"]
    assert values["mean"] == pytest.approx([30, (60 + 1 / 64) / 3, 0])
    assert values["standard_deviation"] == pytest.approx([np.sqrt(1800), planes[:, 1].std(), 0])  # 90, 0, 0
    assert values["empty"] == 2 and not found.sounds
    assert set(found.pictures) == {"pictures.png", "depths.png"}
    assert found.pictures["depths.png"].size[0] == 2 * found.pictures["depths.png"].size[1] + 2  # 4x4 next to 8x8
    found.write(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(found.files)


def test_of_numbers_the_spread_is_given():
    data = Pictures(np.zeros((5, 1, 4, 4)))
    data.label_space, data.labels = collect({"angle": [0, 10, 20, 40, 90]}, ["angle"])
    found = inspect_data(data, "pictures")
    assert figures(found)["labels"]["angle"] == {"percentiles": {"0": 0, "25": 10, "50": 20, "75": 40, "100": 90}}


def test_labels_are_counted():
    labels = {"pitch": ["60"] * 25 + ["61"], "kind": ["a", "b"] * 13}
    found = inspect_data(Pictures(np.zeros((26, 1, 4, 4)), **labels), "pictures")
    assert figures(found)["labels"]["pitch"] == {"counts": {"60": 25, "61": 1}, "rarest": "61", "most_frequent": "60"}
    assert figures(found)["labels"]["kind"]["counts"] == {"a": 13, "b": 13}
    assert any("pitch is 60 25 times but 61 only 1 time" in warning for warning in found.report.warnings)
    assert not any("kind" in warning for warning in found.report.warnings)


def test_histogram():
    assert level_counts([-3.0, -6.0, -6.1, -200.0])["below -60"] == 1
    assert list(level_counts([-3.0, -6.0, -6.1]).items()) == [("-12 to -6", 1), ("-6 to 0", 2)]
    assert level_counts([0.5]) == {"0 to 6": 1} and level_counts([]) == {}
    rows = histogram({"a": 100, "b": 1, "c": 0})
    assert [text.count("#") for _, text in rows] == [40, 1, 0] and histogram({"a": 0}) == []


def test_the_report_is_aligned_and_wrapped():
    report = Report("title", figures={"x": -np.inf, "y": [np.nan, 1.5]})
    report.add("heading", {"label": "word " * 60, "next": "text"})
    lines = report.text().splitlines()
    assert max(map(len, lines)) <= 110 and lines[0] == "title"
    assert {line.index(word) for line in lines for word in ("word", "text") if word in line} == {20}
    assert json.loads(report.json())["x"] is None and json.loads(report.json())["y"] == [None, 1.5]
