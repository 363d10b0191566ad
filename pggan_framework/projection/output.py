"""Output of a projection: latents, images, intermediate steps, sounds, statistics."""

from __future__ import annotations

import json
from collections.abc import Mapping
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pggan_framework.generate.latents import StoredLatents, Values
from pggan_framework.generate.player import Player
from pggan_framework.generate.samples import drawn, tile
from pggan_framework.labels.maps import MapSpace
from pggan_framework.postprocessors.soundfiles import write_sound
from pggan_framework.projection.projecting import Projection
from pggan_framework.projection.targets import Target

SIDE = 128
"""Approximate size in pixels of the shorter side of an intermediate step's tile."""


def write_projection(
    player: Player, target: Target, found: Projection, folder: Path, about: Mapping[str, Any], keep: int = 1
) -> StoredLatents:
    """Write ``latents.npz``, ``target.png``, ``projected.png``, ``way.png`` and ``projection.json``.

    For a sound, it also writes ``target.wav`` and ``projected.wav``. If several results are kept, it also writes
    ``all.png`` and, for sounds, ``projected_1.wav`` and so on for the results after the nearest.

    Args:
        player: player of the model.
        target: target of the search.
        found: result of the search.
        folder: output folder.
        about: search settings, for the JSON files.
        keep: number of results to keep, the nearest first.

    Returns:
        The kept latents.
    """
    stored = latents_of(player, found, keep, {**about, "target": str(target.path)})
    stored.save(folder / "latents.npz")
    _draw(player, target.picture, folder / "target.png")
    _draw(player, found.pictures[0], folder / "projected.png")
    steps = [target.picture, found.random_picture, *(picture for _, picture in found.way), found.pictures[0]]
    drawn(player.model, np.stack(steps), SIDE, len(steps)).save(folder / "way.png", format="PNG")
    if keep > 1:
        drawn(player.model, found.pictures[:keep]).save(folder / "all.png", format="PNG")
    if target.wave is not None:
        rate = player.codec.sample_rate
        write_sound(folder / "target.wav", target.wave, rate, "wav")
        for index, picture in enumerate(found.pictures[:keep]):
            name = f"projected_{index}.wav" if index else "projected.wav"
            write_sound(folder / name, player.finished(player.wave(picture, 0)), rate, "wav")
    text = json.dumps(figures(player, target, found, stored, keep) | dict(about), indent=2)
    (folder / "projection.json").write_text(text + "\n", encoding="utf-8")
    return stored


def figures(player: Player, target: Target, found: Projection, stored: StoredLatents, keep: int = 1) -> dict[str, Any]:
    """Return the statistics of a projection as plain values.

    ``pixel_rms`` is the unweighted root mean square difference of the images, with values from -1 to 1.
    """
    pairs = (("best_random", found.random_picture), ("found", found.pictures[0]))
    return {
        "target": str(target.path),
        "made_to_fit": list(target.remarks),
        "random_latents": found.random,
        "best_random": found.random_distance,
        "found": float(found.distances[0]),
        "factor": found.factor if isfinite(found.factor) else None,
        "restarts": found.distances.tolist(),
        "terms": {name: {"best_random": old, "found": new} for name, (old, new) in found.terms.items()},
        "pixel_rms": {name: _rms(picture, target.picture) for name, picture in pairs},
        "labels": [] if isinstance(player.space, MapSpace) else list(stored.labels)[:keep],
        "way_steps": [step for step, _ in found.way],
    }


def latents_of(player: Player, found: Projection, keep: int, about: Mapping[str, Any]) -> StoredLatents:
    """Return the nearest latents of a projection with their labels, for storage."""
    space, labels = player.space, found.labels
    values: list[Values] = []
    maps = None
    if isinstance(space, MapSpace) and labels is not None:
        maps = space.maps(labels[:keep])
    elif space is not None and labels is not None:
        values = [space.values(label) for label in labels[:keep]]
    facts = {**about, "distances": found.distances[:keep].tolist(), "best_random": found.random_distance}
    return StoredLatents(found.latents[:keep], values, maps, facts)


def write_several(player: Player, targets: list[Target], found: list[Projection], folder: Path) -> None:
    """Write ``projected.png``: the targets in one row, and the result of each below it."""
    rows = [target.picture for target in targets] + [each.pictures[0] for each in found]
    drawn(player.model, np.stack(rows), 2 * SIDE, len(targets)).save(folder / "projected.png", format="PNG")


def _draw(player: Player, picture: NDArray[np.float32], path: Path) -> None:
    """Draw an image at its original size, or a spectrogram at the size used in sample grids."""
    image = tile(picture) if player.model.codec is None else drawn(player.model, picture[None])
    image.save(path, format="PNG")


def _rms(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    return float(np.sqrt(np.mean(np.square(one.astype(np.float64) - other))))
