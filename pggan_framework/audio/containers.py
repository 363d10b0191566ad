"""Containers with wrong headers, split into parts that libsndfile reads completely."""

from __future__ import annotations

import mmap
import os
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from io import FileIO
from typing import TypeAlias

from pggan_framework.audio import mp3
from pggan_framework.audio.splice import Segment, patched

HEAD = 4096
"""Number of bytes at the start of a file that identify its kind."""
_SMALL = 1 << 20
"""Largest size in bytes of a file that is read, not mapped, and of an ogg file whose pages are all checked at once; in
larger ogg files, a few places are checked first."""
Bytes: TypeAlias = bytes | mmap.mmap


@dataclass(frozen=True)
class Layout:
    """How to read a file that libsndfile would read incorrectly or not at all.

    Args:
        pieces: consecutive complete streams; each is given as the parts of the file that form it.
        remark: description of the defect of the file.
        samples: number of samples per channel of each piece, if known without opening the piece.
    """

    pieces: tuple[Sequence[Segment], ...]
    remark: str
    samples: int | None = None


def find_layout(file: FileIO, head: bytes, size: int) -> Layout | None:
    """The layout of a file whose header is wrong; None if the header is right or the format is unknown.

    Args:
        file: open file.
        head: first `HEAD` bytes of the file.
        size: size of the file in bytes.

    Raises:
        OSError: if the file cannot be read.
    """
    if size < 4:
        return None
    if head[:4] == b"RIFF" and head[8:12] == b"WAVE":
        return _wav(file, head, size)
    if head[:4] == b".snd" and head[8:12] == bytes(4) and size > 24:
        return Layout((patched([(8, b"\xff" * 4)], size),), "its header says that it is empty")
    if head[:4] == b"OggS":
        return _searched(file, size, _ogg)
    if (
        head[:3] == b"ID3"
        or mp3.parse(head[:4])
        or (os.path.splitext(str(file.name))[1].lower() in (".mp3", ".mp2", ".mpga") and _no_kind(head))
    ):
        return None if _is_trusted_mp3(file, head, size) else _searched(file, size, _mp3)
    return None


def _no_kind(head: bytes) -> bool:
    """True if the file does not begin like any other container; an mp3 file may begin with any bytes."""
    return head[:4] not in (b"fLaC", b"FORM", b"RF64", b"RIFF", b"OggS", b"caff", b"riff") and head[4:8] != b"ftyp"


def _is_trusted_mp3(file: FileIO, head: bytes, size: int) -> bool:
    """True if an mp3 file begins with a trusted frame; most files do, and need not be mapped."""
    if mp3.parse(head[:4]) is None:
        return False
    file.seek(max(size - mp3.TAIL, 0))
    return mp3.is_trusted(head, 0, file.read(mp3.TAIL), size)


def _searched(file: FileIO, size: int, find: Callable[[Bytes], Layout | None]) -> Layout | None:
    if size <= _SMALL:  # reading it takes half as long as mapping it
        file.seek(0)
        return find(file.read())
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        return find(data)


def _wav(file: FileIO, head: bytes, size: int) -> Layout | None:
    """Handle data sizes that are too small, or 0 in unfinished streams, by reading samples to the end of the file."""

    def look(place: int) -> bytes:
        """Return eight bytes, from `head` if it contains them, otherwise from the file."""
        if place + 8 <= len(head):
            return head[place : place + 8]
        file.seek(place)
        return file.read(8)

    at = 12
    while at + 8 <= size:
        chunk = look(at)
        (length,) = struct.unpack("<I", chunk[4:])
        if chunk[:4] == b"data":
            break
        if not _is_name(chunk[:4]):
            return None
        at += 8 + length + length % 2
    else:
        return None
    end = at + 8 + length
    if end >= size or at + 8 == size:
        return None  # libsndfile itself reads the existing samples
    # Some programs pad odd sizes, others do not.
    ends = _is_chunk(look(end + length % 2), size - end - length % 2) or _is_chunk(look(end), size - end)
    if ends or size - end < 8:
        return None
    length = min(size - at - 8, 0xFFFFFFFE)
    said = f"its header says that its samples are {end - at - 8} bytes, {size - at - 8} follow"
    riff = struct.pack("<I", min(size - 8, 0xFFFFFFFE))
    return Layout((patched([(4, riff), (at + 4, struct.pack("<I", length))], size),), said)


def _is_name(name: bytes) -> bool:
    return all(32 <= byte < 127 for byte in name)


def _is_chunk(head: bytes, left: int) -> bool:
    """True if these bytes are the name and size of a chunk that ends within the file, or if there are no bytes."""
    if not head.strip(b"\0"):
        return left <= 1 or not head
    return len(head) == 8 and _is_name(head[:4]) and 8 + struct.unpack("<I", head[4:])[0] <= left + 1


def _mp3(data: Bytes) -> Layout | None:
    start = 0
    while size := mp3.tag_size(data, start):
        start += size
    if start and not _no_kind(data[start : start + 12]):
        # In some of these files, libsndfile counts offsets from before the tag; it rejects the other files.
        return Layout((((start, len(data) - start),),), "")
    first = mp3.first_frame(data, start)
    if first is None or (first == start and mp3.is_trusted(data, first, data[-mp3.TAIL :], len(data))):
        return None
    found = mp3.count_frames(data, first)
    if found is None:
        return None
    skipped = found.skipped + first - start
    if found.promised not in (None, found.frames):
        remark = f"its header says {found.promised} frames, it holds {found.frames}"
    elif skipped:
        remark = f"{skipped} bytes of it are not sound"
    else:
        remark = ""
    return Layout((found.spliced(),), remark, None if found.kind[1] == 3 else found.samples)


def _ogg(data: Bytes) -> Layout | None:
    if len(data) > _SMALL and _looks_whole(data):
        return None
    streams = _streams(data)
    skipped = len(data) - sum(size for stream in streams for _, size in stream)
    if not streams or (len(streams) == 1 and not skipped):
        return None
    several = f"it is {len(streams)} streams, one after another" if len(streams) > 1 else ""
    return Layout(tuple(streams), several or f"{skipped} bytes of it are not sound")


def _looks_whole(data: Bytes) -> bool:
    """True if positions rise from a quarter of the file to its last page, so the file has a single stream."""
    serial, before = data[14:18], 0
    for place in (len(data) // 4, len(data) // 2, 3 * len(data) // 4, None):
        at = data.rfind(b"OggS") if place is None else data.find(b"OggS", place)
        if at < 0 or len(data) - at < 27 or data[at + 14 : at + 18] != serial:
            return False
        (position,) = struct.unpack("<q", data[at + 6 : at + 14])
        if position <= before:
            return False
        before = position
    return at + _page_size(data, at) == len(data)


def _page_size(data: Bytes, at: int) -> int:
    """Size in bytes of the page at `at`, which extends beyond the end if the file is truncated."""
    lacing = data[at + 27 : at + 27 + data[at + 26]]
    return 27 + data[at + 26] + sum(lacing)


def _streams(data: Bytes) -> list[list[tuple[int, int]]]:
    """The complete pages of an ogg file, split where a new stream begins after an earlier stream."""
    streams: list[list[tuple[int, int]]] = []
    beginning, at = False, 0
    while 0 <= at <= len(data) - 27:
        size = _page_size(data, at)
        if at + size > len(data):
            break
        if data[at + 5] & 2:
            if not beginning:
                streams.append([])
            beginning = True
        else:
            beginning = False
        if streams:
            last = streams[-1]
            if last and sum(last[-1]) == at:
                last[-1] = (last[-1][0], last[-1][1] + size)
            else:
                last.append((at, size))
        at = data.find(b"OggS", at + size)
    return streams
