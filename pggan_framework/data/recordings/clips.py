"""Which stretches of a recording become images, and how much louder or quieter they are made."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Literal, NamedTuple

from pggan_framework.audio.levels import measure_levels
from pggan_framework.audio.reading import Channels, SoundFile
from pggan_framework.errors import UserError

TooShort = Literal["error", "pad", "reject"]
TooLong = Literal["first", "random", "slices"]
Normalize = Literal["none", "peak", "rms"]
TARGET_DB = {"peak": -1.0, "rms": -20.0}
"""Levels that files are brought to, dB of full scale."""


class Survey(NamedTuple):
    """What of a file is used: samples at the dataset's rate, from `begin` to before `end`, and its gain in dB."""

    begin: int
    end: int
    gain_db: float

    @property
    def length(self) -> int:
        """How many samples are left."""
        return self.end - self.begin

    def ending(self, end: int) -> Survey:
        """The same of a file that has no samples from `end` on."""
        return self._replace(end=max(min(self.end, end), self.begin))


@dataclass(frozen=True)
class ClipPolicy:
    """How files are cut into clips of one length.

    Args:
        owner: the dataset's name, for messages.
        samples: samples of a clip.
        sample_rate: samples a second of a clip.
        channels: which channels are used, and so which are measured.
        too_short: what happens to a file shorter than a clip.
        too_long: what is used of a longer one.
        overlap: share of a slice that the next one repeats.
        seed: of the random stretches.
        trim_db: how far under the file's peak the parts are that are cut from both ends; None cuts none.
        normalize: which level of the file is brought to that of `TARGET_DB`.

    Raises:
        UserError: if a number is outside its limits or is read by no policy chosen.
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
        """Samples from one slice to the next."""
        return max(round(self.samples * (1 - self.overlap)), 1)

    @property
    def reads_all(self) -> bool:
        """Whether a file has to be read from end to end before it is known what of it is used."""
        return self.trim_db is not None or self.normalize != "none"

    def is_short(self, length: int) -> bool:
        """Whether a file of `length` samples is shorter than a clip."""
        return length < self.samples

    def survey(self, file: SoundFile, remove_offset: bool = False) -> Survey:
        """What of a file is used. It is read, in blocks, only if its levels have to be known.

        Args:
            file: its header.
            remove_offset: whether its levels are those without a constant offset.

        Raises:
            UnreadableSound: if it has to be read and cannot be.
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
        """Where the clips of a file start, in samples from its first used one.

        Args:
            name: the file's; with the seed it decides where a random stretch is, in any process.
            length: samples of the file that are used.
        """
        if self.is_short(length):
            return range(self.too_short == "pad")
        spare = length - self.samples
        if self.too_long == "slices":
            return range(0, spare + 1, self.hop)
        at = 0
        if self.too_long == "random":
            digest = hashlib.sha256(f"{self.seed}\0{name}".encode()).digest()
            at = int.from_bytes(digest[:8], "big") * (spare + 1) >> 64
        return range(at, at + 1)

    def count(self, length: int) -> int:
        """How many clips a file gives of which `length` samples are used."""
        if self.is_short(length):
            return int(self.too_short == "pad")
        return len(range(0, length - self.samples + 1, self.hop)) if self.too_long == "slices" else 1

    def used(self, clips: int, length: int) -> int:
        """How many of a file's `length` samples are in `clips` clips of it."""
        return min((clips - 1) * self.hop + self.samples, length)
