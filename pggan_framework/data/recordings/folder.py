"""The recordings of a folder: which there are, which can be used, and what became of each."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NoReturn

from pggan_framework.audio.reading import SUFFIXES, SoundFile
from pggan_framework.data.manifest import State
from pggan_framework.data.recordings.clips import ClipPolicy, Survey
from pggan_framework.data.recordings.known import know_files
from pggan_framework.data.walk import walk
from pggan_framework.errors import UserError
from pggan_framework.storage.rows import collector_waits

BadFiles = Literal["skip", "error"]
SHORTER = "choose fewer frames or a smaller hop_length"


@dataclass
class Recording:
    """A file with a header, and what of it is used.

    Args:
        header: what it says of itself.
        name: its name in the folder.
        digest: of its first and last bytes; None until it is needed.
        state: by which a change of the file is noticed.
        survey: what of it can be used; None until it is read.
        clips: how many clips it gave.
        lost: how many more it would have given, had they been readable.
        fault: why these were not.
    """

    header: SoundFile
    name: str
    digest: str | None
    state: State
    survey: Survey | None = None
    clips: int = 0
    lost: int = 0
    fault: str | None = None


class Recordings:
    """All recordings of a folder and its subfolders, in the order of their names.

    Args:
        directory: the folder.
        policy: how they are cut.
        bad_files: whether one that cannot be read is an error.
        max_files: use only the first so many.
        digests: whether each file's digest is needed.

    Raises:
        UserError: if the folder is missing or has no readable sound, or a file cannot be used and that is an error.
    """

    def __init__(
        self,
        directory: Path,
        policy: ClipPolicy,
        bad_files: BadFiles,
        max_files: int | None,
        digests: bool = False,
    ) -> None:
        self.directory, self.policy, self.bad_files = directory, policy, bad_files
        owner = policy.owner
        if not directory.is_dir():
            what = "is a file" if directory.exists() else "does not exist"
            raise UserError(f"{owner}.dir_path {directory} {what}; give a folder of recordings")
        if max_files is not None and max_files < 1:
            raise UserError(f"{owner}.max_files {max_files} is not allowed; allowed: 1 or more")
        self.tree = walk(directory)
        sounds, self.others = self.tree.split(SUFFIXES)
        # In the order of paths, which is that of their parts.
        sounds = sorted(sounds, key=lambda name: name.replace("/", "\0"))[:max_files]
        self.unreadable: dict[str, str] = {}
        self.files: list[Recording] = []
        known = know_files(directory, sounds, digests)
        with collector_waits():
            for name, found in zip(sounds, known, strict=True):
                if isinstance(found, tuple):
                    header, state, digest = found
                    self.files.append(Recording(header, name, digest, state))
                else:
                    self.unreadable[name] = str(found)
        if self.unreadable and bad_files == "error":
            self._refuse_bad(*next(iter(self.unreadable.items())))
        if not self.files:
            self._refuse_empty()
        self._check_headers()

    @property
    def names(self) -> list[str]:
        """The files' names in the folder."""
        return [file.name for file in self.files]

    @property
    def skipped(self) -> dict[str, str]:
        """Files of which nothing could be read, and why."""
        return self.unreadable | {file.name: file.fault for file in self.files if file.fault and not file.clips}

    @property
    def damaged(self) -> dict[str, str]:
        """Files of which some clips could not be read, and why."""
        return {
            file.name: f"{file.fault}; "
            + (f"{file.lost} of {file.clips + file.lost} clips left out" if file.lost else "used up to there")
            for file in self.files
            if file.fault and file.clips
        }

    @property
    def corrected(self) -> dict[str, str]:
        """Files that hold something else than their headers say, and what."""
        return {file.name: file.header.remark for file in self.files if file.header.remark and file.clips}

    def shorten(self, number: int, frames: int) -> None:
        """Learn that a file ends after so many samples at its own rate, before its header says."""
        self.files[number].header = self.files[number].header._replace(frames=frames)

    def note(self, number: int, survey: Survey | None, clips: int, lost: int, fault: str | None) -> None:
        """Remember what reading a file, or a stretch of it, has given.

        Raises:
            UserError: if it cannot be read, or is too short once its ends are cut off, and that is an error.
        """
        file = self.files[number]
        if fault:
            if self.bad_files == "error":
                self._refuse_bad(file.name, fault)
            file.fault = file.fault or fault
            file.lost += lost
        if survey is not None:
            file.survey = survey
            file.clips += clips
            if self.policy.is_short(survey.length) and self.policy.too_short == "error":
                self._refuse_short(file.name, survey.length)

    def check_any(self) -> None:
        """Stop if, with all files read, there is no clip."""
        if not any(file.clips for file in self.files):
            if all(file.fault for file in self.files):
                self._refuse_empty()
            self._refuse_all_short()

    def _check_headers(self) -> None:
        """Stop at files too short by their headers, unless they are to be padded or left out."""
        policy = self.policy
        if policy.too_short == "pad":
            return
        short = [file for file in self.files if policy.is_short(file.header.length_at(policy.sample_rate))]
        if short and policy.too_short == "error":
            self._refuse_short(short[0].name, short[0].header.length_at(policy.sample_rate), len(short) - 1)
        if len(short) == len(self.files) and policy.too_short == "reject":
            self._refuse_all_short()

    def _refuse_bad(self, name: str, reason: str) -> NoReturn:
        raise UserError(
            f"{name} in {self.directory} cannot be used: {reason}; fix or remove it, or set"
            f" {self.policy.owner}.bad_files to skip"
        )

    def _refuse_empty(self) -> NoReturn:
        found = "it is empty"
        if self.skipped:
            name, reason = next(iter(self.skipped.items()))
            found = f"none of {len(self.skipped)} can be read, for example {name}: {reason}"
        elif self.others:
            found = f"its {len(self.others)} files have other endings, for example {self.others[0]}"
        raise UserError(
            f"{self.policy.owner}.dir_path {self.directory} has no readable sound: {found};"
            " allowed: wav, flac, ogg, opus, mp3, aiff and what else libsndfile reads"
        )

    def _refuse_short(self, name: str, length: int, more: int = 0) -> NoReturn:
        raise UserError(
            f"{name} is shorter than one image{self._trimmed}: {length} samples"
            f" ({length / self.policy.sample_rate:.3f} s), needed are {self._needed}"
            + (f"; so are {more} more of {len(self.files)} files" if more else "")
            + f"; set {self.policy.owner}.too_short to pad or reject, or {SHORTER}"
        )

    def _refuse_all_short(self) -> NoReturn:
        raise UserError(
            f"all {len(self.files)} sounds of {self.directory} are shorter than one image{self._trimmed} and"
            f" rejected; needed are {self._needed}; set {self.policy.owner}.too_short to pad, or {SHORTER}"
        )

    @property
    def _trimmed(self) -> str:
        return "" if self.policy.trim_db is None else f" (trim_db {self.policy.trim_db:g})"

    @property
    def _needed(self) -> str:
        samples, rate = self.policy.samples, self.policy.sample_rate
        return f"{samples} samples ({samples / rate:.3f} s at {rate} Hz)"
