"""Write images into one prepared file, in parallel; an interrupted preparation can be resumed.

During writing, the folder ``OUT.h5.partial`` next to the file contains ``pictures.h5``, already in its final layout;
``blocks.jsonl``, the list of finished blocks; and ``lock``.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from pggan_framework.data.images.degenerate import constant_and_duplicate, is_flat
from pggan_framework.data.images.files import reason
from pggan_framework.data.images.plan import FORMAT, Plan, check_bad
from pggan_framework.data.prepare.journal import Journal
from pggan_framework.data.prepare.meter import Meter
from pggan_framework.data.prepare.parallel import in_order
from pggan_framework.data.store.h5_file import H5File, read_levels
from pggan_framework.data.store.level_writer import LevelWriter
from pggan_framework.data.store.prepared import write_layout
from pggan_framework.data.walk import named
from pggan_framework.errors import UserError
from pggan_framework.storage.atomic import atomic_path, move_synced
from pggan_framework.storage.rows import Row, RowLog, load_rows, locked
from pggan_framework.storage.space import require_space

PICTURES, BLOCKS, COMPACT = "pictures.h5", "blocks.jsonl", "compact.h5"
BLOCK = 4 << 20
"""Size of a block in bytes of full-size images, which stay in the processor's cache until they are written."""
COPIED = 8 << 20
"""Number of bytes that are copied at a time."""


@dataclass(frozen=True)
class Result:
    """The result of a preparation.

    Args:
        record: description that is stored in the file.
        names: name of each image in the file.
        unreadable: reasons for omitting images, by image name.
    """

    record: dict[str, Any]
    names: list[str]
    unreadable: dict[str, str]


def prepare_pictures(
    plan: Plan, out: Path, jobs: int, finish: Callable[[Path, Result], None], overwrite: bool = False
) -> Result:
    """Write the images of a plan at every depth into the prepared file `out`, or resume an interrupted call.

    The workers themselves write each block at its position in the file. Images that cannot be decoded are omitted, and
    the gaps that they leave in the file are closed.

    Args:
        plan: plan from `make_plan`.
        out: path of the prepared file.
        jobs: number of processes.
        finish: called with the finished file, before it gets its final name.
        overwrite: whether to replace `out` once the new file is complete.

    Raises:
        UserError: if `out` exists, the disk is full or cannot be written, or no image can be decoded.
    """
    folder = partial_folder(out)
    try:
        with locked(folder, "preparing the same file"):
            folder.mkdir(exist_ok=True)  # another process may have finished it meanwhile
            if out.exists() and not overwrite:
                shutil.rmtree(folder)
                raise UserError(f"{out} exists already; give a new file, or --overwrite")
            whole, result, _ = finished_file(plan, folder, jobs)
            finish(whole, result)
            move_synced(whole, out)
            shutil.rmtree(folder, ignore_errors=True)
    except OSError as error:
        raise UserError(f"cannot write {out}: {error.strerror or error}") from error
    return result


def finished_file(plan: Plan, folder: Path, jobs: int) -> tuple[Path, Result, dict[int, str]]:
    """Write the images of a plan into a file in `folder`, or resume an interrupted call.

    Returns:
        The file, its contents, and the reasons why images cannot be decoded, by position among the chosen images.

    Raises:
        UserError: if the disk is full, or no image can be decoded.
        OSError: if the file cannot be written.
    """
    rows = _write_blocks(plan, folder, jobs)
    broken = {place: why for row in rows for place, why in row["broken"]}
    plan = replace(plan, guessed=plan.guessed | _nothing_to_learn(plan, rows, folder / PICTURES))
    return (*_close_up(plan, folder, broken), broken)


def partial_folder(out: Path) -> Path:
    """The folder for the unfinished file `out`."""
    return out.with_name(f"{out.name}.partial")


def _write_blocks(plan: Plan, folder: Path, jobs: int) -> list[Row]:
    """Write the missing blocks; returns the results of `write_block` for all blocks."""
    partial, journal = folder / PICTURES, folder / BLOCKS
    count = len(plan.chosen)
    size = max(1, BLOCK // int(np.prod(plan.growth.shape)))
    header = {"format": FORMAT, "fingerprint": plan.fingerprint, "pictures": count, "block": size}
    if plan.shard is not None:
        header["shard"] = list(plan.shard)
    if load_rows(journal, header) is None or not partial.is_file():
        journal.unlink(missing_ok=True)
        partial.unlink(missing_ok=True)
        _check_space(plan, folder)
        with atomic_path(partial) as temporary:
            _lay_out(plan, temporary, {})
    levels = LevelWriter(partial, plan.growth)

    def write(block: int) -> Row:
        return write_block(plan, levels, range(block * size, min((block + 1) * size, count)))

    with RowLog(journal, header) as log, Journal(partial, log) as safe:
        rows = list(log.rows)
        where = "" if plan.shard is None else f"shard {plan.shard[0]} of {plan.shard[1]}: "
        meter = Meter(f"{where}preparing", f"{where}prepared", count, "image", min(len(rows) * size, count))
        with closing(in_order(write, range(len(rows), -(-count // size)), jobs)) as results:
            for row in results:
                check_bad(
                    plan.options, {plan.source.name(plan.chosen[at]): why for at, why in row["broken"]}, plan.where
                )
                rows.append(row)
                safe.append(row)
                meter.update(min(len(rows) * size, count))
        meter.finish()
    return rows


def write_block(plan: Plan, levels: LevelWriter, places: range) -> Row:
    """Decode some of the chosen images and write them at every depth to their positions.

    Returns:
        The positions of two groups of images: ``broken``, images that cannot be decoded (replaced by zeros), with
        reasons; ``flat``, images of a single colour.

    Raises:
        OSError: if the file cannot be written.
        UserError: if there is not enough memory.
    """
    row: Row = {"broken": [], "flat": []}
    pictures = np.zeros((len(places), *plan.growth.shape), np.uint8)
    for place, picture in zip(places, pictures, strict=True):
        index = plan.chosen[place]
        try:
            plan.pixels(index, picture)
        except MemoryError as error:
            raise UserError(f"there is not enough memory to decode {plan.source.name(index)}") from error
        except Exception as error:  # Pillow raises many exception types on a broken file
            row["broken"].append((place, reason(error)))
            picture[:] = 0
            continue
        if is_flat(picture):
            row["flat"].append(place)
    with levels as writer:
        writer.put(places.start, list(pictures), len(plan.chosen) + places.start if plan.options.mirror else None)
    return row


def _nothing_to_learn(plan: Plan, rows: Sequence[Row], path: Path) -> dict[str, str]:
    """Summary lines about constant and duplicate images, from the `write_block` results and the checksums in `path`."""
    names = [plan.source.name(index) for index in plan.chosen]
    flat = [place for row in rows for place in row["flat"]]
    left_out = {*flat, *(place for row in rows for place, _ in row["broken"])}
    level = read_levels(path)[0]
    sums = [] if level.sums is None else np.fromfile(path, np.uint32, len(names), offset=level.sums).tolist()
    pictures = H5File(path, [level])
    seen: dict[int, int] = {}
    equal = {}
    for place, own in enumerate(sums):
        if place in left_out or (first := seen.setdefault(own, place)) == place:
            continue
        # Images with equal checksums are compared, since one pair in 100,000 images has equal checksums by chance.
        one, other = pictures.read(level.name, np.array([first, place]))
        if np.array_equal(one, other):
            equal[names[place]] = f"as {names[first]}"
    pictures.close()
    return constant_and_duplicate([names[place] for place in flat], equal, str(len(names)))


def _close_up(plan: Plan, folder: Path, broken: dict[int, str]) -> tuple[Path, Result]:
    """The finished file, without gaps for broken images, and its contents."""
    good = [index for place, index in enumerate(plan.chosen) if place not in broken]
    if not good:
        shutil.rmtree(folder)
        faults = plan.names({plan.chosen[place]: why for place, why in broken.items()})
        raise UserError(f"no image in {plan.where} can be decoded: {named(faults)}")
    unreadable = plan.unreadable | {plan.chosen[place]: why for place, why in broken.items()}
    names = [plan.source.name(index) for index in good]
    result = Result(
        record_of(plan, unreadable),
        names * 2 if plan.options.mirror else names,
        plan.names(unreadable),
    )
    whole = folder / PICTURES
    if broken:
        kept = [place for place in range(len(plan.chosen)) if place not in broken]
        if plan.options.mirror:
            kept += [len(plan.chosen) + place for place in kept]
        with atomic_path(folder / COMPACT) as compact:
            _lay_out(plan, compact, unreadable)
            with whole.open("rb") as old, compact.open("r+b") as new:
                for before, after in zip(read_levels(whole), read_levels(compact), strict=True):
                    assert before.offset is not None and after.offset is not None
                    _copy(old, before.offset, new, after.offset, int(np.prod(before.shape[1:])), kept)
                    if before.sums is not None and after.sums is not None:
                        _copy(old, before.sums, new, after.sums, 4, kept)
        whole = folder / COMPACT
    return whole, result


def _lay_out(plan: Plan, path: Path, unreadable: dict[int, str]) -> None:
    """Write the file without image data; `unreadable` images are omitted."""
    good = [index for index in plan.chosen if index not in unreadable]
    names = [plan.source.name(index) for index in good]
    # The label values are known only when all shards are finished, so the index contains the labels.
    found = plan.labels(good) if plan.shard is None else None
    labels = None if found is None else found[1]
    if plan.options.mirror:
        names = names * 2
        labels = None if labels is None else np.concatenate([labels, labels])
    record = record_of(plan, plan.unreadable | unreadable)
    write_layout(path, record, plan.growth, len(names), np.dtype(np.uint8), labels, names)


def record_of(plan: Plan, unreadable: dict[int, str]) -> dict[str, Any]:
    """The description of the file, without the `unreadable` images, which are given by index in the source."""
    if plan.shard is not None:
        number, count = plan.shard
        return {
            "codec": None,
            "fingerprint": hashlib.sha256(f"{plan.fingerprint} {number} {count}".encode()).hexdigest()[:16],
            "range_in": [0, 255],
            "summary": {"shard": f"{number} of {count} of the set {plan.fingerprint}"},
            "label_space": None,
            "shard": {"set": plan.fingerprint, "number": number, "of": count},
        }
    found = plan.labels([index for index in plan.chosen if index not in unreadable])
    return {
        "codec": None,
        "fingerprint": plan.fingerprint,
        "range_in": [0, 255],
        "summary": plan.summary(unreadable),
        "label_space": found[0].state_dict() if found else None,
    }


def _copy(old: Any, before: int, new: Any, after: int, stride: int, kept: Sequence[int]) -> None:
    """Copy the entries `kept`, of `stride` bytes each, from one file to another; join consecutive entries."""
    most = max(1, COPIED // stride)
    place = 0
    while place < len(kept):
        run = 1
        while place + run < len(kept) and run < most and kept[place + run] == kept[place] + run:
            run += 1
        old.seek(before + kept[place] * stride)
        new.seek(after + place * stride)
        new.write(old.read(run * stride))
        place += run


def _check_space(plan: Plan, folder: Path) -> None:
    """Raise an error early if the disk has too little space."""
    sizes = [int(np.prod(plan.growth.shape_at(depth))) for depth in range(plan.growth.max_depth + 1)]
    try:
        require_space(folder.parent, plan.total(len(plan.chosen)) * sum(sizes), "give a file on another disk")
    except UserError:
        with suppress(OSError):
            shutil.rmtree(folder)
        raise
