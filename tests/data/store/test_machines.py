"""Machines that hold some of the shards each."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from processes import on_machines
from sharded import SMALL, TRAIN, prepare, refused

from pggan_framework.cli.main import main
from pggan_framework.data.datasets.h5 import OldH5Dataset
from pggan_framework.data.loader import BatchLoader
from pggan_framework.data.prepare.shards import shard_paths
from pggan_framework.data.sampling import Own
from pggan_framework.errors import LocalError, UserError
from pggan_framework.training.distributed import World


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
            # 8 of a batch are 4 of each machine's; so many batches are more than three epochs of it.
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
            with pytest.raises(UserError, match="which belongs to another machine"):
                data.image(next(iter(set(range(42)) - expected)))
            with pytest.raises(UserError, match="PictureMetrics looks at images from everywhere"):
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
    with pytest.raises(UserError, match="max_images is 3; none of these images is in this machine's shards"):
        OldH5Dataset(folder / "five.h5", own_shards=True, max_images=3)
    (folder / "five-00004-of-00005.h5").unlink()
    with pytest.raises(LocalError, match=r"lacks five-00004-of-00005.h5; allowed: shards 4 to 4 next to it"):
        OldH5Dataset(folder / "five.h5", own_shards=True)
    monkeypatch.delenv("LOCAL_WORLD_SIZE")
    with pytest.raises(UserError, match="own_shards needs RANK, LOCAL_RANK, LOCAL_WORLD_SIZE"):
        OldH5Dataset(folder / "five.h5", own_shards=True)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "9")
    with pytest.raises(UserError, match="LOCAL_WORLD_SIZE 9, WORLD_SIZE 5 do not fit one machine"):
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
    paths = shard_paths(folder / "four_mirrored.h5", 4)
    words = ["train", *TRAIN[1:], "four_mirrored.h5", "--OldH5Dataset.own_shards", "True", *SMALL]
    machines = [folder / f"machine{number}" for number in range(2)]
    for number, own in enumerate(machines):
        own.mkdir()
        for path in [folder / "four_mirrored.h5", *paths[2 * number : 2 * number + 2]]:
            shutil.copy(path, own)
    commands = on_machines([*words, "--total_kimg", "0.016"], machines)
    assert [command.status for command in commands] == [0, 0], [command.error for command in commands]
    (run,) = (folder / "machine0" / "results").iterdir()
    told = " ".join((run / "log.txt").read_text().split())
    assert "shards of this machine 0 to 1, 47.6% of the images; each is shown 1.05 times" in told
    assert len((run / "stats.jsonl").read_text().splitlines()) == 2
