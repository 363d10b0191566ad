"""RunState: run.json, the status and main facts of a run, for the report and for `Run`."""

from __future__ import annotations

from math import isfinite

from pggan_framework.data.base import DepthDataset
from pggan_framework.errors import plural
from pggan_framework.loggers.base import UNLIMITED_KIMG
from pggan_framework.runs.folders import STATE, write_json
from pggan_framework.training.plugin import Plugin


class RunState(Plugin):
    """Writes ``run.json`` when training begins and ends. Every run uses this plugin."""

    main_process_only = True

    def __init__(self) -> None:
        self._begun = False

    def before_step(self) -> None:
        """Write the status ``running`` once."""
        if not self._begun:
            self._begun = True
            self._write("running")

    def on_end(self) -> None:
        """Write the final status."""
        if self._begun:
            stopped = self.trainer.stop_reason.startswith("SIG")
            self._write("failed" if self.trainer.failed else "interrupted" if stopped else "finished")

    def _write(self, status: str) -> None:
        trainer = self.trainer
        if trainer.parts.directory is None:
            return
        total = trainer.parts.total_kimg
        by_clock = total >= UNLIMITED_KIMG or (isfinite(trainer.seconds_left) and trainer.budget is not None)
        networks = {"generator": trainer.G, "discriminator": trainer.D}
        try:
            write_json(
                trainer.parts.directory / STATE,
                {
                    "status": status,
                    "data": data_line(trainer.parts.dataset),
                    "parameters": {name: sum(p.numel() for p in net.parameters()) for name, net in networks.items()},
                    "total_kimg": None if by_clock else total,
                },
            )
        except OSError as error:
            trainer.parts.logger.message(f"cannot write {STATE} ({error}); training continues")


def data_line(dataset: DepthDataset) -> str:
    """Return a summary of the training data: ``98 sounds of 0.19 s at 16 kHz, as mellog 1x16x16``."""
    shape = "x".join(map(str, dataset.shape))
    codec = dataset.codec
    if codec is None:
        return f"{plural(f'{len(dataset):,}', 'image')}, {shape}"
    seconds = codec.samples / codec.sample_rate
    count = plural(f"{len(dataset):,}", "sound")
    return f"{count} of {seconds:.3g} s at {codec.sample_rate / 1000:g} kHz, as {codec.name} {shape}"
