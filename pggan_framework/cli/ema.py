"""``pggan ema RUN``: compute the EMA generator of a different length, after training."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pggan_framework.cli.checkpoint_arguments import add_plugin_dirs, checkpoint_parser, load_plugins
from pggan_framework.cli.parser import Parser
from pggan_framework.errors import UserError
from pggan_framework.runs.folders import find_checkpoint

if TYPE_CHECKING:
    from pggan_framework.data.base import DepthDataset
    from pggan_framework.models.pretrained import Pretrained

EXAMPLES = """examples:
  pggan ema latest --length 0.1
  pggan ema results/005-cats --length 0.02,0.05,0.1,0.2
"""


def run(argv: Sequence[str]) -> int:
    """Run ``pggan ema`` with its arguments; returns the exit status.

    Raises:
        UserError: if the run has stored no averages, or a length is outside its limits.
    """
    given = _parser().parse_args(list(argv))
    lengths = _lengths(given.length)
    folder, checkpoint = find_checkpoint(given.model, Path(given.result_dir))
    load_plugins(given)
    from pggan_framework.cli.evaluate import data_of
    from pggan_framework.models.averages import stored_averages, with_length
    from pggan_framework.models.pretrained import load_generator
    from pggan_framework.training.checkpoint import load_checkpoint, save_checkpoint

    state = load_checkpoint(checkpoint)
    stored = stored_averages(checkpoint.parent, state["nimg"])
    made = {length: with_length(state, stored, length) for length in lengths}
    chosen = lengths[0]
    if len(lengths) > 1:
        trained = load_generator(checkpoint)
        dataset = data_of(trained, given.data, given.plugin_dirs)
        found = {"run's": _distance(trained, dataset, given.count)}
        for length, changed in made.items():
            trained.generator.load_state_dict(changed["ema"])
            found[f"{length:g}"] = _distance(trained, dataset, given.count)
        print("length  swd")
        for name, distance in found.items():
            print(f"{name:<6}  {distance:.2f}")
        chosen = min(lengths, key=lambda length: found[f"{length:g}"])
    path = Path(given.out) if given.out else checkpoint.parent / f"network-ema-{chosen:g}.pt"
    if path.exists() and path.samefile(checkpoint):
        raise UserError(f"--out {path} is the run's own checkpoint; allowed: another file")
    save_checkpoint(path, {name: value for name, value in made[chosen].items() if name not in ("format", "version")})
    print(f"{path}: EMA of length {chosen:g}, made of {len(stored)} stored ones at {state['nimg'] / 1000:g} kimg")
    return 0


def _lengths(text: str) -> list[float]:
    """Parse the numbers of ``--length``.

    Raises:
        UserError: if a value is not a number, or is outside 0 to 0.288.
    """
    try:
        lengths = [float(part) for part in text.split(",")]
    except ValueError:
        lengths = []
    if not lengths or not all(0 < length < 12**-0.5 for length in lengths):
        raise UserError(f"--length {text} is given; allowed: numbers above 0 and below 0.288, as 0.1 or 0.05,0.1")
    return list(dict.fromkeys(lengths))


def _distance(trained: Pretrained, dataset: DepthDataset, count: int) -> float:
    """Return the mean sliced Wasserstein distance x 1e3 of images or spectrograms to the data, at the model's depth.

    Raises:
        UserError: if the images are smaller than 16 pixels.
    """
    import numpy as np

    from pggan_framework.metrics import sliced_wasserstein

    count = min(count, len(dataset))
    order = np.random.default_rng(0).permutation(len(dataset))[:count].tolist()
    reals = dataset.images(order, trained.generator.depth).astype(np.float32)
    (low, high), (first, last) = dataset.range_in, trained.range_out
    fakes = trained.generate(trained.latents(count), trained.draw_labels(count))
    sides = (reals - low) / (high - low), (fakes - first) / (last - first)
    real, fake = (np.rint(np.clip(255 * side, 0, 255)).astype(np.uint8) for side in sides)
    return float(sliced_wasserstein(real, fake).average)


def _parser() -> Parser:
    parser = checkpoint_parser(
        "ema",
        "Compute an EMA generator of another length from the averages stored by a run with --plugins PowerEMA,\n"
        "and write it as a checkpoint. If several lengths are given, write the one with the smallest SWD.",
        EXAMPLES,
    )
    add_plugin_dirs(parser)
    add = parser.add_argument
    add(
        "--length",
        default="0.1",
        metavar="L,...",
        help="standard deviation of the averaging profile, as a fraction of the training (default: 0.1)",
    )
    add("--out", metavar="FILE", help="checkpoint to write (default: network-ema-L.pt in the run's folder)")
    add(
        "--count",
        type=int,
        default=1000,
        metavar="N",
        help="number of samples and of reals, if several lengths are compared (default: 1000)",
    )
    add("--data", type=Path, metavar="PATH", help="new location of the data, if they were moved")
    return parser
