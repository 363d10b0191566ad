import hashlib
import json
import subprocess
import sys

import numpy as np
import pytest
import soundfile
import torch
from PIL import Image
from tiny import TONES

from pggan_framework import run as train
from pggan_framework.audio import build_codec
from pggan_framework.cli.main import main
from pggan_framework.generate.samples import tile
from pggan_framework.labels.attributes import Attribute, LabelSpace
from pggan_framework.labels.maps import MapSpace, default_classes
from pggan_framework.models.pretrained import Pretrained
from pggan_framework.networks import DCGANGenerator, Generator
from pggan_framework.networks.spade import SPADEGenerator
from pggan_framework.schedules.growth import Growth

SHORT = ["--random", "30", "--restarts", "2", "--steps", "12"]


def of(generator, codec=None, rows=None):
    counts = None if rows is None else np.ones(len(rows), np.int64)
    return Pretrained(generator.eval(), codec, 5000, {}, (-1.0, 1.0), rows, counts)


def small(shape=(3, 8, 8), space=None):
    torch.manual_seed(1)
    return Generator(Growth.of(shape), fmap_base=64, fmap_max=8, latent_size=4, tanh_at_end=True, label_space=space)


def kinds():
    space = LabelSpace((Attribute("kind", ("ankle boot", "bag", "coat")),))
    return of(small(space=space), rows=np.array([[0], [1], [2]]))


def maps():
    drawn = np.zeros((2, 8, 8), np.uint8)
    drawn[0, :4] = drawn[1, :, :4] = 1
    space = MapSpace.of(default_classes(2), drawn.__getitem__, 2, (8, 8))
    torch.manual_seed(1)
    generator = SPADEGenerator(Growth.of((3, 8, 8)), fmap_base=16, fmap_max=4, latent_size=4, label_space=space)
    return of(generator, rows=np.arange(2)[:, None])


def sounds():
    codec = build_codec("abslog", sample_rate=8000, n_fft=32, hop_length=8, frames=16)
    codec.statistics = {"peak": 8.0}
    return of(small(codec.shape), codec)


@pytest.fixture
def model(tmp_path, monkeypatch):
    """Sets what a checkpoint is taken to hold; by default a model of images."""
    held = [of(small())]
    monkeypatch.setattr("pggan_framework.models.pretrained.load_generator", lambda path, weights="ema": held[0])
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.pt").touch()
    draw(held[0], tmp_path / "target.png")
    time = np.arange(4000) / 8000
    soundfile.write(tmp_path / "tone.wav", 0.4 * np.sin(2 * np.pi * 500 * time), 8000)
    return lambda other: held.__setitem__(0, other)


def draw(model, path, seed=7, label=None):
    tile(model.generate(model.latents(1, seed), label)[0]).save(path)


def names(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_a_picture(model, tmp_path, capsys):
    words = ["project", "net.pt", "target.png", "--random", "50", "--restarts", "3", "--steps", "60", "--out"]
    assert main([*words, "out"]) == 0
    out = capsys.readouterr().out
    assert names(tmp_path / "out") == ["latents.npz", "projected.png", "projection.json", "target.png", "way.png"]
    figures = json.loads((tmp_path / "out" / "projection.json").read_text())
    assert figures["found"] < figures["best_random"] / 5 and figures["random_latents"] == 50
    assert figures["factor"] == pytest.approx(figures["best_random"] / figures["found"])
    assert figures["pixel_rms"]["found"] < figures["pixel_rms"]["best_random"] / 5
    assert set(figures["terms"]) == {"pixels", "random"} and len(figures["restarts"]) == 3
    assert f"{figures['factor']:.2f} times nearer" in out and "written to out" in out
    target, found = (np.asarray(Image.open(tmp_path / "out" / f"{name}.png"), int) for name in ("target", "projected"))
    np.testing.assert_array_equal(target, np.asarray(Image.open(tmp_path / "target.png"), int))
    assert np.sqrt(np.mean((found - target) ** 2)) < 10
    way = Image.open(tmp_path / "out" / "way.png")
    assert way.width > 6 * way.height
    assert main([*words, "again"]) == 0
    for name in ("projection.json", "projected.png", "way.png"):
        one, two = ((tmp_path / folder / name).read_bytes() for folder in ("out", "again"))
        assert hashlib.sha256(one).digest() == hashlib.sha256(two).digest()
    stored = [np.load(tmp_path / folder / "latents.npz")["latents"] for folder in ("out", "again")]
    np.testing.assert_array_equal(*stored)


def test_generate_takes_what_was_found(model, tmp_path, capsys):
    model(kinds())
    draw(kinds(), tmp_path / "one.png", 3, np.array([[2]]))
    draw(kinds(), tmp_path / "two.png", 4, np.array([[2]]))
    assert main(["project", "net.pt", "one.png", "two.png", *SHORT, "--label", "kind=coat", "--out", "out"]) == 0
    assert "kind coat" in capsys.readouterr().out
    parts = ["latents.npz", "projected.png", "projection.json", "target.png", "way.png"]
    folders = [f"{target}/{part}" for target in ("one", "two") for part in parts]
    assert names(tmp_path / "out") == sorted(["latents.npz", "projected.png", *folders])
    assert main(["generate", "net.pt", "--latents", "out/latents.npz", "--out", "made"]) == 0
    assert names(tmp_path / "made") == ["latent0000_kind-coat.png", "latent0001_kind-coat.png", "sheet.png"]
    for index, target in enumerate(("one", "two")):
        made = np.asarray(Image.open(tmp_path / "made" / f"latent000{index}_kind-coat.png"), int)
        found = np.asarray(Image.open(tmp_path / "out" / target / "projected.png"), int)
        assert abs(made - found).max() <= 1
    assert main(["generate", "net.pt", "--latents", "out/latents.npz", "--interpolate", "2", "--out", "walk"]) == 0
    assert "3 steps" in capsys.readouterr().out
    words = ["generate", "net.pt", "--latents", "out/two/latents.npz", "--label", "kind=bag", "--seeds", "0"]
    assert main([*words, "--only", "files", "--out", "bag"]) == 0
    assert names(tmp_path / "bag") == ["latent0000_kind-bag.png"]


def test_two_files_of_one_name(model, tmp_path):
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "target.png").write_bytes((tmp_path / "target.png").read_bytes())
    assert main(["project", "net.pt", "target.png", "more/target.png", *SHORT, "--out", "out"]) == 0
    assert {path.name for path in (tmp_path / "out").iterdir() if path.is_dir()} == {"00_target", "01_target"}
    stored = [np.load(tmp_path / "out" / f"0{index}_target" / "latents.npz")["latents"] for index in (0, 1)]
    np.testing.assert_array_equal(*stored)  # what is found does not depend on the others
    np.testing.assert_array_equal(np.load(tmp_path / "out" / "latents.npz")["latents"], np.concatenate(stored))


def test_plain_latents_of_ones_own(model, tmp_path):
    np.savez(tmp_path / "own.npz", latents=of(small()).latents(2, 7).numpy())
    assert main(["generate", "net.pt", "--latents", "own.npz", "--out", "made"]) == 0
    made = np.asarray(Image.open(tmp_path / "made" / "latent0000.png"), int)
    assert abs(made - np.asarray(Image.open(tmp_path / "target.png"), int)).max() <= 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--latents", "none.npz"], "cannot read none.npz: No such file or directory"),
        (["--latents", "target.png"], "target.png is not a file of latents: an npz file with an array 'latents'"),
        (["--latents", "other.npz"], "other.npz is not a file of latents: an npz file"),
        (["--latents", "pickled.npz"], "pickled.npz is not a file of latents: an npz file"),
        (["--latents", "flat.npz"], "flat.npz is not a file of latents: they are [3]; allowed: finite [K, F]"),
        (["--latents", "nan.npz"], "nan.npz is not a file of latents: they are [1, 4]"),
        (["--latents", "long.npz"], "the stored latents have 5 numbers, this model's 4"),
        (["--latents", "good.npz", "--seeds", "0-2"], "seed 2 is requested; allowed of these latents: 0 to 1"),
        (["--latents", "good.npz", "--truncation", "1"], "--truncation is given with --latents"),
    ],
)
def test_latents_that_cannot_be(words, message, model, tmp_path, capsys):
    np.savez("other.npz", values=np.zeros((1, 4)))
    np.savez("pickled.npz", latents=np.array([{}], object))
    np.savez("flat.npz", latents=np.zeros(3))
    np.savez("nan.npz", latents=np.full((1, 4), np.nan))
    np.savez("long.npz", latents=np.zeros((1, 5)))
    np.savez("good.npz", latents=np.zeros((2, 4)))
    assert main(["generate", "net.pt", *words, "--out", "made"]) == 2
    out, error = capsys.readouterr()
    assert error.startswith("error: ") and message in error and error.count("\n") == 1 and not out
    assert not (tmp_path / "made").exists()


def test_a_sound(model, tmp_path, capsys):
    model(sounds())
    assert main(["project", "net.pt", "tone.wav", *SHORT, "--keep", "2", "--out", "out"]) == 0
    parts = ["all.png", "latents.npz", "projected.png", "projected.wav", "projected_1.wav", "projection.json"]
    assert names(tmp_path / "out") == [*parts, "target.png", "target.wav", "way.png"]
    for name in ("target", "projected", "projected_1"):
        wave, rate = soundfile.read(tmp_path / "out" / f"{name}.wav")
        assert (rate, len(wave)) == (8000, (16 - 2 * 2) * 8)
    heard, _ = soundfile.read(tmp_path / "out" / "target.wav")
    np.testing.assert_allclose(heard, soundfile.read(tmp_path / "tone.wav")[0][:96], atol=1e-4)
    figures = json.loads((tmp_path / "out" / "projection.json").read_text())
    assert set(figures["terms"]) == {"magnitudes"} and figures["found"] <= figures["best_random"]
    assert "the first 0.01 s of 0.50 s" in capsys.readouterr().out


def test_inspiration_keeps_all_and_compares_features_alone(model, tmp_path):
    words = ["--random", "30", "--steps", "5", "--inspire", "--out", "out"]
    assert main(["project", "net.pt", "target.png", *words]) == 0
    figures = json.loads((tmp_path / "out" / "projection.json").read_text())
    assert set(figures["terms"]) == {"random"} and figures["inspire"]
    assert np.load(tmp_path / "out" / "latents.npz")["latents"].shape == (16, 4)
    assert "all.png" in names(tmp_path / "out")


def test_label_maps(model, tmp_path, capsys):
    model(maps())
    assert main(["project", "net.pt", "target.png", *SHORT, "--out", "out"]) == 2
    assert "give it with --maps FILE" in capsys.readouterr().err
    Image.fromarray(np.tri(8, dtype=np.uint8)).save("map.png")
    assert main(["project", "net.pt", "target.png", *SHORT, "--maps", "map.png", "--out", "out"]) == 0
    np.testing.assert_array_equal(np.load("out/latents.npz")["maps"][0], np.tri(8))
    assert main(["generate", "net.pt", "--latents", "out/latents.npz", "--out", "made"]) == 0
    made = np.asarray(Image.open(tmp_path / "made" / "latent0000_map0.png"), int)
    assert abs(made - np.asarray(Image.open("out/projected.png"), int)).max() <= 1
    assert main(["project", "net.pt", "target.png", *SHORT, "--label", "map=1", "--out", "own"]) == 0
    for words, message in [
        (["--label", "map=1", "--maps", "map.png"], "--label map is given with --maps"),
        (["--label", "map=5"], "map '5' is not known"),
    ]:
        assert main(["project", "net.pt", "target.png", *SHORT, *words, "--out", "not"]) == 2
        assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "FILE"),
        (["none.png"], "none.png does not exist; allowed: image, sound"),
        (["tone.wav"], "tone.wav is a sound; this model makes images"),
        (["net.pt"], "net.pt cannot be read as an image: an empty file"),
        (["target.png", "--label", "kind=bag"], "the label kind is given, but the model was trained without labels"),
        (["target.png", "--label", "kind"], "--label 'kind' is given; allowed: NAME=VALUE"),
        (["target.png", "--depth", "4"], "depth 4 is given, and the model is trained up to depth 1"),
        (["target.png", "--maps", "map.png"], "--maps needs a model that draws label maps"),
        (["target.png", "--random", "4"], "--restarts is 8; allowed: 1 to 4, the random latents"),
        (["target.png", "--random", "0"], "--random is 0; allowed: 1 or more"),
        (["target.png", "--steps", "0"], "--steps is 0; allowed: 1 or more"),
        (["target.png", "--seed", "-1"], "--seed is -1; allowed: 0 or more"),
        (["target.png", "--lr", "0"], "--lr is 0; allowed: above 0"),
        (["target.png", "--keep", "0"], "--keep is 0"),
        (["target.png", "--pixel_weight", "-1"], "--pixel_weight is -1; allowed: 0 or more"),
        (["target.png", "--pixel_weight", "nan"], "--pixel_weight is nan; allowed: 0 or more"),
        (["target.png", "--extractor", "randm"], "unknown extractor 'randm' (did you mean 'random'?)"),
        (["target.png", "--extractor", "random=0"], "--extractor 'random=0' is given; allowed: NAME, or NAME=WEIGHT"),
        (["target.png", "--extractor", "random=x"], "--extractor 'random=x' is given"),
        (["target.png", "--extractor", "random", "--extractor", "random"], "--extractor random is given twice"),
        (["target.png", "--extractor", "none", "--extractor", "random"], "--extractor none is given with others"),
        (["target.png", "--extractor", "none", "--inspire"], "--inspire compares only features"),
        (["target.png", "--extractor", "none", "--pixel_weight", "0"], "so nothing is compared"),
        (["target.png", "--fit", "squeeze"], "--fit: invalid choice: 'squeeze'"),
        (["target.png", "--out", "full"], "full exists already"),
    ],
)
def test_what_cannot_be_is_one_line(words, message, model, tmp_path, capsys):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    before = names(tmp_path)
    assert main(["project", "net.pt", *words]) == 2
    out, error = capsys.readouterr()
    assert error.startswith("error: ") and message in error and error.count("\n") == 1 and not out
    assert names(tmp_path) == before and not (tmp_path / "generated").exists()


def test_labels_that_are_unknown_and_models_that_do_not_grow(model, capsys):
    model(kinds())
    assert main(["project", "net.pt", "target.png", "--label", "kin=bag"]) == 2
    assert "there is no label 'kin' (did you mean 'kind'?); allowed: kind" in capsys.readouterr().err
    assert main(["project", "net.pt", "target.png", "--label", "kind=boat"]) == 2
    assert "kind 'boat' is not known" in capsys.readouterr().err
    model(of(DCGANGenerator((3, 8, 8), fmap_base=4, latent_size=4)))
    assert main(["project", "net.pt", "target.png", "--depth", "0"]) == 2
    assert "depth 0 is given" in capsys.readouterr().err
    model(sounds())
    assert main(["project", "net.pt", "target.png"]) == 2
    assert "target.png is an image; this model makes sounds" in capsys.readouterr().err


def test_a_trained_checkpoint_at_any_depth_with_raw_weights(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    result = train(config=[], overrides={**TONES, "total_kimg": 0.02, "result_dir": "results"})
    before = {path: path.read_bytes() for path in result.path.glob("*.pt")}
    assert main(["generate", "latest", "--count", "1", "--griffin_lim_iter", "1", "--out", "made"]) == 0
    words = ["project", "latest", "made/seed0000.wav", *SHORT, "--weights", "raw", "--depth", "0"]
    assert main(words) == 0
    folder = result.path / "generated" / "000"
    figures = json.loads((folder / "projection.json").read_text())
    assert (figures["weights"], figures["depth"]) == ("raw", 0)
    assert "projected.wav" in names(folder)
    assert before == {path: path.read_bytes() for path in result.path.glob("*.pt")}


def test_help_is_quick():
    code = (
        "import sys; from pggan_framework.cli.main import main; main(sys.argv[1:]); assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code, "project", "-h"], capture_output=True, text=True, check=True)
    assert "--inspire" in done.stdout and "pggan project latest cat.png" in done.stdout
