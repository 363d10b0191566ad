"""``pggan generate``: images, sounds, tunes, latent interpolations and sampler kits from a trained model."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from pggan_framework.cli.checkpoint_arguments import (
    add_depth,
    add_device,
    add_label,
    add_weights,
    checkpoint_parser,
    labels_of,
    load_model,
)
from pggan_framework.cli.outputs import bar, out_file, out_folder
from pggan_framework.cli.parser import Parser
from pggan_framework.errors import UserError
from pggan_framework.generate.seeds import MOST_SEEDS, parse_seeds, seeds_from
from pggan_framework.labels.maps import MAP, Map, MapSpace
from pggan_framework.runs.folders import find_checkpoint

if TYPE_CHECKING:
    from pggan_framework.generate.player import Player
    from pggan_framework.models.pretrained import Pretrained
    from pggan_framework.postprocessors.soundfiles import SoundFormat
    from pggan_framework.training.team import Team

EXAMPLES = """examples:
  pggan generate latest
  pggan generate results/007-piano --seeds 0-35,77 --format flac
  pggan generate results/003-notes --seed 3 --label pitch=60
  pggan generate results/009-fashion --seeds 0-5 --every folder
  pggan generate results/005-cats --count 50000 --out fakes.zip
  torchrun --standalone --nproc_per_node 2 -m pggan_framework generate results/005-cats --count 50000 --out all.zip
  pggan generate results/005-cats --seeds 0-63 --truncation 0.7 --depth 3 --only files
  pggan generate results/003-notes --play scale
  pggan generate results/012-avatars --maps drawn.png --seeds 0-7
  pggan generate results/003-notes --play tune.mid --voices channel
  pggan generate results/007-piano --interpolate 8 --seeds 1,5,2
  pggan generate results/005-cats --interpolate --seconds 10 --seeds 0-17 --walks 6 --video gif --loop
  pggan generate results/009-fashion --interpolate 20 --every folder=sandal,bag --video mp4 --fps 30
  pggan generate results/003-notes --kit
"""
MODES = ("play", "interpolate", "kit")
ZIP = ".zip"
BY_TIME = float("inf")
"""The value of ``--interpolate`` without a number; not an integer, so that users cannot type it."""
LEAST_TRUNCATION = 0.01
"""Lower limit of truncation: less than 1 % of a normal distribution is within it, i.e. over a hundred draws per
number."""
_FOR = {
    "seconds": ("play", "interpolate"),
    "voices": ("play",),
    "attack_ms": ("play", "kit"),
    "release_ms": ("play", "kit"),
    "layers": ("kit",),
    "loop": ("interpolate",),
    "walks": ("interpolate",),
    "own_labels": ("interpolate",),
    "video": ("interpolate",),
    "fps": ("interpolate",),
}
"""Flags used by some modes only."""
_SOUND = ("format", "no_fade", "griffin_lim_iter", "phase_start", "refine_iter")
"""Flags for models of sound."""
_LEAST = {
    "count": 1,
    "seed": 0,
    "walks": 1,
    "resolution": 1,
    "layers": 1,
    "griffin_lim_iter": 0,
    "refine_iter": 0,
    "attack_ms": 0,
    "release_ms": 0,
}


def run(argv: Sequence[str]) -> int:
    """Run ``pggan generate`` with its arguments.

    Returns:
        The exit status.

    Raises:
        UserError: if an argument is invalid; no files are left behind.
    """
    given = _parser().parse_args(list(argv))
    _check(given)
    seeds = _seeds(given)
    run_folder, checkpoint = find_checkpoint(given.model, Path(given.result_dir))
    from pggan_framework.cli.threads import share_cores

    share_cores()
    player = _player(given, checkpoint)
    if player.in_turn and given.seeds is None and given.count is None and given.interpolate is None:
        rows = player.model.label_rows
        seeds = list(range(seeds[0], seeds[0] + (0 if rows is None else len(rows))))
    if given.latents is not None:
        seeds = _stored_seeds(given, player, seeds)
    if len(seeds) * player.variants > MOST_SEEDS:
        raise UserError(f"{len(seeds) * player.variants} samples are requested; allowed: up to {MOST_SEEDS}")
    from pggan_framework.training.distributed import World
    from pggan_framework.training.team import Team

    team = Team(World.from_environment())
    if team.world.size > 1 and (mode := _mode(given)):
        raise UserError(f"--{mode} has a single output, but there are {team.world.size} processes; allowed: one")
    with team.together(), ExitStack() as stack:
        place = stack.enter_context(_target(given, run_folder)) if team.main else (Path(), Path())
        out, path = team.broadcast(place)
        said = _make(given, player, seeds, checkpoint, path, team)
        team.meet()
    if not team.main:
        return 0
    for line in said:
        print(line)
    print(f"written to {out}")
    return 0


@contextmanager
def _target(given: argparse.Namespace, run_folder: Path) -> Iterator[tuple[Path, Path]]:
    """Yield the folder or zip to create, and the temporary path to write to."""
    if given.out is not None and given.out.suffix == ZIP:
        with out_file(given.out) as (path,):
            yield given.out, path
    else:
        with out_folder(given.out, run_folder) as both:
            yield both


def _mode(given: argparse.Namespace) -> str:
    """Return the requested mode of `MODES`; empty for single samples."""
    return next((mode for mode in MODES if getattr(given, mode) not in (None, False)), "")


def _parser() -> Parser:
    what = "Images, sounds, tunes, latent interpolations and sampler kits from a trained model. Needs no training data."
    parser = checkpoint_parser("generate", what, EXAMPLES)
    add = parser.add_argument
    add("--out", type=Path, metavar="PATH", help="new folder or .zip (default: RUN/generated/000, 001 ...)")
    add("--seeds", metavar="LIST", help="seeds of the samples: numbers and ranges, such as 0-35,77")
    add(
        "--count",
        type=int,
        metavar="N",
        help="number of samples, starting at --seed (default: 16; 6 with --every; 2 or 1 with --interpolate)",
    )
    add("--seed", type=int, metavar="N", help="first seed; with --play, the seed of the instrument (default: 0)")
    add(
        "--latents",
        type=Path,
        metavar="FILE",
        help="latents.npz from pggan project; --seeds are indices into it (default: all)",
    )
    add_label(parser)
    add("--every", metavar="NAME", help="generate each seed with every value of a label; NAME=A,B for some values")
    add_weights(parser)
    add_depth(parser)
    add_device(parser)
    add(
        "--truncation",
        type=float,
        metavar="PSI",
        help="limit latents to -PSI..PSI, or scale styles towards their average (default: off)",
    )
    add("--only", choices=("files", "sheet"), help="write only the samples or only the grid; not available for .zip")
    add("--resolution", type=int, metavar="N", help="shorter side of grids and videos in pixels (default: 512)")
    add(
        "--maps",
        type=Path,
        metavar="PATH",
        help="label maps: an image or a folder, in the order of the seeds",
    )
    add("--play", metavar="WHAT", help="notes to play: scale (every pitch), major (C major) or a MIDI file")
    add(
        "--interpolate",
        type=int,
        nargs="?",
        const=BY_TIME,
        metavar="N",
        help="interpolate in N steps between seeds (default: 8, or from --seconds and --fps)",
    )
    add("--video", choices=("gif", "webp", "mp4"), help="--interpolate: also write an animation")
    add("--fps", type=float, metavar="N", help="--video: frames per second (default: 25)")
    add("--loop", action="store_true", help="--interpolate: return to the first seed, for looping")
    add(
        "--walks",
        type=int,
        metavar="N",
        help="--interpolate: divide the seeds among N paths, shown side by side (default: 1)",
    )
    add("--own_labels", action="store_true", help="--interpolate: also interpolate between the seeds' labels")
    add("--kit", action="store_true", help="write a sampler kit: one sound per key, and kit.sfz")
    add(
        "--seconds",
        type=float,
        metavar="S",
        help="duration in seconds of a note (default: 0.5, at most a clip) or of the interpolation",
    )
    add(
        "--voices",
        choices=("one", "channel"),
        help="--play: one latent for all notes, or one per MIDI channel (default: one)",
    )
    add("--attack_ms", type=float, metavar="MS", help="--play, --kit: fade-in of a note in milliseconds (default: 5)")
    add(
        "--release_ms",
        type=float,
        metavar="MS",
        help="--play, --kit: fade-out at key release in milliseconds (default: 150)",
    )
    add("--layers", type=int, metavar="N", help="--kit: largest number of velocity layers (default: 4)")
    add("--format", metavar="NAME", help="sounds: wav, flac, ogg (Opus) or mp3 (default: wav)")
    add("--no_fade", action="store_true", help="sounds: do not fade the ends, for clips that loop")
    add(
        "--griffin_lim_iter",
        type=int,
        metavar="N",
        help="Griffin-Lim iterations for images without phases (default: 32)",
    )
    add(
        "--phase_start",
        choices=("auto", "random", "pghi"),
        help="initial phases of the Griffin-Lim iterations (default: auto)",
    )
    add("--refine_iter", type=int, metavar="N", help="Griffin-Lim iterations for images with phases (default: 16)")
    return parser


def _check(given: argparse.Namespace) -> None:
    """Check flags that do not depend on files."""
    modes = [mode for mode in MODES if getattr(given, mode) not in (None, False)]
    if len(modes) > 1:
        raise UserError(f"--{' and --'.join(modes)} are given; allowed: one of them, or none for single samples")
    for flag, allowed in _FOR.items():
        if getattr(given, flag) not in (None, False) and not set(modes) & set(allowed):
            raise UserError(f"--{flag} is given without --{' or --'.join(allowed)}, the only flags that use it")
    for flag, least in _LEAST.items():
        number = getattr(given, flag)
        if number is not None and not least <= number < 2**32:
            raise UserError(f"--{flag} is {number}; allowed: {least} or more")
    if given.interpolate is not None and given.interpolate < 1:
        raise UserError(f"--interpolate is {given.interpolate}; allowed: 1 or more")
    if given.seconds is not None and not 0 < given.seconds <= 3600:
        raise UserError(f"--seconds is {given.seconds:g}; allowed: above 0, up to 3600")
    if given.seeds is not None and (given.count is not None or given.seed is not None):
        raise UserError("--seeds is given with --count or --seed; allowed: --seeds alone, or the other two")
    if given.truncation is not None and not LEAST_TRUNCATION <= given.truncation < float("inf"):
        raise UserError(f"--truncation is {given.truncation:g}; allowed: {LEAST_TRUNCATION:g} or more")
    for flag in ("truncation", "maps"):
        if given.latents is not None and getattr(given, flag) is not None:
            raise UserError(f"--{flag} is given with --latents, which has its own latents and label maps")
    if given.only is not None and modes:
        raise UserError(f"--only is given with --{modes[0]}, which has a single output; allowed: without it")
    if given.out is not None and given.out.suffix == ZIP and (modes or given.only):
        raise UserError(
            f"--out {given.out} is a zip, which holds single samples; allowed: a folder for --{[*modes, 'only'][0]}"
        )
    if given.play is not None and (given.seeds is not None or given.count is not None):
        raise UserError("--play plays one seed; allowed: --seed N")
    if given.every is not None:
        _check_every(given, modes)
    if given.fps is not None and given.video is None:
        raise UserError("--fps is given without --video, the only flag that uses it")
    if given.video is not None:
        from pggan_framework.postprocessors.moving import check_fps, check_moving

        check_moving(given.video, f"--video {given.video}")
        if given.fps is not None:
            check_fps(given.video, given.fps)


def _check_every(given: argparse.Namespace, modes: Sequence[str]) -> None:
    if modes and modes != ["interpolate"]:
        raise UserError(f"--every is given with --{modes[0]}, which chooses labels itself; omit it")
    for flag in ("walks", "own_labels"):
        if getattr(given, flag) not in (None, False):
            raise UserError(f"--{flag} is given with --every, which interpolates between the labels for each seed")


def _seeds(given: argparse.Namespace) -> list[int]:
    """Return the seeds of ``--seeds``, or of ``--count`` and ``--seed``; they are unique, except for interpolations."""
    walks = given.interpolate is not None
    if given.seeds is None:
        of_walks = 2 * (given.walks or 1) if given.every is None else 1
        of_samples = 16 if given.every is None else 6
        return seeds_from(given.seed or 0, given.count or (of_walks if walks else of_samples))
    seeds = parse_seeds(given.seeds)
    return seeds if walks else list(dict.fromkeys(seeds))


def _player(given: argparse.Namespace, checkpoint: Path) -> Player:
    """Load the model, and check that it supports the request."""
    labels = labels_of(given.label)
    from pggan_framework.generate import kit, player
    from pggan_framework.postprocessors.soundfiles import check_format

    model = load_model(given, checkpoint)
    asked = [f for f in (*_SOUND, "play", "kit") if getattr(given, f) not in (None, False)]
    if model.codec is None and asked:
        raise UserError(f"--{asked[0]} needs a model of sound; {checkpoint} makes images")
    if given.format is not None:
        check_format(given.format)
        if given.kit and given.format not in kit.FORMATS:
            raise UserError(f"--format {given.format} is given; allowed for a kit: {', '.join(kit.FORMATS)}")
    named = {name: getattr(given, name) for name in _SOUND[2:] if getattr(given, name) is not None}
    if given.no_fade:
        named["fade"] = False
    if given.latents is not None:
        from pggan_framework.generate.latents import StoredPlayer, read_latents

        return StoredPlayer(read_latents(given.latents), model, player.Decoding(**named), labels, given.every)
    maps = None if given.maps is None else _read_maps(given.maps, model)
    if maps is not None and MAP in labels:
        raise UserError(f"--label {MAP}={labels[MAP]} is given with --maps, which sets the maps; omit one")
    model = model if maps is None else model.with_maps(maps)
    return player.Player(
        model, player.Decoding(**named), labels, maps is not None, model.truncate(given.truncation), given.every
    )


def _stored_seeds(given: argparse.Namespace, player: Player, seeds: list[int]) -> list[int]:
    """Return the indices of the selected latents in a file (default: all)."""
    from pggan_framework.generate.latents import StoredPlayer

    assert isinstance(player, StoredPlayer)
    return player.seeds(None if {given.seeds, given.count, given.seed, given.play} == {None} else seeds)


def _read_maps(path: Path, model: Pretrained) -> Map:
    """Read the maps in a file or a folder, in the size and classes of the model."""
    from pggan_framework.data.images.map_files import read_maps

    space = model.label_space
    if not isinstance(space, MapSpace):
        raise UserError("--maps needs a model that draws label maps; this one was trained on none")
    height, width = space.size
    return read_maps(path, (height, width), [entry.colour for entry in space.classes], "--maps")


def _make(
    given: argparse.Namespace, player: Player, seeds: list[int], checkpoint: Path, folder: Path, team: Team
) -> list[str]:
    """Write the requested output to `folder`, or to this path as a zip; returns lines to print."""
    from pggan_framework.generate import kit, samples, tune, walks
    from pggan_framework.generate.archive import write_archive
    from pggan_framework.generate.render import Touch

    form: SoundFormat = given.format or "wav"
    progress = bar("samples") if team.main else None
    if given.out is not None and given.out.suffix == ZIP:
        return [write_archive(player, seeds, folder, form, progress, team)]
    resolution = given.resolution or samples.RESOLUTION
    named = {name: getattr(given, name) for name in ("attack_ms", "release_ms") if getattr(given, name) is not None}
    touch = Touch(**named)
    if given.play is not None:
        by_channel = given.voices == "channel"
        clips = bar("clips")
        return tune.write_tune(player, given.play, seeds[0], folder, given.seconds, by_channel, touch, form, clips)
    if given.interpolate is not None:
        way = walks.Way(
            None if given.interpolate == BY_TIME else given.interpolate,
            given.seconds,
            given.loop,
            given.walks or 1,
            given.own_labels,
            given.video,
            given.fps,
            resolution,
        )
        return [walks.write_walk(player, seeds, way, folder, form, bar("steps"))]
    if given.kit:
        if given.seeds is None and given.count is None:
            seeds = seeds[:1] if player.numbers("pitch") else seeds
        if player.numbers("pitch") and len(seeds) > 1:
            raise UserError(f"{len(seeds)} seeds are given; a kit of a model conditioned on pitch has one: --seed N")
        title = f"Made by pggan generate from {checkpoint.name}, seed {seeds[0]}"
        return [kit.make_kit(player, seeds, folder, title, given.layers or 4, form, touch, progress)]
    return [samples.write_samples(player, seeds, folder, form, progress, given.only, resolution, team)]
