"""Compare the readers of two checkouts on valid files: headers, waves, images, preloading, preparing.

    git worktree add ../before d3348aa
    OMP_NUM_THREADS=1 python benchmarks/readers.py --against ../before
    OMP_NUM_THREADS=1 python benchmarks/readers.py --against ../before --kinds png jpg --files 600 --turns 9

One process per checkout imports its own package. The two processes take turns on the same files, which are in the page
cache, on one core, without a cache of headers. The script prints the processor time for all files in milliseconds
(median over the turns), the ratio of the medians, the median of the ratios within a turn, and the ratio of the fastest
turns.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np

SOUNDS, IMAGES = ("wav", "flac", "mp3", "ogg"), ("png", "jpg")
HERE = Path(__file__).resolve().parents[1]


def main() -> None:
    """Write the files, run the turns, and print the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--against", type=Path, help="root folder of the other checkout")
    parser.add_argument("--kinds", nargs="+", choices=SOUNDS + IMAGES, default=SOUNDS + IMAGES)
    parser.add_argument("--files", type=int, default=60, help="number of files per kind (default: %(default)s)")
    parser.add_argument("--turns", type=int, default=9)
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        serve(Path(given.child[0]), given.child[1])
    elif given.against is None:
        parser.error("--against is missing: the root of another checkout")
    else:
        print(f"load {os.getloadavg()[0]:.1f}, {given.files} files of each kind, {given.turns} turns")
        for kind in given.kinds:
            with tempfile.TemporaryDirectory() as folder:
                compare(Path(folder), kind, given)


def compare(folder: Path, kind: str, given: argparse.Namespace) -> None:
    """Time all ways to read one kind of file in both checkouts."""
    write(folder / "files", kind, given.files)
    roots = {"before": given.against.resolve(), "now": HERE}
    children = {}
    for name, root in roots.items():
        (folder / name).mkdir()
        # The checkout's package goes before that of this script's folder.
        child = [sys.executable, str(Path(__file__).resolve()), "--child", str(folder / name), kind]
        surroundings = os.environ | {"PYTHONPATH": str(root), "PGGAN_CACHE": ""}
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        children[name] = subprocess.Popen(child, env=surroundings, **pipes)  # type: ignore[call-overload]

    def ask(name: str, way: str) -> float:
        children[name].stdin.write(f"{way}\n")
        children[name].stdin.flush()
        return 1e3 * float(children[name].stdout.readline())

    for way in SOUND_WAYS if kind in SOUNDS else IMAGE_WAYS:
        spent: dict[str, list[float]] = {name: [] for name in children}
        for turn in range(given.turns + 1):
            for name in sorted(children, reverse=bool(turn % 2)):
                found = ask(name, way)
                if turn:  # the first fills the page cache
                    spent[name].append(found)
        before, now = spent["before"], spent["now"]
        ratio = median(after / earlier for earlier, after in zip(before, now, strict=True))
        print(
            f"{kind:<5}{way:<14}{median(before):8.1f} ms before {median(now):8.1f} now   medians"
            f" {median(now) / median(before):.2f}   in a turn {ratio:.2f}   fastest {min(now) / min(before):.2f}",
            flush=True,
        )
    for child in children.values():
        child.communicate()


def write(folder: Path, kind: str, count: int) -> None:
    """Write decaying tones in noise, 1 to 3 s of 44.1 kHz stereo; or smooth images with sides of 128 pixels."""
    import soundfile
    from PIL import Image

    folder.mkdir()
    random = np.random.default_rng(1)
    for number in range(count):
        path = folder / f"{number:05d}.{kind}"
        if kind in SOUNDS:
            t = np.arange(44100 * (1 + number % 3)) / 44100
            wave = 0.4 * np.sin(2 * np.pi * (110 + 20 * (number % 100)) * t) * np.exp(-t)
            wave += 0.02 * random.standard_normal(len(t))
            soundfile.write(path, np.stack([wave, 0.8 * wave], 1).astype(np.float32), 44100)
        else:
            rough = Image.fromarray(random.integers(0, 256, (16, 16, 3), np.uint8))
            rough.resize((128, 128), Image.Resampling.BICUBIC).save(path, quality=90)  # PNG has none


def serve(folder: Path, kind: str) -> None:
    """In a child process: run the readers named on standard input, and print the seconds that each took."""
    if sys.platform == "linux":
        # Cores differ in what else they do: both children use the same one.
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    files = folder.parent / "files"
    ways = sound_ways(files) if kind in SOUNDS else image_ways(files, folder / "out.h5")
    for line in sys.stdin:
        said = io.StringIO()
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            begun = time.process_time()
            ways[line.strip()]()
            spent = time.process_time() - begun
        print(spent, flush=True)


SOUND_WAYS = ("headers", "resampled", "same rate", "whole files", "dataset")
IMAGE_WAYS = ("resized", "unchanged", "preload", "prepare")


def sound_ways(files: Path) -> dict[str, Callable[[], object]]:
    """Return the readers of recordings by name."""
    from pggan_framework.audio.reading import read_header, read_wave
    from pggan_framework.data.datasets.sound import SoundImageDataset

    paths = sorted(files.iterdir())
    known = [read_header(path) for path in paths]
    whole = partial(SoundImageDataset, prepared_dir=None, jobs=1, too_short="pad", n_fft=256, frames=64, hop_length=64)
    return {
        "headers": lambda: [read_header(path) for path in paths],
        "resampled": lambda: [read_wave(header, 16000, 0, 15000) for header in known],
        "same rate": lambda: [read_wave(header, 44100, 0, 40000) for header in known],
        "whole files": lambda: [read_wave(read_header(path), 44100) for path in paths],
        "dataset": lambda: whole(files),
    }


def image_ways(files: Path, out: Path) -> dict[str, Callable[[], object]]:
    """Return the readers of images by name."""
    from pggan_framework.cli.main import main as command
    from pggan_framework.data.datasets.images import DefaultImageFolderDataset

    plain, resized = DefaultImageFolderDataset(files), DefaultImageFolderDataset(files, size=64, resize="crop")

    def prepare() -> None:
        for path in out.parent.iterdir():
            path.unlink()
        with contextlib.suppress(SystemExit):
            command(["prepare", str(files), str(out), "--jobs", "1"])
        assert out.exists()

    return {
        "resized": lambda: [resized.image(index) for index in range(len(resized))],
        "unchanged": lambda: [plain.image(index) for index in range(len(plain))],
        "preload": lambda: DefaultImageFolderDataset(files, preload=True),
        "prepare": prepare,
    }


if __name__ == "__main__":
    main()
