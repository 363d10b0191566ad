"""Containers whose headers are wrong about what they hold, as the parts that libsndfile reads in full."""

from __future__ import annotations

import mmap
import os
import struct
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import IO

from pggan_framework.audio import mp3
from pggan_framework.audio.splice import Segment, patched

HEAD = 4096
"""Bytes at a file's beginning that show what it is."""
_WHOLE_OGG = 1 << 20
"""Bytes up to which an ogg file is read page by page; of larger ones a few places are looked at first."""


@dataclass(frozen=True)
class Layout:
    """How a file is read that libsndfile would read wrongly, or not at all.

    Args:
        pieces: one after another; each is a complete stream, given as the parts of the file that it is made of.
        remark: what is wrong with the file, in words.
        samples: samples a channel of each piece, where they are known without opening it.
    """

    pieces: tuple[Sequence[Segment], ...]
    remark: str
    samples: int | None = None


def find_layout(path: str, head: bytes, size: int) -> Layout | None:
    """The layout of a file whose header cannot be taken unchanged; None where it can, or nothing is known of its kind.

    Args:
        path: the file.
        head: its first `HEAD` bytes.
        size: its bytes.

    Raises:
        OSError: if it cannot be read.
    """
    if size < 4:
        return None
    if head[:4] == b"RIFF" and head[8:12] == b"WAVE":
        return _wav(path, head, size)
    if head[:4] == b".snd" and head[8:12] == bytes(4) and size > 24:
        return Layout((patched([(8, b"\xff" * 4)], size),), "its header says that it is empty")
    if head[:4] == b"OggS":
        return _mapped(path, _ogg)
    if (
        head[:3] == b"ID3"
        or mp3.parse(head[:4])
        or (os.path.splitext(path)[1].lower() in (".mp3", ".mp2", ".mpga") and _no_kind(head))
    ):
        return None if _is_trusted_mp3(path, head, size) else _mapped(path, _mp3)
    return None


def _no_kind(head: bytes) -> bool:
    """Whether the beginning is that of no other container: an mp3 file may begin with anything."""
    return head[:4] not in (b"fLaC", b"FORM", b"RF64", b"caff", b"riff") and head[4:8] != b"ftyp"


def _is_trusted_mp3(path: str, head: bytes, size: int) -> bool:
    """Whether an mp3 file begins with a frame that is to be believed: so most do, and need not be mapped."""
    if mp3.parse(head[:4]) is None:
        return False
    with open(path, "rb", buffering=0) as file:
        file.seek(max(size - mp3.TAIL, 0))
        return mp3.is_trusted(head, 0, file.read(mp3.TAIL), size)


def _mapped(path: str, find: Callable[[mmap.mmap], Layout | None]) -> Layout | None:
    with open(path, "rb", buffering=0) as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        return find(data)


def _wav(path: str, head: bytes, size: int) -> Layout | None:
    """Sizes of 0, of streams that never ended, or too small: the samples then reach to the end of the file."""
    at = 12
    with ExitStack() as stack:
        file: IO[bytes] | None = None

        def look(place: int) -> bytes:
            """Eight bytes; the file is opened only for what is not in `head`."""
            nonlocal file
            if place + 8 <= len(head):
                return head[place : place + 8]
            file = file or stack.enter_context(open(path, "rb"))
            file.seek(place)
            return file.read(8)

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
            return None  # libsndfile itself reads what there is
        # Programs pad odd sizes, or do not.
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
    """Whether these are the name and the size of a chunk that ends with the file at the latest, or nothing at all."""
    if not head.strip(b"\0"):
        return left <= 1 or not head
    return len(head) == 8 and _is_name(head[:4]) and 8 + struct.unpack("<I", head[4:])[0] <= left + 1


def _mp3(data: mmap.mmap) -> Layout | None:
    start = 0
    while size := mp3.tag_size(data, start):
        start += size
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


def _ogg(data: mmap.mmap) -> Layout | None:
    if len(data) > _WHOLE_OGG and _looks_whole(data):
        return None
    streams = _streams(data)
    skipped = len(data) - sum(size for stream in streams for _, size in stream)
    if not streams or (len(streams) == 1 and not skipped):
        return None
    several = f"it is {len(streams)} streams, one after another" if len(streams) > 1 else ""
    return Layout(tuple(streams), several or f"{skipped} bytes of it are not sound")


def _looks_whole(data: mmap.mmap) -> bool:
    """Whether positions rise from a quarter of the file to its last page, in one stream: so it is not several."""
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


def _page_size(data: mmap.mmap, at: int) -> int:
    """Bytes of the page that begins at `at`; beyond the file where it is cut."""
    lacing = data[at + 27 : at + 27 + data[at + 26]]
    return 27 + data[at + 26] + sum(lacing)


def _streams(data: mmap.mmap) -> list[list[tuple[int, int]]]:
    """The complete pages of an ogg file, cut where a new stream begins after the pages of an earlier one."""
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
