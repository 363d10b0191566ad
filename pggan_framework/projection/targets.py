"""Projection targets: files preprocessed like the model's training data."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from pggan_framework.audio.base import Codec, Wave
from pggan_framework.audio.offset import find_offset
from pggan_framework.audio.reading import Channels, SoundFile, UnreadableSound, read_header, read_wave
from pggan_framework.data.base import box_mean
from pggan_framework.data.images.files import colour, header_size, open_image, reason
from pggan_framework.data.images.fitting import Fitting, Mode
from pggan_framework.data.recordings.clips import ClipPolicy
from pggan_framework.errors import UserError
from pggan_framework.models.pretrained import Pretrained

Fit = Literal["stretch", "crop", "pad"]
_MODES: dict[int, Mode] = {1: "L", 3: "RGB", 4: "RGBA"}


@dataclass(frozen=True)
class Target:
    """A projection target.

    Args:
        path: file of the target.
        picture: [C, h, w] in [-1, 1], at the model's depth.
        wave: sound that the image was encoded from, [T] or [channels, T]; None for an image.
        remarks: conversions of the file, as text.
    """

    path: Path
    picture: NDArray[np.float32]
    wave: Wave | None = None
    remarks: tuple[str, ...] = ()


def read_target(path: Path, model: Pretrained, fit: Fit | None = None) -> Target:
    """Read an image or a sound with the preprocessing of the model's training data.

    An image is converted to the model's full size and channels, a sound to its codec's rate, length and channels; both
    are then reduced to the model's depth.

    Args:
        path: any image that Pillow reads, or any sound that libsndfile reads.
        model: model loaded by `pretrained.load_generator`.
        fit: handling of images of a different size (default: as for the training data, or ``crop`` if all training
            images
            had the same size).

    Raises:
        UserError: if the file does not exist, is not an image or a sound, or is not of the kind that the model
            generates.
    """
    if not path.is_file():
        raise UserError(f"{path} {'is not a file' if path.exists() else 'does not exist'}; allowed: image, sound")
    known = model.config.get(str(model.config.get("dataset_class"))) or {}
    if model.codec is not None:
        if fit is not None:
            raise UserError(f"--fit {fit} is for images; this model makes sounds")
        return _read_sound(path, model, model.codec, known)
    return _read_picture(path, model, known, fit)


def _read_picture(path: Path, model: Pretrained, known: dict[str, Any], fit: Fit | None) -> Target:
    channels, *full = model.growth.shape
    if channels not in _MODES:
        raise UserError(f"the model's images have {channels} channels, which no image file has")
    try:
        found = header_size(path)
    except Exception as error:  # Pillow's readers raise many kinds of errors for a broken file
        if _sound(path) is not None:
            raise UserError(f"{path} is a sound; this model makes images") from error
        raise UserError(f"{path} cannot be read as an image: {reason(error)}") from error
    policy = fit or known.get("resize", "none")
    if policy == "none":
        policy = "none" if list(found) == full else "crop"
    fitting = Fitting(_MODES[channels], (full[0], full[1]), policy, background=colour(known.get("background", "white")))
    try:
        with open_image(path) as image:
            pixels = fitting.pixels(image)
    except Exception as error:
        raise UserError(f"cannot decode {path}: {reason(error)}") from error
    small = box_mean(pixels, model.generator.size).astype(np.float32) / np.float32(127.5) - 1
    size, wanted = ("x".join(map(str, sides)) for sides in (found, full))
    return Target(path, small, None, () if list(found) == full else (f"{size} made {wanted} by {policy}",))


def _read_sound(path: Path, model: Pretrained, codec: Codec, known: dict[str, Any]) -> Target:
    header = _sound(path)
    if header is None:
        try:
            header_size(path)
        except Exception:  # see _read_picture
            raise UserError(f"{path} cannot be read as a sound: {_fault(path)}") from None
        raise UserError(f"{path} is an image; this model makes sounds")
    channels: Channels = "both" if codec.channels == 2 else "left" if known.get("channels") == "left" else "mix"
    rate, samples = codec.sample_rate, codec.samples
    policy = ClipPolicy(
        "project",
        samples,
        rate,
        channels,
        "pad",
        "first",
        trim_db=known.get("trim_db"),
        normalize=known.get("normalize", "none"),
    )
    try:
        survey = policy.survey(header)
        used = min(survey.length, samples)
        wave = read_wave(header, rate, survey.begin, used, channels)
        # As in the model's dataset; older runs do not have this flag.
        wave = wave - find_offset(wave, rate) if known.get("remove_offset", False) else wave
    except UnreadableSound as error:
        raise UserError(f"{path} cannot be read as a sound: {error}") from error
    wave = np.pad(wave, [(0, 0)] * (wave.ndim - 1) + [(0, samples - used)])
    if survey.gain_db:
        wave = wave * np.float32(10 ** (survey.gain_db / 20))
    # Training data are float16.
    full = codec.encode(wave).astype(np.float16)
    picture = box_mean(full, model.generator.size).astype(np.float32)
    return Target(path, picture, wave, tuple(_remarks(header, rate, survey.length, samples, survey.gain_db)))


def _remarks(header: SoundFile, rate: int, length: int, samples: int, gain_db: float) -> list[str]:
    """Return the conversions applied to a sound as text."""
    said = [] if header.sample_rate == rate else [f"{header.sample_rate} Hz made {rate} Hz"]
    if length > samples:
        said.append(f"the first {samples / rate:.2f} s of {length / rate:.2f} s")
    elif length < samples:
        said.append(f"{length / rate:.2f} s, padded with silence to {samples / rate:.2f} s")
    return [*said, f"{gain_db:+.1f} dB"] if gain_db else said


def _sound(path: Path) -> SoundFile | None:
    try:
        return read_header(path)
    except UnreadableSound:
        return None


def _fault(path: Path) -> str:
    try:
        read_header(path)
    except UnreadableSound as error:
        return str(error)
    return ""
