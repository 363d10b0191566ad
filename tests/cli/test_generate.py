import hashlib
import io
import json
import struct
import subprocess
import sys
import zipfile

import numpy as np
import pytest
import soundfile
from instrument import RATE, SECONDS, cents, frequency, sines
from PIL import Image
from tiny import TONES

from pggan_framework import run as train
from pggan_framework.cli.generate import run
from pggan_framework.cli.main import main
from pggan_framework.errors import UserError
from pggan_framework.growth import Growth
from pggan_framework.labels import Attribute, LabelSpace
from pggan_framework.networks import Generator
from pggan_framework.pretrained import Pretrained

SPAN = tuple(range(57, 70))


@pytest.fixture
def model(tmp_path, monkeypatch):
    """Sets what a checkpoint is taken to hold; by default a model of sines, conditioned on pitch."""
    held = [sines(pitch=SPAN)]
    monkeypatch.setattr("pggan_framework.pretrained.load_generator", lambda path, weights="ema": held[0])
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.pt").touch()
    return lambda other: held.__setitem__(0, other)


@pytest.fixture
def pictures(model):
    generator = Generator(Growth.of((3, 16, 16)), fmap_base=32, fmap_max=4, latent_size=4)
    model(Pretrained(generator.eval(), None, 5000, {}))


def names(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def digests(folder):
    return {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in names(folder)}


def midi_file(path, *notes):
    """One beat each, 0.5 s."""
    data = b"".join(b"\x00\x90" + bytes([note, 100]) + b"\x83\x60\x80" + bytes([note, 0]) for note in notes)
    data += b"\x00\xff\x2f\x00"
    path.write_bytes(b"MThd\x00\x00\x00\x06\x00\x00\x00\x01\x01\xe0MTrk" + struct.pack(">I", len(data)) + data)


def test_samples_of_a_trained_checkpoint(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    short = {**TONES, "total_kimg": 0.02, "result_dir": "results"}
    result = train(config=[], overrides=short)
    capsys.readouterr()
    for model in ("latest", str(result.path), str(next(result.path.glob("*.pt")))):
        assert main(["generate", model, "--count", "3", "--seed", "5", "--griffin_lim_iter", "2"]) == 0
    folders = sorted((result.path / "generated").iterdir())
    assert [folder.name for folder in folders] == ["000", "001", "002"]
    assert f"written to {folders[0]}\n" in capsys.readouterr().out
    stems = [f"seed000{seed}" for seed in (5, 6, 7)]
    assert names(folders[0]) == sorted([f"{s}.{e}" for s in stems for e in ("png", "wav")] + ["sheet.png"])
    assert digests(folders[0]) == digests(folders[1]) == digests(folders[2])
    # whatever else is asked for, a seed is the same bytes
    assert main(["generate", "latest", "--seeds", "9,6", "--griffin_lim_iter", "2", "--out", "more/of it"]) == 0
    more = digests(tmp_path / "more" / "of it")
    assert more["seed0006.wav"] == digests(folders[0])["seed0006.wav"]
    assert more["seed0006.png"] == digests(folders[0])["seed0006.png"]
    assert more["seed0009.wav"] != more["seed0006.wav"]


def test_labels_are_given_or_drawn(model, tmp_path):
    model(sines(pitch=SPAN, velocity=(60, 120)))
    assert run(["net.pt", "--seeds", "0-2", "--label", "pitch=60", "--label", "velocity=120", "--out", "out"]) == 0
    assert names(tmp_path / "out")[:2] == ["seed0000_pitch60_velocity120.png", "seed0000_pitch60_velocity120.wav"]
    for path in (tmp_path / "out").glob("*.wav"):
        wave, rate = soundfile.read(path)
        assert rate == RATE and len(wave) == round(SECONDS * RATE)
        assert abs(cents(frequency(wave), 60)) < 3
    run(["net.pt", "--count", "12", "--label", "velocity=60", "--out", "drawn"])
    found = {path.stem.split("_")[1] for path in (tmp_path / "drawn").glob("*.wav")}
    assert len(found) > 3  # 12 draws of 13 pitches
    for path in (tmp_path / "drawn").glob("*.wav"):
        _, pitch, velocity = path.stem.split("_")
        assert velocity == "velocity60"
        assert abs(cents(frequency(soundfile.read(path)[0]), int(pitch.removeprefix("pitch")))) < 3


def test_pictures_are_written_pixel_by_pixel(pictures, tmp_path):
    assert run(["net.pt", "--count", "2"]) == 0
    out = tmp_path / "generated" / "000"
    assert names(out) == ["seed0000.png", "seed0001.png", "sheet.png"]
    assert Image.open(out / "seed0000.png").size == (16, 16)
    run(["net.pt", "--interpolate", "3", "--seeds", "4,2"])
    assert names(tmp_path / "generated" / "001") == ["interpolation.png"]


def test_depths_below_the_trained_one(pictures, tmp_path, capsys):
    assert run(["net.pt", "--seeds", "3", "--depth", "1", "--out", "small"]) == 0
    assert Image.open(tmp_path / "small" / "seed0003.png").size == (8, 8)
    assert main(["generate", "net.pt", "--depth", "3"]) == 2
    message = "depth 3 is given, and the model is trained up to depth 2; allowed: 0 (4x4) to 2 (16x16)"
    assert message in capsys.readouterr().err


def test_files_or_the_sheet_alone(pictures, tmp_path):
    run(["net.pt", "--count", "2", "--only", "files", "--out", "files"])
    assert names(tmp_path / "files") == ["seed0000.png", "seed0001.png"]
    run(["net.pt", "--count", "2", "--only", "sheet", "--out", "sheet"])
    assert names(tmp_path / "sheet") == ["sheet.png"]


def test_a_zip_of_pictures_is_laid_out_as_stylegan2_ada_reads_it(model, tmp_path):
    space = LabelSpace((Attribute("kind", ("ankle boot", "bag")),))
    generator = Generator(Growth.of((3, 8, 8)), fmap_base=32, fmap_max=4, latent_size=4, label_space=space)
    rows = np.array([[0], [1]])
    model(Pretrained(generator.eval(), None, 5000, {}, (-1, 1), rows, np.array([1, 1])))
    assert run(["net.pt", "--count", "70", "--out", "deep/fakes.zip"]) == 0
    assert names(tmp_path / "deep") == ["fakes.zip"]
    run(["net.pt", "--count", "70", "--out", "one_by_one"])
    with zipfile.ZipFile(tmp_path / "deep" / "fakes.zip") as archive:
        assert archive.testzip() is None
        listed = json.loads(archive.read("dataset.json"))
        assert [name for name, _ in listed["labels"]] == archive.namelist()[:-1]
        for seed, (name, number) in enumerate(listed["labels"]):
            assert name == f"00000/seed{seed:04d}_kind-{('ankle-boot', 'bag')[number]}.png"
            pixels = np.asarray(Image.open(archive.open(name)), int)
            alone = np.asarray(Image.open(tmp_path / "one_by_one" / name.split("/")[1]), int)
            assert pixels.shape == (8, 8, 3) and abs(pixels - alone).max() <= 1
    assert {number for _, number in listed["labels"]} == {0, 1}
    assert listed["attributes"] == [{"name": "kind", "values": ["ankle boot", "bag"]}]
    run(["net.pt", "--count", "70", "--out", "again.zip"])
    assert (tmp_path / "again.zip").read_bytes() == (tmp_path / "deep" / "fakes.zip").read_bytes()


def test_a_zip_of_sounds_and_of_what_has_no_labels(model, tmp_path):
    model(sines(pitch=SPAN, velocity=(60, 120)))
    assert run(["net.pt", "--seeds", "4,2", "--label", "pitch=58", "--label", "velocity=60", "--out", "a.zip"]) == 0
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        first, second, last = archive.namelist()
        assert (first, last) == ("00000/seed0004_pitch58_velocity60.wav", "dataset.json")
        assert abs(cents(frequency(soundfile.read(io.BytesIO(archive.read(second)))[0]), 58)) < 3
        seen = [0.0] * (len(SPAN) + 2)  # one-hot: 58 is the second pitch, 60 the first velocity
        seen[1] = seen[len(SPAN)] = 1.0
        assert json.loads(archive.read("dataset.json"))["labels"] == [[first, seen], [second, seen]]
    model(sines())
    run(["net.pt", "--count", "1", "--out", "b.zip"])
    assert json.loads(zipfile.ZipFile(tmp_path / "b.zip").read("dataset.json")) == {"labels": None}


def test_a_zip_that_cannot_be_finished_is_not_there(model, tmp_path, monkeypatch):
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pggan_framework.playing.archive._encoded", full)
    with pytest.raises(UserError, match="cannot write a.zip: No space left on device"):
        run(["net.pt", "--out", "a.zip"])
    assert names(tmp_path) == ["net.pt"]


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


def test_a_walk_as_one_sound(model, tmp_path, capsys):
    assert run(["net.pt", "--interpolate", "4", "--seeds", "1,5,2", "--label", "pitch=64", "--out", "out"]) == 0
    assert names(tmp_path / "out") == ["interpolation.png", "interpolation.wav"]
    wave, rate = soundfile.read(tmp_path / "out" / "interpolation.wav")
    clip = round(SECONDS * rate)
    assert len(wave) == 8 * (clip - round(0.1 * clip)) + clip
    assert abs(cents(frequency(wave[clip : 2 * clip]), 64)) < 10
    assert np.sqrt(np.mean(wave.reshape(-1)[: 8 * 7000].reshape(8, -1) ** 2, axis=1)).min() > 0.1
    assert "9 steps through 3 seeds" in capsys.readouterr().out
    run(["net.pt", "--interpolate", "4", "--seconds", "2", "--out", "short"])
    assert soundfile.info(tmp_path / "short" / "interpolation.wav").duration == pytest.approx(2, abs=0.001)


def test_a_kit(model, tmp_path, capsys):
    assert run(["net.pt", "--kit", "--seed", "2", "--release_ms", "400", "--out", "out"]) == 0
    assert names(tmp_path / "out") == ["kit.sfz", *(f"samples/seed0002_pitch{pitch}.wav" for pitch in SPAN)]
    text = (tmp_path / "out" / "kit.sfz").read_text()
    assert "ampeg_release=0.4" in text and "net.pt, seed 2" in text
    assert "13 samples on keys 57 to 69" in capsys.readouterr().out
    model(sines())
    assert run(["net.pt", "--kit", "--out", "pads"]) == 0
    assert len(names(tmp_path / "pads" / "samples")) == 16


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "RUN"),
        (["none.pt"], "none.pt does not exist"),
        (["latest"], "there is no run with a checkpoint in results"),
        (["net.pt", "--sead", "1"], "--sead"),
        (["net.pt", "--seeds", "1,x"], "--seeds '1,x' is given; allowed: numbers and rising ranges, as in 0-35,77"),
        (["net.pt", "--seeds", "5-3"], "--seeds '5-3'"),
        (["net.pt", "--seeds", ""], "--seeds ''"),
        (["net.pt", "--seeds", "0-999999999"], "too many seeds"),
        (["net.pt", "--seeds", "1", "--count", "2"], "--seeds is given with --count or --seed"),
        (["net.pt", "--count", "0"], "--count is 0; allowed: 1 or more"),
        (["net.pt", "--seed", "-1"], "--seed is -1; allowed: 0 or more"),
        (["net.pt", "--label", "pitch"], "--label 'pitch' is given; allowed: NAME=VALUE"),
        (["net.pt", "--label", "pitch=60", "--label", "pitch=61"], "--label pitch is given twice"),
        (["net.pt", "--label", "pitch=20"], "pitch '20' is not known; allowed: 57, 58, 59, 60, 61, ..., 68, 69"),
        (["net.pt", "--label", "pich=60"], "there is no label 'pich' (did you mean 'pitch'?); allowed: pitch"),
        (["net.pt", "--play", "scale", "--kit"], "--play and --kit are given; allowed: one of them"),
        (["net.pt", "--voices", "one"], "--voices is given without --play"),
        (["net.pt", "--kit", "--seconds", "2"], "--seconds is given without --play or --interpolate"),
        (["net.pt", "--play", "scale", "--seconds", "0"], "--seconds is 0; allowed: above 0"),
        (["net.pt", "--play", "scale", "--seconds", "nan"], "--seconds is nan; allowed: above 0"),
        (["net.pt", "--play", "scale", "--attack_ms", "nan"], "--attack_ms is nan; allowed: 0 or more"),
        (["net.pt", "--play", "scale", "--count", "2"], "--play plays one seed"),
        (["net.pt", "--play", "scale", "--label", "pitch=60"], "--play chooses the pitches; leave it out"),
        (["net.pt", "--play", "tune.mid"], "there is no MIDI file tune.mid; allowed: scale, major or a .mid file"),
        (["net.pt", "--play", "net.pt"], "net.pt cannot be read as a MIDI file"),
        (["net.pt", "--play", "empty.mid"], "empty.mid holds no notes"),
        (["net.pt", "--play", "empty.mid", "--seconds", "1"], "a MIDI file has its own"),
        (["net.pt", "--interpolate", "0"], "--interpolate is 0; allowed: 1 or more"),
        (["net.pt", "--interpolate", "2", "--seeds", "1"], "1 is given; allowed: two or more"),
        (["net.pt", "--interpolate", "10000"], "a walk of 10001 steps is asked for; allowed: up to 10000"),
        (["net.pt", "--interpolate", "9000"], "a walk of 9001 steps lasts 4148 s; allowed: 3600; give --seconds"),
        (["net.pt", "--interpolate", "2", "--seconds", "9"], "--seconds 9 does not fit 3 clips; allowed: 0.51 to 1.54"),
        (["net.pt", "--kit", "--count", "2"], "a kit of a model conditioned on pitch is one: --seed N"),
        (["net.pt", "--kit", "--format", "mp3"], "allowed for a kit: wav, flac, ogg"),
        (["net.pt", "--format", "wave"], "sound format 'wave' is not allowed (did you mean 'wav'?)"),
        (["net.pt", "--griffin_lim_iter", "-1"], "--griffin_lim_iter is -1"),
        (["net.pt", "--out", "full"], "full exists already"),
        (["net.pt", "--out", "fakes.zip"], "fakes.zip exists already"),
        (["net.pt", "--out", "net.pt/fakes.zip"], "cannot write net.pt/fakes.zip: "),
        (["net.pt", "--out", "kit.zip", "--kit"], "--out kit.zip is a zip, which holds single samples"),
        (["net.pt", "--out", "new.zip", "--only", "sheet"], "allowed: a folder for --only"),
        (["net.pt", "--kit", "--only", "files"], "--only is given with --kit"),
        (["net.pt", "--only", "sheet", "--count", "100"], "100 samples are asked for on one sheet; allowed"),
        (["net.pt", "--label", "pitch="], "pitch '' is not known"),
        (["net.pt", "--weights", "mean"], "--weights: invalid choice: 'mean'"),
        (["net.pt", "--truncation", "0"], "--truncation is 0; allowed: 0.01 or more"),
        (["net.pt", "--truncation", "nan"], "--truncation is nan; allowed: 0.01 or more"),
        (["net.pt", "--depth", "9"], "depth 9 is given, and the model is trained up to depth"),
        (["net.pt", "--depth", "-1"], "depth -1 is given"),
        (["net.pt", "--out", "net.pt/deep"], "cannot make the folder net.pt/deep"),
    ],
)
def test_what_cannot_be_is_one_line(words, message, model, tmp_path, capsys):
    midi_file(tmp_path / "empty.mid")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    (tmp_path / "fakes.zip").touch()
    before = names(tmp_path)
    assert main(["generate", *words]) == 2
    out, error = capsys.readouterr()
    assert error.startswith("error: ") and message in error and error.count("\n") == 1 and not out
    assert names(tmp_path) == before
    assert not (tmp_path / "generated").exists()


def test_files_that_are_no_checkpoint(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.pt").write_bytes(b"hello")
    with pytest.raises(UserError, match="net.pt cannot be read as a checkpoint"):
        run(["net.pt"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="empty is no run's folder"):
        run(["empty"])


@pytest.mark.parametrize("flag", [["--play", "scale"], ["--kit"], ["--format", "wav"], ["--refine_iter", "3"]])
def test_models_of_pictures_make_no_sound(flag, pictures):
    with pytest.raises(UserError, match=f"{flag[0]} needs a model of sound; net.pt makes pictures"):
        run(["net.pt", *flag])


def test_models_without_pitch_or_labels(model):
    model(sines())
    with pytest.raises(UserError, match="--play needs a model conditioned on pitch, .*; this one's labels are none"):
        run(["net.pt", "--play", "scale"])
    with pytest.raises(UserError, match="the label pitch is given, but the model was trained without labels"):
        run(["net.pt", "--label", "pitch=60"])


def test_help_is_quick():
    code = (
        "import sys; from pggan_framework.cli.main import main; main(sys.argv[1:]); assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code, "generate", "-h"], capture_output=True, text=True, check=True)
    assert "--play WHAT" in done.stdout and "generate results/003-notes --kit" in done.stdout
