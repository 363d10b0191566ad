"""What a folder holds, for tests of what is written; and a file to read."""

from __future__ import annotations

import hashlib
import struct


def names(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def digests(folder):
    return {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in names(folder)}


def midi_file(path, *notes):
    """One beat each, 0.5 s."""
    data = b"".join(b"\x00\x90" + bytes([note, 100]) + b"\x83\x60\x80" + bytes([note, 0]) for note in notes)
    data += b"\x00\xff\x2f\x00"
    path.write_bytes(b"MThd\x00\x00\x00\x06\x00\x00\x00\x01\x01\xe0MTrk" + struct.pack(">I", len(data)) + data)
