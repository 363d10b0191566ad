"""SoundSaver: files, pitch at every depth, agreement with the codec."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile

from pggan_framework.audio import build_codec
from pggan_framework.data.base import box_mean
from pggan_framework.errors import UserError
from pggan_framework.growth import Growth
from pggan_framework.postprocessors.sound import SoundSaver


@pytest.fixture(scope="module")
def tone_codec():
    wave = (0.5 * np.sin(2 * np.pi * 1000 * np.arange(128 * 64) / 16000)).astype(np.float32)
    codec = build_codec("abslog", n_fft=256, hop_length=64).fit([wave])
    return codec, codec.encode(wave), wave


def saver(path, codec, **flags) -> SoundSaver:
    built = SoundSaver(**flags)
    built.setup(path, Growth.of(codec.shape), codec)
    return built


def test_files_names_and_level(tmp_path, tone_codec):
    codec, picture, wave = tone_codec
    saves = saver(tmp_path, codec, samples_path="sounds/here")
    fakes = saves.save(np.stack([picture] * 2), "fakes", 120)
    reals = saves.save(picture[None], "reals", 0)
    assert [a.path.relative_to(tmp_path).as_posix() for a in fakes + reals] == [
        "sounds/here/fakes_sound_000120_00.wav",
        "sounds/here/fakes_sound_000120_01.wav",
        "sounds/here/reals_sound_00.wav",
    ]
    assert [a.name for a in fakes] == ["fakes_sound_00", "fakes_sound_01"] and fakes[0].kind == "audio"
    assert len(list(fakes[0].path.parent.iterdir())) == 3
    info = soundfile.info(str(fakes[0].path))
    assert (info.samplerate, info.frames, info.subtype) == (16000, codec.samples, "PCM_16")
    written, _ = soundfile.read(fakes[0].path)
    assert np.sqrt(np.mean(written**2)) == pytest.approx(np.sqrt(np.mean(wave.astype(float) ** 2)), rel=0.06)


def test_a_tone_keeps_its_pitch_at_every_depth(tmp_path, tone_codec):
    codec, picture, _ = tone_codec
    # 1 kHz is bin 16 of 128; at a lower depth it must lie in the box of bins that holds bin 16, one bin more at most.
    growth = Growth.of(codec.shape)
    saves = saver(tmp_path, codec, griffin_lim_iter=16)
    for depth in range(growth.max_depth + 1):
        height, width = growth.shape_at(depth)[1:]
        bins = 128 // height
        small = box_mean(picture[None], (height, width)).astype(np.float32)
        (artifact,) = saves.save(small, "fakes", depth)
        wave, rate = soundfile.read(artifact.path)
        assert (len(wave), rate) == (codec.samples, 16000)
        power = np.abs(np.fft.rfft(wave)) ** 2
        centre = (power * np.fft.rfftfreq(len(wave), 1 / rate)).sum() / power.sum()
        peak = np.fft.rfftfreq(len(wave), 1 / rate)[power.argmax()]
        low, high = 16 // bins * bins * 62.5, (16 // bins + 1) * bins * 62.5
        assert low - 62.5 <= peak <= high + 62.5
        if bins == 1:
            assert abs(peak - 1000) < 62.5 and abs(centre - 1000) < 62.5


def test_one_bin_stays_one_bin_when_only_time_is_coarse(tmp_path, tone_codec):
    codec, picture, _ = tone_codec
    growth = Growth.of(codec.shape)
    saves = SoundSaver(griffin_lim_iter=32)
    saves.setup(tmp_path, growth, codec)
    for columns in (128, 32, 4):
        (artifact,) = saves.save(box_mean(picture[None], (128, columns)), "fakes", columns)
        wave, rate = soundfile.read(artifact.path)
        peak = np.fft.rfftfreq(len(wave), 1 / rate)[np.abs(np.fft.rfft(wave)).argmax()]
        assert abs(peak - 1000) < 62.5


def test_same_seed_same_bytes(tmp_path, tone_codec):
    codec, picture, _ = tone_codec
    contents = []
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        (tmp_path / name).mkdir()
        (artifact,) = saver(tmp_path / name, codec, seed=seed, griffin_lim_iter=2).save(picture[None], "fakes", 1)
        contents.append(artifact.path.read_bytes())
    assert contents[0] == contents[1] != contents[2]


def test_what_is_too_loud_is_held_at_full_scale(tmp_path):
    codec = build_codec("raw", samples=16).fit([np.full(16, 2.0, "f")])
    picture = np.array([1, -1, 0.25, -0.25] * 4, "f").reshape(1, 1, 4, 4)
    (artifact,) = saver(tmp_path, codec).save(picture, "fakes", 0)
    pcm, _ = soundfile.read(artifact.path, dtype="int16")
    assert pcm[:4].tolist() == [32767, -32768, 16384, -16384]


def test_silence_is_silent(tmp_path, tone_codec):
    codec, picture, _ = tone_codec
    (artifact,) = saver(tmp_path, codec).save(-np.ones_like(picture)[None], "fakes", 0)
    assert not soundfile.read(artifact.path)[0].any()


def test_stereo(tmp_path):
    stereo = np.random.default_rng(0).uniform(-0.5, 0.5, (2, 64)).astype(np.float32)
    codec = build_codec("raw", samples=64, channels=2).fit([stereo])
    (artifact,) = saver(tmp_path, codec).save(codec.encode(stereo)[None], "fakes", 0)
    np.testing.assert_allclose(soundfile.read(artifact.path)[0].T, stereo, atol=1e-4)


def test_flags_that_repeat_the_codec_must_agree(tmp_path, tone_codec):
    codec, _, _ = tone_codec
    saver(tmp_path, codec, sample_rate=16000, hop_length=64)
    with pytest.raises(UserError, match="sample_rate 8000 .*has 16000"):
        saver(tmp_path, codec, sample_rate=8000)
    with pytest.raises(UserError, match="hop_length 128 .*has 64"):
        saver(tmp_path, codec, hop_length=128)
    with pytest.raises(UserError, match="hop_length 128 .*has none"):
        saver(tmp_path, build_codec("raw"), hop_length=128)


def test_mistakes_are_named(tmp_path, tone_codec):
    with pytest.raises(UserError, match="no codec"):
        SoundSaver().setup(tmp_path, Growth.of((1, 8, 8)), None)
    with pytest.raises(UserError, match="griffin_lim_iter -1"):
        SoundSaver(griffin_lim_iter=-1)
    with pytest.raises(UserError, match="refine_iter -2"):
        SoundSaver(refine_iter=-2)
    codec, picture, _ = tone_codec
    (tmp_path / "taken").write_text("a file where the folder should be")
    with pytest.raises(UserError, match="cannot write .*taken"):
        saver(tmp_path, codec, samples_path="taken", griffin_lim_iter=1).save(picture[None], "fakes", 0)
