"""Pitch errors of tones whose pitch is known."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from pggan_framework import UserError
from pggan_framework.metrics import pitch_errors, trackers
from pggan_framework.metrics.base import Clips
from pggan_framework.metrics.pitch import Pitch

RATE = 8000
MIDI = np.array([60.0, 64.0, 69.0, 55.0])
TRACKERS = ["autocorrelation", "pyin", *(["torchcrepe"] if find_spec("torchcrepe") and find_spec("torchaudio") else [])]


def notes(midi: np.ndarray, seconds: float = 0.5) -> np.ndarray:  # type: ignore[type-arg]
    """Up to six harmonics, those below Nyquist, under a decay, [N, T]."""
    time = np.arange(int(seconds * RATE)) / RATE
    hertz = 440 * 2 ** ((midi - 69) / 12)
    partials = [
        (k * hertz[:, None] < RATE / 2) * np.sin(2 * np.pi * k * hertz[:, None] * time + k) / k for k in range(1, 7)
    ]
    return (0.2 * np.sum(partials, axis=0) * np.exp(-2 * time)).astype(np.float32)


@pytest.mark.parametrize("tracker", TRACKERS)
def test_detuned_notes(tracker: str) -> None:
    detune = np.array([0.0, 30.0, -40.0, 100.0])
    waves = notes(MIDI + detune / 100)
    waves = np.concatenate([waves, np.zeros_like(waves[:1])])
    found = pitch_errors(waves, RATE, [*MIDI, 60], tracker)
    # CREPE decides between bins of 20 cents.
    assert found[:4] == pytest.approx(detune, abs=10 if tracker == "torchcrepe" else 6)
    assert np.isnan(found[4])


def test_a_single_label_and_one_near_the_upper_end() -> None:
    """The range looked in is narrow; at 3 kHz of 4 it is cut at Nyquist, where pYIN is no longer exact."""
    for midi, most in ((60.0, 10), (84.0, 10), (102.0, 60)):
        assert np.abs(pitch_errors(notes(np.array([midi])), RATE, [midi])) < most


def test_noise_has_no_pitch_and_shares_are_of_all_clips() -> None:
    noise = 0.1 * np.random.default_rng(0).standard_normal((1, 4000)).astype(np.float32)
    waves = np.concatenate([notes(MIDI[:2]), notes(MIDI[2:3] + 1), noise])
    clips = Clips(waves, RATE, midi=MIDI)
    metric = Pitch("autocorrelation")
    found = metric(clips, clips)
    assert found["pitch.voiced"] == 0.75
    assert found["pitch.in_tune"] == 0.5
    assert found["pitch.cents"] < 2
    silent = Clips(np.zeros((2, 4000), np.float32), RATE, midi=MIDI[:2])
    nothing = metric(silent, silent)
    assert nothing["pitch.voiced"] == nothing["pitch.in_tune"] == 0
    assert np.isnan(nothing["pitch.cents"])


def test_what_cannot_be_measured_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match=r"'pyn' \(did you mean 'pyin'\?\); allowed: pyin, torchcrepe, autocorrelation"):
        pitch_errors(notes(MIDI), RATE, MIDI, "pyn")
    with pytest.raises(ValueError, match="do not fit 8000 Hz"):
        pitch_errors(notes(MIDI), RATE, MIDI + 60)
    with pytest.raises(UserError, match="pitch needs sounds labelled with their pitch"):
        Pitch()(Clips(notes(MIDI), RATE), Clips(notes(MIDI), RATE))
    with pytest.raises(UserError, match=r"pitch\.count 0 is not allowed"):
        Pitch(count=0)
    monkeypatch.setitem(sys.modules, "torchcrepe", None)
    with pytest.raises(UserError, match=r"torchcrepe is not installed; pip install torchcrepe"):
        pitch_errors(notes(MIDI), RATE, MIDI, "torchcrepe")


def test_embeddings_say_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    from pggan_framework.metrics.embeddings import EmbeddingFrechet, network

    network.cache_clear()
    monkeypatch.setitem(sys.modules, "aisfx", None)
    monkeypatch.setitem(sys.modules, "aisfx.inference", None)
    with pytest.raises(UserError, match="pip install --no-deps aisfx"):
        EmbeddingFrechet().features(Clips(notes(MIDI), RATE))


@pytest.mark.skipif(sys.platform == "win32", reason="no locks of this kind")
def test_no_other_process_compiles_meanwhile(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """While pYIN is used for the first time its lock is held, and never again."""
    import fcntl

    held = []

    def track(*args: object) -> float:
        (path,) = tmp_path.iterdir()
        with path.open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                held.append(True)
            else:
                held.append(False)
        return 440.0

    monkeypatch.setattr(trackers, "_compiled", [])
    monkeypatch.setattr(trackers.tempfile, "gettempdir", lambda: str(tmp_path))
    monkeypatch.setattr(trackers, "_pyin", track)
    for _ in range(3):
        assert trackers.pyin(np.zeros(9, np.float32), 8000, 100, 200) == 440
    assert held == [True, False, False]
    # Nowhere to put the lock: it continues without.
    monkeypatch.setattr(trackers, "_compiled", [])
    monkeypatch.setattr(trackers.tempfile, "gettempdir", lambda: str(tmp_path / "nowhere"))
    assert trackers.pyin(np.zeros(9, np.float32), 8000, 100, 200) == 440
    assert held[-1] is False
