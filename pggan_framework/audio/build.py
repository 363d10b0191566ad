"""Codecs by name, and from the state a file carries."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import pggan_framework.audio.abslog
import pggan_framework.audio.complexlog
import pggan_framework.audio.ifmel
import pggan_framework.audio.instantaneous
import pggan_framework.audio.mellog
import pggan_framework.audio.raw
import pggan_framework.audio.reallog  # noqa: F401 - all imported to be registered
from pggan_framework.audio.base import Codec
from pggan_framework.errors import UserError, nearest
from pggan_framework.registry import REGISTRY


def build_codec(name: str, **parameters: Any) -> Codec:
    """Build a codec; it is to be fitted before it encodes.

    Args:
        name: its registered name: ``abslog``, ``if`` ...
        **parameters: its constructor's arguments; all have defaults: 16 kHz, and the mode's own sizes.

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
    codec.name = component.name  # a stored state finds the class by it
    unset = [a for a in ("sample_rate", "samples", "channels", "parameters", "statistics") if not hasattr(codec, a)]
    if unset:
        raise UserError(f"codec {name} in {component.module} does not set {', '.join(unset)}; see audio.base.Codec")
    return codec


def codec_from_state(state: Mapping[str, Any]) -> Codec:
    """Build the codec that `Codec.state_dict` described; one without a margin has none.

    Raises:
        UserError: if the state is not a codec's, or names an unknown codec.
    """
    missing = [key for key in ("name", "parameters", "statistics") if key not in state]
    if missing:
        raise UserError(f"a codec's state has no {', '.join(missing)}; it holds {', '.join(state) or 'nothing'}")
    cls = REGISTRY.get(str(state["name"]), "codec").cls
    # States from before there were margins know of none, and their images have none.
    known = {"margin": 0} if "margin" in inspect.signature(cls).parameters else {}
    codec = build_codec(str(state["name"]), **{**known, **state["parameters"]})
    codec.statistics = dict(state["statistics"])
    return codec
