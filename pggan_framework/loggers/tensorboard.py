"""TensorBoard: a run's metrics, images, sounds and histograms as event files in its folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pggan_framework.errors import require
from pggan_framework.loggers.base import Histogram, Logger, RunInfo
from pggan_framework.registry import register
from pggan_framework.storage.names import libsndfile_path


@register("logger")
class TensorBoardLogger(Logger):
    """Writes TensorBoard event files; ``tensorboard --logdir results`` compares all runs. The step is nimg.

    All data remain on this machine. A resumed run first marks events newer than its checkpoint as superseded, so curves
    read as if the run had not stopped. It needs the extra ``tensorboard``.

    Args:
        directory: folder of the event files, inside the run's folder.
    """

    def __init__(self, directory: str = "tensorboard") -> None:
        require("tensorboard", "TensorBoardLogger")
        self.directory = directory
        self._writer: Any = None

    def start(self, run: RunInfo) -> None:
        """Open the event file and write the configuration as text."""
        from torch.utils.tensorboard import SummaryWriter

        self._folder = str(run.directory / self.directory)
        self._highest = run.logged_nimg
        purge = None if run.resumed_nimg is None else run.logged_nimg + 1
        self._writer = SummaryWriter(self._folder, purge_step=purge)
        if run.resumed_nimg is None:
            # Four spaces make it a code block in markdown.
            text = "".join(f"    {line}\n" for line in run.config_text.splitlines())
            self._writer.add_text("config", text, 0)

    def log(self, stats: Mapping[str, float], nimg: int) -> None:
        """Write a tick's values."""
        if self._writer is None:
            return
        if nimg <= self._highest:
            self._go_back(nimg)
        self._highest = nimg
        for name, value in stats.items():
            if name != "nimg":
                self._writer.add_scalar(name.replace(".", "/"), float(value), nimg)
        self._writer.flush()

    def image(self, name: str, path: Path, nimg: int) -> None:
        """Write an image."""
        if self._writer is not None:
            import numpy as np
            from PIL import Image

            with Image.open(path) as picture:
                self._writer.add_image(name, np.asarray(picture.convert("RGB")), nimg, dataformats="HWC")

    def audio(self, name: str, path: Path, nimg: int) -> None:
        """Write a sound, downmixed to mono: TensorBoard plays one channel only."""
        if self._writer is not None:
            import soundfile

            wave, rate = soundfile.read(libsndfile_path(path), dtype="float32", always_2d=True)
            self._writer.add_audio(name, wave.mean(axis=1)[None], nimg, sample_rate=rate)

    def histogram(self, name: str, histogram: Histogram, nimg: int) -> None:
        """Write a distribution of values."""
        if self._writer is not None:
            edges = histogram.edges.tolist()
            self._writer.add_histogram_raw(
                name.replace(".", "/"),
                min=edges[0],
                max=edges[-1],
                num=int(histogram.counts.sum()),
                sum=histogram.sum,
                sum_squares=histogram.sum_squares,
                # A bucket is given by its upper edge; the empty first bucket gives the lower edge of the second.
                bucket_limits=edges,
                bucket_counts=[0, *histogram.counts.tolist()],
                global_step=nimg,
            )

    def finish(self, status: str) -> None:
        """Write the final status of the run and close the file."""
        if self._writer is not None:
            writer, self._writer = self._writer, None
            writer.add_text("status", status, self._highest)
            writer.close()

    def _go_back(self, nimg: int) -> None:
        """Mark events at `nimg` and later as superseded: the run was rolled back."""
        from torch.utils.tensorboard import SummaryWriter

        self._writer.close()
        self._writer = SummaryWriter(self._folder, purge_step=nimg)
