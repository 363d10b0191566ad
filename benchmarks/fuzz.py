"""Damage files of every kind at random, and count each outcome that is not one line: tracebacks, crashes, hangs.

    python benchmarks/fuzz.py --count 20000 --seed 1
    python benchmarks/fuzz.py --kinds checkpoint,zip --count 100

Each input is a modified file of `fuzz_seeds`: bits, bytes, blocks, numbers, or the contents of zips, with correct
checksums. A forked process reads it. Success and an error message of one line are allowed. Any other exception, the
death of the process, more than 10 s of processor time, and more than 1 GB of memory are not allowed.
"""

from __future__ import annotations

import argparse
import gzip
import io
import json
import os
import resource
import select
import shutil
import signal
import sys
import tempfile
import time
import traceback
import zipfile
import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import google_crc32c
import numpy as np

HERE = Path(__file__).resolve().parent
if str(HERE.parent) not in sys.path:
    sys.path.insert(0, str(HERE.parent))

from benchmarks.fuzz_seeds import Reader, rewrite_checkpoint, seeds  # noqa: E402  -- it is found only now

SECONDS, MEMORY = 10, 1 << 30
"""Limits for one input, of processor time and of memory."""
WALL = 180.0
"""Seconds after which an input counts as hung, whatever it waits for."""
BATCH = 50
"""Inputs that one process reads."""
_NUMBERS = [0, 1, 127, 128, 255, 256, 2**15, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1, 2**40, 2**63 - 1, 2**64 - 1]
_TEXTS = [
    b"NaN",
    b"-1",
    b"1e999",
    b"9" * 20,
    b"null",
    b'""',
    b"[]",
    b"{}",
    b"\0",
    b"../../x",
    b"\xff",
    b"*a",
]


class TimeUp(BaseException):
    """Raised if an input takes too long; no reader catches it."""


@dataclass
class Outcome:
    """The outcome of several inputs: how many were read, refused with one line, or neither, and the worst cases."""

    read: int = 0
    refused: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    slowest: float = 0.0
    largest: int = 0
    examples: dict[str, str] = field(default_factory=dict)


def mutate(data: bytes, random: np.random.Generator) -> bytes:
    """Return `data` with one to four changes; half of the changes keep the length."""
    changed = bytearray(data)
    for _ in range(1 if random.integers(0, 3) else int(random.integers(2, 5))):
        size = len(changed)
        at = int(random.integers(0, size + 1))
        length = int(random.integers(1, max(2, min(size, 64))))
        kind = int(random.choice([0, 0, 0, 1, 1, 2, 3, 4, 5, 6, 6, 6, 7, 8]))
        if kind == 0 and size:
            changed[at % size] ^= 1 << int(random.integers(0, 8))
        elif kind == 1 and size:
            changed[at % size] = int(random.integers(0, 256))
        elif kind == 2:
            del changed[at : at + length]
        elif kind == 3:
            changed[at:at] = random.bytes(length)
        elif kind == 4:
            changed[at:at] = changed[at : at + length] * int(random.integers(1, 20))
        elif kind == 5:
            del changed[at:]
        elif kind == 6:
            width, order = int(random.choice([1, 2, 4, 8])), "little" if random.integers(0, 2) else "big"
            number = _NUMBERS[int(random.integers(0, len(_NUMBERS)))] % 256**width
            changed[at : at + width] = number.to_bytes(width, "little" if order == "little" else "big")
        elif kind == 7:
            text = _TEXTS[int(random.integers(0, len(_TEXTS)))]
            changed[at : at + len(text)] = text
        else:
            other = int(random.integers(0, size + 1))
            changed[at : at + length] = changed[other : other + length]
    return bytes(changed)


def mutate_zip(data: bytes, random: np.random.Generator) -> bytes:
    """Change the members of a zip, with correct checksums."""
    stream = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(stream, "w") as new:
        members = old.infolist()
        chosen = int(random.integers(0, len(members)))
        # The pickle and the JSON have more to misread than pixels and weights.
        for number, member in enumerate(members):
            content = old.read(member)
            small = member.filename.endswith((".pkl", ".json")) and random.integers(0, 2)
            new.writestr(member, mutate(content, random) if number == chosen or small else content)
    return stream.getvalue()


def mutate_gzip(data: bytes, random: np.random.Generator) -> bytes:
    """Change the uncompressed contents of a gzip file and compress them again."""
    return gzip.compress(mutate(gzip.decompress(data), random), 1)


def mutate_png(data: bytes, random: np.random.Generator) -> bytes:
    """Change a chunk of a PNG, with correct checksum and length."""
    chunks, place = [], 8
    while place + 12 <= len(data):
        length = int.from_bytes(data[place : place + 4], "big")
        chunks.append((data[place + 4 : place + 8], data[place + 8 : place + 8 + length]))
        place += 12 + length
    at = int(random.integers(0, len(chunks)))
    chunks[at] = (chunks[at][0], mutate(chunks[at][1], random))
    packed = [
        len(body).to_bytes(4, "big") + name + body + zlib.crc32(name + body).to_bytes(4, "big") for name, body in chunks
    ]
    return data[:8] + b"".join(packed)


def mutate_records(data: bytes, random: np.random.Generator) -> bytes:
    """Change one TFRecord, with correct checksums."""
    records, place = [], 0
    while place < len(data):
        length = int.from_bytes(data[place : place + 8], "little")
        records.append(data[place + 12 : place + 12 + length])
        place += 16 + length
    at = int(random.integers(0, len(records)))
    records[at] = mutate(records[at], random)

    def checked(part: bytes) -> bytes:
        crc = int(google_crc32c.value(part))
        return part + (((crc >> 15 | crc << 17 & 0xFFFFFFFF) + 0xA282EAD8) % 2**32).to_bytes(4, "little")

    return b"".join(checked(len(record).to_bytes(8, "little")) + checked(record) for record in records)


_INSIDE = {
    b"PK\x03\x04": mutate_zip,
    b"\x1f\x8b": mutate_gzip,
    b"\x89PNG": mutate_png,
}
"""How what is inside a file that begins so is changed, and packed again as it is due."""


_VALUES: list[Any] = [None, -1, 0, 2**31, 2**62, 1e300, float("nan"), "", "x" * 50, [], {}, [1, 2, 3], True, b"x"]


def mutate_values(value: Any, random: np.random.Generator) -> Any:
    """Return nested plain values with one of them replaced, removed or duplicated."""
    if isinstance(value, dict) and value and random.integers(0, 8):
        key = list(value)[int(random.integers(0, len(value)))]
        if not random.integers(0, 10):
            return {name: item for name, item in value.items() if name != key}
        return {**value, key: mutate_values(value[key], random)}
    if isinstance(value, list) and value and random.integers(0, 5):
        at = int(random.integers(0, len(value)))
        return [*value[:at], mutate_values(value[at], random), *value[at + 1 :]]
    if isinstance(value, (int, float)) and not isinstance(value, bool) and random.integers(0, 2):
        return value * int(random.choice([-1, 2, 1000, 10**7])) + int(random.integers(-1, 2))
    return _VALUES[int(random.integers(0, len(_VALUES)))]


def write_input(path: Path, seed: Path, kind: str, number: int, base: int) -> None:
    """Write the input of this number, which is always the same."""
    random = np.random.default_rng([base, number, *kind.encode()])
    data = seed.read_bytes()
    way = int(random.integers(0, 3))
    if kind == "checkpoint" and way == 0:
        path.write_bytes(data)
        rewrite_checkpoint(path, lambda state: mutate_values(state, random))
    elif kind == "safetensors' json" and way < 2:
        path.write_text(json.dumps(mutate_values(json.loads(data), random), default=repr), encoding="utf-8")
    else:
        inside = mutate_records if kind == "tfrecords" else mutate
        for start, change in _INSIDE.items():
            inside = change if data.startswith(start) else inside
        path.write_bytes((inside if way < 2 else mutate)(data, random))


def fuzz(kind: str, reader: Reader, files: Sequence[Path], numbers: Sequence[int], base: int, folder: Path) -> Outcome:
    """Read the inputs of these numbers."""
    outcome, left = Outcome(), list(numbers)
    while left:
        done = _batch(kind, reader, files, left[:BATCH], base, folder, outcome)
        left = left[done:]
    return outcome


def _batch(
    kind: str, reader: Reader, files: Sequence[Path], numbers: Sequence[int], base: int, folder: Path, outcome: Outcome
) -> int:
    """Read some inputs in a separate process; return the number of tried inputs, including one that killed it."""
    receive, send = os.pipe()
    process = os.fork()
    if process == 0:
        os.close(receive)
        _child(kind, reader, files, numbers, base, folder, send)
    os.close(send)
    done, pending, stopped = 0, b"", False
    while True:
        ready, _, _ = select.select([receive], [], [], WALL)
        content = os.read(receive, 1 << 16) if ready else b""
        if not content:
            break
        *lines, pending = (pending + content).split(b"\n")
        for line in lines:
            done += 1
            found = json.loads(line)
            stopped = found["memory"] > MEMORY  # the next inputs are another process's
            _note(outcome, kind, found)
    os.close(receive)
    if done < len(numbers):
        os.kill(process, signal.SIGKILL)
    _, status = os.waitpid(process, 0)
    if done < len(numbers) and not stopped:
        how = "hung" if not ready else f"died of signal {os.WTERMSIG(status)}" if os.WIFSIGNALED(status) else "died"
        _note(outcome, kind, {"number": numbers[done], "fault": how, "seconds": 0.0, "memory": 0})
        done += 1
    return done


def _note(outcome: Outcome, kind: str, line: dict[str, Any]) -> None:
    fault = line.get("fault")
    outcome.slowest = max(outcome.slowest, line["seconds"])
    outcome.largest = max(outcome.largest, line["memory"])
    if fault is None:
        outcome.read += not line["refused"]
        outcome.refused += bool(line["refused"])
        return
    outcome.faults[fault] += 1
    outcome.examples.setdefault(fault, f"{kind} {line['number']}: {line.get('where', '')}")


def _child(
    kind: str, reader: Reader, files: Sequence[Path], numbers: Sequence[int], base: int, folder: Path, send: int
) -> None:
    """Read the inputs and report one line for each; never returns."""
    from pggan_framework.cli.main import explained
    from pggan_framework.errors import UserError

    def stop(*_: object) -> None:
        raise TimeUp

    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 1)
    os.dup2(quiet, 2)
    signal.signal(signal.SIGPROF, stop)
    os.chdir(folder)
    for number in numbers:
        seed = files[number % len(files)]
        place = Path(tempfile.mkdtemp(dir=folder))
        path = place / seed.name
        line: dict[str, Any] = {"number": number, "refused": False}
        write_input(path, seed, kind, number, base)
        start = time.process_time()
        signal.setitimer(signal.ITIMER_PROF, SECONDS)
        try:
            reader(path)
        except UserError as error:
            line["refused"] = True
            if not str(error).isprintable():
                line |= {"fault": "a message of several lines or with control characters", "where": repr(str(error))}
        except TimeUp:
            line["fault"] = f"more than {SECONDS} s"
        except BaseException as error:
            line["refused"] = True
            if not isinstance(error, Exception) or explained(error) is None:
                frame = traceback.extract_tb(error.__traceback__)[-1]
                line["fault"] = f"{type(error).__name__} in {Path(frame.filename).name}:{frame.lineno}"
                line["where"] = "".join(traceback.format_exception(error))[-1500:]
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
        line["seconds"] = time.process_time() - start
        line["memory"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        if line["memory"] > MEMORY and "fault" not in line:
            line["fault"] = "more than 1 GB"
        shutil.rmtree(place, ignore_errors=True)
        os.write(send, json.dumps(line).encode() + b"\n")
        if line["memory"] > MEMORY:  # what comes after is not its fault
            break
    os._exit(0)


def main(argv: Sequence[str] | None = None) -> int:
    """Run from the command line; the exit status is 1 if there was a fault."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=2000, help="total number of inputs (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="random seed of the changes (default: %(default)s)")
    parser.add_argument(
        "--first", type=int, default=0, help="number of the first input of each kind (default: %(default)s)"
    )
    parser.add_argument("--kinds", default="", help="comma-separated kinds (default: all)")
    parser.add_argument("--traces", action="store_true", help="print the location of each kind of fault")
    given = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as temporary:
        corpus, work = Path(temporary, "corpus"), Path(temporary, "work")
        corpus.mkdir()
        work.mkdir()
        found = seeds(corpus)
        kinds = given.kinds.split(",") if given.kinds else list(found)
        each = -(-given.count // len(kinds))
        total = Outcome()
        print(f"{'kind':<20} {'read':>6} {'refused':>8} {'faults':>7} {'slowest':>9} {'memory':>8}", flush=True)
        for kind in kinds:
            reader, files = found[kind]
            check(reader, files, work)
            numbers = range(given.first, given.first + each)
            outcome = fuzz(kind, reader, files, numbers, given.seed, work)
            _print(kind, outcome)
            for fault, count in outcome.faults.items():
                print(f"  {count} x {fault}" + (f"\n{outcome.examples[fault]}" if given.traces else ""), flush=True)
            total.read, total.refused = total.read + outcome.read, total.refused + outcome.refused
            total.faults += outcome.faults
            total.slowest = max(total.slowest, outcome.slowest)
            total.largest = max(total.largest, outcome.largest)
        _print("all", total)
    return int(bool(total.faults))


def check(reader: Reader, files: Sequence[Path], folder: Path) -> None:
    """Check that the unmodified seeds can be read."""
    for seed in files:
        place = Path(tempfile.mkdtemp(dir=folder))
        reader(Path(shutil.copy(seed, place / seed.name)))
        shutil.rmtree(place)


def _print(kind: str, outcome: Outcome) -> None:
    faults = sum(outcome.faults.values())
    print(
        f"{kind:<20} {outcome.read:>6} {outcome.refused:>8} {faults:>7} {outcome.slowest:>7.2f} s"
        f" {outcome.largest / 1e6:>5.0f} MB",
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(main())
