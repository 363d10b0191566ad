"""``pggan generate`` and ``pggan evaluate`` in several processes: what one makes and measures, bit for bit."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from instrument import sines
from numpy.typing import NDArray
from processes import ranks
from ranks import all_ranks
from tiny import TONES

from pggan_framework import run
from pggan_framework.cli.main import main
from pggan_framework.cli.sides import Sides
from pggan_framework.data.base import DepthDataset
from pggan_framework.data.store.prepared import save_prepared
from pggan_framework.errors import UserError
from pggan_framework.generate.archive import write_archive
from pggan_framework.generate.player import Player
from pggan_framework.generate.samples import write_samples
from pggan_framework.labels.attributes import Attribute, LabelSpace
from pggan_framework.metrics.base import PictureMetric
from pggan_framework.metrics.cache import FeatureCache
from pggan_framework.metrics.deep import attach
from pggan_framework.metrics.report import metric_class
from pggan_framework.models.pretrained import Pretrained
from pggan_framework.networks import Generator
from pggan_framework.schedules.growth import Growth
from pggan_framework.training.team import Team


@pytest.fixture(scope="module")
def drawing() -> Pretrained:
    """Images of 8x8, of two kinds."""
    space = LabelSpace((Attribute("kind", ("boot", "bag")),))
    generator = Generator(Growth.of((3, 8, 8)), fmap_base=32, fmap_max=4, latent_size=4, label_space=space)
    return Pretrained(generator.eval(), None, 5000, {}, (-1, 1), np.array([[0], [1]]), np.array([1, 3]))


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize(("size", "every", "count"), [(2, None, 70), (3, "kind", 33), (5, None, 3)])
def test_a_folder_is_that_of_one_process(
    drawing: Pretrained, tmp_path: Path, size: int, every: str | None, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, many = tmp_path / "one", tmp_path / "many"
    one.mkdir()
    many.mkdir()
    player = Player(drawing, every=every)
    said = write_samples(player, range(count), one)
    made: list[int] = []

    def work(team: Team) -> str:
        done: list[int] = []
        words = write_samples(player, range(count), many, progress=lambda at, of: done.append(at), team=team)
        made.append(len(done))
        return words

    assert all_ranks(size, work, monkeypatch)[0] == said
    assert contents(many) == contents(one) and "sheet.png" in contents(one)
    total = count * player.variants
    assert sum(made) <= total + 64 and len([each for each in made if each]) == min(size, total)


@pytest.mark.parametrize(("size", "every", "count"), [(2, None, 70), (3, "kind", 70), (4, None, 5)])
def test_a_zip_is_that_of_one_process(
    drawing: Pretrained, tmp_path: Path, size: int, every: str | None, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    player = Player(drawing, every=every)
    said = write_archive(player, range(count), tmp_path / "one.zip")
    words = all_ranks(
        size, lambda team: write_archive(player, range(count), tmp_path / "many.zip", team=team), monkeypatch
    )
    assert words[0] == said
    assert sorted(os.listdir(tmp_path)) == ["many.zip", "one.zip"]
    assert (tmp_path / "many.zip").read_bytes() == (tmp_path / "one.zip").read_bytes()


def test_sounds_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    player = Player(sines(pitch=(57, 60)))
    for name in ("one", "many"):
        (tmp_path / name).mkdir()
    write_samples(player, range(3), tmp_path / "one", "flac")
    all_ranks(2, lambda team: write_samples(player, range(3), tmp_path / "many", "flac", team=team), monkeypatch)
    assert contents(tmp_path / "many") == contents(tmp_path / "one")


def test_a_part_that_is_on_another_machine(
    drawing: Pretrained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def work(team: Team) -> str:
        path = tmp_path / str(team.world.rank) / "fakes.zip"
        path.parent.mkdir()
        return write_archive(Player(drawing), range(40), path, team=team)

    with pytest.raises(UserError, match=r"0/fakes.zip.1, written by another rank, is missing"):
        all_ranks(2, work, monkeypatch)


class Noise(DepthDataset):
    """Images of 16x16."""

    def __init__(self, count: int) -> None:
        super().__init__((3, 16, 16))
        self.pictures = np.random.default_rng(0).integers(0, 256, (count, 3, 16, 16), dtype=np.uint8)

    def __len__(self) -> int:
        return len(self.pictures)

    def image(self, index: int) -> NDArray[np.uint8]:
        picture: NDArray[np.uint8] = self.pictures[index]
        return picture

    def fingerprint(self) -> str:
        return "noise"


@pytest.mark.parametrize("size", [2, 3, 6])
def test_features_are_those_of_one_process(size: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    generator = Generator(Growth.of((3, 16, 16)), fmap_base=32, fmap_max=4, latent_size=4)
    model, data, kind = Pretrained(generator.eval(), None, 5000, {}), Noise(230), PictureMetric

    def features(team: Team | None, cache: str) -> list[dict[str, Any]]:
        metrics = [metric_class(name, kind)() for name in ("swd", "ms_ssim", "fid", "kid")]
        metrics[1].limit = 40  # the second process of three has none of these, the first of two some
        eye = attach(metrics, "random")
        sides = Sides(model, data, 100, 1, 0, "cpu", eye, FeatureCache(tmp_path / cache), team=team or Team())
        found = [sides.real_features(metrics, 0), sides.fake_features(metrics)]
        return [*found, {"all": sides.features_of_all(metrics[2])}]

    expected = features(None, "one")
    for _ in range(2):  # the second time from the cache
        found = all_ranks(size, lambda team: features(team, "many"), monkeypatch)
        for mine, theirs in zip(expected, found[0], strict=True):
            assert set(mine) == set(theirs) and mine
            for name, values in mine.items():
                assert values.dtype == theirs[name].dtype
                np.testing.assert_array_equal(values, theirs[name])
        assert found[1] == [{}, {}, {"all": None}]
    assert contents(tmp_path / "one") == contents(tmp_path / "many") and len(contents(tmp_path / "one")) == 2


@pytest.mark.parametrize("words", [["--play", "scale"], ["--interpolate", "3"], ["--kit"]])
def test_what_is_one_thing_is_not_divided(words: list[str], model: object, refused: Any, monkeypatch: Any) -> None:
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "2")
    refused(["net.pt", *words], f"{words[0]} has a single output, but there are 2 processes; allowed: one")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of one tick with 140 images."""
    root = tmp_path_factory.mktemp("trained")
    save_prepared(Noise(140), root / "data.h5")
    base = {name: value for name, value in TONES.items() if not name.startswith(("TonesDataset", "dataset_class"))}
    flags = {"progressive_growing": False, "Trainer.tick_nimg_default": 8, "plugin_dirs": [], "total_kimg": 0.008}
    place = {"dataset_class": "OldH5Dataset", "OldH5Dataset.h5_path": str(root / "data.h5")}
    return run(overrides={**base, **flags, **place, "result_dir": str(root / "results")}).path


@pytest.mark.slow
def test_evaluate_in_two_processes(trained: Path, tmp_path: Path) -> None:
    lines = []
    words = ["--device", "cpu", "--metrics", "swd,ms_ssim,fid", "--extractor", "random"]
    for name in ("one", "two"):
        folder = shutil.copytree(trained, tmp_path / name)
        if name == "two":
            first, second = ranks(["evaluate", str(folder), *words], 2, tmp_path)
            assert (first.status, second.status) == (0, 0), first.error + second.error
            assert "70 images a side, seed 0" in first.out and not second.out
        else:
            assert main(["evaluate", str(folder), *words]) == 0
        (line,) = (folder / "metrics.jsonl").read_text().splitlines()
        lines.append({key: value for key, value in json.loads(line).items() if key != "date"})
    assert lines[0].keys() == lines[1].keys() and len(lines[0]) > 12
    for key, value in lines[0].items():
        # Next to the threads of other tests, sums in one process may be taken in another order.
        assert lines[1][key] == (pytest.approx(value, rel=1e-6) if isinstance(value, float) else value)


@pytest.mark.slow
def test_generate_in_two_processes(trained: Path, tmp_path: Path) -> None:
    words = ["generate", str(trained), "--count", "40", "--out"]
    assert main([*words, str(tmp_path / "one.zip")]) == 0
    first, second = ranks([*words, "two.zip"], 2, tmp_path)
    assert (first.status, second.status) == (0, 0), first.error + second.error
    assert (tmp_path / "two.zip").read_bytes() == (tmp_path / "one.zip").read_bytes()
    assert "written to two.zip" in first.out and not second.out
    first, second = ranks([*words, "two.zip"], 2, tmp_path)
    assert (first.status, second.status) == (2, 1)
    assert first.error.count("error: ") == 1 and "two.zip exists already" in first.error
    assert "Traceback" not in second.error
    assert sorted(os.listdir(tmp_path)) == ["one.zip", "two.zip"]
