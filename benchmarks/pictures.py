"""How fast images are prepared at every size, compared with decoding alone, and whether the result is correct.

    OMP_NUM_THREADS=1 python benchmarks/pictures.py --count 20000 --out /dev/shm

The script creates images of 256 px (500 different images; the others are links to them): cartoon cats as PNG if the
package robohash is installed or unpacked (`--robohash DIR`), otherwise smooth noise that compresses like photographs,
as PNG or JPEG (`--kind`). Then, in turns, it decodes all images with a plain Pillow loop in the same number of
processes, which opens and loads each file and does nothing else, and it prepares them. Neither time includes imports.
The time of the preparation includes everything else: reading headers, loading compiled loops, box means, writing,
waiting for the disk, and the sample grid.

The script prints both times and their ratio for each turn, and for the best turns; the peak memory of all processes
together (sum of their resident sets); and whether every level equals means computed in float64, for some or all images.
If the disk is slower than the processors, the disk determines the time: `--out /dev/shm` writes to memory. The script
needs Linux.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

DIFFERENT = 500
POLL = 0.05


def main() -> None:
    """Create the images, time both ways, and print the values."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=20000, help="number of images (default: %(default)s)")
    parser.add_argument("--size", type=int, default=256, help="side of the images in pixels (default: %(default)s)")
    parser.add_argument(
        "--kind", choices=("cats", "png", "jpg"), help="kind of images (default: cats, or png without robohash)"
    )
    parser.add_argument("--robohash", type=Path, help="folder of the unpacked package robohash")
    parser.add_argument(
        "--jobs", type=int, default=os.cpu_count(), help="number of processes on both sides (default: %(default)s)"
    )
    parser.add_argument("--turns", type=int, default=2, help="number of turns (default: %(default)s)")
    parser.add_argument(
        "--check", type=int, default=500, help="number of compared images; 0 for all (default: %(default)s)"
    )
    parser.add_argument("--folder", type=Path, help="folder for the images (default: a temporary folder)")
    parser.add_argument("--out", type=Path, help="folder for the prepared file (default: next to the images)")
    parser.add_argument("--child", choices=("decode", "prepare"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        print(decode(given) if given.child == "decode" else prepare(given))
        return
    with tempfile.TemporaryDirectory() as temporary, tempfile.TemporaryDirectory(dir=given.out) as out:
        given.folder = given.folder or Path(temporary)
        given.out = Path(out)
        benchmark(given)


def benchmark(given: argparse.Namespace) -> None:
    """Run all turns."""
    print(f"{platform.machine()}, {os.cpu_count()} processors, {given.jobs} jobs, Python {platform.python_version()}")
    size = make_pictures(given)
    print(
        f"{given.count} {given.kind} of {given.size}x{given.size}, {size / given.count / 1000:.0f} kB each;"
        f" a load of {os.getloadavg()[0]:.1f} before"
    )
    times: dict[str, list[float]] = {"decode": [], "prepare": []}
    for turn in range(given.turns):
        for way, taken in times.items():
            (given.out / "out.h5").unlink(missing_ok=True)
            spent = processor_time()
            seconds, memory = run(given, way)
            taken.append(seconds)
            print(
                f"{way:<8}{seconds:8.2f} s, {given.count / seconds:6.0f} pictures/s;"
                f" {processor_time() - spent:.1f} s of processor time, imports included;"
                f" peak memory of all processes {memory:.0f} MB"
            )
        print(
            f"turn {turn + 1}: prepared {times['decode'][-1] / times['prepare'][-1]:.2f} times as fast as decoded alone"
        )
    print(f"best of {given.turns}: {min(times['decode']) / min(times['prepare']):.2f} times as fast")
    print(f"{(given.out / 'out.h5').stat().st_size / 1e9:.2f} GB written to {given.out}; {disk_speed(given.out)}")
    compared, different = check(given)
    print(f"{compared} images at every depth: {different or 'none'} different from means in float64")
    sys.exit(different > 0)


def decode(given: argparse.Namespace) -> float:
    """Return the time of a plain loop in seconds."""
    files = sorted(path for path in (given.folder / "pictures").iterdir() if path.suffix != ".txt")
    begun = time.perf_counter()
    with multiprocessing.Pool(given.jobs) as pool:
        for _ in pool.imap_unordered(_load, files, chunksize=64):
            pass
    return time.perf_counter() - begun


def _load(file: Path) -> None:
    from PIL import Image

    with Image.open(file) as image:
        image.load()


def prepare(given: argparse.Namespace) -> float:
    """Return the time of the preparation in seconds."""
    from pggan_framework.recipes import preparing

    begun = time.perf_counter()
    preparing.prepare(given.folder / "pictures", given.out / "out.h5", jobs=given.jobs, overwrite=True)
    return time.perf_counter() - begun


def run(given: argparse.Namespace, way: str) -> tuple[float, float]:
    """Run one way in a separate process; return its time in seconds and its peak resident memory in MB."""
    words = [f"--{name}={getattr(given, name)}" for name in ("folder", "out", "jobs")]
    command = [sys.executable, __file__, "--child", way, *words]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    peak = 0.0
    while process.poll() is None:
        time.sleep(POLL)
        peak = max(peak, resident(process.pid))
    if process.returncode:
        raise SystemExit(process.returncode)
    assert process.stdout is not None
    return float(process.stdout.read().split()[-1]), peak


def make_pictures(given: argparse.Namespace) -> int:
    """Create the images; return their size in bytes."""
    folder: Path = given.folder / "pictures"
    if not folder.exists():
        if given.kind in (None, "cats"):
            from pggan_framework.errors import UserError
            from pggan_framework.recipes.cats import make_cats

            try:
                make_cats(folder, min(DIFFERENT, given.count), given.size, given.robohash)
                given.kind = "cats"
            except UserError:
                if given.kind:
                    raise
        if given.kind != "cats":
            given.kind = given.kind or "png"
            folder.mkdir(parents=True)
            for number in range(min(DIFFERENT, given.count)):
                make_noise(number, given.size, folder / f"{number:06}.{given.kind}")
    given.kind = given.kind or "pictures"
    files = sorted(path for path in folder.iterdir() if path.suffix != ".txt")
    for number in range(len(files), given.count):
        os.link(files[number % DIFFERENT], folder / f"{number:06}_link{files[0].suffix}")
    return sum(path.stat().st_size for path in folder.iterdir())


def make_noise(number: int, size: int, path: Path) -> None:
    """Create an image of noise at every scale, stronger at coarser scales."""
    from PIL import Image

    random = np.random.default_rng(number)
    picture = np.full((size, size, 3), 128.0)
    side = 4
    while side <= size:
        noise = random.normal(scale=90 * (side / 2) ** -0.8, size=(side, side, 3)).astype(np.float32)
        planes = [
            Image.fromarray(plane).resize((size, size), Image.Resampling.BICUBIC) for plane in noise.transpose(2, 0, 1)
        ]
        picture += np.stack([np.asarray(plane) for plane in planes], -1)
        side *= 2
    Image.fromarray(picture.clip(0, 255).astype(np.uint8)).save(path, quality=90)


def check(given: argparse.Namespace) -> tuple[int, int]:
    """Return the number of compared images, and the number of different images."""
    from PIL import Image

    from pggan_framework.data.datasets.h5 import OldH5Dataset

    dataset = OldH5Dataset(given.out / "out.h5")
    files = sorted(path for path in (given.folder / "pictures").iterdir() if path.suffix != ".txt")
    assert len(files) == len(dataset)
    some = np.unique(np.linspace(0, len(files) - 1, given.check or len(files)).astype(int)).tolist()
    different = 0
    for index in some:
        with Image.open(files[index]) as image:
            pixels = np.asarray(image.convert("RGB")).transpose(2, 0, 1).astype(np.float64)
        equal = True
        for depth in range(dataset.growth.max_depth + 1):
            channels, height, width = dataset.growth.shape_at(depth)
            boxes = pixels.reshape(channels, height, pixels.shape[1] // height, width, pixels.shape[2] // width)
            means = np.rint(boxes.mean(axis=(2, 4))).astype(np.uint8)
            equal &= np.array_equal(means, dataset.images([index], depth)[0])
        different += not equal
    return len(some), different


def disk_speed(folder: Path) -> str:
    """Measure the write speed of the disk."""
    block = os.urandom(1 << 24)
    begun = time.perf_counter()
    with (folder / "speed").open("wb") as file:
        for _ in range(32):
            file.write(block)
        file.flush()
        os.fsync(file.fileno())
    seconds = time.perf_counter() - begun
    (folder / "speed").unlink()
    return f"a plain file is written there at {len(block) * 32 / 1e6 / seconds:.0f} MB/s"


def processor_time() -> float:
    """Return the processor seconds of all child processes that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def resident(pid: int) -> float:
    """Return the resident memory of a process and its children in MB."""
    total = 0.0
    for process in [pid, *children(pid)]:
        try:
            words = Path(f"/proc/{process}/statm").read_text().split()
        except OSError:
            continue
        total += int(words[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20
    return total


def children(pid: int) -> list[int]:
    """Return the processes that `pid` has started."""
    try:
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


if __name__ == "__main__":
    main()
