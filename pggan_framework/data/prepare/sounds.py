"""Read and encode a complete sound dataset, in parallel; an interrupted preparation can be resumed.

The folder of a preparation contains ``reads.jsonl``, the measurements of each source; ``pictures.h5``, a prepared file;
during writing, ``pictures.partial`` and ``blocks.jsonl``, the list of finished blocks; and ``lock``.
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

FORMAT = 3
"""Part of the folder names; increased when a new version computes different rows or images from the same files."""
READS, PICTURES, PARTIAL, BLOCKS = "reads.jsonl", "pictures.h5", "pictures.partial", "blocks.jsonl"
PATIENCE = 5.0
"""Reading time in seconds above which the rows are stored; smaller folders are read again at each start."""
BLOCK = 16 << 20
"""Size of a block in bytes of full-size images; if a process dies, its current block is lost."""
BATCH = 8
"""Number of images that a process holds in memory at a time."""


def read_sources(dataset: WaveDataset, folder: Path | None, jobs: int) -> list[Row]:
    """Read every source once: ``{"facts": ..., "measures": [codec measurements of each sound]}``, in order.

    Args:
        dataset: dataset whose `read_source` is called in `jobs` processes.
        folder: folder that stores the rows, from which a later call resumes; None stores nothing.
        jobs: number of processes.

    Raises:
        UserError: if the folder cannot be written, or as raised by the dataset.
    """
    total = dataset.source_count()
    header = {"format": FORMAT, "sources": total}
    rows = (folder and load_rows(folder / READS, header)) or []

    def read(index: int) -> Row:
        source = dataset.read_source(index)
        try:
            row = {"facts": source.facts, "measures": [dataset.codec.survey(wave) for wave in source.waves]}
        except ValueError as error:
            raise UserError(f"source {index} of {type(dataset).__name__} cannot be used: {error}") from error
        # Make new rows equal to rows from the file, where tuples are lists and keys are text.
        plain: Row = json.loads(json.dumps(row))
        return plain

    if folder is not None and rows:
        _refresh(dataset, rows, read, folder, header, jobs)
    if len(rows) >= total:
        return rows
    begun = time.monotonic()
    log: RowLog | None = None
    before = len(rows)
    meter = Meter("reading", "read", total, "recording", before)
    with ExitStack() as stack:
        while len(rows) < total:
            if folder is not None and log is None and (rows or time.monotonic() - begun >= PATIENCE):
                stack.enter_context(_writing(folder))
                stack.enter_context(locked(folder, "reading the same data"))
                log = stack.enter_context(RowLog(folder / READS, header))
                for row in rows[len(log.rows) :]:
                    log.append(row)
                # Another process may have read more.
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
    """Read again the sources whose files were touched; if their sounds have changed, delete their images.

    A touched file may have been edited in its middle, which its digest does not cover, or it may only have been copied.
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
    """Sources that are encoded together: the number of their first sound is `start`; they have `count` sounds."""

    sources: range
    start: int
    count: int


def plan_blocks(parts: Sequence[int], size: int) -> list[Block]:
    """Group sources with `parts` sounds each into blocks of at least `size` sounds, except the last block."""
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
    """Encode all sounds into the prepared file ``pictures.h5`` in `folder`, or resume an interrupted call.

    The workers themselves write each block at its position in the file; a block counts as finished once it is on disk.

    Args:
        dataset: dataset whose codec is fitted.
        parts: number of sounds of each source.
        folder: folder of the preparation.
        jobs: number of processes.
        progress: called with the number of finished images and the total.

    Raises:
        UserError: if the disk is full or cannot be written, the sources have changed, or as raised by the dataset.
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
    """All images at full size, float16 [N, C, H, W], in memory shared with the workers."""
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
    """Call `task` for each block from number `done` on in `jobs` processes, and the callbacks here, in order."""
    ends = [block.start + block.count for block in blocks]
    before = ends[done - 1] if done else 0
    meter = Meter("encoding", "encoded", ends[-1], "spectrogram", before)
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
    """Read a block's sources and pass their images to `put`, a few at a time, with the number of the first image."""
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
    """Size in bytes of a float16 image at full size."""
    return 2 * int(np.prod(dataset.shape))


def _check_space(dataset: WaveDataset, folder: Path) -> None:
    """Raise an error early if the disk has too little space."""
    growth = dataset.growth
    sizes = [2 * int(np.prod(growth.shape_at(depth))) for depth in range(growth.max_depth + 1)]
    advice = "set prepared_dir to a folder on another disk, or to None to encode at each access"
    require_space(folder, len(dataset) * sum(sizes), advice)


class _writing:
    """Converts system errors while writing to a folder into one-line errors."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, OSError):
            raise UserError(
                f"cannot write to {self.folder}: {error.strerror or error}; set prepared_dir to another folder or None"
            ) from error
