"""benchmarks/flips.py: what is checked, what is not and what has no effect are distinguished."""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np

from benchmarks.flips import content, flip
from pggan_framework.errors import UserError


def test_each_flip_is_noticed_harmless_or_wrong(tmp_path: Path) -> None:
    """Of six bytes, the first two have a checksum, the next two are read without one, the last two are not read."""
    path, body = tmp_path / "a", b"ab"
    path.write_bytes(body + b"cd" + b"xx")

    def read(file: Path) -> bytes:
        data = file.read_bytes()
        if zlib.crc32(data[:2]) != zlib.crc32(body):
            raise UserError("damaged")
        return data[:4]

    found, wrong = flip(path, read, 48, np.random.default_rng(0))
    assert found == {"noticed": 16, "wrong": 16, "harmless": 16}
    assert sorted(wrong) == list(range(16, 32)) and path.read_bytes() == b"abcdxx"


def test_contents_are_compared_bit_for_bit() -> None:
    zeros = np.zeros(2, np.float32)
    assert content({"a": [zeros, 1]}) == content({"a": [zeros.copy(), 1]})
    assert content(zeros) != content(-zeros) and content(zeros) != content(zeros.reshape(2, 1))
