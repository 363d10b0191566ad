"""Stand-ins for trained models, taken for what net.pt holds."""

from __future__ import annotations

import pytest
from instrument import sines
from written import midi_file, names

from pggan_framework.cli.main import main
from pggan_framework.models.pretrained import Pretrained
from pggan_framework.networks import Generator
from pggan_framework.schedules.growth import Growth

SPAN = tuple(range(57, 70))


@pytest.fixture
def model(tmp_path, monkeypatch):
    """Sets what a checkpoint is taken to hold; by default a model of sines, conditioned on pitch."""
    held = [sines(pitch=SPAN)]
    monkeypatch.setattr("pggan_framework.models.pretrained.load_generator", lambda path, weights=None: held[0])
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.pt").touch()
    return lambda other: held.__setitem__(0, other)


@pytest.fixture
def pictures(model):
    """Takes it for a model of images 16x16 without labels."""
    generator = Generator(Growth.of((3, 16, 16)), fmap_base=32, fmap_max=4, latent_size=4)
    model(Pretrained(generator.eval(), None, 5000, {}))


@pytest.fixture
def refused(tmp_path, capsys):
    """Sees that a command line of pggan generate is refused in one line, and nothing left behind."""

    def check(words, message):
        midi_file(tmp_path / "empty.mid")
        (tmp_path / "full").mkdir()
        for name in ("full/file", "fakes.zip"):
            (tmp_path / name).touch()
        before = names(tmp_path)
        assert main(["generate", *words]) == 2
        out, error = capsys.readouterr()
        assert error.startswith("error: ") and message in error and error.count("\n") == 1 and not out
        assert names(tmp_path) == before
        assert not (tmp_path / "generated").exists()

    return check
