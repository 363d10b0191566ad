"""Write images into a set of prepared files, one after the other, and then their index."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from pggan_framework.data.images.plan import FORMAT, Plan
from pggan_framework.data.prepare.images import Result, finished_file, partial_folder, record_of
from pggan_framework.data.store.shards import Shard, write_index
from pggan_framework.errors import UserError
from pggan_framework.storage.atomic import atomic_path, move_synced
from pggan_framework.storage.rows import RowLog, locked

SHARDS = "shards.jsonl"


def shard_paths(out: Path, count: int) -> list[Path]:
    """The paths of the shards of `out`, such as ``OUT-00000-of-00008.h5``."""
    return [out.with_name(f"{out.stem}-{number:05d}-of-{count:05d}{out.suffix}") for number in range(count)]


def prepare_shards(plan: Plan, out: Path, count: int, jobs: int, finish: Callable[[Path, Result], None]) -> Result:
    """Write the images of a plan into `count` files and an index, or resume an interrupted call.

    The chosen images are divided evenly, in order; images that cannot be decoded make their shard smaller. A shard gets
    its final name when it is complete; the index, `out`, gets its final name when all shards are complete.

    Args:
        plan: plan from `make_plan`.
        out: path of the index.
        count: number of shards.
        jobs: number of processes.
        finish: called with the finished index, before it gets its final name.

    Raises:
        UserError: if `out` exists, there are fewer images than shards, the disk is full or cannot be written, or a
            shard has no image that can be decoded.
    """
    folder, total = partial_folder(out), len(plan.chosen)
    if not 1 <= count <= total:
        raise UserError(f"--shards is {count}, and there are {total} images; allowed: 1 to {total}")
    header = {"format": FORMAT, "fingerprint": plan.fingerprint, "shards": count}
    paths = shard_paths(out, count)
    try:
        with locked(folder, "preparing the same set"):
            folder.mkdir(exist_ok=True)  # another process may have finished it meanwhile
            if out.exists():
                shutil.rmtree(folder)
                raise UserError(f"{out} exists already; give a new file, or remove it and its shards first")
            with RowLog(folder / SHARDS, header) as log:
                rows = list(log.rows)
                for number in range(len(rows), count):
                    rows.append(_prepare_shard(plan, number, paths, folder, jobs))
                    log.append(rows[-1])
            result = _write_index(plan, paths, rows, out, finish)
            shutil.rmtree(folder, ignore_errors=True)
    except OSError as error:
        raise UserError(f"cannot write {out}: {error.strerror or error}") from error
    return result


def _prepare_shard(plan: Plan, number: int, paths: list[Path], folder: Path, jobs: int) -> dict[str, Any]:
    """Write one shard, give it its final name, and return the facts that the index and a later start need."""
    count, total = len(paths), len(plan.chosen)
    part = replace(
        plan,
        chosen=plan.chosen[total * number // count : total * (number + 1) // count],
        where=f"shard {number} of {plan.where}",
        unreadable={},
        shard=(number, count),
    )
    own = folder / str(number)
    own.mkdir(exist_ok=True)
    whole, _, broken = finished_file(part, own, jobs)
    row = {
        "bytes": whole.stat().st_size,
        "images": len(part.chosen) - len(broken),
        "broken": {str(part.chosen[place]): why for place, why in broken.items()},
    }
    move_synced(whole, paths[number])
    shutil.rmtree(own)
    return row


def _write_index(
    plan: Plan, paths: list[Path], rows: list[dict[str, Any]], out: Path, finish: Callable[[Path, Result], None]
) -> Result:
    """Write the index of finished shards."""
    unreadable = plan.unreadable | {int(index): why for row in rows for index, why in row["broken"].items()}
    good = [index for index in plan.chosen if index not in unreadable]
    names = [plan.source.name(index) for index in good]
    found, mirrored = plan.labels(good), plan.options.mirror
    result = Result(
        record_of(plan, unreadable),
        names * (1 + mirrored),
        plan.names(unreadable),
    )
    shards = [Shard.of(path.name, row) for path, row in zip(paths, rows, strict=True)]
    labels = None if found is None else np.concatenate([found[1]] * (1 + mirrored))
    with atomic_path(out) as index:
        write_index(index, result.record, plan.growth, shards, mirrored, np.dtype(np.uint8), labels)
        finish(index, result)
    return result
