import subprocess
import sys

import numpy as np
import pytest
import soundfile
from instrument import RATE, SECONDS, cents, frequency, sines
from PIL import Image
from tiny import TONES
from written import digests, names

from pggan_framework import run as train
from pggan_framework.cli.generate import run
from pggan_framework.cli.main import main
from pggan_framework.errors import UserError
from pggan_framework.labels.attributes import Attribute, LabelSpace
from pggan_framework.models.pretrained import Pretrained
from pggan_framework.networks import Generator
from pggan_framework.schedules.growth import Growth

SPAN = tuple(range(57, 70))


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
    # whatever else is requested, a seed is the same bytes
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


@pytest.fixture
def labelled(model):
    """Takes it for a model of images 8x8 of three kinds and an age; returns the model."""
    space = LabelSpace((Attribute("kind", ("ankle boot", "bag", "coat")), Attribute("age", span=(0.0, 4.0))))
    generator = Generator(Growth.of((3, 8, 8)), fmap_base=32, fmap_max=4, latent_size=4, label_space=space)
    rows = np.array([[0.0, 0.0], [1.0, 4.0]])
    held = Pretrained(generator.eval(), None, 5000, {}, (-1, 1), rows, np.array([3, 1]))
    model(held)
    return held


def test_every_value_of_a_label_a_column_each(labelled, tmp_path, capsys):
    words = ["--seeds", "7,3", "--every", "kind", "--label", "age=2", "--resolution", "1"]
    assert run(["net.pt", *words, "--out", "out"]) == 0
    kinds = ("ankle-boot", "bag", "coat")
    stems = [f"seed000{seed}_kind-{kind}_age2" for seed in (3, 7) for kind in kinds]
    assert names(tmp_path / "out") == [*(f"{stem}.png" for stem in stems), "sheet.png"]
    assert "6 images, sheet.png; a row for each seed, a column for each kind" in capsys.readouterr().out
    sheet = np.asarray(Image.open(tmp_path / "out" / "sheet.png"))
    assert sheet.shape == (18, 28, 3)
    for row, seed in enumerate((7, 3)):
        for column, kind in enumerate(kinds):
            alone = np.asarray(Image.open(tmp_path / "out" / f"seed000{seed}_kind-{kind}_age2.png"))
            np.testing.assert_array_equal(sheet[10 * row : 10 * row + 8, 10 * column : 10 * column + 8], alone)
            label = np.array([[float(column), 2.0]])
            picture = labelled.generate(labelled.latents(1, seed), label)[0]
            np.testing.assert_array_equal(alone, np.rint((picture + 1) * 127.5).transpose(1, 2, 0))


def test_some_values_of_a_label(labelled, tmp_path):
    run(["net.pt", "--count", "1", "--every", "age=4, 0.5", "--label", "kind=bag", "--out", "out"])
    assert names(tmp_path / "out")[:2] == ["seed0000_kind-bag_age0.5.png", "seed0000_kind-bag_age4.png"]
    run(["net.pt", "--every", "kind=bag,coat", "--only", "sheet", "--out", "six"])
    assert names(tmp_path / "six") == ["sheet.png"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--every", "knd"], "--every: there is no label 'knd' (did you mean 'kind'?); allowed: kind, age"),
        (["--every", "kind=bag,bot"], "kind 'bot' is not known"),
        (["--every", "kind="], "kind '' is not known"),
        (["--every", "age"], "--every age: age is a number from 0 to 4; name some: --every age=A,B"),
        (["--every", "age=5"], "age '5' is not allowed; allowed: a number from 0 to 4"),
        (["--every", "kind", "--label", "kind=bag"], "--label kind=bag is given with --every kind; omit one"),
        (["--every", "kind", "--kit"], "--every is given with --kit, which chooses labels itself"),
        (["--every", "kind", "--count", "400000", "--out", "a.zip"], "1200000 samples are requested; allowed: up to"),
        (["--every", "kind", "--count", "22", "--only", "sheet"], "66 samples are requested on one grid"),
        (["--label", "age=bag"], "age 'bag' is not allowed; allowed: a number from 0 to 4"),
        (["--label", "colour=red"], "there is no label 'colour'; allowed: kind, age"),
    ],
)
def test_labels_that_cannot_be_are_one_line(words, message, labelled, refused):
    refused(["net.pt", *words], message)


def test_every_needs_labels(pictures, refused):
    refused(["net.pt", "--every", "kind"], "--every kind is given, but the model was trained without labels")


def test_files_or_the_sheet_alone(pictures, tmp_path):
    run(["net.pt", "--count", "2", "--only", "files", "--out", "files"])
    assert names(tmp_path / "files") == ["seed0000.png", "seed0001.png"]
    run(["net.pt", "--count", "2", "--only", "sheet", "--out", "sheet"])
    assert names(tmp_path / "sheet") == ["sheet.png"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "RUN"),
        (["none.pt"], "none.pt does not exist"),
        (["latest"], "there is no run with a checkpoint in results"),
        (["net.pt", "--sead", "1"], "--sead"),
        (["net.pt", "--seeds", "1,x"], "--seeds '1,x' is given; allowed: numbers and ascending ranges, as in 0-35,77"),
        (["net.pt", "--seeds", "5-3"], "--seeds '5-3'"),
        (["net.pt", "--seeds", ""], "--seeds ''"),
        (["net.pt", "--seeds", "0-999999999"], "too many or too large seeds"),
        (["net.pt", "--seeds", "1", "--count", "2"], "--seeds is given with --count or --seed"),
        (["net.pt", "--count", "0"], "--count is 0; allowed: 1 or more"),
        (["net.pt", "--seed", "-1"], "--seed is -1; allowed: 0 or more"),
        (["net.pt", "--label", "pitch"], "--label 'pitch' is given; allowed: NAME=VALUE"),
        (["net.pt", "--label", "pitch=60", "--label", "pitch=61"], "--label pitch is given twice"),
        (["net.pt", "--label", "pitch=20"], "pitch '20' is not known; allowed: 57, 58, 59, 60, 61, ..., 68, 69"),
        (["net.pt", "--label", "pich=60"], "there is no label 'pich' (did you mean 'pitch'?); allowed: pitch"),
        (["net.pt", "--out", "full"], "full exists already"),
        (["net.pt", "--out", "fakes.zip"], "fakes.zip exists already"),
        (["net.pt", "--out", "net.pt/fakes.zip"], "cannot write net.pt/fakes.zip: "),
        (["net.pt", "--out", "new.zip", "--only", "sheet"], "allowed: a folder for --only"),
        (["net.pt", "--only", "sheet", "--count", "100"], "100 samples are requested on one grid; allowed"),
        (["net.pt", "--label", "pitch="], "pitch '' is not known"),
        (["net.pt", "--weights", "mean"], "--weights: invalid choice: 'mean'"),
        (["net.pt", "--truncation", "0"], "--truncation is 0; allowed: 0.01 or more"),
        (["net.pt", "--truncation", "nan"], "--truncation is nan; allowed: 0.01 or more"),
        (["net.pt", "--depth", "9"], "depth 9 is given, and the model is trained up to depth"),
        (["net.pt", "--depth", "-1"], "depth -1 is given"),
        (["net.pt", "--out", "net.pt/deep"], "cannot make the folder net.pt/deep"),
    ],
)
def test_what_cannot_be_is_one_line(words, message, model, refused):
    refused(words, message)


def test_files_that_are_no_checkpoint(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.pt").write_bytes(b"hello")
    with pytest.raises(UserError, match="net.pt cannot be read as a checkpoint"):
        run(["net.pt"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="empty is not a run's folder"):
        run(["empty"])


def test_help_is_quick():
    code = (
        "import sys; from pggan_framework.cli.main import main; main(sys.argv[1:]); assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code, "generate", "-h"], capture_output=True, text=True, check=True)
    assert "--play WHAT" in done.stdout and "generate results/003-notes --kit" in done.stdout
