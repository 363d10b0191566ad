import re

import numpy as np
import pytest
import soundfile
from instrument import RATE, cents, frequency, sines

from pggan_framework.audio import estimate_pitch
from pggan_framework.errors import UserError
from pggan_framework.generate.kit import FORMATS, evenly, make_kit, spans
from pggan_framework.generate.player import Player
from pggan_framework.generate.render import Touch


def parse(text):
    """An SFZ file by the rules of version 1: // comments, headers, opcodes inherited from <group>."""
    regions, group, current = [], {}, None
    for line in text.splitlines():
        line = line.partition("//")[0]
        for header, opcode, value in re.findall(r"<(\w+)>|(\w+)=([^\s=<]+)", line):
            if header == "group":
                group = current = {}
            elif header == "region":
                current = dict(group)
                regions.append(current)
            else:
                assert not header and current is not None
                assert opcode not in current or current is not group
                current[opcode] = value
    return regions


def test_every_pitch_of_the_model_is_a_sample_in_tune(tmp_path):
    player = Player(sines(pitch=(57, 60, 61, 64)))
    said = make_kit(player, [7], tmp_path, "title", touch=Touch(2, 300))
    assert said == "kit.sfz with 4 samples on keys 57 to 64"
    regions = parse((tmp_path / "kit.sfz").read_text())
    assert [int(region["pitch_keycenter"]) for region in regions] == [57, 60, 61, 64]
    # 58 is nearer to 57, 59 to 60; 62 to 61, 63 to 64: each key has one region
    keys = [range(int(region["lokey"]), int(region["hikey"]) + 1) for region in regions]
    assert [list(r) for r in keys] == [[57, 58], [59, 60], [61, 62], [63, 64]]
    for region in regions:
        assert re.fullmatch(r"samples/seed0007_pitch\d\d\.wav", region["sample"])
        wave, rate = soundfile.read(tmp_path / region["sample"])
        assert rate == RATE
        assert abs(cents(frequency(wave), int(region["pitch_keycenter"]))) < 3
        assert abs(cents(estimate_pitch(wave, rate, 100, 1000), int(region["pitch_keycenter"]))) < 10
        assert float(region["ampeg_release"]) == 0.3 and float(region["ampeg_attack"]) == 0.002
        assert (region["lovel"], region["hivel"], region["loop_mode"]) == ("1", "127", "no_loop")
        assert float(region["volume"]) == 0 and region["amp_veltrack"] == "100"
    assert len(list((tmp_path / "samples").iterdir())) == 4


def test_velocity_layers_keep_their_levels(tmp_path):
    player = Player(sines(pitch=(60, 61), velocity=tuple(range(20, 121, 10))))
    make_kit(player, [0], tmp_path, "title", layers=3)
    regions = parse((tmp_path / "kit.sfz").read_text())
    assert len(regions) == 6
    layers = [region for region in regions if region["pitch_keycenter"] == "60"]
    assert [(region["lovel"], region["hivel"]) for region in layers] == [("1", "45"), ("46", "95"), ("96", "127")]
    assert [region["sample"] for region in layers] == [
        f"samples/seed0000_pitch60_velocity{velocity}.wav" for velocity in (20, 70, 120)
    ]
    peaks = [np.abs(soundfile.read(tmp_path / region["sample"])[0]).max() for region in layers]
    assert peaks[2] == pytest.approx(10 ** (-1 / 20), rel=0.02)  # the loudest of all, for the other key is alike
    assert peaks[0] / peaks[2] == pytest.approx(20 / 120, rel=0.02)
    assert {region["amp_veltrack"] for region in regions} == {"0"}


@pytest.mark.parametrize("values", [{}, {"kind": ("bass drum", "snare/rim")}])
def test_other_models_give_drum_pads(values, tmp_path):
    said = make_kit(Player(sines(**values)), [3, 9], tmp_path, "title", format="flac")
    assert said == "kit.sfz with 2 samples on keys 36 to 37"
    regions = parse((tmp_path / "kit.sfz").read_text())
    for region, key, seed in zip(regions, ("36", "37"), (3, 9), strict=True):
        assert region["lokey"] == region["hikey"] == region["pitch_keycenter"] == key
        assert region["loop_mode"] == "one_shot"
        kind = r"_kind-(bass-drum|snare-rim)" if values else ""
        assert re.fullmatch(rf"samples/seed000{seed}{kind}\.flac", region["sample"])
        assert soundfile.info(tmp_path / region["sample"]).format == "FLAC"


def test_more_pads_than_keys(tmp_path):
    with pytest.raises(UserError, match="93 seeds are given; allowed for a kit: 92, one per key"):
        make_kit(Player(sines()), range(93), tmp_path, "title")


def test_spans_and_layers():
    assert spans([60], 0, 127) == [(0, 127)]
    assert spans([10, 20, 21], 1, 127) == [(1, 15), (16, 20), (21, 127)]
    assert evenly([1, 2, 3], 4) == [1, 2, 3]
    assert evenly(range(10, 111), 3) == [10, 60, 110]
    assert evenly([1, 2, 3], 1) == [3]


@pytest.mark.parametrize("ending", FORMATS)
def test_samples_are_what_samplers_read(tmp_path, ending):
    make_kit(Player(sines(pitch=(60, 64))), [3], tmp_path, "title", format=ending)
    for region in parse((tmp_path / "kit.sfz").read_text()):
        info = soundfile.info(tmp_path / region["sample"])
        assert info.samplerate == RATE and info.subtype == {"wav": "PCM_16", "flac": "PCM_16", "ogg": "VORBIS"}[ending]


@pytest.mark.parametrize("ending", FORMATS)
def test_sfizz_plays_every_key_in_tune(tmp_path, ending):
    pysfizz = pytest.importorskip("pysfizz")
    player = Player(sines(pitch=(60, 64), velocity=(40, 120)))
    make_kit(player, [3], tmp_path, "title", format=ending, touch=Touch(0, 50))
    synth = pysfizz.Synth(sample_rate=48000, block_size=1024)
    assert synth.load_sfz_file(str(tmp_path / "kit.sfz"))
    levels = {}
    for key in range(60, 65):
        for velocity in (30, 110):
            heard = np.asarray(synth.render_note(key, velocity, 0.3, 0.4)).reshape(2, -1)[0]
            tone = heard[2400:12000]
            spectrum = np.abs(np.fft.rfft(tone * np.hanning(len(tone)), 1 << 18))
            found = spectrum[: len(spectrum) // 4].argmax() * 48000 / (1 << 18)
            assert abs(1200 * np.log2(found / (440 * 2 ** ((key - 69) / 12)))) < 5
            levels[key, velocity] = float(np.sqrt(np.mean(tone**2)))
    # The two layers are 3 times apart in level, and sfizz adds nothing to that.
    assert levels[60, 110] / levels[60, 30] == pytest.approx(3, rel=0.05)
