"""The results of ``pggan train DIR --minutes 10``, one row per folder, without any manual settings.

    python benchmarks/ten_minutes.py datasets/drums datasets/digits [--minutes 10] [--count 300] [--out DIR]

For each folder, a model is trained, and `count` samples are generated from the best checkpoint; `--out` keeps both.
Sounds are compared with the recordings by the Frechet distance of log-mel statistics, with each clip at equal level:
once at the rate and length of the run, and once at 16 kHz over one second (shorter clips are padded). Images are
compared by the sliced Wasserstein distance. A ratio is the distance divided by the same distance between two halves of
the data.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile
import torch
from numpy.typing import NDArray

from pggan_framework.audio.reading import SUFFIXES, UnreadableSound, read_header, read_wave
from pggan_framework.data.walk import walk
from pggan_framework.metrics.base import Clips
from pggan_framework.metrics.frechet import frechet_distance, standardized
from pggan_framework.metrics.mel_features import levelled, statistics

HERE = Path(__file__).resolve().parent
if str(HERE.parent) not in sys.path:
    sys.path.insert(0, str(HERE.parent))

from benchmarks.machine import machine_facts  # noqa: E402  -- it is found only now

LEAST = 0.1
"""dB that a statistic's spread counts as at least."""


def main() -> None:
    """Run all folders and print their rows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--out", type=Path, help="new folder for runs and samples (default: a temporary folder)")
    given = parser.parse_args()
    print(machine_facts(torch.get_num_threads()))
    with tempfile.TemporaryDirectory() as temporary:
        for folder in given.folders:
            print(row(folder, given.minutes, given.count, (given.out or Path(temporary)) / folder.name), flush=True)


def row(folder: Path, minutes: float, count: int, place: Path) -> str:
    """Train on `folder` with results in `place`, and describe the result."""
    began = time.monotonic()
    command("train", folder.resolve(), "--minutes", minutes, "--result_dir", place / "results")
    took = time.monotonic() - began
    (run,) = (place / "results").iterdir()
    head = f"{folder.name}: {minutes:g} min took {took / 60:.1f} min"
    if not (run / "sound").is_dir():
        return f"{head}\n{command('evaluate', run, '--count', 1000, '--metrics', 'swd')}"
    command("generate", run, "--count", count, "--out", place / "samples", "--only", "files")
    files = sorted((place / "samples").glob("*.wav"))
    fakes = [soundfile.read(file, dtype="float32")[0] for file in files]
    rate = int(soundfile.info(files[0]).samplerate)
    own = compared(folder, np.stack([mono(wave) for wave in fakes]), rate)
    wide = compared(folder, np.stack([at_16k(mono(wave), rate) for wave in fakes]), 16000)
    return f"{head}, {len(fakes[0]) / rate:.2f} s at {rate} Hz\n  own rate and length: {own}\n  16 kHz, 1 s: {wide}"


def compared(folder: Path, fakes: NDArray[np.float32], rate: int) -> str:
    """Return the distance, its baseline, and what a listener notices first, for fakes and recordings."""
    reals = recordings(folder, rate, fakes.shape[1], 2 * len(fakes))
    distance, baseline = distances(reals, fakes, rate)
    parts = [f"Frechet {distance:.1f} / {baseline:.1f} = {distance / baseline:.2f} times"]
    for name, measure in (("level", level), ("last 10 ms", ending), ("first 2 ms", beginning)):
        parts.append(f"{name} {np.median(measure(fakes, rate)):.1f} dB ({np.median(measure(reals, rate)):.1f})")
    parts.append(f"clipped {np.mean(np.abs(fakes) > 0.99):.4%}")
    return "; ".join(parts)


def distances(
    reals: NDArray[np.float32], fakes: NDArray[np.float32], rate: int, least: float = LEAST
) -> tuple[float, float]:
    """Return the distance of the fakes to the first half of the reals, and that of the second half of the reals.

    A statistic's spread counts as at least `least` dB.
    """
    half = len(reals) // 2
    real, fake = (statistics(levelled(Clips(waves, rate))) for waves in (reals, fakes))
    near = [standardized(real, each, least) for each in (fake, real[half:])]
    scaled = near[0][0][:half]
    distance, baseline = (frechet_distance(scaled, each[1]) for each in near)
    return distance, baseline


def recordings(folder: Path, rate: int, length: int, most: int) -> NDArray[np.float32]:
    """Return the beginnings of the recordings, padded with silence, in random order: [N, length]."""
    files, _ = walk(folder).paths(SUFFIXES)
    np.random.default_rng(0).shuffle(files)
    found = []
    for file in files:
        try:
            header = read_header(file)
            found.append(read_wave(header, rate, 0, length))
        except UnreadableSound:
            continue
        if len(found) == most:
            break
    return np.stack(found)


def at_16k(wave: NDArray[np.float32], rate: int) -> NDArray[np.float32]:
    """Return one second at 16 kHz, padded with silence: [16000]."""
    import soxr

    resampled = wave if rate == 16000 else soxr.resample(wave, rate, 16000)
    padded: NDArray[np.float32] = np.pad(resampled[:16000], (0, max(16000 - len(resampled), 0))).astype(np.float32)
    return padded


def mono(wave: NDArray[np.float32]) -> NDArray[np.float32]:
    """Convert [T] or [T, channels] to [T]."""
    mixed: NDArray[np.float32] = wave if wave.ndim == 1 else wave.mean(axis=1)
    return mixed


def level(waves: NDArray[np.float32], rate: int) -> NDArray[np.float64]:
    """Return the root mean square in dB of full scale, [N]."""
    decibels: NDArray[np.float64] = 20 * np.log10(np.sqrt(np.mean(waves.astype(np.float64) ** 2, axis=1)) + 1e-6)
    return decibels


def ending(waves: NDArray[np.float32], rate: int) -> NDArray[np.float64]:
    """Return the level of the last 10 ms relative to the whole clip in dB, [N]."""
    return level(waves[:, -rate // 100 :], rate) - level(waves, rate)


def beginning(waves: NDArray[np.float32], rate: int) -> NDArray[np.float64]:
    """Return the level of the first 2 ms relative to the whole clip in dB, [N]."""
    return level(waves[:, : rate // 500], rate) - level(waves, rate)


def command(*words: object) -> str:
    """Run ``pggan`` with these words and return its output."""
    done = subprocess.run(
        [sys.executable, "-m", "pggan_framework", *map(str, words)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"pggan {' '.join(map(str, words))}\n{done.stderr}")
    return done.stdout


if __name__ == "__main__":
    main()
