"""Prepared files: a dataset at every depth in one HDF5 file, with everything needed to train on it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pggan_framework.data.base import DepthDataset
from pggan_framework.data.datasets.h5 import OldH5Dataset
from pggan_framework.data.store.checksums import PREFIX, mark
from pggan_framework.data.store.h5_file import FORMAT, RECORD, damage, new_h5, open_h5, read_levels
from pggan_framework.errors import UserError
from pggan_framework.labels.attributes import Labels
from pggan_framework.schedules.growth import Growth
from pggan_framework.storage.atomic import atomic_path
from pggan_framework.storage.names import name_bytes
from pggan_framework.storage.space import require_space, reserve_file

CHUNK = 32 << 20
"""Number of bytes of full-size images in memory at a time."""


def save_prepared(dataset: DepthDataset, path: Path, progress: Callable[[int, int], None] | None = None) -> None:
    """Write a dataset as ``data{h}x{w}``, [N, C, h, w], one contiguous data set for each depth.

    The scalar string ``pggan_framework`` contains, as JSON, the codec's state, the growth, the value range, the summary
    and the fingerprint. The file is written atomically and replaces an existing file.

    Args:
        dataset: dataset to write.
        path: destination of the file.
        progress: called with the number of written images and the total.

    Raises:
        UserError: if the file cannot be written, and the errors of the dataset.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_path(path) as temporary:
            _write(dataset, temporary, progress)
    except OSError as error:
        raise UserError(f"cannot write {path}: {error}") from error


def load_prepared(path: Path, range_out: tuple[float, float] = (-1, 1)) -> DepthDataset:
    """Load the dataset that `save_prepared` wrote to a file, with its images, codec and fingerprint.

    Raises:
        UserError: if the file is not a prepared file, or is truncated.
    """
    with damage(Path(path)), open_h5(Path(path)) as file:
        if "format_version" not in file.attrs:
            raise UserError(f"{path} is not a prepared file; read other HDF5 files with dataset_class OldH5Dataset")
    return OldH5Dataset(path, range_out=range_out)


def lay_out(dataset: DepthDataset, path: Path) -> None:
    """Write a prepared file without image data; the space for the images is reserved but not initialized."""
    record = {
        "codec": dataset.codec.state_dict() if dataset.codec else None,
        "fingerprint": dataset.fingerprint(),
        "range_in": list(dataset.range_in),
        "summary": dataset.summary(),
        "label_space": dataset.label_space.state_dict() if dataset.label_space else None,
    }
    write_layout(path, record, dataset.growth, len(dataset), dataset.image(0).dtype, dataset.labels)


def write_layout(
    path: Path,
    record: Mapping[str, Any],
    growth: Growth,
    total: int,
    kind: np.dtype[Any],
    labels: Labels | None = None,
    names: Sequence[str] | None = None,
) -> None:
    """Write a prepared file without image data, like `lay_out`, but from the individual properties of a dataset.

    Args:
        path: destination of the file.
        record: description to store, without the growth.
        growth: shapes of the images at all depths.
        total: number of images.
        kind: dtype of the images, uint8 or float16.
        labels: labels of the images, [total, A].
        names: name of the file that each image comes from.
    """
    import h5py

    shapes = [growth.shape_at(depth) for depth in range(growth.max_depth + 1)]
    listed = None if names is None else np.array([name_bytes(name) for name in names])
    pixels = total * kind.itemsize * sum(int(np.prod(shape)) for shape in shapes)
    extra = sum(each.nbytes for each in (labels, listed) if each is not None)
    require_space(path.parent, pixels + extra, "give a file on another disk")
    grown = {"seed": list(growth.seed), "doubles": [list(pair) for pair in growth.doubles]}
    storage = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    storage.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    storage.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
    storage.set_obj_track_times(False)  # without timestamps, the same data give the same bytes
    with new_h5(path) as file:
        file.attrs["format_version"] = FORMAT
        file.create_dataset(RECORD, data=json.dumps({**record, **grown}))
        if labels is not None:
            file.create_dataset("labels", data=labels)
        if listed is not None:
            file.create_dataset("names", data=listed)
        mark(file, (RECORD, "labels", "names"))
        for shape in shapes:
            space = h5py.h5s.create_simple((total, *shape))
            name = f"data{shape[1]}x{shape[2]}".encode()
            h5py.h5d.create(file.id, name, h5py.h5t.py_create(kind), space, storage)
            sums = h5py.h5s.create_simple((total,))
            h5py.h5d.create(file.id, PREFIX.encode() + name, h5py.h5t.STD_U32LE, sums, storage)
    reserve_file(path)


def _write(dataset: DepthDataset, path: Path, progress: Callable[[int, int], None] | None) -> None:
    lay_out(dataset, path)
    growth, total = dataset.growth, len(dataset)
    levels = {level.shape[1:]: level for level in read_levels(path)}
    step = max(1, CHUNK // (int(np.prod(growth.shape)) * levels[growth.shape].dtype.itemsize))
    with path.open("r+b") as file:  # not through HDF5, which crashes if a write fails
        for start in range(0, total, step):
            end = min(start + step, total)
            for images in dataset.pyramid(range(start, end)):
                level = levels[images.shape[1:]]
                level.write(file, start, np.ascontiguousarray(images, level.dtype))
            if progress:
                progress(end, total)
