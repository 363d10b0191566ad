"""A prepared set in several files, the shards, and the small file that says which image is where: the index.

The index is a prepared file itself: it has all of one but the images, and its ``data{h}x{w}`` are virtual data sets
(HDF5's own links into other files), so that whatever reads HDF5 finds the whole set in it. We read the shards directly,
since HDF5 takes a missing one for zeros.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pggan_framework.data.base import Pixels
from pggan_framework.data.machine import Machine
from pggan_framework.data.store.checksums import mark
from pggan_framework.data.store.h5_file import (
    FORMAT,
    RECORD,
    H5File,
    Level,
    damage,
    find_levels,
    open_h5,
    read_record,
)
from pggan_framework.errors import LocalError, UserError
from pggan_framework.labels.attributes import Labels
from pggan_framework.schedules.growth import Growth
from pggan_framework.storage.space import require_space

OPEN = 256
"""Shards that are open at a time; a process may have about a thousand files."""
SHOWN = 3
"""Missing shards that an error names."""


class Shard(NamedTuple):
    """One file of a set.

    Args:
        file: its name, in the folder of the index.
        pictures: how many it has, without mirror images.
        bytes: its size.
    """

    file: str
    pictures: int
    bytes: int


class Shards:
    """The images of a set, read from its shards.

    Image g of the set is row r of a shard: the shards follow one another, each with its images in order; where the
    set has mirror images too, those of all shards come after the last image, and in each file after its own.

    Args:
        path: the index.
        record: what it says of itself.
        levels: its levels.
        machine: whose shards are to be there, all of them for None.

    Raises:
        UserError: if the index is damaged, or a shard is missing or is cut short.
    """

    def __init__(
        self, path: Path, record: Mapping[str, Any], levels: Sequence[Level], machine: Machine | None = None
    ) -> None:
        self.path, self.set = path, record.get("fingerprint")
        self.files, self.mirrored = read_shards(path, record, levels[0].shape[0])
        self._levels = {level.name: level for level in levels}
        self._starts = np.array([0, *accumulate(shard.pictures for shard in self.files)])
        count = len(self.files)
        self.machine = machine
        self.own = range(count) if machine is None else machine.share(count)
        if not self.own:
            raise UserError(
                f"{path} has {count} shards for {machine.world if machine else 1} processes, and none for this machine;"
                " allowed with own_shards: at least as many shards as machines"
            )
        self._known: dict[int, list[Level]] = {}
        self._files: OrderedDict[int, H5File] = OrderedDict()
        self._check_there()

    def read(self, name: str, numbers: NDArray[np.int64]) -> Pixels:
        """Images [N, C, h, w] of the level `name`, by their numbers in the set.

        Raises:
            UserError: if a shard is missing, cut short or none of this set, or another machine's.
        """
        level = self._levels[name]
        which, rows = self.find(numbers)
        batch: Pixels = np.empty((len(numbers), *level.shape[1:]), level.dtype)
        order = np.argsort(which, kind="stable")
        places, chosen = order.tolist(), rows[order].tolist()
        numbers_of, firsts = np.unique(which[order], return_index=True)
        for number, start, end in zip(numbers_of.tolist(), firsts, [*firsts[1:], len(order)], strict=True):
            self._file(number).fill(name, batch, places[start:end], chosen[start:end])
        return batch

    def find(self, numbers: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """In which shards, and in which of their rows, the images of these numbers are; both [N]."""
        half, place = np.divmod(numbers, self._starts[-1])
        which = np.searchsorted(self._starts, place, side="right") - 1
        sizes = np.diff(self._starts)
        return which, half * sizes[which] + place - self._starts[which]

    def own_pictures(self, most: int) -> tuple[range, ...]:
        """The numbers, below `most`, of the images in this machine's shards."""
        first, end, total = (int(self._starts[at]) for at in (self.own.start, self.own.stop, -1))
        ranges = [range(first + total * half, end + total * half) for half in range(1 + self.mirrored)]
        return tuple(range(each.start, min(each.stop, most)) for each in ranges if each.start < most)

    def summary(self) -> dict[str, str]:
        """How many there are, and which are this machine's, in words."""
        sizes = np.diff(self._starts)
        span = str(sizes[0]) if sizes.min() == sizes.max() else f"{sizes.min()} to {sizes.max()}"
        lines = {"shards": f"{len(self.files)} of {span} images{' and their mirror images' * self.mirrored}"}
        if self.machine is not None and len(self.own) < len(self.files):
            share = int(self._starts[self.own.stop] - self._starts[self.own.start]) / int(self._starts[-1])
            shown = len(self.machine.processes) / self.machine.world / share
            lines["shards of this machine"] = (
                f"{self.own.start} to {self.own.stop - 1}, {share:.1%} of the images; each is shown {shown:.3g} times"
                " as often as if every machine had all"
            )
        return lines

    def check(self) -> None:
        """Look into every shard that is to be here.

        Raises:
            UserError: if one is missing, cut short or none of this set.
        """
        for number in self.own:
            self._levels_of(number)

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_files": OrderedDict()}

    def _check_there(self) -> None:
        """Check that this machine's shards are there, and as long as they are to be."""
        missing = []
        for number in self.own:
            try:
                size = self._path(number).stat().st_size
            except OSError:
                missing.append(self.files[number].file)
                continue
            if size != self.files[number].bytes:
                raise LocalError(
                    f"{self._path(number)} is cut short or has changed: it has {size} bytes; due:"
                    f" {self.files[number].bytes}"
                )
        if missing:
            more = f" and {len(missing) - SHOWN} more" if len(missing) > SHOWN else ""
            due = f"all {len(self.files)}" if len(self.own) == len(self.files) else f"{self.own[0]} to {self.own[-1]}"
            raise LocalError(
                f"{self.path} lacks {', '.join(missing[:SHOWN])}{more}; allowed: shards {due} next to it"
                f"{', or own_shards where each machine has its own' * (self.machine is None)}"
            )

    def _path(self, number: int) -> Path:
        return self.path.with_name(self.files[number].file)

    def _file(self, number: int) -> H5File:
        """A shard, opened if it is not; of those that are, the one that was not used for longest is closed."""
        if number in self._files:
            self._files.move_to_end(number)
            return self._files[number]
        if number not in self.own:
            raise UserError(
                f"an image of {self.files[number].file} is requested, which is another machine's; with own_shards each"
                " has images of its own alone"
            )
        levels = self._levels_of(number)
        if len(self._files) >= OPEN:
            self._files.popitem(last=False)[1].close()
        try:
            file = self._files[number] = H5File(self._path(number), levels)
        except OSError as error:
            raise UserError(f"cannot open {self._path(number)}: {error.strerror or error}") from error
        return file

    def _levels_of(self, number: int) -> list[Level]:
        """The levels of a shard, which is looked into the first time."""
        if number not in self._known:
            path = self._path(number)
            with damage(path), open_h5(path) as file:
                record = read_record(file, path)
                levels = find_levels(file, path)
            due = {"set": self.set, "number": number, "of": len(self.files)}
            if record.get("shard") != due:
                told = record.get("shard")
                what = f"shard {told.get('number')} of set {told.get('set')}" if isinstance(told, dict) else "no shard"
                raise LocalError(f"{path} is {what}; due: shard {number} of set {self.set}, as {self.path} has it")
            rows = self.files[number].pictures * (1 + self.mirrored)
            shapes = {level.name: (rows, *level.shape[1:], level.dtype) for level in self._levels.values()}
            if {level.name: (*level.shape, level.dtype) for level in levels} != shapes:
                raise UserError(f"{path} has other sizes than {self.path}, whose shard it is")
            self._known[number] = levels
        return self._known[number]


def read_shards(path: Path, record: Mapping[str, Any], total: int) -> tuple[list[Shard], bool]:
    """The shards that an index names, and whether mirror images are in them.

    Args:
        path: the index, for messages.
        record: what it says of itself.
        total: images it has.

    Raises:
        UserError: if what it says does not fit together.
    """
    try:
        mirrored = record["shards"]["mirrored"]
        files = [Shard(entry["file"], entry["pictures"], entry["bytes"]) for entry in record["shards"]["files"]]
        sound = isinstance(mirrored, bool) and sum(shard.pictures for shard in files) * (1 + mirrored) == total
        sound &= all(Path(shard.file).name == shard.file and min(shard.pictures, shard.bytes) > 0 for shard in files)
    except (KeyError, TypeError):
        sound = False
    if not sound:
        raise UserError(f"{path} is damaged: which shards it has cannot be read; prepare it again")
    return files, mirrored


def write_index(
    path: Path,
    record: Mapping[str, Any],
    growth: Growth,
    shards: Sequence[Shard],
    mirrored: bool,
    kind: np.dtype[Any],
    labels: Labels | None = None,
) -> None:
    """Write the index of shards that are finished.

    Args:
        path: the file.
        record: what it says of itself, but for the growth and the shards.
        growth: the shapes of the images.
        shards: the files.
        mirrored: whether each has the mirror images of its images after them.
        kind: uint8 or float16.
        labels: [N, A], of all images.
    """
    import h5py

    grown = {"seed": list(growth.seed), "doubles": [list(pair) for pair in growth.doubles]}
    told = {"mirrored": mirrored, "files": [shard._asdict() for shard in shards]}
    total = sum(shard.pictures for shard in shards)
    require_space(path.parent, 0 if labels is None else labels.nbytes, "give a file on another disk")
    with h5py.File(path, "w") as file:
        file.attrs["format_version"] = FORMAT
        file.create_dataset(RECORD, data=json.dumps({**record, **grown, "shards": told}))
        if labels is not None:
            file.create_dataset("labels", data=labels)
        mark(file, (RECORD, "labels"))
        for depth in range(growth.max_depth + 1):
            shape = growth.shape_at(depth)
            name = f"data{shape[1]}x{shape[2]}"
            # h5py's own VirtualLayout would store the time, and the same data would not be the same bytes.
            links = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
            links.set_obj_track_times(False)
            space = h5py.h5s.create_simple((total * (1 + mirrored), *shape))
            for half in range(1 + mirrored):
                start = half * total
                for shard in shards:
                    there = h5py.h5s.create_simple((shard.pictures * (1 + mirrored), *shape))
                    there.select_hyperslab((half * shard.pictures, 0, 0, 0), (shard.pictures, *shape))
                    space.select_hyperslab((start, 0, 0, 0), (shard.pictures, *shape))
                    links.set_virtual(space, shard.file.encode(), name.encode(), there)
                    start += shard.pictures
            space.select_all()
            h5py.h5d.create(file.id, name.encode(), h5py.h5t.py_create(kind), space, links)
