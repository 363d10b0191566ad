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
    """The parser of ``pggan NAME RUN ...``, whose help ends with examples.

    Args:
        name: the command.
        description: what it does.
        examples: the end of its help.
        what: the help of RUN; the word's value is ``model``.
        metavar: the placeholder of RUN.
    """
    parser = Parser(name, description, examples)
    parser.add_argument("model", metavar=metavar, help=what)
    parser.add_argument("--result_dir", default="results", metavar="DIR", help="where latest looks (default: results)")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    return parser


def add_plugin_dirs(parser: Parser) -> None:
    """Add ``--plugin_dirs``, which `load_model` and `load_plugins` read (default: no folder)."""
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
        UserError: if a folder is missing, or a file does not load.
    """
    from pggan_framework.config.discovery import load_for_models

    load_for_models(given.plugin_dirs)


def load_model(given: argparse.Namespace, checkpoint: Path) -> Pretrained:
    """The model that ``RUN``, ``--weights``, ``--depth`` and ``--plugin_dirs`` mean.

    Raises:
        UserError: if it cannot be read, or has no such depth.
    """
    from pggan_framework.models.pretrained import load_generator

    load_plugins(given)
    model = load_generator(checkpoint, given.weights)
    if getattr(given, "device", None) is not None:
        from pggan_framework.launch.build import choose_device

        model.generator.to(choose_device(given.device))
    return model if given.depth is None else model.at_depth(given.depth)


def add_weights(parser: Parser) -> None:
    """Add ``--weights``, the choice of EMA or raw generator, None by default; and ``--plugin_dirs``."""
    parser.add_argument(
        "--weights",
        choices=("ema", "raw"),
        help="EMA generator or raw generator (default: ema)",
    )
    add_plugin_dirs(parser)


def add_device(parser: Parser) -> None:
    """Add ``--device``, auto by default; `load_model` puts the generator there."""
    parser.add_argument("--device", default="auto", metavar="NAME", help="auto, cpu, cuda, cuda:1 or mps; auto")


def add_depth(parser: Parser) -> None:
    """Add ``--depth``, None by default."""
    parser.add_argument(
        "--depth", type=int, metavar="N", help="depth of the images, 0 is the smallest (default: the deepest trained)"
    )


def add_label(parser: Parser) -> None:
    """Add ``--label``, which `labels_of` reads."""
    parser.add_argument(
        "--label",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="label of the samples; repeatable; others are random",
    )


def labels_of(words: Sequence[str]) -> dict[str, str]:
    """``pitch=60`` and so on, by their names.

    Raises:
        UserError: if a word is none of these, or a label is given twice.
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
