"""Run parameters that follow from the source model."""

from __future__ import annotations

from dataclasses import replace

from pggan_framework.config import Config
from pggan_framework.labels.attributes import LabelSpace
from pggan_framework.models.growing.labels import plain_labels, shared
from pggan_framework.models.growing.networks import plain_of
from pggan_framework.models.growing.source import Source
from pggan_framework.networks.pggan import Generator


def grown_config(config: Config, source: Source, target: LabelSpace | None) -> Config:
    """Add the settings with which the source's images stay unchanged if labels are added or dropped.

    New labels are appended after the normalization of the latents. If labels are dropped, the first layer gets a bias
    for each position, which contains the average effect of the labels.

    Args:
        config: configuration of the new run.
        source: model that the run starts from.
        target: label space of the new data.
    """
    if type(source.generator) is not Generator or config.general.generator != "Generator":
        return config
    old = source.generator.label_space
    if not isinstance(old, LabelSpace | None) or not isinstance(target, LabelSpace | None):
        return config
    values = dict(config.components["Generator"])
    if values.get("plain_labels") is None:
        values["plain_labels"] = plain_labels(old, target, plain_of(source.generator)) or None
    dropped = len(old.attributes) - len(shared(old, target)) if old else 0
    biases = source.generator.state_dict()["blocks.0.dense.bias"]
    by_position = len(biases) != source.generator.state_dict()["blocks.0.conv.bias"].shape[0]
    if values.get("position_bias") is None and (dropped or by_position):
        values["position_bias"] = True
    return replace(config, components={**config.components, "Generator": values})
