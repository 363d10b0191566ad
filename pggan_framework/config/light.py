"""Import a component for its help only: stand-ins replace the numerical libraries, which saves seconds."""

from __future__ import annotations

import sys
from collections.abc import Iterator, MutableSequence, Sequence
from contextlib import contextmanager
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from pggan_framework.config.discovery import USER_PACKAGE, index, load_all
from pggan_framework.config.help import component_help
from pggan_framework.registry import REGISTRY, Component

_HEAVY = frozenset(
    {
        "torch", "torchvision", "numpy", "scipy", "librosa", "soundfile", "soxr", "h5py", "PIL", "numba", "sklearn",
        "comet_ml", "wandb", "trackio", "tqdm", "mido",
    }
)  # fmt: skip
_OPERATORS = ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "and", "or", "matmul", "lshift", "rshift")


class _Anything:
    """A stand-in for any library object that supports calls, subclassing, indexing, iteration and arithmetic."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _Anything()

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        # As a decorator, it returns the decorated object unchanged.
        return args[0] if len(args) == 1 and not kwargs and callable(args[0]) else _Anything()

    def __mro_entries__(self, bases: tuple[Any, ...]) -> tuple[type, ...]:
        return (_Base,) if next(base for base in bases if isinstance(base, _Anything)) is self else ()

    def __getitem__(self, key: Any) -> Any:
        return _Anything()

    def __iter__(self) -> Iterator[Any]:
        return iter(())

    def __neg__(self) -> Any:
        return _Anything()

    def __int__(self) -> int:
        return 0

    def __float__(self) -> float:
        return 0.0


class _Base:
    """The class that replaces base classes from libraries."""

    apply = _Anything()  # modules access the apply method of autograd functions at import time

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Accept any keyword arguments."""


for _name in _OPERATORS:
    for _operator in (f"__{_name}__", f"__r{_name}__"):
        setattr(_Anything, _operator, lambda self, other: _Anything())


class _Module(ModuleType):
    """An empty stand-in for a library module."""

    __path__: MutableSequence[str] = []
    __version__ = "0"
    __file__ = ""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _Anything()


class _Finder(MetaPathFinder, Loader):
    """Finds all modules of the heavy libraries."""

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        """Return a spec for modules of these libraries only."""
        return ModuleSpec(fullname, self, is_package=True) if fullname.partition(".")[0] in _HEAVY else None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """Create an empty module."""
        return _Module(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """Execute nothing."""


def help_of(name: str, plugin_dirs: Sequence[str]) -> str:
    """Return the help of a component, without importing its libraries if possible.

    Raises:
        UserError: if the component does not exist.
    """
    with light_component(name, plugin_dirs) as component:
        if component is not None:
            return component_help(component)
    load_all(plugin_dirs)
    return component_help(REGISTRY.get(name))


@contextmanager
def light_component(name: str, plugin_dirs: Sequence[str]) -> Iterator[Component | None]:
    """A context with a built-in component that has readable parameters but cannot run; None if it needs a real import.

    The imported modules are removed again at the end.

    Args:
        name: registered name or alias.
        plugin_dirs: folders of plugins, whose code is never imported in this way.
    """
    if not _HEAVY.isdisjoint(sys.modules):
        yield None
        return
    entry = next((each for each in index(plugin_dirs) if name in (each.name, *each.aliases)), None)
    if entry is None or entry.module.startswith(USER_PACKAGE):
        yield None
        return
    before, finder = set(sys.modules), _Finder()
    sys.meta_path.insert(0, finder)
    try:
        try:
            import_module(entry.module)
            found = REGISTRY.get(entry.name)
        except Exception:  # noqa: BLE001  -- a module that computes at import time
            found = None
        yield found
    finally:
        sys.meta_path.remove(finder)
        for module in set(sys.modules) - before:
            del sys.modules[module]
        for component in list(REGISTRY):
            REGISTRY.remove(component.name)
