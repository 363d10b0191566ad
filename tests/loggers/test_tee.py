"""TeeLogger: log.txt's head, a tick's line, resume, and a terminal or disk that goes away."""

import io
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from pggan_framework.loggers.base import RunInfo
from pggan_framework.loggers.tee import TeeLogger, network_table, tick_line
from pggan_framework.loggers.terminal import duration

STATS = {
    "tick": 12.0, "nimg": 240000, "kimg": 240.0, "depth": 3.0, "alpha": 0.5, "lod": 2.5, "minibatch": 16.0,
    "time": 3725.0, "sec.tick": 12.3, "sec.kimg": 0.615, "G_lr": 0.001, "D_lr": 0.001, "G_loss": -1.25, "D_loss": 0.75,
    "D_real": 2.0, "D_fake": -2.0, "gradient_penalty": 0.25, "drift": 0.004, "feature_matching": 7.5,
}  # fmt: skip


def run_info(directory: Path, resumed_nimg: int | None = None) -> RunInfo:
    return RunInfo(
        directory=directory,
        name="007-tones",
        config={"general": {"total_kimg": 30}},
        config_text="general:\n  total_kimg: 30\nTrainer:\n  D_training_repeats: 1\n",
        data={"images": "1000", "cut": "3 clips"},
        networks={"Generator": [("dense", "128x4x4", 131_200), ("to_grey", "1x4x4", 129)]},
        total_kimg=30,
        resumed_nimg=resumed_nimg,
        environment={"torch": "2.14.1", "device": "cpu"},
    )


def test_log_opens_with_run_environment_config_data_and_networks(tmp_path, capsys):
    TeeLogger().start(run_info(tmp_path))
    text = (tmp_path / "log.txt").read_text()
    parts = [
        "007-tones",
        "date",
        "2.14.1",
        "general:\n  total_kimg: 30\nTrainer:\n  D_training_repeats: 1\n",
        "3 clips",
    ]
    places = [text.index(part) for part in [*parts, "Generator", "131,200", "131,329"]]
    assert places == sorted(places)
    gist = capsys.readouterr().out
    assert str(tmp_path) in gist and "generator 131,329" in gist
    assert "D_training_repeats" not in gist and len(gist.splitlines()) < 8


def test_network_table_is_aligned_and_totalled():
    lines = network_table("D", [("a", "1x8x8", 5), ("a longer layer", "16x8x8", 123_456)]).splitlines()
    assert len({len(line) for line in lines}) == 1
    assert lines[-1].split() == ["total", "123,461"]


def test_a_tick_is_one_line_that_fits_a_terminal(tmp_path, capsys):
    logger = TeeLogger()
    logger.start(run_info(tmp_path))
    capsys.readouterr()
    logger.log(STATS, 240000)
    line = capsys.readouterr().out.splitlines()
    assert line == (tmp_path / "log.txt").read_text().splitlines()[-1:]
    found = re.sub(r"\s+", " ", line[0])
    expected = [
        "tick 12 240.00 kimg depth 3 alpha 0.50 1626 img/s 1h 02m 05s",
        "D_loss 0.75 G_loss -1.25 D_real 2 D_fake -2",
        "feature_matching 7.5",
    ]
    assert found.strip() == " ".join(expected) and line[0].index("feature_matching") <= 132


@pytest.mark.parametrize(
    "name", ["sound.frechet", "sound.frechet.floor", "picture.swd.64", "gradient.G.min", "r1", "quality"]
)
def test_what_the_report_has_is_left_out_of_a_line_unless_everything_is_wanted(name):
    stats = {**STATS, name: 123.0}
    assert tick_line(stats) == tick_line(STATS)
    assert f"{name} 123" in tick_line(stats, everything=True)


def test_quiet_prints_nothing_and_the_file_has_it_all(tmp_path, capsys):
    for verbosity, lines in (("quiet", 0), ("normal", 4), ("verbose", 15)):
        logger = TeeLogger()
        logger.start(replace(run_info(tmp_path), verbosity=verbosity))
        logger.log(STATS, 240000)
        out = capsys.readouterr().out
        assert (out.count("\n") >= lines) if lines else out == ""
        assert "131,329" in (text := (tmp_path / "log.txt").read_text()) and "feature_matching" in text
    assert "D_training_repeats" in out and "gradient_penalty 0.25" in out


def test_no_line_is_long_whatever_the_data_say(tmp_path, capsys):
    TeeLogger().start(replace(run_info(tmp_path), data={"sounds": "x" * 1000}, data_line="98 sounds of 0.19 s"))
    out = capsys.readouterr().out
    assert "98 sounds of 0.19 s" in out and max(map(len, out.splitlines())) < 160


def test_lines_of_different_ticks_are_aligned():
    later = {**STATS, "tick": 3.0, "kimg": 1.5, "time": 7.0, "D_loss": -123.4567, "G_loss": float("nan")}
    for label in ("kimg", "alpha", "img/s", "D_real", "feature_matching"):
        assert tick_line(STATS).index(label) == tick_line(later).index(label)


def test_missing_figures_are_left_out():
    assert tick_line({"tick": 1, "nimg": 20, "mine": 2.5}).split() == ["tick", "1", "mine", "2.5"]


def test_resume_appends(tmp_path, capsys):
    first = TeeLogger()
    first.start(run_info(tmp_path))
    first.log(STATS, 240000)
    first.finish("interrupted")
    before = (tmp_path / "log.txt").read_text()
    TeeLogger().start(run_info(tmp_path, resumed_nimg=240_000))
    text = (tmp_path / "log.txt").read_text()
    assert text.startswith(before) and "interrupted" in before
    assert re.fullmatch(r"resumed at 240\.00 kimg, .*\n", text[len(before) :])


def test_a_resumed_run_without_its_log_gets_a_whole_one(tmp_path):
    TeeLogger().start(run_info(tmp_path, resumed_nimg=5000))
    text = (tmp_path / "log.txt").read_text()
    assert "131,329" in text and "resumed at 5.00 kimg" in text


class ClosedTerminal(io.StringIO):
    def write(self, text: str) -> int:
        raise BrokenPipeError(32, "Broken pipe")


def test_a_closed_terminal_is_noted_once_in_the_file(tmp_path, monkeypatch):
    logger = TeeLogger()
    logger.start(run_info(tmp_path))
    monkeypatch.setattr(sys, "stdout", ClosedTerminal())
    logger.message("one")
    logger.message("two")
    lines = (tmp_path / "log.txt").read_text().splitlines()[-3:]
    assert lines[0] == "one" and "terminal is closed" in lines[1] and lines[2] == "two"


def test_a_closed_pipe_leaves_the_exit_status_alone(tmp_path):
    program = (
        "import sys, time; from pathlib import Path\n"
        "from pggan_framework.loggers.tee import TeeLogger\n"
        "logger = TeeLogger(); logger._path = Path(sys.argv[1])\n"
        "logger.message('hello'); sys.stdin.read()\n"
        "for number in range(5): logger.message(f'line {number}')\n"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "log.txt")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"hello\n"
        process.stdout.close()
        process.stdin.close()
        assert process.wait(30) == 0
        assert process.stderr.read() == b""
    assert "line 4" in (tmp_path / "log.txt").read_text()


def test_a_full_disk_is_warned_of_once(tmp_path, monkeypatch, capsys):
    logger = TeeLogger()
    logger.start(run_info(tmp_path))

    def full(*args: object, **kwargs: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "open", full)
    logger.message("one")
    logger.message("two")
    out, err = capsys.readouterr()
    assert err.count("No space left on device") == 1 and err.count("\n") == 1
    assert out.splitlines()[-2:] == ["one", "two"]


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0s"),
        (59.4, "59s"),
        (59.6, "1m 00s"),
        (3725, "1h 02m 05s"),
        (2 * 86400 + 3 * 3600 + 240, "2d 03h 04m"),
        (-1, "0s"),
    ],
)
def test_durations(seconds, words):
    assert duration(seconds) == words
