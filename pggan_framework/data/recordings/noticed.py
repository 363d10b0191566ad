"""Findings in clips while they are in memory: silence, copies, offsets, samples at full scale."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pggan_framework.audio import Wave
from pggan_framework.audio.offset import AUDIBLE
from pggan_framework.data.walk import named

FULL_SCALE = 32767 / 32768
"""Absolute sample value above which a sample was most likely clipped in recording."""
SILENT = 1e-4
"""Largest absolute sample of an inaudible clip, -80 dB of full scale."""
FAR_ABOVE = 16.0
"""Ratio of a file's peak to full scale, and to the median peak of all files, above which the file is excluded: 24 dB.
"""


class Found:
    """Findings in the clips of one source."""

    def __init__(self) -> None:
        self._peak = 0.0
        self._full_scale = 0
        self._offset = False
        self._checksums: list[int] = []
        self._silent: list[int] = []

    def add(self, wave: Wave, offset: NDArray[np.float32]) -> None:
        """Examine a clip; `offset` [..., 1] is the constant offset that was subtracted from it."""
        shifted = bool(offset.any())
        levels = np.abs(wave)
        loudest = float(levels.max())
        recorded = np.abs(wave + offset) if shifted else levels
        peak = float(recorded.max()) if shifted else loudest
        self._peak = max(self._peak, peak)
        self._offset |= bool(np.abs(offset).max() > AUDIBLE)
        self._full_scale += int(np.count_nonzero(recorded >= FULL_SCALE)) if peak >= FULL_SCALE else 0
        if loudest < SILENT:
            self._silent.append(len(self._checksums))
        self._checksums.append(zlib.crc32(np.ascontiguousarray(wave).data))

    def facts(self) -> dict[str, Any]:
        """The findings as plain values."""
        return {
            "peak": self._peak,
            "full_scale": self._full_scale,
            "offset": self._offset,
            "checksums": self._checksums,
            "silent": self._silent,
        }


class Noticed:
    """Findings in all sources, which are added in order."""

    def __init__(self) -> None:
        self.at_full_scale = 0
        self.checksums: list[int] = []
        self._silent: list[int] = []
        self._with_offset: set[int] = set()

    def add(self, file: int, facts: Mapping[str, Any]) -> None:
        """Add the facts of one of this file's sources."""
        if facts["silent"]:
            self._silent += [len(self.checksums) + part for part in facts["silent"]]
        self.at_full_scale += facts["full_scale"]
        self.checksums += facts["checksums"]
        if facts["offset"]:
            self._with_offset.add(file)

    def lines(self, names: Sequence[str], clip_name: Callable[[int], str]) -> dict[str, str]:
        """Summary lines about the findings.

        Args:
            names: names of all files.
            clip_name: index -> name of a clip.
        """
        lines = {}
        if self._with_offset:
            with_offset = named([names[file] for file in sorted(self._with_offset)])
            lines["offset"] = f"a constant offset above -50 dB of full scale was removed from {with_offset}"
        if self._silent:
            lines["silent sounds"] = f"{named(list(map(clip_name, self._silent)))}; {SILENT:g} of full scale at most"
        if copies := self._copies():
            lines["equal sounds"] = f"{named(list(map(clip_name, copies)))}; the same samples as an earlier one"
        return lines

    def _copies(self) -> list[int]:
        """Sounds that equal an earlier sound, without silent sounds."""
        seen: set[int] = set()
        silent, copies = set(self._silent), []
        for index, checksum in enumerate(self.checksums):
            if checksum in seen and index not in silent:
                copies.append(index)
            seen.add(checksum)
        return copies


def far_above(files: Sequence[int], facts: Sequence[Mapping[str, Any]], owner: str) -> dict[int, dict[str, Any]]:
    """Sources of files that are far above full scale, unlike the others, such as integers stored as floats.

    Args:
        files: number of the file of each source.
        facts: facts of each source.
        owner: name of the dataset, for the message.

    Returns:
        The facts to add to each of these sources, by source number.
    """
    peaks: dict[int, float] = {}
    for file, found in zip(files, facts, strict=True):
        peaks[file] = max(peaks.get(file, 0.0), found.get("peak", 0.0))
    usual = float(np.median([peak for peak in peaks.values() if peak] or [0.0]))
    far = {file: peak for file, peak in peaks.items() if peak > FAR_ABOVE * max(usual, 1.0)}
    nothing = {name: value for name, value in Found().facts().items() if name != "peak"}
    return {
        index: {
            "fault": f"it reaches {far[file]:.0f} times full scale, and the others do not: bring it to theirs, or set"
            f" {owner}.normalize peak",
            "lost": len(facts[index]["starts"]),
            "starts": [],
            **nothing,
        }
        for index, file in enumerate(files)
        if file in far
    }
