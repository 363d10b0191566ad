"""Spectral consistency: images that a wave has, and images that none has."""

from __future__ import annotations

import numpy as np
import pytest

from pggan_framework import UserError
from pggan_framework.audio import build_codec
from pggan_framework.audio.base import Codec
from pggan_framework.metrics.base import Clips
from pggan_framework.metrics.consistency import Consistency, magnitudes
from pggan_framework.metrics.decoding import decoded

SIZES = {"sample_rate": 8000, "n_fft": 128, "hop_length": 32, "frames": 32}


def fitted(name: str) -> tuple[Codec, np.ndarray, np.ndarray]:  # type: ignore[type-arg]
    """A codec, three decaying tones and their images."""
    codec = build_codec(name, **SIZES) if name != "raw" else build_codec("raw", samples=1024)
    time = np.arange(codec.samples) / 8000
    waves = [0.5 * np.sin(2 * np.pi * hertz * time) * np.exp(-20 * time) for hertz in (400, 700, 1100)]
    arrays = np.array(waves, dtype=np.float32)
    codec.fit(arrays)
    return codec, arrays, np.stack([codec.encode(wave) for wave in arrays])


@pytest.mark.parametrize("name", ["abslog", "mellog", "if", "ifmel", "complex", "reallog"])
def test_a_waves_picture_shows_its_magnitudes_and_an_impossible_one_is_worse(name: str) -> None:
    codec, _, pictures = fitted(name)
    shown = magnitudes(codec, pictures)
    assert shown is not None
    assert shown.max() == pytest.approx(codec.statistic("peak"), rel=0.5)
    impossible = np.random.default_rng(0).uniform(-1, 1, pictures.shape).astype(np.float32)
    good, bad = (decoded(codec, each, griffin_lim_iter=32) for each in (pictures, impossible))
    found = Consistency()(good, bad)["consistency"], Consistency()(good, good)["consistency"]
    assert found[1] < -15 < -12 < found[0]


def test_the_difference_is_that_of_the_magnitudes() -> None:
    """Waves at half level next to the images of the whole: half of each magnitude is missing, -6.02 dB."""
    codec, waves, pictures = fitted("abslog")
    clips = Clips(waves / 2, 8000, pictures, codec)
    assert Consistency().features(clips)[:, 0] == pytest.approx(np.full(3, -6.0206), abs=0.01)
    silence = np.full_like(pictures, -1)
    quiet = Clips(np.zeros_like(waves), 8000, silence, codec)
    assert Consistency()(quiet, quiet)["consistency"] == -200
    assert Consistency().features(Clips(waves, 8000, silence, codec))[0, 0] == 0


def test_small_pictures_are_enlarged() -> None:
    codec, _, pictures = fitted("abslog")
    small = pictures.reshape(3, 1, 32, 2, 16, 2).mean((3, 5))
    clips = decoded(codec, small)
    assert clips.pictures is not None
    assert clips.pictures.shape == pictures.shape
    assert clips.waves.shape == (3, codec.samples)


def test_what_shows_no_magnitudes_is_refused() -> None:
    codec, waves, pictures = fitted("raw")
    with pytest.raises(UserError, match="codec raw hold none"):
        Consistency()(Clips(waves, 8000, pictures, codec), Clips(waves, 8000, pictures, codec))
    with pytest.raises(UserError, match="the images that the sounds were decoded from"):
        Consistency()(Clips(waves, 8000), Clips(waves, 8000))


def test_it_compares_clips_as_they_were_decoded_and_not_as_they_are_finished() -> None:
    codec, waves, pictures = fitted("complex")
    clips = decoded(codec, pictures)
    assert clips.decoded is not None and not np.array_equal(clips.waves, clips.decoded)
    exact = Clips(clips.decoded, 8000, pictures, codec)
    np.testing.assert_allclose(Consistency().features(clips), Consistency().features(exact))
    np.testing.assert_allclose(Consistency().features(clips[1:]), Consistency().features(exact)[1:])
    assert np.abs(clips.waves[:, -1]).max() < np.abs(waves[:, -1]).max()
