"""The parts of a recording that become images, and their gains."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Literal, NamedTuple

from pggan_framework.audio.levels import measure_levels
from pggan_framework.audio.reading import Channels, SoundFile
from pggan_framework.errors import UserError
from pggan_framework.storage.names import name_bytes

TooShort = Literal["error", "pad", "reject"]
TooLong = Literal["first", "random", "slices"]
Normalize = Literal["none", "peak", "rms"]
TARGET_DB = {"peak": -1.0, "rms": -20.0}
"""Levels to which files are normalized, dB of full scale."""


class Survey(NamedTuple):
    """The used part of a file: samples `begin` to `end` (exclusive) at the dataset's sample rate, and a gain in dB."""

    begin: int
    end: int
    gain_db: float

    @property
    def length(self) -> int:
        """The number of used samples."""
        return self.end - self.begin

    def ending(self, end: int) -> Survey:
        """The survey of a file that ends at sample `end`."""
        return self._replace(end=max(min(self.end, end), self.begin))


@dataclass(frozen=True)
class ClipPolicy:
    """The settings for cutting files into clips of one length.

    Args:
        owner: name of the dataset, for messages.
        samples: samples per clip.
        sample_rate: samples per second of a clip.
        channels: channels to use and to measure.
        too_short: treatment of files shorter than a clip.
        too_long: used part of longer files.
        overlap: fraction of a slice that the next slice repeats.
        seed: random seed of the random segments.
        trim_db: level below which both ends are trimmed, in dB below the file's peak; None trims nothing.
        normalize: kind of level that is normalized to `TARGET_DB`.

    Raises:
        UserError: if a number is out of range, or has no effect with the chosen policy.
    """

    owner: str
    samples: int
    sample_rate: int
    channels: Channels = "mix"
    too_short: TooShort = "error"
    too_long: TooLong = "first"
    overlap: float = 0.0
    seed: int = 0
    trim_db: float | None = None
    normalize: Normalize = "none"

    def __post_init__(self) -> None:
        if not 0 <= self.overlap < 1:
            raise UserError(f"{self.owner}.overlap {self.overlap:g} is not allowed; allowed: 0 to below 1")
        if self.overlap and self.too_long != "slices":
            raise UserError(
                f"{self.owner}.overlap {self.overlap:g} has no effect with too_long {self.too_long};"
                " allowed: too_long slices, or no overlap"
            )
        if self.trim_db is not None and not 0 < self.trim_db < float("inf"):
            raise UserError(f"{self.owner}.trim_db {self.trim_db:g} is not allowed; allowed: above 0, or None")

    @property
    def hop(self) -> int:
        """The number of samples between the starts of consecutive slices."""
        return max(round(self.samples * (1 - self.overlap)), 1)

    @property
    def reads_all(self) -> bool:
        """True if a file must be read completely to determine its used part."""
        return self.trim_db is not None or self.normalize != "none"

    def is_short(self, length: int) -> bool:
        """True if a file of `length` samples is shorter than a clip."""
        return length < self.samples

    def survey(self, file: SoundFile, remove_offset: bool = False) -> Survey:
        """Find the used part of a file. The file is read, in blocks, only if its levels are needed.

        Args:
            file: header of the file.
            remove_offset: whether to measure levels without a constant offset.

        Raises:
            UnreadableSound: if the file must be read but cannot be.
        """
        if not self.reads_all:
            return Survey(0, file.length_at(self.sample_rate), 0.0)
        levels = measure_levels(file, self.channels, remove_offset)
        length = -(-levels.frames * self.sample_rate // file.sample_rate)
        moments = levels.everything if self.trim_db is None else levels.sounding(self.trim_db)
        first, last = levels.samples(moments)
        level = None
        if self.normalize != "none":
            level = levels.peak_db(moments) if self.normalize == "peak" else levels.rms_db(moments)
        return Survey(
            first * self.sample_rate // file.sample_rate,
            min(-(-last * self.sample_rate // file.sample_rate), length),
            0.0 if level is None else TARGET_DB[self.normalize] - level,
        )

    def offsets(self, name: str, length: int) -> range:
        """The starts of a file's clips, in samples from its first used sample.

        Args:
            name: name of the file; the name and the seed determine the position of a random segment in every process.
            length: number of used samples of the file.
        """
        if self.is_short(length):
            return range(self.too_short == "pad")
        spare = length - self.samples
        if self.too_long == "slices":
            return range(0, spare + 1, self.hop)
        at = 0
        if self.too_long == "random":
            digest = hashlib.sha256(name_bytes(f"{self.seed}\0{name}")).digest()
            at = int.from_bytes(digest[:8], "big") * (spare + 1) >> 64
        return range(at, at + 1)

    def count(self, length: int) -> int:
        """The number of clips of a file with `length` used samples."""
        if self.is_short(length):
            return int(self.too_short == "pad")
        return len(range(0, length - self.samples + 1, self.hop)) if self.too_long == "slices" else 1

    def used(self, clips: int, length: int) -> int:
        """The number of samples, out of the file's `length`, that its `clips` clips contain."""
        return min((clips - 1) * self.hop + self.samples, length)
