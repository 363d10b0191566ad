"""JSONLLogger: valid lines, and a resume that leaves no trace."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pggan_framework.loggers.base import RunInfo
from pggan_framework.loggers.jsonl import JSONLLogger


def run_info(directory: Path, resumed_nimg: int | None = None) -> RunInfo:
    return RunInfo(directory, "001-x", {}, "", {}, {}, 30, resumed_nimg, 200)


def refuse(text: str) -> None:
    raise AssertionError(f"{text} is not JSON")


def records(path: Path) -> list[dict]:
    return [json.loads(line, parse_constant=refuse) for line in path.read_text().splitlines()]


def test_one_object_a_tick_and_null_for_what_json_lacks(tmp_path):
    logger = JSONLLogger()
    logger.start(run_info(tmp_path))
    assert (tmp_path / "stats.jsonl").read_text() == ""
    logger.log({"tick": 1, "loss": math.nan, "gp": math.inf, "mean": np.float32(0.5)}, 100)
    assert records(tmp_path / "stats.jsonl") == [{"nimg": 100, "tick": 1, "loss": None, "gp": None, "mean": 0.5}]
    logger.log({"tick": 2}, 200)
    assert records(tmp_path / "stats.jsonl")[1] == {"nimg": 200, "tick": 2}


@given(value=st.floats(allow_nan=False, allow_infinity=False))
def test_every_float_comes_back_exactly(tmp_path_factory, value):
    directory = tmp_path_factory.mktemp("floats")
    logger = JSONLLogger()
    logger.start(run_info(directory))
    logger.log({"x": value}, 1)
    assert records(directory / "stats.jsonl")[0]["x"] == value


def test_resuming_drops_later_and_torn_lines(tmp_path):
    path = tmp_path / "stats.jsonl"
    straight = JSONLLogger()
    straight.start(run_info(tmp_path))
    for tick in range(1, 5):
        straight.log({"tick": tick, "loss": tick / 3}, tick * 100)
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"nimg": 200, "tick')
    resumed = JSONLLogger()
    resumed.start(run_info(tmp_path, resumed_nimg=220))
    assert [record["nimg"] for record in records(path)] == [100, 200]
    for tick in (3, 4):
        resumed.log({"tick": tick, "loss": tick / 3}, tick * 100)
    assert path.read_bytes() == whole
    assert [file.name for file in tmp_path.iterdir()] == ["stats.jsonl"]


def test_resuming_without_a_file_begins_one(tmp_path):
    logger = JSONLLogger("other.jsonl")
    logger.start(run_info(tmp_path, resumed_nimg=220))
    logger.log({"tick": 3}, 300)
    assert [record["nimg"] for record in records(tmp_path / "other.jsonl")] == [300]


def test_a_line_torn_by_a_full_disk_does_not_swallow_the_next(tmp_path, monkeypatch):
    logger = JSONLLogger()
    logger.start(run_info(tmp_path))
    path = tmp_path / "stats.jsonl"

    def full(self: Path, *args: object, **kwargs: object) -> None:
        with open(self, "a") as file:
            file.write('{"nimg": 1')
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch, pytest.raises(OSError):
        patch.setattr(Path, "open", full)
        logger.log({"tick": 1}, 100)
    logger.log({"tick": 2}, 200)
    assert json.loads(path.read_text().splitlines()[-1]) == {"nimg": 200, "tick": 2}
