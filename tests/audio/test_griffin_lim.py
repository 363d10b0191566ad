"""Fast Griffin-Lim: steps against a float64 reference on spectra, and the choice of frames."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pggan_framework.audio.griffin_lim import TorchStft, griffin_lim
from pggan_framework.audio.measure import spectral_convergence
from pggan_framework.audio.stft import stft


@pytest.mark.parametrize(("n_fft", "hop", "frames"), [(64, 8, 16), (64, 8, 17), (64, 7, 12), (64, 8, 1)])
def test_every_second_frame_is_enough_to_invert(n_fft, hop, frames):
    wave = np.random.default_rng(0).normal(size=(2, frames * hop))
    transform = TorchStft(n_fft, hop, frames, torch.device("cpu"), every=2)
    spectra = transform.forward(torch.from_numpy(wave).float())
    np.testing.assert_allclose(spectra.numpy().swapaxes(1, 2), stft(wave, n_fft, hop)[..., ::2], atol=1e-4)
    np.testing.assert_allclose(transform.inverse(spectra).numpy(), wave, atol=1e-4)


def reference(
    magnitudes: np.ndarray,
    phases: np.ndarray,
    n_fft: int,
    hop: int,
    every: list[int],
    exploring: int = 0,
    powers: tuple[float, ...] = (),
) -> np.ndarray:
    """Nenov et al. 2023, algorithm 1 in float64, on spectra [bins, frames]; the inverse by a dense least squares.

    Before step `exploring` beta is 0 and gamma 1: Perraudin et al. 2013. The least squares count each frame by its
    energy to the power -`powers`, one a step.
    """
    samples = magnitudes.shape[1] * hop

    def inverse(spectra: np.ndarray, step: int, power: float) -> np.ndarray:
        columns = [stft(unit, n_fft, hop)[:, ::step].ravel() for unit in np.eye(samples)]
        # Every bin but the first and last stands for two of the full transform.
        weight = np.full(spectra.shape, np.sqrt(2))
        weight[[0, -1]] = 1
        weight *= (magnitudes[:, ::step] ** 2).sum(axis=0) ** (-power / 2)
        system, wanted = np.stack(columns, 1) * weight.ravel()[:, None], (spectra * weight).ravel()
        parts = np.concatenate([system.real, system.imag]), np.concatenate([wanted.real, wanted.imag])
        return np.linalg.lstsq(*parts, rcond=None)[0]

    first, powers = every[0], powers or (0,) * len(every)
    wave = inverse((magnitudes * np.exp(1j * phases))[:, ::first], first, powers[0])
    moved = outer = previous = stft(wave, n_fft, hop)
    for number, step in enumerate(every):
        if number:
            beta, gamma = (0, 1) if number < exploring else (1.1, 1.25)
            current = (1 - gamma) * outer + gamma * stft(wave, n_fft, hop)
            moved = current + 0.99 * (current - previous)
            outer = current + beta * (current - previous)
            previous = current
        wave = inverse((magnitudes * np.exp(1j * np.angle(moved)))[:, ::step], step, powers[number])
    return wave


def test_steps_from_given_phases_are_those_of_the_paper_by_weighted_frames():
    n_fft, hop = 16, 4
    random = np.random.default_rng(1)
    magnitudes, phases = random.uniform(0.5, 1, (9, 8)), random.uniform(0, 6, (9, 8))
    magnitudes *= random.uniform(0.1, 1, 8)
    phases[[0, -1]] = 0
    given, start = (torch.from_numpy(plane).float()[None] for plane in (magnitudes, phases))
    found = griffin_lim(given, n_fft, hop, 4, seed=0, phases=start)[0].numpy()
    want = reference(magnitudes, phases, n_fft, hop, [1] * 4, powers=(1, 1, 1, 0.75))
    np.testing.assert_allclose(found, want, atol=1e-3)


def test_known_silence_at_both_ends_is_kept():
    wave = np.zeros((1, 256))
    wave[0, 32:-32] = np.random.default_rng(5).normal(size=192)
    magnitudes = torch.from_numpy(np.abs(stft(wave, 32, 8))).float()
    for phases in (None, torch.zeros_like(magnitudes)):
        found = griffin_lim(magnitudes, 32, 8, 6, seed=0, phases=phases, silent=32)[0].numpy()
        assert not found[:32].any() and not found[-32:].any() and np.abs(found[32:-32]).min() > 0


def test_steps_from_random_phases_begin_on_every_second_frame():
    n_fft, hop = 16, 2
    magnitudes = np.random.default_rng(2).uniform(0.5, 1, (9, 12))
    phases = torch.rand((12, 9), generator=torch.Generator().manual_seed(7)).numpy().T * 2 * np.pi
    found = griffin_lim(torch.from_numpy(magnitudes).float()[None], n_fft, hop, 4, seed=7)[0].numpy()
    want = reference(magnitudes, phases, n_fft, hop, [2, 2, 1, 1])
    np.testing.assert_allclose(found, want, atol=2e-3)


def test_long_searches_explore_before_they_settle(monkeypatch):
    monkeypatch.setattr("pggan_framework.audio.griffin_lim.SETTLING_STEPS", 3)
    n_fft, hop = 16, 4
    magnitudes = np.random.default_rng(2).uniform(0.5, 1, (9, 12))
    phases = torch.rand((12, 9), generator=torch.Generator().manual_seed(7)).numpy().T * 2 * np.pi
    found = griffin_lim(torch.from_numpy(magnitudes).float()[None], n_fft, hop, 6, seed=7)[0].numpy()
    np.testing.assert_allclose(found, reference(magnitudes, phases, n_fft, hop, [1] * 6, exploring=3), atol=5e-3)


def test_more_steps_do_not_lose_a_drum():
    random = np.random.default_rng(4)
    time = np.arange(16384) / 8000
    wave = np.zeros(16384)
    for beat in np.arange(0, 2, 0.25):
        after = np.maximum(time - beat, 0)
        struck = (time >= beat) * np.exp(-after * 12)
        wave += struck * np.sin(2 * np.pi * 60 * after + 4 * np.exp(-after * 30))
        wave += 0.3 * (time >= beat) * np.exp(-after * random.uniform(15, 60)) * random.normal(size=16384)
    magnitudes = torch.from_numpy(np.abs(stft(wave, 256, 64))).float()[None]
    few, many = (
        np.mean(
            [spectral_convergence(wave, griffin_lim(magnitudes, 256, 64, n, s)[0].numpy(), 256, 64) for s in (0, 1)]
        )
        for n in (50, 200)
    )
    assert many < few - 1
