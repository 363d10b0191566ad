"""How fast files are decoded: our readers compared with plain loops with Pillow and soundfile, in turns in one process.

    OMP_NUM_THREADS=1 python benchmarks/decode.py
    OMP_NUM_THREADS=1 python benchmarks/decode.py --pictures datasets/cats --sounds datasets/notes

The script times the way from the file name to the array. Images are read as uint8 [3, H, W] by
`DefaultImageFolderDataset`, like in a training without `preload` and in preparation, and compared with Pillow's
``open`` and ``convert``. Sounds are read as float32 mono by `read_wave`, and compared with ``soundfile.read`` and a
mean. The script checks that both return the same array. Without folders it creates both kinds: smooth images of 256 px
as PNG and JPEG, and 4-second wavs of 44.1 kHz stereo. It prints the machine, files per second of processor time
(medians over the turns), and the ratios.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

HERE = Path(__file__).parent
if str(HERE.parent) not in sys.path:
    sys.path.insert(0, str(HERE.parent))

from benchmarks.machine import processor  # noqa: E402  -- it is found only now
from pggan_framework.audio.reading import SUFFIXES, read_header, read_wave  # noqa: E402
from pggan_framework.data.datasets.images import DefaultImageFolderDataset  # noqa: E402
from pggan_framework.data.walk import walk  # noqa: E402

Read = Callable[[int], NDArray[Any]]
"""File number -> its array."""


def main() -> None:
    """Create or find the files, time all readers in turns, and print the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=Path, help="folder of RGB images of one size")
    parser.add_argument("--sounds", type=Path, help="folder of sounds")
    parser.add_argument("--count", type=int, default=200, help="number of files per turn (default: %(default)s)")
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--json", type=Path, help="JSON file for the values")
    given = parser.parse_args()
    machine = {"machine": processor(), "cores": os.cpu_count(), "load": round(os.getloadavg()[0], 1)}
    machine["date"] = time.strftime("%Y-%m-%d")
    print("; ".join(f"{name} {value}" for name, value in machine.items()))
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for kind, files, ways in sides(given, Path(folder)):
            rows += compare(kind, min(files, given.count), ways, given.turns)
    if given.json:
        given.json.write_text(json.dumps({**machine, "rows": rows}, indent=1) + "\n", encoding="utf-8")


def sides(given: argparse.Namespace, folder: Path) -> list[tuple[str, int, dict[str, Read]]]:
    """Return for each kind of file its name, the number of files, and the readers, with the plain reader first."""
    pictures = {"pictures": given.pictures} if given.pictures else make_pictures(folder, given.count)
    found = [(kind, *picture_ways(path)) for kind, path in pictures.items()]
    return [*found, ("sounds", *sound_ways(given.sounds or make_sounds(folder / "sounds", given.count)))]


def picture_ways(folder: Path) -> tuple[int, dict[str, Read]]:
    """Return the number of images, and their readers."""
    from PIL import Image

    dataset = DefaultImageFolderDataset(folder)
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in (".png", ".jpg", ".jpeg"))

    def plain(number: int) -> NDArray[np.uint8]:
        with Image.open(files[number]) as image:
            return np.ascontiguousarray(np.asarray(image.convert("RGB")).transpose(2, 0, 1))

    return len(files), {"Pillow": plain, "the data set": dataset.image}


def sound_ways(folder: Path) -> tuple[int, dict[str, Read]]:
    """Return the number of sounds, and their readers."""
    import soundfile

    files, _ = walk(folder).paths(SUFFIXES)
    headers = [read_header(file) for file in files]

    def plain(number: int) -> NDArray[np.float32]:
        wave, _ = soundfile.read(files[number], dtype="float32", always_2d=True)
        mixed: NDArray[np.float32] = wave.mean(axis=1)
        return mixed

    return len(files), {
        "soundfile": plain,
        "read_wave": lambda number: read_wave(headers[number], headers[number].sample_rate),
    }


def compare(kind: str, count: int, ways: dict[str, Read], turns: int) -> list[dict[str, Any]]:
    """Time every reader in turns, print the results, and return a row for each."""
    plain, *others = ways
    for name in others:
        if not np.allclose(ways[plain](0), ways[name](0), atol=1e-6):
            raise SystemExit(f"{name} gives another array than {plain}")
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(turns + 1):
        for name, read in ways.items():
            start = time.process_time()
            for number in range(count):
                read(number)
            if turn:  # the first fills the page cache
                seconds[name].append(time.process_time() - start)
    print(f"\n{kind}, {count} files")
    rows = []
    for name, taken in seconds.items():
        ratio = median(a / b for a, b in zip(seconds[plain], taken, strict=True))
        rows.append({"kind": kind, "way": name, "per_second": count / median(taken), "ratio": ratio})
        print(f"  {name:<18}{rows[-1]['per_second']:>9.0f} a second{ratio:>8.2f} times")
    return rows


def make_pictures(folder: Path, count: int, side: int = 256) -> dict[str, Path]:
    """Create smooth random images, which compress like photographs, as PNG and as JPEG."""
    from PIL import Image

    random = np.random.default_rng(0)
    for ending in ("png", "jpg"):
        (folder / ending).mkdir()
    for number in range(count):
        rough = Image.fromarray(random.integers(0, 256, (8, 8, 3), dtype=np.uint8)).resize((side, side))
        noise = random.integers(-6, 7, (side, side, 3))
        picture = Image.fromarray(np.clip(np.asarray(rough).astype(int) + noise, 0, 255).astype(np.uint8))
        for ending in ("png", "jpg"):
            picture.save(folder / ending / f"{number:05d}.{ending}")
    return {ending: folder / ending for ending in ("png", "jpg")}


def make_sounds(folder: Path, count: int) -> Path:
    """Create sounds of noise, 4 seconds each."""
    import soundfile

    folder.mkdir()
    random = np.random.default_rng(0)
    for number in range(count):
        soundfile.write(folder / f"{number:05d}.wav", random.uniform(-0.5, 0.5, (4 * 44100, 2)), 44100, "PCM_16")
    return folder


if __name__ == "__main__":
    main()
