"""The registry of components: name -> class and kind. Names are unique, since each is a command-line prefix."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from pggan_framework.errors import UserError, nearest

KINDS = (
    "dataset",
    "codec",
    "generator",
    "discriminator",
    "loss",
    "penalty",
    "augmentation",
    "schedule",
    "optimizer",
    "training",
    "plugin",
    "postprocessor",
    "logger",
    "metric",
    "extractor",
)
"""The kinds of components. ``training`` holds the parts every run has once (Trainer, EMA)."""

Class = TypeVar("Class", bound=type)


@dataclass(frozen=True)
class Component:
    """A registered class: its name, its kind, its aliases and the class itself."""

    name: str
    kind: str
    cls: type
    aliases: tuple[str, ...] = ()

    @property
    def module(self) -> str:
        """The module that defines the class."""
        return self.cls.__module__

    @property
    def is_own(self) -> bool:
        """True if the class is part of this package, not of a user's file or another package."""
        return self.module.startswith("pggan_framework.")

    def check(self, base: type | None = None) -> None:
        """Check that the class derives from the base of its kind and defines the abstract methods of that base.

        Args:
            base: a base to check instead of the one that `contract` names.

        Raises:
            UserError: if the class does not derive from the base, or lacks a method.
        """
        base = base or BASES.get(self.kind, object)
        place = f"{base.__module__}.{base.__name__}"
        if not issubclass(self.cls, base):
            raise UserError(f"{self.kind} {self.name} in {self.module} does not derive from {place}")
        attributes = {name: getattr(self.cls, name, None) for name in dir(self.cls)}
        missing = sorted(n for n, value in attributes.items() if getattr(value, "__isabstractmethod__", False))
        if missing:
            names = ", ".join(missing)
            raise UserError(f"{self.kind} {self.name} in {self.module} does not define {names}; see {place}")


class Registry:
    """Holds every component under its name and its aliases."""

    def __init__(self) -> None:
        self._components: dict[str, Component] = {}
        self._names: dict[str, str] = {}

    def add(self, component: Component) -> None:
        """Add a component.

        Raises:
            UserError: if the kind is unknown, or another class has one of its names.
        """
        if component.kind not in KINDS:
            raise UserError(
                f"{component.name} in {component.module}: unknown kind '{component.kind}'"
                f"{nearest(component.kind, KINDS)}; allowed: {', '.join(KINDS)}"
            )
        for name in (component.name, *component.aliases):
            holder = self._components.get(self._names.get(name, ""))
            if holder is not None:
                raise UserError(
                    f"two components are called '{name}': one in {holder.module}, one in {component.module}; rename one"
                )
        self._components[component.name] = component
        for name in (component.name, *component.aliases):
            self._names[name] = component.name

    def get(self, name: str, kind: str | None = None) -> Component:
        """Find a component by name or alias.

        Raises:
            UserError: if there is no component of this name, or it is not of the kind `kind`.
        """
        component = self._components.get(self._names.get(name, ""))
        if component is not None and kind in (None, component.kind):
            return component
        allowed = sorted(c.name for c in self if kind in (None, c.kind))
        if component is not None:
            raise UserError(f"'{name}' is a {component.kind}, not a {kind}; allowed: {', '.join(allowed)}")
        raise UserError(
            f"unknown {kind or 'component'} '{name}'{nearest(name, allowed)}; allowed: {', '.join(allowed)}"
        )

    def __iter__(self) -> Iterator[Component]:
        return iter(sorted(self._components.values(), key=lambda c: (KINDS.index(c.kind), c.name.lower())))

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def remove(self, name: str) -> None:
        """Remove a component and its aliases (for tests and for reloading a user's file)."""
        component = self._components.pop(self._names[name])
        for other in (component.name, *component.aliases):
            del self._names[other]


REGISTRY = Registry()
"""The registry that `register` fills and every command reads."""
BASES: dict[str, type] = {}
"""The class that all components of a kind derive from; `contract` fills it."""


def contract(kind: str) -> Callable[[Class], Class]:
    """Declare the decorated class the base of a kind: components that do not derive from it are rejected."""

    def decorate(cls: Class) -> Class:
        BASES[kind] = cls
        return cls

    return decorate


def register(kind: str, name: str | None = None, *, aliases: tuple[str, ...] = ()) -> Callable[[Class], Class]:
    """Register the decorated class as a component.

    Args:
        kind: one of `KINDS`.
        name: its name on the command line (default: the class's name).
        aliases: other names of the same class.

    Every constructor parameter becomes ``--Name.parameter``; its type comes from the annotation, its help from the
    ``Args:`` section of the class's (or ``__init__``'s) Google-style docstring. Parameters that a class lists in
    ``injected: ClassVar[tuple[str, ...]] = ("directory",)`` are not flags: the run passes them. A run can inject every
    general flag that names no component, and the values known where the component is built (`launch.build`).
    """

    def decorate(cls: Class) -> Class:
        REGISTRY.add(Component(name or cls.__name__, kind, cls, aliases))
        return cls

    return decorate
