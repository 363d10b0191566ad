"""Sound files: formats, rates, levels, whole or absent."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile

from pggan_framework.errors import UserError
from pggan_framework.postprocessors.soundfiles import file_rate, write_sound


def tone(rate: int, hertz: float = 1000.0, seconds: float = 0.5) -> np.ndarray:
    return (0.5 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


def pitch(wave: np.ndarray, rate: int) -> float:
    return float(np.fft.rfftfreq(len(wave), 1 / rate)[np.abs(np.fft.rfft(wave)).argmax()])


@pytest.mark.parametrize(
    ("ending", "container", "subtype"),
    [
        ("wav", "WAV", "PCM_16"),
        ("flac", "FLAC", "PCM_16"),
        ("ogg", "OGG", "OPUS"),
        ("opus", "OGG", "OPUS"),
        ("mp3", "MP3", "MPEG_LAYER_III"),
    ],
)
@pytest.mark.parametrize("rate", [8000, 16000, 22050, 44100, 96000])
def test_every_format_at_every_rate(tmp_path, ending, container, subtype, rate):
    stereo = np.stack([tone(rate), 0.1 * tone(rate, 1500)])
    path = tmp_path / "deep" / f"a.{ending}"
    write_sound(path, stereo, rate)
    info = soundfile.info(str(path))
    assert (info.format, info.subtype, info.channels) == (container, subtype, 2)
    assert info.samplerate == file_rate(rate, ending)
    back, found = soundfile.read(path)
    assert len(back) / found == pytest.approx(0.5, abs=0.01)
    assert pitch(back[:, 0], found) == pytest.approx(1000, abs=4)
    assert pitch(back[:, 1], found) == pytest.approx(1500, abs=4)
    assert np.std(back[:, 0]) == pytest.approx(np.std(stereo[0]), rel=0.05)
    assert np.std(back[:, 1]) == pytest.approx(np.std(stereo[1]), rel=0.2)


def test_lossy_formats_take_the_next_higher_rate_they_have():
    assert [file_rate(rate, "ogg") for rate in (4000, 8000, 16000, 22050, 44100, 48000, 96000)] == [
        8000,
        8000,
        16000,
        24000,
        48000,
        48000,
        48000,
    ]
    assert [file_rate(rate, "mp3") for rate in (10000, 22050, 44100, 50000)] == [11025, 22050, 44100, 48000]
    assert file_rate(12345, "wav") == file_rate(12345, "flac") == 12345


@pytest.mark.parametrize("ending", ["wav", "flac", "mp3"])
def test_same_wave_same_bytes(tmp_path, ending):
    for name in ("a", "b"):
        write_sound(tmp_path / f"{name}.{ending}", tone(16000), 16000)
    assert (tmp_path / f"a.{ending}").read_bytes() == (tmp_path / f"b.{ending}").read_bytes()


@pytest.mark.parametrize("ending", ["wav", "flac"])
def test_sixteen_bits_held_at_full_scale(tmp_path, ending):
    wave = np.array([0, 0.5, -0.25, 1, -1, 3, -3, np.nan, np.inf, -np.inf, 1 / 32768], np.float32)
    write_sound(tmp_path / f"a.{ending}", wave, 16000)
    pcm, _ = soundfile.read(tmp_path / f"a.{ending}", dtype="int16")
    assert pcm.tolist() == [0, 16384, -8192, 32767, -32768, 32767, -32768, 0, 32767, -32768, 1]


def test_long_sounds(tmp_path):
    wave = tone(48000, seconds=30)
    write_sound(tmp_path / "a.ogg", wave, 48000)
    assert soundfile.info(str(tmp_path / "a.ogg")).frames == len(wave)


def test_a_given_format_outweighs_the_ending(tmp_path):
    write_sound(tmp_path / "a.bin", tone(16000), 16000, "flac")
    assert soundfile.info(str(tmp_path / "a.bin")).format == "FLAC"


def test_mistakes_are_named(tmp_path, monkeypatch):
    with pytest.raises(UserError, match="'flac2' is not allowed.*flac.*allowed: wav, flac, ogg, opus, mp3"):
        write_sound(tmp_path / "a.flac2", tone(8000), 8000)
    with pytest.raises(UserError, match="'' is not allowed"):
        write_sound(tmp_path / "a", tone(8000), 8000)
    with pytest.raises(UserError, match="cannot write .*a.mp3"):
        write_sound(tmp_path / "a.mp3", np.zeros((3, 4000), "f"), 8000)
    known = soundfile.check_format
    monkeypatch.setattr(soundfile, "check_format", lambda major, minor: major != "MP3" and known(major, minor))
    with pytest.raises(UserError, match="libsndfile cannot write mp3; allowed: wav, flac, ogg, opus$"):
        write_sound(tmp_path / "a.mp3", tone(8000), 8000)
    assert list(tmp_path.iterdir()) == []


def test_a_sound_is_whole_or_absent(tmp_path, monkeypatch):
    path = tmp_path / "a.wav"
    write_sound(path, tone(8000), 8000)
    before = path.read_bytes()

    def full_disk(self, data):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(soundfile.SoundFile, "write", full_disk)
    with pytest.raises(UserError, match="cannot write .*a.wav: .*No space"):
        write_sound(path, 0 * tone(8000), 8000)
    assert path.read_bytes() == before and [file.name for file in tmp_path.iterdir()] == ["a.wav"]
