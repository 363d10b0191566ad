"""Files are read where they are requested, exactly, in the channels and at the rate requested."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st

from pggan_framework.audio.reading import UnreadableSound, read_blocks, read_header, read_wave


def noise(frames: int, channels: int = 1, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-0.5, 0.5, (frames, channels)).astype(np.float32)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """One second of noise in every container, by its ending."""
    path = tmp_path_factory.mktemp("files")
    kinds = {"wav": {}, "flac": {}, "ogg": {}, "mp3": {"bitrate_mode": "VARIABLE"}, "aiff": {}}
    for ending, how in kinds.items():
        soundfile.write(path / f"a.{ending}", noise(44100, 2), 44100, **how)
    soundfile.write(path / "a.opus", noise(48000, 2), 48000, format="OGG", subtype="OPUS")
    return {ending: read_header(path / f"a.{ending}") for ending in (*kinds, "opus")}


@pytest.mark.parametrize("rate", [8000, 16000, 44100, 48000])
@pytest.mark.parametrize("ending", ["wav", "flac", "ogg", "mp3", "aiff", "opus"])
def test_a_stretch_is_that_of_the_whole_file(files, ending, rate):
    whole = read_wave(files[ending], rate)
    assert len(whole) == rate
    for start in (rate // 2 + 1, 0, 17, rate - 1000):
        stretch = read_wave(files[ending], rate, start, 1000)
        np.testing.assert_allclose(stretch, whole[start : start + 1000], atol=1e-6)
        assert stretch.tobytes() == read_wave(files[ending], rate, start, 1000).tobytes()
    assert not read_wave(files[ending], rate, rate - 3, 10)[3:].any()  # zeros follow where the file ends
    assert not read_wave(files[ending], rate, 2 * rate, 10).any()


@settings(max_examples=30, deadline=None)
@given(
    source=st.sampled_from([8000, 11025, 22050, 44100, 44101, 96000]),
    rate=st.sampled_from([8000, 16000, 22050, 44100, 48000]),
    where=st.floats(0, 1),
    samples=st.integers(1, 3000),
)
def test_resampled_stretches_are_soxrs_own(tmp_path_factory, source, rate, where, samples):
    path = tmp_path_factory.getbasetemp() / f"{source}.wav"
    if not path.exists():
        soundfile.write(path, noise(source, seed=source), source, subtype="FLOAT")
    whole = soxr.resample(soundfile.read(path, dtype="float32")[0], source, rate, quality="HQ")
    start = int(where * (len(whole) - 1))
    stretch = read_wave(read_header(path), rate, start, samples)
    expected = whole[start : start + samples]
    np.testing.assert_allclose(stretch[: len(expected)], expected, atol=2e-6)


def test_mp3_of_variable_bit_rate_is_found_exactly(tmp_path):
    """libsndfile's own seek lands seconds off in such a file."""
    loud = np.repeat(np.arange(40) % 3 == 0, 22050)
    sound = (noise(len(loud))[:, 0] * loud + 0.2 * np.sin(np.arange(len(loud)) / 20)).astype(np.float32)
    soundfile.write(tmp_path / "a.mp3", sound, 44100, bitrate_mode="VARIABLE")
    whole, _ = soundfile.read(tmp_path / "a.mp3", dtype="float32")
    header = read_header(tmp_path / "a.mp3")
    for start in (700000, 690000, 695000, 3, 400000, 860000):
        assert read_wave(header, 44100, start, 8000).tobytes() == whole[start : start + 8000].tobytes()
    assert np.concatenate(list(read_blocks(header, 50000, "mix")))[:, 0].tobytes() == whole.tobytes()


@pytest.mark.parametrize("number", [1, 2, 3])
def test_channels(tmp_path, number):
    sound = noise(500, number)
    soundfile.write(tmp_path / "a.wav", sound, 8000, subtype="FLOAT")
    header = read_header(tmp_path / "a.wav")
    np.testing.assert_allclose(read_wave(header, 8000), sound.mean(axis=1), atol=1e-7)
    np.testing.assert_array_equal(read_wave(header, 8000, channels="left"), sound[:, 0])
    both = read_wave(header, 8000, channels="both")
    np.testing.assert_array_equal(both, sound.T[[0, min(1, number - 1)]])
    assert read_wave(header, 16000, 3, 100, "both").shape == (2, 100)


@pytest.mark.parametrize(("subtype", "step"), [("PCM_U8", 2**-7), ("PCM_16", 2**-15), ("PCM_24", 2**-23)])
def test_bit_depths(tmp_path, subtype, step):
    sound = noise(500)[:, 0]
    soundfile.write(tmp_path / "a.wav", sound, 8000, subtype=subtype)
    np.testing.assert_allclose(read_wave(read_header(tmp_path / "a.wav"), 8000), sound, atol=step)


def test_float_files_keep_what_is_beyond_full_scale(tmp_path):
    for subtype in ("FLOAT", "DOUBLE"):
        soundfile.write(tmp_path / "a.wav", 3 * noise(500), 8000, subtype=subtype)
        assert read_wave(read_header(tmp_path / "a.wav"), 8000).tobytes() == (3 * noise(500)).tobytes()


def test_a_fault_is_noticed_where_it_is_read(tmp_path):
    sound = noise(5000)[:, 0]
    sound[3000] = np.inf
    soundfile.write(tmp_path / "a.wav", sound, 8000, subtype="FLOAT")
    header = read_header(tmp_path / "a.wav")
    assert len(read_wave(header, 8000, 0, 3000)) == 3000
    with pytest.raises(UnreadableSound, match="not finite numbers"):
        read_wave(header, 8000, 2999, 2)
    with pytest.raises(UnreadableSound, match="not finite numbers"):
        list(read_blocks(header, 100, "left"))


def test_a_link_that_leads_nowhere_has_a_reason(tmp_path):
    (tmp_path / "a.wav").symlink_to(tmp_path / "gone.wav")
    with pytest.raises(UnreadableSound, match="^No such file or directory$"):
        read_header(tmp_path / "a.wav")
