"""Arguments shared by commands that start from a trained model: RUN, generator, labels."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pggan_framework.cli.parser import Parser
from pggan_framework.errors import UserError

if TYPE_CHECKING:
    from pggan_framework.models.pretrained import Pretrained

RUN = "a run's folder (its best checkpoint), a checkpoint, an exported model, or latest"


def checkpoint_parser(name: str, description: str, examples: str, what: str = RUN, metavar: str = "RUN") -> Parser:
    """Build the parser of ``pggan NAME RUN ...``, whose help ends with examples.

    Args:
        name: name of the command.
        description: description of the command.
        examples: examples at the end of the help.
        what: help of RUN; the parsed attribute is ``model``.
        metavar: placeholder of RUN.
    """
    parser = Parser(name, description, examples)
    parser.add_argument("model", metavar=metavar, help=what)
    parser.add_argument(
        "--result_dir",
        default="results",
        metavar="DIR",
        help="folder in which latest finds the newest run (default: results)",
    )
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    return parser


def add_plugin_dirs(parser: Parser) -> None:
    """Add ``--plugin_dirs`` for `load_model` and `load_plugins` (default: no folder)."""
    parser.add_argument(
        "--plugin_dirs",
        type=lambda text: [part for part in text.strip("[]").split(",") if part],
        default=[],
        metavar="DIR,...",
        help="folders with the model's user-defined classes",
    )


def load_plugins(given: argparse.Namespace) -> None:
    """Load the files in ``--plugin_dirs``.

    Raises:
        UserError: if a folder is missing, or a file cannot be loaded.
    """
    from pggan_framework.config.discovery import load_for_models

    load_for_models(given.plugin_dirs)


def load_model(given: argparse.Namespace, checkpoint: Path) -> Pretrained:
    """Load the model specified by ``RUN``, ``--weights``, ``--depth`` and ``--plugin_dirs``.

    Raises:
        UserError: if the model cannot be read, or does not have this depth.
    """
    from pggan_framework.models.pretrained import load_generator

    load_plugins(given)
    model = load_generator(checkpoint, given.weights)
    if getattr(given, "device", None) is not None:
        from pggan_framework.launch.build import choose_device

        model.generator.to(choose_device(given.device))
    return model if given.depth is None else model.at_depth(given.depth)


def add_weights(parser: Parser) -> None:
    """Add ``--weights``, which selects the EMA or raw generator and is None by default, and ``--plugin_dirs``."""
    parser.add_argument(
        "--weights",
        choices=("ema", "raw"),
        help="generator to use: the EMA generator or the raw generator (default: ema)",
    )
    add_plugin_dirs(parser)


def add_device(parser: Parser) -> None:
    """Add ``--device`` for `load_model`; its default is auto."""
    parser.add_argument(
        "--device", default="auto", metavar="NAME", help="device to use: auto, cpu, cuda, cuda:1 or mps (default: auto)"
    )


def add_depth(parser: Parser) -> None:
    """Add ``--depth``; its default is None."""
    parser.add_argument(
        "--depth", type=int, metavar="N", help="depth of the images, 0 is the smallest (default: deepest trained)"
    )


def add_label(parser: Parser) -> None:
    """Add ``--label`` for `labels_of`."""
    parser.add_argument(
        "--label",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="label of the samples, repeatable; other labels are random",
    )


def labels_of(words: Sequence[str]) -> dict[str, str]:
    """Parse labels such as ``pitch=60``; return values by name.

    Raises:
        UserError: if a word is not a label, or a label is given twice.
    """
    labels: dict[str, str] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not name or not equals:
            raise UserError(f"--label '{word}' is given; allowed: NAME=VALUE, as in pitch=60")
        if name in labels:
            raise UserError(f"--label {name} is given twice, as {labels[name]} and {value}; allowed: once")
        labels[name] = value
    return labels
