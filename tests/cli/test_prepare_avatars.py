"""`pggan prepare avatars`, with a stand-in for node that draws rectangles."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from pggan_framework.cli.prepare import run
from pggan_framework.data.datasets.label_maps import LabelMapDataset
from pggan_framework.errors import UserError
from pggan_framework.recipes.avatars import CLASSES, PACKAGES, snap

# Shaded skin below, hair on the left half of the top, its colour mixed with the background's at the edge.
NODE = f"""#!{sys.executable}
import json, sys
from PIL import Image
assert sys.argv[1] == "--input-type=module" and "toon-head" in sys.argv[3]
order = json.loads(sys.argv[-1])
if order["count"] == 13:
    sys.exit("Error [ERR_MODULE_NOT_FOUND]: Cannot find package")
for number in range(1, order["count"] + 1):
    name = f"{{number:05d}}.png"
    Image.new("RGB", (order["size"],) * 2, order["background"]).save(f"{{order['out']}}/images/{{name}}")
    side = order["size"] * order["finer"]
    drawn = Image.new("RGB", (side, side), order["paper"])
    drawn.paste((0, 204, 0), (0, side // 2, side, side))
    drawn.paste("#" + order["colours"]["hairColor"][0], (0, 0, side // 2, side // 2))
    drawn.paste((100, 0, 255), (side // 2, 0, side // 2 + 1, side // 2))
    drawn.save(f"{{order['out']}}/labels/{{name}}")
    print(number, flush=True)
"""


@pytest.fixture
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for package in PACKAGES:
        (tmp_path / "npm" / "node_modules" / package).mkdir(parents=True)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "node").write_text(NODE)
    (tmp_path / "bin" / "node").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    return tmp_path / "npm"


def test_pairs_that_can_be_trained_on(modules: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    words = ["--count", "3", "--size", "8", "--background", "#102030"]
    for source in (modules, modules / "node_modules"):
        assert run(["avatars", str(out / source.name), "--from", str(source), *words]) == 0
    assert "CC BY 4.0" in capsys.readouterr().out and "Melin" in (out / "npm" / "CREDITS.txt").read_text()
    assert sorted(path.name for path in (out / "npm" / "labels").iterdir()) == ["00001.png", "00002.png", "00003.png"]
    dataset = LabelMapDataset(out / "npm" / "images", out / "npm" / "labels", classes=len(CLASSES))
    names = list(CLASSES)
    expected = np.full((8, 8), names.index("skin"))
    expected[:4] = names.index("background")
    expected[:4, :4] = names.index("hair")
    np.testing.assert_array_equal(dataset.label_map(2), expected)
    assert dataset.image(0)[:, 0, 0].tolist() == [16, 32, 48]


def test_a_pixel_is_what_most_of_it_is() -> None:
    pixels = np.zeros((2, 4, 3), np.uint8)
    pixels[:, :2] = CLASSES["clothes"]
    pixels[0, 0] = CLASSES["skin"]
    pixels[:, 2:] = (235, 235, 225)  # a shaded white
    assert snap(pixels, 2).tolist() == [[3, 4]]
    for shade in (1.0, 0.8):
        for number, (name, colour) in enumerate(CLASSES.items()):
            if name in ("skin", "hair", "clothes"):
                one = np.full((4, 4, 3), np.array(colour) * shade).astype(np.uint8)
                assert snap(one, 4).tolist() == [[number]]


def test_what_is_missing_is_named(modules: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "out"
    with pytest.raises(UserError, match="node cannot draw the faces: Error .*Cannot find package; install Node.js"):
        run(["avatars", str(out), "--from", str(modules), "--count", "13"])
    with pytest.raises(UserError, match="unknown background colour 'sea'"):
        run(["avatars", str(out), "--from", str(modules), "--background", "sea"])
    with pytest.raises(UserError, match="count is 0"):
        run(["avatars", str(out), "--from", str(modules), "--count", "0"])
    (modules / "node_modules" / "@dicebear" / "toon-head").rmdir()
    with pytest.raises(UserError, match=r"no @dicebear/toon-head in .*node_modules; run 'npm install --prefix DIR"):
        run(["avatars", str(out), "--from", str(modules)])
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match="node, .* is not installed; .*apt-get install nodejs npm"):
        run(["avatars", str(out), "--from", str(modules)])
    assert not out.exists()
