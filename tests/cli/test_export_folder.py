import json
import re
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
import yaml
from PIL import Image
from tiny import TONES
from written import names

from pggan_framework import run as train
from pggan_framework.cli.main import main
from pggan_framework.errors import UserError
from pggan_framework.models.hub import load_generator as load
from pggan_framework.models.pretrained import Pretrained, load_generator
from pggan_framework.runs.folders import snapshots


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run of tones with labels, and values next to its checkpoint."""
    root = tmp_path_factory.mktemp("trained")
    for number in range(8):
        (root / "data").mkdir(exist_ok=True)
        wave = 0.3 * np.sin(2 * np.pi * 200 * (1 + number % 2) * np.arange(2000) / 8000)
        soundfile.write(root / "data" / f"{number}_{('low', 'high')[number % 2]}.wav", wave, 8000)
    sound = {
        "dataset_class": "SoundImageDataset",
        "SoundImageDataset.dir_path": str(root / "data"),
        "SoundImageDataset.frequency": 8000,
        "SoundImageDataset.n_fft": 64,
        "SoundImageDataset.hop_length": 16,
        "SoundImageDataset.frames": 32,
        "SoundImageDataset.labels": ["kind"],
        "SoundImageDataset.labels_pattern": r"_(?P<kind>\w+)\.wav",
    }
    flags = {key: value for key, value in TONES.items() if not key.startswith(("dataset", "Tones"))}
    run = train(
        config=[], overrides={**flags, **sound, "total_kimg": 0.02, "result_dir": str(root), "exp_name": "bells"}
    )
    checkpoint = snapshots(run.path)[0]
    nimg = load_generator(checkpoint).nimg
    line = {"checkpoint": checkpoint.name, "nimg": nimg, "n": 50, "seed": 3, "frechet": 12.5, "frechet.floor": 3.25}
    other = {**line, "nimg": nimg + 1, "frechet": 99.0}
    lines = [json.dumps(line), "{damaged", json.dumps(other), '{"remark": 1}']
    (run.path / "metrics.jsonl").write_text("\n".join(lines) + "\n")
    return checkpoint


@pytest.fixture(scope="module")
def exported(trained, tmp_path_factory):
    """The run as a model's folder."""
    path = tmp_path_factory.mktemp("exported") / "bells"
    assert main(["export", str(trained), str(path), "--format", "huggingface", "--license", "cc-by-4.0"]) == 0
    return path


@pytest.fixture
def folder(exported, tmp_path, monkeypatch):
    """A copy of it, to change."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(exported, tmp_path / "bells")
    return tmp_path / "bells"


def test_what_a_folder_holds(folder, trained):
    sounds = [name for name in names(folder) if name.endswith(".wav")]
    assert sorted(names(folder)) == sorted(["README.md", "config.json", "model.safetensors", "samples.png", *sounds])
    assert len(sounds) == 4 and all(re.fullmatch(r"seed000\d_kind-(low|high)\.wav", name) for name in sounds)
    assert soundfile.info(folder / sounds[0]).samplerate == 8000
    with Image.open(folder / "samples.png") as sheet:
        assert sheet.width > 64
    about = json.loads((folder / "config.json").read_text())
    assert about["figures"] == {"frechet": {"model": 12.5, "floor": 3.25}}
    assert about["training"]["loss"] == "WGANGP" and about["labels"]["counts"] == [4, 4]
    assert str(trained.parent) not in (folder / "config.json").read_text() + (folder / "README.md").read_text()


def test_the_card_says_what_the_checkpoint_tells(folder):
    _, head, text = (folder / "README.md").read_text().split("---\n", 2)
    meta = yaml.safe_load(head)
    assert (meta["license"], meta["library_name"]) == ("cc-by-4.0", "pggan_framework")
    assert "audio" in meta["tags"] and "pipeline_tag" not in meta
    assert text.lstrip().startswith("# bells\n")
    assert "- `kind`: high (4), low (4)" in text and "| frechet | 12.5 | 3.25 |" in text
    assert "on 50 samples a side, seed 3" in text and "| codec | abslog: sample_rate 8000" in text
    assert all((folder / path).is_file() for path in re.findall(r"\]\(([^)]+)\)", text))


def test_the_cards_code_runs(folder, monkeypatch):
    (code,) = re.findall(r"```python\n(.*?)```", (folder / "README.md").read_text(), re.DOTALL)
    monkeypatch.chdir(folder)
    scope = {}
    exec(code, scope)
    assert soundfile.info("sound.wav").samplerate == 8000 and scope["images"].shape[0] == 4


def test_a_folder_is_the_checkpoint(folder, trained, tmp_path, capsys):
    here, there = load_generator(trained), Pretrained.from_folder(folder)
    np.testing.assert_array_equal(there.sample(3, seed=1), here.sample(3, seed=1))
    np.testing.assert_array_equal(there.decode(there.sample(1)), here.decode(here.sample(1)))
    assert there.label_space == here.label_space and there.nimg == here.nimg
    for name, model in (("a", str(trained)), ("b", "bells"), ("c", "bells/model.safetensors")):
        assert main(["generate", model, "--seeds", "2", "--griffin_lim_iter", "2", "--out", name]) == 0
    held = [{path.name: path.read_bytes() for path in (tmp_path / name).iterdir()} for name in "abc"]
    assert held[0] == held[1] == held[2]
    capsys.readouterr()
    assert main(["info", "bells"]) == 0
    out = capsys.readouterr().out
    assert "exported model" in out and "high (4), low (4)" in out


def test_depth_name_and_raw_weights(trained, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = ["--format", "huggingface", "--weights", "raw", "--name", "My bells"]
    assert main(["export", str(trained), "raw", *words]) == 0
    card = (tmp_path / "raw" / "README.md").read_text()
    assert "license: other" in card and "# My bells" in card and "frechet" not in card  # measured of the averaged one
    raw = Pretrained.from_folder("raw")
    np.testing.assert_array_equal(raw.sample(2), load_generator(trained, "raw").sample(2))
    with pytest.raises(UserError, match="holds the raw weights; --weights ema needs the original checkpoint"):
        load_generator(tmp_path / "raw" / "model.safetensors", "ema")


def test_torch_hub(folder, trained, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path / "hub"))
    root = str(Path(__file__).parents[2])
    here = load_generator(trained).sample(2)
    for source in (str(trained), str(folder), folder.as_uri() + "/model.safetensors", trained.as_uri()):
        model = torch.hub.load(root, "pggan", source, source="local", verbose=False)
        np.testing.assert_array_equal(model.sample(2), here)
    assert len(names(tmp_path / "hub")) == 3  # two of the folder, one checkpoint
    assert torch.hub.load(root, "pggan", str(folder), weights="ema", depth=0, source="local").generator.depth == 0
    with pytest.raises(UserError, match=r"none.pt cannot be downloaded"):
        load((tmp_path / "none.pt").as_uri())
    with pytest.raises(UserError, match=r"none.pt does not exist"):
        load("none.pt")


def test_from_the_hugging_face_hub(folder, monkeypatch):
    asked = []

    class Hub:
        @staticmethod
        def snapshot_download(repository, revision=None, allow_patterns=None):
            asked.append((repository, revision, allow_patterns))
            if repository == "nobody/nothing":
                raise OSError("404 Client Error")
            return str(folder)

    monkeypatch.setitem(sys.modules, "huggingface_hub", Hub)
    monkeypatch.setattr("pggan_framework.models.pretrained.require", lambda *names: None)
    model = Pretrained.from_hub("me/bells", "v1")
    assert asked == [("me/bells", "v1", ["model.safetensors", "config.json"])] and model.codec is not None
    with pytest.raises(UserError, match="nobody/nothing cannot be downloaded from the Hugging Face Hub: 404"):
        Pretrained.from_hub("nobody/nothing")
    monkeypatch.undo()
    monkeypatch.setattr("pggan_framework.errors.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"needs the package huggingface_hub.*pip install huggingface_hub"):
        Pretrained.from_hub("me/bells")


def _without(key):
    return lambda about: {name: value for name, value in about.items() if name != key}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda about: {**about, "format": "else"}, "was not written by pggan export"),
        (lambda about: {**about, "file": "onnx"}, "was not written by pggan export"),
        (lambda about: {**about, "version": 9}, "is of version 9; this release reads version 1"),
        (lambda about: {**about, "generator": "Genrator"}, "did you mean 'Generator'"),
        (lambda about: {**about, "depth": 99}, "does not describe the generator"),
        (lambda about: {**about, "parameters": {**about["parameters"], "fmap_max": 2}}, "does not describe"),
        (_without("growth"), "does not describe the generator"),
        (lambda about: [], "was not written by pggan export"),
    ],
)
def test_a_description_that_does_not_fit(change, message, folder):
    path = folder / "config.json"
    path.write_text(json.dumps(change(json.loads(path.read_text()))))
    with pytest.raises(UserError, match=re.escape(message)):
        Pretrained.from_folder(folder)


def test_files_that_are_missing_or_damaged(folder):
    (folder / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes()[:500])
    with pytest.raises(UserError, match="cannot be read as safetensors"):
        Pretrained.from_folder(folder)
    (folder / "config.json").write_text("{")
    with pytest.raises(UserError, match="is not JSON"):
        Pretrained.from_folder(folder)
    (folder / "config.json").unlink()
    with pytest.raises(UserError, match="config.json cannot be read"):
        Pretrained.from_folder(folder)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["a.safetensors"], "a.safetensors is given with --format huggingface; allowed: a new folder"),
        (["full"], "full exists already"),
        (
            ["new", "--license", "my own"],
            "--license 'my own' is given; allowed: a short name of the Hub, such as mit or cc-by-4.0",
        ),
        (["new", "--depth", "9"], "depth 9 is given, and the model is trained up to depth"),
    ],
)
def test_folders_that_cannot_be(words, message, trained, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    assert main(["export", str(trained), *words, "--format", "huggingface"]) == 2
    assert message in capsys.readouterr().err
    assert names(tmp_path) == ["full/file"]


def test_flags_of_the_folder_alone(trained, capsys):
    assert main(["export", str(trained), "a.safetensors", "--license", "mit"]) == 2
    assert "--license is given without --format huggingface" in capsys.readouterr().err


def test_a_folder_is_made_from_a_checkpoint(folder, capsys):
    assert main(["export", "bells", "again", "--format", "huggingface"]) == 2
    assert "is not a checkpoint; a model folder is made from one" in capsys.readouterr().err
    assert main(["export", "bells", "again.safetensors"]) == 0
    np.testing.assert_array_equal(load_generator(folder.parent / "again.safetensors").sample(1), load(folder).sample(1))
