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
        general: the general flags.
        components: the parameters of each component in use, in their annotated types.
        explicit: the flags given by the user in this call: ``G_lr_max``, ``Adam.betas``.
        names_experiment: whether the user identified the experiment: by name, config file or dataset.
    """

    general: General
    components: Mapping[str, Mapping[str, Any]]
    explicit: frozenset[str] = field(default=frozenset())
    names_experiment: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Nested plain values: general flags, then a mapping for each component. Secrets are left out."""
        general = {name: value for name, value in vars(self.general).items() if name not in UNSTORED}
        found: dict[str, Any] = plain({**general, **self.components})
        return found

    def to_yaml(self) -> str:
        """The same as YAML; loaded as a config file, it gives the same text again."""
        return dump(self.to_dict())

    def difference(self, other: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
        """Differences from another resolved config (as `to_dict` returns it): (dotted key, its value, this one's).

        A flag that an earlier release did not have differs only if the user gave it.
        """
        old, new = _flat(plain(other)), _flat(self.to_dict())
        known = {key.partition(".")[0] for key in old if "." in key} | {key for key in old if "." not in key}
        later = {key for key in new if key not in old and ("." not in key or key.partition(".")[0] in known)}
        keys = [key for key in new if key not in later or key in self.explicit]
        keys += [key for key in old if key not in new]
        return [(key, old.get(key), new.get(key)) for key in keys if old.get(key) != new.get(key)]


def _flat(content: Mapping[str, Any]) -> dict[str, Any]:
    """Dotted parameter -> value; a dict that is a parameter's value is not flattened."""
    flat: dict[str, Any] = {}
    for key, value in content.items():
        if isinstance(value, Mapping):
            flat.update({f"{key}.{name}": item for name, item in value.items()})
        else:
            flat[key] = value
    return flat
