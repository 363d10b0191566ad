"""Views of images to compare: pixels at several sizes, magnitudes and phases of sounds, extractor features.

Each view turns images [N, C, h, w] into parts, tensors [N, ...] whose squared differences are compared.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from math import log1p
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from pggan_framework.audio.base import Codec
from pggan_framework.audio.complexlog import KNEE

if TYPE_CHECKING:
    from pggan_framework.metrics.extractors import Extractor

View = Callable[[Tensor], list[Tensor]]

SMALLEST = 4
"""Side in pixels down to which images are halved."""
MINOR = 0.1
"""Weight of phases, real and imaginary parts and samples, which are hardly audible, relative to magnitudes."""
WINDOWS = (2048, 1024, 512, 256)
"""Window lengths in samples of the spectra of folded waveforms."""
FLOOR = 1e-6
"""Power below which these spectra are silent: -60 dB of a sine at full scale."""


class Term(NamedTuple):
    """A view and its weight."""

    name: str
    weight: float
    view: View


def picture_terms(codec: Codec | None, weight: float) -> list[Term]:
    """Return the terms of the images themselves; the weights sum to about `weight`.

    Sounds are compared by their magnitudes. Phases are compared on the unit circle, weighted by loudness, with weight
    `MINOR`. Real and imaginary parts are also compared with weight `MINOR`, in addition to their magnitudes. Folded
    waveforms are compared by their spectra with several windows (Yamamoto et al. 2020, arXiv 1910.11480), and by their
    samples with weight `MINOR`.

    Args:
        codec: codec of the images; None for plain images.
        weight: total weight of the terms.
    """
    if codec is None:
        return [Term("pixels", weight, lambda pictures: pyramid(premultiplied(pictures)))]
    if codec.name == "raw":
        spectra = partial(wave_spectra, size=codec.shape[1:])
        return [Term("spectrum", weight, spectra), Term("samples", MINOR * weight, lambda pictures: [pictures])]
    kinds = codec.channel_kinds()
    if set(kinds) == {"value"}:
        return [Term("pixels", weight, pyramid)]
    terms = [Term("magnitudes", weight, lambda pictures: pyramid(magnitudes(pictures, kinds)))]
    if "phase step" in kinds:
        terms.append(Term("phases", MINOR * weight, partial(_phases, kinds=kinds)))
    if "real" in kinds:
        terms.append(Term("parts", MINOR * weight, lambda pictures: [pictures]))
    return terms


def feature_term(extractor: Extractor, weight: float, codec: Codec | None, places: bool) -> Term:
    """Return the term of the features of an extractor, which receives sounds as grey images of their magnitudes.

    Args:
        extractor: feature extractor.
        weight: weight of the term.
        codec: codec of the images; None for plain images.
        places: compare inner layers position by position, each scaled to unit length across its channels (LPIPS without
            its learned weights, Zhang et al. 2018, arXiv 1801.03924); else compare the features of the whole image.
    """

    def view(pictures: Tensor) -> list[Tensor]:
        seen = pictures if codec is None else _loudness(pictures, codec)
        if codec is not None or seen.shape[1] not in (1, 3, 4):
            seen = seen.reshape(-1, 1, *seen.shape[2:])
        if not places:
            return [extractor.features(seen).reshape(len(pictures), -1)]
        layers = (layer * (layer.square().sum(1, keepdim=True) + 1e-10).rsqrt() for layer in extractor.maps(seen))
        return [layer.reshape(len(pictures), -1) for layer in layers]

    return Term(extractor.name, weight, view)


def pyramid(pictures: Tensor) -> list[Tensor]:
    """Return images [N, C, h, w] and their box means, with each side halved successively down to `SMALLEST`."""
    levels = [pictures]
    while True:
        factors = [2 if side > SMALLEST and side % 2 == 0 else 1 for side in levels[-1].shape[2:]]
        if factors == [1, 1]:
            return levels
        levels.append(avg_pool2d(levels[-1], (factors[0], factors[1])))


def premultiplied(pictures: Tensor) -> Tensor:
    """Multiply colours of RGBA images [N, 4, h, w] by opacity, since colours of transparent pixels are invisible."""
    if pictures.shape[1] != 4:
        return pictures
    opacity = (pictures[:, 3:] + 1) / 2
    return torch.cat([(pictures[:, :3] + 1) * opacity - 1, pictures[:, 3:]], 1)


def magnitudes(pictures: Tensor, kinds: tuple[str, ...]) -> Tensor:
    """Return log magnitudes [N, channels of the wave, h, w], -1 for silence, of images with channels of these kinds.

    Magnitudes are channels of the image, are computed from real and imaginary parts, or are absolute values of real
    parts.
    """
    return torch.stack(list(_magnitudes(pictures, kinds)), 1)


def _magnitudes(pictures: Tensor, kinds: tuple[str, ...]) -> Iterator[Tensor]:
    curve = log1p(KNEE)
    for index, kind in enumerate(kinds):
        if kind == "magnitude":
            yield pictures[:, index]
        elif kind == "real" and "imaginary" in kinds:
            both = torch.expm1(pictures[:, index : index + 2].abs() * curve)
            yield 2 * torch.log1p((both.square().sum(1) + 1e-12).sqrt()) / curve - 1
        elif kind == "real":
            yield 2 * pictures[:, index].abs() - 1


def _phases(pictures: Tensor, kinds: tuple[str, ...]) -> list[Tensor]:
    """Return phase steps as points on a circle, scaled by loudness: [N, 2, channels of the wave, h, w]."""
    loudness = (magnitudes(pictures, kinds) + 1) / 2
    angles = torch.pi * pictures[:, [index for index, kind in enumerate(kinds) if kind == "phase step"]]
    return [torch.stack([loudness * angles.cos(), loudness * angles.sin()], 1)]


def wave_spectra(pictures: Tensor, size: tuple[int, int]) -> list[Tensor]:
    """Return log power spectra of folded waveforms [N, channels, h, w], with several windows.

    Args:
        pictures: images of any depth.
        size: [H, W] at full depth, to which the images are enlarged.
    """
    down, across = size[0] // pictures.shape[2], size[1] // pictures.shape[3]
    waves = pictures.repeat_interleave(down, 2).repeat_interleave(across, 3).flatten(2)
    rows = waves.reshape(-1, waves.shape[2])
    longest = rows.shape[1]
    parts = []
    for window in [length for length in WINDOWS if length <= longest] or [longest]:
        hann = torch.hann_window(window)
        spectra = torch.stft(rows, window, max(window // 4, 1), window=hann, return_complex=True)
        power = torch.view_as_real(spectra).square().sum(-1) / (hann.sum() / 2) ** 2
        parts.append(torch.log(power + FLOOR).reshape(len(pictures), -1))
    return parts


def _loudness(pictures: Tensor, codec: Codec) -> Tensor:
    """Return the extractor's input for sounds: magnitudes, or the images if they have no magnitudes."""
    kinds = codec.channel_kinds()
    return pictures if set(kinds) == {"value"} else magnitudes(pictures, kinds)
