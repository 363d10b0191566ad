"""Sound in containers that libsndfile does not read (m4a, aac, wma, webm ...), decoded by an ffmpeg program."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
import threading
from functools import cache

import numpy as np
from numpy.typing import NDArray

HINT = "it needs ffmpeg: install it, or pip install imageio-ffmpeg"
SECONDS = 600
"""Seconds after which a decoder is killed in any state."""
_SIGNATURES = (
    (4, b"ftyp", "m4a"),
    (0, b"\x1aE\xdf\xa3", "webm or mka"),
    (0, b"0&\xb2u\x8ef\xcf\x11", "wma"),
    (0, b"MAC ", "ape"),
    (0, b"wvpk", "wv"),
    (0, b"TTA1", "tta"),
    (0, b"MPCK", "mpc"),
    (0, b"MP+", "mpc"),
    (0, b"#!AMR", "amr"),
    (0, b"\x0b\x77", "ac3"),
    (0, b"OggS", "ogg"),
    (0, b"RIFF", "wav"),
)
"""Offset, bytes at the offset, and name of each kind. Other files are not passed to ffmpeg, which finds sound in noise.
"""


def kind_of(head: bytes) -> str | None:
    """The kind of a file with these first bytes, if ffmpeg reads it."""
    for offset, signature, name in _SIGNATURES:
        if head[offset : offset + len(signature)] == signature:
            return name
    # ADTS: 12 bits of sync, layer 0.
    return "aac" if len(head) > 1 and head[0] == 0xFF and head[1] & 0xF6 == 0xF0 else None


@cache
def find_program() -> str | None:
    """Path of an installed ffmpeg, or of the ffmpeg in the package imageio-ffmpeg; None if there is neither."""
    if found := shutil.which("ffmpeg"):
        return found
    try:
        import imageio_ffmpeg

        return str(imageio_ffmpeg.get_ffmpeg_exe())
    except (ImportError, RuntimeError):
        return None


class FfmpegSound:
    """The first sound stream of a file, from its beginning, with the interface of `soundfile.SoundFile`.

    Args:
        path: path of the file.

    Raises:
        OSError: if there is no ffmpeg, or it finds no sound in the file; the message contains the reason.
    """

    def __init__(self, path: str) -> None:
        program = find_program()
        if program is None:
            raise OSError(HINT)
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the process
        # Files can refer to other files and addresses; only this file is opened.
        command = [program, "-nostdin", "-v", "error", "-threads", "1", "-protocol_whitelist", "file"]
        command += ["-i", f"file:{path}", "-map", "0:a:0", "-f", "wav", "-c:a", "pcm_f32le", "-bitexact", "-"]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=self._errors)
        self._timer = threading.Timer(SECONDS, self._process.kill)
        self._timer.daemon = True
        self._timer.start()
        self.samplerate = self.channels = 0
        self._read_header(path)

    def read(self, frames: int, dtype: str = "float32", always_2d: bool = True) -> NDArray[np.float32]:
        """Read the next samples, [frames, channels]; fewer at the end."""
        assert self._process.stdout is not None
        data = self._process.stdout.read(frames * 4 * self.channels)
        whole = len(data) // (4 * self.channels)
        return np.frombuffer(data, "<f4", whole * self.channels).reshape(whole, self.channels)

    def close(self) -> None:
        """Stop the decoder."""
        self._timer.cancel()
        self._process.kill()
        assert self._process.stdout is not None
        self._process.stdout.close()
        self._process.wait()
        self._errors.close()

    def __enter__(self) -> FfmpegSound:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def __del__(self) -> None:
        if hasattr(self, "_timer"):
            self.close()

    def _read_header(self, path: str) -> None:
        """Read the wav header that ffmpeg writes, up to the samples; ffmpeg does not know their size in advance."""
        assert self._process.stdout is not None
        head = self._process.stdout.read(12)
        while len(chunk := self._process.stdout.read(8)) == 8 and chunk[:4] != b"data":
            body = self._process.stdout.read(int.from_bytes(chunk[4:], "little"))
            if chunk[:4] == b"fmt ":
                self.channels, self.samplerate = (
                    int.from_bytes(body[2:4], "little"),
                    int.from_bytes(body[4:8], "little"),
                )
        if len(head) < 12 or not self.channels or chunk[:4] != b"data":
            self._process.wait()
            self._errors.seek(0)
            lines = self._errors.read().decode(errors="replace").strip().splitlines()
            # Lines begin with the reporting component and its address; the last line begins with the path.
            reason = (
                re.sub(r"^\[[^\]]*\] ", "", lines[0]).removeprefix(f"file:{path}: ") if lines else "it finds no sound"
            )
            self.close()
            raise OSError(f"ffmpeg: {reason}")
