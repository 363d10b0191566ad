"""`pggan prepare units`, on a game made here."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pggan_framework.cli.prepare import run
from pggan_framework.data.datasets.images import DefaultImageFolderDataset
from pggan_framework.errors import UserError
from pggan_framework.recipes import units


def unit(colour: tuple[int, int, int], side: int = 72, seen: int = 40) -> Image.Image:
    """A square of a colour in the middle of nothing."""
    image = Image.new("RGBA", (side, side), (10, 20, 30, 0))
    image.paste((*colour, 255), ((side - seen) // 2,) * 2 + ((side + seen) // 2,) * 2)
    return image


def game(root: Path, version: str = "1.16", people: str = "orcs") -> Path:
    """A package of three peoples: 5 images that are requested, and others that are not."""
    folder = root / "usr" / "share" / "games" / "wesnoth" / version / "data" / "core" / "images" / "units"
    for name in (people, "ogres", "elves-wood/archer"):
        (folder / name).mkdir(parents=True)
    for number in range(3):
        unit((200, number, 0)).save(folder / people / f"grunt-{number}.png")
    unit((200, 2, 0)).save(folder / people / "grunt-2-again.png")
    unit((1, 2, 3), seen=10).save(folder / people / "grunt-flame.png")
    unit((1, 2, 3), side=100).save(folder / people / "grunt-attack.png")
    unit((0, 200, 0)).save(folder / "elves-wood" / "archer" / "bow.png")
    unit((0, 0, 200)).convert("P").save(folder / "elves-wood" / "elf.png", transparency=0)
    unit((9, 9, 9)).save(folder / "ogres" / "ogre.png")
    unit((9, 9, 9)).save(folder / "random-dice.png")
    return folder


def found(out: Path) -> dict[str, Image.Image]:
    return {path.relative_to(out).as_posix(): Image.open(path) for path in sorted(out.rglob("*.png"))}


WANTED = ["elves-wood/archer/bow.png", "elves-wood/elf.png", *(f"orcs/grunt-{number}.png" for number in (0, 1))]


def test_a_folder_a_people(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = game(tmp_path / "package")
    for number, source in enumerate((tmp_path / "package", folder.parents[2], folder.parent.parent, folder)):
        out = tmp_path / str(number)
        assert run(["units", str(out), "--from", str(source), "--least", "2"]) == 0
        pictures = found(out)
        assert list(pictures) == [*WANTED, "orcs/grunt-2-again.png"]
        assert {(image.mode, image.size) for image in pictures.values()} == {("RGBA", (72, 72))}
        pixels = np.asarray(pictures["orcs/grunt-1.png"])
        assert pixels[36, 36].tolist() == [200, 1, 0, 255] and pixels[0, 0, 3] == 0
        assert "GPL-2" in (out / "CREDITS.txt").read_text()
    assert "5 images of 72x72 with transparency: elves-wood 2, orcs 3. Units of" in capsys.readouterr().out
    dataset = DefaultImageFolderDataset(tmp_path / "0", size=(64, 64), resize="stretch", labels=["folder"])
    assert dataset.image(0)[:, 0, 0].tolist() == [255, 255, 255]
    assert dataset.image(0)[:, 32, 32].tolist() == [0, 200, 0]


def test_some_of_them(tmp_path: Path) -> None:
    game(tmp_path / "package")
    words = ["--from", str(tmp_path / "package"), "--least", "1"]
    for name, more in {"a": ["--count", "2"], "b": ["--count", "4"], "c": ["--count", "2", "--seed", "1"]}.items():
        run(["units", str(tmp_path / name), *words, *more])
    a, b, c = (set(found(tmp_path / name)) for name in "abc")
    assert (len(a), len(b), len(c)) == (2, 4, 2) and a < b and c != a
    with pytest.raises(UserError, match="count is 7; there are only 6 different images"):
        run(["units", str(tmp_path / "d"), *words, "--count", "7"])


def test_the_newest_that_is_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for version in ("1.9", "1.16", "1.14"):
        game(tmp_path, version, f"orcs{version}")
    monkeypatch.setattr(units, "INSTALLED", (str(tmp_path / "usr/share/games/wesnoth"), str(tmp_path / "none")))
    run(["units", str(tmp_path / "out"), "--least", "3"])
    assert {path.parent.name for path in (tmp_path / "out").rglob("*.png")} == {"orcs1.16"}


def test_mistakes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = game(tmp_path / "package")
    out, here = str(tmp_path / "out"), ["--from", str(tmp_path / "package")]
    (folder / "ogres" / "broken.png").write_bytes(b"no image")
    monkeypatch.setattr(units, "INSTALLED", (str(tmp_path / "none"),))
    for words, message in (
        (["--least", "1", *here], "cannot read .*broken.png: "),
        (["--count", "0", *here], "count is 0"),
        (["--least", "0", *here], "least is 0"),
        (["--from", str(tmp_path / "none")], r"no units of Wesnoth \(data/core/images/units\) in .*none; run 'apt-get"),
        ([], r"no units of Wesnoth in .*none; run 'apt-get install wesnoth-1.16-data' \(146 MB; GPL-2 or later\)"),
    ):
        with pytest.raises(UserError, match=message) as caught:
            run(["units", out, *words])
        assert "\n" not in str(caught.value)
    (folder / "ogres" / "broken.png").unlink()
    with pytest.raises(UserError, match="no race in .* has 50 images of 72x72; lower --least"):
        run(["units", out, *here])
    assert {path.name for path in tmp_path.iterdir()} == {"package"}
