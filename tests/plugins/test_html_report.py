import json
import re

import pytest
from tiny import TONES

from pggan_framework import run
from pggan_framework.errors import UserError
from pggan_framework.plugins.depth import DepthManager
from pggan_framework.plugins.html_report import HTMLReport

SHORT = {**TONES, "total_kimg": 0.02}
SAVING = {**SHORT, "postprocessors": ["ImageSaver", "SoundSaver"]}


@pytest.mark.parametrize(("name", "value"), [("every_ticks", -1), ("sheets", 0), ("sounds", -1)])
def test_what_is_refused(name, value):
    with pytest.raises(UserError, match=rf"HTMLReport\.{name} {value} is not allowed; allowed: \d and up"):
        HTMLReport(**{name: value})


def test_every_run_ends_with_a_page_that_knows_all_of_it(tmp_path):
    folder = run(config=[], overrides={**SAVING, "result_dir": str(tmp_path)}).path
    page = (folder / "report.html").read_text()
    assert page.count('class="card"') == len(list(folder.glob("sound/reals_*_0?.wav"))) > 0
    assert "<svg" in page and "TonesDataset" in page and " of 0.02 kimg" in page
    assert "finished" in page and "sounds of 0.1" in page and f"pggan train --resume {folder} --minutes 10" in page
    state = json.loads((folder / "run.json").read_text())
    assert state["status"] == "finished" and state["total_kimg"] == 0.02 and state["parameters"]["generator"] > 0
    (shown,) = json.loads(re.search(r'id="media">(.*?)</script>', page)[1])
    assert len(shown["steps"][-1]["tiles"]) == len(shown["steps"][-1]["sounds"]) == len(shown["real"]["tiles"])


def test_none_where_it_is_not_wished(tmp_path):
    folder = run(config=[], overrides={**SHORT, "result_dir": str(tmp_path), "HTMLReport.write": False}).path
    assert not (folder / "report.html").exists()


def test_a_run_that_is_torn_down_has_a_page_too(tmp_path, monkeypatch):
    def fall(self, *_):
        raise RuntimeError("torn down")

    monkeypatch.setattr(DepthManager, "on_tick", fall)
    with pytest.raises(RuntimeError, match="torn down"):
        run(config=[], overrides={**SHORT, "result_dir": str(tmp_path)})
    (page,) = tmp_path.glob("000-*/report.html")
    assert json.loads((page.parent / "run.json").read_text())["status"] == "failed"
    assert "failed; see the last lines of log.txt" in page.read_text()


def test_a_disk_that_is_full_costs_a_message(tmp_path, monkeypatch, capsys):
    def full(path):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pggan_framework.plugins.html_report.atomic_path", full)
    folder = run(config=[], overrides={**SHORT, "result_dir": str(tmp_path)}).path
    assert "report.html ([Errno 28] No space left on device); training continues" in capsys.readouterr().err
    assert list(folder.glob("network-snapshot-*.pt"))


def test_a_resumed_run_may_have_another_page(tmp_path):
    folder = run(config=[], overrides={**SHORT, "result_dir": str(tmp_path), "HTMLReport.write": False}).path
    run(config=[], overrides={"resume": str(folder), "total_kimg": 0.03, "HTMLReport.write": True})
    assert " of 0.03 kimg" in (folder / "report.html").read_text()
