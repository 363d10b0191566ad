"""Reading all of a sound dataset once, and encoding all of it: in parallel, stopped and continued at any time.

The folder of a preparation holds ``reads.jsonl``, what was measured of each source; ``pictures.h5``, a prepared file;
while that is being written, ``pictures.partial`` and ``blocks.jsonl``, which says how far it has come; and ``lock``.
"""

from __future__ import annotations

import json
import mmap
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pggan_framework.data.base import Pixels
from pggan_framework.data.prepare.meter import Meter
from pggan_framework.data.prepare.parallel import in_order
from pggan_framework.data.store.level_writer import LevelWriter
from pggan_framework.data.store.prepared import lay_out
from pggan_framework.errors import UserError
from pggan_framework.storage.atomic import atomic_path, move_synced
from pggan_framework.storage.rows import Row, RowLog, load_rows, locked
from pggan_framework.storage.space import require_space

if TYPE_CHECKING:
    from pggan_framework.data.datasets.wave import WaveDataset

FORMAT = 2
"""Goes into the names of the folders: another one where the same files would give other rows or images."""
READS, PICTURES, PARTIAL, BLOCKS = "reads.jsonl", "pictures.h5", "pictures.partial", "blocks.jsonl"
PATIENCE = 5.0
"""Seconds of reading after which it is worth a file: small folders are read anew at each start, and leave nothing."""
BLOCK = 16 << 20
"""Bytes of full-size images after which a block ends; what is in work when a process dies is lost in blocks."""
BATCH = 8
"""Images that a process holds at a time."""


def read_sources(dataset: WaveDataset, folder: Path | None, jobs: int) -> list[Row]:
    """Read every source once: ``{"facts": ..., "measures": [what the codec measures of each sound]}``, in order.

    Args:
        dataset: its `read_source` is called in `jobs` processes.
        folder: where the rows are kept, from which a later call continues; None keeps nothing.
        jobs: how many processes.

    Raises:
        UserError: if the folder cannot be written, or what the dataset raises.
    """
    total = dataset.source_count()
    header = {"format": FORMAT, "sources": total}
    rows = (folder and load_rows(folder / READS, header)) or []

    def read(index: int) -> Row:
        source = dataset.read_source(index)
        try:
            row = {"facts": source.facts, "measures": [dataset.codec.measure(wave) for wave in source.waves]}
        except ValueError as error:
            raise UserError(f"source {index} of {type(dataset).__name__} cannot be used: {error}") from error
        # What is fresh is to be the same as what comes from the file: lists for tuples, text for keys.
        plain: Row = json.loads(json.dumps(row))
        return plain

    if folder is not None and rows:
        _refresh(dataset, rows, read, folder, header, jobs)
    if len(rows) >= total:
        return rows
    begun = time.monotonic()
    log: RowLog | None = None
    before = len(rows)
    meter = Meter("reading", "read", total, "recordings", before)
    with ExitStack() as stack:
        while len(rows) < total:
            if folder is not None and log is None and (rows or time.monotonic() - begun >= PATIENCE):
                stack.enter_context(_writing(folder))
                stack.enter_context(locked(folder, "reading the same data"))
                log = stack.enter_context(RowLog(folder / READS, header))
                for row in rows[len(log.rows) :]:
                    log.append(row)
                # Another process may have come further.
                rows = max(log.rows, rows, key=len)
            with closing(in_order(read, range(len(rows), total), jobs)) as fresh:
                for row in fresh:
                    rows.append(row)
                    meter.update(len(rows))
                    if log is not None:
                        log.append(row)
                    elif folder is not None and time.monotonic() - begun >= PATIENCE:
                        break
    sounds = sum(len(row["measures"]) for row in rows[before:])
    meter.finish(sounds * dataset.codec.samples / dataset.codec.sample_rate)
    return rows


def _refresh(
    dataset: WaveDataset,
    rows: list[Row],
    read: Callable[[int], Row],
    folder: Path,
    header: Mapping[str, Any],
    jobs: int,
) -> None:
    """Read the sources anew whose files were touched since; where sounds have changed, drop their images.

    A file may be edited in its middle, where its digest does not look; or only have been copied.
    """
    old = [index for index, row in enumerate(rows) if not dataset.is_current(index, row["facts"])]
    if not old:
        return
    changed = False
    for index, row in zip(old, in_order(read, old, jobs), strict=True):
        changed |= _sounds_of(row) != _sounds_of(rows[index])
        rows[index] = row
    with _writing(folder), locked(folder, "reading the same data"):
        if changed:
            for name in (PICTURES, PARTIAL, BLOCKS):
                (folder / name).unlink(missing_ok=True)
        with atomic_path(folder / READS) as temporary, RowLog(temporary, header) as log:
            for row in rows:
                log.append(row)


def _sounds_of(row: Row) -> Row:
    return {**row, "facts": {key: value for key, value in row["facts"].items() if key != "state"}}


@dataclass(frozen=True)
class Block:
    """Sources that are encoded together: `sources`, whose first sound is number `start` of all, `count` in all."""

    sources: range
    start: int
    count: int


def plan_blocks(parts: Sequence[int], size: int) -> list[Block]:
    """Cut the sources, which have so many sounds each, into blocks of at least `size` sounds, the last one excepted."""
    starts = [0, *accumulate(parts)]
    blocks, first = [], 0
    for end in range(1, len(parts) + 1):
        count = starts[end] - starts[first]
        if count >= size or (end == len(parts) and count):
            blocks.append(Block(range(first, end), starts[first], count))
            first = end
    return blocks


def write_pictures(
    dataset: WaveDataset,
    parts: Sequence[int],
    folder: Path,
    jobs: int,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Encode all sounds into the prepared file ``pictures.h5`` in `folder`, or continue where that was stopped.

    Workers write to the file themselves, each block at its place, and see it on the disk before it counts as done.

    Args:
        dataset: a fitted one.
        parts: how many sounds each source has.
        folder: the folder of the preparation.
        jobs: how many processes.
        progress: called with how many images are done, and of how many.

    Raises:
        UserError: if the disk is full or cannot be written, the sources have changed, or what the dataset raises.
    """
    path, partial = folder / PICTURES, folder / PARTIAL
    with _writing(folder), locked(folder, "encoding the same data"):
        if path.is_file():
            return path
        blocks = plan_blocks(parts, -(-BLOCK // _picture_bytes(dataset)))
        header = {"format": FORMAT, "fingerprint": dataset.fingerprint(), "sounds": sum(parts), "blocks": len(blocks)}
        if load_rows(folder / BLOCKS, header) is None or not partial.is_file():
            (folder / BLOCKS).unlink(missing_ok=True)
            partial.unlink(missing_ok=True)
            _check_space(dataset, folder)
            with atomic_path(partial) as temporary:
                lay_out(dataset, temporary)
        levels = LevelWriter(partial, dataset.growth)

        def encode(index: int) -> None:
            with levels as writer:
                _encode_block(dataset, blocks[index], parts, writer.put)
                writer.sync()

        with RowLog(folder / BLOCKS, header) as log:
            done = len(log.rows)
            _each_block(dataset, blocks, encode, jobs, done, lambda index: log.append({"block": index}), progress)
        move_synced(partial, path)
        (folder / BLOCKS).unlink()
    return path


def encode_to_memory(dataset: WaveDataset, parts: Sequence[int], jobs: int) -> Pixels:
    """All images at full size, float16 [N, C, H, W], in memory that the workers share."""
    total = sum(parts)
    shared = mmap.mmap(-1, total * _picture_bytes(dataset))
    pictures: Pixels = np.frombuffer(shared, dtype=np.float16).reshape(total, *dataset.shape)
    blocks = plan_blocks(parts, -(-BLOCK // _picture_bytes(dataset)))

    def put(start: int, encoded: list[Pixels]) -> None:
        pictures[start : start + len(encoded)] = encoded

    _each_block(dataset, blocks, lambda index: _encode_block(dataset, blocks[index], parts, put), jobs)
    return pictures


def _each_block(
    dataset: WaveDataset,
    blocks: Sequence[Block],
    task: Callable[[int], None],
    jobs: int,
    done: int = 0,
    finished: Callable[[int], None] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Call `task` for each block from number `done` on, in `jobs` processes; then, here and in order, the others."""
    ends = [block.start + block.count for block in blocks]
    before = ends[done - 1] if done else 0
    meter = Meter("encoding", "encoded", ends[-1], "spectrograms", before)
    with closing(in_order(task, range(done, len(blocks)), jobs)) as results:
        for index, _ in enumerate(results, done):
            if finished:
                finished(index)
            meter.update(ends[index])
            if progress:
                progress(ends[index], ends[-1])
    meter.finish((ends[-1] - before) * dataset.codec.samples / dataset.codec.sample_rate)


def _encode_block(
    dataset: WaveDataset, block: Block, parts: Sequence[int], put: Callable[[int, list[Pixels]], None]
) -> None:
    """Read a block's sources and hand over their images, a few at a time, each with the first one's number."""
    start = block.start
    for index in block.sources:
        if not parts[index]:
            continue
        waves = dataset.read_source(index).waves
        if len(waves) != parts[index]:
            raise UserError("the recordings have changed since they were first read; start again")
        for first in range(0, len(waves), BATCH):
            put(start + first, [dataset.encode(wave) for wave in waves[first : first + BATCH]])
        start += len(waves)


def _picture_bytes(dataset: WaveDataset) -> int:
    """Bytes of a float16 image at full size."""
    return 2 * int(np.prod(dataset.shape))


def _check_space(dataset: WaveDataset, folder: Path) -> None:
    """Refuse at once what the disk has no room for."""
    growth = dataset.growth
    sizes = [2 * int(np.prod(growth.shape_at(depth))) for depth in range(growth.max_depth + 1)]
    advice = "set prepared_dir to a folder on another disk, or to None to encode at each access"
    require_space(folder, len(dataset) * sum(sizes), advice)


class _writing:
    """Turns what the system says against writing to a folder into one line."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, OSError):
            raise UserError(
                f"cannot write to {self.folder}: {error.strerror or error}; set prepared_dir to another folder or None"
            ) from error
