import io
import json
import zipfile

import numpy as np
import pytest
import soundfile
from instrument import cents, frequency, sines
from PIL import Image
from written import names

from pggan_framework.cli.generate import run
from pggan_framework.errors import UserError
from pggan_framework.labels.attributes import Attribute, LabelSpace
from pggan_framework.models.pretrained import Pretrained
from pggan_framework.networks import Generator
from pggan_framework.schedules.growth import Growth

SPAN = tuple(range(57, 70))


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

    monkeypatch.setattr("pggan_framework.generate.archive._encoded", full)
    with pytest.raises(UserError, match="cannot write a.zip: No space left on device"):
        run(["net.pt", "--out", "a.zip"])
    assert names(tmp_path) == ["net.pt"]


def test_a_zip_of_every_value_of_a_label(model, tmp_path):
    space = LabelSpace((Attribute("kind", ("boot", "bag")),))
    generator = Generator(Growth.of((3, 8, 8)), fmap_base=32, fmap_max=4, latent_size=4, label_space=space)
    model(Pretrained(generator.eval(), None, 5000, {}, (-1, 1), np.array([[0], [1]]), np.array([1, 1])))
    assert run(["net.pt", "--count", "40", "--every", "kind", "--out", "fakes.zip"]) == 0
    with zipfile.ZipFile(tmp_path / "fakes.zip") as archive:
        listed = json.loads(archive.read("dataset.json"))["labels"]
        assert [name for name, _ in listed] == archive.namelist()[:-1] and len(listed) == 80
        assert listed[60:62] == [["00000/seed0030_kind-boot.png", 0], ["00000/seed0030_kind-bag.png", 1]]
