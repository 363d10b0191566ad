"""Prepared sets in several files: the same as in one."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import pytest
from slow_preparation import program

from pggan_framework.data.datasets.h5 import OldH5Dataset
from pggan_framework.data.images.plan import Options, make_plan
from pggan_framework.data.loader import BatchLoader
from pggan_framework.data.prepare.shards import prepare_shards, shard_paths
from pggan_framework.data.sources.opening import open_source
from pggan_framework.data.store import shards
from pggan_framework.data.store.checksums import mark
from pggan_framework.data.store.h5_file import RECORD
from pggan_framework.data.store.prepared import load_prepared

SLOW = program("shards.prepare_shards(plan, out, 4, 2, lambda path, result: None)")


@pytest.mark.parametrize(("single", "index"), [("one", "five"), ("one_mirrored", "four_mirrored")])
def test_shards_are_the_single_file(made: Path, single: str, index: str) -> None:
    one, many = (OldH5Dataset(made / f"{name}.h5") for name in (single, index))
    assert len(one) == len(many) == (42 if "mirrored" in single else 21)
    assert one.fingerprint() == many.fingerprint() and one.growth == many.growth and many.own is None
    assert one.labels is not None and many.labels is not None
    np.testing.assert_array_equal(one.labels, many.labels)
    order = np.random.default_rng(1).integers(0, len(one), 99)
    for depth in range(one.growth.max_depth + 1):
        np.testing.assert_array_equal(one.images(order.tolist(), depth), many.images(order.tolist(), depth))
    told = {name: value for name, value in many.summary().items() if name not in ("file", "shards")}
    assert told == {name: value for name, value in one.summary().items() if name != "file"}
    # The law of sampling too: the same batches.
    batches = [BatchLoader(dataset, 3).batch(30, 1, 16) for dataset in (one, many)]
    assert bool((batches[0] == batches[1]).all())


def test_an_index_of_an_earlier_version_names_its_images_pictures(made: Path, tmp_path: Path) -> None:
    for path in (made / "five.h5", *shard_paths(made / "five.h5", 5)):
        shutil.copy(path, tmp_path)
    with h5py.File(tmp_path / "five.h5", "a") as file:
        record = json.loads(file[RECORD][()])
        for entry in record["shards"]["files"]:
            entry["pictures"] = entry.pop("images")
        record["summary"]["pictures"] = record["summary"].pop("images")
        del file[RECORD]
        file.create_dataset(RECORD, data=json.dumps(record))
        mark(file, (RECORD, "labels"))
    old, new = (OldH5Dataset(folder / "five.h5") for folder in (tmp_path, made))
    np.testing.assert_array_equal(old.images(range(len(new)), 1), new.images(range(len(new)), 1))
    assert {**old.summary(), "file": ""} == {**new.summary(), "file": ""}


def test_other_readers_of_hdf5_find_all_pictures_in_the_index(made: Path) -> None:
    with h5py.File(made / "one_mirrored.h5") as one, h5py.File(made / "four_mirrored.h5") as many:
        # Names and checksums of images are the shards' own.
        assert {name for name in one if name != "names" and not name.startswith("crc32_")} == set(many)
        for name in ("data8x8", "data4x4", "labels"):
            np.testing.assert_array_equal(one[name][:], many[name][:])
    names: list[bytes] = []
    for path in shard_paths(made / "four_mirrored.h5", 4):
        with h5py.File(path) as shard:
            names += shard["names"][: len(shard["names"]) // 2].tolist()
    assert names == [
        f"{'late' if number > 15 else 'early'}/{number:03}.png".encode() for number in range(22) if number != 7
    ]


def test_what_is_beside_the_index(made: Path) -> None:
    assert json.loads((made / "five.json").read_text())["shards"] == [
        path.name for path in shard_paths(made / "five.h5", 5)
    ]
    assert (made / "five.png").read_bytes() == (made / "one.png").read_bytes()
    assert not list(made.glob("*.partial")) and not list(made.glob(".*"))
    loaded = load_prepared(made / "five.h5")
    assert len(loaded) == 21 and loaded.summary()["shards"] == "5 of 3 to 5 images"


def test_shards_are_opened_late_and_few_at_a_time(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[Path] = []
    really = shards.open_h5
    monkeypatch.setattr(shards, "open_h5", lambda path: opened.append(path) or really(path))
    monkeypatch.setattr(shards, "OPEN", 2)
    data = OldH5Dataset(made / "five.h5")
    assert not opened
    before = len(os.listdir("/proc/self/fd")) if sys.platform == "linux" else 0
    data.image(20)
    assert opened == shard_paths(made / "five.h5", 5)[4:]
    single = OldH5Dataset(made / "one.h5")
    for _ in range(3):
        np.testing.assert_array_equal(data.images(range(21), 1), single.images(range(21), 1))
    assert len(opened) == 5  # each is looked into once
    if sys.platform == "linux":
        assert len(os.listdir("/proc/self/fd")) <= before + 3
    again = pickle.loads(pickle.dumps(data))
    np.testing.assert_array_equal(again.image(3), single.image(3))


def test_without_positional_reads(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "preadv", raising=False)
    order = [5, 0, 20, 5]
    expected = OldH5Dataset(made / "one.h5").images(order, 1)
    np.testing.assert_array_equal(OldH5Dataset(made / "five.h5").images(order, 1), expected)


def test_killed_and_started_again_finished_shards_stay(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.h5"
    paths = shard_paths(out, 4)
    process = subprocess.Popen([sys.executable, "-c", SLOW, str(source), str(out)])
    journal = tmp_path / "out.h5.partial" / "2" / "blocks.jsonl"
    deadline = time.monotonic() + 60
    while not journal.is_file() or journal.read_bytes().count(b"\n") < 2:
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert [path.is_file() for path in [*paths, out]] == [True, True, False, False, False]
    before = [path.stat().st_ino for path in paths[:2]]
    plan = make_plan(open_source(source), "s", Options(mirror=True), 1)
    prepare_shards(plan, out, 4, 1, lambda path, result: None)
    assert [path.stat().st_ino for path in paths[:2]] == before
    prepare_shards(plan, tmp_path / "other" / "out.h5", 4, 3, lambda path, result: None)
    for path in [*paths, out]:
        assert path.read_bytes() == (tmp_path / "other" / path.name).read_bytes()
