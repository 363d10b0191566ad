"""Clips whose segment, level, speed, start or equalization varies between epochs."""

from __future__ import annotations

import zlib

import numpy as np

from pggan_framework.audio import Wave
from pggan_framework.audio.offset import find_offset
from pggan_framework.audio.reading import read_wave
from pggan_framework.audio.variation import Variation
from pggan_framework.data.recordings.reader import Clip, ClipReader, amplified
from pggan_framework.errors import UserError
from pggan_framework.storage.names import name_bytes

MOST_VARIED = {"vary_level_db": 60.0, "vary_pitch": 12.0, "vary_start": 60.0, "vary_eq_db": 60.0}
"""The largest allowed value of each variation."""


class Varying:
    """The settings for varying clips in each epoch.

    Args:
        reader: reader of the clips.
        variation: ranges of the variations.
        new_each_epoch: whether to draw new segments in each epoch.

    Raises:
        UserError: if a number is out of range, or segments are not random.
    """

    def __init__(self, reader: ClipReader, variation: Variation, new_each_epoch: bool) -> None:
        self._reader, self._variation, self._new = reader, variation, new_each_epoch
        policy = reader.policy
        given = (variation.level_db, variation.pitch, variation.start, variation.eq_db)
        for (name, most), value in zip(MOST_VARIED.items(), given, strict=True):
            if not 0 <= value <= most:
                raise UserError(f"{policy.owner}.{name} {value:g} is not allowed; allowed: 0 to {most:g}")
        if new_each_epoch and policy.too_long != "random":
            raise UserError(
                f"{policy.owner}.new_each_epoch has no effect with too_long {policy.too_long}; allowed: too_long random"
            )

    def __bool__(self) -> bool:
        return self._new or bool(self._variation)

    def wave(self, clip: Clip, epoch: int) -> Wave:
        """Return the clip of `ClipReader.wave`, varied for an epoch: the same epoch gives the same bits.

        Raises:
            UnreadableSound: if it is unreadable.
        """
        policy, frequency = self._reader.policy, self._reader.policy.sample_rate
        file = self._reader.recordings.files[clip.file]
        random = np.random.default_rng([policy.seed, zlib.crc32(name_bytes(file.name)), clip.start, epoch])
        survey = file.survey
        assert survey is not None
        start, rate = clip.start, self._variation.read_rate(random, frequency)
        if self._new:
            start = survey.begin + int(random.integers(max(survey.length - policy.samples, 0) + 1))
        # In samples at the reading rate; silence precedes the beginning of the file.
        start = start * rate // frequency + self._variation.shift(random, rate)
        begin, end = (place * rate // frequency for place in (survey.begin, survey.end))
        before = min(max(begin - start, 0), policy.samples)
        samples = max(min(policy.samples - before, end - max(start, begin)), 0)
        wave = read_wave(file.header, rate, max(start, begin), samples, policy.channels)
        if self._reader.remove_offset and samples:
            wave = wave - find_offset(wave, frequency)
        padding = [(0, 0)] * (wave.ndim - 1) + [(before, policy.samples - before - samples)]
        return self._variation.coloured(random, amplified(np.pad(wave, padding), clip.gain_db), frequency)

    def describe(self) -> str:
        """A description of the variations."""
        varied = self._variation
        parts = ["another stretch of each file"] * self._new
        parts += [f"up to {varied.level_db:g} dB quieter"] * bool(varied.level_db)
        parts += [f"up to {varied.pitch:g} semitones faster or slower"] * bool(varied.pitch)
        parts += [f"beginning up to {varied.start:g} s earlier or later"] * bool(varied.start)
        parts += [f"equalized by up to {varied.eq_db:g} dB"] * bool(varied.eq_db)
        return f"in each epoch: {', '.join(parts)}; encoded at each access"
