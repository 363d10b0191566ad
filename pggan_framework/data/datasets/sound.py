"""A folder of recordings as a dataset."""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pggan_framework.audio import Wave
from pggan_framework.audio.variation import Variation
from pggan_framework.audio.offset import AUDIBLE, find_offset
from pggan_framework.audio.reading import Channels, EndsEarly, SoundFile, UnreadableSound, read_wave
from pggan_framework.data.recordings.clips import ClipPolicy, Normalize, Survey, TooLong, TooShort
from pggan_framework.data.recordings.summary import describe_recordings
from pggan_framework.data.base import Pixels, box_mean
from pggan_framework.data.labels.labelling import read_labels
from pggan_framework.data.recordings.folder import BadFiles, Recordings
from pggan_framework.data.recordings.manifest import HASHED, content_digest
from pggan_framework.data.datasets.wave import ImgMode, SourceRead, WaveDataset, codec_for
from pggan_framework.data.walk import named
from pggan_framework.errors import UserError
from pggan_framework.registry import register

FULL_SCALE = 32767 / 32768
"""Samples from here on were, in all likelihood, cut off in recording."""
MOST_VARIED = {"vary_level_db": 60.0, "vary_pitch": 12.0, "vary_start": 60.0, "vary_eq_db": 60.0}
"""The largest allowed values."""
FAR_ABOVE = 16.0
"""Peak over full scale, and over the median file's, from which a file is not of these data: 24 dB."""
SILENT = 1e-4
"""Largest absolute sample of a clip that holds nothing to hear, -80 dB of full scale."""
SOURCE_SAMPLES = 1 << 22
"""Samples that are read at once at most, 16 MB; a longer file is several sources."""


class Clip(NamedTuple):
    """One sound: the file's index, its start, its available samples, and its gain in dB."""

    file: int
    start: int
    samples: int
    gain_db: float


@register("dataset")
class SoundImageDataset(WaveDataset):
    r"""Recordings of a folder and its subfolders, each as an image: wav, flac, ogg, mp3, aiff ..., any sample rate.

    Files are sorted by name and resampled (soxr). The summary reports resampled, cut, padded and skipped files.

    Args:
        dir_path: folder of the recordings.
        preload: keep all encoded images in memory.
        n_fft: window length in samples, a power of two; an image has n_fft / 2 rows (default: 1024; 2048 for ``if`` and
            ``ifmel``).
        hop_length: samples per column, at most n_fft / 2 (default: 128; 512 for ``if`` and ``ifmel``).
        frequency: sample rate in Hz to resample to.
        img_mode: content of an image: ``abslog``, log magnitudes; ``mellog``, the same in mel bands; ``if``, magnitudes
            and instantaneous frequencies; ``ifmel``, the same in mel bands, for single notes; ``complex``, real and
            imaginary parts; ``reallog``, real parts; or ``raw``, the folded waveform.
        bins: rows of an image; sets n_fft to twice as many, or the number of mel bands, or the rows of ``raw``.
        frames: columns of an image (default: n_fft / 2; 128 for ``if`` and ``ifmel``); a clip has
            (frames - 2 * margin) * hop_length samples.
        margin: silent columns at each end that decoding discards (default: n_fft / (2 * hop_length) for ``abslog`` and
            ``mellog``, else 0).
        channels: channels to use: ``mix``, the mean of all; ``left``, the first; ``both``, the first two.
        max_files: number of files to use, the first by name (default: all).
        bad_files: unreadable files: ``skip`` omits and reports them, ``error`` stops.
        too_short: sounds shorter than a clip: ``error`` stops, ``pad`` appends silence, ``reject`` omits them.
        too_long: longer sounds: ``first``, the beginning; ``random``, a random segment per file; or ``slices``, all
            segments of a clip's length.
        overlap: overlap of consecutive slices, as a fraction, 0 to below 1.
        seed: random seed of the segments.
        trim_db: trim both ends below this level, in dB below the file's peak, e.g. 60.
        normalize: normalise each file's ``peak`` to -1 dB or ``rms`` to -20 dB of full scale.
        new_each_epoch: draw new ``random`` segments in each epoch; sounds are then encoded at each access.
        vary_level_db: largest random attenuation in dB, new in each epoch.
        vary_pitch: largest random change of speed in semitones, pitch and tempo together.
        vary_start: largest random shift of the start in seconds.
        vary_eq_db: largest random attenuation by a smooth equaliser, in dB.
        remove_offset: subtract each clip's constant offset, measured in quiet parts.
        labels: attributes to condition networks on: columns, groups, JSON attributes or ``folder``, the first folder of
            a file (default: none, all of the pattern's, or the only one of the table or JSON).
        continuous_labels: labels that are numbers in a range, such as brightness or an angle.
        labels_csv: CSV table of labels with a header; the column ``file``, or the first, has the names relative to
            dir_path.
        labels_pattern: regular expression whose named groups match labels in file names, such as ``_m(?P<pitch>\d+)_``.
        labels_json: JSON with attributes by file name, ``{"a.wav": {"pitch": 60}}``, or StyleGAN2-ADA's dataset.json
            with a ``class``, ``{"labels": [["a.wav", 3]]}``.
        prepared_dir: cache folder of measured and encoded sounds; None disables it.
        jobs: number of reading and encoding processes (default: number of processors).
        model_dataset_depth_offset: log2 of the shorter side of the images at depth 0.
        seed_shape: [h, w] at depth 0, instead of the offset.
        range_out: value range of the networks.

    Raises:
        UserError: if the folder is missing or has no readable sound, a sound is too short or has no label, or a
            parameter is not allowed.
    """

    earlier_values = {**WaveDataset.earlier_values, "remove_offset": False}

    def __init__(
        self,
        dir_path: Path,
        preload: bool = False,
        n_fft: int | None = None,
        hop_length: int | None = None,
        frequency: int = 16000,
        img_mode: ImgMode = "abslog",
        bins: int | None = None,
        frames: int | None = None,
        margin: int | None = None,
        channels: Channels = "mix",
        max_files: int | None = None,
        bad_files: BadFiles = "skip",
        too_short: TooShort = "error",
        too_long: TooLong = "first",
        overlap: float = 0.0,
        seed: int = 0,
        trim_db: float | None = None,
        normalize: Normalize = "none",
        new_each_epoch: bool = False,
        vary_level_db: float = 0.0,
        vary_pitch: float = 0.0,
        vary_start: float = 0.0,
        vary_eq_db: float = 0.0,
        remove_offset: bool = True,
        labels: list[str] | None = None,
        continuous_labels: list[str] | None = None,
        labels_csv: Path | None = None,
        labels_pattern: str | None = None,
        labels_json: Path | None = None,
        prepared_dir: Path | None = Path("datasets/prepared"),
        jobs: int | None = None,
        model_dataset_depth_offset: int = 2,
        seed_shape: tuple[int, int] | None = None,
        range_out: tuple[float, float] = (-1, 1),
    ) -> None:
        both = 2 if channels == "both" else 1
        codec = codec_for(img_mode, frequency, n_fft, hop_length, frames, margin, bins, both)
        self.dir_path, self.frequency, self.channels = Path(dir_path), frequency, channels
        self.remove_offset = remove_offset
        self._with_offset: set[int] = set()
        self._checksums: list[int] = []
        self._silent: list[int] = []
        owner = type(self).__name__
        self._policy = ClipPolicy(
            owner, codec.samples, frequency, channels, too_short, too_long, overlap, seed, trim_db, normalize
        )
        self.seed, self.new_each_epoch = seed, new_each_epoch
        self._check_variation(
            vary_level_db=vary_level_db, vary_pitch=vary_pitch, vary_start=vary_start, vary_eq_db=vary_eq_db
        )
        self._variation = Variation(vary_level_db, vary_pitch, vary_start, vary_eq_db)
        self._recordings = Recordings(self.dir_path, self._policy, bad_files, max_files, prepared_dir)
        names = self._recordings.names
        table, json_file = (None if path is None else Path(path) for path in (labels_csv, labels_json))
        self._file_labels = read_labels(names, labels, table, labels_pattern, owner, json_file, continuous_labels)
        if self._file_labels is not None:
            self._file_labels.collect()  # refuses before hours of reading
        self._sources = self._divide()
        self._clips: list[Clip] = []
        self._at_full_scale = 0
        self._surveyed: tuple[int, Survey] | None = None
        super().__init__(
            codec,
            preload,
            prepared_dir=prepared_dir,
            jobs=jobs,
            model_dataset_depth_offset=model_dataset_depth_offset,
            seed_shape=seed_shape,
            range_out=range_out,
        )
        if self._file_labels is not None:
            self.label_space, self.labels = self._file_labels.collect([clip.file for clip in self._clips])

    @property
    def gain_db(self) -> NDArray[np.float64]:
        """How much louder each sound was made, dB, [len]; 0 everywhere unless files are normalised."""
        return np.array([clip.gain_db for clip in self._clips])

    @property
    def skipped(self) -> dict[str, str]:
        """Files that could not be read, and why."""
        return self._recordings.skipped

    @property
    def headers(self) -> list[SoundFile]:
        """What is known of each readable file."""
        return [recording.header for recording in self._recordings.files]

    def _check_variation(self, **given: float) -> None:
        owner = type(self).__name__
        for name, value in given.items():
            if not 0 <= value <= MOST_VARIED[name]:
                raise UserError(f"{owner}.{name} {value:g} is not allowed; allowed: 0 to {MOST_VARIED[name]:g}")
        if self.new_each_epoch and self._policy.too_long != "random":
            raise UserError(
                f"{owner}.new_each_epoch has no effect with too_long {self._policy.too_long}; allowed: too_long random"
            )

    @property
    def _varies(self) -> bool:
        return self.new_each_epoch or bool(self._variation)

    def images_at(self, indices: Sequence[int], depth: int, epochs: Sequence[int]) -> Pixels:
        """A batch [N, C, h, w] at `depth`, each sound varied as its epoch has it."""
        if not self._varies:
            return self.images(indices, depth)
        size = self.growth.shape_at(depth)[1:]
        waves = [self.varied(index, epoch) for index, epoch in zip(indices, epochs, strict=True)]
        return np.stack([box_mean(self.encode(wave), size) for wave in waves])

    def varied(self, index: int, epoch: int) -> Wave:
        """A sound as `wave` gives it, varied: the same bits for the same epoch.

        Raises:
            UserError: if the file has gone or changed since it was first read.
        """
        clip, policy = self._clips[index], self._policy
        file = self._recordings.files[clip.file]
        random = np.random.default_rng([self.seed, zlib.crc32(file.name.encode()), clip.start, epoch])
        survey = file.survey
        assert survey is not None
        start, rate = clip.start, self._variation.read_rate(random, self.frequency)
        if self.new_each_epoch:
            start = survey.begin + int(random.integers(max(survey.length - policy.samples, 0) + 1))
        # In samples at the rate it is read at; before its beginning there is silence.
        start = start * rate // self.frequency + self._variation.shift(random, rate)
        begin, end = (place * rate // self.frequency for place in (survey.begin, survey.end))
        before = min(max(begin - start, 0), policy.samples)
        samples = max(min(policy.samples - before, end - max(start, begin)), 0)
        try:
            wave = read_wave(file.header, rate, max(start, begin), samples, self.channels)
        except UnreadableSound as error:
            raise UserError(f"{file.header.path} could be read before, now it cannot: {error}") from error
        if self.remove_offset and samples:
            wave = wave - find_offset(wave, self.frequency)
        padding = [(0, 0)] * (wave.ndim - 1) + [(before, policy.samples - before - samples)]
        return self._variation.coloured(random, _amplified(np.pad(wave, padding), clip.gain_db), self.frequency)

    def prepare(self, progress: Callable[[int, int], None] | None = None) -> None:
        """Encode all sounds into a file, unless they are varied, and so encoded at each access."""
        if not self._varies:
            super().prepare(progress)

    def _divide(self) -> list[tuple[int, slice]]:
        """The sources: which clips of which file are read at once, by the lengths in the headers."""
        at_once = max(SOURCE_SAMPLES // self._policy.samples, 1)
        sources = []
        for number, file in enumerate(self._recordings.files):
            clips = len(self._policy.offsets(file.name, file.header.length_at(self.frequency)))
            sources += [(number, slice(first, first + at_once)) for first in range(0, max(clips, 1), at_once)]
        return sources

    def source_count(self) -> int:
        """How many stretches are read: one of each file, more of a long one that is cut into slices."""
        return len(self._sources)

    def read_source(self, index: int) -> SourceRead:
        """The clips of a stretch, those that cannot be read left out."""
        file, part = self._sources[index]
        recording = self._recordings.files[file]
        facts: dict[str, Any] = {"state": list(recording.state), "survey": None, "starts": [], "lost": 0, "fault": None}
        header = recording.header
        try:
            survey = self._survey(file)
        except UnreadableSound as error:
            return SourceRead([], {**facts, "lost": 1, "fault": str(error)})
        waves: list[Wave] = []
        found = _Found()
        offsets = list(self._policy.offsets(recording.name, survey.length)[part])
        while offsets:
            start = offsets.pop(0)
            clip = self._clip(file, survey, survey.begin + start)
            try:
                wave, offset = self._read(clip, header)
            except EndsEarly as error:
                facts["fault"] = facts["fault"] or str(error)
                shorter = survey.ending(error.frames * self.frequency // header.sample_rate)
                if "frames" in facts or shorter.length < 1 or (self._policy.too_long == "slices" and start):
                    facts["lost"] += 1
                    continue
                # It is a shorter file than it says, and is cut as one.
                facts["frames"], header, survey = error.frames, replace(header, frames=error.frames), shorter
                if self._policy.is_short(survey.length) and self._policy.too_short == "error":
                    return SourceRead([], {**facts, "lost": 1})
                offsets = list(self._policy.offsets(recording.name, survey.length)[part])
                continue
            except UnreadableSound as error:
                facts["fault"] = facts["fault"] or str(error)
                facts["lost"] += 1
                continue
            found.add(wave, offset)
            waves.append(_amplified(wave, clip.gain_db))
            facts["starts"].append(clip.start)
        return SourceRead(waves, {**facts, "survey": list(survey), **found.facts()})

    def add_source(self, index: int, parts: int, facts: dict[str, Any]) -> None:
        """Learn which clips a stretch has given.

        Raises:
            UserError: if the file is too short or cannot be read and that is an error, or if no file gave any clip.
        """
        file, _ = self._sources[index]
        survey = Survey(*facts["survey"]) if facts["survey"] else None
        if "frames" in facts:
            self._recordings.shorten(file, facts["frames"])
        self._recordings.note(file, survey, parts, facts["lost"], facts["fault"])
        if survey is not None:
            self._clips += [self._clip(file, survey, start) for start in facts["starts"]]
            self._at_full_scale += facts["full_scale"]
            self._checksums += facts["checksums"]
            self._silent += [len(self._clips) - parts + part for part in facts["silent"]]
            if facts["offset"]:
                self._with_offset.add(file)
        if index == len(self._sources) - 1:
            self._recordings.check_any()

    def _survey(self, file: int) -> Survey:
        """What of a file is used. That of the last one is remembered, since a long file is several sources."""
        if self._surveyed is None or self._surveyed[0] != file:
            self._surveyed = file, self._policy.survey(self._header(file), self.remove_offset)
        return self._surveyed[1]

    def _header(self, file: int) -> SoundFile:
        return self._recordings.files[file].header

    def _clip(self, file: int, survey: Survey, start: int) -> Clip:
        return Clip(file, start, min(self._policy.samples, survey.end - start), survey.gain_db)

    def _read(self, clip: Clip, header: SoundFile | None = None) -> tuple[Wave, NDArray[np.float32]]:
        """A clip filled with silence up to its length in an image, and the offset [..., 1] subtracted before that."""
        wave = read_wave(header or self._header(clip.file), self.frequency, clip.start, clip.samples, self.channels)
        offset = np.zeros((*wave.shape[:-1], 1), np.float32)
        if self.remove_offset:
            offset = find_offset(wave, self.frequency)
            wave = wave - offset if offset.any() else wave
        missing = self._policy.samples - clip.samples
        return (np.pad(wave, [(0, 0)] * (wave.ndim - 1) + [(0, missing)]) if missing else wave), offset

    def __len__(self) -> int:
        return len(self._clips)

    def wave(self, index: int) -> Wave:
        """One part of a recording, float32 [codec.samples], or [2, codec.samples] where both channels are used.

        Raises:
            UserError: if the file has gone or changed since it was first read.
        """
        clip = self._clips[index]
        try:
            return _amplified(self._read(clip)[0], clip.gain_db)
        except UnreadableSound as error:
            path = self._header(clip.file).path
            raise UserError(f"{path} could be read at the start of the run, now it cannot: {error}") from error

    def summary(self) -> dict[str, str]:
        """A summary of the recordings as text."""
        full_scale = self._at_full_scale / (len(self) * self._policy.samples * self.codec.channels)
        lines = describe_recordings(self._recordings, full_scale)
        if self._with_offset:
            names = named([self._recordings.files[file].name for file in sorted(self._with_offset)])
            lines["offset"] = f"a constant offset above -50 dB of full scale was removed from {names}"
        if self._silent:
            lines["silent sounds"] = f"{self._named(self._silent)}; {SILENT:g} of full scale at most"
        if copies := self._copies():
            lines["equal sounds"] = f"{self._named(copies)}; the same samples as an earlier one"
        if beyond := self.beyond_range:
            first, above = next(iter(beyond.items()))
            lines["outliers"] = (
                f"{self._named(list(beyond))}; far louder than all others, so that the codec's range is not fitted to"
                f" them: it clips them, {self._clip_name(first)} by {above:.1f} dB"
            )
        if self._varies:
            lines["variation"] = self._describe_variation()
        if self._file_labels is not None and self.label_space is not None and self.labels is not None:
            lines["labels"] = self._file_labels.describe(self.label_space, self.labels, "sounds")
        return {**super().summary(), **lines}

    def _describe_variation(self) -> str:
        varied = self._variation
        parts = ["another stretch of each file"] * self.new_each_epoch
        parts += [f"up to {varied.level_db:g} dB quieter"] * bool(varied.level_db)
        parts += [f"up to {varied.pitch:g} semitones faster or slower"] * bool(varied.pitch)
        parts += [f"beginning up to {varied.start:g} s earlier or later"] * bool(varied.start)
        parts += [f"equalised by up to {varied.eq_db:g} dB"] * bool(varied.eq_db)
        return f"in each epoch: {', '.join(parts)}; encoded at each access"

    def _clip_name(self, index: int) -> str:
        clip = self._clips[index]
        start = f" at {clip.start / self.frequency:.1f} s" if self._policy.too_long == "slices" else ""
        return f"{self._recordings.files[clip.file].name}{start}"

    def _named(self, indices: Sequence[int]) -> str:
        return named([self._clip_name(index) for index in indices])

    def _copies(self) -> list[int]:
        """Sounds that equal an earlier one, silent ones aside."""
        seen: set[int] = set()
        silent, copies = set(self._silent), []
        for index, checksum in enumerate(self._checksums):
            if checksum in seen and index not in silent:
                copies.append(index)
            seen.add(checksum)
        return copies

    def sources_fingerprint(self) -> str:
        """Digest of how files are cut, and of each file's name in the folder, size, first and last 64 KiB."""
        digest = hashlib.sha256(repr((self._policy, SOURCE_SAMPLES, self.remove_offset)).encode())
        for recording in self._recordings.files:
            if recording.digest is None:
                recording.digest = content_digest(recording.header.path, recording.state[0])
            digest.update(f"{recording.name}\0{recording.state[0]}\0{recording.digest}\0".encode())
        return digest.hexdigest()[:16]

    def find_bad(self, facts: Sequence[Mapping[str, Any]]) -> dict[int, dict[str, Any]]:
        """Files far above full scale among others that are not: whole numbers stored as floats."""
        if self._policy.normalize != "none":
            return {}
        peaks: dict[int, float] = {}
        for (file, _), found in zip(self._sources, facts, strict=True):
            peaks[file] = max(peaks.get(file, 0.0), found.get("peak", 0.0))
        usual = float(np.median([peak for peak in peaks.values() if peak] or [0.0]))
        far = {file: peak for file, peak in peaks.items() if peak > FAR_ABOVE * max(usual, 1.0)}
        return {
            index: {
                "fault": f"it reaches {far[file]:.0f} times full scale, and the others do not: bring it to theirs, or set"
                f" {self._policy.owner}.normalize peak",
                "lost": len(facts[index]["starts"]),
                "starts": [],
                **{name: value for name, value in _Found().facts().items() if name != "peak"},
            }
            for index, (file, _) in enumerate(self._sources)
            if file in far
        }

    def is_current(self, index: int, facts: dict[str, Any]) -> bool:
        """Whether a source's file has not been touched since these facts were found; its ends are the same anyway."""
        return bool(facts["state"] == list(self._recordings.files[self._sources[index][0]].state))

    def fingerprint(self) -> str:
        """Digest of the files' names and ends, of all sounds read from them, of the encoding, and of the labels."""
        parts = [self.sources_fingerprint(), self._checksums, self.codec.state_dict(), self._label_identity()]
        return hashlib.sha256(json.dumps([type(self).__name__, *parts]).encode()).hexdigest()[:16]

    def has_fingerprint(self, fingerprint: str) -> bool:
        """Whether these are the data of a fingerprint, also of one from before all sounds were part of it."""
        return fingerprint in (self.fingerprint(), self._earlier_fingerprint())

    def _earlier_fingerprint(self) -> str:
        """The fingerprint that runs of 2026 have stored."""
        digest = hashlib.sha256(repr((self._policy, SOURCE_SAMPLES)).encode())
        digest.update(b"offset removed" if self.remove_offset else b"")
        for recording in self._recordings.files:
            path = recording.header.path
            size = path.stat().st_size
            digest.update(f"{recording.name}\0{size}\0".encode())
            with path.open("rb") as file:
                digest.update(file.read(HASHED))
                file.seek(max(size - HASHED, 0))
                digest.update(file.read(HASHED))
        parts = [type(self).__name__, digest.hexdigest()[:16], self.codec.state_dict(), self._label_identity()]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]

    def _label_identity(self) -> Any:
        return None if self._file_labels is None else self._file_labels.identity()


class _Found:
    """What is noticed in the clips of a source while they are in memory."""

    def __init__(self) -> None:
        self._peak = 0.0
        self._full_scale = 0
        self._offset = False
        self._checksums: list[int] = []
        self._silent: list[int] = []

    def add(self, wave: Wave, offset: NDArray[np.float32]) -> None:
        """Look at a clip as read, without the offset [..., 1] that was subtracted from it."""
        recorded = np.abs(wave + offset)
        peak = float(recorded.max())
        self._peak = max(self._peak, peak)
        self._offset |= bool(np.abs(offset).max() > AUDIBLE)
        self._full_scale += int(np.count_nonzero(recorded >= FULL_SCALE)) if peak >= FULL_SCALE else 0
        if np.abs(wave).max() < SILENT:
            self._silent.append(len(self._checksums))
        self._checksums.append(zlib.crc32(np.ascontiguousarray(wave).data))

    def facts(self) -> dict[str, Any]:
        """As plain values."""
        return {
            "peak": self._peak,
            "full_scale": self._full_scale,
            "offset": self._offset,
            "checksums": self._checksums,
            "silent": self._silent,
        }


def _amplified(wave: Wave, gain_db: float) -> Wave:
    amplified: Wave = wave * np.float32(10 ** (gain_db / 20)) if gain_db else wave
    return amplified
