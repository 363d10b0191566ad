"""Load a trained generator from a checkpoint, with everything needed to use it."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from pggan_framework.audio.finish import finished
from pggan_framework.config.discovery import load_for_models
from pggan_framework.cpu.transfer import for_analysis
from pggan_framework.errors import UserError, nearest, require
from pggan_framework.labels.attributes import Labels, LabelSpace
from pggan_framework.labels.maps import Map, MapSpace, space_from_state
from pggan_framework.metrics.base import as_array
from pggan_framework.models.exported import CONFIG, ENDING, WEIGHTS, about_path, read_exported
from pggan_framework.models.fitting import build_generator
from pggan_framework.networks.base import GeneratorBase
from pggan_framework.networks.stylegan2 import StyleGAN2Generator
from pggan_framework.postprocessors.soundfiles import Sound
from pggan_framework.registry import REGISTRY
from pggan_framework.schedules.growth import Growth
from pggan_framework.storage.limits import value_range
from pggan_framework.training.checkpoint import load_checkpoint

if TYPE_CHECKING:
    from pggan_framework.audio.base import Codec, PhaseStart, Wave

Weights = Literal["ema", "raw"]
"""The generator to load from a checkpoint: the EMA generator (ema) or the raw generator (raw)."""


@dataclass(frozen=True, repr=False)
class Pretrained:
    """A trained generator from a checkpoint.

    Args:
        generator: EMA or raw generator, at the deepest trained depth or a smaller depth.
        codec: codec that converts its images to sound; None for images.
        nimg: number of real images that the model was trained on.
        config: configuration of the training run.
        range_out: value range of the generated images.
        label_rows: distinct labels of the training data, [K, A]; None if the generator is not conditioned.
        label_counts: counts of the labels, [K].
        weights: ``ema`` or ``raw``.
    """

    generator: GeneratorBase
    codec: Codec | None
    nimg: int
    config: dict[str, Any]
    range_out: tuple[float, float] = (-1.0, 1.0)
    label_rows: Labels | None = None
    label_counts: NDArray[np.int64] | None = None
    weights: Weights = "ema"

    @classmethod
    def from_folder(cls, path: str | Path) -> Pretrained:
        """Load a model from a folder written by ``pggan export --format huggingface``.

        Raises:
            UserError: if the folder does not contain an exported model.
        """
        return load_generator(Path(path) / WEIGHTS)

    @classmethod
    def from_hub(cls, repository: str, revision: str | None = None) -> Pretrained:
        """Load a model from the Hugging Face Hub; its two files are downloaded only once.

        Args:
            repository: name of the repository, ``user/name``.
            revision: branch, tag or commit; by default the newest.

        Raises:
            UserError: if the package huggingface_hub is not installed, or the model cannot be downloaded or loaded.
        """
        require("huggingface_hub", "Pretrained.from_hub")
        from huggingface_hub import snapshot_download

        try:
            folder = snapshot_download(repository, revision=revision, allow_patterns=[WEIGHTS, CONFIG])
        except (OSError, ValueError) as error:
            raise UserError(f"{repository} cannot be downloaded from the Hugging Face Hub: {error}") from error
        return cls.from_folder(folder)

    @property
    def growth(self) -> Growth:
        """The shapes of the model's images at all depths."""
        return self.generator.growth

    @property
    def label_space(self) -> LabelSpace | None:
        """The labels of the model; None if it is not conditioned."""
        return self.generator.label_space

    def latents(self, count: int, seed: int = 0, truncation: float | None = None) -> torch.Tensor:
        """Draw `count` latents [count, F], determined by the seed; a larger count extends them.

        Args:
            count: number of latents.
            seed: random seed of the latents.
            truncation: psi; numbers outside [-psi, psi] are drawn again, which gives a truncated normal distribution
                (BigGAN, Brock et al. 2019, arXiv 1809.11096). Other numbers are unchanged.

        Raises:
            ValueError: if `truncation` is not above 0.
        """
        if truncation is not None and not truncation > 0:
            raise ValueError(f"truncation {truncation} is not above 0")
        random = torch.Generator().manual_seed(seed)
        latents = [torch.randn(self.generator.latent_size, generator=random) for _ in range(count)]
        if truncation is not None:
            # Each latent has its own random stream, so a larger count begins with the latents of a smaller count.
            for index, latent in enumerate(latents):
                _redraw(latent, truncation, seed * 0x9E3779B1 + index + 1)
        return torch.stack(latents)

    def truncate(self, psi: float | None) -> float | None:
        """Truncate the styles of a generator that has styles (Karras et al. 2019, arXiv 1812.04948, appendix B).

        Returns: psi if latents must be truncated instead; otherwise None.
        """
        if psi is None or not isinstance(self.generator, StyleGAN2Generator):
            return psi
        self.generator.truncation = psi
        return None

    def at_depth(self, depth: int) -> Pretrained:
        """Return the model at another trained depth; alpha is 1 at a depth below the current depth.

        Raises:
            UserError: if the depth was not trained, or the generator does not support it.
        """
        own = self.generator.depth
        if depth == own:
            return self
        allowed = [trained for trained in self.generator.depths if trained <= own]
        if depth not in allowed:
            first, last = ("x".join(map(str, self.growth.shape_at(trained)[1:])) for trained in (allowed[0], own))
            span = f"{own} ({last})" if len(allowed) == 1 else f"{allowed[0]} ({first}) to {own} ({last})"
            raise UserError(f"depth {depth} is given, and the model is trained up to depth {own}; allowed: {span}")
        generator = deepcopy(self.generator)
        generator.depth, generator.alpha = depth, 1.0
        return replace(self, generator=generator)

    def draw_labels(self, count: int, seed: int = 0) -> Labels | None:
        """Draw `count` labels [count, A] with the frequencies of the training data; None if not conditioned."""
        if self.label_rows is None or self.label_counts is None:
            return None
        share = self.label_counts / self.label_counts.sum()
        drawn: Labels = self.label_rows[np.random.default_rng(seed).choice(len(share), count, p=share)]
        return drawn

    def with_maps(self, maps: Map) -> Pretrained:
        """Return the model with other label maps [M, H, W].

        Raises:
            ValueError: if the model is not conditioned on label maps, or the maps have another size or an unknown
                class.
        """
        space = self.label_space
        if not isinstance(space, MapSpace):
            raise ValueError("the generator draws no label maps")
        if maps.shape[1:] != self.growth.shape[1:] or int(maps.max()) >= len(space.classes):
            raise ValueError(f"maps {maps.shape} up to class {maps.max()}; expected {space.size}, {len(space.classes)}")
        generator = deepcopy(self.generator)
        generator.label_space = space.with_maps(maps)
        rows = np.arange(len(maps), dtype=np.int64)[:, None]
        return replace(self, generator=generator, label_rows=rows, label_counts=np.ones(len(maps), np.int64))

    def generate(self, latents: torch.Tensor, labels: Labels | None = None, batch: int = 64) -> NDArray[np.float32]:
        """Generate images [N, C, h, w] in [-1, 1], at the model's depth.

        Args:
            latents: latents, [N, F].
            labels: labels, [N, A]; required if the model is conditioned, and not allowed otherwise.
            batch: batch size of the generation.

        Raises:
            ValueError: if labels are missing, or given to a generator that is not conditioned.
        """
        return self.draw(latents, self.condition(labels), batch)

    def condition(self, labels: Labels | None) -> torch.Tensor | None:
        """The generator's input for labels [N, A]: numbers [N, width] or maps [N, K, h, w]; None for None.

        Raises:
            ValueError: if the model is not conditioned.
        """
        if labels is None:
            return None
        if self.label_space is None:
            raise ValueError("the generator is not conditioned: it takes no labels")
        return torch.from_numpy(self.label_space.condition(labels, self.generator.size))

    def draw(
        self, latents: torch.Tensor, conditions: torch.Tensor | None = None, batch: int = 64
    ) -> NDArray[np.float32]:
        """Generate images [N, C, h, w] in [-1, 1] for label inputs, which may be between two labels.

        Args:
            latents: latents, [N, F].
            conditions: label inputs from `condition`, [N, width] or [N, K, h, w].
            batch: batch size of the generation.

        Raises:
            ValueError: if conditions are missing, or given to a generator that is not conditioned.
        """
        device = self.device
        latents = torch.as_tensor(latents, dtype=torch.float32)
        parts = []
        with torch.no_grad():
            for start in range(0, len(latents), batch):
                part = None if conditions is None else conditions[start : start + batch].to(device)
                parts.append(self.generator(latents[start : start + batch].to(device), part).float().cpu().numpy())
        low, high = self.range_out
        pictures: NDArray[np.float32] = (np.concatenate(parts) - low) * np.float32(2 / (high - low)) - 1
        return np.clip(pictures, -1, 1)

    def sample(self, count: int, seed: int = 0, batch: int = 64, labels: Labels | None = None) -> NDArray[np.float32]:
        """Generate `count` images [count, C, h, w] in [-1, 1]; the same seed gives the same images.

        If the model is conditioned and no labels are given, they are drawn with their frequencies in the training data.
        """
        labels = self.draw_labels(count, seed) if labels is None else labels
        return self.generate(self.latents(count, seed), labels, batch)

    def sounds(self, count: int, seed: int = 0, labels: Labels | None = None) -> list[Sound]:
        """Generate `count` sounds, which a notebook can play; the same seed gives the same sounds.

        Raises:
            ValueError: if the model was not trained on sound.
        """
        waves = self.decode(self.sample(count, seed, labels=labels), seed)
        assert self.codec is not None
        waves = finished(waves, self.codec.sample_rate, start_db=self.codec.start_db)
        return [Sound(wave, self.codec.sample_rate, f"sample {number}") for number, wave in enumerate(waves)]

    @property
    def device(self) -> torch.device:
        """The device of the generator and of decoding."""
        return next(self.generator.parameters()).device

    def __repr__(self) -> str:
        shape = "x".join(map(str, self.growth.shape_at(self.generator.depth)))
        what = "sounds" if self.codec is not None else "images"
        conditioned = "" if self.label_space is None else ", conditioned"
        return f"Pretrained({self.weights} generator of {what} {shape}{conditioned}, {self.nimg / 1000:g} kimg)"

    def decode(
        self,
        pictures: NDArray[np.float32] | torch.Tensor,
        seed: int = 0,
        griffin_lim_iter: int = 32,
        phase_start: PhaseStart = "auto",
        refine_iter: int = 16,
    ) -> Wave:
        """Decode images [N, C, h, w] of any depth to sound, [N, T] or [N, channels, T]; see `audio.base.Codec.decode`.

        Images are first enlarged to full size, so that pitch and length are correct.

        Raises:
            ValueError: if the model was not trained on sound.
        """
        if self.codec is None:
            raise ValueError("the generator makes images, not sound: there is no codec in its checkpoint")
        pictures = as_array(pictures)
        height, width = self.growth.shape[1:]
        full = pictures.repeat(height // pictures.shape[2], axis=2).repeat(width // pictures.shape[3], axis=3)
        return self.codec.decode(full, seed, griffin_lim_iter, for_analysis(self.device), phase_start, refine_iter)


def _redraw(latent: torch.Tensor, limit: float, seed: int) -> None:
    """Redraw the numbers of a latent [F] until none exceeds `limit`."""
    random = torch.Generator().manual_seed(seed % 2**63)
    while (beyond := latent.abs() > limit).any():
        latent[beyond] = torch.randn(int(beyond.sum()), generator=random)


def load_generator(path: Path, weights: Weights | None = None) -> Pretrained:
    """Read a generator from a checkpoint, or from exported weights (``.safetensors``), onto the CPU.

    Args:
        path: path of the file.
        weights: EMA generator (ema) or raw generator (raw); by default ``ema`` or, for exported weights, the exported
            generator.

    Raises:
        UserError: if the file is not a complete checkpoint or exported model, or needs a class that is not registered.
    """
    load_for_models()
    exported = path.suffix == ENDING
    about = about_path(path) if exported else path
    try:
        if not exported:
            return _from_checkpoint(path, load_checkpoint(path), weights or "ema")
        return _from_exported(path, *read_exported(path, weights))
    except (LookupError, TypeError, ValueError, AttributeError, RuntimeError, ArithmeticError) as error:
        # The file is not trusted; its values may have any type and size.
        raise UserError(f"{about} does not describe the generator in {path} ({error!r})") from error


def _from_checkpoint(path: Path, state: Mapping[str, Any], weights: Weights) -> Pretrained:
    config, labels = state["config"], state.get("labels")
    stored = state["ema"] if weights == "ema" else state["networks"]["G"]
    generator = _generator(path, config["generator"], config, state["growth"], labels, stored)
    generator.depth, generator.alpha = state["networks"]["depth"], state["networks"]["alpha"]
    rows, counts = (None, None) if labels is None else (labels["rows"].numpy(), labels["counts"].numpy())
    scale = value_range(state["growth"]["range_out"], path)
    codec = _codec(path, state["codec"])
    return Pretrained(generator.eval(), codec, state["nimg"], config, scale, rows, counts, weights)


def _from_exported(path: Path, about: Mapping[str, Any], tensors: dict[str, Any]) -> Pretrained:
    config = {"generator": about["generator"], about["generator"]: about["parameters"]}
    labels = about["labels"]
    generator = _generator(path, about["generator"], config, about["growth"], labels, tensors)
    generator.depth, generator.alpha = about["depth"], about["alpha"]
    rows: Labels | None = None
    counts: NDArray[np.int64] | None = None
    space = generator.label_space
    if isinstance(space, MapSpace):
        rows, counts = np.arange(len(space), dtype=np.int64)[:, None], np.ones(len(space), np.int64)
    elif space is not None:
        rows, counts = space.typed(np.array(labels["rows"])), np.array(labels["counts"], np.int64)
    scale = value_range(about["range_out"], about_path(path))
    codec = _codec(path, about["codec"])
    return Pretrained(generator.eval(), codec, about["nimg"], config, scale, rows, counts, about["weights"])


def _generator(
    path: Path,
    name: str,
    config: Mapping[str, Any],
    growth: Mapping[str, Any],
    labels: Mapping[str, Any] | None,
    weights: Mapping[str, Any],
) -> GeneratorBase:
    _needs(path, "generator", name)
    component = REGISTRY.get(name, "generator")
    extra = {} if labels is None else {"label_space": space_from_state(labels["space"])}
    arguments = {"shape": Growth.from_state(growth, str(path)), **config[component.name], **extra}
    return build_generator(path, component.cls, arguments, weights)


def _codec(path: Path, state: Mapping[str, Any] | None) -> Codec | None:
    if state is None:
        return None
    from pggan_framework.audio import codec_from_state

    _needs(path, "codec", str(state.get("name")))
    return codec_from_state(state)


def _needs(path: Path, kind: str, name: str) -> None:
    """Check that a model's class is registered."""
    if name not in REGISTRY:
        near = nearest(name, [component.name for component in REGISTRY if component.kind == kind])
        raise UserError(
            f"{path} needs the {kind} '{name}', which is not part of this package{near}; give the folder of its file"
            " with --plugin_dirs DIR (in Python: import its module first)"
        )
