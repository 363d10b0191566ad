"""ProgressLogger: plain lines by the clock, a bar on a terminal that leaves other lines whole."""

import io
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from pggan_framework.errors import UserError
from pggan_framework.loggers.base import Position, RunInfo
from pggan_framework.loggers.progress import ProgressLogger
from pggan_framework.loggers.tee import TeeLogger


def run_info(directory: Path, resumed_nimg: int | None = None) -> RunInfo:
    return RunInfo(directory, "001-x", {}, "", {}, {}, 10, resumed_nimg)


@pytest.fixture
def clock(monkeypatch):
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_plain_lines_come_by_the_clock_with_percent_kimg_and_eta(tmp_path, capsys, clock):
    logger = ProgressLogger(seconds=30)
    logger.start(run_info(tmp_path))
    for second in range(1, 66):
        clock[0] += 1
        logger.progress(second * 50)
    lines = capsys.readouterr().err.splitlines()
    # 50 images a second: 1500 after 30 s, so 8500 are left, 170 s; then 3000 and 140 s.
    assert [" ".join(line.split()) for line in lines] == [
        "15% 1.50 of 10 kimg, 50 img/s, 2m 50s left",
        "30% 3.00 of 10 kimg, 50 img/s, 2m 20s left",
    ]


def test_a_line_has_depth_resolution_alpha_both_remaining_times_and_quality(tmp_path, capsys, clock):
    for by_clock, left in ((False, 1000.0), (True, 20.0)):
        logger = ProgressLogger(seconds=30)
        where = Position(2, "16x16", 0.25, left, by_clock)
        logger.start(replace(run_info(tmp_path), position=lambda where=where: where))
        logger.log({"quality": 3.0}, 1500)
        clock[0] += 30
        logger.progress(1500)
    ends = ["depth 20s left, 2m 50s left, quality 3.0x baseline"] * 2  # 1,000 images at 50 a second
    start = " 15%  1.50 of 10 kimg, depth 2 (16x16), alpha 0.25, 50 img/s, "
    assert capsys.readouterr().err.splitlines() == [start + end for end in ends]


def test_a_quiet_run_shows_no_progress(tmp_path, capsys, clock):
    logger = ProgressLogger(seconds=30)
    logger.start(replace(run_info(tmp_path), verbosity="quiet"))
    clock[0] += 100
    logger.progress(1500)
    logger.finish("finished")
    assert capsys.readouterr().err == ""


def test_a_run_that_the_clock_ends_shows_what_is_left_of_its_time(tmp_path, capsys, clock):
    for resumed_nimg in (None, 500):
        logger = ProgressLogger(seconds=30)
        logger.start(replace(run_info(tmp_path, resumed_nimg), seconds=90.0))
        clock[0] += 30
        logger.progress(1500)
        clock[0] += 65
        logger.progress(2000)
    lines = capsys.readouterr().err.splitlines()
    ends = [line.partition("kimg, ")[2].rpartition(", ")[2] for line in lines]
    assert ends == ["1m 00s left", "0s left"] * 2  # a resumed start has a new time limit
    assert [line.split()[0] for line in lines] == ["33%", "100%"] * 2


def test_eta_follows_the_recent_rate(tmp_path, capsys, clock):
    logger = ProgressLogger(seconds=10)
    logger.start(run_info(tmp_path))
    nimg = 0
    for rate in [100] * 2 + [10] * 12:
        clock[0] += 10
        nimg += 10 * rate
        logger.progress(nimg)
    # 3200 of 10000 are done; at the recent 10 images a second the rest takes 680 s.
    assert "11m 20s left" in capsys.readouterr().err.splitlines()[-1]


def test_a_resumed_run_counts_its_own_speed_only(tmp_path, capsys, clock):
    logger = ProgressLogger(seconds=10)
    logger.start(run_info(tmp_path, resumed_nimg=5000))
    clock[0] += 10
    logger.progress(5100)
    assert capsys.readouterr().err.split() == ["51%", "5.10", "of", "10", "kimg,", "10", "img/s,", "8m", "10s", "left"]


def test_the_end_is_told(tmp_path, capsys, clock):
    logger = ProgressLogger()
    logger.start(run_info(tmp_path))
    clock[0] += 1
    logger.progress(10_012)  # the last batch goes beyond
    logger.finish("finished")
    assert capsys.readouterr().err.split()[:5] == ["100%", "10.01", "of", "10", "kimg,"]


def test_the_living_line_leaves_the_log_lines_whole(tmp_path, monkeypatch, clock):
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setattr(sys, "stdout", screen)
    tee, progress = TeeLogger(), ProgressLogger()
    progress.start(replace(run_info(tmp_path), position=lambda: Position(2, "16x16", 0.5)))
    tee.start(run_info(tmp_path))
    for step in range(1, 4):
        clock[0] += 1
        progress.progress(step * 1000)
        tee.message(f"line {step}")
    progress.finish("finished")
    text = screen.getvalue()
    # What a terminal shows of a line is what follows its last carriage return.
    shown = [line.rsplit("\r", 1)[-1] for line in text.split("\n")]
    assert {"line 1", "line 2", "line 3"} <= set(shown)
    assert "3.00 of 10 kimg, depth 2 (16x16), alpha 0.50, 1000 img/s" in text
    assert "\x1b[3" not in text  # no colours, so that NO_COLOR has nothing to turn off


def test_a_closed_terminal_ends_the_bar_not_the_run(tmp_path, monkeypatch):
    class Closing(Terminal):
        gone = False

        def write(self, text: str) -> int:
            if self.gone:
                raise BrokenPipeError(32, "Broken pipe")
            return super().write(text)

    screen = Closing()
    monkeypatch.setattr(sys, "stderr", screen)
    logger = ProgressLogger()
    logger.start(run_info(tmp_path))
    screen.gone = True
    for nimg in range(0, 10_000, 100):
        logger.progress(nimg)
        time.sleep(0.006)
    logger.finish("finished")


def test_a_step_costs_next_to_nothing(tmp_path, capsys):
    logger = ProgressLogger()
    logger.start(run_info(tmp_path))
    begin = time.perf_counter()
    for nimg in range(10_000):
        logger.progress(nimg)
    assert (time.perf_counter() - begin) / 10_000 < 50e-6
    assert capsys.readouterr().err == ""


def test_seconds_must_be_above_zero():
    with pytest.raises(UserError, match=r"ProgressLogger.seconds 0 .*above 0"):
        ProgressLogger(seconds=0)
