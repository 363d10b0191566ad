"""Which draws better images: a plain PGGAN, or ours with half the training time?

    python benchmarks/race.py --seconds 240 --seeds 3
    OMP_NUM_THREADS=1 python benchmarks/race.py --seconds 60 --seeds 2 --clock processor --only ours
    python benchmarks/race.py --seconds 300 --share 1 --only ours fastgan stylegan2 r3gan

Both are trained on the same 3,000 cats at 32 px (`pggan prepare cats datasets/cats --count 3000 --size 64`, or any
folder of images) with fmap_base 512, fmap_max 64 and latent size 64. Both divide their time in the same way: 0.6 parts
at 4 px, then 0.5 parts for the fade and 0.8 parts after it at 8 px, and twice as much at each further size. The plain
PGGAN is `benchmarks/contestants/plain.py`: eager, Adam at 2e-3, batches of 16, faded reals, and an EMA with a half-life
of 3 kimg. Ours is ``python train.py --config configs/short.yaml``, including log, samples and checkpoint; it gets the
fraction `--share` of the time of the plain PGGAN. Both times start at the first step and exclude imports and the
reading of images. Each training runs in a separate process, and its results are stored in `--out`; stored trainings are
not repeated.

The script prints the machine, the images shown at each size, and the sliced Wasserstein distance of 1,500 samples to
1,500 images by level, with the distance of 1,500 other images (the baseline). Samples are from the EMA generator;
samples of the raw generator follow as "raw", since a short training may end before an EMA with a fixed half-life has
caught up. Sample grids show samples of all seeds.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

HERE = Path(__file__).parent
if str(HERE.parent) not in sys.path:
    sys.path.insert(0, str(HERE.parent))

from benchmarks.contestants.plain import Training  # noqa: E402  -- it is found only now
from benchmarks.end_to_end import plugin  # noqa: E402
from benchmarks.machine import machine_facts  # noqa: E402
from pggan_framework import run  # noqa: E402
from pggan_framework.data.base import Pixels  # noqa: E402
from pggan_framework.data.datasets.images import DefaultImageFolderDataset  # noqa: E402
from pggan_framework.metrics import sliced_wasserstein  # noqa: E402
from pggan_framework.models.pretrained import load_generator  # noqa: E402
from pggan_framework.plugins.depth import DepthManager  # noqa: E402
from pggan_framework.postprocessors.picture import enlarge, picture_tiles, save_png, sheet, to_uint8  # noqa: E402
from pggan_framework.runs.folders import snapshots  # noqa: E402
from pggan_framework.schedules.plan import Plan, Stage, linear_fade  # noqa: E402
from pggan_framework.training.plugin import Plugin  # noqa: E402

Trained = tuple[dict[int, int], float, NDArray[np.float32], NDArray[np.float32]]
"""Images shown by depth, seconds, and samples of the EMA generator and of the one that was trained."""
FIRST, FADE, STABLE = 0.6, 0.5, 0.8
"""Parts of the time: at 4 px, and at 8 px while fading in and after it; each further size takes twice the time."""
SHORT = HERE.parent / "configs" / "short.yaml"
RECIPES: dict[str, dict[str, Any]] = {
    "ours": {},
    "fastgan": {"Generator.excitation": 2, "Discriminator.decoders": True, "penalties": ["R1", "SelfSupervision"]},
    "stylegan2": {
        "generator": "StyleGAN2Generator",
        "discriminator": "StyleGAN2Discriminator",
        "StyleGAN2Generator.mapping_layers": 4,
        "penalties": ["R1", "PathLength"],
    },
    "projected": {"discriminator": "ProjectedDiscriminator", "ProjectedDiscriminator.size": 64, "loss": "HingeGAN"},
    "r3gan": {"generator": "R3GANGenerator", "discriminator": "R3GANDiscriminator"},
}
"""Config values that each contestant but plain changes; r3gan has a separate config."""
CLOCKS: dict[str, Callable[[], float]] = {"wall": time.perf_counter, "processor": time.process_time}
SEED = 1000
"""Of the latents and of the choice of images, next to each training's own."""


def main() -> None:
    """Train, measure, print."""
    given = _parser().parse_args()
    torch.set_num_threads(given.threads)
    if given.child:
        way, seed = given.child.split(",")
        train(way, int(seed), given)
        return
    machine = {
        **machine_facts(given.threads),
        "clock": given.clock,
        "setting": f"fmap_base {given.fmap_base}, fmap_max {given.fmap_max}, latent {given.latent}, {given.side} px",
    }
    print("; ".join(f"{name} {value}" for name, value in machine.items()))
    given.out.mkdir(parents=True, exist_ok=True)
    dataset = pictures(given)
    order = np.random.default_rng(SEED).permutation(len(dataset))
    half = len(order) // 2
    count = min(given.samples, half)
    full = dataset.growth.max_depth
    real, other = (dataset.images(part.tolist(), full) for part in (order[:count], order[half : half + count]))
    floor = dict(sliced_wasserstein(real, other))
    print(f"{len(dataset)} images; {count} samples a side; plain has {given.seconds:g} s,"
          f" ours {given.seconds * given.share:g} s")  # fmt: skip
    print(_line("", "seed", "seconds", *(f"{side} px" for side in floor), "images shown at each size"))
    print(_line("reals", "", "", *(f"{value:.1f}" for value in floor.values()), ""), flush=True)
    rows = []
    for seed in range(given.seeds):
        for way in given.only:
            found = trained(way, seed, given)
            with np.load(_file(given, way, seed).with_suffix(".npz")) as stored:
                found["swd"], found["raw"] = (
                    dict(sliced_wasserstein(real, stored[name][:count])) for name in ("samples", "raw")
                )
            rows.append({"name": way, "seed": seed, **found})
            shown = " ".join(f"{4 * 2 ** int(depth)}: {images / 1000:.1f}k" for depth, images in found["shown"].items())
            print(_line(way, seed, f"{found['seconds']:.1f}", *(f"{v:.1f}" for v in found["swd"].values()), shown),
                  flush=True)  # fmt: skip
            print(_line("", "raw", "", *(f"{v:.1f}" for v in found["raw"].values()), ""), flush=True)
    means = {}
    for way in given.only:
        own = [row["swd"] for row in rows if row["name"] == way]
        means[way] = {side: mean(swd[side] for swd in own) for side in floor}
        print(_line(way, "mean", "", *(f"{value:.1f}" for value in means[way].values()), ""))
        draw(way, given)
    if len(means) == 2:
        ratios = [means["plain"][side] / means["ours"][side] for side in floor]
        print(_line("ratio", "", "", *(f"{ratio:.2f}" for ratio in ratios), "plain over ours: above 1 is ours better"))
    if given.json:
        report = {**machine, "seconds": given.seconds, "share": given.share, "floor": floor, "means": means}
        given.json.write_text(json.dumps({**report, "rows": rows}, indent=1) + "\n", encoding="utf-8")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--data", type=Path, default=Path("datasets/cats"), help="folder of images (default: %(default)s)"
    )
    parser.add_argument("--side", type=int, default=32, help="side of the images in pixels (default: %(default)s)")
    parser.add_argument(
        "--seconds", type=float, default=240, help="training time of the plain PGGAN in seconds (default: %(default)s)"
    )
    parser.add_argument(
        "--share",
        type=float,
        default=0.5,
        help="training time of ours as a fraction of --seconds (default: %(default)s)",
    )
    parser.add_argument(
        "--seeds", type=int, default=3, help="number of trainings per contestant (default: %(default)s)"
    )
    parser.add_argument("--only", nargs="+", default=["plain", "ours"], choices=["plain", *RECIPES], help="contestants")
    parser.add_argument("--config", type=Path, default=SHORT, help="configuration of ours (default: %(default)s)")
    parser.add_argument(
        "--clock",
        choices=list(CLOCKS),
        default="wall",
        help="clock; processor suits a busy machine (default: %(default)s)",
    )
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument(
        "--samples", type=int, default=1500, help="number of measured samples per side (default: %(default)s)"
    )
    parser.add_argument("--fmap_base", type=int, default=512)
    parser.add_argument("--fmap_max", type=int, default=64)
    parser.add_argument("--latent", type=int, default=64)
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("results/race"),
        help="folder for runs, samples and grids (default: %(default)s)",
    )
    parser.add_argument("--json", type=Path, help="JSON file for the values")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    return parser


def _line(name: str, seed: object, seconds: str, *rest: str) -> str:
    return f"{name:<8}{seed!s:>5}{seconds:>9}" + "".join(f"{value:>8}" for value in rest[:-1]) + f"   {rest[-1]}"


def pictures(given: argparse.Namespace) -> DefaultImageFolderDataset:
    """Return the reals at every size."""
    return DefaultImageFolderDataset(given.data, preload=True, size=given.side, resize="stretch")


def _file(given: argparse.Namespace, way: str, seed: int) -> Path:
    """Return the file for the results of a training; each setting has its own file."""
    seconds = given.seconds * (1 if way == "plain" else given.share)
    words = [way, seconds, given.clock, given.side, given.fmap_base, given.fmap_max, given.latent, seed]
    out: Path = given.out
    return out / "-".join(f"{word:g}" if isinstance(word, float) else str(word) for word in words)


def trained(way: str, seed: int, given: argparse.Namespace) -> dict[str, Any]:
    """Return images shown and seconds of a training; if it is not stored yet, it is trained in a separate process."""
    file = _file(given, way, seed).with_suffix(".json")
    if not file.exists():
        words = [sys.executable, __file__, *sys.argv[1:], "--child", f"{way},{seed}"]
        environment = {**os.environ, "OMP_NUM_THREADS": str(given.threads)}
        subprocess.run(words, check=True, env=environment, stdout=subprocess.DEVNULL)
    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return found


def train(way: str, seed: int, given: argparse.Namespace) -> None:
    """Train in this process, and store samples and values."""
    now = CLOCKS[given.clock]
    file = _file(given, way, seed)
    if way == "plain":
        shown, seconds, samples, raw = train_plain(given, seed, now)
    else:
        shown, seconds, samples, raw = train_ours(way, given, seed, now, file)
    np.savez(file.with_suffix(".npz"), samples=to_uint8(samples), raw=to_uint8(raw))
    file.with_suffix(".json").write_text(json.dumps({"shown": shown, "seconds": seconds}), encoding="utf-8")


def shares(depths: int) -> list[float]:
    """Return the relative time of each depth."""
    return [FIRST, *((FADE + STABLE) * 2**depth for depth in range(depths - 1))]


def train_plain(given: argparse.Namespace, seed: int, now: Callable[[], float]) -> Trained:
    """Train the plain contestant."""
    batch, half_life = 16, 3000
    dataset = pictures(given)
    levels: Sequence[Pixels] = dataset.pyramid(range(len(dataset)))
    parts = shares(len(levels))
    lengths = [given.seconds * part / sum(parts) for part in parts]
    plan = Plan([Stage(length, linear_fade(length * FADE / (FADE + STABLE))) for length in lengths])
    torch.manual_seed(seed)
    random = np.random.default_rng(seed)
    training = Training(given.side, given.fmap_base, given.fmap_max, given.latent, 2e-3, 0.5 ** (batch / half_life))
    shown = dict.fromkeys(range(len(levels)), 0)
    start = now()
    while (gone := now() - start) < given.seconds:
        depth, alpha = plan.at(gone)
        reals = torch.from_numpy(levels[depth][random.integers(0, len(dataset), batch)])
        training.step(reals.float() / 127.5 - 1, alpha)
        shown[depth] += batch
    latents = torch.randn(given.samples, given.latent, generator=torch.Generator().manual_seed(SEED))
    with torch.no_grad():
        return shown, gone, training.average(latents, 1.0).numpy(), training.G(latents, 1.0).numpy()


def train_ours(way: str, given: argparse.Namespace, seed: int, now: Callable[[], float], folder: Path) -> Trained:
    """Train a run of `train.py` with the config and the changes of the contestant."""
    read: list[float] = []

    def noted() -> float:
        read.append(now())
        return read[-1]

    DepthManager.now = noted  # first read at the first step, last for the checkpoint
    flags: dict[str, Any] = {
        "DefaultImageFolderDataset.dir_path": str(given.data),
        "DefaultImageFolderDataset.size": given.side,
        "random_seed": seed,
        "WallClockSchedule.minutes": given.seconds * given.share / 60,
        "WallClockSchedule.min_steps": 0,
        "QualityMonitor.every_ticks": 0,
        "result_dir": str(folder),
    }
    flags |= RECIPES[way]
    networks = [flags.get(kind, kind.title()) for kind in ("generator", "discriminator")]
    for network in networks:
        if network != "ProjectedDiscriminator":  # it is as wide as the pretrained network needs
            flags |= {f"{network}.fmap_base": given.fmap_base, f"{network}.fmap_max": given.fmap_max}
    flags[f"{networks[0]}.latent_size"] = given.latent
    config = SHORT.with_name("r3gan.yaml") if way == "r3gan" else given.config
    shown: dict[int, int] = {}

    def count(hook: Plugin) -> None:
        depth = hook.trainer.depth
        shown[depth] = shown.get(depth, 0) + hook.trainer.minibatch_size

    with plugin(count) as name:
        result = run(config, {**flags, "plugins": [name]})
    averaged, raw = (load_generator(snapshots(result.path)[-1], weights) for weights in ("ema", "raw"))
    latents = averaged.latents(given.samples, SEED)
    return shown, read[-1] - read[0], averaged.generate(latents), raw.generate(latents)


def draw(way: str, given: argparse.Namespace, columns: int = 16) -> None:
    """Draw a sample grid with a row of samples for each seed."""
    rows = []
    for seed in range(given.seeds):
        with np.load(_file(given, way, seed).with_suffix(".npz")) as stored:
            rows.append(stored["samples"][:columns])
    tiles = picture_tiles(enlarge(np.concatenate(rows), (2, 2)))
    save_png(sheet(tiles, (len(rows), len(rows[0]))), given.out / f"race-{way}.png")


if __name__ == "__main__":
    main()
