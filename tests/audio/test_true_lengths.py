"""Files whose headers are wrong are read up to where they really end."""

from __future__ import annotations

import os
import struct

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from pggan_framework.audio import mp3
from pggan_framework.audio.reading import EndsEarly, UnreadableSound, read_blocks, read_header, read_wave

DELAY = 576
"""Samples that LAME puts before a sound; only its Info frame reports of them."""


def tone(frames: int, hz: float = 0.02, seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(0, 0.02, frames)
    return (0.3 * np.sin(np.arange(frames) * hz) + noise).astype(np.float32)


@pytest.fixture(scope="module")
def mp3s(tmp_path_factory):
    """Bytes of mp3 files by bit rate mode and sample rate, and what they decode to."""
    path = tmp_path_factory.mktemp("mp3") / "a.mp3"
    made = {}
    for mode in ("CONSTANT", "VARIABLE"):
        for rate in (16000, 44100):
            soundfile.write(path, tone(rate), rate, bitrate_mode=mode)
            made[mode, rate] = path.read_bytes(), soundfile.read(path, dtype="float32")[0]
    return made


def without_info(data: bytes) -> bytes:
    """The file without its first frame, which is the Info frame: a stream."""
    return data[data.index(data[:2], 4) :]


def written(folder, data: bytes, name: str = "a.mp3"):
    (folder / name).write_bytes(data)
    return read_header(folder / name)


def agree(wave: np.ndarray, reference: np.ndarray) -> bool:
    """Whether two decoded sounds are one, the noise of a cut's first frame aside."""
    return len(wave) == len(reference) > 0 and float(np.abs(wave - reference)[2000:].max(initial=0)) < 1e-3


@pytest.mark.parametrize("mode", ["CONSTANT", "VARIABLE"])
@pytest.mark.parametrize("rate", [16000, 44100])
def test_an_mp3_stream_has_the_length_of_its_frames(mp3s, tmp_path, mode, rate):
    data, reference = mp3s[mode, rate]
    header = written(tmp_path, data)
    assert (header.frames, header.remark, header.source) == (len(reference), "", None)
    stream = written(tmp_path, without_info(data), "stream.mp3")
    wave = read_wave(stream, rate)
    assert stream.frames == len(wave) and agree(wave[DELAY : DELAY + len(reference)], reference)
    assert np.concatenate(list(read_blocks(stream, 1000, "mix")))[:, 0].tobytes() == wave.tobytes()


@settings(max_examples=25, deadline=None)
@given(
    mode=st.sampled_from(["CONSTANT", "VARIABLE"]),
    before=st.integers(0, 3000),
    after=st.integers(1, 4000),
    tag=st.integers(0, 5000),
    seed=st.integers(0, 99),
)
def test_junk_around_an_mp3_is_no_sound(mp3s, tmp_path_factory, mode, before, after, tag, seed):
    data, reference = mp3s[mode, 44100]
    random = np.random.default_rng(seed)
    id3 = b"ID3\x04\0\0" + bytes(tag >> shift & 127 for shift in (21, 14, 7, 0)) + bytes(tag)
    junk = random.integers(0, 255, before, np.uint8).tobytes()  # never 255: no frame by chance
    whole = id3 + junk + without_info(data) + random.integers(0, 255, after, np.uint8).tobytes()
    header = written(tmp_path_factory.mktemp("junk"), whole)
    wave = read_wave(header, 44100)
    assert header.frames == len(wave) and agree(wave[DELAY : DELAY + len(reference)], reference)
    assert header.remark == f"{before + after} bytes of it are not sound"


@settings(max_examples=25, deadline=None)
@given(mode=st.sampled_from(["CONSTANT", "VARIABLE"]), part=st.floats(0.2, 0.98), keep_info=st.booleans())
def test_a_cut_mp3_is_used_up_to_the_cut(mp3s, tmp_path_factory, mode, part, keep_info):
    data, reference = mp3s[mode, 44100]
    stream = data if keep_info else without_info(data)
    header = written(tmp_path_factory.mktemp("cut"), stream[: int(part * len(stream))])
    wave = read_wave(header, 44100)
    assert header.frames == len(wave)
    known = min(len(wave) - DELAY, len(reference)) - 1152
    assert agree(wave[DELAY : DELAY + known], reference[:known])
    # Twice the rest of the file is at least as long as what is missing: bit rates differ by that.
    assert len(reference) - known < 2.5 * (1 - part) * len(reference) + 3 * 1152


@pytest.mark.parametrize("info", [True, False])
@pytest.mark.parametrize("mode", ["CONSTANT", "VARIABLE"])
def test_joined_mp3s_are_both_read(mp3s, tmp_path, mode, info):
    (data, first), (other, second) = mp3s["CONSTANT", 44100], mp3s[mode, 44100]
    data, other = (data, other) if info else (without_info(data), without_info(other))
    header = written(tmp_path, data + other)
    wave = read_wave(header, 44100)
    assert header.frames == len(wave) >= len(first) + len(second)
    assert agree(wave[DELAY : DELAY + len(first)], first)
    start = len(wave) - 4000
    late = [np.correlate(wave[start : start + 1000], second[at : at + 1000])[0] for at in range(38000, 42000)]
    assert max(late) > 0.9 * float(np.sum(wave[start : start + 1000] ** 2))


def test_frames_of_every_kind_have_the_sizes_of_the_standard():
    # ISO 11172-3: 144 * bit rate / sample rate for layers II and III, half of it in MPEG-2 layer III.
    assert mp3.parse(b"\xff\xfb\x90\x00")[:2] == (417, 1152)  # 128 kbit/s at 44.1 kHz
    assert mp3.parse(b"\xff\xfb\x92\x00")[:2] == (418, 1152)  # padded
    assert mp3.parse(b"\xff\xf3\x80\x00")[:2] == (208, 576)  # MPEG-2, 64 kbit/s at 22.05 kHz
    assert mp3.parse(b"\xff\xfd\x80\x00")[:2] == (417, 1152)  # layer II, 128 kbit/s
    assert mp3.parse(b"\xff\xff\x40\x00")[:2] == (136, 384) and mp3.parse(b"\xff\xf1\x40\x00") is None  # layer I; ADTS
    assert mp3.parse(b"\xff\xfb\x00\x00") is None and mp3.parse(b"\xff\xfb\xf0\x00") is None


def test_an_mp3_cut_within_its_first_frames_is_read_or_named(mp3s, tmp_path):
    data, _ = mp3s["VARIABLE", 44100]
    vbri = bytearray(data[:700])
    vbri[36:40] = b"VBRI"
    for content in (data, bytes(vbri)):
        for size in range(4, 200, 3):
            try:
                assert written(tmp_path, content[:size]).frames > 0
            except UnreadableSound as error:
                assert str(error)


def test_noise_is_no_mp3(tmp_path):
    for seed in range(20):
        (tmp_path / "a.mp3").write_bytes(np.random.default_rng(seed).integers(0, 256, 20000, np.uint8).tobytes())
        with pytest.raises(UnreadableSound):
            read_header(tmp_path / "a.mp3")


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "FLOAT"])
@pytest.mark.parametrize("size", [0, 1000, 0x7FFFF000, 0xFFFFFFFF, "right"])
def test_a_wav_has_the_samples_that_follow_its_header(tmp_path, subtype, size):
    sound = tone(5000)
    soundfile.write(tmp_path / "a.wav", sound, 8000, subtype=subtype)
    data = bytearray((tmp_path / "a.wav").read_bytes())
    at = data.index(b"data") + 4
    if size != "right":
        data[at : at + 4] = struct.pack("<I", size)
    header = written(tmp_path, data, "b.wav")
    assert header.frames == 5000 and bool(header.remark) == (size in (0, 1000))
    np.testing.assert_allclose(read_wave(header, 8000), sound, atol=2**-15)
    assert read_wave(header, 8000, 3000, 100).tobytes() == read_wave(header, 8000)[3000:3100].tobytes()


@pytest.mark.parametrize("chunk", [b"LIST\x04\0\0\0abcd", b"id3 \x03\0\0\0abc\0", b"bext\x02\0\0\0ab", b"\0", b""])
def test_chunks_after_the_samples_of_a_wav_are_none(tmp_path, chunk):
    soundfile.write(tmp_path / "a.wav", tone(5000), 8000)
    header = written(tmp_path, (tmp_path / "a.wav").read_bytes() + chunk, "b.wav")
    assert (header.frames, header.remark, header.source) == (5000, "", None)


def test_streams_of_flac_and_au_are_counted(tmp_path):
    soundfile.write(tmp_path / "a.flac", tone(50000), 8000)
    data = bytearray((tmp_path / "a.flac").read_bytes())
    data[21] &= 0xF0
    data[22:26] = bytes(4)  # 36 bits of samples in all: unknown
    assert written(tmp_path, data, "b.flac").frames == 50000
    data[21] |= 0x0F
    data[22:26] = b"\xff" * 4
    header = written(tmp_path, data, "b.flac")
    assert header.frames == 50000 and header.remark == "its header says 68719476735 samples, which it cannot hold"
    soundfile.write(tmp_path / "a.au", tone(5000), 8000)
    for size in (0, 0xFFFFFFFF):
        data = bytearray((tmp_path / "a.au").read_bytes())
        data[8:12] = struct.pack(">I", size)
        assert written(tmp_path, data, "b.au").frames == 5000


@pytest.mark.parametrize("ending", ["ogg", "opus"])
def test_chained_ogg_streams_are_all_read(tmp_path, ending):
    sounds = [tone(24000, 0.02), tone(36000, 0.05)]
    for number, sound in enumerate(sounds):
        subtype = "OPUS" if ending == "opus" else "VORBIS"
        soundfile.write(tmp_path / f"{number}", sound, 48000, format="OGG", subtype=subtype)
    parts = [soundfile.read(tmp_path / f"{number}", dtype="float32")[0] for number in (0, 1, 0)]
    data = b"".join((tmp_path / f"{number}").read_bytes() for number in (0, 1, 0))
    header = written(tmp_path, data, f"a.{ending}")
    assert header.frames == sum(map(len, parts)) and header.remark == "it is 3 streams, one after another"
    assert read_wave(header, 48000).tobytes() == np.concatenate(parts).tobytes()
    assert read_wave(header, 48000, 23000, 2000).tobytes() == np.concatenate(parts)[23000:25000].tobytes()
    soundfile.write(tmp_path / "other", tone(8000), 16000, format="OGG", subtype="VORBIS")
    if ending == "ogg":
        header = written(tmp_path, (tmp_path / "0").read_bytes() + (tmp_path / "other").read_bytes(), "b.ogg")
        assert header.frames == 24000 and "only the first 1 used" in header.remark


@pytest.mark.parametrize("at", [0.3, 0.6, 0.9])
def test_a_broken_flac_is_read_up_to_the_break(tmp_path, at):
    sound = tone(40000)
    soundfile.write(tmp_path / "a.flac", sound, 8000)
    data = (tmp_path / "a.flac").read_bytes()
    header = written(tmp_path, data[: int(at * len(data))], "b.flac")
    with pytest.raises(EndsEarly, match="its header promises 40000 samples, it ends after") as caught:
        read_wave(header, 8000)
    known = caught.value.frames
    assert known / 40000 == pytest.approx(at, abs=0.11)  # a frame has 4096 samples
    np.testing.assert_allclose(read_wave(header, 8000, 0, known), sound[:known], atol=2**-15)
    found = []
    with pytest.raises(EndsEarly):
        found += list(read_blocks(header, 700, "mix"))
    soundfile.write(tmp_path / "c.flac", sound, 8000)
    (tmp_path / "c.flac").write_bytes((tmp_path / "c.flac").read_bytes() + os.urandom(2000))
    np.testing.assert_allclose(read_wave(read_header(tmp_path / "c.flac"), 8000), sound, atol=2**-15)


@pytest.mark.parametrize("rate", [1, 100, 499, 4_000_001, 2**31 - 1])
def test_rates_that_no_recording_has_are_named(tmp_path, rate):
    soundfile.write(tmp_path / "a.wav", tone(100), 8000)
    data = bytearray((tmp_path / "a.wav").read_bytes())
    at = data.index(b"fmt ") + 12
    data[at : at + 4] = struct.pack("<I", rate)
    with pytest.raises(UnreadableSound, match=f"^its header says {rate} Hz; allowed: 500 to 4000000$"):
        written(tmp_path, data, "b.wav")
