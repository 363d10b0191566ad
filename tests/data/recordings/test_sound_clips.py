"""SoundImageDataset: which stretches of a file are used, in which channels, shapes and levels."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import soundfile

from pggan_framework.data.datasets.sound import SoundImageDataset
from pggan_framework.errors import UserError

# 32 x 32, 1024 samples, 0.128 s, exactly as in the file
SMALL = {"n_fft": 64, "hop_length": 32, "margin": 0, "frequency": 8000, "jobs": 1, "remove_offset": False}
SOUND = np.random.default_rng(1).uniform(-0.5, 0.5, 5000).astype(np.float32)


def write(path, sound=SOUND, rate=8000):
    path.parent.mkdir(exist_ok=True)
    soundfile.write(path, sound, rate, subtype="FLOAT")


def place(wave: np.ndarray, sound: np.ndarray) -> int:
    """Where in a sound a wave begins."""
    (start,) = [s for s in np.flatnonzero(sound == wave[0]) if np.array_equal(sound[s : s + len(wave)], wave)]
    return int(start)


def test_a_random_stretch_follows_from_seed_and_name(tmp_path):
    for name in "abcdefgh":
        write(tmp_path / f"{name}.wav")
    data = SoundImageDataset(tmp_path, too_long="random", **SMALL)
    places = [place(data.wave(i), SOUND) for i in range(8)]
    assert len(set(places)) == 8 and max(places) - min(places) > 1000
    assert [place(data.wave(i), SOUND) for i in range(8)] == places
    other = SoundImageDataset(tmp_path, too_long="random", seed=1, **SMALL)
    assert [place(other.wave(i), SOUND) for i in range(8)] != places
    assert other.fingerprint() != data.fingerprint()
    assert "chosen by seed 0" in data.summary()["length"]
    (tmp_path / "a.wav").unlink()  # the others' stretches do not depend on how many files there are
    program = (
        "from pggan_framework.data.datasets.sound import SoundImageDataset as S; import sys;"
        "d = S(sys.argv[1], n_fft=64, hop_length=32, margin=0, frequency=8000, jobs=1, too_long='random',"
        " remove_offset=False);"
        "sys.stdout.buffer.write(b''.join(d.wave(i).tobytes() for i in range(7)))"
    )
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path)], capture_output=True, check=True)
    assert done.stdout == b"".join(data.wave(i).tobytes() for i in range(1, 8))


def test_every_place_of_a_random_stretch_can_be_had(tmp_path):
    write(tmp_path / "a.wav", SOUND[:1026])
    found = {
        place(SoundImageDataset(tmp_path, too_long="random", seed=seed, **SMALL).wave(0), SOUND) for seed in range(20)
    }
    assert found == {0, 1, 2}


@pytest.mark.parametrize(("overlap", "starts"), [(0, [0, 1024, 2048, 3072]), (0.5, range(0, 3977, 512)), (0.9, None)])
def test_slices_overlap(tmp_path, overlap, starts):
    write(tmp_path / "a.wav")
    data = SoundImageDataset(tmp_path, too_long="slices", overlap=overlap, **SMALL)
    starts = list(range(0, 3977, 102)) if starts is None else list(starts)
    assert [place(data.wave(i), SOUND) for i in range(len(data))] == starts
    unused = (5000 - starts[-1] - 1024) / 8000
    assert f"{unused:.1f} s of longer files not used" in data.summary()["length"]


def test_a_long_file_is_several_sources_and_the_same_sounds(tmp_path, monkeypatch):
    write(tmp_path / "a.wav")
    write(tmp_path / "b.wav", SOUND[::-1][:2500])
    how = {"too_long": "slices", "overlap": 0.5, "trim_db": 60, "normalize": "rms", **SMALL}
    whole = SoundImageDataset(tmp_path, **how)
    assert whole.source_count() == 2
    monkeypatch.setattr("pggan_framework.data.recordings.reader.SOURCE_SAMPLES", 3000)
    parted = SoundImageDataset(tmp_path, **how)
    assert parted.source_count() == 6
    assert [parted.wave(i).tobytes() for i in range(len(parted))] == [
        whole.wave(i).tobytes() for i in range(len(whole))
    ]
    assert parted.codec.statistics == whole.codec.statistics
    read = [wave for index in range(6) for wave in parted.read_source(index).waves]
    assert [wave.tobytes() for wave in read] == [whole.wave(i).tobytes() for i in range(len(whole))]


def test_trimming_cuts_both_ends_and_not_the_middle(tmp_path):
    quiet = np.full(1600, 1e-5, dtype=np.float32)
    write(tmp_path / "a.wav", np.concatenate([quiet, SOUND[:480], quiet[:160], SOUND[480:960], quiet]))
    write(tmp_path / "b.wav", np.zeros(1024))
    data = SoundImageDataset(tmp_path, trim_db=60, **SMALL)
    expected = np.concatenate([SOUND[:480], quiet[:160], SOUND[480:864]])
    np.testing.assert_array_equal(data.wave(0), expected)
    assert len(data) == 2 and not data.wave(1).any()  # silent altogether: unchanged
    assert "0.4 s cut off the beginnings and ends of 1 file:" in data.summary()["trimmed"]
    slightly = SoundImageDataset(tmp_path, trim_db=120, **SMALL)
    np.testing.assert_array_equal(slightly.wave(0), quiet[:1024])


def test_what_trimming_leaves_can_be_too_short(tmp_path):
    quiet = np.full(1600, 1e-5, dtype=np.float32)
    write(tmp_path / "a.wav", np.concatenate([quiet, SOUND[:480], quiet]))
    with pytest.raises(UserError, match=r"^a.wav is shorter than one image \(trim_db 60\): 480 samples .* reject"):
        SoundImageDataset(tmp_path, trim_db=60, **SMALL)
    with pytest.raises(UserError, match="^no sound of .*: 1 file rejected"):
        SoundImageDataset(tmp_path, trim_db=60, too_short="reject", **SMALL)
    data = SoundImageDataset(tmp_path, trim_db=60, too_short="pad", **SMALL)
    np.testing.assert_array_equal(data.wave(0), np.pad(SOUND[:480], (0, 544)))  # what was cut off does not come back
    assert "1 file padded" in data.summary()["length"]


def test_trimming_is_exact_after_resampling(tmp_path):
    sound = np.concatenate([np.zeros(44100), np.sin(np.arange(44100) / 20), np.zeros(44100)]).astype(np.float32)
    write(tmp_path / "a.wav", sound, 44100)
    plain = SoundImageDataset(tmp_path, too_long="slices", **{**SMALL, "n_fft": 256})  # 4096 samples
    trimmed = SoundImageDataset(tmp_path, trim_db=40, **{**SMALL, "n_fft": 256})
    whole = np.concatenate([plain.wave(i) for i in range(len(plain))])
    begin = 50 * 882 * 8000 // 44100  # the 50th moment of 20 ms is the first that sounds
    np.testing.assert_allclose(trimmed.wave(0), whole[begin : begin + 4096], atol=1e-6)


@pytest.mark.parametrize("normalize", ["peak", "rms"])
def test_normalize_brings_files_to_one_level_and_keeps_the_gain(tmp_path, normalize):
    write(tmp_path / "a.wav", SOUND[:1024] * 0.1)
    write(tmp_path / "b.wav", SOUND[:4096] * 1.5)
    write(tmp_path / "c.wav", np.zeros(1024))
    data = SoundImageDataset(tmp_path, normalize=normalize, too_long="slices", **SMALL)
    plain = SoundImageDataset(tmp_path, too_long="slices", **SMALL)
    assert len(data) == 6 and data.gain_db.shape == (6,) and data.gain_db.dtype == np.float64
    np.testing.assert_array_equal(plain.gain_db, 0)
    level = (lambda x: np.abs(x).max()) if normalize == "peak" else (lambda x: np.sqrt(np.mean(x**2)))
    target = {"peak": -1, "rms": -20}[normalize]
    assert 20 * np.log10(level(data.wave(0))) == pytest.approx(target, abs=1e-3)
    b = np.concatenate([data.wave(i) for i in range(1, 5)])  # the file is levelled, not its slices
    assert 20 * np.log10(level(b)) == pytest.approx(target, abs=1e-3)
    assert data.gain_db[5] == 0 and not data.wave(5).any()
    for i in range(6):
        np.testing.assert_allclose(data.wave(i), plain.wave(i) * 10 ** (data.gain_db[i] / 20), rtol=1e-5)
    said = data.summary()["levels"]
    assert f"of {target} dB of full scale by {data.gain_db.min():+.1f} to {data.gain_db.max():+.1f} dB" in said
    assert "levels" not in plain.summary()


@pytest.mark.parametrize("mode", ["abslog", "if", "complex", "reallog", "raw"])
def test_stereo_trains_as_codec_channels(tmp_path, mode):
    write(tmp_path / "a.wav", np.stack([SOUND, np.zeros(5000)], axis=1))
    write(tmp_path / "b.wav")
    write(tmp_path / "c.wav", np.stack([SOUND, 0.5 * SOUND, SOUND], axis=1))
    how = {**SMALL, "img_mode": mode, "frames": 32}
    data, mono = SoundImageDataset(tmp_path, channels="both", **how), SoundImageDataset(tmp_path, **how)
    assert data.codec.channels == 2 and data.shape == (2 * mono.shape[0], *mono.shape[1:])
    assert [data.wave(i).shape for i in range(3)] == [(2, 1024)] * 3
    np.testing.assert_array_equal(data.wave(0), [SOUND[:1024], np.zeros(1024)])
    np.testing.assert_array_equal(data.wave(1), [SOUND[:1024]] * 2)
    assert data.image(1).shape == data.shape
    assert data.codec.decode(data.image(1).astype(np.float32), griffin_lim_iter=1).shape == (2, 1024)
    assert data.summary()["channels"] == "1 with 1, the same in both; 1 with 2; 1 with 3, the first 2 of 3 used"


def test_left_is_the_first_channel(tmp_path):
    write(tmp_path / "a.wav", np.stack([SOUND, 0 * SOUND], axis=1))
    data = SoundImageDataset(tmp_path, channels="left", **SMALL)
    np.testing.assert_array_equal(data.wave(0), SOUND[:1024])
    assert data.summary()["channels"] == "1 with 2, the first of 2 used"


@pytest.mark.parametrize("frequency", [44100, 16000])
def test_44100_hz_stereo(tmp_path, frequency):
    time = np.arange(3 * 44100) / 44100
    sound = np.stack([0.5 * np.sin(2 * np.pi * 1000 * time), 0.25 * np.sin(2 * np.pi * 3000 * time)], axis=1)
    soundfile.write(tmp_path / "a.flac", sound, 44100, subtype="PCM_24")
    how = {
        "n_fft": 1024,
        "hop_length": 256,
        "frames": 64,
        "margin": 0,
        "channels": "both",
        "too_long": "slices",
        "jobs": 1,
    }
    data = SoundImageDataset(tmp_path, frequency=frequency, **how)
    assert data.shape == (2, 512, 64) and len(data) == 3 * frequency // (64 * 256)
    for index in (0, len(data) - 1):
        picture = data.image(index).astype(np.float32)
        for channel, pitch in ((0, 1000), (1, 3000)):
            assert abs(picture[channel, :, 32].argmax() - pitch * 1024 / frequency) <= 0.5
    start = (len(data) - 1) * 64 * 256 / frequency  # the last slice is in time, to the sample
    times = start + np.arange(64 * 256) / frequency
    expected = np.stack([0.5 * np.sin(2 * np.pi * 1000 * times), 0.25 * np.sin(2 * np.pi * 3000 * times)])
    np.testing.assert_allclose(data.wave(len(data) - 1)[:, :8000], expected[:, :8000], atol=1e-3)


def test_gansynths_shape_grows_from_its_seed_block(tmp_path):
    write(tmp_path / "a.wav", np.zeros(65536), 16000)
    data = SoundImageDataset(tmp_path, img_mode="if", bins=1024, frames=128, seed_shape=(16, 2), jobs=1)
    assert data.shape == (2, 1024, 128) and data.codec.parameters["hop_length"] == 512
    assert [data.growth.shape_at(depth) for depth in range(7)] == [(2, 16 << d, 2 << d) for d in range(7)]


def test_a_small_one_gives_every_depth(tmp_path):
    write(tmp_path / "a.wav")
    how = {"img_mode": "if", "n_fft": 128, "hop_length": 64, "frames": 8, "frequency": 8000, "jobs": 1}
    data = SoundImageDataset(tmp_path, seed_shape=(16, 2), **how)
    assert data.shape == (2, 64, 8)
    for depth in range(3):
        pictures = data.images([0, 0], depth)
        assert pictures.shape == (2, 2, 16 << depth, 2 << depth)
        boxes = data.image(0).astype(np.float64).reshape(2, 16 << depth, 4 >> depth, 2 << depth, 4 >> depth)
        np.testing.assert_allclose(pictures[0], boxes.mean(axis=(2, 4)), atol=1e-3)


def test_bins_are_rows_in_every_mode(tmp_path):
    write(tmp_path / "a.wav")
    small = {"hop_length": 16, "frames": 32, "frequency": 8000, "jobs": 1}
    for mode in ("abslog", "if", "complex", "reallog"):
        assert SoundImageDataset(tmp_path, img_mode=mode, bins=32, n_fft=64, **small).shape[1:] == (32, 32)
        assert SoundImageDataset(tmp_path, img_mode=mode, bins=16, **small).codec.parameters["n_fft"] == 32
    for mode in ("mellog", "ifmel"):
        data = SoundImageDataset(tmp_path, img_mode=mode, bins=16, n_fft=128, **small)
        assert data.shape[1:] == (16, 32) and data.codec.parameters["n_fft"] == 128
    raw = SoundImageDataset(tmp_path, img_mode="raw", bins=8, n_fft=64, **small)
    assert raw.shape == (1, 8, 64)


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ({"overlap": 1.0, "too_long": "slices"}, "overlap 1 is not allowed; allowed: 0 to below 1"),
        ({"overlap": 0.5}, "overlap 0.5 has no effect with too_long first"),
        ({"trim_db": 0}, "trim_db 0 is not allowed"),
        ({"trim_db": -60.0}, "trim_db -60 is not allowed; allowed: above 0"),
        ({"bins": 33}, "bins 33 is not a power of two"),
        ({"bins": 64}, "bins 64 and n_fft 64 do not agree.*n_fft 128"),
        ({"seed_shape": (3, 4)}, "height 32 is not the seed block's 3 times a power of two"),
    ],
)
def test_parameters_are_checked(tmp_path, flags, said):
    write(tmp_path / "a.wav")
    with pytest.raises(UserError, match=said):
        SoundImageDataset(tmp_path, **{**SMALL, **flags})


@pytest.mark.parametrize(
    "flags",
    [
        {"too_long": "slices"},
        {"too_long": "slices", "overlap": 0.5},
        {"trim_db": 50},
        {"normalize": "peak"},
        {"channels": "left"},
        {"img_mode": "complex"},
    ],
)
def test_the_fingerprint_follows_every_parameter_that_changes_the_sounds(tmp_path, flags):
    write(tmp_path / "a.wav")
    first, other = SoundImageDataset(tmp_path, **SMALL), SoundImageDataset(tmp_path, **SMALL, **flags)
    assert other.fingerprint() != first.fingerprint()
    assert (other.sources_fingerprint() != first.sources_fingerprint()) == ("img_mode" not in flags)


def test_headers_are_read_side_by_side_and_stay_in_order(tmp_path):
    for number in range(100):
        write(tmp_path / f"{number:03}.wav", np.full(1024, number / 512, dtype=np.float32))
    (tmp_path / "050.wav").write_text("x")
    data = SoundImageDataset(tmp_path, **SMALL)
    expected = [number / 512 for number in range(100) if number != 50]
    assert [data.wave(i)[500] for i in range(99)] == expected and list(data.skipped) == ["050.wav"]


def test_processes_and_a_second_start_find_the_same(tmp_path):
    for name in "abc":
        write(tmp_path / "in" / f"{name}.wav", SOUND * {"a": 0.1, "b": 0.5, "c": 1.9}[name])
    (tmp_path / "in" / "bad.wav").write_text("x")
    broken = SOUND.copy()
    broken[2500] = np.nan
    write(tmp_path / "in" / "d.wav", broken)
    how = {**SMALL, "too_long": "slices", "overlap": 0.5}
    first = SoundImageDataset(tmp_path / "in", **how)
    for jobs in (2, 1):  # the second finds what the first has kept
        again = SoundImageDataset(tmp_path / "in", **{**how, "jobs": jobs}, prepared_dir=tmp_path / "kept")
        assert [again.wave(i).tobytes() for i in range(len(again))] == [
            first.wave(i).tobytes() for i in range(len(first))
        ]
        assert again.codec.state_dict() == first.codec.state_dict() and again.fingerprint() == first.fingerprint()
        assert again.skipped == first.skipped and len(first.skipped) == 1
        lines = ("files", "length", "full scale", "damaged")
        assert [again.summary()[line] for line in lines] == [first.summary()[line] for line in lines]
    assert "d.wav (it holds values that are not finite numbers; 2 of 8 clips left out)" in first.summary()["damaged"]
