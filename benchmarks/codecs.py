"""How well recordings survive a round trip through each codec, compared with the goal for each codec.

    OMP_NUM_THREADS=1 python benchmarks/codecs.py --piano chords --note notes --drums loops --speech words

The script prints one line per codec with the mean over the clips of each kind: spectral convergence in dB (n_fft 1024,
hop 256; lower is better) or, for `complex` and `raw`, the signal-to-distortion ratio in dB (higher is better). It then
prints the values of other representations, the levels at an attack and at both ends of a clip, and the time for 64
clips. Kinds without a folder are synthesised, and the output reports this. Clips are resampled to 16 kHz and cut to 4.1
s; shorter clips are padded.
"""

from __future__ import annotations

import argparse
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from pggan_framework.audio import Codec, Wave, build_codec, spectral_convergence
from pggan_framework.audio.reading import SUFFIXES, read_header, read_wave
from pggan_framework.data.walk import walk

RATE, SAMPLES = 16000, 65536
TURNS = 3
KINDS = ("piano", "note", "drums", "speech")
Clips = dict[str, list[Wave]]


@dataclass(frozen=True)
class Row:
    """One row of the table: a codec, its decoding method, and its goal."""

    name: str
    goal: float
    sizes: dict[str, int] = field(default_factory=dict)
    decoding: dict[str, Any] = field(default_factory=dict)
    dtype: str = "float32"

    @property
    def distortion(self) -> bool:
        """Whether the value is a signal-to-distortion ratio."""
        return self.name in ("complex", "raw")

    @property
    def reached(self) -> Callable[[float], bool]:
        """Whether a value meets the goal."""
        return (lambda figure: figure >= self.goal) if self.distortion else (lambda figure: figure <= self.goal)


WIDE = {"hop_length": 256, "frames": 256}
ROWS = [
    Row("abslog", -20, {}, {"griffin_lim_iter": 32, "phase_start": "random"}),
    Row("abslog", -28, {}, {"griffin_lim_iter": 100, "phase_start": "random"}),
    Row("abslog", -20, WIDE, {"griffin_lim_iter": 32, "phase_start": "random"}),
    Row("abslog", -28, WIDE, {"griffin_lim_iter": 100, "phase_start": "random"}),
    Row("abslog", -30, {}, {"griffin_lim_iter": 32, "phase_start": "pghi"}),
    Row("abslog", -30, WIDE, {"griffin_lim_iter": 32, "phase_start": "pghi"}),
    Row("mellog", -17, {}, {"griffin_lim_iter": 32, "phase_start": "random"}),
    Row("mellog", -17, {}, {"griffin_lim_iter": 32, "phase_start": "pghi"}),
    Row("if", -80),
    Row("if", -50, dtype="float16"),
    Row("if", -50, {}, {"refine_iter": 16}, "float16"),
    Row("ifmel", np.inf),
    Row("ifmel", np.inf, {}, {"refine_iter": 16}),
    Row("ifmel", np.inf, {}, {"griffin_lim_iter": 32, "phase_start": "pghi"}),
    Row("complex", 80),
    Row("complex", 65, dtype="float16"),
    Row("reallog", np.inf, {}, {"griffin_lim_iter": 0}),
    Row("reallog", -11, {}, {"griffin_lim_iter": 32}),
    Row("reallog", -11, {}, {"griffin_lim_iter": 100}),
    Row("raw", 80),
]


def read_clips(folder: Path, count: int) -> list[Wave]:
    """Read `count` clips of 4.1 s, spread evenly over the files of a folder."""
    files = walk(folder).paths(SUFFIXES)[0]
    chosen = files[:: max(len(files) // count, 1)][:count]
    return [read_wave(read_header(path), RATE, samples=SAMPLES) for path in chosen]


def synthesise(kind: str, count: int) -> list[Wave]:
    """Synthesise substitutes for recordings: struck harmonic tones, noise bursts, or pulses with moving formants."""
    random = np.random.default_rng(KINDS.index(kind))
    seconds = np.arange(SAMPLES) / RATE
    waves = []
    for _ in range(count):
        wave = np.zeros(SAMPLES)
        if kind == "speech":
            pitch = 120 * np.exp(0.2 * np.sin(2 * np.pi * 0.7 * seconds + random.uniform(0, 6)))
            phase = 2 * np.pi * np.cumsum(pitch) / RATE
            formants = [500 + 250 * np.sin(5 * seconds), 1500 + 600 * np.sin(4 * seconds + random.uniform(0, 6))]
            for k in range(1, 40):
                strength = sum(np.exp(-(((k * pitch - formant) / 150) ** 2)) for formant in formants) + 0.01
                wave += strength * np.sin(k * phase) * (k * pitch < 7500)
            wave = wave * np.clip(np.sin(2 * np.pi * 2 * seconds), 0, 1) + 0.01 * random.normal(size=SAMPLES)
        onsets = {"piano": np.arange(0, 4, 0.25), "note": np.array([0.1]), "drums": np.arange(0, 4, 0.25)}
        for start in onsets.get(kind, np.array([])):
            after = np.maximum(seconds - start, 0)
            struck = 1 - np.exp(-after * 300)
            if kind == "drums":
                wave += random.normal(size=SAMPLES) * struck * np.exp(-after * random.uniform(15, 60))
                wave += np.sin(400 * np.exp(-after * 9) * after) * struck * np.exp(-after * 12)
                continue
            for pitch in 110 * 2 ** (random.integers(0, 36, 3 if kind == "piano" else 1) / 12):
                for k in range(1, 13):
                    stretched = pitch * k * np.sqrt(1 + 4e-4 * k * k)
                    if stretched < 7500:
                        wave += struck * np.exp(-after * (0.8 + 0.5 * k)) / k * np.sin(2 * np.pi * stretched * after)
        # Nothing near Nyquist, as after resampling: most codecs leave that bin out.
        spectrum = np.fft.rfft(wave)
        wave = np.fft.irfft(np.where(np.fft.rfftfreq(SAMPLES, 1 / RATE) < 7600, spectrum, 0), SAMPLES)
        waves.append((0.5 * wave / np.abs(wave).max()).astype(np.float32))
    return waves


def distortion_ratio(wave: Wave, back: Wave) -> float:
    """Return the scale-invariant signal-to-distortion ratio in dB."""
    reference, estimate = wave.astype(np.float64), back.astype(np.float64)
    aim = (estimate @ reference) / (reference @ reference) * reference
    return float(10 * np.log10((aim @ aim) / max(float(np.sum((estimate - aim) ** 2)), 1e-30)))


def measure(row: Row, clips: Clips) -> None:
    """Print one row: the mean of each kind, the mean of all kinds, and the goal."""
    codec = build_codec(row.name, sample_rate=RATE, **row.sizes).fit(w for waves in clips.values() for w in waves)
    figure = distortion_ratio if row.distortion else spectral_convergence
    means = []
    start = time.perf_counter()
    for waves in clips.values():
        pictures = [codec.encode(wave).astype(row.dtype).astype(np.float32) for wave in waves]
        backs = [codec.decode(picture, **row.decoding) for picture in pictures]
        means.append(float(np.mean([figure(wave, back) for wave, back in zip(waves, backs, strict=True)])))
    seconds = (time.perf_counter() - start) / sum(map(len, clips.values()))
    mean = float(np.mean(means))
    verdict = "reached" if row.reached(mean) else "missed"
    goal = f"goal {row.goal:4.0f}  {verdict}" if np.isfinite(row.goal) else "no goal"
    how = " ".join(
        [f"hop {codec.parameters.get('hop_length', '-')}", row.dtype, *(str(v) for v in row.decoding.values())]
    )
    figures = " ".join(f"{value:7.1f}" for value in [*means, mean])
    print(f"{row.name:<8} {how:<26} {figures}  {goal:<20} {seconds:.2f} s a clip", flush=True)


def deepsound(wave: Wave) -> Wave:
    """Compute the published round trip of deepsound's trainer from its definition.

    The representation is log(1 + |S|) of 512 bins and frames, with the range of each file scaled to 0..255 and
    truncated to integers. Decoding applies Griffin-Lim to the image unchanged; it undoes neither the scaling nor the
    logarithm.
    """
    import librosa

    values = np.log1p(np.abs(librosa.stft(wave, n_fft=1024, hop_length=128)))[:512, :512]
    span = max(float(np.ptp(values)), 1e-12)
    picture = ((values - values.min()) / span * 255).astype(np.uint8)
    magnitudes = np.pad(picture.astype(np.float32) / 255, [(0, 1), (0, 1)])
    back: Wave = librosa.griffinlim(magnitudes, n_iter=100, hop_length=128, random_state=0, length=SAMPLES)
    return back


def edges(clips: Clips) -> None:
    """Print levels at an attack 4 ms after the start of a clip and at both ends, with and without margins.

    Clips start one second into each recording. Attacks are drum recordings from their loudest sample on, preceded by
    silence. A good codec keeps the 2 ms before the attack at -20 dB or less.
    """
    import soxr

    for rate, n_fft, hop, frames in ((8000, 128, 64, 64), (8000, 128, 32, 128), (16000, 512, 128, 128)):
        for margin in (0, None):
            codec = build_codec("abslog", sample_rate=rate, n_fft=n_fft, hop_length=hop, frames=frames, margin=margin)
            long, short = round(0.004 * rate), round(0.002 * rate)
            waves = {kind: [soxr.resample(wave, RATE, rate) for wave in known] for kind, known in clips.items()}
            whole = np.stack([wave[rate : rate + codec.samples] for known in waves.values() for wave in known])
            starts = [int(np.abs(wave[: -codec.samples]).argmax()) for wave in waves["drums"]]
            struck = [
                np.pad(wave[at : at + codec.samples - long], (long, 0))
                for wave, at in zip(waves["drums"], starts, strict=True)
            ]
            codec.fit([*whole, *struck])
            heard = codec.decode(np.stack([codec.encode(wave) for wave in [*whole, *struck]]))
            ends, hits = heard[: len(whole)], heard[len(whole) :]
            before = _level(hits[:, long - short : long]) - _level(hits[:, long : 2 * long])
            first = _level(ends[:, :short]) - _level(whole[:, :short])
            last = _level(ends[:, -long:]) - _level(whole[:, -long:])
            print(
                f"abslog {rate} Hz n_fft {n_fft} hop {hop} margin {codec.parameters.get('margin', 0)}:"
                f" 2 ms before an attack {np.median(before):.1f} dB,"
                f" first 2 ms {np.median(np.abs(first)):.1f} dB off, last 4 ms {np.median(np.abs(last)):.1f} dB off",
                flush=True,
            )


def _level(waves: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the root mean square of each wave [N, T] in dB of full scale, [N]."""
    levels: NDArray[np.float64] = 10 * np.log10(np.mean(np.square(waves, dtype=np.float64), axis=1) + 1e-12)
    return levels


def compare(clips: Clips, count: int) -> None:
    """Compare the time of `abslog` on batches with the time of librosa.griffinlim on each clip.

    Both use 32 steps, momentum 0.99 and hop 128. They alternate, so that other load on the machine affects both; the
    result is the median of the ratios of all turns.
    """
    import librosa

    waves = [wave for kind in clips.values() for wave in kind]
    waves = [waves[number % len(waves)] for number in range(count)]
    codec: Codec = build_codec("abslog", sample_rate=RATE).fit(waves)
    pictures = np.stack([codec.encode(wave) for wave in waves])
    spectra = [np.abs(librosa.stft(wave, n_fft=1024, hop_length=128)) for wave in waves]

    def theirs() -> list[Wave]:
        return [
            librosa.griffinlim(m, n_iter=32, momentum=0.99, hop_length=128, random_state=0, length=SAMPLES)
            for m in spectra
        ]

    contestants: dict[str, Callable[[], list[Wave] | Wave]] = {
        "ours": lambda: codec.decode(pictures, griffin_lim_iter=32, phase_start="random"),
        "ours, pghi": lambda: codec.decode(pictures, griffin_lim_iter=32, phase_start="pghi"),
        "librosa": theirs,
    }
    codec.decode(pictures[:1], griffin_lim_iter=2)
    librosa.griffinlim(spectra[0], n_iter=1, hop_length=128)
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    backs: dict[str, list[Wave] | Wave] = {}
    for _ in range(TURNS):
        for name, decode in contestants.items():
            start = time.perf_counter()
            backs[name] = decode()
            seconds[name].append(time.perf_counter() - start)
    for name, taken in seconds.items():
        loss = np.mean([spectral_convergence(wave, back) for wave, back in zip(waves, backs[name], strict=True)])
        ratio = np.median(np.divide(seconds["librosa"], taken))
        line = f"{np.median(taken):7.1f} s   SC {loss:6.1f} dB   librosa's time over it: {ratio:.1f}"
        print(f"{count} clips, 32 steps, {name:<12} {line}", flush=True)


def show(name: str, rows: list[NDArray[np.float64]]) -> None:
    """Print a row of mean spectral convergences."""
    means = [float(np.mean(row)) for row in rows]
    print(f"{name:<35} " + " ".join(f"{value:7.1f}" for value in [*means, float(np.mean(means))]))


def main() -> None:
    """Measure all codecs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for kind in KINDS:
        parser.add_argument(f"--{kind}", type=Path, help=f"folder of recordings: {kind}")
    parser.add_argument("--count", type=int, default=4, help="number of clips per kind (default: %(default)s)")
    parser.add_argument(
        "--batch", type=int, default=64, help="number of clips in the timed batch; 0 skips it (default: %(default)s)"
    )
    arguments = parser.parse_args()
    clips: Clips = {}
    for kind in KINDS:
        folder = getattr(arguments, kind)
        clips[kind] = synthesise(kind, arguments.count) if folder is None else read_clips(folder, arguments.count)
        print(f"{kind}: {len(clips[kind])} clips, {'synthesised' if folder is None else f'from {folder}'}")
    print(f"{platform.machine()}, {torch.get_num_threads()} threads, torch {torch.__version__}")
    print(f"{'dB':<35} " + " ".join(f"{kind:>7}" for kind in [*KINDS, "mean"]))
    for row in ROWS:
        measure(row, clips)
    show(
        "deepsound's round trip, 100 steps",
        [np.array([spectral_convergence(wave, deepsound(wave)) for wave in waves]) for waves in clips.values()],
    )
    edges(clips)
    if arguments.batch:
        compare(clips, arguments.batch)


if __name__ == "__main__":
    main()
