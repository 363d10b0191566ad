"""QualityMonitor: measure sample quality for the log, the report and the best checkpoint of every run."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from math import isfinite
from typing import TYPE_CHECKING, Any

from pggan_framework.errors import DivergedError, UserError, plural
from pggan_framework.metrics.base import BaseMetric
from pggan_framework.metrics.centroid import Centroid
from pggan_framework.metrics.consistency import Consistency
from pggan_framework.metrics.edges import Clipping, Edges
from pggan_framework.metrics.frechet import Frechet
from pggan_framework.metrics.levels import Loudness, Silence
from pggan_framework.metrics.report import as_dict, compare, measure
from pggan_framework.metrics.swd import SlicedWasserstein
from pggan_framework.metrics.verdict import Verdict, judge
from pggan_framework.plugins.best import write_best
from pggan_framework.plugins.measuring import MeasuringPlugin
from pggan_framework.plugins.metrics import SoundMetrics
from pggan_framework.plugins.output import OutputGenerator
from pggan_framework.plugins.picture_metrics import PictureMetrics
from pggan_framework.plugins.saver import SaverPlugin
from pggan_framework.registry import register
from pggan_framework.runs.best_checkpoint import BEST, BEST_FACTS, QUALITY, described, much_worse, read_best
from pggan_framework.storage.atomic import atomic_path
from pggan_framework.training.plugin import Every

if TYPE_CHECKING:
    from pggan_framework.training.trainer import Trainer

_PIXELS = 64 * 64
_CLIPS, _IMAGES, _FEWEST, _LEAST = 96, 64, 16, 2
"""Number of clips and of images up to 64x64 pixels, number of larger images, and smallest number per side."""


@register("plugin")
class QualityMonitor(MeasuringPlugin):
    """Measures a few dozen samples whenever samples are written and when training ends; keeps the best checkpoint.

    Sounds are compared by Fréchet distance, consistency, levels, clipping, edges, and spectral centroid; images of 16
    pixels or more by the sliced Wasserstein distance. Values are written to stats.jsonl as ``sound.frechet`` or
    ``picture.swd.average``, to metrics.jsonl, and to the log as text. All samples are from the EMA generator, at the
    current depth, and from the same latents each time; training itself does not change. ``network-best.pt`` is the
    checkpoint with the lowest distance at the deepest, completely faded-in depth.

    Args:
        every_ticks: ticks between two measurements; 0 disables them, None follows OutputGenerator.
        keep_best: write network-best.pt whenever the distance is the smallest so far.
    """

    main_process_only = True
    by, streams = QUALITY, (31, 32)

    def __init__(self, every_ticks: int | None = None, keep_best: bool = True) -> None:
        if every_ticks is not None and every_ticks < 0:
            raise UserError(f"QualityMonitor.every_ticks {every_ticks} is not allowed; allowed: 0 and up, or None")
        self.every_ticks, self.keep_best = every_ticks, keep_best
        self.every = Every(1, "tick")
        self.count = 0
        self._best: dict[str, Any] | None = None
        self._last: dict[str, Any] | None = None
        self._verdict: Verdict | None = None

    def setup(self, trainer: Trainer) -> None:
        """Choose the number of samples and the reals."""
        super().setup(trainer)
        plugins, dataset = trainer.parts.plugins, trainer.parts.dataset
        if self.every_ticks is None:
            output = next((plugin for plugin in plugins if isinstance(plugin, OutputGenerator)), None)
            self.every_ticks = 1 if output is None else output.output_snapshot_ticks
        saver = next((plugin for plugin in plugins if isinstance(plugin, SaverPlugin)), None)
        self._folder = trainer.parts.directory if saver is None else saver.directory
        frechet = Frechet()
        frechet.minimum = _LEAST  # the real-vs-real baseline uses as few clips, to show the precision of the values
        sound: list[BaseMetric[Any]] = [frechet, Consistency(), Silence(), Loudness(), Centroid(), Edges(), Clipping()]
        self.metrics = [SlicedWasserstein()] if dataset.codec is None else sound
        self.metric = "picture.swd.average" if dataset.codec is None else "sound.frechet"
        # If a plugin measures more samples with the same metrics, their names in stats.jsonl are its own.
        self._others = any(isinstance(plugin, (SoundMetrics, PictureMetrics)) for plugin in plugins)
        order = dataset.present(self.shuffled())
        most = _IMAGES if dataset.codec is None else _CLIPS
        wanted = min(max(most * _PIXELS // (dataset.shape[1] * dataset.shape[2]), _FEWEST), most)
        self.count = min(wanted, len(order) // 2)
        self.order = order[: 2 * self.count]

    def on_tick(self) -> None:
        """Measure if samples are written at this tick or it is the last one."""
        trainer = self.trainer
        if self._measures and (trainer.tick == 1 or trainer.tick % (self.every_ticks or 1) == 0 or trainer.ending):
            self._measure()

    def on_end(self) -> None:
        """Measure the last state if needed, and log a summary: last and best samples, and the next commands."""
        trainer = self.trainer
        if not self._measures or trainer.iteration == 0:
            if self.every_ticks and trainer.iteration > 0:
                few = plural(len(trainer.parts.dataset), "example")
                trainer.parts.logger.message(f"quality is not measured: {few}, but at least {2 * _LEAST} are needed")
            return
        if not trainer.failed and (self._last is None or self._last["nimg"] != trainer.nimg):
            self._measure()
        for line in self._summary():
            trainer.parts.logger.message(line)

    @property
    def n(self) -> int:
        """Number of samples per side; it is halved before the final depth, which matters most."""
        final = self.trainer.depth == self.trainer.G.max_depth
        return self.count if final else max(self.count // 2, min(self.count, _FEWEST))

    @property
    def _measures(self) -> bool:
        return bool(self.every_ticks) and self.count >= _LEAST

    def _measure(self) -> None:
        """Measure samples of the current generator, log a line, and keep the checkpoint if it is the best."""
        trainer = self.trainer
        metrics, reals, others = self.sides()
        if not metrics:
            return
        figures: dict[str, float] = {}
        try:
            figures = as_dict(compare(metrics, reals, others, measure(metrics, self.fakes(), self.n)))
            finite = True
        except DivergedError:
            finite = False
        prefix = self.metric.partition(".")[0]
        hidden = ("frechet", "silence", "loudness", "swd") if self._others else ()
        shown = {name: value for name, value in figures.items() if not name.startswith(hidden)}
        trainer.stats.update({f"{prefix}.{name}": value for name, value in shown.items() if _judged(name)})
        facts = self._facts(figures)
        self._last = facts
        best = self._contest(facts)
        self._verdict = judge({**facts, **figures}) if finite else Verdict("poor", ("the samples are not finite",))
        if self._verdict.ratio is not None:
            trainer.stats["quality"] = self._verdict.ratio
        suffix = "; the best so far" if best else ""
        at = f"{trainer.kimg:.1f} kimg{self._below_full_size()}"
        trainer.parts.logger.message(f"quality at {at}: {self._verdict.line}{suffix}")
        self.write(facts, figures)

    def _facts(self, figures: Mapping[str, float]) -> dict[str, Any]:
        """Return the fields that identify a measurement, and its distance."""
        distance = figures.get(self.metric.partition(".")[2], float("nan"))
        return {**self.facts(), "metric": self.metric, "value": distance if isfinite(distance) else None}

    def _contest(self, facts: dict[str, Any]) -> bool:
        """Return True if this is the best measurement so far, and write its checkpoint in the background."""
        best = self._best if self._best is not None and _comparable(self._best, facts) else None
        if facts["value"] is None or (best is not None and _rank(facts) >= _rank(best)):
            return False
        if not self.keep_best or self._folder is None:
            return False
        earlier, self._best = self._best, facts
        path = self._folder / BEST

        def companion() -> None:
            with atomic_path(path.with_name(BEST_FACTS)) as temporary:
                temporary.write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")

        def failed() -> None:
            if self._best is facts:
                self._best = earlier

        write_best(self.trainer, path, companion, failed)
        return True

    def _below_full_size(self) -> str:
        """Return the size of the samples while the networks are not fully grown, else an empty text."""
        trainer = self.trainer
        _, height, width = trainer.parts.dataset.growth.shape_at(trainer.depth)
        return f" ({height}x{width})" if trainer.depth < trainer.G.max_depth else ""

    def _summary(self) -> list[str]:
        """Return the result of the run as lines for the log."""
        trainer, lines = self.trainer, []
        best, last = self._best, self._last
        if self._verdict is not None:
            state = "before training failed" if trainer.failed else "at the end"
            lines.append(f"quality {state}{self._below_full_size()}: {self._verdict.line}")
            if self._below_full_size() and not trainer.failed:
                lines.append("the full size was not reached; the distance is to data of the reduced size: train longer")
        elif not trainer.failed:
            small = self._below_full_size()
            lines.append(f"quality is not measured: the samples are too small{small}" + "; train longer" * bool(small))
        if best is not None and last is not None:
            if best["nimg"] == last["nimg"]:
                lines.append(f"the last checkpoint is the best: {described(best)}")
            else:
                worse = ", which is much worse" if much_worse(best, last) else ""
                lines.append(
                    f"the best checkpoint is {BEST}, from {best['nimg'] / 1000:.1f} kimg: {described(best)};"
                    f" the last one has {described(last)}{worse}"
                )
        folder = trainer.parts.directory
        if folder is not None and not trainer.failed:
            where, which = shlex.quote(str(folder)), " from the best checkpoint" if best is not None else ""
            lines.append(f"to generate samples{which}: pggan generate {where}")
            lines.append(f"to train longer: pggan train --resume {where} --minutes 10")
        return lines

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the best measurement, and delete lines of metrics.jsonl that will be written again."""
        trainer = self.trainer
        trainer.background.join()
        self._best = None if self._folder is None else read_best(self._folder)
        super().load_state_dict(state)


def _judged(name: str) -> bool:
    """True if a value is needed to grade samples; other values are only in metrics.jsonl."""
    return name.removesuffix(".floor").rpartition(".")[2] not in ("p5", "p95", "distance")


def _rank(facts: Mapping[str, Any]) -> tuple[int, bool, float]:
    """Return a sort key, lower is better: first deeper, then faded in, then the smaller distance."""
    return -facts["depth"], facts["alpha"] < 1, facts["value"]


def _comparable(first: Mapping[str, Any], second: Mapping[str, Any]) -> bool:
    return all(first.get(name) == second[name] for name in ("metric", "data", "n", "seed"))
