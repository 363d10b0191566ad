"""A trained model that turns latents and labels into images and clips, one at a time."""

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
"""Where a common gain puts the loudest sample: 1 dB below full scale."""


@dataclass(frozen=True)
class Decoding:
    """How images become sound; see `audio.base.Codec.decode`, and for `fade` `audio.finish.finished`."""

    griffin_lim_iter: int = 32
    phase_start: PhaseStart = "auto"
    refine_iter: int = 16
    fade: bool = True


class Player:
    """A model, its decoder settings, and the label values the user chose.

    A sample is made alone, never in a batch, so that it does not depend on its neighbours: seed 7 is the same bytes
    whatever else is requested.

    Args:
        model: from `pretrained.load_generator`.
        decoding: how its images become sound.
        fixed: values of attributes that hold for everything; the others are drawn by the seed.
        in_turn: take the model's labels in their order, seed 0 the first, in place of drawing them.
        truncation: of the latents; see `Pretrained.latents`.
        every: an attribute of which each seed is made with every value, as `every.find_every` reads it.

    Raises:
        UserError: if `fixed` or `every` names an attribute or a value that the model does not have.
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
        """What the model is conditioned on."""
        return self.model.label_space

    @property
    def codec(self) -> Codec:
        """The codec of a model of sound.

        Raises:
            UserError: if it makes images.
        """
        if self.model.codec is None:
            raise UserError("this needs a model of sound; the given one makes images")
        return self.model.codec

    def numbers(self, name: str) -> dict[int, str]:
        """The values of an attribute that the user left open, as MIDI numbers 0 to 127, ascending.

        A continuous one gives the whole numbers in its range. Empty if the model has no such attribute, or its values
        are no such numbers.
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
        """The MIDI pitches that the model is conditioned on, rising.

        Args:
            what: the flag that asks, for the message.

        Raises:
            UserError: if it is not conditioned on pitch, or its pitches are not MIDI numbers, or one is given.
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
        """A label [A]: `values`, then what the user fixed, then what the seed draws as the training data had it."""
        drawn = self.model.draw_labels(1, seed)
        if drawn is None or self.space is None:
            return None
        if self.in_turn and self.model.label_rows is not None:
            drawn = self.model.label_rows[[seed % len(self.model.label_rows)]]
        return self.space.find({**self.space.values(drawn[0]), **self.fixed, **(values or {})})

    @property
    def variants(self) -> int:
        """How many samples are made of each seed: one, or one for each value of `every`."""
        return 1 if self.every is None else len(self.every.values)

    def asked(self, seeds: Iterable[int]) -> Iterator[tuple[int, Labels | None]]:
        """Seed and label [A] of each sample that the seeds mean: all values of `every`, one after the other."""
        for seed in seeds:
            if self.every is None:
                yield seed, self.label(seed)
                continue
            for value in self.every.values:
                yield seed, self.label(seed, {self.every.name: value})

    def latent(self, seed: int) -> Tensor:
        """The latent [F] of a seed."""
        return self.model.latents(1, seed, self.truncation)[0]

    def picture(self, latent: Tensor, label: Labels | None) -> NDArray[np.float32]:
        """Latent [F] and label [A] -> image [C, h, w] in [-1, 1]."""
        picture: NDArray[np.float32] = self.model.generate(latent[None], None if label is None else label[None])[0]
        return picture

    def condition(self, label: Labels | None) -> Tensor | None:
        """What the generator sees of a label [A]: numbers [width], or maps [K, h, w]; None of None."""
        seen = None if label is None else self.model.condition(label[None])
        return None if seen is None else seen[0]

    def at(self, place: Place) -> NDArray[np.float32]:
        """The image [C, h, w] in [-1, 1] at a place of a walk."""
        seen = None if place.condition is None else place.condition[None]
        picture: NDArray[np.float32] = self.model.draw(place.latent[None], seen)[0]
        return picture

    def pictures(self, latents: Sequence[Tensor], labels: Sequence[Labels | None]) -> NDArray[np.float32]:
        """N latents [F] and labels [A] -> images [N, C, h, w] in [-1, 1], made together."""
        from torch import stack

        rows = [label for label in labels if label is not None]
        known = self.space.typed(np.stack(rows)) if self.space is not None and rows else None
        return self.model.generate(stack(list(latents)), known, len(latents))

    def wave(self, picture: NDArray[np.float32], seed: int) -> Wave:
        """Image [C, h, w] -> sound [channels, T]."""
        how = self.decoding
        waves = self.model.decode(picture[None], seed, how.griffin_lim_iter, how.phase_start, how.refine_iter)
        wave: Wave = waves[0]
        return wave if wave.ndim == 2 else wave[None]

    def finished(self, wave: Wave) -> Wave:
        """A sound [channels, T] as written to a file: not clipped, its ends faded unless `Decoding.fade` is off."""
        from pggan_framework.audio.finish import finished

        clip: Wave = finished(wave[None], self.codec.sample_rate, fade=self.decoding.fade)[0]
        return clip

    def clip(self, seed: int, values: Mapping[str, object] | None = None) -> Wave:
        """The sound [channels, T] of a seed's latent under `label`'s label."""
        return self.wave(self.picture(self.latent(seed), self.label(seed, values)), seed)

    def stem(self, seed: int, label: Labels | None) -> str:
        """A file's name without its ending: ``seed0007_pitch60``."""
        return "_".join([f"seed{seed:04d}", *label_words(self.space, label)])

    def _attribute(self, name: str) -> Attribute | None:
        attributes = self.space.attributes if self.space else ()
        return next((attribute for attribute in attributes if attribute.name == name), None)


def label_words(space: LabelSpace | None, label: Sequence[Any] | Labels | None) -> list[str]:
    """A label [A] as parts of a file's name: ``pitch60``, ``kind-snare``; what no file system likes becomes ``-``."""
    if space is None or label is None:
        return []
    words = []
    for attribute, code in zip(space.attributes, label, strict=True):
        value = attribute.text(code)
        words.append(re.sub(r"[^\w.+-]", "-", f"{attribute.name}{'' if value[:1].isdigit() else '-'}{value}"))
    return words


def common_gain(peak: float) -> float:
    """What brings a peak to `PEAK`; 1 for what is quieter than half a step of 16 bits: silence."""
    return PEAK / peak if peak >= 2**-16 else 1.0
