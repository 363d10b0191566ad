"""SoundSaver: files, pitch at every depth, agreement with the codec."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile

from pggan_framework.audio import build_codec
from pggan_framework.data.base import box_mean
from pggan_framework.errors import UserError
from pggan_framework.postprocessors.sound import SoundSaver
from pggan_framework.schedules.growth import Growth


@pytest.fixture(scope="module")
def tone_codec():
    wave = (0.5 * np.sin(2 * np.pi * 1000 * np.arange(128 * 64) / 16000)).astype(np.float32)
    codec = build_codec("abslog", n_fft=256, hop_length=64, margin=0).fit([wave])
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
        "sounds/here/fakes_sound_000120_all.wav",
        "sounds/here/reals_sound_00.wav",
    ]
    assert [a.name for a in fakes] == ["fakes_sound_00", "fakes_sound_01", "fakes_sound_all"]
    assert {a.kind for a in fakes} == {"audio"}
    assert len(list(fakes[0].path.parent.iterdir())) == 4
    info = soundfile.info(str(fakes[0].path))
    assert (info.samplerate, info.frames, info.subtype) == (16000, codec.samples, "PCM_16")
    written, _ = soundfile.read(fakes[0].path)
    assert np.sqrt(np.mean(written**2)) == pytest.approx(np.sqrt(np.mean(wave.astype(float) ** 2)), rel=0.06)


def test_a_tone_keeps_its_pitch_at_every_depth(tmp_path, tone_codec):
    codec, picture, _ = tone_codec
    # 1 kHz is bin 16 of 128; at a lower depth it must be in the box of bins that holds bin 16, one bin more at most.
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


@pytest.mark.parametrize("name", ["mellog", "if", "ifmel"])
def test_other_codecs_keep_the_pitch_at_every_depth(tmp_path, name):
    wave = (0.5 * np.sin(2 * np.pi * 1000 * np.arange(128 * 64) / 16000)).astype(np.float32)
    codec = build_codec(name, n_fft=256, hop_length=64, frames=128, margin=0).fit([wave])
    growth, rows = Growth.of(codec.shape), codec.row_hz()
    saves = saver(tmp_path, codec, griffin_lim_iter=16)
    own = int(np.abs(rows - 1000).argmin())
    for depth in range(growth.max_depth + 1):
        height, width = growth.shape_at(depth)[1:]
        (artifact,) = saves.save(box_mean(codec.encode(wave)[None], (height, width)).astype("f"), "fakes", depth)
        heard, rate = soundfile.read(artifact.path)
        power = np.abs(np.fft.rfft(heard)) ** 2
        peak = np.fft.rfftfreq(len(heard), 1 / rate)[power.argmax()]
        # In the rows of the pixel that holds 1 kHz, or one bin of the transform next to them.
        first = own - own % (len(rows) // height)
        last = first + len(rows) // height - 1
        assert rows[first] - 62.5 <= peak <= rows[last] + 62.5
        assert power[-1] / power.sum() < 1e-4


@pytest.mark.parametrize("format", ["wav", "flac"])
@pytest.mark.parametrize("name", ["abslog", "if"])
def test_levels_apart_stay_apart_in_the_file(tmp_path, name, format):
    time = np.arange(16384) / 16000
    quiet = 10 ** (-26 / 20)
    wave = 0.5 * np.sin(2 * np.pi * 1000 * time) + 0.5 * quiet * np.sin(2 * np.pi * 3000 * time)
    codec = build_codec(name, n_fft=512, hop_length=128, frames=128, margin=0).fit([wave.astype(np.float32)])
    saves = saver(tmp_path, codec, griffin_lim_iter=32, format=format)
    (artifact,) = saves.save(codec.encode(wave.astype(np.float32))[None], "fakes", 0)
    assert artifact.path.suffix == f".{format}"
    heard, rate = soundfile.read(artifact.path)
    inner = heard[4096:12288]
    power = np.abs(np.fft.rfft(inner * np.hanning(len(inner)))) ** 2
    hertz = np.fft.rfftfreq(len(inner), 1 / rate)
    loud, soft = (10 * np.log10(power[np.abs(hertz - tone) < 40].sum()) for tone in (1000, 3000))
    assert loud - soft == pytest.approx(26, abs=0.5)
    assert power[-40:].sum() / power.sum() < 1e-4


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


@pytest.mark.parametrize("format", ["wav", "flac"])
def test_same_seed_same_bytes(tmp_path, tone_codec, format):
    codec, picture, _ = tone_codec
    contents = []
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        (tmp_path / name).mkdir()
        saves = saver(tmp_path / name, codec, seed=seed, griffin_lim_iter=2, format=format)
        contents.append([artifact.path.read_bytes() for artifact in saves.save(np.stack([picture] * 2), "fakes", 1)])
    assert contents[0] == contents[1] and len(contents[0]) == 3
    assert all(one != other for one, other in zip(contents[0], contents[2], strict=True))


def test_what_is_too_loud_is_scaled_down_as_a_whole(tmp_path):
    codec = build_codec("raw", samples=16).fit([np.full(16, 2.0, "f")])
    picture = np.array([1, -1, 0.25, -0.25] * 4, "f").reshape(1, 1, 4, 4)
    (artifact,) = saver(tmp_path, codec, fade=False).save(picture, "fakes", 0)
    pcm, _ = soundfile.read(artifact.path, dtype="int16")
    assert pcm[:4].tolist() == [round(0.98 * 32768 * value) for value in (1, -1, 0.25, -0.25)]


def test_both_ends_are_faded_unless_the_data_loop(tmp_path):
    for fade in (True, False):
        saves, codec = raw_saver(tmp_path, fade=fade)
        (artifact,) = saves.save(np.full((1, *codec.shape), 0.5, "f"), "fakes", fade)
        wave, _ = soundfile.read(artifact.path)
        # 1.5 ms are 2 samples, at a quarter and three quarters of the way down half a cosine: 0.5 (1 +- cos(pi/4)) / 2.
        ends = [0.4268, 0.0732] if fade else [0.5, 0.5]
        assert np.all(wave[1:-2] == 0.5) and wave[-2:] == pytest.approx(ends, abs=1e-4)
        assert (wave[0] < 0.5) == fade


def test_silence_is_silent(tmp_path, tone_codec):
    codec, picture, _ = tone_codec
    (artifact,) = saver(tmp_path, codec).save(-np.ones_like(picture)[None], "fakes", 0)
    assert not soundfile.read(artifact.path)[0].any()


def test_stereo(tmp_path):
    stereo = np.random.default_rng(0).uniform(-0.5, 0.5, (2, 64)).astype(np.float32)
    codec = build_codec("raw", samples=64, channels=2).fit([stereo])
    (artifact,) = saver(tmp_path, codec, fade=False).save(codec.encode(stereo)[None], "fakes", 0)
    np.testing.assert_allclose(soundfile.read(artifact.path)[0].T, stereo, atol=1e-4)


def raw_saver(path, channels=1, samples=1600, **flags):
    """A saver of plain samples at 1600 Hz: what it is given is what it writes."""
    codec = build_codec("raw", sample_rate=1600, samples=samples, height=4, channels=channels)
    return saver(path, codec.fit([np.ones((channels, samples), "f")]), **flags), codec


@pytest.mark.parametrize("channels", [1, 2])
def test_a_strip_holds_all_samples_and_short_pauses(tmp_path, channels):
    saves, codec = raw_saver(tmp_path, channels, fade=False)
    levels = np.linspace(0.1, 0.8, 3 * channels, dtype=np.float32).reshape(3, channels, 1, 1)
    artifacts = saves.save(np.broadcast_to(levels, (3, *codec.shape)).copy(), "fakes", 7)
    assert [a.path.name for a in artifacts][-1] == "fakes_sound_000007_all.wav" and len(artifacts) == 4
    strip, rate = soundfile.read(artifacts[-1].path, always_2d=True)
    # A quarter of a second at 1600 Hz.
    assert rate == 1600 and strip.shape == (3 * 1600 + 2 * 400, channels)
    for number in range(3):
        start = number * 2000
        np.testing.assert_allclose(strip[start : start + 1600], np.tile(levels[number, :, 0, 0], (1600, 1)), atol=1e-4)
        assert not strip[start + 1600 : start + 2000].any()


def test_a_strip_is_not_made_of_one_sample_or_where_it_is_not_wanted(tmp_path):
    saves, codec = raw_saver(tmp_path)
    assert len(saves.save(np.zeros((1, *codec.shape), "f"), "fakes", 0)) == 1
    saves, codec = raw_saver(tmp_path, strip=False)
    assert len(saves.save(np.zeros((2, *codec.shape), "f"), "reals", 0)) == 2


@pytest.mark.parametrize("channels", [1, 2])
def test_gains(tmp_path, channels):
    levels = np.array([0.5, -0.05, 0], np.float32)

    def peaks(gain: str) -> list[float]:
        saves, codec = raw_saver(tmp_path, channels, gain=gain)
        pictures = np.broadcast_to(levels[:, None, None, None], (3, *codec.shape)).copy()
        pictures[:, 1:] /= 2  # the second channel is half as loud, and stays so
        found = []
        for artifact in saves.save(pictures, "fakes", 0)[:3]:
            wave, _ = soundfile.read(artifact.path, always_2d=True)
            assert channels == 1 or np.abs(wave[:, 1]).max() == pytest.approx(np.abs(wave[:, 0]).max() / 2, abs=1e-4)
            found.append(float(np.abs(wave).max()))
        return found

    full = 0.891251  # -1 dB
    assert peaks("keep") == pytest.approx([0.5, 0.05, 0], abs=1e-4)
    assert peaks("common") == pytest.approx([full, full / 10, 0], abs=1e-4)
    assert peaks("peak") == pytest.approx([full, full, 0], abs=1e-4)


@pytest.mark.parametrize("format", ["ogg", "opus", "mp3"])
def test_lossy_files(tmp_path, tone_codec, format):
    codec, picture, wave = tone_codec
    artifacts = saver(tmp_path, codec, format=format, griffin_lim_iter=4).save(np.stack([picture] * 2), "fakes", 0)
    assert [a.path.suffix for a in artifacts] == [f".{format}"] * 3
    heard, rate = soundfile.read(artifacts[0].path)
    peak = np.fft.rfftfreq(len(heard), 1 / rate)[np.abs(np.fft.rfft(heard)).argmax()]
    assert abs(peak - 1000) < 62.5 and np.std(heard) == pytest.approx(np.std(wave), rel=0.1)


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
    with pytest.raises(UserError, match="gain 'peek' .*peak"):
        SoundSaver(gain="peek")
    codec, picture, _ = tone_codec
    with pytest.raises(UserError, match="format 'ogx' .*ogg"):
        saver(tmp_path, codec, format="ogx")
    (tmp_path / "taken").write_text("a file where the folder should be")
    with pytest.raises(UserError, match="cannot write .*taken"):
        saver(tmp_path, codec, samples_path="taken", griffin_lim_iter=1).save(picture[None], "fakes", 0)
