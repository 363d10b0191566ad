import base64
import json
import re
from html.parser import HTMLParser
from io import BytesIO

import numpy as np
import pytest
import soundfile
from folders import SIDE, make_run
from PIL import Image

from pggan_framework.cli.main import main
from pggan_framework.postprocessors.picture import save_png
from pggan_framework.reporting.page import render
from pggan_framework.reporting.run import Run


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

    def of(self, tag, **wanted):
        return [each for name, each in self.found if name == tag and wanted.items() <= each.items()]


def media(text):
    """What the page's script shows."""
    return json.loads(re.search(r'<script type="application/json" id="media">(.*?)</script>', text)[1])


def embedded(address):
    assert address.startswith("data:") and ";base64," in address
    return base64.b64decode(address.partition(",")[2])


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return make_run(tmp_path / "results" / "007-cats", [10, 20, 30, 40])


def test_a_page_holds_the_run_and_needs_nothing_else(run, capsys):
    assert main(["report", "latest", "--sheets", "3"]) == 0
    assert capsys.readouterr().out == f"written to {run.relative_to(run.parent.parent) / 'report.html'}\n"
    text = (run / "report.html").read_text()
    page, (shown,) = Elements(text), media(text)
    assert [step["kimg"] for step in shown["steps"]] == [10, 30, 40]  # evenly, and the last
    for step in shown["steps"]:
        kimg = step["kimg"]
        assert embedded(step["sheet"]) == (run / "images" / f"fakes_{kimg:06d}.png").read_bytes()
        assert step["tiles"] == [[0, 0, SIDE, SIDE], [SIDE, 0, SIDE, SIDE]]
        for number, sound in step["sounds"].items():
            assert embedded(sound) == (run / "sound" / f"fakes_sound_{kimg:06d}_0{number}.wav").read_bytes()
        assert list(step["sounds"]) == ["0", "1"]
    assert embedded(shown["real"]["sheet"]) == (run / "reals.png").read_bytes()
    assert embedded(shown["real"]["sounds"]["1"]) == (run / "sound" / "reals_sound_01.wav").read_bytes()
    assert [card["data-sample"] for card in page.of("li", **{"class": "card"})] == ["0", "1"]
    assert page.of("input", type="range")[0]["max"] == "2"
    for said in ("40 of 40 kimg in 40m 40s, depth 1", "31.25", "2.5", "n 500", "torch", "2.14.1", "betas", "WGANGP",
                 "pggan train --resume results/007-cats --minutes 10", "0.01 s, 0 to 4 kHz"):  # fmt: skip
        assert said in page.text, said
    assert all(not address.startswith(("http", "//")) for address in re.findall(r'(?:src|href)="([^"]*)"', text))
    assert "<b></i>" not in text and "<b></title>" not in text  # a metric's name is text, whatever it is


def test_everything_that_acts_has_a_name(run):
    page = Elements(render([Run(run)]))
    buttons = page.of("button", **{"class": "play"})
    assert len(buttons) == len(page.of("canvas")) == 4
    names = {button["aria-label"] for button in buttons}
    assert names == {f"play {what} sample {number}" for what in ("generated", "real") for number in (1, 2)}
    assert all(
        "aria-label" in each for tag in ("canvas", "input") for each in page.of(tag) if each.get("type") != "number"
    )
    assert all(plot["tabindex"] == "0" and plot["aria-label"] for plot in page.of("div", **{"class": "plot"}))
    assert page.of("html", lang="en") and len(page.of("h1")) == 1


def test_it_replaces_the_last_one_and_leaves_nothing_beside(run):
    before = sorted(path.name for path in run.iterdir())
    (run / "report.html").write_text("old")
    assert main(["report", str(run)]) == 0
    assert "old" not in (run / "report.html").read_text()[:20]
    assert sorted(path.name for path in run.iterdir()) == sorted([*before, "report.html"])


def test_runs_side_by_side(run, tmp_path):
    other = make_run(tmp_path / "results" / "008-cats", [10, 20], 3.0, Adam={"betas": [0.5, 0.99]})
    assert main(["report", str(run), str(other), "--out", "both.html"]) == 0
    text = (tmp_path / "both.html").read_text()
    page = Elements(text)
    compared = page.text.partition("Samples:")[0]
    assert "Adam.betas" in compared and "[0.5, 0.99]" in compared and "20 of 40 kimg" in compared
    assert "total_kimg" not in compared  # the same in both
    assert [len(run["steps"]) for run in media(text)] == [4, 2]
    curves = {name: page.text.count(name) for name in ("007-cats", "008-cats")}
    assert min(curves.values()) >= 3  # in the legend of each loss


def test_runs_of_several_seeds_are_one_curve_with_a_band(run, tmp_path):
    other = make_run(tmp_path / "results" / "008-cats", [10, 20, 30, 40], 3.0, random_seed=2)
    assert main(["report", str(run), str(other), "--out", "both.html"]) == 0
    text = (tmp_path / "both.html").read_text()
    assert "mean of 007-cats, 008-cats" in Elements(text).text
    (values,) = re.findall(r'aria-label="Loss over kimg; last values: G_loss ([-0-9.]*), D_loss [-0-9.]*"', text)
    assert float(values) == 80  # of 40 and 120
    assert re.findall(r'data-low="([^"]*)"', text)[0].split()[-1] == "40"


def test_a_run_that_a_clock_ends_does_not_speak_of_kimg_it_will_not_reach(tmp_path):
    folder = make_run(tmp_path / "001-x", [10], minutes=1.0, total_kimg=3000.0)
    assert "3000" not in Elements(render([Run(folder)])).text.partition("Versions and")[0]
    (folder / "run.json").write_text('{"status": "finished", "total_kimg": null, "data": "5 sounds"}')
    text = Elements(render([Run(folder)])).text
    assert "3000" not in text.partition("Versions and")[0] and "finished" in text and "5 sounds" in text


def test_a_page_keeps_within_its_size(tmp_path):
    folder = make_run(tmp_path / "001-x", list(range(10, 210, 10)), samples=8)
    random = np.random.default_rng(0)
    for path in (folder / "sound").glob("fakes_*_0?.wav"):  # 160 sounds of 1 s, 7 MB in base64
        noisy = "_000200_" in path.name
        soundfile.write(path, random.uniform(-0.5, 0.5, 16000) if noisy else np.zeros(16000), 16000)
    page = render([Run(folder)], sheets=20, megabytes=1.2)
    (shown,) = media(page)
    assert 0.2e6 < len(page) < 1.2e6
    assert shown["steps"][-1]["kimg"] == 200 and len(shown["steps"][-1]["sounds"]) == 8
    wave, rate = soundfile.read(BytesIO(embedded(shown["steps"][-1]["sounds"]["3"])))
    assert rate == 16000 and abs(len(wave) - 16000) < 3000 and 0.1 < wave.std() < 0.4


def test_a_sheet_of_an_earlier_version_is_shown_whole(run):
    Image.new("RGB", (9, 5)).save(run / "images" / "fakes_000040.png")
    (shown,) = media(render([Run(run)]))
    assert shown["steps"][-1]["tiles"] == [[0, 0, 9, 5]]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("run.json", '{"status": 3, "parameters": {"generator": "many"}, "total_kimg": "long", "data": null}'),
        ("run.json", "[1]"),
        ("samples.json", '{"labels": 7}'),
        ("environment.json", "{"),
        ("metrics.jsonl", '{"by": "QualityMonitor"}\n{"n": "x", "fid": [1]}\n'),
        ("stats.jsonl", '{"kimg": "x"}\n{"kimg": 1e999, "G_loss": 1}\n{"kimg": 1, "depth": "deep", "time": null}\n'),
    ],
)
def test_damaged_files_of_a_run_cost_what_they_said_not_the_page(run, name, content):
    (run / name).write_text(content)
    assert 'class="card"' in render([Run(run)])


@pytest.mark.parametrize("tiles", ["[[0, 0, 99, 1]]", "[[-1, 0, 2, 2]]", "[[0, 0, Infinity, 1]]", "7", "[[1, 2]]", "{"])
def test_tiles_outside_a_sheet_are_not_used(run, tiles):
    sheet = Image.new("RGB", (9, 5))
    sheet.info["tiles"] = tiles
    save_png(sheet, run / "images" / "fakes_000040.png")
    assert Run(run).steps[-1].tiles == [(0, 0, 9, 5)] and Run(run).samples[0].size == (9, 5)


def test_labels_are_on_the_cards(run):
    (run / "samples.json").write_text(json.dumps({"labels": ["C4, piano", "<D4>"]}))
    text = render([Run(run)])
    assert "C4, piano" in Elements(text).text and "<D4>" in Elements(text).text and "<D4>" not in text


def test_a_run_that_has_only_begun(tmp_path):
    folder = tmp_path / "000-new"
    folder.mkdir()
    (folder / "config.yaml").write_text("total_kimg: 5\n")
    assert main(["report", str(folder)]) == 0
    page = Elements((folder / "report.html").read_text())
    assert "no tick yet" in page.text and "no samples yet" in page.text
    assert not page.of("svg") and not page.of("canvas") and not page.of("img")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nowhere"], "nowhere does not exist; allowed: a run's folder, or latest"),
        (["results/007-cat"], "results/007-cat does not exist (did you mean 'results/007-cats'?)"),
        (["results/007-cats/config.yaml"], "is a file; allowed: a run's folder"),
        (["results"], "results is not a run's folder: it has no readable config.yaml"),
        (["latest", "--result_dir", "empty"], "there is no run in empty"),
        (["latest", "--sheets", "-1"], "--sheets is -1; allowed: 0 and up"),
        (["latest", "--sounds", "-2"], "--sounds is -2; allowed: 0 and up"),
        (["latest", "results/007-cats"], "--out is missing: give the file for the page of the 2 runs"),
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
