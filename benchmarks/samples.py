"""How the samples of a trained run compare with its training data.

    python benchmarks/samples.py results/000-tones

The script prints values for fakes and for a second set of as many reals (the baseline): pitch percentiles in Hz, the
fraction of sounds that have a pitch, the level in dB, and two distances to the reals: of the mean image, and of the
standard deviation around it (root mean square over pixels, in per cent of the range [-1, 1]).
"""

from __future__ import annotations

import argparse
import platform
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from pggan_framework.audio.base import Codec
from pggan_framework.audio.measure import estimate_pitch
from pggan_framework.config import resolve_overrides
from pggan_framework.data.loader import to_network_range
from pggan_framework.data.sampling import indices
from pggan_framework.launch.build import build_dataset
from pggan_framework.models.pretrained import load_generator
from pggan_framework.runs.folders import find_run


def main() -> None:
    """Measure one run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="folder of the run")
    parser.add_argument("--count", type=int, default=500, help="number of samples per side (default: %(default)s)")
    parser.add_argument(
        "--low_hz", type=float, default=50, help="lowest pitch in Hz to search for (default: %(default)s)"
    )
    parser.add_argument(
        "--high_hz", type=float, default=2000, help="highest pitch in Hz to search for (default: %(default)s)"
    )
    arguments = parser.parse_args()
    folder, snapshot = find_run(str(arguments.run), Path(), None)
    pretrained = load_generator(snapshot)
    dataset = build_dataset(resolve_overrides(folder / "config.yaml", {"save_dataset": ""}))
    chosen = indices(0, 0, min(2 * arguments.count, len(dataset)), len(dataset)).tolist()
    depth = pretrained.generator.depth
    batch = torch.from_numpy(dataset.images(chosen, depth))
    reals = to_network_range(batch, dataset.range_in, dataset.range_out).numpy()
    half = len(reals) // 2
    fakes = pretrained.sample(half)
    machine = f"{platform.machine()}, torch {torch.__version__}"
    print(f"{folder.name}: {pretrained.nimg / 1000:g} kimg, {half} samples a side, on {machine}")
    for name, images in (("reals", reals[:half]), ("other reals", reals[half:]), ("fakes", fakes)):
        report(name, images, reals[:half], pretrained.codec, arguments.low_hz, arguments.high_hz)


def report(
    name: str, images: NDArray[np.float32], reals: NDArray[np.float32], codec: Codec | None, low: float, high: float
) -> None:
    """Print one line of values for `images` [N, C, h, w] compared with `reals`."""
    mean = 50 * float(np.sqrt(np.mean((images.mean(0) - reals.mean(0)) ** 2)))
    spread = 50 * float(np.sqrt(np.mean((images.std(0) - reals.std(0)) ** 2)))
    line = f"{name:>12}: mean image {mean:5.2f} %, spread {spread:5.2f} %"
    if codec is not None and images.shape[1:] == codec.shape:
        waves = codec.decode(images)
        pitch = np.array([estimate_pitch(wave, codec.sample_rate, low, high) for wave in waves])
        heard = pitch[np.isfinite(pitch)]
        level = 20 * np.log10(np.sqrt(np.mean(waves.reshape(len(waves), -1) ** 2, axis=1)) + 1e-9)
        marks = " ".join(f"{value:6.0f}" for value in np.percentile(heard, [5, 25, 50, 75, 95])) if len(heard) else "-"
        line += f", pitch 5/25/50/75/95 %: {marks} Hz, {len(heard) / len(pitch):.0%} pitched"
        line += f", level {np.median(level):.1f} dB ({np.percentile(level, 5):.1f} to {np.percentile(level, 95):.1f})"
    print(line)


if __name__ == "__main__":
    main()
