"""Every command's --help ends with examples, and each of them is a command line that the command takes."""

import shlex
import shutil
from importlib import import_module
from itertools import takewhile
from keyword import iskeyword
from pathlib import Path

import pytest

from pggan_framework.cli.main import COMMANDS, main
from pggan_framework.cli.parser import Parser
from pggan_framework.config.discovery import load_builtin
from pggan_framework.config.parameters import parameters
from pggan_framework.errors import UserError
from pggan_framework.planning.choose import Choice
from pggan_framework.recipes import RECIPES
from pggan_framework.registry import REGISTRY

ROOT = Path(__file__).parents[2]


class Parsed(Exception):
    """The command has read its words, and would begin now."""


def examples(command, capsys):
    """The lines below ``examples:`` that call this program."""
    assert main([command, "--help"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "examples:" in lines, f"pggan {command} --help has no examples"
    below = takewhile(str.strip, lines[lines.index("examples:") + 1 :])
    return [line.strip() for line in below if line.startswith("  pggan ")]


def stop(monkeypatch, owner, name, first=None):
    """Have a function raise `Parsed` instead, after the one of its name has been called if it is to be."""

    def instead(*args, **kwargs):
        if first is not None:
            first(*args, **kwargs)
        raise Parsed

    monkeypatch.setattr(owner, name, instead)


def stop_after_the_parser(monkeypatch):
    """Have the outermost call of a parser raise `Parsed`: a parser of subcommands calls others."""
    depth = [0]

    def wrapped(original):
        def parse(self, *args, **kwargs):
            depth[0] += 1
            try:
                found = original(self, *args, **kwargs)
            finally:
                depth[0] -= 1
            if depth[0] == 0:
                raise Parsed
            return found

        return parse

    for name in ("parse_args", "parse_known_args"):
        monkeypatch.setattr(Parser, name, wrapped(getattr(Parser, name)))


def read(line, monkeypatch):
    """Have a command read an example up to where it would begin to work."""
    words = shlex.split(line)[1:]
    name = words[0]
    if name in ("components", "completion"):
        assert main(words) == 0
        return
    if name == "prepare" and words[1] not in RECIPES:
        Path(words[1]).mkdir(parents=True, exist_ok=True)  # it must be there to be informed from a mistyped recipe
    module = import_module(f"pggan_framework.cli.{name}{'_' * iskeyword(name)}")
    with monkeypatch.context() as patched:
        # A look at the stand-ins and at the machine takes longer than reading the words, and finds no sound.
        planned = Choice({"minutes": 10.0}, [], {})
        patched.setattr("pggan_framework.planning.command.plan_folder", lambda *args: planned)
        patched.setattr("pggan_framework.cli.grow.facts_of", lambda *args: None)
        patched.setattr("pggan_framework.postprocessors.moving.require", lambda *names: None)
        if hasattr(module, "find_checkpoint"):
            stop(patched, module, "find_checkpoint")
        elif name in ("train", "inspect"):
            config = import_module("pggan_framework.config")
            stop(patched, config, "resolve", config.resolve)
        else:
            stop_after_the_parser(patched)
        with pytest.raises(Parsed):
            module.run(words[1:])
    for word in words[1:]:
        owner, dot, flag = word.removeprefix("--").partition(".")
        if word.startswith("--") and dot and name not in ("train", "inspect"):  # those have checked it themselves
            assert flag in parameters(REGISTRY.get(owner).cls), f"{line}: {word}"


@pytest.fixture
def data(tmp_path, monkeypatch):
    """What `inspect` must find to know what it is."""
    for name in ("piano/a.wav", "photos/a.png"):
        (tmp_path / "datasets" / name).parent.mkdir(parents=True)
        (tmp_path / "datasets" / name).touch()
    for name in ("configs", "plugins"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.chdir(tmp_path)
    load_builtin()


@pytest.mark.usefixtures("own_plugins", "data")
@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_examples_that_it_takes(command, monkeypatch, capsys):
    lines = examples(command, capsys)
    assert any(shlex.split(line)[1] == command for line in lines)
    for line in lines:
        read(line, monkeypatch)


@pytest.mark.usefixtures("own_plugins", "data")
@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("pggan generate latest --sead 3", "unrecognized arguments: --sead 3"),
        ("pggan generate latest --loop", "--loop is given without --interpolate"),
        ("pggan video latest", "OUT"),
        ("pggan train --total_kimgs 3", "unknown flag"),
        ("pggan inspect datasets/piano --SoundImageDataset.n_fftt 3", "n_fftt"),
        ("pggan components DepthManger", "unknown component"),
    ],
)
def test_a_line_that_does_not_hold_is_found(line, message, monkeypatch):
    with pytest.raises((UserError, AssertionError)) as found:
        read(line, monkeypatch)
    assert message in str(found.value) or line.startswith("pggan components")
