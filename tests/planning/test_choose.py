"""The choice of a configuration: pure, so that every input is written down here."""

from __future__ import annotations

import pytest
import yaml

from pggan_framework.config import resolve_overrides
from pggan_framework.planning.choose import affordable_side, choose
from pggan_framework.planning.speed import Speed
from pggan_framework.planning.survey import ImageSurvey, SoundSurvey
from pggan_framework.planning.text import as_yaml

LAPTOP = Speed({32: 0.008, 64: 0.015})
WORDS = SoundSurvey(seconds=[0.7] * 1000, rate=22050, bandwidth=9000.0)


def sounds(found=WORDS, minutes=10.0, **given):
    given = {name.replace("__", "."): value for name, value in given.items()}
    return choose("words", found, LAPTOP, minutes, given)


def test_the_side_grows_with_the_budget_and_the_speed():
    # 0.6 * (600 - 15) s / 0.015 s = 23,400 images of 64 px, more than 12,800; 128 px would need 36,000.
    assert affordable_side(LAPTOP, 10) == 64
    # 0.6 * 105 / 0.008 = 7,900 images of 32 px, more than 4,500; 4,200 of 64 px are too few.
    assert affordable_side(LAPTOP, 2) == 32
    assert affordable_side(LAPTOP, 60) >= 128
    assert affordable_side(Speed({32: 0.0001, 64: 0.0002}), 10) == 256
    assert affordable_side(LAPTOP, 10, largest=32) == 32
    assert affordable_side(Speed({32: 1.0, 64: 2.0}), 1) == 16


@pytest.mark.parametrize(("minutes", "side", "steps"), [(0.5, 16, 100), (2, 32, 200), (10, 64, 400), (60, 128, 400)])
def test_a_planned_size_is_entered_though_the_machine_becomes_slower(minutes, side, steps):
    config = choose("pets", ImageSurvey([500] * 5000), LAPTOP, minutes, {}).config
    assert config["DefaultImageFolderDataset"]["size"] == side
    assert config["WallClockSchedule"]["min_steps"] == steps
    batch = config["DepthManager"]["minibatch_overrides"].get(side.bit_length() - 3, config["minibatch_size"])
    # The plan expects at least 25 * side ** 1.5 images at this size, which are enough steps.
    assert 25 * side**1.5 / batch >= steps


def test_speed_of_other_sides_follows_the_measured_ones():
    speed = Speed({32: 0.01, 64: 0.02})
    assert speed.at(64) == 0.02
    assert speed.at(128) == pytest.approx(0.04)
    assert speed.at(16) == pytest.approx(0.005)


def test_clips_last_as_long_as_most_recordings_up_to_a_second():
    dataset = sounds().config["SoundImageDataset"]
    columns = dataset["frames"] - 2 * dataset["margin"]
    assert 0.7 <= columns * dataset["hop_length"] / dataset["frequency"] < 0.72
    assert (dataset["frequency"], dataset["bins"], dataset["frames"]) == (16000, 64, 64)
    longer = sounds(SoundSurvey([4.0] * 300, 44100, 15000.0)).config["SoundImageDataset"]
    # 60 columns, half a window apart: 0.96 s.
    assert (longer["frames"], longer["margin"], longer["n_fft"], longer["hop_length"]) == (64, 2, 512, 256)


def test_networks_of_sound_judge_the_statistics_of_bands():
    assert sounds().config["Discriminator"]["row_statistics"] is True
    images = choose("pets", ImageSurvey([500] * 5000), LAPTOP, 10, {})
    assert "row_statistics" not in images.config["Discriminator"]


def test_channels_and_padding_are_said():
    stereo = sounds(SoundSurvey([0.7] * 600, 44100, 15000.0, channels=2))
    assert "2 channels (mixed to one; --SoundImageDataset.channels both keeps two)" in stereo.lines[0]
    both = sounds(SoundSurvey([0.7] * 600, 44100, 15000.0, channels=2), SoundImageDataset__channels="both")
    assert "mixed" not in both.lines[0]
    # Nine of ten last 0.1 s, and a clip of about 1 s holds the longest: 1 - (0.9 * 0.1 + 0.1) / 1 = 81 % padding.
    uneven = sounds(SoundSurvey([0.1] * 540 + [1.0] * 66, 44100, 15000.0))
    assert any(line.startswith("note: the clips are 8") and "padding" in line for line in uneven.lines)
    assert not any("padding" in line for line in sounds().lines)


def test_narrow_recordings_stay_narrow():
    assert sounds(SoundSurvey([1.0] * 300, 44100, 3400.0)).config["SoundImageDataset"]["frequency"] == 8000
    assert sounds(SoundSurvey([1.0] * 300, 12000, 6000.0)).config["SoundImageDataset"]["frequency"] == 12000


def test_many_files_are_events_and_few_long_ones_are_cut():
    assert sounds().config["SoundImageDataset"]["too_long"] == "first"
    hours = sounds(SoundSurvey([3600.0] * 3, 44100, 15000.0)).config["SoundImageDataset"]
    assert (hours["too_long"], hours["overlap"]) == ("slices", 0.0)
    single = sounds(SoundSurvey([20.0], 44100, 15000.0))
    assert single.config["SoundImageDataset"]["too_long"] == "slices"
    assert single.config["SoundImageDataset"]["overlap"] == 0.75
    assert any("few" in line and "augmented" in line for line in single.lines)


def test_clips_that_overlap_count_as_those_side_by_side():
    notes = sounds(SoundSurvey([4.0] * 40, 16000, 7500.0))
    # Each second holds one clip, and four that overlap by 75 %: hundreds of clips, but 160 seconds of sound.
    (line,) = [line for line in notes.lines if line.startswith("few")]
    assert 100 <= int(line.split()[1]) <= 170 and "clips without overlap" in line
    assert notes.config["augmentations"] == ["SpectrogramAugment"]
    assert sounds(SoundSurvey([4.0] * 180, 16000, 7500.0)).config["augmentations"] == []


def test_folders_become_labels_where_each_has_enough_files():
    even = SoundSurvey([0.7] * 60, 22050, 9000.0, folders={"a": 30, "b": 30})
    assert sounds(even).config["SoundImageDataset"]["labels"] == ["folder"]
    assert sounds(even).config["AuxiliaryClassifier"] == {"weight": 1.0}
    kept = sounds(even, SoundImageDataset__labels=None)
    assert "labels" not in kept.config["SoundImageDataset"]
    assert not any(line.startswith("labels") for line in kept.lines)
    uneven = SoundSurvey([0.7] * 60, 22050, 9000.0, folders={"a": 56, "b": 4})
    assert "labels" not in sounds(uneven).config["SoundImageDataset"]
    assert any(line.startswith("labels: none") for line in sounds(uneven).lines)


def test_what_is_given_is_kept_and_the_rest_chosen_around_it():
    dataset = sounds(SoundImageDataset__frequency=22050, SoundImageDataset__frames=128).config["SoundImageDataset"]
    assert (dataset["frequency"], dataset["frames"], dataset["n_fft"]) == (22050, 128, 512)
    # 0.7 s over 128 - 4 columns are steps of 124.5 samples.
    assert (dataset["margin"], dataset["hop_length"]) == (2, 126)
    other = sounds(SoundImageDataset__img_mode="abslog").config["SoundImageDataset"]
    assert (other["img_mode"], other["n_fft"], other["hop_length"]) == ("abslog", 128, 32)
    assert "bins" not in other


def test_batches_are_halved_only_at_depths_that_there_are():
    assert sounds().config["DepthManager"]["minibatch_overrides"] == {4: 8}
    assert sounds(SoundImageDataset__bins=16).config["DepthManager"]["minibatch_overrides"] == {}
    assert sounds(minutes=2).config["DepthManager"]["minibatch_overrides"] == {}
    wide = choose("pets", ImageSurvey([500] * 5000), LAPTOP, 10, {"DefaultImageFolderDataset.size": [32, 64]})
    assert wide.config["DepthManager"]["minibatch_overrides"] == {}


def test_images_are_not_enlarged():
    small = choose("pets", ImageSurvey([28] * 5000), LAPTOP, 60, {})
    assert small.config["DefaultImageFolderDataset"]["size"] == 16
    large = choose("pets", ImageSurvey([500] * 5000), LAPTOP, 10, {})
    assert large.config["DefaultImageFolderDataset"]["size"] == 64
    assert large.config["augmentations"] == []
    few = choose("pets", ImageSurvey([500] * 12, unreadable=2, sounds=3), LAPTOP, 10, {})
    assert few.config["augmentations"] == ["DiffAugment"]
    assert "2 unreadable, 3 recordings ignored" in few.lines[0]
    assert any("copies" in line for line in few.lines)


def test_only_what_the_data_hold_is_suggested():
    """A word of 0.7 s has no longer clip, a recording of 16 kHz no higher rate, an image of 64 px no larger size."""
    last = [sounds().lines[-1], sounds(SoundSurvey([20.0] * 99, 16000, 8000.0)).lines[-1]]
    assert last[0] == "a higher rate: --SoundImageDataset.frequency 22050; needs more --minutes"
    assert last[1] == "longer clips: --SoundImageDataset.frames 128; needs more --minutes"
    both = sounds(SoundSurvey([20.0] * 99, 44100, 15000.0)).lines[-1]
    assert both.endswith("frames 128; a higher rate: --SoundImageDataset.frequency 22050; both need more --minutes")
    assert not any("more --minutes" in line for line in sounds(SoundSurvey([0.5] * 600, 44100, 6000.0)).lines)
    assert not any("larger images" in line for line in choose("a", ImageSurvey([64] * 500), LAPTOP, 10, {}).lines)
    larger = choose("a", ImageSurvey([300] * 500), LAPTOP, 10, {}).lines[-1]
    assert larger == "larger images: --DefaultImageFolderDataset.size 128; needs more --minutes"
    own = choose("a", ImageSurvey([300] * 500), LAPTOP, 10, {"DefaultImageFolderDataset.size": 128}).lines
    assert own[-1] == "larger images: --DefaultImageFolderDataset.size 256; needs more --minutes"


@pytest.mark.parametrize("minutes", [2, 10, 60])
def test_the_suggested_columns_give_clips_twice_as_long(minutes):
    """Half the columns give half as much; words, which fit the clip, get a finer resolution from more columns."""

    def clip(found, **given):
        dataset = sounds(found, minutes, **given).config["SoundImageDataset"]
        columns = dataset["frames"] - 2 * dataset["margin"]
        return columns * dataset["hop_length"] / dataset["frequency"], dataset["frames"]

    long = SoundSurvey([4.0] * 500, 44100, 15000.0)
    planned, columns = clip(long)
    assert clip(long, SoundImageDataset__frames=2 * columns)[0] >= 1.9 * planned
    assert 0.4 * planned <= clip(long, SoundImageDataset__frames=columns // 2)[0] <= 0.55 * planned
    words = SoundSurvey([0.4] * 500, 44100, 15000.0)
    finest = (2 * columns - 4) * 64 / 16000  # steps of an eighth of the window, 512 samples, at least
    assert clip(words, SoundImageDataset__frames=2 * columns)[0] == pytest.approx(max(0.4, finest), abs=0.02)


@pytest.mark.parametrize("minutes", [0.5, 2, 10, 60, 600])
@pytest.mark.parametrize("found", [WORDS, SoundSurvey([20.0], 8000, 4000.0), ImageSurvey([64] * 12, {"a": 6, "b": 6})])
def test_every_choice_is_a_config_of_at_most_ten_lines(found, minutes):
    choice = choose("data", found, LAPTOP, minutes, {})
    assert len(choice.lines) <= 10
    config = resolve_overrides(None, choice.config)
    assert config.general.minutes == minutes
    assert config.general.schedule == "WallClockSchedule"
    text = as_yaml(choice, "pggan train --config data.yaml")
    assert yaml.safe_load(text) == choice.config
    assert text.startswith("# pggan train --config data.yaml\n# found: ")
