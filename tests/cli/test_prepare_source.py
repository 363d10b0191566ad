"""``pggan prepare SOURCE OUT.h5``, and what it puts next to the file."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from pggan_framework.cli.main import main
from pggan_framework.data.datasets.h5 import OldH5Dataset
from pggan_framework.data.prepare import images as picture_preparation
from pggan_framework.launch.start import run
from pggan_framework.recipes import preparing

RANDOM = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Animals in two folders, and the same in a zip."""
    monkeypatch.chdir(tmp_path)
    for number in range(12):
        path = Path("animals", "cat" if number % 3 else "dog", f"{number}.png")
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(RANDOM.integers(0, 256, (10, 9, 3), dtype=np.uint8)).save(path)
    with zipfile.ZipFile("animals.zip", "w") as archive:
        for path in sorted(Path("animals").rglob("*.png")):
            archive.write(path, path.relative_to("animals"))


def files() -> set[str]:
    return set(os.listdir()) - {"animals", "animals.zip"}


def test_a_folder_and_a_zip_become_the_same_file_but_for_where_they_come_from(
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = ["--size", "8", "--resize", "crop", "--labels", "folder", "--mirror", "--jobs", "1"]
    for source in ("animals", "animals.zip"):
        assert main(["prepare", source, f"out/{source}.h5", *words]) == 0
    out = capsys.readouterr().out
    assert "mirrored" in out and "12 images, and each one's mirror image" in out
    assert "folder, 2 values from cat to dog, 8 to 16 images each" in out
    assert "python train.py --config out/animals.zip.yaml" in out
    one, other = OldH5Dataset(Path("out/animals.h5")), OldH5Dataset(Path("out/animals.zip.h5"))
    assert one.shape == other.shape == (3, 8, 8) and len(one) == len(other) == 24
    np.testing.assert_array_equal(one.images(range(24), 1), other.images(range(24), 1))
    assert one.labels is not None and other.labels is not None
    assert one.labels.tolist() == other.labels.tolist() == ([[0]] * 8 + [[1]] * 4) * 2
    assert set(os.listdir("out")) == {
        f"{name}{end}" for name in ("animals", "animals.zip") for end in (".h5", ".json", ".png", ".yaml")
    }


def test_what_is_beside_it(capsys: pytest.CaptureFixture[str]) -> None:
    Path("animals", "cat", "broken.png").write_bytes(b"x")
    words = ["--size", "16", "32", "--resize", "pad", "--background", "#010203", "--labels", "folder"]
    assert main(["prepare", "animals", "a.h5", *words]) == 0
    assert files() == {"a.h5", "a.json", "a.png", "a.yaml"}
    report = json.loads(Path("a.json").read_text())
    assert report["images"] == 12 and report["shape"] == [3, 16, 32]
    assert report["sizes"] == [[4, 8], [8, 16], [16, 32]]
    assert report["labels"] == {"folder": ["cat", "dog"]}
    assert report["skipped"] == {"cat/broken.png": "no image, or damaged at its beginning"}
    assert report["fingerprint"] == OldH5Dataset(Path("a.h5")).fingerprint()
    printed = capsys.readouterr().out
    assert all(name in printed and value in printed for name, value in report["summary"].items())
    with Image.open("a.png") as image:
        tile = np.asarray(image)[:16, :32]
    np.testing.assert_array_equal(tile.transpose(2, 0, 1), OldH5Dataset(Path("a.h5")).image(0))


def test_the_config_is_ready_to_train() -> None:
    assert main(["prepare", "animals", "some animals.h5", "--size", "8", "--resize", "stretch"]) == 0
    config = yaml.safe_load(Path("some animals.yaml").read_text())
    assert config["dataset_class"] == "OldH5Dataset" and config["OldH5Dataset"]["h5_path"] == "some animals.h5"
    assert main(["train", "--config", "some animals.yaml", "--dry_run"]) == 0


@pytest.mark.slow
def test_labels_are_in_the_file_and_trained_on() -> None:
    assert main(["prepare", "animals.zip", "a.h5", "--size", "8", "--resize", "stretch", "--labels", "folder"]) == 0
    small = {f"{network}.{name}": 8 for network in ("Generator", "Discriminator") for name in ("fmap_base", "fmap_max")}
    growth = {"DepthManager.lod_training_nimg": 16, "DepthManager.lod_transition_nimg": 16}
    result = run(
        "a.yaml", {**small, **growth, "total_kimg": 0.1, "minibatch_size": 4, "DepthManager.tick_kimg_default": 0.04}
    )
    assert main(["generate", str(result.path), "--label", "folder=dog", "--count", "2", "--out", "dogs"]) == 0


@pytest.mark.parametrize(
    ("count", "side", "width", "base", "stable"),
    [
        (300, 64, 64, 512, 20_000),
        (6_000, 32, 128, 512, 60_000),
        (30_000, 256, 256, 2048, 300_000),
        (200_000, 1024, 512, 8192, 600_000),
    ],
)
def test_widths_and_lengths_follow_the_data(count: int, side: int, width: int, base: int, stable: int) -> None:
    class Fake:
        shape = (3, side, side)
        label_space = None
        growth = type("Growth", (), {"max_depth": side.bit_length() - 3})

        def __len__(self) -> int:
            return count

    config = yaml.safe_load(preparing.training_config(Fake(), Path("x/a.h5")))  # type: ignore[arg-type]
    for network in ("Generator", "Discriminator"):
        assert config[network]["fmap_max"] == width and config[network]["fmap_base"] == base
    assert config["DepthManager"]["lod_training_nimg"] == stable
    phases = Fake.growth.max_depth * 1.5 * stable  # type: ignore[attr-defined]
    assert config["total_kimg"] * 1000 >= phases + 2 * stable


def test_what_exists_is_kept_unless_said_otherwise(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["prepare", "animals", "a.h5", "--size", "8", "--resize", "stretch"]
    Path("a.yaml").write_text("mine")
    assert main(words) == 2
    assert capsys.readouterr().err == "error: a.yaml exists already; give a new file, or --overwrite\n"
    assert files() == {"a.yaml"} and Path("a.yaml").read_text() == "mine"
    Path("a.yaml").unlink()
    assert main(words) == 0
    before = Path("a.h5").read_bytes()
    assert main([*words, "--colour", "L"]) == 2
    assert "a.h5 exists already" in capsys.readouterr().err and Path("a.h5").read_bytes() == before
    assert main([*words, "--colour", "L", "--overwrite"]) == 0
    assert OldH5Dataset(Path("a.h5")).shape == (1, 8, 8) and json.loads(Path("a.json").read_text())["shape"] == [
        1,
        8,
        8,
    ]


def test_stopped_between_the_files_it_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    words = ["prepare", "animals", "a.h5", "--size", "8", "--resize", "stretch"]
    with monkeypatch.context() as patched:
        patched.setattr(picture_preparation, "move_synced", lambda *paths: (_ for _ in ()).throw(KeyboardInterrupt))
        patched.setattr(preparing, "_write", lambda path, text: path.write_text(text))
        assert main(words) == 130
    assert files() >= {"a.json", "a.png", "a.yaml", "a.h5.partial"} and "a.h5" not in files()
    assert main(words) == 0
    assert files() == {"a.h5", "a.json", "a.png", "a.yaml"}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nothing", "a.h5"], "unknown recipe 'nothing', and not a file or folder; recipes: cats, notes"),
        (["animals"], "OUT.h5"),
        (["animals", "a.zip"], "a.zip is not a name of a prepared file; allowed: one that ends in .h5 or .hdf5"),
        (
            ["animals", "animals/a.h5"],
            "animals/a.h5 is in animals, where its sample grid would become another image",
        ),
        (["animals", "a.h5"], "an image of 10x9 cannot be halved"),
        (["animals", "a.h5", "--resize", "squash"], "invalid choice: 'squash'"),
        (["animals", "a.h5", "--size", "8", "8", "8"], "--size is 8 8 8; allowed: a side, or a height and a width"),
        (["animals", "a.h5", "--crop", "1", "2"], "--crop is 1 2; allowed: x, y, width and height, or the side"),
        (["animals", "a.h5", "--crop", "0"], "--crop is 0; allowed"),
        (["animals", "a.h5", "--crop", "20"], "--crop 20 is not part of cat/1.png: it is 10x9"),
        (["animals", "a.h5", "--jobs", "0"], "--jobs is 0; it must be at least 1"),
        (["animals", "a.h5", "--labels", "breed"], "--labels 'breed' is not known; allowed: folder"),
        (["animals", "a.h5", "--labels_csv", "x.csv"], "--labels_csv x.csv cannot be read"),
        (["animals", "a.h5", "--colour", "blue"], "invalid choice: 'blue'"),
        (["escape.zip", "a.h5"], "holds '../x.png', a path that leads out of it"),
        (["half.zip", "a.h5"], "half.zip is not a source of images; allowed: "),
    ],
)
def test_mistakes_are_one_line_and_leave_nothing(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with zipfile.ZipFile("escape.zip", "w") as archive:
        archive.writestr("../x.png", b"x")
    Path("half.zip").write_bytes(Path("animals.zip").read_bytes()[:900])
    assert main(["prepare", *words]) == 2
    out, error = capsys.readouterr()
    assert not out and error.startswith("error: ") and error.count("\n") == 1 and message in error
    assert files() == {"escape.zip", "half.zip"}


def test_a_folder_that_is_called_as_a_recipe() -> None:
    Path("animals").rename("cats")
    assert main(["prepare", "./cats", "a.h5", "--size", "8", "--resize", "pad"]) == 0
    assert len(OldH5Dataset(Path("a.h5"))) == 12
    Path("cats").rename("animals")


def test_help_names_recipes_and_leaves_torch_alone(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["prepare", "-h"]) == 0
    out = capsys.readouterr().out
    assert "examples:" in out and all(name in out for name in ("SOURCE OUT.h5", "--resize", "  avatars ", "fashion"))
    command = (
        "import sys; from pggan_framework.cli.main import main; main(['prepare', '-h']); print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "False"
