"""A folder of recordings as a dataset."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pggan_framework.audio import Wave
from pggan_framework.audio.reading import Channels, SoundFile, UnreadableSound
from pggan_framework.audio.variation import Variation
from pggan_framework.data.base import Pixels, box_mean
from pggan_framework.data.datasets.wave import ImgMode, SourceRead, WaveDataset, codec_for
from pggan_framework.data.labels.labelled import LabelledFiles
from pggan_framework.data.labels.labelling import read_labels
from pggan_framework.data.recordings.clips import ClipPolicy, Normalize, Survey, TooLong, TooShort
from pggan_framework.data.recordings.folder import BadFiles, Recordings
from pggan_framework.data.recordings.noticed import Noticed, far_above
from pggan_framework.data.recordings.reader import Clip, ClipReader
from pggan_framework.data.recordings.summary import describe_recordings
from pggan_framework.data.recordings.varying import Varying
from pggan_framework.data.walk import named
from pggan_framework.errors import UserError
from pggan_framework.registry import register


@register("dataset")
class SoundImageDataset(LabelledFiles, WaveDataset):
    r"""Recordings (wav, flac, ogg, mp3, aiff ...) of any sample rate in a folder and its subfolders, each as an image.

    Files are sorted by name and resampled (soxr). The summary reports which files were resampled, cut, padded or
    skipped.

    Args:
        dir_path: folder of the recordings.
        n_fft: window length in samples, a power of two; an image has n_fft / 2 rows (default: 1024; 2048 for ``if`` and
            ``ifmel``).
        hop_length: number of samples between columns, at most n_fft / 2 (default: 128; 512 for ``if`` and ``ifmel``).
        frequency: sample rate in Hz to resample to.
        img_mode: content of an image: ``abslog``, log magnitudes; ``mellog``, the same in mel bands; ``if``, magnitudes
            and instantaneous frequencies; ``ifmel``, the same in mel bands, for single notes; ``complex``, real and
            imaginary parts; ``reallog``, real parts; or ``raw``, the folded waveform.
        bins: number of rows of an image; sets n_fft to twice this number or, in mel modes, the number of bands or, in
            ``raw``, the number of rows.
        frames: number of columns of an image (default: n_fft / 2; 128 for ``if`` and ``ifmel``); a clip has
            (frames - 2 * margin) * hop_length samples.
        margin: silent columns at each end that decoding discards (default: n_fft / (2 * hop_length) for ``abslog`` and
            ``mellog``, else 0).
        channels: channels to use: ``mix``, the mean of all; ``left``, the first; ``both``, the first two.
        max_files: number of files to use, the first ones by name (default: all).
        bad_files: treatment of unreadable files: ``skip`` omits and reports them, ``error`` stops.
        too_short: treatment of sounds shorter than a clip: ``error`` stops, ``pad`` appends silence, ``reject`` omits
            them.
        too_long: part of longer sounds to use: ``first``, the beginning; ``random``, a random segment per file; or
            ``slices``, all consecutive segments of a clip's length.
        overlap: overlap of consecutive slices, as a fraction, 0 to below 1.
        seed: random seed for the choice of segments.
        trim_db: trim both ends below this level, in dB below the file's peak, e.g. 60.
        normalize: level to normalize in each file: ``peak`` to -1 dB or ``rms`` to -20 dB of full scale.
        new_each_epoch: whether to draw new ``random`` segments in each epoch; sounds are then encoded at each access.
        vary_level_db: largest random attenuation in dB, new in each epoch.
        vary_pitch: largest random change of speed in semitones, pitch and tempo together.
        vary_start: largest random shift of the start in seconds.
        vary_eq_db: largest random attenuation by a smooth equalizer, in dB.
        remove_offset: subtract the constant offset of each clip, measured in its quiet parts.

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
        owner = type(self).__name__
        policy = ClipPolicy(
            owner, codec.samples, frequency, channels, too_short, too_long, overlap, seed, trim_db, normalize
        )
        self._recordings = Recordings(self.dir_path, policy, bad_files, max_files, prepared_dir is not None)
        self._reader = ClipReader(self._recordings, remove_offset)
        variation = Variation(vary_level_db, vary_pitch, vary_start, vary_eq_db)
        self._varying = Varying(self._reader, variation, new_each_epoch)
        names = self._recordings.names
        table, json_file = (None if path is None else Path(path) for path in (labels_csv, labels_json))
        self._file_labels = read_labels(names, labels, table, labels_pattern, owner, json_file, continuous_labels)
        if self._file_labels is not None:
            self._file_labels.collect()  # fails before hours of reading
        self._clips: list[Clip] = []
        self._noticed = Noticed()
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
        """The gain of each sound in dB, [len]; 0 unless files are normalized."""
        return np.array([clip.gain_db for clip in self._clips])

    @property
    def skipped(self) -> dict[str, str]:
        """Files that could not be read, and the reasons."""
        return self._recordings.skipped

    @property
    def headers(self) -> list[SoundFile]:
        """The header of each readable file."""
        return [recording.header for recording in self._recordings.files]

    def images_at(self, indices: Sequence[int], depth: int, epochs: Sequence[int]) -> Pixels:
        """A batch [N, C, h, w] at `depth`, with each sound varied for its epoch."""
        if not self._varying:
            return self.images(indices, depth)
        size = self.growth.shape_at(depth)[1:]
        waves = [self.varied(index, epoch) for index, epoch in zip(indices, epochs, strict=True)]
        return np.stack([box_mean(self.encode(wave), size) for wave in waves])

    def varied(self, index: int, epoch: int) -> Wave:
        """Return the sound of `wave`, varied for an epoch: the same epoch gives the same bits. Raises the errors of `wave`."""
        return self._readable(index, lambda clip: self._varying.wave(clip, epoch))

    def prepare(self, progress: Callable[[int, int], None] | None = None) -> None:
        """Encode all sounds into a file, unless they are varied and therefore encoded at each access."""
        if not self._varying:
            super().prepare(progress)

    def source_count(self) -> int:
        """The number of sources: one per file, or more for a long file that is cut into slices."""
        return len(self._reader.sources)

    def read_source(self, index: int) -> SourceRead:
        """Read the clips of a segment; unreadable clips are omitted."""
        return SourceRead(*self._reader.read_source(index))

    def add_source(self, index: int, parts: int, facts: dict[str, Any]) -> None:
        """Record the clips that were read from a segment.

        Raises:
            UserError: if a file is too short or unreadable and that is an error, or if there are no clips.
        """
        file, _ = self._reader.sources[index]
        survey = Survey(*facts["survey"]) if facts["survey"] else None
        if "frames" in facts:
            self._recordings.shorten(file, facts["frames"])
        self._recordings.note(file, survey, parts, facts["lost"], facts["fault"])
        if survey is not None:
            self._clips += [self._reader.clip(file, survey, start) for start in facts["starts"]]
            self._noticed.add(file, facts)
        if index == len(self._reader.sources) - 1:
            self._recordings.check_any()

    def __len__(self) -> int:
        return len(self._clips)

    def wave(self, index: int) -> Wave:
        """One clip of a recording, float32 [codec.samples], or [2, codec.samples] if both channels are used.

        Raises:
            UserError: if the file was removed or changed since it was first read.
        """
        return self._readable(index, self._reader.wave)

    def _readable(self, index: int, read: Callable[[Clip], Wave]) -> Wave:
        clip = self._clips[index]
        try:
            return read(clip)
        except UnreadableSound as error:
            path = self._recordings.files[clip.file].header.path
            raise UserError(f"{path} could be read at the start of the run, but cannot be read now: {error}") from error

    def summary(self) -> dict[str, str]:
        """A summary of the recordings."""
        full_scale = self._noticed.at_full_scale / (len(self) * self.codec.samples * self.codec.channels)
        lines = describe_recordings(self._recordings, full_scale)
        lines |= self._noticed.lines(self._recordings.names, self._clip_name)
        if beyond := self.beyond_range:
            first, above = next(iter(beyond.items()))
            lines["outliers"] = (
                f"{named(list(map(self._clip_name, beyond)))}; far louder than all others, so that the codec's range is not fitted to"
                f" them: it clips them, {self._clip_name(first)} by {above:.1f} dB"
            )
        if self._varying:
            lines["variation"] = self._varying.describe()
        if self._file_labels is not None and self.label_space is not None and self.labels is not None:
            lines["labels"] = self._file_labels.describe(self.label_space, self.labels, "sounds")
        return {**super().summary(), **lines}

    def recordings(self) -> list[str]:
        """The name of the recording that each clip was cut from."""
        return [self._recordings.files[clip.file].name for clip in self._clips]

    def _clip_name(self, index: int) -> str:
        clip = self._clips[index]
        start = f" at {clip.start / self.frequency:.1f} s" if self._reader.policy.too_long == "slices" else ""
        return f"{self._recordings.files[clip.file].name}{start}"

    def sources_fingerprint(self) -> str:
        """Digest of the cutting parameters, and of each file's name in the folder, size, first and last 64 KiB."""
        return self._reader.digest()

    def find_bad(self, facts: Sequence[Mapping[str, Any]]) -> dict[int, dict[str, Any]]:
        """Files whose samples are far above full scale, unlike the other files: integers stored as floats."""
        policy = self._reader.policy
        files = [file for file, _ in self._reader.sources]
        return {} if policy.normalize != "none" else far_above(files, facts, policy.owner)

    def is_current(self, index: int, facts: dict[str, Any]) -> bool:
        """True if the file of a source is unchanged since these facts were found."""
        return bool(facts["state"] == list(self._recordings.files[self._reader.sources[index][0]].state))

    def fingerprint(self) -> str:
        """Digest of the files' names and ends, all sounds read from them, the encoding, and the labels."""
        return self._digest_of(self.sources_fingerprint(), self._noticed.checksums)

    def has_fingerprint(self, fingerprint: str) -> bool:
        """True if a fingerprint matches these data; also accepts an earlier format that did not include all sounds."""
        return fingerprint in (self.fingerprint(), self._earlier_fingerprint())

    def _earlier_fingerprint(self) -> str:
        """The fingerprint in the format that runs of 2026 stored."""
        return self._digest_of(self._reader.earlier_digest())

    def _digest_of(self, *parts: Any) -> str:
        labels = None if self._file_labels is None else self._file_labels.identity()
        known = [type(self).__name__, *parts, self.codec.encoding(), labels]
        return hashlib.sha256(json.dumps(known).encode()).hexdigest()[:16]
