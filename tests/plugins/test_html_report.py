import pytest
from tiny import TONES

from pggan_framework import run
from pggan_framework.errors import UserError
from pggan_framework.plugins.html_report import HTMLReport
from pggan_framework.plugins.output import OutputGenerator

SHORT = {**TONES, "total_kimg": 0.02}
SAVING = {**SHORT, "postprocessors": ["ImageSaver", "SoundSaver"]}


@pytest.mark.parametrize(("name", "value"), [("every_ticks", -1), ("sheets", 0), ("sounds", -1)])
def test_what_is_refused(name, value):
    with pytest.raises(UserError, match=rf"HTMLReport\.{name} {value} is not allowed; allowed: \d and up"):
        HTMLReport(**{name: value})


def test_every_run_ends_with_a_page_that_knows_all_of_it(tmp_path):
    folder = run(config=[], overrides={**SAVING, "result_dir": str(tmp_path)}).path
    page = (folder / "report.html").read_text()
    assert page.count("<audio") == len(list(folder.glob("sound/fakes_*_0?.wav"))) > 0
    assert 'alt="samples of ' in page and "<svg" in page and "TonesDataset" in page
    assert page.count(" of 0.02 kimg") == 1


def test_none_where_it_is_not_wished(tmp_path):
    folder = run(config=[], overrides={**SHORT, "result_dir": str(tmp_path), "HTMLReport.write": False}).path
    assert not (folder / "report.html").exists()


def test_a_run_that_is_torn_down_has_a_page_too(tmp_path, monkeypatch):
    def fall(self):
        raise RuntimeError("torn down")

    monkeypatch.setattr(OutputGenerator, "on_tick", fall)
    with pytest.raises(RuntimeError, match="torn down"):
        run(config=[], overrides={**SHORT, "result_dir": str(tmp_path)})
    assert len(list(tmp_path.glob("000-*/report.html"))) == 1


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
