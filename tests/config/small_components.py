"""Small classes with the names every run uses: in a separate module with a unique name."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Literal

TABLE = {6: 14, 7: 6, 8: 3}


class Sized:
    """Base.

    Args:
        shape: given by the subclass.
        range_out: value range the networks see.
        offset: depth of the seed.
    """

    injected: ClassVar[tuple[str, ...]] = ("shape",)

    def __init__(self, shape: tuple[int, ...], range_out: tuple[float, float] = (-1, 1), offset: int = 2) -> None:
        pass


class SoundImageDataset(Sized):
    """Sounds.

    Args:
        dir_path: folder of recordings.
        preload: keep all in memory.
        img_mode: how sound becomes an image.
    """

    def __init__(
        self, dir_path: Path, preload: bool = False, img_mode: Literal["abslog", "raw"] = "abslog", **kwargs: float
    ) -> None:
        super().__init__((1, 4, 4), offset=3, **kwargs)  # type: ignore[arg-type]


class TonesDataset(Sized):
    """Tones, with the base's own constructor."""


@dataclass
class WGANGP:
    """Loss.

    Args:
        iwass_lambda: weight.
    """

    iwass_lambda: float = 10
    iwass_epsilon: float = 0.001
    iwass_target: float = 1
    weights: list[float] = field(default_factory=lambda: [1.0])


class Plain:
    """A loss without parameters."""


class Generator:
    injected: ClassVar[tuple[str, ...]] = ("shape",)

    def __init__(self, shape: object, fmap_base: int = 8192, title: str = "", note: str | None = None) -> None:
        pass


class Discriminator:
    injected: ClassVar[tuple[str, ...]] = ("shape",)

    def __init__(self, shape: object, fmap_base: int = 8192) -> None:
        pass


class Adam:
    def __init__(self, betas: tuple[float, float] = (0.0, 0.99), eps: float = 1e-8) -> None:
        pass


class DepthManager:
    injected: ClassVar[tuple[str, ...]] = ("minibatch_size",)

    def __init__(
        self,
        minibatch_size: int = 16,
        minibatch_overrides: dict[int, int] = TABLE,  # noqa: B006
        max_lod: int | None = None,
    ) -> None:
        pass


class Saver:
    def __init__(self, samples_path: Path = Path("samples"), resolution: int = 0) -> None:
        pass


class Comet:
    injected: ClassVar[tuple[str, ...]] = ("comet_key", "comet_project_name")

    def __init__(self, comet_key: str = "", comet_project_name: str = "", timeout: float = 10) -> None:
        pass


class RawThing:
    def __init__(self, x: int = 1) -> None:
        pass


class Bare:
    """Has no flags."""


TOYS: list[tuple[str, str, type]] = [
    ("TonesDataset", "dataset", TonesDataset),
    ("SoundImageDataset", "dataset", SoundImageDataset),
    ("Generator", "generator", Generator),
    ("Discriminator", "discriminator", Discriminator),
    ("WGANGP", "loss", WGANGP),
    ("Plain", "loss", Plain),
    ("Adam", "optimizer", Adam),
    ("DepthManager", "plugin", DepthManager),
    ("RawThing", "plugin", RawThing),
    ("ImageSaver", "postprocessor", Saver),
    ("SoundSaver", "postprocessor", Saver),
    ("CometLogger", "logger", Comet),
    ("AuxiliaryClassifier", "penalty", Bare),
    *((name, "training", Bare) for name in ("Trainer", "EMA")),
    *((name, "plugin", Bare) for name in ("LRScheduler", "SaverPlugin", "OutputGenerator")),
    *(
        (name, "plugin", Bare)
        for name in ("EfficientLossMonitor", "AbsoluteTimeMonitor", "QualityMonitor", "HTMLReport")
    ),
    *((name, "logger", Bare) for name in ("TeeLogger", "JSONLLogger", "ProgressLogger")),
]
