"""Prepared sets in several files: the same as in one, in whole or a machine's share, and what is wrong with them."""

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
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from pggan_framework.cli.main import main
from pggan_framework.data import shards
from pggan_framework.data.h5 import OldH5Dataset
from pggan_framework.data.h5_file import RECORD
from pggan_framework.data.loader import BatchLoader
from pggan_framework.data.picture_plan import Options, make_plan
from pggan_framework.data.prepared import load_prepared
from pggan_framework.data.sampling import Own
from pggan_framework.data.shard_preparation import prepare_shards, shard_paths
from pggan_framework.data.sources.opening import open_source
from pggan_framework.errors import LocalError, UserError
from pggan_framework.training.distributed import World

COUNT = 22
SLOW = """
import sys, time
from pathlib import Path
from pggan_framework.data import picture_preparation, shard_preparation
from pggan_framework.data.fitting import Fitting
from pggan_framework.data.picture_plan import Options, make_plan
from pggan_framework.data.sources.opening import open_source
picture_preparation.BLOCK = 1
picture = Fitting.picture
Fitting.picture = lambda self, image: (time.sleep(0.1), picture(self, image))[1]
source, out = map(Path, sys.argv[1:])
plan = make_plan(open_source(source), "s", Options(mirror=True), 2)
shard_preparation.prepare_shards(plan, out, 4, 2, lambda path, result: None)
"""


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """22 pictures in two folders; one of them turns out to be broken when it is decoded."""
    folder = tmp_path_factory.mktemp("source")
    random = np.random.default_rng(0)
    for number in range(COUNT):
        path = folder / ("late" if number > 15 else "early") / f"{number:03}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(random.integers(0, 256, (8, 8, 3), dtype=np.uint8)).save(path)
    broken = folder / "early" / "007.png"
    whole = broken.read_bytes()
    broken.write_bytes(whole[:-30] + bytes(10) + whole[-20:])
    return folder


def prepare(source: Path, out: Path, *words: str) -> Path:
    assert main(["prepare", str(source), str(out), "--labels", "folder", "--jobs", "1", *words]) == 0
    return out


@pytest.fixture(scope="module")
def made(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The set in one file, in 5 shards, and in 4 with mirror images."""
    folder = tmp_path_factory.mktemp("made")
    prepare(source, folder / "one.h5")
    prepare(source, folder / "five.h5", "--shards", "5")
    prepare(source, folder / "one_mirrored.h5", "--mirror")
    prepare(source, folder / "four_mirrored.h5", "--mirror", "--shards", "4")
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    """A copy to change."""
    return shutil.copytree(made, tmp_path / "made")


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


def test_other_readers_of_hdf5_find_all_pictures_in_the_index(made: Path) -> None:
    with h5py.File(made / "one_mirrored.h5") as one, h5py.File(made / "four_mirrored.h5") as many:
        assert {name for name in one if name != "names"} == set(many)
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
    assert len(loaded) == 21 and loaded.summary()["shards"] == "5 of 3 to 5 pictures"


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


def refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """The one line that a command ends with."""
    capsys.readouterr()
    assert main(words) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and error.count("\n") == 1
    return error


SMALL = [
    *[f"--{network}.{name}=8" for network in ("Generator", "Discriminator") for name in ("fmap_base", "fmap_max")],
    *["--minibatch_size", "4", "--progressive_growing", "False", "--Trainer.tick_nimg_default", "8"],
    *["--compile", "never", "--num_data_workers", "0", "--postprocessors", "['ImageSaver']"],
]
TRAIN = ["train", "--dataset_class", "OldH5Dataset", "--OldH5Dataset.h5_path"]


def test_a_shard_that_is_missing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number in (1, 3):
        (folder / f"five-0000{number}-of-00005.h5").unlink()
    error = refused([*TRAIN, str(folder / "five.h5"), "--dry_run"], capsys)
    assert "lacks five-00001-of-00005.h5, five-00003-of-00005.h5; allowed: shards all 5 beside it" in error
    assert main(["info", str(folder / "five.h5")]) == 0
    told = capsys.readouterr().out
    assert "index of prepared data in 5 shards" in told and "21 of 3x8x8, uint8" in told
    assert "2 of them not here: five-00001-of-00005.h5 and five-00003-of-00005.h5" in told
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
                record["shards"]["files"][1]["pictures"] += 1
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
        (["--shards", "0"], "--shards is 0, and there are 22 pictures; allowed: 1 to 22"),
        (["--shards", "23"], "--shards is 23, and there are 22 pictures; allowed: 1 to 22"),
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
    assert "no picture in shard 7 of" in error and "007.png" in error


def machine(monkeypatch: pytest.MonkeyPatch, number: int, machines: int, each: int = 1, local: int = 0) -> World:
    """This process as one of torchrun's, on machine `number`."""
    values = {
        "RANK": number * each + local,
        "LOCAL_RANK": local,
        "LOCAL_WORLD_SIZE": each,
        "WORLD_SIZE": machines * each,
    }
    for name, value in values.items():
        monkeypatch.setenv(name, str(value))
    return World.from_environment()


@pytest.mark.parametrize("each", [1, 2])
def test_every_machine_shows_its_own_pictures_and_needs_no_others(
    folder: Path, each: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    single = OldH5Dataset(folder / "one_mirrored.h5")
    paths = shard_paths(folder / "four_mirrored.h5", 4)
    everything: set[int] = set()
    for number in range(2):
        own = folder / f"machine{number}"
        own.mkdir()
        for path in [folder / "four_mirrored.h5", *paths[2 * number : 2 * number + 2]]:
            shutil.copy(path, own)
        expected = set(range(10, 21)) | set(range(31, 42)) if number else set(range(10)) | set(range(21, 31))
        seen: list[int] = []
        for local in range(each):
            world = machine(monkeypatch, number, 2, each, local)
            data = OldH5Dataset(own / "four_mirrored.h5", own_shards=True)
            assert data.own is not None and len(data.own) == len(expected) and len(data) == 42
            loader = BatchLoader(
                data,
                5,
                part=lambda count, world=world: world.part(count, 4),
                machine_part=lambda count, world=world, own=data.own: world.parts(own.processes, count, 4),
            )
            # 8 of a batch are 4 of each machine's; so many batches are three epochs of its own pictures and some more.
            for nimg in range(0, 3 * 2 * len(expected), 8):
                order = loader._batches._order(nimg, 8)
                assert len(order) == 4 // each
                seen += order if nimg < 40 else []
                batch = loader.batch(nimg, 1, 8).numpy()
                np.testing.assert_array_equal(batch, single.images(order, 1))
                assert single.labels is not None and data.label_space is not None
                labels = loader.labels(nimg, 1, 8)
                assert labels is not None
                assert labels.argmax(1).tolist() == single.labels[order, 0].tolist()
            with pytest.raises(UserError, match="which is another machine's"):
                data.image(next(iter(set(range(42)) - expected)))
            with pytest.raises(UserError, match="PictureMetrics looks at pictures from everywhere"):
                data.check_all_present("PictureMetrics")
            assert set(data.present(np.arange(42)).tolist()) == expected
        assert len(set(seen)) == len(seen) == 20 and set(seen) <= expected
        everything |= expected
    assert everything == set(range(42))


@given(
    seed=st.integers(0, 99),
    sizes=st.lists(st.integers(1, 9), min_size=1, max_size=3),
    processes=st.integers(1, 3),
    machines=st.integers(1, 3),
    each=st.integers(1, 4),
)
def test_an_epoch_shows_a_machine_each_of_its_pictures_once(
    seed: int, sizes: list[int], processes: int, machines: int, each: int
) -> None:
    ranges, at = [], 3
    for size in sizes:
        ranges.append(range(at, at + size))
        at += size + 2
    own = Own(tuple(ranges), range(processes), processes * machines)
    batch = processes * machines * each  # it divides evenly
    shown: list[int] = []
    nimg = 0
    while len(shown) < 2 * len(own):
        shown += own.indices(seed, nimg, range(batch // machines)).tolist()
        nimg += batch
    every = sorted(number for each_range in ranges for number in each_range)
    assert sorted(shown[: len(own)]) == sorted(shown[len(own) : 2 * len(own)]) == every
    # A process that starts there, or takes but some of them, sees the same.
    assert (
        own.indices(seed, batch, [1] if batch // machines > 1 else [0]).tolist()
        == own.indices(seed, batch, range(batch // machines)).tolist()[1 if batch // machines > 1 else 0 :][:1]
    )


def test_machines_with_as_many_pictures_have_orders_of_their_own() -> None:
    first, second = (
        Own((range(at, at + 20),), range(n, n + 1), 2).indices(0, 0, range(20)) for n, at in ((0, 0), (1, 20))
    )
    assert not np.array_equal(first, second - 20)


def test_what_own_shards_needs(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert OldH5Dataset(folder / "five.h5", own_shards=True).own is None  # a single machine
    flags = [*TRAIN, str(folder / "one.h5"), "--OldH5Dataset.own_shards", "True", "--dry_run"]
    assert "own_shards is given, but" in refused(flags, capsys)
    machine(monkeypatch, 0, 6)
    with pytest.raises(UserError, match="has 5 shards for 6 processes, and none for this machine"):
        OldH5Dataset(folder / "five.h5", own_shards=True)
    machine(monkeypatch, 4, 5)
    with pytest.raises(UserError, match="max_images is 3; none of these is in the shards of this machine"):
        OldH5Dataset(folder / "five.h5", own_shards=True, max_images=3)
    (folder / "five-00004-of-00005.h5").unlink()
    with pytest.raises(LocalError, match=r"lacks five-00004-of-00005.h5; allowed: shards 4 to 4 beside it"):
        OldH5Dataset(folder / "five.h5", own_shards=True)
    monkeypatch.delenv("LOCAL_WORLD_SIZE")
    with pytest.raises(UserError, match="own_shards needs RANK, LOCAL_RANK, LOCAL_WORLD_SIZE"):
        OldH5Dataset(folder / "five.h5", own_shards=True)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "9")
    with pytest.raises(UserError, match="LOCAL_WORLD_SIZE 9, WORLD_SIZE 5 fit no machine"):
        OldH5Dataset(folder / "five.h5", own_shards=True)


def test_the_first_process_of_a_machine_tells_what_is_missing_there(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(World, "joined", False)
    (folder / "five-00004-of-00005.h5").unlink()
    words = [*TRAIN, str(folder / "five.h5"), "--OldH5Dataset.own_shards", "True", "--result_dir", str(folder / "r")]
    for local, told in ((0, 1), (1, 0)):
        machine(monkeypatch, 1, 2, 2, local)
        assert main(words) == 2
        assert capsys.readouterr().err.count("lacks five-00004-of-00005.h5") == told
    assert not (folder / "r").exists()


def test_the_fingerprint_of_own_shards_is_the_same_everywhere_and_knows_the_cuts(
    made: Path, source: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    other = prepare(source, tmp_path / "three.h5", "--shards", "3")
    found = set()
    for number in range(2):
        machine(monkeypatch, number, 2)
        found.add(OldH5Dataset(made / "five.h5", own_shards=True).fingerprint())
    assert len(found) == 1
    assert OldH5Dataset(other, own_shards=True).fingerprint() not in found
    assert OldH5Dataset(other).fingerprint() == OldH5Dataset(made / "five.h5").fingerprint()


def test_a_run_on_the_single_file_goes_on_with_shards_and_not_with_others(
    folder: Path, source: Path, capsys: pytest.CaptureFixture[str], own_plugins: None
) -> None:
    results = ["--result_dir", str(folder / "results")]
    place = folder / "data.h5"
    shutil.copy(folder / "one.h5", place)
    assert main([*TRAIN, str(place), *SMALL, *results, "--total_kimg", "0.008"]) == 0
    place.unlink()
    for path in ("data.json", "data.png", "data.yaml"):
        (folder / path).unlink(missing_ok=True)
    prepare(source, place, "--shards", "3")
    resume = ["train", *results, "--resume", "latest", "--total_kimg", "0.016"]
    assert main(resume) == 0
    for path in folder.glob("data*"):
        path.unlink()
    prepare(source, place, "--shards", "3", "--mirror")
    assert "the data: other files or parameters than before" in refused([*resume[:-1], "0.024"], capsys)


@pytest.mark.slow
def test_two_machines_train_with_half_the_shards_each(folder: Path) -> None:
    import socket

    train = Path(__file__).parents[2] / "train.py"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    paths = shard_paths(folder / "four_mirrored.h5", 4)
    processes = []
    for number in range(2):
        own = folder / f"machine{number}"
        own.mkdir()
        for path in [folder / "four_mirrored.h5", *paths[2 * number : 2 * number + 2]]:
            shutil.copy(path, own)
        place = {"RANK": number, "LOCAL_RANK": 0, "LOCAL_WORLD_SIZE": 1, "WORLD_SIZE": 2, "MASTER_PORT": port}
        environment = {name: str(value) for name, value in place.items()}
        words = [*TRAIN[1:], "four_mirrored.h5", "--OldH5Dataset.own_shards", "True", *SMALL, "--total_kimg", "0.016"]
        processes.append(
            subprocess.Popen(
                [sys.executable, str(train), *words],
                cwd=own,
                env=os.environ | environment | {"MASTER_ADDR": "127.0.0.1", "OMP_NUM_THREADS": "1"},
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
    said = [process.communicate(timeout=200) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], said
    (run,) = (folder / "machine0" / "results").iterdir()
    told = " ".join((run / "log.txt").read_text().split())
    assert "shards of this machine 0 to 1, 47.6% of the pictures; each is shown 1.05 times" in told
    assert len((run / "stats.jsonl").read_text().splitlines()) == 2
