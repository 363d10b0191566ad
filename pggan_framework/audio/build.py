"""Build codecs by name, or from the state stored in a file."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from math import isfinite
from typing import Any

import pggan_framework.audio.abslog
import pggan_framework.audio.complexlog
import pggan_framework.audio.ifmel
import pggan_framework.audio.instantaneous
import pggan_framework.audio.mellog
import pggan_framework.audio.raw
import pggan_framework.audio.reallog  # noqa: F401 - all imported for registration
from pggan_framework.audio.base import Codec
from pggan_framework.errors import UserError, nearest
from pggan_framework.registry import REGISTRY


def build_codec(name: str, **parameters: Any) -> Codec:
    """Build a codec, which must be fitted before it encodes.

    Args:
        name: registered name, such as ``abslog`` or ``if``.
        **parameters: arguments of the constructor; the defaults are 16 kHz and the sizes of the mode.

    Raises:
        UserError: if the name or a parameter is unknown, or a value is outside its limits.
    """
    component = REGISTRY.get(name, "codec")
    component.check()
    cls = component.cls
    allowed = list(inspect.signature(cls).parameters)
    for parameter in parameters:
        if parameter not in allowed:
            raise UserError(
                f"codec {name} has no parameter '{parameter}'{nearest(parameter, allowed)};"
                f" allowed: {', '.join(allowed)}"
            )
    codec: Codec = cls(**parameters)
    codec.name = component.name  # identifies the class in a stored state
    unset = [a for a in ("sample_rate", "samples", "channels", "parameters", "statistics") if not hasattr(codec, a)]
    if unset:
        raise UserError(f"codec {name} in {component.module} does not set {', '.join(unset)}; see audio.base.Codec")
    return codec


def codec_from_state(state: Mapping[str, Any]) -> Codec:
    """Build the codec described by `Codec.state_dict`; a state without a margin has margin 0.

    Raises:
        UserError: if the state does not describe a codec, or names an unknown codec.
    """
    missing = [key for key in ("name", "parameters", "statistics") if key not in state]
    if missing:
        raise UserError(f"a codec's state has no {', '.join(missing)}; it holds {', '.join(state) or 'nothing'}")
    cls = REGISTRY.get(str(state["name"]), "codec").cls
    # States from versions without margins do not contain a margin, and their images have none.
    known = {"margin": 0} if "margin" in inspect.signature(cls).parameters else {}
    codec = build_codec(str(state["name"]), **{**known, **state["parameters"]})
    start = state.get("start_db")
    numbers = [*state["statistics"].values(), *([] if start is None else [start])]
    if not all(isinstance(number, int | float) and isfinite(number) for number in numbers):
        raise UserError(f"a codec's state has statistics that are not finite numbers: {str(numbers)[:100]}")
    codec.statistics, codec.start_db = dict(state["statistics"]), start
    return codec
