"""Animations: write frames to a GIF, a WebP or an MP4, with one frame in memory at a time."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from io import BytesIO
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pggan_framework.errors import UserError, require
from pggan_framework.storage.numbers import NUMBER, kimg_of

if TYPE_CHECKING:
    from PIL.Image import Image

Moving = Literal["gif", "webp", "mp4"]
MOST_FPS: dict[Moving, float] = {"gif": 50, "webp": 60, "mp4": 60}
"""Largest frames per second. GIF delays are in hundredths of a second, and viewers replace delays below two by ten."""
LEAST_FPS = 0.05
_SHEET = re.compile(rf"fakes_({NUMBER})\.png")


class _Shown(NamedTuple):
    """A frame with the times in seconds at which it appears and disappears."""

    frame: Image
    start: float
    end: float


def check_moving(kind: Moving, who: str) -> None:
    """Check that this kind of animation can be written on this machine.

    Args:
        kind: kind of the animation: gif, webp or mp4.
        who: the flag or plugin that requests it, for the message.

    Raises:
        UserError: if the required package is not installed.
    """
    if kind == "mp4":
        require("imageio_ffmpeg", who)


def check_fps(kind: Moving, fps: float, flag: str = "--fps") -> None:
    """Check that this kind of animation supports a frame rate.

    Raises:
        UserError: if the frame rate is not supported.
    """
    if not LEAST_FPS <= fps <= MOST_FPS[kind]:
        raise UserError(f"{flag} is {fps:g}; allowed for {kind}: {LEAST_FPS:g} to {MOST_FPS[kind]:g}")


def write_moving(
    path: Path,
    kind: Moving,
    frames: Iterable[Image],
    seconds: float,
    hold: float | None = None,
    sound: Path | None = None,
) -> int:
    """Write frames of equal size as a looping animation.

    Args:
        path: the file, with any extension; an existing file is overwritten.
        kind: gif, 256 colours per frame; webp; mp4 (H.264, which players do not loop by default).
        frames: one or more images of equal size.
        seconds: display time of each frame.
        hold: display time of the last frame (default: the same as the others).
        sound: a sound file for an mp4; starts with the first frame.

    Returns:
        The number of frames.

    Raises:
        OSError: if the file cannot be written.
        ValueError: if there are no frames, or their sizes differ.
    """
    shown = _shown(frames, seconds, seconds if hold is None else hold)
    first = next(shown, None)
    if first is None:
        raise ValueError("there are no frames")
    whole = chain([first], _of_size(shown, first.frame.size))
    if kind == "mp4":
        return _write_mp4(path, whole, seconds, sound)
    return (_write_gif if kind == "gif" else _write_webp)(path, whole)


def sheets_in(folder: Path) -> list[tuple[float, Path]]:
    """Return the sample grids that `ImageSaver` wrote to a folder, each with its kimg, in order."""
    found = [(kimg_of(match[1]), path) for path in folder.glob("*.png") if (match := _SHEET.fullmatch(path.name))]
    return sorted(found)


def sheet_frames(sheets: Sequence[Path], longest_side: int) -> Iterator[Image]:
    """Yield image files in RGB, scaled to the size of the largest one, or to a smaller size if that is too large.

    Smaller images are enlarged by nearest-neighbour interpolation.

    Args:
        sheets: files of the images, at least one.
        longest_side: limit of the longest side in pixels.
    """
    from PIL import Image

    sizes = []
    for path in sheets:
        with Image.open(path) as opened:
            sizes.append(opened.size)
    largest = max(sizes, key=lambda size: size[0] * size[1])
    factor = min(1.0, longest_side / max(largest))
    width, height = (max(round(side * factor), 1) for side in largest)
    for path in sheets:
        with Image.open(path) as opened:
            picture = opened.convert("RGB")
        smaller = picture.width >= width
        yield picture.resize((width, height), Image.Resampling.BOX if smaller else Image.Resampling.NEAREST)


def _shown(frames: Iterable[Image], seconds: float, hold: float) -> Iterator[_Shown]:
    """Yield the frames with their times; reads one frame ahead to identify the last one."""
    ahead = iter(frames)
    frame = next(ahead, None)
    number = 0
    while frame is not None:
        after = next(ahead, None)
        start = number * seconds
        yield _Shown(frame.convert("RGB"), start, start + (seconds if after is not None else hold))
        frame, number = after, number + 1


def _of_size(shown: Iterable[_Shown], size: tuple[int, int]) -> Iterator[_Shown]:
    for entry in shown:
        if entry.frame.size != size:
            raise ValueError(f"a frame is {entry.frame.size}, the first one {size}")
        yield entry


def _ticks(entry: _Shown, each: int) -> int:
    """Return the display time of a frame in units of 1 / `each` second, without accumulating rounding errors."""
    return round(entry.end * each) - round(entry.start * each)


def _write_gif(path: Path, shown: Iterable[_Shown]) -> int:
    """Write a GIF with 256 colours per frame. Pillow's multi-frame writer would keep all frames in memory."""
    from PIL import GifImagePlugin, Image

    count = 0
    with path.open("wb") as file:
        for entry in shown:
            indexed = entry.frame.quantize(256, dither=Image.Dither.NONE)
            if count == 0:
                for part in GifImagePlugin.getheader(indexed, info={"loop": 0})[0]:
                    file.write(part)
            for part in GifImagePlugin.getdata(indexed, duration=10 * _ticks(entry, 100), include_color_table=True):
                file.write(part)
            count += 1
        file.write(b";")
    return count


def _write_webp(path: Path, shown: Iterable[_Shown]) -> int:
    """Write a WebP: individually encoded images in the container of Google's specification."""
    count = 0
    with path.open("wb") as file:
        file.write(b"RIFF\0\0\0\0WEBP")
        for entry in shown:
            size = _int24(entry.frame.width - 1) + _int24(entry.frame.height - 1)
            if count == 0:
                file.write(_chunk(b"VP8X", b"\x02\0\0\0" + size) + _chunk(b"ANIM", b"\xff\xff\xff\xff\0\0"))
            still = BytesIO()
            entry.frame.save(still, format="WEBP", quality=85)
            # Offset 0, 0; not blended with the previous frame. A still file has a header of 12 bytes, then its image's
            # chunk.
            head = _int24(0) + _int24(0) + size + _int24(_ticks(entry, 1000)) + b"\x02"
            file.write(_chunk(b"ANMF", head + still.getvalue()[12:]))
            count += 1
        length = file.tell() - 8
        file.seek(4)
        file.write(length.to_bytes(4, "little"))
    return count


def _int24(value: int) -> bytes:
    return value.to_bytes(3, "little")


def _chunk(name: bytes, content: bytes) -> bytes:
    """Build a chunk of a RIFF file, padded to an even length."""
    return name + len(content).to_bytes(4, "little") + content + b"\0" * (len(content) % 2)


def _write_mp4(path: Path, shown: Iterator[_Shown], seconds: float, sound: Path | None) -> int:
    """Write H.264 with the ffmpeg of the package imageio-ffmpeg, which does not report failed writes."""
    from imageio_ffmpeg import count_frames_and_secs, write_frames

    audio = {} if sound is None else {"audio_path": str(sound), "audio_codec": "aac"}
    options = {"fps": 1 / seconds, "quality": 8, "macro_block_size": 2, "ffmpeg_log_level": "error", **audio}
    writer, count, sent = None, 0, 0
    try:
        for entry in shown:
            pixels = _even(entry.frame)
            if writer is None:
                size = pixels.shape[1], pixels.shape[0]
                writer = write_frames(str(path), size, output_params=["-f", "mp4"], **options)
                writer.send(None)
            for _ in range(max(round((entry.end - entry.start) / seconds), 1)):
                writer.send(pixels.tobytes())
                sent += 1
            count += 1
    finally:
        if writer is not None:
            writer.close()
    written = count_frames_and_secs(str(path))[0] if path.is_file() else 0
    if written != sent:
        raise OSError(f"ffmpeg wrote {written} of {sent} frames")
    return count


def _even(frame: Image) -> NDArray[np.uint8]:
    """Return a frame's pixels [h, w, 3] with even sides for H.264, by repeating the last pixels of odd sides."""
    pixels = np.asarray(frame)
    return np.pad(pixels, ((0, pixels.shape[0] % 2), (0, pixels.shape[1] % 2), (0, 0)), mode="edge")
