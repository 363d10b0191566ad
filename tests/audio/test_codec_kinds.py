"""What every codec owes: shapes, silence, level, Nyquist, state, seeds, limits."""

from __future__ import annotations

import json

import numpy as np
import pytest

from pggan_framework.audio import build_codec, codec_from_state
from pggan_framework.errors import UserError

SMALL = {"n_fft": 256, "hop_length": 64, "frames": 32, "margin": 0, "sample_rate": 16000}
NAMES = ("abslog", "mellog", "if", "ifmel", "complex", "reallog")


def tone(hertz: float = 1010.0, level: float = 0.5, samples: int = 2048) -> np.ndarray:
    return (level * np.sin(2 * np.pi * hertz * np.arange(samples) / 16000)).astype(np.float32)


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("if", (2, 1024, 128)),
        ("ifmel", (2, 1024, 128)),
        ("complex", (2, 512, 512)),
        ("reallog", (1, 512, 512)),
    ],
)
def test_default_shapes_are_all_of_one_length(name, shape):
    codec = build_codec(name)
    assert codec.shape == shape and codec.samples == 65536 and codec.sample_rate == 16000


@pytest.mark.parametrize(("name", "shape"), [("abslog", (1, 512, 512)), ("mellog", (1, 256, 512))])
def test_magnitudes_have_a_margin_of_silence(name, shape):
    codec = build_codec(name)
    assert codec.shape == shape and codec.samples == 65536 - 2 * 4 * 128 and codec.sample_rate == 16000


@pytest.mark.parametrize("name", NAMES)
def test_stereo_and_batches(name):
    stereo = np.stack([tone(1010), tone(2510, 0.1)])
    codec = build_codec(name, channels=2, **SMALL).fit([stereo])
    array = codec.encode(stereo)
    assert array.shape == codec.shape and array.dtype == np.float32
    assert array.min() >= -1 and array.max() <= 1
    back = codec.decode(np.stack([array, array]), griffin_lim_iter=8)
    assert back.shape == (2, 2, 2048) and back.dtype == np.float32
    np.testing.assert_allclose(codec.decode(array, griffin_lim_iter=8), back[1], atol=1e-4)
    # Each channel keeps its own tone: bin 2048 * f / 16000 of the whole wave.
    spectra = np.abs(np.fft.rfft(back[0]))
    assert abs(int(spectra[0].argmax()) - 129) <= 2 and abs(int(spectra[1].argmax()) - 321) <= 2


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("start", ["auto", "random", "pghi"])
def test_silence_stays_silence(name, start):
    for data in (tone(), np.zeros(2048, "f")):
        codec = build_codec(name, **SMALL).fit([data])
        back = codec.decode(codec.encode(np.zeros(2048, "f")), griffin_lim_iter=3, phase_start=start, refine_iter=2)
        assert back.shape == (2048,) and not back.any()


@pytest.mark.parametrize("name", NAMES)
def test_wild_values_give_finite_sound(name):
    codec = build_codec(name, **SMALL).fit([tone()])
    array = np.random.default_rng(0).uniform(-3, 3, codec.shape).astype("f")
    array[0, :4, :3] = [[np.nan, np.inf, -np.inf]] * 4
    for start in ("auto", "pghi"):
        back = codec.decode(array, griffin_lim_iter=2, phase_start=start, refine_iter=2)
        assert np.all(np.isfinite(back)) and back.any()


@pytest.mark.parametrize("name", NAMES)
def test_level_is_kept_and_nyquist_silent(name):
    codec = build_codec(name, **{**SMALL, "frames": 128}).fit([tone(samples=8192)])

    def power(level: float) -> np.ndarray:
        back = codec.decode(codec.encode(tone(level=level, samples=8192)), griffin_lim_iter=64)
        return np.abs(np.fft.rfft(back.astype(np.float64)[2048:6144] * np.hanning(4096))) ** 2

    loud, quiet = power(0.5), power(0.5 * 10 ** (-26 / 20))
    assert 10 * np.log10(loud.sum() / quiet.sum()) == pytest.approx(26, abs=0.5)
    reference = np.abs(np.fft.rfft(tone(samples=8192)[2048:6144] * np.hanning(4096))) ** 2
    assert 10 * np.log10(loud.sum() / reference.sum()) == pytest.approx(0, abs=0.5)
    assert loud[-40:].sum() / loud.sum() < 1e-4


@pytest.mark.parametrize("name", NAMES)
def test_state_survives_json_and_seeds_give_bytes(name):
    wave = np.random.default_rng(0).normal(0, 0.1, 2048).astype("f")
    codec = build_codec(name, **SMALL).fit([wave])
    again = codec_from_state(json.loads(json.dumps(codec.state_dict())))
    array = codec.encode(wave)
    assert again.state_dict() == codec.state_dict() and again.encode(wave).tobytes() == array.tobytes()
    for start in ("auto", "random", "pghi"):
        one, two = (c.decode(array, seed=3, griffin_lim_iter=2, phase_start=start) for c in (codec, again))
        assert one.tobytes() == two.tobytes()


@pytest.mark.parametrize("name", NAMES)
def test_clipped_share_and_misuse(name):
    codec = build_codec(name, **SMALL)
    with pytest.raises(ValueError, match="fit"):
        codec.encode(tone())
    with pytest.raises(ValueError, match="no waves"):
        codec.fit([])
    codec.fit([tone()])
    assert codec.clipped_share(tone()) == 0 < codec.clipped_share(2 * tone())
    assert np.abs(codec.encode(2 * tone())).max() == 1
    with pytest.raises(ValueError, match="shape"):
        codec.decode(np.zeros((3, *codec.shape[1:]), "f"))


@pytest.mark.parametrize("name", ["mellog", "ifmel"])
@pytest.mark.parametrize("mels", [0, 257])
def test_bands_have_limits(name, mels):
    with pytest.raises(UserError, match=f"mels {mels} .*1 to 256"):
        build_codec(name, mels=mels, **SMALL)
