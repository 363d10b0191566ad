"""Waves into sound files: wav, flac, Opus in Ogg, mp3."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np

from pggan_framework.audio.base import Wave
from pggan_framework.errors import UserError, nearest
from pggan_framework.storage.atomic import atomic_path

SoundFormat = Literal["wav", "flac", "ogg", "opus", "mp3"]
"""Endings of sound files that are written; ``ogg`` and ``opus`` are both Opus in an Ogg container."""

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
"""Samples given to the library at once: its Ogg encoders keep all they are given on the stack."""


def writable_formats() -> list[str]:
    """The formats that this machine's libsndfile can write."""
    import soundfile

    return [
        ending for ending, (container, subtype) in _CONTAINERS.items() if soundfile.check_format(container, subtype)
    ]


def check_format(name: str) -> None:
    """Raise unless a file of this format can be written here.

    Raises:
        UserError: if `name` is no format, or libsndfile cannot write it.
    """
    allowed = writable_formats()
    if name in allowed:
        return
    known = f"; this machine's libsndfile cannot write {name}" if name in _CONTAINERS else nearest(name, allowed)
    raise UserError(f"sound format '{name}' is not allowed{known}; allowed: {', '.join(allowed)}")


def file_rate(sample_rate: int, name: str) -> int:
    """The rate of a file of format `name` for sound of `sample_rate`, Hz.

    The same where the format has it; else the next higher one it has, or else its highest.
    """
    rates = _RATES.get(name, (sample_rate,))
    return min((rate for rate in rates if rate >= sample_rate), default=rates[-1])


def write_sound(
    path: Path, wave: Wave, sample_rate: int, format: SoundFormat | None = None, vorbis: bool = False
) -> None:
    """Write a wave [T] or [channels, T] so that nobody ever reads half of it; missing folders are made.

    wav and flac have 16 bits, and the same wave gives the same bytes; so does mp3. Opus and mp3, which are lossy, are
    resampled where they have no such rate, see `file_rate`. What is beyond full scale is held there; what is no number
    is silence.

    Args:
        path: the file.
        wave: float32, full scale 1.
        sample_rate: samples a second.
        format: by default that of the path's ending.
        vorbis: write Vorbis into ``ogg`` files, for programs that do not know Opus: samplers.

    Raises:
        UserError: if there is no such format, or the file cannot be written.
    """
    import soundfile

    name = format or path.suffix.lower().removeprefix(".")
    check_format(name)
    container, subtype = ("OGG", "VORBIS") if vorbis and name == "ogg" else _CONTAINERS[name]
    frames = np.nan_to_num(np.asarray(wave, np.float32).T, nan=0.0, posinf=1.0, neginf=-1.0)
    rate = sample_rate if subtype == "VORBIS" else file_rate(sample_rate, name)
    if rate != sample_rate:
        import soxr

        frames = soxr.resample(frames, sample_rate, rate, quality="HQ")
    frames = np.clip(frames, -1.0, 1.0)
    if subtype == "PCM_16":
        frames = np.clip(np.rint(frames * np.float32(32768)), -32768, 32767).astype(np.int16)
    channels = 1 if frames.ndim == 1 else frames.shape[1]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with (
            atomic_path(path) as temporary,
            soundfile.SoundFile(str(temporary), "w", rate, channels, subtype, format=container) as file,
        ):
            for start in range(0, len(frames), _BLOCK):
                file.write(frames[start : start + _BLOCK])
    except (OSError, soundfile.SoundFileError) as error:
        raise UserError(f"cannot write {path}: {error}") from error
