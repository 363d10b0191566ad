"""What is wrong with recordings is named and counted: outliers, copies, silence, offsets, early ends, edits."""

from __future__ import annotations

import os
import time

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from pggan_framework.audio.base import fitted_peak
from pggan_framework.data import manifest
from pggan_framework.data.datasets.sound import SoundImageDataset
from pggan_framework.data.datasets.wave import WaveDataset
from pggan_framework.data.prepare import sounds as preparation
from pggan_framework.data.recordings import known
from pggan_framework.errors import UserError

# 32 x 32, 1024 samples at 8 kHz, as in the file
SMALL = {"n_fft": 64, "hop_length": 32, "margin": 0, "frequency": 8000, "jobs": 1, "prepared_dir": None}
RATE = 8000


def noise(frames: int = 1024, level: float = 0.1, seed: int = 0) -> np.ndarray:
    return (level * np.random.default_rng(seed).uniform(-1, 1, frames)).astype(np.float32)


def write(path, sound, subtype="FLOAT"):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, sound, RATE, subtype=subtype)


@pytest.fixture
def twelve(tmp_path):
    """A folder of twelve files of noise at -20 dB."""
    for number in range(12):
        write(tmp_path / f"{number:02}.wav", noise(seed=number))
    return tmp_path


# ---- outliers


@settings(deadline=None)
@given(
    levels=st.lists(st.floats(0.01, 1), min_size=8, max_size=60),
    far=st.floats(40, 120),
)
def test_one_outlier_does_not_decide_for_all(levels, far):
    usual = max(levels)
    assert fitted_peak(levels) <= usual
    if max(levels) <= sorted(levels)[-2] * 10**1.5:
        assert fitted_peak(levels) == usual  # clean data are fitted to their loudest
    fitted = fitted_peak([*levels, usual * 10 ** (far / 20)])
    assert fitted == pytest.approx(usual * 10**1.5)
    assert fitted_peak([0.0] * 50 + [usual]) == usual  # silence is not a reference


def test_a_file_at_the_scale_of_integers_is_named_and_left_out(twelve):
    clean = SoundImageDataset(twelve, **SMALL)
    write(twelve / "05b.wav", noise(level=32767.0, seed=99))
    data = SoundImageDataset(twelve, **SMALL)
    assert len(data) == 12 and list(data.skipped) == ["05b.wav"] and "times full scale" in data.skipped["05b.wav"]
    assert "1: 05b.wav (it reaches 327" in data.summary()["skipped"]
    assert data.codec.statistics == clean.codec.statistics
    assert [data.image(i).tobytes() for i in range(12)] == [clean.image(i).tobytes() for i in range(12)]
    with pytest.raises(UserError, match="^05b.wav in .* cannot be used: it reaches 327.. times full scale"):
        SoundImageDataset(twelve, bad_files="error", **SMALL)
    assert len(SoundImageDataset(twelve, normalize="peak", **SMALL)) == 13
    for number in range(12):  # all of them are: their own scale
        write(twelve / f"{number:02}.wav", noise(level=32767.0, seed=number))
    assert len(SoundImageDataset(twelve, **SMALL)) == 13


def test_a_far_louder_file_does_not_squeeze_the_others(twelve):
    for number in range(12):
        write(twelve / f"{number:02}.wav", noise(level=1e-4 * (1 + number % 3), seed=number))
    write(twelve / "06b.wav", np.sin(np.arange(1024) / 4))
    data = SoundImageDataset(twelve, **SMALL)
    loud = data._recordings.names.index("06b.wav")
    assert list(data.beyond_range) == [loud] and 20 < data.beyond_range[loud] < 60
    others = [float(data.image(i).max()) for i in range(13) if i != loud]
    assert min(others) > -0.2 and data.codec.clipped_share(data.wave(loud)) > 0.01
    line = data.summary()["outliers"]
    assert line.startswith("1: 06b.wav; far louder") and f"{data.beyond_range[loud]:.1f} dB" in line
    (twelve / "06b.wav").unlink()
    assert "outliers" not in SoundImageDataset(twelve, **SMALL).summary()


# ---- silence, copies, values that are not numbers


def test_silent_and_equal_sounds_are_counted_and_named(twelve):
    write(twelve / "20.wav", np.zeros(1024))
    write(twelve / "21.wav", np.zeros(1024))
    write(twelve / "30.wav", noise(seed=3))
    lines = SoundImageDataset(twelve, **SMALL).summary()
    assert lines["silent sounds"] == "2: 20.wav, 21.wav; 0.0001 of full scale at most"
    assert lines["equal sounds"] == "1: 30.wav; the same samples as an earlier one"
    clean = SoundImageDataset(twelve, max_files=12, **SMALL).summary()
    assert "silent sounds" not in clean and "equal sounds" not in clean


def test_a_dataset_of_ones_own_with_nan_is_refused_by_number():
    from pggan_framework.audio import build_codec

    class Broken(WaveDataset):
        def __init__(self):
            super().__init__(build_codec("abslog", n_fft=16, hop_length=8, margin=0))

        def __len__(self):
            return 5

        def wave(self, index):
            return np.full(64, np.nan if index == 3 else 0.1, np.float32)

        def fingerprint(self):
            return ""

    with pytest.raises(UserError, match="^source 3 of Broken cannot be used: a wave holds values that are not finite"):
        Broken()


# ---- offsets


@pytest.mark.parametrize("offset", [-0.2, 0.0, 0.01, 0.2])
@pytest.mark.parametrize("channels", ["mix", "both"])
def test_trimming_and_levelling_see_through_an_offset(tmp_path, offset, channels):
    quiet, loud = np.zeros(4000), 0.3 * np.sin(2 * np.pi * 440 * np.arange(4000) / RATE)
    sound = np.concatenate([quiet, loud, quiet])
    write(tmp_path / "a.wav", np.stack([sound + offset, sound - offset / 2], axis=1))
    sizes = {**SMALL, "n_fft": 128, "hop_length": 64, "channels": channels}  # 4096 samples
    data = SoundImageDataset(tmp_path, trim_db=40, too_short="pad", **sizes)
    assert "0.99" not in data.summary()["trimmed"] and data.summary()["trimmed"].startswith("1.0 s cut off")
    wave = np.atleast_2d(data.wave(0))[0]
    np.testing.assert_allclose(wave[:4000], loud, atol=0.002)
    level = SoundImageDataset(tmp_path, normalize="peak", trim_db=40, too_short="pad", **sizes)
    peak = float(np.abs(level.wave(0)).max())
    assert 20 * np.log10(peak) == pytest.approx(-1, abs=0.1)
    assert ("offset" in data.summary()) == (abs(offset) * (1 if channels == "both" else 0.25) > 0.0032)
    assert "offset" not in SoundImageDataset(tmp_path, remove_offset=False, too_short="pad", **sizes).summary()


# ---- files that end before their headers say


def broken_flac(path, seconds: float = 1.0, part: float = 0.5) -> np.ndarray:
    sound = noise(int(seconds * RATE * 5), seed=7)
    soundfile.write(path, sound, RATE)
    path.write_bytes(path.read_bytes()[: int(part * path.stat().st_size)])
    return sound


@pytest.mark.parametrize("trim", [None, 90])
def test_a_file_that_breaks_off_is_a_shorter_file(tmp_path, trim):
    sound = broken_flac(tmp_path / "a.flac", part=0.25)  # 10,000 of 40,000 samples
    how = {**SMALL, "n_fft": 256, "hop_length": 128, "trim_db": trim}  # 16384 samples
    data = SoundImageDataset(tmp_path, too_short="pad", **how)
    wave = data.wave(0)
    end = int(np.flatnonzero(wave)[-1]) + 1
    assert 4000 < end < 12000 and len(data) == 1
    np.testing.assert_allclose(wave[:end], sound[:end], atol=2**-14)
    assert data.summary()["length"].startswith("1 file padded")
    if trim is None:
        assert "its header promises 40000 samples, it ends after" in data.summary()["damaged"]
        with pytest.raises(UserError, match="^a.flac in .* cannot be used: its header promises 40000"):
            SoundImageDataset(tmp_path, too_short="pad", bad_files="error", **how)
        write(tmp_path / "b.wav", noise(20000))
        skipping = SoundImageDataset(tmp_path, **how)  # too short, and an error; but a broken one is skipped
        assert len(skipping) == 1 and list(skipping.skipped) == ["a.flac"]
    random = SoundImageDataset(tmp_path, too_long="random", **{**how, "n_fft": 64, "hop_length": 32})
    at = np.flatnonzero(np.abs(sound[:12000] - random.wave(0)[0]) < 2**-14)
    assert any(np.allclose(sound[s : s + 1024], random.wave(0), atol=2**-14) for s in at)


def test_wrong_headers_are_named(tmp_path):
    write(tmp_path / "a.wav", noise())
    data = bytearray((tmp_path / "a.wav").read_bytes())
    at = data.index(b"data") + 4
    data[at : at + 4] = bytes(4)
    (tmp_path / "b.wav").write_bytes(data)
    both = SoundImageDataset(tmp_path, **SMALL)
    assert both.wave(0).tobytes() == both.wave(1).tobytes()
    said = "1: b.wav (its header says that its samples are 0 bytes, 4096 follow); read up to where they really end"
    assert both.summary()["wrong headers"] == said


# ---- what is kept for the next start


@pytest.fixture
def kept(twelve, monkeypatch):
    """Three files longer than what is hashed of them, and where what is found of them is kept."""
    monkeypatch.setattr(preparation, "PATIENCE", 0.0)
    monkeypatch.setenv("PGGAN_CACHE", str(twelve / "cache"))
    monkeypatch.setattr(manifest, "PATIENCE", 0.0)
    monkeypatch.setattr(manifest, "SETTLED", 0.0)
    for number in range(3):
        write(twelve / "in" / f"{number:02}.wav", noise(70_000, seed=number))
    # 32 x 512, 65536 samples
    sizes = {"n_fft": 256, "hop_length": 128, "frames": 512, "dir_path": twelve / "in"}
    return {**SMALL, **sizes, "too_short": "pad", "prepared_dir": twelve / "kept"}


def edit(path, keep_times: bool):
    """Overwrite samples in the middle of a file, where only its content reports of it."""
    before = path.stat()
    time.sleep(0.02)
    with path.open("r+b") as file:
        file.seek(200_000)
        file.write(noise(4096, level=0.05, seed=77).tobytes())
    if keep_times:
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.mark.parametrize("keep_times", [False, True])
def test_a_file_edited_in_its_middle_is_noticed(kept, keep_times):
    first = SoundImageDataset(**kept)
    first.prepare()
    print_, old = first.fingerprint(), first.images(range(3), 5)
    unchanged = SoundImageDataset(**kept)
    assert unchanged._file is not None and unchanged.fingerprint() == print_
    edit(kept["dir_path"] / "01.wav", keep_times)
    second = SoundImageDataset(**kept)
    assert second._file is None and second.fingerprint() != print_
    second.prepare()
    new = second.images(range(3), 5)
    plain = SoundImageDataset(**{**kept, "prepared_dir": None})
    assert new.tobytes() == plain.images(range(3), 5).tobytes() != old.tobytes()
    changed = [index for index in range(len(old)) if not np.array_equal(old[index], new[index])]
    assert {second._clips[index].file for index in changed} == {1}


def test_a_file_that_was_only_touched_keeps_its_pictures(kept):
    first = SoundImageDataset(**kept)
    first.prepare()
    for path in kept["dir_path"].iterdir():
        path.touch()
    second = SoundImageDataset(**kept)
    assert second._file is not None and second.fingerprint() == first.fingerprint()
    assert second.image(2).tobytes() == first.image(2).tobytes()


def test_known_files_are_not_opened_again(kept, monkeypatch):
    first = SoundImageDataset(**kept)
    opened = []
    look = known.read_header
    monkeypatch.setattr(known, "read_header", lambda path: opened.append(os.path.basename(path)) or look(path))
    assert SoundImageDataset(**kept).fingerprint() == first.fingerprint() and opened == []
    write(kept["dir_path"] / "99.wav", noise(5000))
    (kept["dir_path"] / "02.wav").touch()
    assert SoundImageDataset(**kept).summary()["files"].startswith("4 ") and sorted(opened) == ["02.wav", "99.wav"]
    (place,) = (kept["dir_path"].parent / "cache").iterdir()
    for content in ("", "[]", "{}", '{"format": 1, "files": {"02.wav": [1]}}', '{"format": 1, "files": 3}'):
        place.write_text(content)
        assert SoundImageDataset(**kept).summary()["files"].startswith("4 ")


def test_the_layout_of_a_repaired_file_is_kept(kept):
    path = kept["dir_path"] / "00.mp3"
    soundfile.write(path, noise(30000), RATE)
    data = path.read_bytes()
    path.write_bytes(data[data.index(data[:2], 4) :] + bytes(700))
    first, second = SoundImageDataset(**kept), SoundImageDataset(**kept)
    assert first.headers == second.headers and first.headers[0].remark == "700 bytes of it are not sound"
    assert second.wave(3).tobytes() == first.wave(3).tobytes()


def test_a_fingerprint_of_an_earlier_version_is_known(twelve):
    data = SoundImageDataset(twelve, **SMALL)
    # As d3348aa gave it for these files.
    assert data.has_fingerprint(data.fingerprint()) and data.has_fingerprint(data._earlier_fingerprint())
    assert not data.has_fingerprint("0" * 16)
