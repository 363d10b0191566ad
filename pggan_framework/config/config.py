"""The resolved configuration of a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pggan_framework.config.convert import plain
from pggan_framework.config.general import UNSTORED, General
from pggan_framework.config.text import dump


@dataclass(frozen=True)
class Config:
    """The components and flags of a run, with every default filled in.

    Args:
        general: values of the general flags.
        components: the parameters of each component in use, in their annotated types.
        explicit: the flags given by the user in this call: ``G_lr_max``, ``Adam.betas``.
        names_experiment: True if the user identified the experiment by name, config file or dataset.
    """

    general: General
    components: Mapping[str, Mapping[str, Any]]
    explicit: frozenset[str] = field(default=frozenset())
    names_experiment: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Return nested plain values: general flags, then a mapping per component. Secrets are omitted."""
        general = {name: value for name, value in vars(self.general).items() if name not in UNSTORED}
        found: dict[str, Any] = plain({**general, **self.components})
        return found

    def to_yaml(self) -> str:
        """Return the result of `to_dict` as YAML text, which a config loaded from it reproduces."""
        return dump(self.to_dict())

    def difference(self, other: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
        """Return the differences from another result of `to_dict`: (dotted key, other value, value in this config).

        A flag that did not exist in an earlier release differs only if the user set it.
        """
        old, new = _flat(plain(other)), _flat(self.to_dict())
        known = {key.partition(".")[0] for key in old if "." in key} | {key for key in old if "." not in key}
        later = {key for key in new if key not in old and ("." not in key or key.partition(".")[0] in known)}
        keys = [key for key in new if key not in later or key in self.explicit]
        keys += [key for key in old if key not in new]
        return [(key, old.get(key), new.get(key)) for key in keys if old.get(key) != new.get(key)]


def _flat(content: Mapping[str, Any]) -> dict[str, Any]:
    """Map dotted parameters to values; dicts that are values of a parameter are not flattened."""
    flat: dict[str, Any] = {}
    for key, value in content.items():
        if isinstance(value, Mapping):
            flat.update({f"{key}.{name}": item for name, item in value.items()})
        else:
            flat[key] = value
    return flat
