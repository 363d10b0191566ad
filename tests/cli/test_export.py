import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from pggan_framework.cli.main import main
from pggan_framework.errors import UserError
from pggan_framework.labels.attributes import Attribute, LabelSpace
from pggan_framework.labels.maps import space_from_state
from pggan_framework.models.exporting import export
from pggan_framework.models.pretrained import Pretrained, load_generator
from pggan_framework.networks import Generator
from pggan_framework.networks.base import GeneratorBase
from pggan_framework.schedules.growth import Growth

SIZES = {"fmap_base": 32, "fmap_max": 4, "latent_size": 6}
CONFIG = {"generator": "Generator", "Generator": SIZES}


def conditioned(range_out=(-1.0, 1.0)):
    """A generator at depth 1 of 2, fading, of images 8x16 at full depth, conditioned on two labels."""
    torch.manual_seed(0)
    space = LabelSpace((Attribute("kind", ("a", "b", "c")), Attribute("age", span=(0.0, 4.0))))
    growth = Growth.of((3, 16, 8), (4, 2))
    generator = Generator(growth, **SIZES, label_space=space).eval()
    generator.depth, generator.alpha = 1, 0.25
    rows = np.array([[0, 1.0], [2, 4.0]])
    return Pretrained(generator, None, 7000, CONFIG, range_out, rows, np.array([3, 1]))


@pytest.fixture
def model(tmp_path, monkeypatch):
    held = conditioned()
    monkeypatch.setattr("pggan_framework.models.pretrained.load_generator", lambda path, weights="ema": held)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.pt").touch()
    return held


def test_safetensors_and_json_are_all_one_needs(model, tmp_path, capsys):
    assert main(["export", "net.pt", "new/piano.safetensors"]) == 0
    assert "latents, labels -> images 3x8x4, depth 1" in capsys.readouterr().out
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["piano.safetensors", "piano.safetensors.json"]
    about = json.loads((tmp_path / "new" / "piano.safetensors.json").read_text())
    assert about["inputs"] == {"latents": ["N", 6], "labels": ["N", 4]}
    assert about["outputs"] == {"images": ["N", 3, 8, 4]}
    growth = Growth(
        about["growth"]["channels"], tuple(about["growth"]["seed"]), tuple(map(tuple, about["growth"]["doubles"]))
    )
    space = space_from_state(about["labels"]["space"])
    again = Generator(growth, **about["parameters"], label_space=space).eval()
    again.load_state_dict(load_file(tmp_path / "new" / "piano.safetensors"))
    again.depth, again.alpha = about["depth"], about["alpha"]
    labels = np.array(about["labels"]["rows"])
    latents = model.latents(2)
    with torch.no_grad():
        pictures = again(latents, torch.from_numpy(space.condition(labels, again.size))).clamp(-1, 1).numpy()
    np.testing.assert_allclose(pictures, model.generate(latents, labels), atol=1e-6)  # which are scaled besides
    assert about["labels"]["counts"] == [3, 1] and about["nimg"] == 7000


@pytest.mark.slow
@pytest.mark.parametrize("format", ["torch", "onnx"])
def test_programs_give_the_same_pictures_for_any_number(format, tmp_path):
    model = conditioned((0.0, 2.0))
    if format == "onnx":
        runtime = pytest.importorskip("onnxruntime")
        pytest.importorskip("onnxscript")
    found = export(model, tmp_path / "file", tmp_path / "file.json", format)
    assert found.inputs == ["latents", "labels"] and found.difference < 1e-4
    if format == "onnx":
        session = runtime.InferenceSession(tmp_path / "file")
    else:
        with (tmp_path / "file").open("rb") as file:
            module = torch.export.load(file).module()
    for count in (1, 5):
        latents, labels = model.latents(count), model.draw_labels(count)
        seen = torch.from_numpy(model.label_space.condition(labels, model.generator.size))
        if format == "onnx":
            (pictures,) = session.run(None, {"latents": latents.numpy(), "labels": seen.numpy()})
        else:
            pictures = module(latents, seen).detach().numpy()
        np.testing.assert_allclose(pictures, model.generate(latents, labels), atol=1e-4)
    assert json.loads((tmp_path / "file.json").read_text())["range_out"] == [-1.0, 1.0]


class ByValue(GeneratorBase):
    def forward(self, latents, labels=None):
        return latents[:, :1, None, None].expand(-1, 1, 4, 4) * (1 if latents.sum() > 0 else 2)


@pytest.mark.slow
def test_a_network_that_cannot_be_traced(tmp_path):
    model = Pretrained(ByValue(Growth.of((1, 4, 4)), 4), None, 0, {"generator": "ByValue", "ByValue": {}})
    with pytest.raises(UserError, match="ByValue cannot be traced for any number of images"):
        export(model, tmp_path / "file", tmp_path / "file.json", "torch")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "RUN"),
        (["net.pt", "piano"], "piano is given; allowed: a file that ends in .safetensors, .pt2, .onnx"),
        (
            ["net.pt", "a.onnx", "--format", "torch"],
            "a.onnx is given with --format torch; allowed: a file that ends in .pt2",
        ),
        (["net.pt", "a.pt2", "--format", "jit"], "--format: invalid choice: 'jit'"),
        (["none.pt", "a.safetensors"], "none.pt does not exist"),
        (["net.pt", "old.safetensors"], "old.safetensors exists already"),
        (["net.pt", "about.safetensors"], "about.safetensors.json exists already"),
        (["net.pt", "net.pt/a.safetensors"], "cannot write net.pt/a.safetensors"),
        (["net.pt", "new/a.safetensors", "--depth", "2"], "depth 2 is given, and the model is trained up to depth 1"),
    ],
)
def test_what_cannot_be_is_one_line(words, message, model, tmp_path, capsys):
    for name in ("old.safetensors", "about.safetensors.json"):
        (tmp_path / name).touch()
    before = sorted(tmp_path.rglob("*"))
    assert main(["export", *words]) == 2
    out, error = capsys.readouterr()
    assert error.startswith("error: ") and message in error and error.count("\n") == 1 and not out
    assert sorted(tmp_path.rglob("*")) == before


def test_a_missing_package_is_named(model, tmp_path, monkeypatch, capsys):
    def absent(name):
        raise ImportError(name)

    monkeypatch.setattr("pggan_framework.models.exporting.import_module", absent)
    assert main(["export", "net.pt", "a.onnx"]) == 2
    assert "needs onnx, onnxscript, onnxruntime: pip install onnx onnxscript onnxruntime" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["net.pt"]


def test_a_description_of_no_values_is_refused(tmp_path):
    path = tmp_path / "piano.safetensors"
    described = tmp_path / "piano.safetensors.json"
    export(conditioned(), path, described, "safetensors")
    assert load_generator(path).sample(2).shape == (2, 3, 8, 4)
    about = json.loads(described.read_text())
    for stored in ([1.0, 1.0], [0.0, float("nan")], "x"):
        described.write_text(json.dumps({**about, "range_out": stored}))
        with pytest.raises(UserError, match="piano.safetensors.json is damaged: its value range"):
            load_generator(path)
