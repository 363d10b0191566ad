"""Count the frames of an mp3 file, since few headers contain the length, and some contain a wrong one.

A decoder reads the length from a Xing or Info frame if there is one, and otherwise derives it from the file size and
the bit rate of the first frame. Both are wrong for streams that were cut or joined, and for streams of variable bit
rate without such a frame.
"""

from __future__ import annotations

import mmap
import struct
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

from pggan_framework.audio.splice import Segment

_BITRATES = {
    (1, 1): (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (1, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (1, 3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (2, 1): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (2, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (2, 3): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
"""Bit rates in kbit/s by version (2.5 uses those of 2) and layer, ISO 11172-3 and 13818-3; index 0 is free format."""
_RATES = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}
"""Sample rates in Hz by the version bits."""
_TAGS = (b"Xing", b"Info")
_AGREEING = 3
"""Number of consecutive frames that are certainly sound; a single header can occur by chance in any bytes."""
TAIL = 160
"""Number of bytes at the end of a file that show whether it ends with tags."""
_TRIES = 1 << 18
"""Largest number of places that are checked for a header in bytes that are not sound; hostile files could have many."""
_ROOMY = 9
"""Index of a bit rate whose frames have enough space for the numbers of an Info frame in every version."""


class Frame(NamedTuple):
    """The contents of a frame's header: number of bytes, number of samples, and properties of the whole stream."""

    bytes: int
    samples: int
    kind: tuple[int, int, int, bool]
    """The version bits, the layer, the number of samples per second, and True for mono."""


@dataclass(frozen=True)
class Mp3:
    """The frames of a file.

    Args:
        frames: number of frames with sound.
        kind: version bits, layer, samples per second, and True for mono.
        segments: offset and length of each run of consecutive frames.
        skipped: number of bytes between the runs that are not frames of this kind, without tags.
        promised: number of frames according to the Xing or Info frame; None if the file has no such frame.
        gapless: samples that the encoder added before and after the sound, according to the Xing or Info frame; None if
            unknown.
    """

    frames: int
    kind: tuple[int, int, int, bool]
    segments: tuple[tuple[int, int], ...]
    skipped: int
    promised: int | None
    gapless: bytes | None

    @property
    def samples(self) -> int:
        """The number of samples per channel of all frames."""
        return self.frames * _samples(self.kind)

    def spliced(self) -> list[Segment]:
        """The file without bytes that are not frames, preceded by a correct Info frame."""
        return [*([self._info()] if self.kind[1] == 3 else []), *self.segments]

    def _info(self) -> bytes:
        """An Info frame with the true number of frames, and the encoder's gaps only if the stream is unchanged."""
        version, _, rate, mono = self.kind
        header = bytes([0xFF, 0xE3 | version << 3, _ROOMY << 4 | _RATES[version].index(rate) << 2, mono * 0xC0])
        frame = parse(header)
        assert frame is not None
        before = bytes(_side(frame.kind))
        known = self.promised == self.frames and self.gapless is not None
        lame = b"Lavc" + bytes(17) + (self.gapless or b"") if known else b""
        body = b"Info" + struct.pack(">III", 0b1001, self.frames, 0) + lame
        return (header + before + body).ljust(frame.bytes, b"\0")


def _samples(kind: tuple[int, int, int, bool]) -> int:
    version, layer, _, _ = kind
    return 384 if layer == 1 else 1152 if layer == 2 or version == 3 else 576


def _side(kind: tuple[int, int, int, bool]) -> int:
    """The number of bytes of side information, which precedes the numbers of an Info frame."""
    return {(True, False): 32, (True, True): 17, (False, False): 17, (False, True): 9}[kind[0] == 3, kind[3]]


@cache
def _frame(second: int, third: int, mono: bool) -> Frame | None:
    version, layer = second >> 3 & 3, 4 - (second >> 1 & 3)
    bitrate, rate, padding = third >> 4, third >> 2 & 3, third >> 1 & 1
    if second & 0xE0 != 0xE0 or version == 1 or layer == 4 or not 1 <= bitrate <= 14 or rate == 3:
        return None
    bits = 1000 * _BITRATES[1 if version == 3 else 2, layer][bitrate - 1]
    kind = (version, layer, _RATES[version][rate], mono)
    samples = _samples(kind)
    size = (12 * bits // kind[2] + padding) * 4 if layer == 1 else samples // 8 * bits // kind[2] + padding
    return Frame(size, samples, kind)


def parse(header: bytes) -> Frame | None:
    """Read the 4 bytes of a frame's header; None if they are not a header, or the length is unknown (free format)."""
    if len(header) < 4 or header[0] != 0xFF:
        return None
    return _frame(header[1], header[2], header[3] >> 6 == 3)


def tag_size(data: bytes | mmap.mmap, at: int) -> int:
    """Size in bytes of the tag (ID3v2, ID3v1, APE) that begins at `at`; 0 if no tag begins there."""
    head = data[at : at + 32]
    if head[:3] == b"ID3" and len(head) >= 10 and max(head[6:10]) < 128:
        size = head[6] << 21 | head[7] << 14 | head[8] << 7 | head[9]
        return 10 + size + (10 if head[5] & 0x10 else 0)
    if head[:3] == b"TAG":
        return 128
    if head[:8] == b"APETAGEX" and len(head) == 32:
        return 32 + int.from_bytes(head[12:16], "little")
    return 0


def first_frame(data: bytes | mmap.mmap, start: int = 0) -> int | None:
    """Offset of the first sound frame, followed by several frames of its kind, or by such frames up to the end."""
    return _resync(data, start, None)


def _resync(data: bytes | mmap.mmap, at: int, kind: tuple[int, int, int, bool] | None) -> int | None:
    for _ in range(_TRIES):
        at = data.find(b"\xff", at)
        if at < 0:
            return None
        if _agree(data, at, kind):
            return at
        at += 1
    return None


def _agree(data: bytes | mmap.mmap, at: int, kind: tuple[int, int, int, bool] | None) -> bool:
    for number in range(_AGREEING):
        frame = parse(data[at : at + 4])
        if frame is None or frame.kind != (kind or frame.kind):
            # A frame that ends at a tag or at the end of the file also counts, but a single frame in unknown bytes does
            # not.
            return number >= (1 if kind else 2) and (at >= len(data) or tag_size(data, at) > 0)
        kind = frame.kind
        at += frame.bytes
        if at > len(data):
            return number >= 1
    return True


def is_trusted(data: bytes | mmap.mmap, start: int, tail: bytes, size: int) -> bool:
    """True if the first frame, at `start`, contains a size in bytes that equals the size of the file.

    The number of frames in such a frame is trusted, so the frames need not be counted.

    Args:
        data: bytes of the file, at least to the end of its first frame.
        start: offset of the first frame.
        tail: last `TAIL` bytes of the file.
        size: size of the file in bytes.
    """
    info = _read_info(data, start)
    if info is None or info[1] is None:
        return False
    frame = parse(data[start : start + 4])
    end = size
    if tail[-128:-125] == b"TAG":
        end, tail = end - 128, tail[:-128]
    footer = tail[-32:]
    if footer[:8] == b"APETAGEX" and len(footer) == 32:
        end -= int.from_bytes(footer[12:16], "little") + (32 if footer[23] & 0x80 else 0)
    return frame is not None and 0 <= end - start - info[1] < frame.bytes


def _read_info(data: bytes | mmap.mmap, at: int) -> tuple[int | None, int | None, bytes | None] | None:
    """The frames, bytes and gaps according to a Xing, Info or VBRI frame at `at`; None for other kinds of frames."""
    frame = parse(data[at : at + 4])
    if frame is None or frame.kind[1] != 3:
        return None
    if data[at + 36 : at + 40] == b"VBRI":
        size, count = (int.from_bytes(data[place : place + 4], "big") for place in (at + 46, at + 50))
        return count, size, None
    at += 4 + _side(frame.kind)
    if data[at : at + 4] not in _TAGS:
        return None
    flags = int.from_bytes(data[at + 4 : at + 8], "big")
    at += 8
    numbers: list[int | None] = [None, None]
    for bit, length in enumerate((4, 4, 100, 4)):
        if flags >> bit & 1:
            if bit < 2:
                numbers[bit] = int.from_bytes(data[at : at + 4], "big")
            at += length
    encoder = data[at : at + 4]
    gapless = data[at + 21 : at + 24] if encoder in (b"LAME", b"Lavf", b"Lavc") else None
    return numbers[0], numbers[1], gapless


def count_frames(data: bytes | mmap.mmap, start: int = 0) -> Mp3 | None:
    """Find all frames of the kind of the first frame after `start`, whatever is between them.

    Returns None if there are no frames, or the stream is in free format.
    """
    at = first_frame(data, start)
    first = None if at is None else parse(data[at : at + 4])
    if at is None or first is None:
        return None
    kind = first.kind
    info = _read_info(data, at)
    offset, vbri = (4 + _side(kind), 36) if kind[1] == 3 else (0, 0)
    segments: list[list[int]] = []
    frames = skipped = 0
    end = len(data)
    while at is not None and at < end:
        header = data[at : at + 4]
        frame = parse(header)
        if frame is None or frame.kind != kind:
            tag = tag_size(data, at)
            found = at + tag if tag else _resync(data, at, kind)
            skipped += 0 if tag else (end if found is None else found) - at
            at = found
            continue
        if at + frame.bytes > end:
            break  # an incomplete frame
        tagged = offset and (data[at + offset : at + offset + 4] in _TAGS or data[at + vbri : at + vbri + 4] == b"VBRI")
        if not tagged:
            frames += 1
            if segments and segments[-1][0] + segments[-1][1] == at:
                segments[-1][1] += frame.bytes
            else:
                segments.append([at, frame.bytes])
        at += frame.bytes
    if not frames:
        return None
    ranges = tuple((first_byte, length) for first_byte, length in segments)
    return Mp3(frames, kind, ranges, skipped, info[0] if info else None, info[2] if info else None)
