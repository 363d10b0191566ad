"""Merge layers of settings into one Config: defaults < stored config < config files < command line."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pggan_framework.config.arguments import (
    COMMAND_FLAGS,
    GENERAL_FLAGS,
    Layer,
    Setting,
    is_alone,
    parse_argv,
    parse_mapping,
)
from pggan_framework.config.config import Config
from pggan_framework.config.convert import convert, merge
from pggan_framework.config.discovery import code_note, load_all, split_trusted
from pggan_framework.config.general import LOSS_ALIASES, General
from pggan_framework.config.parameters import Parameter, default_of, injected, parameters
from pggan_framework.config.presets import find_config
from pggan_framework.config.tables import FLAGS, checked_tables
from pggan_framework.config.text import load_file
from pggan_framework.config.typed import TYPED
from pggan_framework.config.used import canonical, components_in_use, with_clock
from pggan_framework.errors import UserError, nearest
from pggan_framework.registry import REGISTRY, Component


def resolve(argv: Sequence[str], base: Mapping[str, Any] | None = None) -> Config:
    """Resolve a command line (without the program name).

    With ``resume`` and without `base`, only the general flags are resolved: the rest depends on the stored run.

    Args:
        argv: the arguments, as split by the shell.
        base: a stored config, which overrides the defaults and is overridden by the config files.

    Raises:
        UserError: if a setting is unknown, has the wrong type, is missing or is contradictory.
    """
    line = parse_argv(argv)
    return _resolve(line.configs, Layer(tuple(line.settings)), base)


def resolve_general(argv: Sequence[str]) -> General:
    """Resolve the general flags of a command line; components are neither loaded nor checked.

    Raises:
        UserError: if a general flag is invalid, as in `resolve`.
    """
    line = parse_argv(argv)
    return _general([*_file_layers(map(find_config, line.configs)), Layer(tuple(line.settings))])


def resolve_overrides(
    config: str | Path | Sequence[str | Path] | None,
    overrides: Mapping[str, Any],
    base: Mapping[str, Any] | None = None,
) -> Config:
    """Resolve config files and Python values.

    Args:
        config: a YAML file or the name of a preset, or a list of these.
        overrides: flags, dotted or nested: ``{"total_kimg": 20, "Adam.betas": (0, 0.9)}``.
        base: a stored config, which overrides the defaults and is overridden by the config files.

    Raises:
        UserError: as in `resolve`.
    """
    files = [config] if isinstance(config, str | Path) else list(config or ())
    return _resolve(files, Layer(tuple(parse_mapping(overrides, ""))), base)


def _resolve(files: Iterable[str | Path], last: Layer, base: Mapping[str, Any] | None) -> Config:
    paths = [find_config(file) for file in files]
    layers = [_from_file(Layer(tuple(parse_mapping(base or {}, "stored config: ")), given=False))]
    layers += _file_layers(paths)
    layers.append(last)
    general = _general(layers)
    given = {setting.dotted for layer in layers if layer.given for setting in layer.settings}
    named = bool(paths) or bool(given & {"exp_name", "dataset_class"})
    if general.resume and base is None:
        return Config(_name(general, paths), {}, frozenset(given), named)
    load_all(general.plugin_dirs)
    layers.insert(0, Layer(tuple(parse_mapping(_earlier(base or {}), "stored config: ")), given=False))
    general = _name(canonical(general if base else with_clock(general)), paths)
    layers = [_known(layer, general) for layer in layers]
    explicit = {setting.dotted for layer in layers if layer.given for setting in layer.settings if setting.name}
    settings = [setting for layer in layers for setting in layer.settings]
    used = components_in_use(general)
    components = {c.name: _component(c, [s for s in settings if s.owner == c.name], general) for c in used}
    for setting in (s for layer in layers if layer.given for s in layer.settings if s.owner not in ("", *components)):
        if setting.name:
            component = REGISTRY.get(setting.owner)
            parameter = parameters(component.cls, component.name)[setting.name]
            _apply(default_of(parameter), setting, parameter)
            print(f"note: {setting.where} is given but {setting.owner} is not used", file=sys.stderr)
    changes: dict[str, Any] = {flag: checked_tables(flag, general, used) for flag in FLAGS}
    changes |= dict.fromkeys(LOSS_ALIASES)
    return Config(_with(general, **changes), components, frozenset(explicit), named)


def _file_layers(paths: Iterable[Path]) -> list[Layer]:
    return [_from_file(Layer(tuple(parse_mapping(load_file(path), f"{path}: ")))) for path in paths]


def _from_file(layer: Layer) -> Layer:
    """Return the layer of an untrusted file, without code folders and without settings that overwrite files."""
    settings = []
    for setting in layer.settings:
        value = setting.value
        if setting.dotted == "plugin_dirs":
            value, others = split_trusted(value)
            if others:
                print(f"note: {setting.where}: {code_note(others)}", file=sys.stderr)
            if setting.key:  # `plugin_dirs.0` would modify a list given on the command line
                continue
        elif setting.dotted == "save_dataset" and isinstance(value, str) and os.path.lexists(value):
            if layer.given:
                note = f"{value} is there, and a config replaces no file; to replace it: --save_dataset {value}"
                print(f"note: {setting.where}: {note}", file=sys.stderr)
            value = ""
        settings.append(replace(setting, value=value))
    return Layer(tuple(settings), layer.given)


def _general(layers: Iterable[Layer]) -> General:
    """Merge the general flags of all layers with their defaults."""
    flags = parameters(General)
    values = {name: default_of(flag) for name, flag in flags.items()}
    for layer in layers:
        for setting in layer.settings:
            if not setting.owner:
                values[setting.name] = _apply(values[setting.name], setting, flags[setting.name])
        set_here = {setting.name for setting in layer.settings if not setting.owner}
        # Both flags set the length, so the layer with priority wins.
        if values["total_epochs"] is not None and "total_epochs" in set_here and "total_kimg" not in set_here:
            values["total_kimg"] = default_of(flags["total_kimg"])
        elif "total_kimg" in set_here and "total_epochs" not in set_here:
            values["total_epochs"] = None
    return General(**values)


def _with(general: General, **changes: Any) -> General:
    return General(**{**vars(general), **changes})


def _name(general: General, paths: Sequence[Path]) -> General:
    """Return `general` with a run name: the given name, or the name of the first config file or the dataset."""
    return _with(general, exp_name=general.exp_name or (paths[0].stem if paths else general.dataset_class))


def _earlier(base: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values implied by a stored config of an earlier release, by component; explicit values win."""
    known = {name: REGISTRY.get(name) for name in base if name in REGISTRY}
    values = {}
    for name, component in known.items():
        flags = parameters(component.cls, component.name)
        before = getattr(component.cls, "earlier_values", {})
        if found := {flag: value for flag, value in before.items() if flag in flags}:
            values[name] = found
    return values


def _known(layer: Layer, general: General) -> Layer:
    """Return the layer's settings under canonical names, with aliases as parameters of the loss.

    Raises:
        UserError: if a name is unknown, or an alias contradicts its parameter.
    """
    settings = []
    for setting in layer.settings:
        if not setting.owner:
            if setting.name in LOSS_ALIASES:
                settings += _alias(setting, layer, general)
            else:
                settings.append(setting)
            continue
        if setting.owner not in REGISTRY:
            raise _unknown(setting)
        owner = REGISTRY.get(setting.owner)
        if owner.kind == "codec":
            raise UserError(
                f"{setting.where}: a codec takes its parameters from its dataset;"
                f" allowed: the dataset's own, as SoundImageDataset.{setting.name}"
            )
        if setting.name and setting.name not in parameters(owner.cls, owner.name):
            raise _unknown_parameter(setting, owner)
        if not setting.name and setting.value is not None:
            raise UserError(
                f"{setting.where}: allowed: {owner.name}.parameter, as {', '.join(_flags(owner)) or 'none'}"
            )
        settings.append(setting.named(owner.name, setting.name))
    return Layer(tuple(settings), layer.given)


def _alias(setting: Setting, layer: Layer, general: General) -> list[Setting]:
    """Return an alias such as ``iwass_lambda`` as a parameter of the loss; an empty list for None, the default."""
    value = convert(setting.value, parameters(General)[setting.name].kind, setting.where, setting.text)
    if value is None:
        return []
    loss = REGISTRY.get(general.loss)
    flags = parameters(loss.cls, loss.name)
    if setting.name not in flags:
        raise UserError(
            f"{setting.where}: the loss {loss.name} has no {setting.name}; it has: {', '.join(flags) or 'none'}"
        )
    for other in layer.settings:
        same = other.name == setting.name and other.owner in (loss.name, *loss.aliases)
        if same and _apply(None, other, flags[other.name]) != value:
            raise UserError(f"{setting.where} and {other.where} are the same but have different values; give one")
    return [setting.named(loss.name, setting.name)]


def _component(component: Component, settings: Sequence[Setting], general: General) -> dict[str, Any]:
    """Return all parameters of a component.

    Raises:
        UserError: if a value has the wrong type or a required parameter is missing.
    """
    values = {}
    for flag in parameters(component.cls, component.name).values():
        given = [setting for setting in settings if setting.name == flag.name]
        if flag.required and not given:
            # A prepared file replaces the source of the dataset, so the path of the source is not required.
            if component.kind == "dataset" and general.load_dataset:
                continue
            raise UserError(f"{component.name}.{flag.name} is required{f': {flag.help}' if flag.help else ''}")
        value = None if flag.required else default_of(flag)
        for setting in given:
            value = _apply(value, setting, flag)
        values[flag.name] = value
    return values


def _apply(current: Any, setting: Setting, flag: Parameter) -> Any:
    """Return the value after a further setting, which replaces it or one of its keys."""
    value = setting.value
    if is_alone(setting):
        if flag.kind is not bool:
            raise UserError(f"{setting.where} needs a value")
        value = True
    if setting.key:
        return merge(current, setting.key, value, flag.kind, setting.where, setting.text)
    return convert(value, flag.kind, setting.where, setting.text)


def _flags(component: Component) -> list[str]:
    return [f"{component.name}.{name}" for name in parameters(component.cls, component.name)]


def _unknown(setting: Setting) -> UserError:
    """Return the error for an unknown name, with the closest known one."""
    dotted = setting.dotted
    known = [*GENERAL_FLAGS, *(flag for component in REGISTRY for flag in _flags(component))]
    if not setting.text:
        empty_section = not setting.name and setting.value is None
        names = [component.name for component in REGISTRY] if empty_section else known
        return UserError(f"{setting.where.removesuffix(dotted)}unknown key '{dotted}'{nearest(dotted, names)}")
    known += COMMAND_FLAGS
    if meant := TYPED.get(dotted.lower().replace("-", "_")):
        return UserError(f"unknown flag --{dotted}; {meant}")
    same = [flag for flag in known if "." not in dotted and flag.partition(".")[2] == dotted]
    hint = f" (did you mean '--{same[0]}'?)" if same else nearest(f"--{dotted}", [f"--{flag}" for flag in known])
    return UserError(f"unknown flag --{dotted}{hint}; -h lists the general ones, --help_component NAME a component's")


def _unknown_parameter(setting: Setting, owner: Component) -> UserError:
    flags = _flags(owner)
    if setting.name in injected(owner.cls) and setting.name in GENERAL_FLAGS:
        return UserError(f"{setting.where}: {owner.name} takes it from the general flag {setting.name}")
    meant = TYPED.get(f"{owner.name}.{setting.name}".lower())
    hint = f"; {meant}" if meant else nearest(f"{owner.name}.{setting.name}", flags)
    return UserError(
        f"{setting.where}: {owner.name} has no '{setting.name}'{hint}; allowed: {', '.join(flags) or 'none'}"
    )
