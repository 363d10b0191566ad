"""OutputGenerator: samples of the EMA generator from constant latents, and a grid of reals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from pggan_framework.data.loader import to_network_range
from pggan_framework.errors import UserError
from pggan_framework.labels.attributes import Labels
from pggan_framework.labels.maps import MapSpace
from pggan_framework.loggers.base import Logger
from pggan_framework.postprocessors.base import Artifact, Postprocessor
from pggan_framework.registry import register
from pggan_framework.reporting.run import SAMPLES
from pggan_framework.runs.folders import write_json
from pggan_framework.storage.numbers import Numbers
from pggan_framework.training.plugin import Plugin
from pggan_framework.training.randomness import derive

if TYPE_CHECKING:
    from pggan_framework.training.trainer import Trainer

_LATENTS, _REALS = 1, 2  # random streams of the seed, for latents and reals
_TRIES = 8
"""Reals tried for one that differs from the previous ones, in data with duplicates."""


@register("plugin")
class OutputGenerator(Plugin):
    """Passes samples to every postprocessor: at the first tick, every few ticks, and when training ends.

    For labelled data, the labels of the samples are ordered from first to last with the frequencies of the data, and
    each real has the label of its sample. Label maps are passed too, as ``maps``, in their colours.

    Args:
        postprocessors: the enabled postprocessors; passed by the experiment.
        logger: logger that receives the paths of the files; passed by the experiment.
        samples_count: number of samples.
        output_snapshot_ticks: ticks between two sample grids.
    """

    injected: ClassVar[tuple[str, ...]] = ("postprocessors", "logger")
    main_process_only = True

    def __init__(
        self,
        postprocessors: Sequence[Postprocessor],
        logger: Logger,
        samples_count: int = 6,
        output_snapshot_ticks: int = 3,
    ) -> None:
        for name, value in (("samples_count", samples_count), ("output_snapshot_ticks", output_snapshot_ticks)):
            if value < 1:
                raise UserError(f"OutputGenerator.{name}: {value} is given; allowed: 1 and up")
        self.postprocessors = postprocessors
        self.logger = logger
        self.samples_count = samples_count
        self.output_snapshot_ticks = output_snapshot_ticks
        self._numbers = Numbers()
        self._written = -1
        self._missing: set[str] = set()
        """Kinds of samples that could not be written; writing is retried at the next tick."""

    def setup(self, trainer: Trainer) -> None:
        """Draw the latents of all samples of this run, and choose their labels."""
        super().setup(trainer)
        labels = trainer.parts.dataset.labels
        self.labels = None if labels is None else evenly(labels, self.samples_count)
        random = torch.Generator().manual_seed(derive(trainer.parts.seed, _LATENTS))
        self.latents = torch.randn(self.samples_count, trainer.G.latent_size, generator=random)

    def before_step(self) -> None:
        """Write the grid of reals, and of label maps, before the first step."""
        if self.trainer.iteration == 0:
            self._announce()
            for kind in ("reals", "maps"):
                self._save_data(kind)
            self.trainer.background.join()

    def _save_data(self, kind: str) -> None:
        """Write the grid of reals or, for data with label maps, of label maps."""
        space = self.trainer.parts.dataset.label_space
        self._missing.add(kind)
        if kind == "reals":
            self._start(self.reals(), kind)
        elif isinstance(space, MapSpace) and self.labels is not None:
            painted = torch.from_numpy(space.paint(self.labels))
            self._start(to_network_range(painted, (0, 255), (-1, 1)).numpy(), kind)
        self._missing.discard(kind)

    def on_tick(self) -> None:
        """Write samples if they are due."""
        missing, self._missing = self._missing, set()
        for kind in missing - {"fakes"}:
            self._save_data(kind)
        due = self.trainer.tick == 1 or self.trainer.tick % self.output_snapshot_ticks == 0 or "fakes" in missing
        if due:  # the last samples are written at the end, after saving the state that includes them
            self._numbers.of(self.trainer.nimg)
        if due and not self.trainer.ending:
            with self.trainer.timing.of("saving"):
                self._start(self.fakes(), "fakes")

    def on_end(self) -> None:
        """Write the last samples if they are not written yet."""
        if not self.trainer.failed and self.trainer.iteration > 0 and self._written != self.trainer.nimg:
            self._start(self.fakes(), "fakes")
            self.trainer.background.join()

    def fakes(self) -> NDArray[np.float32]:
        """Generate samples [n, C, h, w] in [-1, 1] with the EMA generator, at the current depth and alpha."""
        return self.trainer.generate(self.latents, self.labels)

    def reals(self) -> NDArray[np.float32]:
        """Return reals [n, C, H, W] in [-1, 1] at full depth, drawn by the seed, each with the label of its sample.

        The images are distinct if the data have enough images of each label.
        """
        parts = self.trainer.parts
        dataset = parts.dataset
        random = np.random.default_rng(derive(parts.seed, _REALS))
        order = dataset.present(random.permutation(len(dataset)))
        labels, known = self.labels, dataset.labels
        chosen: list[int] = []
        seen: dict[bytes, int] = {}
        for number in range(self.samples_count):
            same = order
            if labels is not None and known is not None:
                same = order[np.all(known[order] == labels[number], axis=1)]
            candidates = [int(index) for index in same if int(index) not in chosen]
            for index in candidates[:_TRIES]:
                content = dataset.images([index], dataset.growth.max_depth).tobytes()
                if seen.setdefault(content, index) == index:
                    candidates = [index]
                    break
            chosen.append((candidates or same.tolist())[0])
        batch = torch.from_numpy(dataset.images(chosen, dataset.growth.max_depth))
        return to_network_range(batch, dataset.range_in, (-1, 1)).numpy()

    def _start(self, samples: NDArray[np.float32], kind: str) -> None:
        """Save `samples` in the background; the loggers receive the files once they are written."""
        nimg = self.trainer.nimg
        number = self._numbers.of(nimg) if kind == "fakes" else ""

        def write() -> list[Artifact]:
            artifacts, first = [], None
            for saver in self.postprocessors:
                saver.number = number
                try:
                    artifacts += saver.save(samples, kind, nimg // 1000)
                except Exception as error:  # the other postprocessors still write their samples
                    first = first or error
            if first is not None:
                raise first
            return artifacts

        def failed(error: Exception) -> None:
            self._missing.add(kind)
            self.trainer.hooks.warn("samples", error)

        def tell(artifacts: list[Artifact]) -> None:
            for artifact in artifacts:
                if artifact.kind == "image":
                    self.logger.image(artifact.name, artifact.path, nimg)
                elif artifact.kind == "audio":
                    self.logger.audio(artifact.name, artifact.path, nimg)

        self.trainer.background.submit(write, tell, "samples", failed)
        if kind == "fakes":
            self._written = nimg

    def state_dict(self) -> dict[str, Any]:
        """Return the latents, the labels and the last number."""
        labels = None if self.labels is None else torch.from_numpy(self.labels)
        return {"latents": self.latents, "labels": labels, "numbered": self._numbers.last}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the latents, unless the configured number of samples has changed."""
        self._numbers.last = state.get("numbered", -1)
        if len(state["latents"]) == self.samples_count:
            self.latents = state["latents"]
            self.labels = None if state.get("labels") is None else state["labels"].numpy()

    def _announce(self) -> None:
        """Log the label of each sample, and store them for the report."""
        space, directory = self.trainer.parts.dataset.label_space, self.trainer.parts.directory
        if space is None or self.labels is None:
            return
        labels = [space.describe(label) for label in self.labels.tolist()]
        self.logger.message("labels of the samples: " + ", ".join(labels))
        if directory is not None:
            write_json(directory / SAMPLES, {"labels": labels})


def evenly(labels: Labels, count: int) -> Labels:
    """Select `count` of the labels [N, A] in even steps from the first to the last."""
    ordered = labels[np.lexsort(labels.T[::-1])]
    places = np.linspace(0, len(ordered) - 1, count) if count > 1 else np.array([len(ordered) // 2])
    chosen: Labels = ordered[np.rint(places).astype(np.int64)]
    return chosen
