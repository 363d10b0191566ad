"""`reallog`: the mirrored inverse by hand, and what overlapping frames give back."""

from __future__ import annotations

import numpy as np
from test_codecs import notes

from pggan_framework.audio import build_codec, spectral_convergence


def test_the_picture_is_symmetric_and_holds_the_real_part():
    wave = notes()[8192:24576]
    real = build_codec("reallog", n_fft=256, hop_length=64, frames=256).fit([wave])
    both = build_codec("complex", n_fft=256, hop_length=64, frames=256).fit([wave])
    both.statistics = dict(real.statistics)
    np.testing.assert_array_equal(real.encode(wave), both.encode(wave)[:1])
    np.testing.assert_allclose(real.encode(-wave), -real.encode(wave), atol=1e-6)


def test_without_steps_frames_come_back_mirrored():
    # A click at sample 70 of one frame centred on 64 comes back at 70 and 58, of equal height.
    wave = np.zeros(128, "f")
    wave[70] = 1
    codec = build_codec("reallog", n_fft=256, hop_length=128, frames=1).fit([wave])
    back = codec.decode(codec.encode(wave), griffin_lim_iter=0)
    assert sorted(np.argsort(-np.abs(back))[:2].tolist()) == [58, 70]


def test_overlap_gives_back_what_one_real_part_lacks():
    wave = notes()
    codec = build_codec("reallog").fit([wave])
    array = codec.encode(wave).astype(np.float16).astype("f")
    plain, some, many = (spectral_convergence(wave, codec.decode(array, griffin_lim_iter=n)) for n in (0, 32, 100))
    assert -13 < plain < -5
    assert many < some < -18 and many < -24


def test_tones_that_hide_from_real_parts_are_weakened():
    # Every frame's centre is a zero of this sine, as frames are half a period apart: no real part has it.
    time = np.arange(8192) - 32
    kept, hidden = (np.float32(0.5) * f(2 * np.pi * time / 16).astype("f") for f in (np.cos, np.sin))
    codec = build_codec("reallog", n_fft=256, hop_length=64, frames=128).fit([kept])
    assert np.abs(codec.encode(hidden)[:, :, 8:-8]).max() < 1e-6
    shares = []
    for wave in (kept, hidden):
        inner = codec.decode(codec.encode(wave))[2048:-2048]
        shares.append(np.linalg.norm(inner) / np.linalg.norm(wave[2048:-2048]))
    assert abs(shares[0] - 1) < 0.05 and shares[1] < 0.8


def test_noise_is_not_blown_up():
    wave = notes()
    codec = build_codec("reallog").fit([wave])
    array = np.random.default_rng(0).uniform(-1, 1, codec.shape).astype("f")
    plain, searched = (np.linalg.norm(codec.decode(array, griffin_lim_iter=n)) for n in (0, 100))
    assert searched < 6 * plain
