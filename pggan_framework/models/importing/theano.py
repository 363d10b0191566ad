"""Convert the variables of the original PGGAN's Theano version to those of its TensorFlow version.

The variables are in the order of the layers. Convolutions flip the kernel, dense layers at 4x4 are 4x4 convolutions,
and each layer has a separate scale after its weight.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from math import sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pggan_framework.storage import arrays
from pggan_framework.storage.pickles import mapping

RELU, LINEAR = sqrt(2), 1.0
"""Gains of layers before a (leaky) ReLU, and of other layers."""


def variables(name: str, top: int, wscale: bool, state: Mapping[Any, Any]) -> Iterator[tuple[str, NDArray[Any]]]:
    """Convert the variables of a network to TensorFlow's names, layouts and scales.

    Args:
        name: name of the network: G, D or Gs.
        top: log2 of the resolution.
        wscale: whether each layer has a scale.
        state: state of the pickled network.

    Raises:
        IndexError, ValueError: if there are too few or too many variables.
    """
    values = deque(arrays.as_array(value) for value in state["param_values"])

    def layer(layer_name: str, gain: float, kind: str) -> Iterator[tuple[str, NDArray[Any]]]:
        weight: NDArray[np.float64] = np.asarray(values.popleft(), np.float64)
        if kind == "conv":
            weight = weight.transpose(2, 3, 1, 0)[::-1, ::-1]
        elif kind == "image":
            weight = weight[None, None]
        elif kind == "spread":
            weight = weight.transpose(1, 0, 2, 3).reshape(weight.shape[1], -1)
        elif kind == "gather":
            weight = weight[:, :, ::-1, ::-1].reshape(weight.shape[0], -1).T
        if wscale:
            weight = weight * float(values.popleft()) / (gain / sqrt(np.prod(weight.shape[:-1])))
        yield f"{layer_name}/weight", weight
        yield f"{layer_name}/bias", values.popleft()

    if name != "D":
        yield from layer("4x4/Dense", RELU / 4, "spread")
        yield from layer("4x4/Conv", RELU, "conv")
        for res in range(3, top + 1):
            yield from layer(f"{1 << res}x{1 << res}/Conv0", RELU, "conv")
            yield from layer(f"{1 << res}x{1 << res}/Conv1", RELU, "conv")
        for lod in range(top - 1):
            yield from layer(f"ToRGB_lod{lod}", LINEAR, "image")
    else:
        yield from layer("FromRGB_lod0", RELU, "image")
        for res in range(top, 2, -1):
            yield from layer(f"{1 << res}x{1 << res}/Conv0", RELU, "conv")
            yield from layer(f"{1 << res}x{1 << res}/Conv1", RELU, "conv")
            yield from layer(f"FromRGB_lod{top - res + 1}", RELU, "image")
        yield from layer("4x4/Conv", RELU, "conv")
        yield from layer("4x4/Dense0", RELU, "gather")
        yield from layer("4x4/Dense1", LINEAR, "dense")
    if values:
        raise ValueError("more layers than due")
    yield "lod", arrays.as_array(mapping(state["toplevel_params"])["cur_lod"])
