"""Export a trained generator as safetensors, torch.export program or ONNX, each with a JSON description."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from io import BytesIO
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pggan_framework.errors import UserError
from pggan_framework.labels.maps import MapSpace
from pggan_framework.models.exported import FORMAT, VERSION
from pggan_framework.models.pretrained import Pretrained
from pggan_framework.networks.base import GeneratorBase

Format = Literal["safetensors", "torch", "onnx"]
TOLERANCE = 1e-4
"""Largest allowed difference between the images of a written file and of the generator, both in [-1, 1]."""
_NEEDED = {"safetensors": ("safetensors",), "torch": (), "onnx": ("onnx", "onnxscript", "onnxruntime")}
_CHECKED = 3
"""Batch size of the check, which differs from the batch size of two that tracing uses."""


@dataclass(frozen=True)
class Exported:
    """The result of an export.

    Args:
        inputs: names of the inputs of the file.
        difference: largest difference between the images of the file and of the generator, both in [-1, 1]; 0 for
            weights.
    """

    inputs: list[str]
    difference: float


class Program(nn.Module):
    """The exported module: a generator with images in [-1, 1], whatever value range it was trained with.

    Args:
        model: generator to export.
    """

    def __init__(self, model: Pretrained) -> None:
        super().__init__()
        self.generator: GeneratorBase = model.generator
        self.low, self.high = model.range_out

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """Generate images [N, C, h, w] from latents [N, F] and any labels [N, width] or maps [N, K, h, w]."""
        pictures = self.generator(latents, labels)
        scaled: Tensor = ((pictures - self.low) * (2 / (self.high - self.low)) - 1).clamp(-1, 1)
        return scaled


def check_packages(format: Format) -> None:
    """Check that the packages for a format are installed.

    Raises:
        UserError: if a package is missing.
    """
    missing = []
    for name in _NEEDED[format]:
        try:
            import_module(name)
        except ImportError:
            missing.append(name)
    if missing:
        raise UserError(f"--format {format} needs {', '.join(missing)}: pip install {' '.join(missing)}")


def export(model: Pretrained, path: Path, sidecar: Path, format: Format) -> Exported:
    """Write a generator at its current depth, and its description.

    A program or an ONNX model is loaded again and run with a different batch size than in tracing; its images must
    match the images of the generator.

    Args:
        model: generator to export.
        path: destination of the exported file.
        sidecar: destination of the JSON file.
        format: ``safetensors``, the weights of all depths; ``torch``, a program of ``torch.export``; or ``onnx``.

    Raises:
        UserError: if a package is missing, the network cannot be traced, or the images of the file differ.
    """
    check_packages(format)
    inputs = _inputs(model, _CHECKED)
    names = ["latents", "labels"][: len(inputs)]
    sidecar.write_text(json.dumps(describe(model, format), indent=2) + "\n", encoding="utf-8")
    if format == "safetensors":
        from safetensors.torch import save

        tensors = {name: tensor.contiguous() for name, tensor in model.generator.state_dict().items()}
        path.write_bytes(save(tensors, {"format": "pt"}))
        return Exported(names, 0.0)
    program = Program(model).eval()
    write = _write_torch if format == "torch" else _write_onnx
    again = write(_traced(program, _inputs(model, 2)), path, names)
    with torch.no_grad():
        wanted = program(*inputs).numpy()
    difference = float(np.abs(again(inputs) - wanted).max())
    if not difference <= TOLERANCE:
        raise UserError(f"--format {format} gives images that differ by {difference:.2g}; allowed: up to {TOLERANCE:g}")
    return Exported(names, difference)


def describe(model: Pretrained, format: Format) -> dict[str, Any]:
    """The description that is needed to use an exported file without a checkpoint, as JSON values."""
    generator, growth, space = model.generator, model.growth, model.label_space
    name = model.config["generator"]
    height, width = generator.size
    inputs: dict[str, Any] = {"latents": ["N", generator.latent_size]}
    labels = None
    if space is not None:
        inputs["labels"] = ["N", *space.condition_shape(1, generator.size)[1:]]
        labels = {"space": (space.examples if isinstance(space, MapSpace) else space).state_dict()}
        if model.label_rows is not None and model.label_counts is not None and not isinstance(space, MapSpace):
            labels |= {"rows": model.label_rows.tolist(), "counts": model.label_counts.tolist()}
    return {
        "format": FORMAT,
        "version": VERSION,
        "file": format,
        "weights": model.weights,
        "nimg": model.nimg,
        "generator": name,
        "parameters": model.config[name],
        "growth": {
            "channels": growth.channels,
            "seed": list(growth.seed),
            "doubles": [list(pair) for pair in growth.doubles],
        },
        "depth": generator.depth,
        "alpha": float(generator.alpha),
        "range_out": list(model.range_out) if format == "safetensors" else [-1.0, 1.0],
        "inputs": inputs,
        "outputs": {"images": ["N", growth.channels, height, width]},
        "labels": labels,
        "codec": None if model.codec is None else model.codec.state_dict(),
    }


def _inputs(model: Pretrained, count: int) -> tuple[Tensor, ...]:
    """Example latents and, if the network is conditioned, label inputs."""
    latents, labels, space = model.latents(count), model.draw_labels(count), model.label_space
    if space is None or labels is None:
        return (latents,)
    return latents, torch.from_numpy(space.condition(labels, model.generator.size))


def _traced(program: Program, inputs: tuple[Tensor, ...]) -> torch.export.ExportedProgram:
    batch = torch.export.Dim("batch")
    try:
        with torch.no_grad():
            return torch.export.export(program, inputs, dynamic_shapes=_dynamic(inputs, batch))
    except Exception as error:
        name = type(program.generator).__name__
        raise UserError(f"{name} cannot be traced for any number of images: {str(error)[:200]}") from error


def _dynamic(inputs: tuple[Tensor, ...], batch: Any) -> dict[str, Any]:
    return {name: {0: batch} for name in ("latents", "labels")[: len(inputs)]}


Again = Callable[[tuple[Tensor, ...]], NDArray[np.float32]]
"""A function that runs a written file and returns images, given the inputs."""


def _write_torch(traced: torch.export.ExportedProgram, path: Path, names: list[str]) -> Again:
    stream = BytesIO()
    torch.export.save(traced, stream)
    path.write_bytes(stream.getvalue())
    module = torch.export.load(BytesIO(path.read_bytes())).module()

    def again(inputs: tuple[Tensor, ...]) -> NDArray[np.float32]:
        with torch.no_grad():
            pictures: NDArray[np.float32] = module(*inputs).numpy()
        return pictures

    return again


def _write_onnx(traced: torch.export.ExportedProgram, path: Path, names: list[str]) -> Again:
    import onnxruntime

    written = torch.onnx.export(
        traced, input_names=names, output_names=["images"], dynamo=True, external_data=False, verbose=False
    )
    assert written is not None
    written.save(str(path))
    session = onnxruntime.InferenceSession(path.read_bytes(), providers=["CPUExecutionProvider"])

    def again(inputs: tuple[Tensor, ...]) -> NDArray[np.float32]:
        given = {name: tensor.numpy() for name, tensor in zip(names, inputs, strict=True)}
        pictures: NDArray[np.float32] = session.run(None, given)[0]
        return pictures

    return again
