"""The components a run uses, from its general flags."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from pggan_framework.config.general import General
from pggan_framework.errors import UserError
from pggan_framework.registry import KINDS, REGISTRY, Component

CHOSEN: Mapping[str, str] = {
    "dataset_class": "dataset",
    "generator": "generator",
    "discriminator": "discriminator",
    "loss": "loss",
    "penalties": "penalty",
    "augmentations": "augmentation",
    "schedule": "schedule",
    "optimizer": "optimizer",
    "plugins": "plugin",
    "postprocessors": "postprocessor",
    "loggers": "logger",
}
"""General flags that select components, with the kind of each."""

ALWAYS = (
    "Trainer",
    "EMA",
    "AuxiliaryClassifier",
    "LRScheduler",
    "SaverPlugin",
    "OutputGenerator",
    "EfficientLossMonitor",
    "AbsoluteTimeMonitor",
    "QualityMonitor",
    "HTMLReport",
)
"""Components of every run."""

GROWING = ("DepthManager",)
"""Components of a run with growing networks."""

DEFAULT_POSTPROCESSORS = ("ImageSaver", "SoundSaver")
"""The postprocessors chosen by the kind of data; the flags of both are accepted."""


def with_clock(general: General) -> General:
    """Return `general` with WallClockSchedule if a new run has minutes, grows, and has no schedule."""
    wanted = general.minutes is not None and general.progressive_growing and general.schedule is None
    return replace(general, schedule="WallClockSchedule") if wanted else general


def canonical(general: General) -> General:
    """Return `general` with all components under their registered names, and CometLogger if its key is given.

    Raises:
        UserError: if a component does not exist, has a different kind, lacks the base class of its kind, or is listed
            twice.
    """
    changes: dict[str, str | list[str]] = {}
    for flag, kind in CHOSEN.items():
        given = getattr(general, flag)
        if isinstance(given, str):
            changes[flag] = _find(flag, given, kind)
        elif given is not None:
            names = [_find(flag, name, kind) for name in given]
            twice = [name for name in names if names.count(name) > 1]
            if twice:
                raise UserError(f"{flag}: {twice[0]} is listed twice")
            changes[flag] = names
    loggers = changes["loggers"]
    if general.comet_key and "CometLogger" not in loggers:
        changes["loggers"] = [*loggers, "CometLogger"]
    return replace(general, **changes)  # type: ignore[arg-type]


def components_in_use(general: General) -> list[Component]:
    """Return the components of a run with these (canonical) flags, by kind and name."""
    names = {*ALWAYS, *(GROWING if general.progressive_growing else ())}
    for flag in CHOSEN:
        given = getattr(general, flag)
        if given is None:
            names.update(DEFAULT_POSTPROCESSORS if flag == "postprocessors" else ())
        else:
            names.update([given] if isinstance(given, str) else given)
    used = [REGISTRY.get(name) for name in names]
    return sorted(used, key=lambda c: (KINDS.index(c.kind), c.name.lower()))


def _find(flag: str, name: str, kind: str) -> str:
    try:
        component = REGISTRY.get(name, kind)
        component.check()
    except UserError as error:
        raise UserError(f"{flag}: {error}") from error
    if flag in ("plugins", "penalties") and component.name in (*ALWAYS, *GROWING):
        raise UserError(f"{flag}: {name} is part of every run; list additional {flag} only")
    return component.name
