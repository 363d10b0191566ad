"""A prepared set of several files, the shards, with a small index of the images in each.

The index is itself a prepared file with everything except the images. Its ``data{h}x{w}`` are virtual data sets, HDF5's
links into other files, so any HDF5 reader finds the complete set in it. We read the shards directly, since HDF5 reads a
missing shard as zeros.
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
    new_h5,
    open_h5,
    read_record,
)
from pggan_framework.errors import LocalError, UserError, plural
from pggan_framework.labels.attributes import Labels
from pggan_framework.schedules.growth import Growth
from pggan_framework.storage.space import require_space

OPEN = 256
"""Largest number of shards that are open at a time; a process may open about a thousand files."""
SHOWN = 3
"""Largest number of missing shards that an error names."""


class Shard(NamedTuple):
    """One file of a set.

    Args:
        file: name of the file in the folder of the index.
        images: number of images, without mirror images.
        bytes: size of the file in bytes.
    """

    file: str
    images: int
    bytes: int

    @classmethod
    def of(cls, file: str, entry: Mapping[str, Any]) -> Shard:
        """Read a shard's entry in an index or a journal; earlier versions stored the number of images as `pictures`."""
        return cls(file, entry["images"] if "images" in entry else entry["pictures"], entry["bytes"])


class Shards:
    """The images of a set, read from its shards.

    The shards divide the set in order, so image g of the set is row r of one shard. If the set has mirror images, they
    follow the last image in the numbering of the set, while in each file they follow the images of that file.

    Args:
        path: path of the index.
        record: description stored in the index.
        levels: levels of the index.
        machine: machine whose shards must be present; None if all shards must be present.

    Raises:
        UserError: if the index is damaged, or a shard is missing or truncated.
    """

    def __init__(
        self, path: Path, record: Mapping[str, Any], levels: Sequence[Level], machine: Machine | None = None
    ) -> None:
        self.path, self.set = path, record.get("fingerprint")
        self.files, self.mirrored = read_shards(path, record, levels[0].shape[0])
        self._levels = {level.name: level for level in levels}
        self._starts = np.array([0, *accumulate(shard.images for shard in self.files)])
        count = len(self.files)
        self.machine = machine
        self.own = range(count) if machine is None else machine.share(count)
        if not self.own:
            processes = plural(machine.world if machine else 1, "process")
            raise UserError(
                f"{path} has {plural(count, 'shard')} for {processes}, and none for this machine;"
                " allowed with own_shards: at least as many shards as machines"
            )
        self._known: dict[int, list[Level]] = {}
        self._files: OrderedDict[int, H5File] = OrderedDict()
        self._check_there()

    def read(self, name: str, numbers: NDArray[np.int64]) -> Pixels:
        """Read images [N, C, h, w] of the level `name`, by index in the set.

        Raises:
            UserError: if a shard is missing, truncated, from another set, or on another machine.
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
        """The shard numbers and rows of these images, both [N]."""
        half, place = np.divmod(numbers, self._starts[-1])
        which = np.searchsorted(self._starts, place, side="right") - 1
        sizes = np.diff(self._starts)
        return which, half * sizes[which] + place - self._starts[which]

    def own_pictures(self, most: int) -> tuple[range, ...]:
        """The indices, below `most`, of the images in this machine's shards."""
        first, end, total = (int(self._starts[at]) for at in (self.own.start, self.own.stop, -1))
        ranges = [range(first + total * half, end + total * half) for half in range(1 + self.mirrored)]
        return tuple(range(each.start, min(each.stop, most)) for each in ranges if each.start < most)

    def summary(self) -> dict[str, str]:
        """A description of the number of shards, and of the shards on this machine."""
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
        """Check every shard that must be on this machine.

        Raises:
            UserError: if a shard is missing, truncated or from another set.
        """
        for number in self.own:
            self._levels_of(number)

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_files": OrderedDict()}

    def _check_there(self) -> None:
        """Check that this machine's shards exist and have the right size."""
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
        """An open shard; if too many are open, the least recently used shard is closed."""
        if number in self._files:
            self._files.move_to_end(number)
            return self._files[number]
        if number not in self.own:
            raise UserError(
                f"an image of {self.files[number].file} is requested, which belongs to another machine;"
                " with own_shards, each machine reads only its own images"
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
        """The levels of a shard, which is checked at first use."""
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
            rows = self.files[number].images * (1 + self.mirrored)
            shapes = {level.name: (rows, *level.shape[1:], level.dtype) for level in self._levels.values()}
            if {level.name: (*level.shape, level.dtype) for level in levels} != shapes:
                raise UserError(f"{path} has different sizes from {self.path}, the index that lists it")
            self._known[number] = levels
        return self._known[number]


def read_shards(path: Path, record: Mapping[str, Any], total: int) -> tuple[list[Shard], bool]:
    """The shards listed in an index, and whether they contain mirror images.

    Args:
        path: path of the index, for messages.
        record: description stored in the index.
        total: number of images in the index.

    Raises:
        UserError: if the description is inconsistent.
    """
    try:
        mirrored = record["shards"]["mirrored"]
        files = [Shard.of(entry["file"], entry) for entry in record["shards"]["files"]]
        sound = isinstance(mirrored, bool) and sum(shard.images for shard in files) * (1 + mirrored) == total
        sound &= all(Path(shard.file).name == shard.file and min(shard.images, shard.bytes) > 0 for shard in files)
    except (KeyError, TypeError):
        sound = False
    if not sound:
        raise UserError(f"{path} is damaged: its list of shards cannot be read; prepare it again")
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
    """Write the index of finished shards.

    Args:
        path: destination of the index.
        record: description to store, without the growth and the shards.
        growth: shapes of the images at all depths.
        shards: files of the set.
        mirrored: whether each shard contains mirror images after its images.
        kind: dtype of the images, uint8 or float16.
        labels: labels of all images, [N, A].
    """
    import h5py

    grown = {"seed": list(growth.seed), "doubles": [list(pair) for pair in growth.doubles]}
    told = {"mirrored": mirrored, "files": [shard._asdict() for shard in shards]}
    total = sum(shard.images for shard in shards)
    require_space(path.parent, 0 if labels is None else labels.nbytes, "give a file on another disk")
    with new_h5(path) as file:
        file.attrs["format_version"] = FORMAT
        file.create_dataset(RECORD, data=json.dumps({**record, **grown, "shards": told}))
        if labels is not None:
            file.create_dataset("labels", data=labels)
        mark(file, (RECORD, "labels"))
        for depth in range(growth.max_depth + 1):
            shape = growth.shape_at(depth)
            name = f"data{shape[1]}x{shape[2]}"
            # h5py's own VirtualLayout would store the time, so that the same data would give different bytes.
            links = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
            links.set_obj_track_times(False)
            space = h5py.h5s.create_simple((total * (1 + mirrored), *shape))
            for half in range(1 + mirrored):
                start = half * total
                for shard in shards:
                    there = h5py.h5s.create_simple((shard.images * (1 + mirrored), *shape))
                    there.select_hyperslab((half * shard.images, 0, 0, 0), (shard.images, *shape))
                    space.select_hyperslab((start, 0, 0, 0), (shard.images, *shape))
                    links.set_virtual(space, shard.file.encode(), name.encode(), there)
                    start += shard.images
            space.select_all()
            h5py.h5d.create(file.id, name.encode(), h5py.h5t.py_create(kind), space, links)
