"""Shards that are missing, damaged or strange, and numbers of shards that cannot be, are informed of in one line."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from sharded import SMALL, TRAIN, prepare, refused

from pggan_framework.cli.main import main
from pggan_framework.data.datasets.h5 import OldH5Dataset
from pggan_framework.data.prepare.shards import shard_paths
from pggan_framework.data.store.h5_file import RECORD
from pggan_framework.errors import LocalError, UserError


def test_a_shard_that_is_missing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number in (1, 3):
        (folder / f"five-0000{number}-of-00005.h5").unlink()
    error = refused([*TRAIN, str(folder / "five.h5"), "--dry_run"], capsys)
    assert "lacks five-00001-of-00005.h5, five-00003-of-00005.h5; allowed: shards all 5 next to it" in error
    assert main(["info", str(folder / "five.h5")]) == 0
    told = capsys.readouterr().out
    assert "index of prepared data in 5 shards" in told and "21 of 3x8x8, uint8" in told
    assert "2 of them missing: five-00001-of-00005.h5 and five-00003-of-00005.h5" in told
    assert "label folder  2 values: early (15), late (6)" in told
    assert main(["info", str(folder / "five-00002-of-00005.h5")]) == 0
    assert "shard 2 of 5 (from 0 on) of the prepared data" in capsys.readouterr().out


def test_a_shard_that_is_cut_in_half(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = folder / "five-00002-of-00005.h5"
    size = path.stat().st_size
    os.truncate(path, size // 2)
    error = refused([*TRAIN, str(folder / "five.h5"), "--dry_run"], capsys)
    assert f"five-00002-of-00005.h5 is cut short or has changed: it has {size // 2} bytes; due: {size}" in error


def test_a_shard_of_another_set(
    folder: Path, source: Path, capsys: pytest.CaptureFixture[str], own_plugins: None
) -> None:
    other = prepare(source, folder / "other" / "five.h5", "--shards", "5", "--filter", "box")
    shutil.copy(shard_paths(other, 5)[2], shard_paths(folder / "five.h5", 5)[2])
    data = OldH5Dataset(folder / "five.h5")  # it is as long
    np.testing.assert_array_equal(data.image(0), OldH5Dataset(folder / "one.h5").image(0))
    with pytest.raises(UserError, match=r"five-00002-of-00005.h5 is shard 2 of set \w+; due: shard 2 of set"):
        data.image(10)
    error = refused([*TRAIN, str(folder / "five.h5"), *SMALL, "--result_dir", str(folder / "results")], capsys)
    assert "five-00002-of-00005.h5 is shard 2 of set" in error and not list(folder.glob("results/*"))
    shutil.copy(folder / "one.h5", shard_paths(folder / "five.h5", 5)[2])
    with pytest.raises(LocalError, match="is cut short or has changed"):
        OldH5Dataset(folder / "five.h5")


@pytest.mark.parametrize("change", ["gone", "count", "path", "json", "half"])
def test_an_index_that_is_damaged(folder: Path, change: str, capsys: pytest.CaptureFixture[str]) -> None:
    index = folder / "five.h5"
    if change == "half":
        os.truncate(index, index.stat().st_size // 2)
    else:
        with h5py.File(index, "a") as file:
            record: Any = json.loads(file[RECORD][()])
            del file[RECORD]
            if change == "gone":
                del record["shards"]["files"][1]["bytes"]
            elif change == "count":
                record["shards"]["files"][1]["images"] += 1
            elif change == "path":
                record["shards"]["files"][1]["file"] = "../other.h5"
            text = json.dumps(record)
            file.create_dataset(RECORD, data=text[: len(text) // 2] if change == "json" else text)
    for words in ([*TRAIN, str(index), "--dry_run"], ["info", str(index)]):
        error = refused(words, capsys)
        assert "damaged" in error or (change == "half" and "cannot open" in error)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--shards", "0"], "--shards is 0, and there are 22 images; allowed: 1 to 22"),
        (["--shards", "23"], "--shards is 23, and there are 22 images; allowed: 1 to 22"),
        (["--shards", "2", "--overwrite"], "--overwrite is given with --shards"),
    ],
)
def test_numbers_of_shards_that_cannot_be(
    source: Path, tmp_path: Path, words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert message in refused(["prepare", str(source), str(tmp_path / "x" / "a.h5"), *words], capsys)
    assert not list(tmp_path.rglob("*.h5*"))


def test_shards_that_are_there_already_are_kept(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a-00001-of-00002.h5"
    path.write_text("mine")
    error = refused(["prepare", str(source), str(tmp_path / "a.h5"), "--shards", "2"], capsys)
    assert f"{path} exists already" in error and path.read_text() == "mine"


def test_a_shard_without_a_picture(source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    error = refused(["prepare", str(source), str(tmp_path / "a.h5"), "--shards", "22", "--jobs", "1"], capsys)
    assert "no image in shard 7 of" in error and "007.png" in error
