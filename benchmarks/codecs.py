"""How much of a recording survives the way through a codec and back.

    python benchmarks/codecs.py datasets/notes

Prints, for `abslog` at n_fft 1024, two hops and two numbers of Griffin-Lim steps, the spectral convergence in dB (mean,
median and worst clip; lower is better), and the same for pictures kept as float16 and as 8 bits; for `raw` the
signal-to-distortion ratio in dB. Clips are brought to 16 kHz and cut to 4.1 s, quieter and shorter ones padded.
"""

from __future__ import annotations

import argparse
import platform
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from pggan_framework.audio import Wave, build_codec, spectral_convergence
from pggan_framework.audio.reading import find_files, read_header, read_wave

RATE, SAMPLES = 16000, 65536
Array = NDArray[np.float32]


def clips(folder: Path, count: int) -> list[Wave]:
    """`count` clips of 4.1 s, spread evenly over the files of a folder."""
    files = find_files(folder)[0]
    chosen = files[:: max(len(files) // count, 1)][:count]
    return [read_wave(read_header(path), RATE, samples=SAMPLES) for path in chosen]


def row(name: str, waves: list[Wave], hop: int, steps: int, keep: Callable[[Array], Array]) -> None:
    """Print one line for `abslog`; `keep` is what storing a picture does to it."""
    codec = build_codec("abslog", sample_rate=RATE, n_fft=1024, hop_length=hop).fit(waves)
    start = time.perf_counter()
    loss = []
    for wave in waves:
        loss.append(spectral_convergence(wave, codec.decode(keep(codec.encode(wave)), griffin_lim_iter=steps)))
    seconds = (time.perf_counter() - start) / len(waves)
    figures = f"{np.mean(loss):7.1f} {np.median(loss):7.1f} {np.max(loss):7.1f}"
    print(f"{name:<8} hop {hop:<4} steps {steps:<4} {figures} dB   {seconds:.2f} s a clip")


def main() -> None:
    """Measure the clips of one folder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="recordings")
    parser.add_argument("--count", type=int, default=12, help="how many clips")
    arguments = parser.parse_args()
    waves = clips(arguments.folder, arguments.count)
    machine = f"{platform.machine()}, {torch.get_num_threads()} threads, torch {torch.__version__}"
    print(f"{len(waves)} clips of {SAMPLES / RATE:.1f} s from {arguments.folder.name} on {machine}")
    print(f"{'':<28}{'mean':>7} {'median':>7} {'worst':>7}")
    for hop in (128, 256):
        for steps in (32, 100):
            row("float32", waves, hop, steps, lambda picture: picture)
    row("float16", waves, 256, 32, lambda picture: picture.astype(np.float16).astype(np.float32))
    row("8 bits", waves, 256, 32, lambda picture: np.rint((picture + 1) * 127.5).astype(np.float32) / 127.5 - 1)
    raw = build_codec("raw", sample_rate=RATE, samples=SAMPLES).fit(waves)
    ratios = []
    for wave in waves:
        error = raw.decode(raw.encode(wave)) - wave
        ratios.append(
            10 * np.log10(np.sum(wave.astype(float) ** 2) / max(float(np.sum(error.astype(float) ** 2)), 1e-30))
        )
    print(f"{'raw':<28}{np.mean(ratios):7.1f} {np.median(ratios):7.1f} {np.min(ratios):7.1f} dB signal to distortion")


if __name__ == "__main__":
    main()
