import pytest
import soundfile
from instrument import RATE, cents, frequency, sines
from written import midi_file, names

from pggan_framework.cli.generate import run
from pggan_framework.errors import UserError

SPAN = tuple(range(57, 70))


@pytest.mark.parametrize(("format", "kind"), [("wav", "WAV"), ("flac", "FLAC"), ("ogg", "OGG"), ("mp3", "MP3")])
def test_formats(format, kind, model, tmp_path):
    run(["net.pt", "--count", "1", "--label", "pitch=69", "--format", format, "--out", "out"])
    path = tmp_path / "out" / f"seed0000_pitch69.{format}"
    assert soundfile.info(path).format == kind
    wave, rate = soundfile.read(path)
    assert abs(cents(frequency(wave) * rate / RATE, 69)) < 10


@pytest.mark.parametrize(("what", "pitches"), [("scale", SPAN), ("major", (57, 59, 60, 62, 64, 65, 67, 69))])
def test_a_scale(what, pitches, model, tmp_path, capsys):
    assert run(["net.pt", "--play", what, "--seconds", "0.25", "--seed", "3", "--out", "out"]) == 0
    wave, rate = soundfile.read(tmp_path / "out" / f"{what}_seed0003.wav")
    assert len(wave) == round((0.25 * len(pitches) + 0.15) * rate)
    for number, pitch in enumerate(pitches):
        # past the release of the note before
        heard = wave[round((0.25 * number + 0.15) * rate) : round((0.25 * number + 0.25) * rate)]
        assert abs(cents(frequency(heard), pitch)) < 5
    assert f"{len(pitches)} notes, {0.25 * len(pitches) + 0.15:.2f} s" in capsys.readouterr().out


def test_a_midi_file(model, tmp_path, capsys):
    midi_file(tmp_path / "my tune.mid", 60, 72, 64)
    assert run(["net.pt", "--play", "my tune.mid", "--release_ms", "0", "--out", "out"]) == 0
    wave, rate = soundfile.read(tmp_path / "out" / "my tune_seed0000.wav")
    assert len(wave) == round(1.5 * rate)
    for number, pitch in enumerate((60, 60, 64)):
        assert abs(cents(frequency(wave[round(number * 0.5 * rate) : round((number + 1) * 0.5 * rate)]), pitch)) < 5
    assert "1 of 3 notes: outside the model's range, 57 to 69, moved by octaves" in capsys.readouterr().out


def test_a_kit(model, tmp_path, capsys):
    assert run(["net.pt", "--kit", "--seed", "2", "--release_ms", "400", "--out", "out"]) == 0
    assert names(tmp_path / "out") == ["kit.sfz", *(f"samples/seed0002_pitch{pitch}.wav" for pitch in SPAN)]
    text = (tmp_path / "out" / "kit.sfz").read_text()
    assert "ampeg_release=0.4" in text and "net.pt, seed 2" in text
    assert "13 samples on keys 57 to 69" in capsys.readouterr().out
    model(sines())
    assert run(["net.pt", "--kit", "--out", "pads"]) == 0
    assert len(names(tmp_path / "pads" / "samples")) == 16


@pytest.mark.parametrize("flag", [["--play", "scale"], ["--kit"], ["--format", "wav"], ["--refine_iter", "3"]])
def test_models_of_pictures_make_no_sound(flag, pictures):
    with pytest.raises(UserError, match=f"{flag[0]} needs a model of sound; net.pt makes images"):
        run(["net.pt", *flag])


def test_models_without_pitch_or_labels(model):
    model(sines())
    with pytest.raises(UserError, match="--play needs a model conditioned on pitch, .*; this one's labels are none"):
        run(["net.pt", "--play", "scale"])
    with pytest.raises(UserError, match="the label pitch is given, but the model was trained without labels"):
        run(["net.pt", "--label", "pitch=60"])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["net.pt", "--play", "scale", "--kit"], "--play and --kit are given; allowed: one of them"),
        (["net.pt", "--voices", "one"], "--voices is given without --play"),
        (["net.pt", "--kit", "--seconds", "2"], "--seconds is given without --play or --interpolate"),
        (["net.pt", "--play", "scale", "--seconds", "0"], "--seconds is 0; allowed: above 0"),
        (["net.pt", "--play", "scale", "--seconds", "nan"], "--seconds is nan; allowed: above 0"),
        (["net.pt", "--play", "scale", "--attack_ms", "nan"], "--attack_ms is nan; allowed: 0 or more"),
        (["net.pt", "--play", "scale", "--count", "2"], "--play plays one seed"),
        (["net.pt", "--play", "scale", "--label", "pitch=60"], "--play chooses the pitches; omit it"),
        (["net.pt", "--play", "tune.mid"], "there is no MIDI file tune.mid; allowed: scale, major or a .mid file"),
        (["net.pt", "--play", "net.pt"], "net.pt cannot be read as a MIDI file"),
        (["net.pt", "--play", "empty.mid"], "empty.mid holds no notes"),
        (["net.pt", "--play", "empty.mid", "--seconds", "1"], "a MIDI file has its own"),
        (["net.pt", "--kit", "--count", "2"], "a kit of a model conditioned on pitch has one: --seed N"),
        (["net.pt", "--kit", "--format", "mp3"], "allowed for a kit: wav, flac, ogg"),
        (["net.pt", "--format", "wave"], "sound format 'wave' is not allowed (did you mean 'wav'?)"),
        (["net.pt", "--griffin_lim_iter", "-1"], "--griffin_lim_iter is -1"),
        (["net.pt", "--out", "kit.zip", "--kit"], "--out kit.zip is a zip, which holds single samples"),
        (["net.pt", "--kit", "--only", "files"], "--only is given with --kit"),
    ],
)
def test_what_cannot_be_played_is_one_line(words, message, model, refused):
    refused(words, message)
