"""Read clips of a folder's recordings."""

from __future__ import annotations

import hashlib
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pggan_framework.audio import Wave
from pggan_framework.audio.offset import find_offset
from pggan_framework.audio.reading import EndsEarly, SoundFile, UnreadableSound, read_wave
from pggan_framework.data.recordings.clips import Survey
from pggan_framework.data.recordings.folder import Recordings
from pggan_framework.data.recordings.known import HASHED, content_digest
from pggan_framework.data.recordings.noticed import Found
from pggan_framework.storage.names import name_bytes

SOURCE_SAMPLES = 1 << 22
"""Largest number of samples that are read at once (16 MB); a longer file is split into several sources."""


class Clip(NamedTuple):
    """One sound: the file's number, start, samples available in the file, and gain in dB."""

    file: int
    start: int
    samples: int
    gain_db: float


class ClipReader:
    """Reads the clips of recordings.

    Args:
        recordings: recordings to read.
        remove_offset: whether to subtract a constant offset from each clip.
    """

    def __init__(self, recordings: Recordings, remove_offset: bool) -> None:
        self.recordings, self.remove_offset = recordings, remove_offset
        self.policy = recordings.policy
        self._surveyed: tuple[int, Survey] | None = None
        at_once = max(SOURCE_SAMPLES // self.policy.samples, 1)
        self.sources: list[tuple[int, slice]] = []
        """The clips of each file that are read together, computed from the lengths in the headers."""
        for number, file in enumerate(recordings.files):
            clips = self.policy.count(file.header.length_at(self.policy.sample_rate))
            self.sources += [(number, slice(first, first + at_once)) for first in range(0, max(clips, 1), at_once)]

    def read_source(self, index: int) -> tuple[list[Wave], dict[str, Any]]:
        """Read the clips of a source, except unreadable clips, and the facts as plain JSON values."""
        file, part = self.sources[index]
        recording, policy = self.recordings.files[file], self.policy
        facts: dict[str, Any] = {"state": list(recording.state), "survey": None, "starts": [], "lost": 0, "fault": None}
        header = recording.header
        try:
            survey = self._survey(file)
        except UnreadableSound as error:
            return [], {**facts, "lost": 1, "fault": str(error)}
        waves: list[Wave] = []
        found = Found()
        offsets = list(policy.offsets(recording.name, survey.length)[part])
        while offsets:
            start = offsets.pop(0)
            clip = self.clip(file, survey, survey.begin + start)
            try:
                wave, offset = self._read(clip, header)
            except EndsEarly as error:
                facts["fault"] = facts["fault"] or str(error)
                shorter = survey.ending(error.frames * policy.sample_rate // header.sample_rate)
                if "frames" in facts or shorter.length < 1 or (policy.too_long == "slices" and start):
                    facts["lost"] += 1
                    continue
                # The file is shorter than its header indicates, so its true length determines the clips.
                facts["frames"], header, survey = error.frames, header._replace(frames=error.frames), shorter
                if policy.is_short(survey.length) and policy.too_short == "error":
                    return [], {**facts, "lost": 1}
                offsets = list(policy.offsets(recording.name, survey.length)[part])
                continue
            except UnreadableSound as error:
                facts["fault"] = facts["fault"] or str(error)
                facts["lost"] += 1
                continue
            found.add(wave, offset)
            waves.append(amplified(wave, clip.gain_db))
            facts["starts"].append(clip.start)
        return waves, {**facts, "survey": list(survey), **found.facts()}

    def clip(self, file: int, survey: Survey, start: int) -> Clip:
        """The clip of a file that starts at sample `start`."""
        return Clip(file, start, min(self.policy.samples, survey.end - start), survey.gain_db)

    def wave(self, clip: Clip) -> Wave:
        """Read a clip, [samples] or, depending on the policy, [2, samples], padded with silence at the end of the file.

        Raises:
            UnreadableSound: if it is unreadable.
        """
        return amplified(self._read(clip, self.recordings.files[clip.file].header)[0], clip.gain_db)

    def digest(self) -> str:
        """Digest of the cutting parameters, and of each file's name in the folder, size, first and last 64 KiB."""
        digest = hashlib.sha256(repr((self.policy, SOURCE_SAMPLES, self.remove_offset)).encode())
        for recording in self.recordings.files:
            if recording.digest is None:
                recording.digest = content_digest(recording.header.path)
            digest.update(name_bytes(f"{recording.name}\0{recording.state[0]}\0{recording.digest}\0"))
        return digest.hexdigest()[:16]

    def earlier_digest(self) -> str:
        """The digest in the format that runs of 2026 stored."""
        digest = hashlib.sha256(repr((self.policy, SOURCE_SAMPLES)).encode())
        digest.update(b"offset removed" if self.remove_offset else b"")
        for recording in self.recordings.files:
            with open(recording.header.path, "rb") as file:
                size = file.seek(0, 2)
                digest.update(name_bytes(f"{recording.name}\0{size}\0"))
                for start in (0, max(size - HASHED, 0)):
                    file.seek(start)
                    digest.update(file.read(HASHED))
        return digest.hexdigest()[:16]

    def _survey(self, file: int) -> Survey:
        """The used part of a file. The result for the last file is cached, since a long file has several sources."""
        if self._surveyed is None or self._surveyed[0] != file:
            self._surveyed = file, self.policy.survey(self.recordings.files[file].header, self.remove_offset)
        return self._surveyed[1]

    def _read(self, clip: Clip, header: SoundFile) -> tuple[Wave, NDArray[np.float32]]:
        """A clip, padded with silence to its full length, and the offset [..., 1] subtracted from it before padding."""
        policy = self.policy
        wave = read_wave(header, policy.sample_rate, clip.start, clip.samples, policy.channels)
        offset = np.zeros((*wave.shape[:-1], 1), np.float32)
        if self.remove_offset:
            offset = find_offset(wave, policy.sample_rate)
            wave = wave - offset if offset.any() else wave
        missing = policy.samples - clip.samples
        return (np.pad(wave, [(0, 0)] * (wave.ndim - 1) + [(0, missing)]) if missing else wave), offset


def amplified(wave: Wave, gain_db: float) -> Wave:
    """Amplify a wave by `gain_db`."""
    louder: Wave = wave * np.float32(10 ** (gain_db / 20)) if gain_db else wave
    return louder
