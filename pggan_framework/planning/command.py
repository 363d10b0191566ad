"""The planning step of ``pggan train DIR`` and ``pggan plan DIR``: from command line to choice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pggan_framework.config.arguments import COMMAND_FLAGS, is_alone, parse_argv, parse_mapping
from pggan_framework.config.general import UNSTORED
from pggan_framework.config.presets import find_config
from pggan_framework.config.text import load_file, load_value
from pggan_framework.errors import UserError
from pggan_framework.planning.choose import MINUTES, Choice, choose
from pggan_framework.planning.finetune import adjust
from pggan_framework.planning.speed import measure_speed
from pggan_framework.planning.survey import ImageSurvey, survey
from pggan_framework.planning.targets import Facts


def plan_folder(folder: str, words: Sequence[str], source: Facts | None = None) -> Choice:
    """Survey `folder`, measure the machine, and choose the settings that `words` do not fix.

    Args:
        folder: folder of recordings or images.
        words: flags of the command line, including config files.
        source: model to start from.

    Raises:
        UserError: if the folder or a flag is unusable.
    """
    given = given_values(words)
    for flag in ("resume", "load_dataset"):
        if given.get(flag):
            raise UserError(f"--{flag} {given[flag]} and the folder {folder} are given; allowed: one of them")
    minutes = given.get("minutes", MINUTES)
    if isinstance(minutes, bool) or not isinstance(minutes, int | float) or not minutes > 0:
        raise UserError(f"--minutes {minutes} is not allowed; allowed: a number above 0, such as --minutes 10")
    found = survey(Path(folder))
    speed = measure_speed(3 if isinstance(found, ImageSurvey) else 1)
    choice = choose(folder, found, speed, float(minutes), given)
    if source is not None:
        count = len(found.sides if isinstance(found, ImageSurvey) else found.seconds)
        choice = adjust(choice, source, count, given)
    return replace(choice, config={"exp_name": Path(folder).resolve().name, **choice.config})


def with_given(choice: Choice, words: Sequence[str]) -> Choice:
    """Add the flags in `words`, which must be valid, to the config of the choice, except flags for a single call."""
    config = dict(choice.config)
    for name, value in given_values(words).items():
        owner, _, parameter = name.partition(".")
        if parameter:
            config[owner] = {**config.get(owner, {}), parameter: value}
        elif name not in UNSTORED and name not in COMMAND_FLAGS:
            config[name] = value
    return replace(choice, config=config)


def given_values(words: Sequence[str]) -> dict[str, Any]:
    """Return the values of flags and config files by dotted name; the command line overrides the files."""
    line = parse_argv(words)
    files = {file: load_file(find_config(file)) for file in line.configs}
    settings = [setting for file, content in files.items() for setting in parse_mapping(content, f"{file}: ")]
    found: dict[str, Any] = {}
    for setting in [*settings, *line.settings]:
        if not setting.key:
            value = True if is_alone(setting) else setting.value
            found[setting.dotted] = load_value(value) if setting.text and isinstance(value, str) else value
    return found
