"""Prepare images from any source as one file, with a summary, a sample grid and a config.

``OUT.json`` describes its contents, ``OUT.png`` shows a sample grid, ``OUT.yaml`` trains on it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from pggan_framework.data.datasets.h5 import OldH5Dataset
from pggan_framework.data.images.plan import Options, Plan, make_plan
from pggan_framework.data.prepare.images import Result, partial_folder, prepare_pictures
from pggan_framework.data.prepare.parallel import processors
from pggan_framework.data.prepare.shards import prepare_shards, shard_paths
from pggan_framework.data.sources.base import LabelChoice
from pggan_framework.data.sources.opening import open_source
from pggan_framework.errors import UserError
from pggan_framework.postprocessors.picture import grid_shape, picture_tiles, save_png, sheet
from pggan_framework.storage.atomic import atomic_path
from pggan_framework.storage.names import write_text

ENDINGS = (".h5", ".hdf5")
SHOWN = 64
"""Number of images on the sample grid."""
TILE = 128
"""Largest length of the longer side in pixels."""


def prepare(
    source: Path,
    out: Path,
    options: Options | None = None,
    labels: LabelChoice | None = None,
    jobs: int | None = None,
    overwrite: bool = False,
    shards: int | None = None,
) -> dict[str, Any]:
    """Prepare all images of a source; if interrupted, the same call resumes.

    Args:
        source: a folder or file of any kind that `open_source` supports.
        out: the file to create, .h5; its companion files have the same name with different extensions.
        options: settings of the preparation.
        labels: the labels to store with the images (default: no labels).
        jobs: number of processes (default: number of processors).
        overwrite: replace existing files, after everything is done.
        shards: number of files to split the images into, OUT-00000-of-00008.h5 and so on; `out` is then their index.

    Returns:
        The contents of ``OUT.json``.

    Raises:
        UserError: if the source, an option or a label is invalid, or a file exists already or cannot be written.
    """
    out = Path(out)
    jobs = processors() if jobs is None else jobs
    if jobs < 1:
        raise UserError(f"--jobs is {jobs}; it must be at least 1")
    if out.suffix.lower() not in ENDINGS:
        raise UserError(f"{out} is not a name of a prepared file; allowed: one that ends in {' or '.join(ENDINGS)}")
    if shards is not None and overwrite:
        raise UserError(
            "--overwrite is given with --shards, which are renamed one by one, so that the old ones would be lost"
            " before the new ones are complete; remove them first"
        )
    if Path(source).is_dir() and Path(source).resolve() in out.resolve().parents:
        raise UserError(f"{out} is in {source}, where its sample grid would become another image; give another folder")
    summary, picture, config = beside(out)
    # Companion files of an unfinished file belong to it, since they are renamed one after the other.
    taken = [out] if partial_folder(out).exists() else [out, summary, picture, config, *shard_paths(out, shards or 0)]
    for path in taken:
        if path.exists() and not overwrite:
            raise UserError(f"{path} exists already; give a new file, or --overwrite")
    pictures = open_source(Path(source), labels)
    plan = make_plan(pictures, str(source), options or Options(), jobs)
    report: dict[str, Any] = {}

    def finish(file: Path, result: Result) -> None:
        report.update(_report(plan, out, result))
        if shards is not None:
            report["shards"] = [path.name for path in shard_paths(out, shards)]
        dataset = OldH5Dataset(file)
        save_png(contact_sheet(dataset), picture)
        _write(config, training_config(dataset, out))
        _write(summary, json.dumps(report, indent=2, ensure_ascii=False) + "\n")

    try:
        out.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot make the folder {out.parent}: {error.strerror}") from error
    if shards is None:
        prepare_pictures(plan, out, jobs, finish, overwrite)
    else:
        prepare_shards(plan, out, shards, jobs, finish)
    return report


def beside(out: Path) -> tuple[Path, Path, Path]:
    """The companion files of a prepared file: its summary, its sample grid, and a training config."""
    return out.with_suffix(".json"), out.with_suffix(".png"), out.with_suffix(".yaml")


def contact_sheet(dataset: OldH5Dataset) -> Any:
    """An image (`PIL.Image.Image`) of evenly spaced examples, in order."""
    depth = dataset.growth.max_depth
    while depth and max(dataset.growth.shape_at(depth)[1:]) > TILE:
        depth -= 1
    some = np.unique(np.linspace(0, len(dataset) - 1, min(SHOWN, len(dataset))).round().astype(np.int64))
    tiles = picture_tiles(dataset.images(some.tolist(), depth))
    return sheet(tiles, grid_shape(len(tiles), tiles.shape[1], tiles.shape[2]))


def training_config(dataset: OldH5Dataset, out: Path) -> str:
    """A YAML config that trains on a prepared file: wider networks for more images, 10 epochs per depth.

    Args:
        dataset: the file's images.
        out: the file's name, as written in the config.
    """
    count, side = len(dataset), max(dataset.shape[1:])
    widest = next(width for least, width in ((100_000, 512), (20_000, 256), (5_000, 128), (0, 64)) if count >= least)
    # 16 maps at full size; at 1024 pixels that is the PGGAN paper's 8192 (Karras et al. 2018, arXiv 1710.10196).
    base = max(8 * side, 4 * widest)
    stable = round(min(max(10 * count, 20_000), 600_000), -3)
    fade = stable // 2
    depths = dataset.growth.max_depth
    total = ((stable + fade) * depths + 3 * stable) // 1000
    labelled = "" if dataset.label_space is None else ", labelled"
    return f"""\
# {count} images of {"x".join(map(str, dataset.shape[1:]))}{labelled}. Look at them, then train on them:
#   pggan inspect {out}
#   python train.py --config {out.with_suffix(".yaml")}
dataset_class: OldH5Dataset
exp_name: {json.dumps(out.stem)}
minibatch_size: 16
total_kimg: {total}
lr_rampup_kimg: {max(1, min(40, total // 50))}
G_lr_max: {0.001 if widest == 512 else 0.002}
D_lr_max: {0.001 if widest == 512 else 0.002}
OldH5Dataset:
  h5_path: {json.dumps(str(out))}
Generator:
  fmap_base: {base}
  fmap_max: {widest}
  latent_size: {widest}
Discriminator:
  fmap_base: {base}
  fmap_max: {widest}
DepthManager:
  # Images: ten epochs at each depth, and five while it fades in; the last depth gets the rest.
  lod_training_nimg: {stable}
  lod_transition_nimg: {fade}
  tick_kimg_default: {max(1, stable // 8000)}
  tick_kimg_overrides: {{}}
EMA:
  half_life_kimg: {max(1, min(10, stable // 10_000))}
OutputGenerator:
  samples_count: 24
"""


def _report(plan: Plan, out: Path, result: Result) -> dict[str, Any]:
    """The contents of ``OUT.json``."""
    space = result.record["label_space"]
    return {
        "file": str(out),
        "source": plan.where,
        "fingerprint": result.record["fingerprint"],
        "images": len(result.names),
        "shape": list(plan.growth.shape),
        "sizes": [list(plan.growth.shape_at(depth)[1:]) for depth in range(plan.growth.max_depth + 1)],
        "labels": {entry["name"]: entry.get("values", entry.get("span")) for entry in space or []},
        "summary": result.record["summary"],
        "skipped": result.unreadable,
    }


def _write(path: Path, text: str) -> None:
    with atomic_path(path) as temporary:
        write_text(temporary, text)
