import base64
import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest
import soundfile
import yaml
from PIL import Image

from pggan_framework.cli.main import main
from pggan_framework.postprocessors.chart import Curves
from pggan_framework.reporting.panels import panels_of
from pggan_framework.reporting.record import read_run
from pggan_framework.reporting.svg import HEIGHT, MOST_POINTS, WIDTH, svg_chart


class Elements(HTMLParser):
    """The elements of a page, each with its attributes, and its text."""

    def __init__(self, text):
        super().__init__()
        self.found, self.text = [], ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data

    def of(self, tag):
        return [attributes for name, attributes in self.found if name == tag]


def make_run(folder, kimgs, scale=1.0, **config):
    (folder / "images").mkdir(parents=True)
    (folder / "sound").mkdir()
    settings = {"total_kimg": 40.0, "loss": "WGANGP", "Adam": {"betas": [0.0, 0.99]}, **config}
    (folder / "config.yaml").write_text(yaml.safe_dump(settings))
    (folder / "environment.json").write_text(json.dumps({"torch": "2.14.1"}))
    lines = []
    for number, kimg in enumerate(kimgs):
        colour = (kimg, 0, number)
        Image.new("RGB", (8, 4), colour).save(folder / "images" / f"fakes_{kimg:06d}.png")
        soundfile.write(folder / "sound" / f"fakes_sound_{kimg:06d}_00.wav", np.full(80, kimg / 100), 8000)
        soundfile.write(folder / "sound" / f"fakes_sound_{kimg:06d}_all.wav", np.zeros(80), 8000)
        lines.append({"nimg": kimg * 1000, "kimg": kimg, "depth": number // 2, "alpha": 1.0, "time": 61.0 * kimg})
        lines[-1] |= {"G_loss": scale * kimg, "D_loss": None if number == 1 else -scale * kimg, "<b>": 1}
    Image.new("RGB", (8, 4), (0, 255, 0)).save(folder / "reals.png")
    (folder / "stats.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines) + '{"nimg": 5')
    (folder / "metrics.jsonl").write_text(json.dumps({"n": 500, "fid": 31.25, "fid.floor": 2.5, "depth": 3}) + "\n")
    return folder


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return make_run(tmp_path / "results" / "007-cats", [10, 20, 30, 40])


def embedded(address):
    assert address.startswith("data:") and ";base64," in address
    return base64.b64decode(address.partition(",")[2])


def test_a_page_holds_the_run_and_needs_nothing_else(run, capsys):
    assert main(["report", "latest", "--sheets", "3"]) == 0
    assert capsys.readouterr().out == f"written to {run.relative_to(run.parent.parent) / 'report.html'}\n"
    text = (run / "report.html").read_text()
    page = Elements(text)
    sheets = [image for image in page.of("img") if "data-kimg" in image]
    assert [image["data-kimg"] for image in sheets] == ["10", "30", "40"]  # evenly, and the last
    assert ["hidden" in image for image in sheets] == [True, True, False]
    assert embedded(sheets[-1]["src"]) == (run / "images" / "fakes_000040.png").read_bytes()
    assert [embedded(sound["src"]) for sound in page.of("audio")] == [
        (run / "sound" / "fakes_sound_000040_00.wav").read_bytes()
    ]
    assert page.of("input")[0]["max"] == "2"
    for said in ("40 of 40 kimg, depth 1, 40m 40s", "31.25", "2.5", "n 500", "torch", "2.14.1", "betas", "WGANGP"):
        assert said in page.text, said
    assert all(not address.startswith(("http", "//")) for address in re.findall(r'(?:src|href)="([^"]*)"', text))
    assert "<b></i>" not in text and "<b></title>" not in text  # a figure's name is text, whatever it is


def test_it_replaces_the_last_one_and_leaves_nothing_beside(run):
    before = sorted(path.name for path in run.iterdir())
    (run / "report.html").write_text("old")
    assert main(["report", str(run)]) == 0
    assert "old" not in (run / "report.html").read_text()[:20]
    assert sorted(path.name for path in run.iterdir()) == sorted([*before, "report.html"])


def test_runs_side_by_side(run, tmp_path):
    other = make_run(tmp_path / "results" / "008-cats", [10, 20], 3.0, Adam={"betas": [0.5, 0.99]})
    assert main(["report", str(run), str(other), "--out", "both.html"]) == 0
    page = Elements((tmp_path / "both.html").read_text())
    assert "Adam.betas" in page.text and "[0.5, 0.99]" in page.text
    assert "total_kimg" not in page.text.partition("Samples")[0]  # the same in both
    assert "007-cats G_loss" in page.text and "008-cats G_loss" in page.text
    assert len([image for image in page.of("img") if "data-kimg" in image]) == 6


def test_a_run_that_has_only_begun(tmp_path, capsys):
    folder = tmp_path / "000-new"
    folder.mkdir()
    (folder / "config.yaml").write_text("total_kimg: 5\n")
    assert main(["report", str(folder)]) == 0
    page = Elements((folder / "report.html").read_text())
    assert "no tick so far" in page.text and "no sheet of samples so far" in page.text
    assert not page.of("svg") and not page.of("audio") and not page.of("img")


def test_ticks_that_a_rollback_has_undone_are_not_drawn(run):
    with (run / "stats.jsonl").open("a") as file:
        file.write('\n{"kimg": 25, "G_loss": 7}\n{"kimg": 35, "G_loss": 8}\n')
    assert [tick["kimg"] for tick in read_run(run).ticks] == [10, 20, 25, 35]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nowhere"], "nowhere does not exist; allowed: a run's folder, or latest"),
        (["results/007-cat"], "results/007-cat does not exist (did you mean 'results/007-cats'?)"),
        (["results/007-cats/config.yaml"], "is a file; allowed: a run's folder"),
        (["results"], "results is no run's folder: it has no config.yaml"),
        (["latest", "--result_dir", "empty"], "there is no run in empty"),
        (["latest", "--sheets", "-1"], "--sheets is -1; allowed: 0 and up"),
        (["latest", "--sounds", "-2"], "--sounds is -2; allowed: 0 and up"),
        (["latest", "results/007-cats"], "--out is due: which file is to hold the 2 runs?"),
        (["latest", "--out", "there.html"], "there.html exists already"),
        (["latest", "--out", "results/007-cats/reals.png/x.html"], "cannot write"),
        ([], "see 'pggan report -h'"),
    ],
)
def test_bad_input_is_one_line(run, tmp_path, capsys, words, said):
    (tmp_path / "there.html").write_text("mine")
    assert main(["report", *words]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and error.count("\n") == 1 and said in error
    assert (tmp_path / "there.html").read_text() == "mine" and not (run / "report.html").exists()


def test_panels_hold_what_belongs_together():
    ticks = [
        {"kimg": 1, "time": 9, "G_loss": 2.0, "D_real": 1, "picture.fid": 3, "picture.fid.floor": 2},
        {"kimg": 2, "D_loss": 4.0},
    ]
    panels = {panel.title: dict(panel.lines) for panel in panels_of({"a": ticks})}
    assert list(panels) == ["loss", "scores", "picture.fid"]
    assert sorted(panels["picture.fid"]) == ["picture.fid", "picture.fid.floor"]
    assert [values.tolist() for values in panels["loss"]["D_loss"]] == [[2.0], [4.0]]
    assert [values.tolist() for values in panels["loss"]["G_loss"]] == [[1.0], [2.0]]
    assert "time" not in panels and panels_of({"a": [{"kimg": 1, "x": float("nan"), "y": None}]}) == []


def test_a_curve_stands_where_its_values_are():
    text = svg_chart(Curves("loss", {"G": (np.array([0.0, 5.0, 10.0]), np.array([1.0, 3.0, 2.0]))}), {5.0: "depth 1"})
    points = [tuple(map(float, point.split(","))) for point in re.findall(r'points="([^"]*)"', text)[0].split()]
    assert points[1][0] == pytest.approx((points[0][0] + points[2][0]) / 2, abs=0.11)  # halfway along
    assert points[2][1] == pytest.approx((points[0][1] + points[1][1]) / 2, abs=0.11)  # 2 is halfway between 1 and 3
    assert points[1][1] < points[0][1]  # more is further up
    assert all(0 <= x <= WIDTH and 0 <= y <= HEIGHT for x, y in points)
    mark = re.findall(r'class="mark" x1="([0-9.]*)"', text)
    assert float(mark[0]) == points[1][0] and "depth 1" in text


def test_a_long_curve_keeps_its_spikes():
    y = np.zeros(50_000)
    y[[777, 31_313]] = 9, -9
    text = svg_chart(Curves("loss", {"G": (np.arange(50_000.0), y)}), {})
    heights = [float(point.split(",")[1]) for point in re.findall(r'points="([^"]*)"', text)[0].split()]
    assert len(heights) <= MOST_POINTS
    assert heights.count(min(heights)) == heights.count(max(heights)) == 1
