"""A player: turns latents and labels into images and clips with a trained model, one at a time."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import ceil, floor
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pggan_framework.errors import UserError
from pggan_framework.generate.every import find_every
from pggan_framework.labels.attributes import Attribute, Labels, LabelSpace

if TYPE_CHECKING:
    from torch import Tensor

    from pggan_framework.audio.base import Codec, PhaseStart, Wave
    from pggan_framework.generate.interpolate import Place
    from pggan_framework.models.pretrained import Pretrained

PEAK = 10 ** (-1 / 20)
"""Peak after applying a common gain: 1 dB below full scale."""


@dataclass(frozen=True)
class Decoding:
    """Settings for decoding images to sounds; see `audio.base.Codec.decode`, and `audio.finish.finished` for `fade`."""

    griffin_lim_iter: int = 32
    phase_start: PhaseStart = "auto"
    refine_iter: int = 16
    fade: bool = True


class Player:
    """A model with decoder settings and the label values that the user chose.

    Samples are generated one at a time, never in a batch, so that the bytes of a seed do not depend on the other
    requested samples.

    Args:
        model: model loaded by `pretrained.load_generator`.
        decoding: settings of the decoder.
        fixed: values of attributes for all samples; the seed determines the other attributes.
        in_turn: use the model's labels in order, starting at seed 0, instead of drawing them.
        truncation: truncation of the latents; see `Pretrained.latents`.
        every: generate each seed with every value of this attribute; see `every.find_every`.

    Raises:
        UserError: if the model lacks an attribute or value of `fixed` or `every`.
    """

    def __init__(
        self,
        model: Pretrained,
        decoding: Decoding | None = None,
        fixed: Mapping[str, str] | None = None,
        in_turn: bool = False,
        truncation: float | None = None,
        every: str | None = None,
    ) -> None:
        self.model, self.decoding, self.fixed = model, decoding or Decoding(), dict(fixed or {})
        self.in_turn, self.truncation = in_turn, truncation
        if self.fixed and self.space is None:
            raise UserError(f"the label {', '.join(self.fixed)} is given, but the model was trained without labels")
        self.label(0)
        self.every = None if every is None else find_every(every, self.space)
        if self.every is not None and self.every.name in self.fixed:
            given = f"{self.every.name}={self.fixed[self.every.name]}"
            raise UserError(f"--label {given} is given with --every {self.every.name}; omit one")

    @property
    def space(self) -> LabelSpace | None:
        """The labels of the model."""
        return self.model.label_space

    @property
    def codec(self) -> Codec:
        """The codec of a sound model.

        Raises:
            UserError: if the model generates images.
        """
        if self.model.codec is None:
            raise UserError("this needs a model of sound; the given one makes images")
        return self.model.codec

    def numbers(self, name: str) -> dict[int, str]:
        """Return the MIDI numbers (0 to 127, ascending) of an attribute whose value the user did not set.

        For a continuous attribute, these are the integers in its range. The result is empty if the model lacks the
        attribute or its values are not MIDI numbers.
        """
        attribute = self._attribute(name)
        if attribute is None or name in self.fixed:
            return {}
        if attribute.span is not None:
            low, high = ceil(attribute.span[0]), floor(attribute.span[1])
            return {value: str(value) for value in range(low, high + 1)} if low >= 0 and high <= 127 else {}
        if not all(re.fullmatch(r"\d{1,3}", value) and int(value) <= 127 for value in attribute.values):
            return {}
        return {int(value): value for value in sorted(attribute.values, key=int)}

    def pitches(self, what: str) -> list[int]:
        """Return the MIDI pitches of the model in ascending order.

        Args:
            what: name of the flag for messages.

        Raises:
            UserError: if the model is not conditioned on pitch, its pitches are not MIDI numbers, or the user set a
            pitch.
        """
        if "pitch" in self.fixed:
            given = self.fixed["pitch"]
            raise UserError(f"--label pitch={given} is given, but {what} chooses the pitches; omit it")
        found = self.numbers("pitch")
        if not found:
            names = [attribute.name for attribute in self.space.attributes] if self.space else []
            known = "pitches are not MIDI numbers" if "pitch" in names else f"labels are {', '.join(names) or 'none'}"
            raise UserError(f"{what} needs a model conditioned on pitch, as MIDI numbers; this one's {known}")
        return list(found)

    def label(self, seed: int, values: Mapping[str, object] | None = None) -> Labels | None:
        """Return a label [A]: `values`, else the user's fixed values, else values drawn with the data's frequencies."""
        drawn = self.model.draw_labels(1, seed)
        if drawn is None or self.space is None:
            return None
        if self.in_turn and self.model.label_rows is not None:
            drawn = self.model.label_rows[[seed % len(self.model.label_rows)]]
        return self.space.find({**self.space.values(drawn[0]), **self.fixed, **(values or {})})

    @property
    def variants(self) -> int:
        """The number of samples per seed: 1, or the number of values of `every`."""
        return 1 if self.every is None else len(self.every.values)

    def asked(self, seeds: Iterable[int]) -> Iterator[tuple[int, Labels | None]]:
        """Yield seed and label [A] of each sample; each seed is combined with all values of `every` in order."""
        for seed in seeds:
            if self.every is None:
                yield seed, self.label(seed)
                continue
            for value in self.every.values:
                yield seed, self.label(seed, {self.every.name: value})

    def latent(self, seed: int) -> Tensor:
        """Return the latent [F] of a seed."""
        return self.model.latents(1, seed, self.truncation)[0]

    def picture(self, latent: Tensor, label: Labels | None) -> NDArray[np.float32]:
        """Generate an image [C, h, w] in [-1, 1] from a latent [F] and a label [A]."""
        picture: NDArray[np.float32] = self.model.generate(latent[None], None if label is None else label[None])[0]
        return picture

    def condition(self, label: Labels | None) -> Tensor | None:
        """Convert a label [A] to the generator's input: a vector [width] or maps [K, h, w]; None for None."""
        seen = None if label is None else self.model.condition(label[None])
        return None if seen is None else seen[0]

    def at(self, place: Place) -> NDArray[np.float32]:
        """Generate the image [C, h, w] in [-1, 1] at a point of an interpolation."""
        seen = None if place.condition is None else place.condition[None]
        picture: NDArray[np.float32] = self.model.draw(place.latent[None], seen)[0]
        return picture

    def pictures(self, latents: Sequence[Tensor], labels: Sequence[Labels | None]) -> NDArray[np.float32]:
        """Generate images [N, C, h, w] in [-1, 1] from N latents [F] and labels [A] in one batch."""
        from torch import stack

        rows = [label for label in labels if label is not None]
        known = self.space.typed(np.stack(rows)) if self.space is not None and rows else None
        return self.model.generate(stack(list(latents)), known, len(latents))

    def wave(self, picture: NDArray[np.float32], seed: int) -> Wave:
        """Decode an image [C, h, w] to a sound [channels, T]."""
        how = self.decoding
        waves = self.model.decode(picture[None], seed, how.griffin_lim_iter, how.phase_start, how.refine_iter)
        wave: Wave = waves[0]
        return wave if wave.ndim == 2 else wave[None]

    def finished(self, wave: Wave) -> Wave:
        """Finish a sound [channels, T] for writing: no clipping, and fades unless `Decoding.fade` is off."""
        from pggan_framework.audio.finish import finished

        clip: Wave = finished(
            wave[None], self.codec.sample_rate, fade=self.decoding.fade, start_db=self.codec.start_db
        )[0]
        return clip

    def clip(self, seed: int, values: Mapping[str, object] | None = None) -> Wave:
        """Generate the sound [channels, T] of a seed's latent with the label that `label` returns."""
        return self.wave(self.picture(self.latent(seed), self.label(seed, values)), seed)

    def stem(self, seed: int, label: Labels | None) -> str:
        """Return a file name without extension: ``seed0007_pitch60``."""
        return "_".join([f"seed{seed:04d}", *label_words(self.space, label)])

    def _attribute(self, name: str) -> Attribute | None:
        attributes = self.space.attributes if self.space else ()
        return next((attribute for attribute in attributes if attribute.name == name), None)


def label_words(space: LabelSpace | None, label: Sequence[Any] | Labels | None) -> list[str]:
    """Convert a label [A] to parts of a file name: ``pitch60``, ``kind-snare``; unsafe characters become ``-``."""
    if space is None or label is None:
        return []
    words = []
    for attribute, code in zip(space.attributes, label, strict=True):
        value = attribute.text(code)
        words.append(re.sub(r"[^\w.+-]", "-", f"{attribute.name}{'' if value[:1].isdigit() else '-'}{value}"))
    return words


def common_gain(peak: float) -> float:
    """Return the gain that brings a peak to `PEAK`; 1 for silence, which is a peak below half a 16-bit step."""
    return PEAK / peak if peak >= 2**-16 else 1.0
