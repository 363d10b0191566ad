"""How much closer projection gets to held-out targets than the nearest of 1,000 random latents.

    pggan prepare cats held_out --count 8 --size 64 --seed 77
    python benchmarks/projection.py results/005-cats held_out/*.png --independent lite0
    pggan prepare notes held_notes --count 8 --seed 77
    python benchmarks/projection.py results/003-notes held_notes/*.wav

The targets must not be in the training data; the script does not check this. Each value is a pair from one run: the
value of the nearest random latent, and the value of the result. The values are the optimized distance (a root mean
square, since squares would exaggerate the factors) and others that are not optimized. For images, these are the
features and inner layers of another extractor. For sounds, they are the spectral convergence between the decoded wave
and the target (dB, lower is better), the pitch error (cents), and whether the found label is the label in the file
name, such as ``_m76_`` or ``pitch76``.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from pggan_framework.audio import estimate_pitch, spectral_convergence
from pggan_framework.generate.samples import drawn
from pggan_framework.metrics.extractors import Extractor, build_extractor
from pggan_framework.metrics.pitch import hertz
from pggan_framework.models.pretrained import Pretrained, load_generator
from pggan_framework.projection.projecting import Projection, project
from pggan_framework.projection.search import Search
from pggan_framework.projection.targets import Target, read_target
from pggan_framework.projection.views import feature_term, picture_terms
from pggan_framework.runs.folders import find_checkpoint

Pair = tuple[float, float]
Picture = NDArray[np.float32]


def main() -> None:
    """Print a line per target, then medians and the worst values."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", help="folder of a run, or a checkpoint")
    parser.add_argument("targets", type=Path, nargs="+", help="held-out images or sounds")
    parser.add_argument("--steps", type=int, default=Search.steps)
    parser.add_argument("--restarts", type=int, default=Search.restarts)
    parser.add_argument("--extractor", help="extractor whose features are optimized with the pixels")
    parser.add_argument("--independent", help="for images: extractor that is not optimized")
    parser.add_argument("--sheet", type=Path, help="PNG file: targets, nearest random images, results")
    given = parser.parse_args()
    model = load_generator(find_checkpoint(given.run, Path("results"))[1])
    print(f"{platform.machine()}, {os.cpu_count()} cores, {torch.get_num_threads()} threads, torch {torch.__version__}")
    search = Search(steps=given.steps, restarts=given.restarts)
    terms = picture_terms(model.codec, 1.0)
    if given.extractor:
        terms.append(feature_term(build_extractor(given.extractor), 1.0, model.codec, places=True))
    print(f"{search}, compared: {', '.join(term.name for term in terms)}")
    other = build_extractor(given.independent) if given.independent else None
    rows: list[dict[str, Pair]] = []
    tiles: list[tuple[Picture, Picture, Picture]] = []
    labels = 0
    for path in given.targets:
        target = read_target(path, model)
        start = time.process_time()
        found = project(model, target.picture, terms, search=search)
        seconds = time.process_time() - start
        rows.append(
            {"distance": (found.random_distance, float(found.distances[0]))} | measured(model, target, found, other)
        )
        tiles.append((target.picture, found.random_picture, found.pictures[0]))
        right, words = label_of(model, path, found)
        labels += right
        figures = ", ".join(f"{name} {old:.4g} -> {new:.4g}" for name, (old, new) in rows[-1].items())
        print(f"{path.name}: {figures}{words}, {seconds:.0f} s of processor time", flush=True)
    if model.label_space is not None:
        print(f"labels found as in the name: {labels} of {len(rows)}")
    summed_up(rows)
    if given.sheet:
        drawn(model, np.stack([row[k] for k in range(3) for row in tiles]), 384, len(tiles)).save(given.sheet)


def measured(model: Pretrained, target: Target, found: Projection, other: Extractor | None) -> dict[str, Pair]:
    """Measure the values that were not optimized, for the nearest random latent and for the result."""
    pair = (found.random_picture, found.pictures[0])
    rms = [float(np.sqrt(np.mean(np.square(picture - target.picture)))) for picture in pair]
    figures = {"pixel rms": (rms[0], rms[1])}
    if other is not None:
        for name, places in (("layers", True), ("features", False)):
            view = feature_term(other, 1.0, model.codec, places).view
            with torch.no_grad():
                wanted, *seen = (view(torch.from_numpy(picture)[None]) for picture in (target.picture, *pair))
            away = [
                sum(float((a - b).square().mean()) for a, b in zip(one, wanted, strict=True)) ** 0.5 for one in seen
            ]
            figures[f"{other.name} {name}"] = (away[0], away[1])
    if target.wave is not None and model.codec is not None:
        waves = [model.decode(picture[None])[0] for picture in pair]
        convergence = [spectral_convergence(target.wave, wave, 512, 128) for wave in waves]
        figures["convergence dB"] = (convergence[0], convergence[1])
        aim = named_pitch(target.path)
        if aim is not None:
            off = [cents(wave, model.codec.sample_rate, aim) for wave in waves]
            figures["cents off"] = (off[0], off[1])
    return figures


def named_pitch(path: Path) -> int | None:
    """Return the MIDI number in a file name."""
    match = re.search(r"(?:_m|pitch)(\d+)", path.name)
    return int(match[1]) if match else None


def cents(wave: NDArray[np.float32], rate: int, midi: int) -> float:
    """Return the difference of a wave's pitch from a MIDI number; nan without a pitch."""
    aim = float(hertz(midi))
    found = estimate_pitch(wave if wave.ndim == 1 else wave.mean(0), rate, aim / 2, min(2 * aim, 0.49 * rate))
    return abs(float(1200 * np.log2(found / aim)))


def label_of(model: Pretrained, path: Path, found: Projection) -> tuple[bool, str]:
    """Return whether the label is that in the name of the file or folder, and the label as text."""
    if model.label_space is None or found.labels is None:
        return False, ""
    values: dict[str, Any] = model.label_space.values(found.labels[0])
    names = {str(named_pitch(path)), path.parent.name}
    return any(str(value) in names for value in values.values()), f", {json.dumps(values)}"


def summed_up(rows: list[dict[str, Pair]]) -> None:
    """Return medians and, for values that can reach zero, the median and worst reduction factors."""
    print(f"{len(rows)} targets, median before -> after; times smaller: median, worst")
    for name in rows[0]:
        pairs = np.array([row[name] for row in rows if name in row])
        line = f"{name}: {np.nanmedian(pairs[:, 0]):.4g} -> {np.nanmedian(pairs[:, 1]):.4g}"
        if name not in ("convergence dB", "cents off"):
            ratios = pairs[:, 0] / pairs[:, 1]
            line += f"; {np.median(ratios):.2f}, {ratios.min():.2f}"
        else:
            line += f"; worst after {np.nanmax(pairs[:, 1]):.4g}, better in {int(np.sum(pairs[:, 1] < pairs[:, 0]))}"
        print(line)
    sys.stdout.flush()


if __name__ == "__main__":
    main()
