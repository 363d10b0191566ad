"""Phase-gradient heap integration: gradients of a partial and a click, phases of both, the goal."""

from __future__ import annotations

import numpy as np
import pytest
from test_codecs import notes

from pggan_framework.audio import build_codec, spectral_convergence
from pggan_framework.audio.pghi import integrate_phases, phase_gradients
from pggan_framework.audio.stft import stft


@pytest.mark.parametrize("offset", [-0.45, -0.1, 0.0, 0.2, 0.5])
@pytest.mark.parametrize("hop", [64, 128])
def test_gradient_along_time_is_a_partials_frequency(hop, offset):
    bin_, n_fft = 40, 512
    wave = np.cos(2 * np.pi * (bin_ + offset) / n_fft * np.arange(32 * hop))
    magnitudes = np.abs(stft(wave, n_fft, hop)[:-1])
    per_frame, per_bin = phase_gradients(magnitudes, n_fft, hop)
    expected = 2 * np.pi * hop / n_fft * (bin_ + offset)
    np.testing.assert_allclose(per_frame[bin_, 12:20], expected, atol=0.01)
    assert np.abs(per_bin[bin_, 12:20]).max() < 0.01


@pytest.mark.parametrize("late", [-30, 0, 11, 60])
def test_gradient_along_frequency_is_a_clicks_place(late):
    n_fft, hop = 512, 128
    wave = np.zeros(32 * hop)
    wave[int(16.5 * hop) + late] = 1
    per_frame, per_bin = phase_gradients(np.abs(stft(wave, n_fft, hop)[:-1]), n_fft, hop)
    np.testing.assert_allclose(per_bin[20:200, 16], -2 * np.pi * late / n_fft, atol=1e-6)
    np.testing.assert_allclose(per_frame[20:200, 16], 2 * np.pi * hop / n_fft * np.arange(20, 200), atol=1e-3)


def test_phases_of_a_partial_turn_as_they_should():
    n_fft, hop = 512, 128
    spectrum = stft(np.cos(2 * np.pi * 30.3 / n_fft * np.arange(64 * hop)), n_fft, hop)[:-1]
    phases = integrate_phases(np.abs(spectrum), n_fft, hop)
    centred = np.angle(spectrum * (-1.0) ** np.arange(256)[:, None])
    difference = np.exp(1j * (phases - centred))[29:33, 8:-8]
    # All alike but for one common phase, which magnitudes do not tell.
    assert np.abs(difference.mean()) > 0.99


def test_quiet_points_are_random_by_seed():
    magnitudes = np.full((8, 6), 1e-9)
    magnitudes[4, 3] = 1
    one, two, three = (integrate_phases(magnitudes, 16, 4, seed) for seed in (1, 1, 2))
    assert one.tobytes() == two.tobytes() and one[4, 3] == three[4, 3] == 0
    assert np.all((one != three)[magnitudes < 1])
    assert np.all(np.isfinite(integrate_phases(np.zeros((4, 4)), 8, 4)))
    assert integrate_phases(np.ones((4, 1)), 8, 4).shape == (4, 1)


@pytest.mark.parametrize(("hop", "goal"), [(128, -30), (256, -26)])
def test_griffin_lim_from_there_reaches_its_goal(hop, goal):
    wave = notes()
    codec = build_codec("abslog", hop_length=hop, frames=65536 // hop).fit([wave])
    found = {
        start: spectral_convergence(wave, codec.decode(codec.encode(wave), griffin_lim_iter=32, phase_start=start))
        for start in ("random", "pghi")
    }
    assert found["pghi"] <= goal and found["pghi"] < found["random"] - 3


def test_phases_add_up_along_the_loudest_ways():
    n_fft, hop, shape = 16, 4, (6, 5)
    magnitudes = np.random.default_rng(3).uniform(0.1, 1, shape)
    slopes = phase_gradients(magnitudes, n_fft, hop)
    points = list(np.ndindex(shape))
    # The spanning tree by Kruskal, and the sums by walking it.
    edges = [(a, b, axis) for a in points for axis, b in ((0, (a[0], a[1] + 1)), (1, (a[0] + 1, a[1]))) if b in points]
    edges.sort(key=lambda e: (-min(magnitudes[e[0]], magnitudes[e[1]]), -max(magnitudes[e[0]], magnitudes[e[1]])))
    island, tree = {point: {point} for point in points}, []
    for a, b, axis in edges:
        if island[a] is not island[b]:
            island[a] |= island[b]
            for point in island[b]:
                island[point] = island[a]
            tree.append((a, b, axis))
    expected = {points[int(magnitudes.argmax())]: 0.0}
    while len(expected) < len(points):
        for a, b, axis in tree:
            step = (slopes[axis][a] + slopes[axis][b]) / 2
            if a in expected:
                expected.setdefault(b, expected[a] + step)
            elif b in expected:
                expected[a] = expected[b] - step
    found = integrate_phases(magnitudes, n_fft, hop)
    np.testing.assert_allclose(found, [[expected[i, j] for j in range(5)] for i in range(6)], atol=1e-9)
