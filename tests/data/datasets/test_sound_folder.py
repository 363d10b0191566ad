"""SoundImageDataset: what becomes of every kind of file."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile

from pggan_framework.audio import estimate_pitch
from pggan_framework.data.datasets.sound import SoundImageDataset
from pggan_framework.errors import UserError

SMALL = {"n_fft": 64, "hop_length": 32, "margin": 0, "frequency": 8000}  # 32 x 32, 1024 samples, 0.128 s


def tone(pitch: float, rate: int = 8000, seconds: float = 0.128) -> np.ndarray:
    return (0.5 * np.sin(2 * np.pi * pitch * np.arange(round(rate * seconds)) / rate)).astype(np.float32)


def folder(path, **files):
    """Write files given as name_ending=(samples, rate)."""
    for name, (samples, rate) in files.items():
        stem, ending = name.rsplit("_", 1)
        soundfile.write(path / f"{stem}.{ending}", samples, rate)
    return path


def test_every_container_rate_and_channel_count(tmp_path):
    (tmp_path / "sub").mkdir()
    folder(
        tmp_path, a_wav=(tone(500), 8000), b_flac=(tone(600, 44100, 0.2), 44100), c_ogg=(tone(700, 22050, 0.5), 22050)
    )
    folder(tmp_path, d_mp3=(tone(800, 44100, 0.5), 44100), e_aiff=(np.stack([tone(900, 16000)] * 2, 1), 16000))
    folder(tmp_path / "sub", f_WAV=(tone(1000, 11025), 11025))
    data = SoundImageDataset(tmp_path, **SMALL)
    assert len(data) == 6 and data.shape == (1, 32, 32)
    pitches = [estimate_pitch(data.wave(i), 8000, 300, 1500) for i in range(6)]
    np.testing.assert_allclose(pitches, [500, 600, 700, 800, 900, 1000], rtol=0.01)
    assert data.wave(4).max() == pytest.approx(0.5, abs=0.02)
    said = data.summary()
    assert "2 at 44100 Hz, resampled to 8000 Hz" in said["sample rates"]
    assert "1 with 2, mixed to 1" in said["channels"] and said["skipped"] == "none"


def test_stereo_is_the_mean(tmp_path):
    folder(tmp_path, a_wav=(np.stack([tone(500), -0.5 * tone(500)], 1), 8000))
    np.testing.assert_allclose(SoundImageDataset(tmp_path, **SMALL).wave(0), 0.25 * tone(500), atol=1e-4)


def test_bad_files_are_skipped_by_name(tmp_path):
    folder(tmp_path, good_wav=(tone(500), 8000), silent_wav=(np.zeros(1024), 8000), empty_wav=(np.zeros(0), 8000))
    (tmp_path / "renamed.wav").write_text("this is not sound at all\n" * 99)
    (tmp_path / "notes.txt").write_text("hello")
    (tmp_path / ".hidden.wav").write_text("")
    wrong = tone(500)
    wrong[7] = np.nan
    soundfile.write(tmp_path / "nan.wav", wrong, 8000, subtype="FLOAT")
    soundfile.write(tmp_path / "torn.flac", np.random.default_rng(0).normal(size=9000) * 0.1, 8000)
    (tmp_path / "torn.flac").write_bytes((tmp_path / "torn.flac").read_bytes()[:900])
    data = SoundImageDataset(tmp_path, **SMALL)
    assert sorted(data.skipped) == ["empty.wav", "nan.wav", "renamed.wav", "torn.flac"]
    assert "no samples" in data.skipped["empty.wav"] and "finite" in data.skipped["nan.wav"]
    said = data.summary()
    assert "renamed.wav (" in said["skipped"] and said["other files"] == "1 .txt (notes.txt); not read as recordings"
    assert len(data) == 2
    assert np.all(data.image(1) == -1)  # the silent one, after good.wav


def test_a_silent_folder_works(tmp_path):
    data = SoundImageDataset(folder(tmp_path, a_wav=(np.zeros(1024), 8000)), **SMALL)
    assert np.all(data.image(0) == -1)
    assert not data.codec.decode(data.image(0).astype(np.float32)).any()


@pytest.mark.parametrize("make", ["missing", "file", "empty", "other", "unreadable", "all_nan"])
def test_nothing_to_read_is_one_clear_error(tmp_path, make):
    path = tmp_path / "data"
    if make == "file":
        path.write_text("x")
    elif make != "missing":
        path.mkdir()
    if make == "other":
        (path / "a.txt").write_text("x")
    if make == "unreadable":
        (path / "a.wav").write_text("x")
    if make == "all_nan":
        soundfile.write(path / "a.wav", np.full(1024, np.nan), 8000, subtype="FLOAT")
    said = {"missing": "does not exist", "file": "is a file", "empty": "empty", "other": "a.txt", "unreadable": "a.wav"}
    with pytest.raises(UserError, match=said.get(make, "a.wav: it holds values")) as error:
        SoundImageDataset(path, **SMALL)
    assert str(path) in str(error.value)


def test_too_short(tmp_path):
    folder(tmp_path, a_wav=(tone(500), 8000), b_wav=(tone(500)[:1000], 8000))
    with pytest.raises(UserError, match=r"b.wav is shorter.*1000 samples.*1024 samples.*pad or reject"):
        SoundImageDataset(tmp_path, **SMALL)
    padded = SoundImageDataset(tmp_path, too_short="pad", **SMALL)
    assert len(padded) == 2 and not padded.wave(1)[1000:].any() and padded.wave(1)[:1000].any()
    assert "1 file padded" in padded.summary()["length"]
    rejecting = SoundImageDataset(tmp_path, too_short="reject", **SMALL)
    assert len(rejecting) == 1 and "1 rejected" in rejecting.summary()["length"]
    (tmp_path / "a.wav").unlink()
    with pytest.raises(UserError, match="no sound of .*: 1 file rejected"):
        SoundImageDataset(tmp_path, too_short="reject", **SMALL)


def test_too_long(tmp_path):
    wave = np.random.default_rng(0).uniform(-0.5, 0.5, 2600).astype(np.float32)
    folder(tmp_path, a_wav=(wave, 8000))
    first = SoundImageDataset(tmp_path, **SMALL)
    np.testing.assert_allclose(first.wave(0), wave[:1024], atol=1e-4)
    slices = SoundImageDataset(tmp_path, too_long="slices", **SMALL)
    assert len(slices) == 2
    np.testing.assert_allclose(slices.wave(1), wave[1024:2048], atol=1e-4)
    assert f"{(2600 - 2048) / 8000:.1f} s of longer files not used" in slices.summary()["length"]


@pytest.mark.parametrize("mode", ["abslog", "raw"])
@pytest.mark.parametrize("workers", [0, 2])
def test_preloaded_or_not_in_workers_or_not_the_bits_are_the_same(tmp_path, mode, workers):
    torch = pytest.importorskip("torch")
    for number in range(6):
        folder(tmp_path, **{f"{number}_wav": (tone(400 + 90 * number, 11025, 0.3), 11025)})
    kept = SoundImageDataset(tmp_path, preload=True, img_mode=mode, **SMALL)
    fresh = SoundImageDataset(tmp_path, preload=False, img_mode=mode, **SMALL)
    assert kept.fingerprint() == fresh.fingerprint()
    # Threads of the parent are busy before the fork, as in training.
    torch.randn(300, 300) @ torch.randn(300, 300)
    kept.codec.decode(kept.image(0).astype(np.float32), griffin_lim_iter=1)

    class Both(torch.utils.data.Dataset):
        def __len__(self):
            return 6

        def __getitem__(self, index):
            return kept.images([index], 3)[0], fresh.images([index], 3)[0], fresh.images([index], 1)[0]

    method = "fork" if workers else None
    loader = torch.utils.data.DataLoader(
        Both(), 3, num_workers=workers, multiprocessing_context=method, timeout=30 * (workers > 0)
    )
    batches = list(loader)
    for depth, part in ((3, 0), (3, 1), (1, 2)):
        got = torch.cat([batch[part] for batch in batches]).numpy()
        assert got.dtype == np.float16
        assert got.tobytes() == kept.images(range(6), depth).tobytes()


def test_raw_holds_the_same_stretch(tmp_path):
    folder(tmp_path, a_wav=(tone(500), 8000))
    data = SoundImageDataset(tmp_path, img_mode="raw", **SMALL)
    assert data.shape == (1, 32, 32) and data.codec.samples == 1024
    np.testing.assert_allclose(data.codec.decode(data.image(0).astype(np.float32)), data.wave(0), atol=3e-4)


def test_fingerprint_follows_files_and_parameters(tmp_path):
    folder(tmp_path, a_wav=(tone(500), 8000))
    first = SoundImageDataset(tmp_path, **SMALL).fingerprint()
    assert SoundImageDataset(tmp_path, **SMALL).fingerprint() == first
    assert SoundImageDataset(tmp_path, **{**SMALL, "hop_length": 16}).fingerprint() != first
    folder(tmp_path, a_wav=(tone(510), 8000))
    assert SoundImageDataset(tmp_path, **SMALL).fingerprint() != first


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ({"n_fft": 100}, "n_fft 100"),
        ({"hop_length": 33}, "hop_length 33"),
        ({"max_files": 0}, "max_files 0"),
        ({"frames": 31}, "32x31"),
        ({"frequency": -1}, "sample rate -1"),
    ],
)
def test_sizes_are_checked(tmp_path, flags, said):
    folder(tmp_path, a_wav=(tone(500), 8000))
    with pytest.raises(UserError, match=said):
        SoundImageDataset(tmp_path, **{**SMALL, **flags})


def test_max_files_and_a_file_that_goes_away(tmp_path):
    folder(tmp_path, a_wav=(tone(500), 8000), b_wav=(tone(700), 8000))
    data = SoundImageDataset(tmp_path, max_files=1, **SMALL)
    assert len(data) == 1
    (tmp_path / "a.wav").unlink()
    with pytest.raises(UserError, match="a.wav could be read"):
        data.image(0)
