"""How fast hours of recordings are prepared, how much memory this needs, and what an interruption costs.

    OMP_NUM_THREADS=1 python benchmarks/prepare.py --hours 10

The script creates one-minute files, 44.1 kHz stereo flac (20 different files; the others are links to them), and
prepares them twice, as a training would: once without interruption, and once killed (SIGKILL) in the middle of reading
and in the middle of encoding. It prints the speed relative to real time; the peak memory of all processes together (sum
of their resident sets) in the first tenth of reading and of encoding, and in the complete run; how much work survived
each kill; and whether both results are equal byte for byte. It needs Linux and about 0.9 GB of disk per hour of sound,
twice.
"""

from __future__ import annotations

import argparse
import filecmp
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

RATE, SECONDS, DIFFERENT = 44100, 60, 20
POLL = 0.1


def main() -> None:
    """Create the recordings, prepare them, and print the values."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hours", type=float, default=10, help="hours of sound (default: %(default)s)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="number of processes (default: %(default)s)")
    parser.add_argument("--folder", type=Path, help="working folder (default: a temporary folder)")
    parser.add_argument(
        "--channels",
        default="mix",
        choices=("mix", "both"),
        help="channels of the stereo files to use (default: %(default)s)",
    )
    parser.add_argument("--img_mode", default="abslog", help="codec (default: %(default)s)")
    parser.add_argument("--n_fft", type=int, default=1024, help="window length in samples (default: %(default)s)")
    parser.add_argument(
        "--hop_length", type=int, default=256, help="distance of columns in samples (default: %(default)s)"
    )
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        child(given)
        return
    with tempfile.TemporaryDirectory() as temporary:
        given.folder = given.folder or Path(temporary)
        benchmark(given)


def benchmark(given: argparse.Namespace) -> None:
    """Run all preparations in `given.folder`."""
    count = max(round(given.hours * 3600 / SECONDS), DIFFERENT)
    print(f"{platform.machine()}, {os.cpu_count()} processors, {given.jobs} jobs, Python {platform.python_version()}")
    begun = time.perf_counter()
    size = make_recordings(given.folder / "recordings", count)
    hours = count * SECONDS / 3600
    print(
        f"{count} files, {hours:.1f} h of {RATE} Hz stereo flac, {size / 1e9:.2f} GB"
        f" (made in {time.perf_counter() - begun:.0f} s); {given.img_mode}, channels {given.channels},"
        f" n_fft {given.n_fft}, hop_length {given.hop_length}"
    )
    prepared = given.folder / "prepared"
    whole = Watch(given, count)
    whole.run()
    print(f"reading   {whole.speed('reading', hours):6.0f} times real time; {whole.memory('reading')}")
    print(f"encoding  {whole.speed('encoding', hours):6.0f} times real time; {whole.memory('encoding')}")
    total = whole.spent["reading"] + whole.spent["encoding"]
    written = sum(file.stat().st_size for file in prepared.rglob("*.h5"))
    print(f"together  {hours * 3600 / total:6.0f} times real time, {total:.0f} s; {written / 1e9:.2f} GB written")
    first = prepared.rename(given.folder / "whole")

    for phase in ("reading", "encoding"):
        killed = Watch(given, count, kill=(phase, 0.5))
        killed.run()
        time.sleep(1)  # its workers notice
        print(f"killed at {killed.share:.1%} of {phase}; the next start continues at {killed.progress()[1]:.1%}")
    again = Watch(given, count)
    again.run()
    print(f"which took another {again.spent['encoding']:.0f} s of encoding")
    (one,), (other,) = first.rglob("*.h5"), prepared.rglob("*.h5")
    same = filecmp.cmp(one, other, shallow=False)
    print(f"finished after both kills: {'equal byte for byte to' if same else 'DIFFERENT from'} the run in one go")
    shutil.rmtree(first)
    shutil.rmtree(prepared)
    sys.exit(not same)


@dataclass
class Watch:
    """A preparation in a separate process, which is observed.

    Args:
        given: command line.
        count: number of recordings.
        kill: phase, and fraction of it, at which the process is killed.
    """

    given: argparse.Namespace
    count: int
    kill: tuple[str, float] | None = None
    share: float = 0.0
    spent: dict[str, float] = field(default_factory=lambda: {"reading": 0.0, "encoding": 0.0})
    peaks: dict[str, list[tuple[float, float]]] = field(default_factory=lambda: {"reading": [], "encoding": []})

    def run(self) -> None:
        """Start the process and observe it until it ends."""
        process = subprocess.Popen([sys.executable, __file__, "--child", *self._words()], start_new_session=True)
        last = time.perf_counter()
        while process.poll() is None:
            time.sleep(POLL)
            now = time.perf_counter()
            phase, share = self.progress()
            self.spent[phase] += now - last
            last = now
            self.peaks[phase].append((share, resident(process.pid)))
            if self.kill and self.kill[0] == phase and share >= self.kill[1]:
                process.send_signal(signal.SIGKILL)
                process.wait()
                self.share = share
                return
        if process.returncode:
            raise SystemExit(process.returncode)

    def progress(self) -> tuple[str, float]:
        """Return the current phase according to the files on disk, and the completed fraction of it."""
        prepared = self.given.folder / "prepared"
        read = sum(max(lines(path) - 1, 0) for path in prepared.rglob("reads.jsonl"))
        if read < self.count:
            return "reading", read / self.count
        logs = list(prepared.rglob("blocks.jsonl"))
        if not logs:
            return "encoding", float(any(prepared.rglob("pictures.h5")))
        with logs[0].open() as file:
            blocks = json.loads(file.readline() or "{}").get("blocks", 1)
        return "encoding", max(lines(logs[0]) - 1, 0) / blocks

    def speed(self, phase: str, hours: float) -> float:
        """Return the speed as a multiple of real time."""
        return hours * 3600 / self.spent[phase]

    def memory(self, phase: str) -> str:
        """Return the peaks of the resident memory as text."""
        early = max((size for share, size in self.peaks[phase] if share <= 0.1), default=0)
        late = max(size for _, size in self.peaks[phase])
        return f"peak memory {early:.0f} MB in the first tenth, {late:.0f} MB in all"

    def _words(self) -> list[str]:
        names = ("jobs", "folder", "channels", "img_mode", "n_fft", "hop_length")
        return [word for name in names for word in (f"--{name}", str(getattr(self.given, name)))]


def child(given: argparse.Namespace) -> None:
    """Do what a training does before it starts."""
    from pggan_framework.data.datasets.sound import SoundImageDataset
    from pggan_framework.data.prepare import sounds as preparation

    preparation.PATIENCE = 0.0  # small folders too leave something to watch
    SoundImageDataset(
        given.folder / "recordings",
        frequency=RATE,
        img_mode=given.img_mode,
        n_fft=given.n_fft,
        hop_length=given.hop_length,
        channels=given.channels,
        too_long="slices",
        prepared_dir=given.folder / "prepared",
        jobs=given.jobs,
    ).prepare()


def make_recordings(folder: Path, count: int) -> int:
    """Write `count` one-minute files; return their size in bytes."""
    import soundfile

    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        path = folder / f"{number:05}.flac"
        if path.exists():
            continue
        if number >= DIFFERENT:
            os.link(folder / f"{number % DIFFERENT:05}.flac", path)
            continue
        random = np.random.default_rng(number)
        time_s = np.arange(RATE * SECONDS) / RATE
        sound = np.zeros((len(time_s), 2))
        for partial in range(1, 7):
            pitch = random.uniform(60, 600) * partial
            decay = np.exp(-(time_s % random.uniform(0.4, 2)) * partial)
            sound += np.outer(np.sin(2 * np.pi * pitch * time_s) * decay, random.uniform(0.02, 0.15, 2))
        sound += random.normal(scale=0.003, size=sound.shape)
        soundfile.write(path, sound, RATE, subtype="PCM_16")
    return sum(file.stat().st_size for file in folder.iterdir())


def lines(path: Path) -> int:
    """Return the number of complete lines in a file."""
    try:
        return path.read_bytes().count(b"\n")
    except FileNotFoundError:
        return 0


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
