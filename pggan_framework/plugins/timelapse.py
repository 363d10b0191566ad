"""TimeLapse: the sheets of samples one after the other as a moving picture."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pggan_framework.errors import UserError
from pggan_framework.files import atomic_path
from pggan_framework.loggers.extras import require
from pggan_framework.plugins.output import OutputGenerator
from pggan_framework.plugins.pictures import run_folder
from pggan_framework.postprocessors.image import ImageSaver
from pggan_framework.registry import register
from pggan_framework.training.plugin import Every, Plugin

if TYPE_CHECKING:
    from PIL.Image import Image

    from pggan_framework.training.trainer import Trainer

Size = tuple[int, int]
_SHEET = re.compile(r"fakes_(\d{6,})\.png")
_HOLD = 10
"""How many times as long as the others the last picture is shown."""


@register("plugin")
class TimeLapse(Plugin):
    """Strings the sheets of samples, which always come from the same latents, together as a moving picture.

    It is written as ``timelapse.gif`` (or ``.webp``, ``.mp4``) when training ends, and every few ticks before, then
    without the sheet of that tick. One sheet at a time is in memory. ImageSaver must be among the postprocessors; mp4
    needs the extra ``video``.

    Args:
        formats: which files are written.
        every_ticks: ticks between two of them; 0 for only at the end.
        seconds: how long a sheet is shown; the last one is shown ten times as long. Above 0.
        longest_side: larger sheets are reduced to this many pixels.
        filename: the file's name without ending, inside the run's folder.
    """

    def __init__(
        self,
        formats: list[Literal["gif", "webp", "mp4"]] = ["gif"],  # noqa: B006  -- copied, never changed
        every_ticks: int = 0,
        seconds: float = 0.2,
        longest_side: int = 512,
        filename: str = "timelapse",
    ) -> None:
        if every_ticks < 0:
            raise UserError(f"TimeLapse.every_ticks {every_ticks} is not allowed; allowed: 0 and up")
        if not seconds >= 0.02:
            raise UserError(f"TimeLapse.seconds {seconds:g} is not allowed; allowed: 0.02 and up")
        if longest_side < 16:
            raise UserError(f"TimeLapse.longest_side {longest_side} is not allowed; allowed: 16 pixels or more")
        if "mp4" in formats:
            require("imageio_ffmpeg", "video", "TimeLapse with mp4")
        self.formats = tuple(formats)
        self.every = Every(every_ticks or 1, "tick")
        self.every_ticks = every_ticks
        self.seconds = seconds
        self.longest_side = longest_side
        self.filename = filename

    def setup(self, trainer: Trainer) -> None:
        """Find out who writes the sheets, and where.

        Raises:
            UserError: if nobody does.
        """
        super().setup(trainer)
        self._output = next(plugin for plugin in trainer.plugins if isinstance(plugin, OutputGenerator))
        savers = [saver for saver in self._output.postprocessors if isinstance(saver, ImageSaver)]
        if not savers:
            raise UserError("TimeLapse: there are no sheets of samples; allowed: ImageSaver among the postprocessors")
        self._folder = run_folder(trainer) / savers[0].samples_path

    def on_tick(self) -> None:
        """Write the moving picture of the sheets so far, where that is wished."""
        if self.every_ticks:
            self.write()

    def on_end(self) -> None:
        """Write the moving picture of all sheets."""
        # The last sheet is due now, too, and is written only once.
        self._output.on_end()
        self.write()

    def write(self) -> list[Path]:
        """Write the files; a disk that is full costs a message, not the run. Returns what was written."""
        sheets = self.sheets()
        written: list[Path] = []
        for ending in self.formats if sheets else ():
            path = run_folder(self.trainer) / f"{self.filename}.{ending}"
            try:
                with atomic_path(path) as temporary:
                    WRITERS[ending](temporary, sheets, self.longest_side, self.seconds)
            except OSError as error:
                self.trainer.parts.logger.message(f"cannot write {path} ({error}); the run goes on")
            else:
                written.append(path)
        return written

    def sheets(self) -> list[Path]:
        """The sheets from the beginning to now; later ones are of a part of the run that was given up."""
        found = [(int(match[1]), path) for path in self._folder.glob("*.png") if (match := _SHEET.fullmatch(path.name))]
        return [path for kimg, path in sorted(found) if kimg * 1000 <= self.trainer.nimg]


def frames(sheets: Sequence[Path], longest_side: int, multiple: int = 1) -> Iterator[Image]:
    """The sheets one by one in RGB, all of the first one's size or, if it is larger, reduced.

    Args:
        sheets: the files.
        longest_side: in pixels.
        multiple: of which both sides are made multiples.
    """
    from PIL import Image

    size: Size | None = None
    for path in sheets:
        with Image.open(path) as opened:
            picture = opened.convert("RGB")
        if size is None:
            factor = min(1.0, longest_side / max(picture.size))
            width, height = (max(round(side * factor) // multiple, 1) * multiple for side in picture.size)
            size = width, height
        smaller = picture.width >= size[0]
        yield picture.resize(size, Image.Resampling.BOX if smaller else Image.Resampling.NEAREST)


def write_gif(path: Path, sheets: Sequence[Path], longest_side: int, seconds: float) -> None:
    """An animated GIF, each picture with 256 colours of its own.

    Pillow's own saving of several pictures would hold all of them.
    """
    from PIL import GifImagePlugin, Image

    milliseconds = round(seconds * 1000)
    with path.open("wb") as file:
        for number, frame in enumerate(frames(sheets, longest_side)):
            indexed = frame.quantize(256, dither=Image.Dither.NONE)
            if number == 0:
                for part in GifImagePlugin.getheader(indexed, info={"loop": 0})[0]:
                    file.write(part)
            last = number == len(sheets) - 1
            for part in GifImagePlugin.getdata(
                indexed, duration=milliseconds * (_HOLD if last else 1), include_color_table=True
            ):
                file.write(part)
        file.write(b";")


def write_webp(path: Path, sheets: Sequence[Path], longest_side: int, seconds: float) -> None:
    """An animated WebP: the container of Google's specification around pictures that are encoded one by one."""
    from io import BytesIO

    milliseconds = round(seconds * 1000)
    with path.open("wb") as file:
        file.write(b"RIFF\0\0\0\0WEBP")
        for number, frame in enumerate(frames(sheets, longest_side)):
            size = _int24(frame.width - 1) + _int24(frame.height - 1)
            if number == 0:
                file.write(_chunk(b"VP8X", b"\x02\0\0\0" + size) + _chunk(b"ANIM", b"\xff\xff\xff\xff\0\0"))
            still = BytesIO()
            frame.save(still, format="WEBP", quality=85)
            shown = milliseconds * (_HOLD if number == len(sheets) - 1 else 1)
            # Place 0, 0; not blended with the one before. A still file is 12 bytes of head, then its picture's chunk.
            head = _int24(0) + _int24(0) + size + _int24(shown) + b"\x02"
            file.write(_chunk(b"ANMF", head + still.getvalue()[12:]))
        length = file.tell() - 8
        file.seek(4)
        file.write(length.to_bytes(4, "little"))


def _int24(value: int) -> bytes:
    return value.to_bytes(3, "little")


def _chunk(name: bytes, content: bytes) -> bytes:
    """A chunk of a RIFF file, padded to an even length."""
    return name + len(content).to_bytes(4, "little") + content + b"\0" * (len(content) % 2)


def write_mp4(path: Path, sheets: Sequence[Path], longest_side: int, seconds: float) -> None:
    """An MP4 (H.264), by the ffmpeg in the package imageio-ffmpeg."""
    from imageio_ffmpeg import write_frames

    writer = None
    for frame in frames(sheets, longest_side, multiple=2):
        if writer is None:
            options = {"fps": 1 / seconds, "macro_block_size": 2, "ffmpeg_log_level": "error"}
            writer = write_frames(str(path), frame.size, output_params=["-f", "mp4"], **options)
            writer.send(None)
        last = frame.tobytes()
        writer.send(last)
    if writer is not None:
        for _ in range(_HOLD - 1):
            writer.send(last)
        writer.close()


WRITERS: dict[str, Callable[[Path, Sequence[Path], int, float], None]] = {
    "gif": write_gif,
    "webp": write_webp,
    "mp4": write_mp4,
}
"""How each kind of file is written."""
