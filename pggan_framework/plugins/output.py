"""OutputGenerator: samples from the averaged generator, always from the same latents, beside a sheet of reals."""

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
from pggan_framework.training.plugin import Plugin
from pggan_framework.training.randomness import derive

if TYPE_CHECKING:
    from pggan_framework.training.trainer import Trainer

_LATENTS, _REALS = 1, 2  # which stream of the seed


@register("plugin")
class OutputGenerator(Plugin):
    """Gives samples to every postprocessor: at the first tick, every few ticks, and when training ends.

    Where the data are labelled, the samples are of labels from the first to the last, as often as the data have them,
    and each real is of its sample's label. Label maps are given too, as ``maps``, in their colours.

    Args:
        postprocessors: what turns samples into files; given by the experiment.
        logger: hears of the files; given by the experiment.
        samples_count: how many samples.
        output_snapshot_ticks: ticks between two sheets.
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
        self._written = -1

    def setup(self, trainer: Trainer) -> None:
        """Draw the latents all samples of this run come from, and choose their labels."""
        super().setup(trainer)
        labels = trainer.parts.dataset.labels
        self.labels = None if labels is None else evenly(labels, self.samples_count)
        random = torch.Generator().manual_seed(derive(trainer.parts.seed, _LATENTS))
        self.latents = torch.randn(self.samples_count, trainer.G.latent_size, generator=random)

    def before_step(self) -> None:
        """Write the sheet of reals, and of label maps, before the first step."""
        if self.trainer.iteration == 0:
            self._announce()
            self.save(self.reals(), "reals")
            space = self.trainer.parts.dataset.label_space
            if isinstance(space, MapSpace) and self.labels is not None:
                self.save(
                    to_network_range(torch.from_numpy(space.paint(self.labels)), (0, 255), (-1, 1)).numpy(), "maps"
                )

    def on_tick(self) -> None:
        """Write samples if they are due."""
        due = self.trainer.tick == 1 or self.trainer.tick % self.output_snapshot_ticks == 0
        if due and not self.trainer.ending:
            with self.trainer.timing.of("saving"):
                self._start(self.fakes(), "fakes")

    def on_end(self) -> None:
        """Write the last samples, if they are not written yet."""
        if not self.trainer.failed and self.trainer.iteration > 0 and self._written != self.trainer.nimg:
            self.save(self.fakes(), "fakes")

    def fakes(self) -> NDArray[np.float32]:
        """Samples [n, C, h, w] in [-1, 1] at the current depth and alpha, from the averaged generator."""
        return self.trainer.generate(self.latents, self.labels)

    def reals(self) -> NDArray[np.float32]:
        """Real pictures [n, C, H, W] in [-1, 1] at full depth, drawn by the seed."""
        parts = self.trainer.parts
        dataset = parts.dataset
        random = np.random.default_rng(derive(parts.seed, _REALS))
        order = dataset.present(random.permutation(len(dataset)))
        if self.labels is None or dataset.labels is None:
            indices = order[: self.samples_count].tolist()
        else:
            shuffled = dataset.labels[order]
            indices = [int(order[np.all(shuffled == label, axis=1).argmax()]) for label in self.labels]
        batch = torch.from_numpy(dataset.images(indices, dataset.growth.max_depth))
        return to_network_range(batch, dataset.range_in, (-1, 1)).numpy()

    def save(self, samples: NDArray[np.float32], kind: str) -> None:
        """Give `samples` to every postprocessor, and what they wrote to the loggers."""
        self._start(samples, kind)
        self.trainer.background.join()

    def _start(self, samples: NDArray[np.float32], kind: str) -> None:
        """Hand `samples` to the background; the loggers hear of the files when they are written."""
        nimg = self.trainer.nimg

        def write() -> list[Artifact]:
            return [artifact for saver in self.postprocessors for artifact in saver.save(samples, kind, nimg // 1000)]

        def tell(artifacts: list[Artifact]) -> None:
            for artifact in artifacts:
                if artifact.kind == "image":
                    self.logger.image(artifact.name, artifact.path, nimg)
                elif artifact.kind == "audio":
                    self.logger.audio(artifact.name, artifact.path, nimg)

        self.trainer.background.submit(write, tell, "samples")
        if kind == "fakes":
            self._written = nimg

    def state_dict(self) -> dict[str, Any]:
        """The latents and the labels."""
        labels = None if self.labels is None else torch.from_numpy(self.labels)
        return {"latents": self.latents, "labels": labels}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on with the same latents."""
        self.latents = state["latents"]
        self.labels = None if state.get("labels") is None else state["labels"].numpy()

    def _announce(self) -> None:
        """Tell the loggers which label each sample has."""
        space = self.trainer.parts.dataset.label_space
        if space is not None and self.labels is not None:
            named = (f"{number:02d} {space.describe(label)}" for number, label in enumerate(self.labels.tolist()))
            self.logger.message(f"samples: {'; '.join(named)}")


def evenly(labels: Labels, count: int) -> Labels:
    """`count` of the labels [N, A], from the first to the last in even steps."""
    ordered = labels[np.lexsort(labels.T[::-1])]
    places = np.linspace(0, len(ordered) - 1, count) if count > 1 else np.array([len(ordered) // 2])
    chosen: Labels = ordered[np.rint(places).astype(np.int64)]
    return chosen
