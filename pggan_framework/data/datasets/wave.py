"""Datasets whose images are encoded sounds."""

from __future__ import annotations

import hashlib
import inspect
import json
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import log10
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from pggan_framework.audio import Codec, Wave, build_codec
from pggan_framework.data.base import DepthDataset, Pixels, box_means
from pggan_framework.data.datasets.h5 import OldH5Dataset
from pggan_framework.data.prepare.parallel import processors
from pggan_framework.data.prepare.sounds import FORMAT, PICTURES, encode_to_memory, read_sources, write_pictures
from pggan_framework.errors import UserError
from pggan_framework.registry import REGISTRY
from pggan_framework.storage.rows import collector_waits

ImgMode = str
"""The name of a registered codec: ``pggan components`` lists them."""


def codec_for(
    img_mode: str,
    sample_rate: int,
    n_fft: int | None,
    hop_length: int | None,
    frames: int | None,
    margin: int | None = None,
    bins: int | None = None,
    channels: int = 1,
) -> Codec:
    """Build the codec of an image mode; None selects the mode's default size.

    ``raw`` images contain samples. Their number equals the length in samples of an ``abslog`` spectrogram of these
    sizes without a margin.

    Args:
        img_mode: name of a codec.
        sample_rate: Hz.
        n_fft: window length in samples.
        hop_length: number of samples between columns.
        frames: number of columns.
        margin: number of columns at each end that decoding discards.
        bins: number of rows of an image, in any mode.
        channels: number of channels of a wave.

    Raises:
        UserError: if the mode is unknown, a size is outside its limits, or `bins` and `n_fft` do not agree.
    """
    try:
        cls: type[Codec] = REGISTRY.get(img_mode, "codec").cls
    except UserError as error:
        raise UserError(f"img_mode: {error}") from error
    taken = inspect.signature(cls).parameters
    for name, size in (("margin", margin or 0), ("channels", channels - 1)):
        if size and name not in taken:
            raise UserError(f"img_mode {img_mode} has no {name}; leave {name} out, or choose another img_mode")
    own = {name: size for name, size in (("margin", margin), ("channels", channels)) if name in taken}
    if bins is not None and cls.rows_parameter is not None:
        own[cls.rows_parameter] = bins
    elif bins is not None:
        if bins < 4 or bins & (bins - 1):
            raise UserError(f"bins {bins} is not a power of two; allowed: 4, 8 ... 512, 1024 ...")
        if n_fft not in (None, 2 * bins):
            raise UserError(
                f"bins {bins} and n_fft {n_fft} do not agree: bins are n_fft / 2;"
                f" allowed: one of them, or n_fft {2 * bins}"
            )
        n_fft = 2 * bins
    given = {"sample_rate": sample_rate, "n_fft": n_fft, "hop_length": hop_length, "frames": frames}
    sizes = {name: size for name, size in given.items() if size is not None}
    if "samples" in taken and "frames" not in taken:
        sizes = {"sample_rate": sample_rate, "samples": build_codec("abslog", **sizes, margin=0).samples}
    return build_codec(img_mode, **sizes, **own)


@dataclass(frozen=True)
class SourceRead:
    """The clips and facts read from a source.

    Args:
        waves: clips of the source in order, each [codec.samples] or [channels, codec.samples]; may be empty.
        facts: facts for the dataset to store, as plain JSON values (numbers, strings, lists, dicts, None).
    """

    waves: list[Wave]
    facts: dict[str, Any]


class WaveDataset(DepthDataset):
    """Base of sound datasets: a subclass provides the waves; this class fits the codec to them and encodes them.

    A subclass sets the attributes that its methods need, then calls ``super().__init__``, which reads all sources once,
    in parallel, and fits the codec to their sounds. Encoded images are float16 in (-1, 1). They are bit-identical
    whether they are kept in memory, read from a prepared file, or encoded on demand in any process.

    The simplest subclass implements `__len__` and `wave` (each sound is a source). A subclass that reads files
    implements

    - `source_count`: the number of sources, known from the files' headers;
    - `read_source`, which runs in worker processes and must not change the dataset. A source is the unit of reading: a
      file, or a segment of a long file. It should contain at most a few minutes of sound, since each process holds a
      few sources in memory. Reading a source twice gives the same bits. An unreadable source is not an error: it gives
      no waves, and its facts contain the reason;
    - `add_source`, which is called in the main process, once per source and in order, for sources that were just read
      or cached from an earlier start. Only this method records which sounds the dataset has. After the last call,
      `__len__` and `wave` must work, and ``wave(i)`` must equal sound number i of all sources bit for bit;
    - `sources_fingerprint`, which identifies the sources, so that cached results can be reused.

    Args:
        codec: codec that converts waves to images; this class fits it.
        preload: keep all encoded images in memory instead of encoding at each access.
        prepared_dir: folder that caches measurements and encoded images for the next start; None caches nothing.
        jobs: number of processes that read and encode (default: number of processors).
    """

    codec: Codec
    earlier_values: ClassVar[Mapping[str, Any]] = {"margin": 0}
    """Values of parameters that stored configs lack because the run is older than the parameters."""

    def __init__(
        self,
        codec: Codec,
        preload: bool = False,
        prepared_dir: Path | None = None,
        jobs: int | None = 1,
        model_dataset_depth_offset: int = 2,
        seed_shape: tuple[int, int] | None = None,
        range_out: tuple[float, float] = (-1, 1),
    ) -> None:
        if jobs is not None and jobs < 1:
            raise UserError(f"{type(self).__name__}.jobs {jobs} is not allowed; allowed: 1 or more")
        super().__init__(codec.shape, model_dataset_depth_offset, seed_shape, (-1, 1), range_out)
        self.codec = codec
        self.jobs = processors() if jobs is None else jobs
        self._pictures: Pixels | None = None
        self._file: OldH5Dataset | None = None
        self._folder = self._preparation(prepared_dir)
        self._parts: list[int] = []
        self._loudness: list[float] = []
        self._fit()
        if self._folder is not None and (self._folder / PICTURES).is_file():
            self._file = OldH5Dataset(self._folder / PICTURES)
        if preload:
            self._pictures = self._load()

    def _preparation(self, prepared_dir: Path | None) -> Path | None:
        """The cache folder for these sources and parameters, named after a digest of them."""
        sources = self.sources_fingerprint() if prepared_dir is not None else None
        if prepared_dir is None or sources is None:
            return None
        growth = [self.growth.seed, self.growth.doubles]
        known = [FORMAT, type(self).__name__, self.codec.name, self.codec.parameters, growth, sources]
        return Path(prepared_dir) / hashlib.sha256(json.dumps(known, sort_keys=True).encode()).hexdigest()[:16]

    def _fit(self) -> None:
        """Read all sources once and fit the codec."""
        rows = read_sources(self, self._folder, self.jobs)
        bad = self.find_bad([row["facts"] for row in rows])
        surveyed: list[Mapping[str, float]] = []
        with collector_waits():
            for index, row in enumerate(rows):
                measures = [] if index in bad else row["measures"]
                self._parts.append(len(measures))
                facts = {**row["facts"], **bad[index]} if index in bad else row["facts"]
                self.add_source(index, len(measures), facts)
                self._loudness += [measured["peak"] for measured in measures]
                surveyed += measures
        self.codec.fit_measures(surveyed)

    @property
    def beyond_range(self) -> dict[int, float]:
        """Sounds that exceed the range fitted by the codec, loudest first, and by how many dB."""
        limit = self.codec.statistic("peak")
        above = {index: 20 * log10(peak / limit) for index, peak in enumerate(self._loudness) if peak > limit}
        return dict(sorted(above.items(), key=lambda each: -each[1]))

    def _load(self) -> Pixels:
        """All images at full size."""
        if self._file is None:
            return encode_to_memory(self, self._parts, self.jobs)
        return self._file.images(range(len(self)), self.growth.max_depth)

    def prepare(self, progress: Callable[[int, int], None] | None = None) -> None:
        """Encode all sounds, at every depth, into a file that `images` then reads.

        The file stays in `prepared_dir` for the next start, so it needs disk space. After an interruption, the next
        call resumes. This method has no effect with preload, or without prepared_dir.

        Args:
            progress: called with the number of finished images and the total.

        Raises:
            UserError: if the disk is full or cannot be written, or the recordings have changed.
        """
        if self._folder is None or self._pictures is not None or self._file is not None:
            return
        self._file = OldH5Dataset(write_pictures(self, self._parts, self._folder, self.jobs, progress))

    @abstractmethod
    def wave(self, index: int) -> Wave:
        """One sound with the length of an image, [codec.samples]; repeated calls return identical samples."""

    def source_count(self) -> int:
        """The number of sources; by default one per sound."""
        return len(self)

    def read_source(self, index: int) -> SourceRead:
        """Read source `index`; by default sound `index`. Runs in a worker process; must not change the dataset."""
        return SourceRead([self.wave(index)], {})

    def add_source(self, index: int, parts: int, facts: dict[str, Any]) -> None:  # noqa: B027 - does nothing by default
        """Record that source `index` has `parts` sounds and these facts; called in the main process and in order."""

    def sources_fingerprint(self) -> str | None:
        """Digest of the files and of every parameter that affects `read_source`, known before anything is read.

        None, the default, disables the cache in `prepared_dir`. The codec's parameters need not be included.
        """
        return None

    def find_bad(self, facts: Sequence[Mapping[str, Any]]) -> dict[int, dict[str, Any]]:
        """Sources to exclude, determined from the `facts` of all sources, and the facts to add to each of them."""
        return {}

    def is_current(self, index: int, facts: dict[str, Any]) -> bool:
        """True if `facts` from an earlier start are still valid for source `index`; otherwise it is read again."""
        return True

    def encode(self, wave: Wave) -> Pixels:
        """Encode a sound as an image, float16 [C, bins, frames] in (-1, 1)."""
        return self.codec.encode(wave).astype(np.float16)

    def image(self, index: int) -> Pixels:
        """One encoded sound, float16 [C, bins, frames] in (-1, 1)."""
        if self._pictures is not None:
            picture: Pixels = self._pictures[index]
            return picture
        return self._file.image(index) if self._file is not None else self.encode(self.wave(index))

    def images(self, indices: Sequence[int], depth: int) -> Pixels:
        """A batch [N, C, h, w] at `depth`, from the prepared file if there is one."""
        if self._file is not None and self._pictures is None:
            return self._file.images(indices, depth)
        return super().images(indices, depth)

    def pyramid(self, indices: Sequence[int]) -> list[Pixels]:
        """The results of `images` at every depth, smallest first."""
        return box_means([self.image(index) for index in indices], self.growth)

    def summary(self) -> dict[str, str]:
        """A summary of the data."""
        codec = self.codec
        parameters = ", ".join(f"{key} {value}" for key, value in codec.parameters.items())
        fitted = ", ".join(f"{key} {value:.6g}" for key, value in codec.statistics.items())
        channels, height, width = self.shape
        return {
            "sounds": f"{len(self)} of {codec.samples} samples ({codec.samples / codec.sample_rate:.3f} s) at"
            f" {codec.sample_rate} Hz",
            "images": f"{len(self)}, {channels} x {height} x {width}, values -1 to 1, {self._whereabouts()}",
            "codec": f"{codec.name} ({parameters}), fitted to all sounds: {fitted}",
        }

    def _whereabouts(self) -> str:
        if self._pictures is not None:
            return "kept in memory"
        if self._file is not None:
            return f"prepared in {self._file.h5_path}"
        return "encoded at each access" if self._folder is None else f"encoded before a training, in {self._folder}"
