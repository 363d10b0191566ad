"""Cost of checksums: the processor time that one run spends on them, compared with the time of the whole run.

    python benchmarks/checksums.py --kimg 2

The run trains the small networks of the preset tones on a prepared file, reads each image for the first time, and
writes and reads back one checkpoint. The cost in a longer run is lower: it reads images again without a check, and
writes a checkpoint only every ten minutes.
"""

from __future__ import annotations

import argparse
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from pggan_framework import run
from pggan_framework.data.datasets.tones import TonesDataset
from pggan_framework.data.store.checksums import Checksums
from pggan_framework.data.store.prepared import save_prepared
from pggan_framework.training import checkpoint

SPENT, CALLS = Counter[str](), Counter[str]()
_LOCK = threading.Lock()


def timed(owner: Any, name: str) -> None:
    """Add the processor time of each call of a function to `SPENT`."""
    function: Callable[..., Any] = getattr(owner, name)

    def wrapper(*args: Any, **kwargs: Any) -> Any:
        began = time.thread_time()
        try:
            return function(*args, **kwargs)
        finally:
            with _LOCK:
                SPENT[name] += time.thread_time() - began  # type: ignore[assignment]
                CALLS[name] += 1

    setattr(owner, name, wrapper)


def main() -> None:
    """Train, and print the fraction of each function."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kimg", type=float, default=2)
    given = parser.parse_args()
    torch.set_num_threads(1)
    timed(Checksums, "check")
    timed(checkpoint, "verify_zip")
    timed(checkpoint, "forget_cached")
    with TemporaryDirectory() as folder:
        data = Path(folder, "a.h5")
        save_prepared(TonesDataset(count=round(given.kimg * 1000)), data)
        SPENT.clear()
        CALLS.clear()
        began = time.process_time()
        flags = {"load_dataset": str(data), "total_kimg": given.kimg, "result_dir": folder}
        result = run("tones", {**flags, "progressive_growing": False, "plugins": [], "QualityMonitor.every_ticks": 0})
        whole = time.process_time() - began
        size = max(path.stat().st_size for path in result.path.glob("*.pt"))
    for name, seconds in SPENT.items():
        print(f"{name:<14} {CALLS[name]:>6} calls {seconds * 1000:>9.1f} ms {seconds / whole:>8.3%}")
    print(f"whole run      {whole:>16.1f} s, one checkpoint of {size / 1e6:.1f} MB: {sum(SPENT.values()) / whole:.3%}")


if __name__ == "__main__":
    main()
