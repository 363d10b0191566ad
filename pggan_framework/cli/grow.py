"""``pggan grow RUN --to ...``: continue training a model with different sizes, labels or widths."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pggan_framework.errors import UserError

if TYPE_CHECKING:
    from pggan_framework.planning.targets import Facts

DESCRIPTION = """Start a new run from a trained model: with larger or smaller images, other labels, wider layers, colour
or stereo, another sample rate, clip length or transform. A table shows how each layer was initialized."""
EXAMPLES = """targets of --to, one or several:
  size=64            images: height and width
  rate=16000         sounds: sample rate, Hz; 1 kHz keeps its row
  seconds=2          sounds: clip length
  bins=256 hop=64 n_fft=1024 frames=256 mode=mellog
                     sounds: rows, samples per column, window, columns, codec of the same family
  labels=pitch       labels to condition on; labels=none removes them
  channels=stereo    or channels=mono; images: grey, colour, opacity
  width=2            factor of the number of feature maps
  Owner.parameter=x  any other flag

All training flags are accepted.

examples:
  pggan grow results/005-cats --to size=64 --minutes 30
  pggan grow results/007-piano --to rate=16000 labels=pitch --total_kimg 200
  pggan grow results/007-piano --to width=2 --dry_run
"""


def run(argv: Sequence[str]) -> int:
    """Grow and train; returns the exit status.

    Raises:
        UserError: if the model, a target or a flag cannot be used.
    """
    called = time.monotonic()
    own, rest = _parser().parse_known_args(list(argv))
    to = targets(own.to)
    from pggan_framework.cli.threads import share_cores
    from pggan_framework.config import resolve
    from pggan_framework.planning.targets import grown

    share_cores()
    result_dir = rest[rest.index("--result_dir") + 1] if "--result_dir" in rest[:-1] else "results"
    config = resolve(rest, base=grown(facts_of(own.model, Path(result_dir)), to))
    if config.general.dry_run:
        from pggan_framework.launch.dry_run import dry_run

        return dry_run(config, time.monotonic() - called)
    from pggan_framework.launch.start import run_config

    result = run_config(config, time.monotonic() - called)
    for what, path in result.files.items():
        print(f"{what:<9} {path}")
    return result.exit_status


def targets(words: Sequence[str]) -> dict[str, Any]:
    """Parse words such as ``a=1 b=2``; return values by name.

    Raises:
        UserError: if a word has no value.
    """
    from pggan_framework.config.text import load_value

    to: dict[str, Any] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or not name:
            raise UserError(f"--to {word} is given; allowed: name=value, such as size=64")
        to[name] = [load_value(part) for part in value.split(",")] if "," in value else load_value(value)
    return to


def facts_of(model: str, result_dir: Path) -> Facts:
    """Read the properties of a source model that the plan of a run needs.

    Args:
        model: run folder, checkpoint, or latest.
        result_dir: folder that latest searches.

    Raises:
        UserError: if the model does not exist, or is an exported model, which has no discriminator.
    """
    from pggan_framework.models.growing.source import read_source
    from pggan_framework.planning.targets import Facts
    from pggan_framework.runs.folders import find_checkpoint

    _, path = find_checkpoint(model, result_dir)
    if path.suffix != ".pt":
        raise UserError(f"{path} has no discriminator; allowed: a run's folder or a checkpoint, network-snapshot-*.pt")
    source = read_source(path)
    return Facts(source.state["config"], source.generator.growth, source.codec, source.progress, str(path))


def _parser() -> argparse.ArgumentParser:
    from pggan_framework.cli.parser import Parser

    parser = Parser("grow", DESCRIPTION, EXAMPLES)
    add = parser.add_argument
    add("model", metavar="RUN", help="a run's folder (its best checkpoint), a checkpoint, or latest")
    add(
        "--to",
        nargs="+",
        action="extend",
        required=True,
        metavar="name=value",
        help="properties to change, listed below",
    )
    return parser
