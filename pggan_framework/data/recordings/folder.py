"""The recordings of a folder: all files, the usable files, and the reasons why others are skipped."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NoReturn

from pggan_framework.audio.reading import SUFFIXES, SoundFile
from pggan_framework.data.manifest import State
from pggan_framework.data.recordings.clips import ClipPolicy, Survey
from pggan_framework.data.recordings.known import know_files
from pggan_framework.data.walk import walk
from pggan_framework.errors import UserError, plural
from pggan_framework.storage.rows import collector_waits

BadFiles = Literal["skip", "error"]
SHORTER = "choose fewer frames or a smaller hop_length"


@dataclass
class Recording:
    """A file with a readable header, and its used part.

    Args:
        header: header of the file.
        name: name in the folder.
        digest: digest of its first and last bytes; None until needed.
        state: state that reveals changes of the file.
        survey: usable part of the file; None until the file is read.
        clips: number of clips read from the file.
        lost: number of further clips that were unreadable.
        fault: reason why these clips were unreadable.
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
    """All recordings of a folder and its subfolders, sorted by name.

    Args:
        directory: path of the folder.
        policy: settings for cutting the recordings.
        bad_files: whether to skip unreadable files, or raise an error.
        max_files: number of files to use, starting with the first.
        digests: whether to compute the digest of each file.

    Raises:
        UserError: if the folder is missing or has no readable sound, or a file is unusable and may not be skipped.
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
        # Sort as paths, component by component.
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
        """Completely unreadable files, and the reasons."""
        return self.unreadable | {file.name: file.fault for file in self.files if file.fault and not file.clips}

    @property
    def damaged(self) -> dict[str, str]:
        """Files with some unreadable clips, and the reasons."""
        return {
            file.name: f"{file.fault}; "
            + (f"{file.lost} of {file.clips + file.lost} clips left out" if file.lost else "used up to there")
            for file in self.files
            if file.fault and file.clips
        }

    @property
    def corrected(self) -> dict[str, str]:
        """Files whose contents differ from their headers, and the differences."""
        return {file.name: file.header.remark for file in self.files if file.header.remark and file.clips}

    def shorten(self, number: int, frames: int) -> None:
        """Record that a file ends after `frames` samples at its own rate, earlier than its header indicates."""
        self.files[number].header = self.files[number].header._replace(frames=frames)

    def note(self, number: int, survey: Survey | None, clips: int, lost: int, fault: str | None) -> None:
        """Record the result of reading a file or a segment of it.

        Raises:
            UserError: if the file is unreadable, or too short after trimming, and may not be skipped.
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
        """Raise an error if all files have been read and there are no clips."""
        if not any(file.clips for file in self.files):
            if all(file.fault for file in self.files):
                self._refuse_empty()
            self._refuse_all_short()

    def _check_headers(self) -> None:
        """Raise an error for files whose headers show that they are too short, unless they are padded or rejected."""
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
            found = f"{plural(len(self.others), 'file')} with other endings, for example {self.others[0]}"
        raise UserError(
            f"{self.policy.owner}.dir_path {self.directory} has no readable sound: {found};"
            " allowed: wav, flac, ogg, opus, mp3, aiff and what else libsndfile reads"
        )

    def _refuse_short(self, name: str, length: int, more: int = 0) -> NoReturn:
        raise UserError(
            f"{name} is shorter than one image{self._trimmed}: {plural(length, 'sample')}"
            f" ({length / self.policy.sample_rate:.3f} s), needed are {self._needed}"
            + (f"; {more} more of {len(self.files)} files {'is' if more == 1 else 'are'} too short" if more else "")
            + f"; set {self.policy.owner}.too_short to pad or reject, or {SHORTER}"
        )

    def _refuse_all_short(self) -> NoReturn:
        raise UserError(
            f"no sound of {self.directory} is as long as one image{self._trimmed}: {plural(len(self.files), 'file')}"
            f" rejected; needed are {self._needed}; set {self.policy.owner}.too_short to pad, or {SHORTER}"
        )

    @property
    def _trimmed(self) -> str:
        return "" if self.policy.trim_db is None else f" (trim_db {self.policy.trim_db:g})"

    @property
    def _needed(self) -> str:
        samples, rate = self.policy.samples, self.policy.sample_rate
        return f"{samples} samples ({samples / rate:.3f} s at {rate} Hz)"
