"""What the commands that start from a trained model share: RUN, which generator, which labels."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from pggan_framework.cli.parser import Parser
from pggan_framework.config.discovery import load_plugin_dirs
from pggan_framework.errors import UserError

RUN = "a run's folder (its best checkpoint), a checkpoint, an exported model, or latest"


class _LoadPlugins(argparse.Action):
    """Loads the folders at once: a checkpoint that names one is not believed, the command line is."""

    def __call__(
        self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: Any, option: str | None = None
    ) -> None:
        load_plugin_dirs(values.split(","))


def checkpoint_parser(name: str, description: str, examples: str, what: str = RUN, metavar: str = "RUN") -> Parser:
    """The parser of ``pggan NAME RUN ...``, whose help ends with examples.

    Args:
        name: the command.
        description: what it does.
        examples: the end of its help.
        what: the help of RUN; the word's value is ``model``.
        metavar: what RUN is called.
    """
    parser = Parser(
        prog=f"pggan {name}",
        description=description,
        epilog=examples,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("model", metavar=metavar, help=what)
    parser.add_argument("--result_dir", default="results", metavar="DIR", help="where latest looks; results")
    parser.add_argument(
        "--plugin_dirs", action=_LoadPlugins, metavar="DIR,...", help="folders of your code that the model needs"
    )
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    return parser


def add_weights(parser: Parser) -> None:
    """Add ``--weights``, which of a checkpoint's generators is meant; None by default."""
    parser.add_argument(
        "--weights",
        choices=("ema", "raw"),
        help="the averaged generator, or the one that was trained; ema",
    )


def add_depth(parser: Parser) -> None:
    """Add ``--depth``, None by default."""
    parser.add_argument(
        "--depth", type=int, metavar="N", help="make pictures of this depth, 0 the smallest; the deepest trained"
    )


def add_label(parser: Parser) -> None:
    """Add ``--label``, which `labels_of` reads."""
    parser.add_argument(
        "--label",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="may be given again, for each label; others are drawn by the seed",
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
