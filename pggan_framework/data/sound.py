"""A folder of recordings as a dataset."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from pggan_framework.audio import Wave
from pggan_framework.audio.reading import SoundFile, UnreadableSound, find_files, read_header, read_wave
from pggan_framework.data.wave import ImgMode, WaveDataset, codec_for
from pggan_framework.errors import UserError
from pggan_framework.registry import register

FULL_SCALE = 32767 / 32768
"""Samples from here on were, in all likelihood, cut off in recording."""
NAMED = 10
"""How many files a summary names before it only counts."""
HASHED = 1 << 16
"""Bytes of each file's start and end that go into the fingerprint."""


@register("dataset")
class SoundImageDataset(WaveDataset):
    """Recordings of a folder and its subfolders, each as a picture: wav, flac, ogg, mp3, aiff ..., any sample rate.

    Files are taken in the order of their names, mixed to one channel and resampled (soxr). Those that cannot be read
    are skipped and named in the summary.

    Args:
        dir_path: the folder of recordings.
        preload: keep all encoded pictures in memory instead of reading and encoding at each access.
        n_fft: window length of the spectrum in samples, a power of two; a picture has half as many rows. By default
            1024, and 2048 where img_mode is ``if`` or ``ifmel``.
        hop_length: samples from one column of the picture to the next, at most n_fft / 2; by default 128, 512 for
            ``if`` and ``ifmel``.
        frequency: sample rate the recordings are brought to, Hz.
        img_mode: what a picture shows: ``abslog``, log magnitudes of the spectrum; ``mellog``, those in mel bands;
            ``if``, magnitudes and instantaneous frequencies; ``ifmel``, those in mel bands, for single notes;
            ``complex``, real and imaginary parts; ``reallog``, real parts; or ``raw``, the folded waveform.
        frames: columns of the spectrum; n_fft / 2 by default, a square; 128 for ``if`` and ``ifmel``. One picture is
            frames * hop_length samples.
        max_files: use only the first files, by name; by default all.
        too_short: what happens to a sound shorter than one picture: ``error`` stops, ``pad`` adds silence at its end,
            ``reject`` leaves it out.
        too_long: what is used of a longer one: ``first``, its beginning, or ``slices``, all parts of one picture's
            length side by side; a rest shorter than that is left out.
        model_dataset_depth_offset: log2 of the shorter side of the pictures at depth 0.
        seed_shape: [h, w] of the pictures at depth 0 where it is not given by the offset.
        range_out: value range the networks see.

    Raises:
        UserError: if the folder is missing or has no readable sound, a sound is too short, or a size is not allowed.
    """

    def __init__(
        self,
        dir_path: Path,
        preload: bool = False,
        n_fft: int | None = None,
        hop_length: int | None = None,
        frequency: int = 16000,
        img_mode: ImgMode = "abslog",
        frames: int | None = None,
        max_files: int | None = None,
        too_short: Literal["error", "pad", "reject"] = "error",
        too_long: Literal["first", "slices"] = "first",
        model_dataset_depth_offset: int = 2,
        seed_shape: tuple[int, int] | None = None,
        range_out: tuple[float, float] = (-1, 1),
    ) -> None:
        codec = codec_for(img_mode, frequency, n_fft, hop_length, frames)
        self.dir_path = Path(dir_path)
        self.frequency, self.too_short, self.too_long = frequency, too_short, too_long
        self._samples = codec.samples
        self.skipped: dict[str, str] = {}
        self._headers = self._scan(max_files)
        self._clips: list[tuple[SoundFile, int]] = []
        self._at_full_scale = 0
        self._refuse_short()
        super().__init__(codec, preload, model_dataset_depth_offset, seed_shape, range_out)

    def _name(self, path: Path) -> str:
        return path.relative_to(self.dir_path).as_posix()

    def _scan(self, max_files: int | None) -> list[SoundFile]:
        """The headers of all files that have one."""
        if not self.dir_path.is_dir():
            what = "is a file" if self.dir_path.exists() else "does not exist"
            raise UserError(f"SoundImageDataset.dir_path {self.dir_path} {what}; give a folder of recordings")
        if max_files is not None and max_files < 1:
            raise UserError(f"SoundImageDataset.max_files {max_files} is not allowed; allowed: 1 or more")
        sounds, self._others = find_files(self.dir_path)
        headers = []
        for path in sounds[:max_files]:
            try:
                headers.append(read_header(path))
            except UnreadableSound as error:
                self.skipped[self._name(path)] = str(error)
        if not headers:
            self._refuse_empty()
        return headers

    def _refuse_empty(self) -> None:
        found = "it is empty"
        if self.skipped:
            name, reason = next(iter(self.skipped.items()))
            found = f"none of {len(self.skipped)} can be read, for example {name}: {reason}"
        elif self._others:
            found = f"its {len(self._others)} files have other endings, for example {self._others[0].name}"
        raise UserError(
            f"SoundImageDataset.dir_path {self.dir_path} has no readable sound: {found};"
            " allowed: wav, flac, ogg, opus, mp3, aiff and what else libsndfile reads"
        )

    def _is_short(self, header: SoundFile) -> bool:
        return header.length_at(self.frequency) < self._samples

    def _refuse_short(self) -> None:
        """Stop at sounds shorter than a picture unless they are to be padded or left out."""
        short = [header for header in self._headers if self._is_short(header)]
        needed = f"{self._samples} samples ({self._samples / self.frequency:.3f} s at {self.frequency} Hz)"
        if short and self.too_short == "error":
            length = short[0].length_at(self.frequency)
            raise UserError(
                f"{self._name(short[0].path)} is shorter than one picture: {length} samples"
                f" ({length / self.frequency:.3f} s), needed are {needed}"
                + (f"; so are {len(short) - 1} more of {len(self._headers)} files" if len(short) > 1 else "")
                + "; set SoundImageDataset.too_short to pad or reject, or choose fewer frames or a smaller hop_length"
            )
        if len(short) == len(self._headers) and self.too_short == "reject":
            raise UserError(
                f"all {len(short)} sounds of {self.dir_path} are shorter than one picture and rejected; needed are"
                f" {needed}; set SoundImageDataset.too_short to pad, or choose fewer frames or a smaller hop_length"
            )

    def _starts(self, header: SoundFile) -> Sequence[int]:
        """Where the used parts of a file start, in samples at `frequency`."""
        if self._is_short(header) and self.too_short == "reject":
            return ()
        parts = max(header.length_at(self.frequency) // self._samples, 1)
        return range(0, (parts if self.too_long == "slices" else 1) * self._samples, self._samples)

    def waves(self) -> Iterator[Wave]:
        """Read every part once; a file that turns out unreadable is skipped from there on."""
        for header in self._headers:
            for start in self._starts(header):
                try:
                    wave = read_wave(header, self.frequency, start, self._samples)
                except UnreadableSound as error:
                    self.skipped[self._name(header.path)] = str(error)
                    break
                self._clips.append((header, start))
                self._at_full_scale += int(np.count_nonzero(np.abs(wave) >= FULL_SCALE))
                yield wave
        if not self._clips:
            self._refuse_empty()

    def __len__(self) -> int:
        return len(self._clips)

    def wave(self, index: int) -> Wave:
        """One part of a recording, float32 [codec.samples].

        Raises:
            UserError: if the file has gone or changed since it was first read.
        """
        header, start = self._clips[index]
        try:
            return read_wave(header, self.frequency, start, self._samples)
        except UnreadableSound as error:
            raise UserError(f"{header.path} could be read at the start of the run, now it cannot: {error}") from error

    def summary(self) -> dict[str, str]:
        """What a person should know of the recordings, in words."""
        used = {header.path: header for header, _ in self._clips}.values()
        seconds = [header.frames / header.sample_rate for header in used]
        rates = Counter(header.sample_rate for header in used)
        channels = Counter(header.channels for header in used)
        length = self._samples / self.frequency
        short = sum(self._is_short(header) for header in used)
        rejected = sum(not self._starts(header) for header in self._headers)
        left = sum(seconds) - sum(min(length, header.frames / header.sample_rate) for header, _ in self._clips)
        lines = {
            "files": f"{len(used)} in {self.dir_path}, {min(seconds):.3f} to {max(seconds):.3f} s,"
            f" {sum(seconds) / 60:.1f} min in all",
            "sample rates": "; ".join(
                f"{count} at {rate} Hz{'' if rate == self.frequency else f', resampled to {self.frequency} Hz'}"
                for rate, count in sorted(rates.items())
            ),
            "channels": "; ".join(
                f"{count} with {number}{'' if number == 1 else ', mixed to 1'}"
                for number, count in sorted(channels.items())
            ),
            "length": f"{short} files padded with silence to {length:.3f} s, {rejected} rejected as too short,"
            f" {max(left, 0):.1f} s of longer files not used"
            f" ({'their beginning is' if self.too_long == 'first' else 'slices side by side are'} used)",
            "full scale": f"{self._at_full_scale / (len(self) * self._samples):.4%} of the samples",
            "skipped": _listed(self.skipped),
        }
        if self._others:
            lines["other files"] = f"{len(self._others)} not opened: {_listed({p.name: '' for p in self._others})}"
        return {**super().summary(), **lines}

    def fingerprint(self) -> str:
        """Digest of the parameters and of each file's name in the folder, size, first and last 64 KiB."""
        digest = hashlib.sha256(
            json.dumps([type(self).__name__, self.codec.state_dict(), self.too_short, self.too_long]).encode()
        )
        for path in dict.fromkeys(header.path for header, _ in self._clips):
            size = path.stat().st_size
            digest.update(f"{self._name(path)}\0{size}\0".encode())
            with path.open("rb") as file:
                digest.update(file.read(HASHED))
                file.seek(max(size - HASHED, 0))
                digest.update(file.read(HASHED))
        return digest.hexdigest()[:16]


def _listed(files: dict[str, str]) -> str:
    """``a.wav (reason), b.wav (reason) and 3 more``, or ``none``."""
    named = [f"{name} ({reason})" if reason else name for name, reason in list(files.items())[:NAMED]]
    more = f" and {len(files) - NAMED} more" if len(files) > NAMED else ""
    return ", ".join(named) + more or "none"
