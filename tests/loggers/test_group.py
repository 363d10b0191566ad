"""LoggerGroup: everyone hears everything, nobody can stop a run."""

import dataclasses
import errno
import json
import os
from pathlib import Path

import pytest

from pggan_framework.errors import UserError
from pggan_framework.loggers.base import Logger, RunInfo
from pggan_framework.loggers.group import LoggerGroup, RemoteLogger
from pggan_framework.loggers.jsonl import JSONLLogger

RUN = RunInfo(Path("."), "001-x", {}, "", {}, {}, 10)


class Recorder(Logger):
    def __init__(self) -> None:
        self.calls: list[tuple] = []
        self.messages: list[str] = []

    def start(self, run):
        self.calls.append(("start", run))

    def log(self, stats, nimg):
        self.calls.append(("log", stats, nimg))

    def progress(self, nimg):
        self.calls.append(("progress", nimg))

    def image(self, name, path, nimg):
        self.calls.append(("image", name, path, nimg))

    def audio(self, name, path, nimg):
        self.calls.append(("audio", name, path, nimg))

    def message(self, text):
        self.messages.append(text)

    def finish(self, status):
        self.calls.append(("finish", status))


class Failing(RemoteLogger):
    secrets = ("hunter2",)

    def __init__(self) -> None:
        self.logged = 0

    def log(self, stats, nimg):
        self.logged += 1
        raise ConnectionError("cannot log in\nwith hunter2")

    def finish(self, status):
        raise RuntimeError("again")


def everything(group: Logger) -> list[tuple]:
    group.start(RUN)
    group.log({"tick": 1.0}, 10)
    group.progress(11)
    group.image("fakes", Path("a.png"), 12)
    group.audio("fakes", Path("a.wav"), 13)
    group.finish("finished")
    return [
        ("start", RUN),
        ("log", {"tick": 1.0}, 10),
        ("progress", 11),
        ("image", "fakes", Path("a.png"), 12),
        ("audio", "fakes", Path("a.wav"), 13),
        ("finish", "finished"),
    ]


def test_every_call_reaches_every_logger():
    first, second = Recorder(), Recorder()
    expected = everything(LoggerGroup([first, second]))
    assert first.calls == second.calls == expected


def test_a_failing_logger_costs_one_warning_without_its_secret():
    recorder, failing = Recorder(), Failing()
    group = LoggerGroup([failing, recorder])
    expected = everything(group)
    group.log({}, 20)
    assert recorder.calls == [*expected, ("log", {}, 20)]
    assert failing.logged == 2
    (warning,) = recorder.messages
    assert warning == "Failing failed, training continues (ConnectionError: cannot log in with ***)"


def test_a_logger_that_cannot_start_is_left_out():
    class Unstartable(Failing):
        def start(self, run):
            raise ImportError("no module named comet_ml")

        def progress(self, nimg):
            self.logged += 1

    recorder, dead = Recorder(), Unstartable()
    everything(LoggerGroup([recorder, dead]))
    assert dead.logged == 0
    assert len(recorder.messages) == 1 and "left out" in recorder.messages[0]


def test_a_logger_whose_files_cannot_be_written_starts_later_and_misses_no_tick(tmp_path, monkeypatch):
    fails, moved = [True], os.replace

    def replace(source, target):
        if fails[0]:
            raise OSError(errno.EIO, "Input/output error", str(target))
        moved(source, target)

    monkeypatch.setattr(os, "replace", replace)
    recorder, run = Recorder(), dataclasses.replace(RUN, directory=tmp_path)
    group = LoggerGroup([JSONLLogger(), recorder])
    group.start(run)
    group.log({"tick": 1}, 10)
    group.log({"tick": 2}, 20)
    assert list(tmp_path.iterdir()) == []
    fails[0] = False
    group.log({"tick": 3}, 30)
    rows = [json.loads(line) for line in (tmp_path / "stats.jsonl").read_text().splitlines()]
    assert rows == [{"nimg": 10 * tick, "tick": tick} for tick in (1, 2, 3)]
    (warning,) = recorder.messages
    assert warning.startswith("JSONLLogger failed, starts later (OSError: [Errno 5] Input/output error")


def test_the_ticks_of_a_late_logger_are_written_at_the_end_at_the_latest(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", lambda handle: (_ for _ in ()).throw(OSError(errno.EIO, "Input/output error")))
        group = LoggerGroup([JSONLLogger()])
        group.start(dataclasses.replace(RUN, directory=tmp_path))
        group.log({"tick": 1}, 10)
    group.finish("finished")
    assert [json.loads(line)["tick"] for line in (tmp_path / "stats.jsonl").read_text().splitlines()] == [1]


def test_a_users_mistake_at_the_start_passes_through():
    class Mistaken(Logger):
        def start(self, run):
            raise UserError("no such project")

    with pytest.raises(UserError, match="no such project"):
        LoggerGroup([Mistaken()]).start(RUN)


def test_ctrl_c_passes_through():
    class Interrupted(Logger):
        def log(self, stats, nimg):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        LoggerGroup([Interrupted()]).log({}, 0)


def test_a_remote_logger_reports_through_the_others():
    recorder, remote = Recorder(), Failing()
    LoggerGroup([remote, recorder])
    remote.report("going offline")
    assert recorder.messages == ["going offline"]


def test_without_a_logger_that_prints_warnings_go_to_standard_error(capsys):
    LoggerGroup([Failing()]).log({}, 0)
    assert (
        capsys.readouterr().err
        == "warning: Failing failed, training continues (ConnectionError: cannot log in with ***)\n"
    )


def test_a_message_that_is_a_warning_is_not_called_one_twice(capsys):
    LoggerGroup([Failing()]).message("warning: samples: the disk is full; training continues")
    assert capsys.readouterr().err == "warning: samples: the disk is full; training continues\n"


def test_a_failing_printer_does_not_recurse(capsys):
    class Mute(Logger):
        def message(self, text):
            raise RuntimeError("mute")

    LoggerGroup([Mute()]).message("hello")
