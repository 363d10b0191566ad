"""Codecs: there and back, level, silence, state, limits."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pggan_framework.audio import build_codec, codec_from_state, spectral_convergence
from pggan_framework.errors import UserError

RATE = 16000


def notes(samples: int = 65536) -> np.ndarray:
    """Four struck notes of eight decaying harmonics each, half a second to a second apart."""
    time = np.arange(samples) / RATE
    wave = np.zeros(samples)
    for start, pitch, level in ((0.1, 220.0, 0.3), (0.9, 330.0, 0.2), (1.7, 277.2, 0.25), (2.9, 440.0, 0.1)):
        after = np.maximum(time - start, 0)
        for k in range(1, 9):
            wave += (
                level / k * np.exp(-after * (1 + k)) * (1 - np.exp(-after * 200)) * np.sin(6.2832 * pitch * k * after)
            )
    return wave.astype(np.float32)


def share_above(wave: np.ndarray, hertz: float) -> float:
    power = np.abs(np.fft.rfft(wave.astype(np.float64))) ** 2
    return float(power[np.fft.rfftfreq(len(wave), 1 / RATE) >= hertz].sum() / power.sum())


def tone_level(wave: np.ndarray, hertz: float) -> float:
    """dB of the power within 40 Hz of `hertz`, away from the ends."""
    inner = wave[4096:-4096].astype(np.float64)
    power = np.abs(np.fft.rfft(inner * np.hanning(len(inner)))) ** 2
    frequency = np.fft.rfftfreq(len(inner), 1 / RATE)
    return float(10 * np.log10(power[np.abs(frequency - hertz) < 40].sum()))


def test_default_sizes():
    codec = build_codec("abslog")
    assert codec.shape == (1, 512, 512) and codec.samples == 504 * 128 and codec.sample_rate == 16000
    raw = build_codec("raw")
    assert raw.shape == (1, 256, 256) and raw.samples == 65536
    assert build_codec("raw", height=1).shape == (1, 1, 65536)
    assert build_codec("raw", samples=131072).shape == (1, 256, 512)


@settings(max_examples=25, deadline=None)
@given(
    st.sampled_from([16, 64, 256]),
    st.integers(1, 128),
    st.integers(1, 12),
    st.integers(1, 2),
    st.integers(1, 3),
    st.integers(0, 5),
)
def test_samples_and_frames_agree(n_fft, hop, frames, channels, number, margin):
    hop = min(hop, n_fft // 2)
    codec = build_codec(
        "abslog", n_fft=n_fft, hop_length=hop, frames=frames, channels=channels, margin=min(margin, (frames - 1) // 2)
    )
    samples = (frames - 2 * codec.margin) * hop
    assert codec.samples == samples
    wave = np.random.default_rng(0).normal(size=(channels, samples)).astype(np.float32)
    array = codec.fit([wave]).encode(wave)
    assert array.shape == codec.shape == (channels, n_fft // 2, frames)
    assert array.dtype == np.float32 and array.min() >= -1 and array.max() == 1
    again = codec.decode(np.stack([array] * number), griffin_lim_iter=1)
    assert again.dtype == np.float32
    assert again.shape == ((number, samples) if channels == 1 else (number, channels, samples))
    assert codec.decode(array, griffin_lim_iter=1).shape == again.shape[1:]


def test_a_tone_has_the_value_worked_out_by_hand():
    # A cosine in the middle of bin 8 with amplitude 1 has magnitude sum(hann) / 2 = n_fft / 4 there.
    wave = np.cos(2 * np.pi * 8 * np.arange(64 * 64) / 64).astype(np.float32)
    codec = build_codec("abslog", n_fft=64, hop_length=16, frames=256).fit([wave])
    assert codec.statistics["peak"] == pytest.approx(16)
    tenth = codec.encode(0.1 * wave)[0, 8, 128]
    assert tenth == pytest.approx(2 * np.log1p(1000) / np.log1p(10000) - 1, abs=1e-5)


@pytest.mark.parametrize("hop", [128, 256])
@pytest.mark.parametrize(("steps", "goal"), [(32, -20), (100, -28)])
def test_round_trip_reaches_its_goal(hop, steps, goal):
    wave = notes()
    codec = build_codec("abslog", hop_length=hop, frames=65536 // hop).fit([wave])
    array = codec.encode(wave).astype(np.float16)
    assert spectral_convergence(wave, codec.decode(array.astype(np.float32), griffin_lim_iter=steps)) <= goal


def test_half_overlap_on_small_windows_works():
    time = np.arange(1024) / 8000
    wave = sum(np.exp(-12 * k * time) * np.sin(2 * np.pi * 800 * k * time) / k for k in (1, 2, 3)).astype("f")
    codec = build_codec("abslog", sample_rate=8000, n_fft=64, hop_length=32).fit([wave])
    assert spectral_convergence(wave, codec.decode(codec.encode(wave)), 64, 16) < -15


def test_level_is_kept():
    time = np.arange(65536) / RATE
    wave = (0.5 * np.sin(6.283185 * 1000 * time) + 0.5 * 10 ** (-26 / 20) * np.sin(6.283185 * 3000 * time)).astype("f")
    codec = build_codec("abslog").fit([wave])
    back = codec.decode(codec.encode(wave), griffin_lim_iter=32)
    assert tone_level(back, 1000) - tone_level(back, 3000) == pytest.approx(26, abs=0.5)
    assert tone_level(back, 1000) == pytest.approx(tone_level(wave, 1000), abs=0.5)
    quiet = codec.decode(codec.encode(wave * np.float32(0.1)), griffin_lim_iter=32)
    assert tone_level(back, 1000) - tone_level(quiet, 1000) == pytest.approx(20, abs=0.5)


@pytest.mark.parametrize("array", ["notes", "full", "noise"])
def test_the_nyquist_frequency_is_silent(array):
    codec = build_codec("abslog", frames=64).fit([notes()])
    arrays = {
        "notes": codec.encode(notes())[:, :, 200:264],
        "full": np.full(codec.shape, 0.5, "f"),
        "noise": np.random.default_rng(0).uniform(-1, 1, codec.shape).astype("f"),
    }
    wave = codec.decode(arrays[array], griffin_lim_iter=16)
    spectrum = np.abs(np.fft.rfft(wave.astype(np.float64))) ** 2
    assert spectrum[-1] / spectrum.sum() < 1e-4
    if array == "notes":
        assert share_above(wave, 7950) < 1e-4


def test_same_seed_same_bytes_and_a_batch_changes_nothing_much():
    wave = notes()
    codec = build_codec("abslog").fit([wave])
    array = codec.encode(wave)[:, :, :100]
    first, again, other = (codec.decode(array, seed=seed, griffin_lim_iter=4) for seed in (1, 1, 2))
    assert first.tobytes() == again.tobytes()
    assert first.tobytes() != other.tobytes()
    batch = codec.decode(np.stack([-np.ones_like(array), array]), seed=1, griffin_lim_iter=4)
    np.testing.assert_allclose(batch[1], first, atol=1e-4)


@pytest.mark.parametrize("name", ["abslog", "raw"])
def test_silence_stays_silence(name):
    for data in (notes(), np.zeros(65536, "f")):
        codec = build_codec(name).fit([data])
        back = codec.decode(codec.encode(np.zeros(65536, "f")), griffin_lim_iter=3)
        assert back.shape == (65536,) and not back.any()


@pytest.mark.parametrize("name", ["abslog", "raw"])
def test_wild_values_give_finite_sound(name):
    codec = build_codec(name).fit([notes()])
    array = np.full(codec.shape, 50.0, "f")
    array[0, :4, :4] = [[np.nan, np.inf, -np.inf, -9]] * 4
    assert np.all(np.isfinite(codec.decode(array, griffin_lim_iter=2)))


def test_raw_is_exact():
    wave = notes()
    codec = build_codec("raw").fit([wave, 0.5 * wave])
    error = codec.decode(codec.encode(wave)).astype(np.float64) - wave
    assert 10 * np.log10(np.sum(wave.astype(np.float64) ** 2) / np.sum(error**2)) >= 80
    assert codec.statistics["peak"] == pytest.approx(np.abs(wave).max())
    stereo = np.stack([wave, -wave])
    two = build_codec("raw", channels=2, height=1).fit([stereo])
    assert two.encode(stereo).shape == (2, 1, 65536)
    np.testing.assert_allclose(two.decode(two.encode(stereo)), stereo, atol=1e-7)


def test_clipped_share_counts_what_is_outside_the_fit():
    wave = np.array([0.1, -0.2, 0.3, -0.4], "f")
    raw = build_codec("raw", samples=4).fit([wave])
    assert raw.clipped_share(wave) == 0
    assert raw.clipped_share(2 * wave) == 0.5
    abslog = build_codec("abslog").fit([notes()])
    assert abslog.clipped_share(notes()) == 0
    assert 0 < abslog.clipped_share(2 * notes()) < 0.01
    assert abslog.encode(2 * notes()).max() == 1


@pytest.mark.parametrize(("name", "sizes"), [("abslog", {"n_fft": 64, "hop_length": 16}), ("raw", {"samples": 512})])
def test_state_survives_json(name, sizes):
    wave = notes()[8000:8512]
    codec = build_codec(name, sample_rate=8000, **sizes).fit([wave])
    again = codec_from_state(json.loads(json.dumps(codec.state_dict())))
    assert again.state_dict() == codec.state_dict() and again.sample_rate == 8000
    assert again.encode(wave).tobytes() == codec.encode(wave).tobytes()


@pytest.mark.parametrize(
    ("name", "sizes", "said"),
    [
        ("abslok", {}, r"codec 'abslok' \(did you mean 'abslog'"),
        ("abslog", {"n_ftt": 4}, r"'n_ftt' \(did you mean 'n_fft'"),
        ("abslog", {"n_fft": 1000}, "n_fft 1000 is not a power of two"),
        ("abslog", {"hop_length": 513}, "hop_length 513 .*1 to 512"),
        ("abslog", {"frames": 0}, "frames 0"),
        ("abslog", {"sample_rate": 0}, "sample rate 0"),
        ("raw", {"height": 3}, "height 3 does not divide 65536"),
        ("raw", {"samples": 0}, "samples 0"),
    ],
)
def test_mistakes_are_named(name, sizes, said):
    with pytest.raises(UserError, match=said):
        build_codec(name, **sizes)


def test_a_broken_state_is_named():
    with pytest.raises(UserError, match="no parameters, statistics"):
        codec_from_state({"name": "abslog"})
    codec = build_codec("abslog")
    codec.fit([notes()])
    for changed in ({"start_db": float("nan")}, {"start_db": "low"}, {"statistics": {"low": float("inf")}}):
        with pytest.raises(UserError, match="not finite numbers"):
            codec_from_state({**codec.state_dict(), **changed})


@pytest.mark.parametrize("name", ["abslog", "raw"])
def test_misuse_is_refused(name):
    codec = build_codec(name)
    with pytest.raises(ValueError, match="fit"):
        codec.encode(notes())
    with pytest.raises(ValueError, match="no waves"):
        codec.fit([])
    with pytest.raises(ValueError, match="finite"):
        codec.fit([np.array([np.nan] * 8, "f")])
    with pytest.raises(ValueError, match="shape"):
        codec.fit([np.zeros((2, 100), "f")])
    codec.fit([notes()])
    with pytest.raises(ValueError, match="shape"):
        codec.decode(np.zeros((2, 512, 4), "f"))
