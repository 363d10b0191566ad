"""Sounds: waves with a notebook player, and their files: wav, flac, Opus in Ogg, mp3."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from html import escape
from io import BytesIO
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from pggan_framework.audio.base import Wave
from pggan_framework.errors import UserError, nearest
from pggan_framework.storage.atomic import atomic_path
from pggan_framework.storage.names import libsndfile_path

SoundFormat = Literal["wav", "flac", "ogg", "opus", "mp3"]
"""Extensions of writable sound files; ``ogg`` and ``opus`` are both Opus in an Ogg container."""

_CONTAINERS = {
    "wav": ("WAV", "PCM_16"),
    "flac": ("FLAC", "PCM_16"),
    "ogg": ("OGG", "OPUS"),
    "opus": ("OGG", "OPUS"),
    "mp3": ("MP3", "MPEG_LAYER_III"),
}
_OPUS_RATES = (8000, 12000, 16000, 24000, 48000)
_MP3_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)
_RATES = {"ogg": _OPUS_RATES, "opus": _OPUS_RATES, "mp3": _MP3_RATES}
_BLOCK = 1 << 16
"""Number of samples per call of the library: its Ogg encoders allocate them on the stack."""


@dataclass(frozen=True, eq=False)
class Sound:
    """A sound with its sample rate; a notebook shows a player.

    Args:
        wave: float32 [T] or [channels, T], full scale 1.
        sample_rate: sample rate in Hz.
        name: name shown next to the player.
    """

    wave: Wave
    sample_rate: int
    name: str = ""

    @classmethod
    def read(cls, path: str | Path) -> Sound:
        """Read a sound file without resampling.

        Raises:
            UserError: if the file cannot be read.
        """
        import soundfile

        try:
            wave, rate = soundfile.read(libsndfile_path(path), dtype="float32")
        except (OSError, soundfile.SoundFileError) as error:
            raise UserError(f"cannot read {path}: {error}") from error
        return cls(np.ascontiguousarray(wave.T), int(rate), Path(path).stem)

    def save(self, path: str | Path) -> None:
        """Write a file in the format of its extension; see `write_sound`."""
        write_sound(Path(path), self.wave, self.sample_rate)

    @property
    def seconds(self) -> float:
        """The duration in seconds."""
        return float(self.wave.shape[-1] / self.sample_rate)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        """The wave."""
        return np.asarray(self.wave, dtype)

    def __repr__(self) -> str:
        channels = 1 if self.wave.ndim == 1 else len(self.wave)
        return (
            f"Sound({self.name + ', ' if self.name else ''}{self.seconds:.3g} s, {self.sample_rate} Hz, {channels} ch)"
        )

    def _repr_html_(self) -> str:
        """Notebook output: a player."""
        import soundfile

        buffer = BytesIO()
        soundfile.write(buffer, _pcm(self.wave), self.sample_rate, format="WAV", subtype="PCM_16")
        data = base64.b64encode(buffer.getvalue()).decode("ascii")
        return f'<audio controls preload="metadata" src="data:audio/wav;base64,{data}"></audio> {escape(self.name)}'


def writable_formats() -> list[str]:
    """Return the formats that this machine's libsndfile can write."""
    import soundfile

    return [
        ending for ending, (container, subtype) in _CONTAINERS.items() if soundfile.check_format(container, subtype)
    ]


def check_format(name: str) -> None:
    """Check that files of this format can be written on this machine.

    Raises:
        UserError: if `name` is not a format, or libsndfile cannot write it.
    """
    allowed = writable_formats()
    if name in allowed:
        return
    known = f"; this machine's libsndfile cannot write {name}" if name in _CONTAINERS else nearest(name, allowed)
    raise UserError(f"sound format '{name}' is not allowed{known}; allowed: {', '.join(allowed)}")


def file_rate(sample_rate: int, name: str) -> int:
    """Return the sample rate in Hz of a file of format `name` for sound of `sample_rate`.

    It is `sample_rate` if the format supports it; else the next higher supported rate, or the highest.
    """
    rates = _RATES.get(name, (sample_rate,))
    return min((rate for rate in rates if rate >= sample_rate), default=rates[-1])


def write_sound(
    path: Path, wave: Wave, sample_rate: int, format: SoundFormat | None = None, vorbis: bool = False
) -> None:
    """Write a wave [T] or [channels, T] atomically; missing folders are created.

    wav and flac have 16 bits. For wav, flac and mp3, the same wave gives the same bytes. The lossy formats Opus and mp3
    are resampled if they do not support the rate; see `file_rate`. Values beyond full scale are clipped; NaN becomes
    silence.

    Args:
        path: destination of the file.
        wave: float32, full scale 1.
        sample_rate: samples per second.
        format: the format (default: that of the file extension).
        vorbis: write Vorbis into ``ogg`` files, for samplers and other programs without Opus.

    Raises:
        UserError: if the format does not exist, or the file cannot be written.
    """
    import soundfile

    name = format or path.suffix.lower().removeprefix(".")
    check_format(name)
    container, subtype = ("OGG", "VORBIS") if vorbis and name == "ogg" else _CONTAINERS[name]
    frames = _finite(wave)
    rate = sample_rate if subtype == "VORBIS" else file_rate(sample_rate, name)
    if rate != sample_rate:
        import soxr

        frames = soxr.resample(frames, sample_rate, rate, quality="HQ")
    values: NDArray[Any] = _pcm(frames.T) if subtype == "PCM_16" else np.clip(frames, -1.0, 1.0)
    channels = 1 if values.ndim == 1 else values.shape[1]
    try:
        # Encode in memory first: on a full disk, the library does not report a failure to complete the header.
        encoded = BytesIO()
        with soundfile.SoundFile(encoded, "w", rate, channels, subtype, format=container) as file:
            for start in range(0, len(values), _BLOCK):
                file.write(values[start : start + _BLOCK])
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_path(path) as temporary:
            temporary.write_bytes(encoded.getbuffer())
    except (OSError, soundfile.SoundFileError) as error:
        raise UserError(f"cannot write {path}: {error}") from error


def _finite(wave: Wave) -> Wave:
    """Convert a wave [T] or [channels, T] to finite frames [T] or [T, channels]."""
    frames: Wave = np.nan_to_num(np.asarray(wave, np.float32).T, nan=0.0, posinf=1.0, neginf=-1.0)
    return frames


def _pcm(wave: Wave) -> NDArray[np.int16]:
    """Convert a wave [T] or [channels, T] to 16-bit frames."""
    levels: NDArray[np.int16] = np.clip(np.rint(_finite(wave) * np.float32(32768)), -32768, 32767).astype(np.int16)
    return levels
