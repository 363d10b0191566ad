"""Describe a checkpoint or a data file as plain values, without running code from the file or plugins."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pggan_framework.errors import UserError, plural
from pggan_framework.labels.attributes import Labels, LabelSpace
from pggan_framework.labels.maps import MapSpace, space_from_state
from pggan_framework.loggers.base import UNLIMITED_KIMG
from pggan_framework.models.exported import ENDING, VERSION, about_path, read_about
from pggan_framework.schedules.growth import Growth

Details = dict[str, Any]
"""Values that JSON can represent."""

_BUFFERS = ("running_mean", "running_var", "direction")
"""Name suffixes of stored tensors that are not parameters."""
_HDF5 = b"\x89HDF\r\n\x1a\n"


def describe_file(path: Path) -> Details:
    """Describe a checkpoint, an exported model, a prepared file or an HDF5 file of images.

    Raises:
        UserError: if the file is of another kind, is damaged, or contains code.
    """
    try:
        with path.open("rb") as file:
            start = file.read(len(_HDF5))
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error
    others = _describe_exported if path.suffix == ENDING else _describe_checkpoint
    describe = _describe_h5 if start == _HDF5 else others
    try:
        return {"file": str(path), **describe(path), "bytes": path.stat().st_size}
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, ArithmeticError) as error:
        raise UserError(f"{path} is damaged: its description cannot be read ({error})") from error


def _describe_checkpoint(path: Path) -> Details:
    from pggan_framework.training.checkpoint import VERSION, load_checkpoint

    state = load_checkpoint(path)
    config, networks, nimg = state["config"], state["networks"], state["nimg"]
    growth = Growth.from_state(state["growth"], str(path))
    labels, codec = state.get("labels"), state["codec"]
    planned = state["trainer"].get("total_nimg")
    total = config.get("total_kimg") if planned is None else planned / 1000
    return {
        "kind": "checkpoint",
        "format_version": VERSION,
        "run": config.get("exp_name"),
        "imported": state.get("imported"),
        "shape": list(growth.shape),
        "depth": networks["depth"],
        "max_depth": growth.max_depth,
        "alpha": float(networks["alpha"]),
        "shape_at_depth": list(growth.shape_at(networks["depth"])),
        "nimg": nimg,
        "kimg": nimg / 1000,
        "total_kimg": None if total is None or total >= UNLIMITED_KIMG else total,
        "tick": state["tick"],
        "generator": config["generator"],
        "generator_parameters": count_parameters(networks["G"]),
        "discriminator": config["discriminator"],
        "discriminator_parameters": count_parameters(networks["D"]),
        "loss": config["loss"],
        "penalties": list(config.get("penalties") or []),
        "augmentations": list(config.get("augmentations") or []),
        "schedule": config.get("schedule") or "DepthManager's phases",
        "dataset": config["dataset_class"],
        "data_fingerprint": state["data"],
        "origin": list(state.get("origin", [])),
        "labels": None
        if labels is None
        else _labels(space_from_state(labels["space"]), labels["rows"].numpy(), labels["counts"].numpy()),
        "codec": _codec(codec),
    }


def _describe_exported(path: Path) -> Details:
    about = read_about(about_path(path))
    growth, labels = Growth.from_state(about["growth"], str(path)), about["labels"]
    space = None if labels is None else space_from_state(labels["space"])
    rows, counts = np.zeros((0, 1)), np.zeros(0, np.int64)
    if labels is not None and "rows" in labels:
        rows, counts = np.array(labels["rows"]), np.array(labels["counts"], np.int64)
    return {
        "kind": "exported model",
        "format_version": VERSION,
        "shape": list(growth.shape),
        "depth": about["depth"],
        "max_depth": growth.max_depth,
        "shape_at_depth": list(growth.shape_at(about["depth"])),
        "nimg": about["nimg"],
        "kimg": about["nimg"] / 1000,
        "generator": about["generator"],
        "weights": about["weights"],
        "labels": None if space is None else _labels(space, rows, counts),
        "codec": _codec(about["codec"]),
    }


def _describe_h5(path: Path) -> Details:
    from pggan_framework.data.datasets.h5 import OldH5Dataset
    from pggan_framework.data.store.h5_file import FORMAT, damage, find_levels, open_h5, read_record

    with damage(path), open_h5(path) as file:
        prepared = "format_version" in file.attrs
        record = read_record(file, path)
        levels = {
            level.name: list(level.shape) for level in sorted(find_levels(file, path), key=lambda each: each.name)
        }
    if "shards" in record:
        return _describe_index(path, record, levels)
    dataset = OldH5Dataset(path)
    space, labels = dataset.label_space, dataset.labels
    rows = None
    if space is not None and labels is not None:
        rows = _labels(space, labels, np.ones(len(labels), np.int64))
    return {
        "kind": _kind(record) if prepared else "HDF5 file of images",
        "format_version": FORMAT if prepared else None,
        "images": len(dataset),
        "shape": list(dataset.shape),
        "dtype": str(dataset.image(0).dtype),
        "max_depth": dataset.growth.max_depth,
        "levels": levels,
        "data_fingerprint": dataset.fingerprint(),
        "labels": rows,
        "codec": _codec(None if dataset.codec is None else dataset.codec.state_dict()),
    }


def _kind(record: Details) -> str:
    """The kind of a prepared file: a complete set, or a shard."""
    shard = record.get("shard")
    if shard is None:
        return "prepared data"
    return f"shard {shard['number']} of {shard['of']} (from 0 on) of the prepared data {shard['set']}"


def _describe_index(path: Path, record: Details, levels: Details) -> Details:
    """Describe an index of shards; the shards may be missing."""
    from pggan_framework.data.store.h5_file import FORMAT, damage, open_h5, read_levels, read_small
    from pggan_framework.data.store.shards import read_shards

    top = read_levels(path)[0]
    files, _ = read_shards(path, record, top.shape[0])
    labels = None
    if record["label_space"] is not None:
        space = space_from_state(record["label_space"])
        with damage(path), open_h5(path) as file:
            rows = space.typed(read_small(file, path, "labels"))
        labels = _labels(space, rows, np.ones(len(rows), np.int64))
    return {
        "kind": f"index of prepared data in {plural(len(files), 'shard')}",
        "format_version": FORMAT,
        "images": top.shape[0],
        "shape": list(top.shape[1:]),
        "dtype": str(top.dtype),
        "max_depth": len(record["doubles"]),
        "levels": levels,
        "shards": [shard._asdict() for shard in files],
        "missing": [shard.file for shard in files if not path.with_name(shard.file).is_file()],
        "data_fingerprint": record["fingerprint"],
        "labels": labels,
        "codec": _codec(record["codec"]),
    }


def count_parameters(state: Mapping[str, Any]) -> int:
    """The number of trained parameters in a network's state."""
    return sum(value.numel() for name, value in state.items() if name.rpartition(".")[2] not in _BUFFERS)


def _codec(state: Mapping[str, Any] | None) -> Details | None:
    keys = ("name", "parameters", "statistics", "start_db")
    return None if state is None else {key: state[key] for key in keys if key in state}


def _labels(space: LabelSpace, rows: Labels, counts: NDArray[np.int64]) -> list[Details]:
    """For each attribute, its name and the count of each value, or the range of its numbers.

    Args:
        space: label space with the attributes.
        rows: distinct labels, [K, A].
        counts: number of occurrences of each label, [K].
    """
    if isinstance(space, MapSpace):
        return [{"name": "map", "maps": len(space), "classes": [entry.name for entry in space.classes]}]
    found: list[Details] = []
    for attribute, column in zip(space.attributes, rows.T, strict=True):
        if attribute.span is not None:
            found.append({"name": attribute.name, "span": list(attribute.span)})
            continue
        sums = np.zeros(attribute.size, np.int64)
        np.add.at(sums, column.astype(np.int64), counts)
        found.append({"name": attribute.name, "values": dict(zip(attribute.values, sums.tolist(), strict=True))})
    return found
