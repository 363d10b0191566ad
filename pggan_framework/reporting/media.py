"""Embed the images and sounds of a run in its page, within a size limit."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

from pggan_framework.postprocessors.soundfiles import file_rate, writable_formats
from pggan_framework.reporting.run import Run, Step
from pggan_framework.storage.names import libsndfile_path

_TYPES = {
    ".png": "image/png", ".webp": "image/webp", ".wav": "audio/wav", ".flac": "audio/flac", ".ogg": "audio/ogg",
    ".opus": "audio/ogg", ".mp3": "audio/mpeg",
}  # fmt: skip
_Packed = tuple[str, bytes]
"""File extension and content of a file."""


def embedded(run: Run, most_steps: int, most_sounds: int, budget: float) -> dict[str, Any]:
    """Return the data of the page's script: grid, tiles and sounds for each time and for the reals.

    Files are embedded unchanged if they fit. Otherwise images are embedded as WebP and sounds as MP3, with fewer times
    and, if a single time is too large, fewer sounds.

    Args:
        run: run to embed.
        most_steps: largest number of times, evenly spaced over the run and including the last one.
        most_sounds: largest number of sounds per time.
        budget: size limit in bytes of base64.
    """

    def limited(step: Step, most: int) -> Step:
        return replace(step, sounds={n: path for n, path in step.sounds.items() if n < most})

    steps = [limited(step, most_sounds) for step in spread(run.steps, most_steps)]
    real = [] if run.real is None else [limited(run.real, most_sounds)]
    pack: Callable[[Path], _Packed] = plain
    if sum(path.stat().st_size for step in [*steps, *real] for path in _files(step)) * 4 / 3 > budget:
        pack = _Cache(smaller)

        def size(step: Step) -> float:
            return sum(len(pack(path)[1]) for path in _files(step)) * 4 / 3

        # The first samples are the noisiest and the last the most detailed: the larger size of both is used for all.
        largest = max(map(size, (steps[0], steps[-1])), default=1) if steps else 1
        rest = budget - sum(map(size, real))
        if largest > rest:
            fewer = int(most_sounds * max(budget, 0) / (largest + sum(map(size, real))))
            steps, real = ([limited(step, fewer) for step in part] for part in (steps, real))
        steps = spread(steps, max(int(rest // max(largest, 1)), 1))
    return {"steps": [_as_json(step, pack) for step in steps], "real": _as_json(real[0], pack) if real else None}


def spread(steps: Sequence[Step], most: int) -> list[Step]:
    """Select at most `most` steps, evenly spaced and including the last."""
    if len(steps) <= most:
        return list(steps)
    if most < 2:
        return [steps[-1]] * most
    return [steps[round(number * (len(steps) - 1) / (most - 1))] for number in range(most)]


def address(packed: _Packed) -> str:
    """Return the contents of a file as a ``data:`` URL."""
    ending, content = packed
    return f"data:{_TYPES[ending]};base64,{base64.b64encode(content).decode('ascii')}"


def plain(path: Path) -> _Packed:
    """Return a file unchanged."""
    return path.suffix.lower(), path.read_bytes()


def smaller(path: Path) -> _Packed:
    """Convert a lossless file to a lossy format if one is available."""
    ending, content = plain(path)
    if ending == ".png":
        from PIL import Image, features

        if not features.check("webp"):
            return ending, content
        buffer = BytesIO()
        with Image.open(path, formats=["PNG"]) as image:
            image.convert("RGB").save(buffer, "WEBP", quality=75, method=2)
        packed = ".webp", buffer.getvalue()
    elif ending in (".wav", ".flac") and "mp3" in writable_formats():
        import soundfile
        import soxr

        wave, rate = soundfile.read(libsndfile_path(path), dtype="float32")
        buffer = BytesIO()
        if (own := file_rate(rate, "mp3")) != rate:
            wave, rate = soxr.resample(wave, rate, own), own
        soundfile.write(buffer, wave, rate, format="MP3", subtype="MPEG_LAYER_III")
        packed = ".mp3", buffer.getvalue()
    else:
        return ending, content
    return packed if len(packed[1]) < len(content) else (ending, content)


class _Cache(dict[Path, _Packed]):
    """Embeds each file once."""

    def __init__(self, pack: Callable[[Path], _Packed]) -> None:
        self._pack = pack

    def __call__(self, path: Path) -> _Packed:
        return self[path]

    def __missing__(self, path: Path) -> _Packed:
        self[path] = self._pack(path)
        return self[path]


def _files(step: Step) -> list[Path]:
    return [*([step.sheet] if step.sheet else []), *step.sounds.values()]


def _as_json(step: Step, pack: Callable[[Path], _Packed]) -> dict[str, Any]:
    return {
        "kimg": step.kimg,
        "sheet": None if step.sheet is None else address(pack(step.sheet)),
        "tiles": step.tiles,
        "sounds": {number: address(pack(path)) for number, path in step.sounds.items()},
    }
