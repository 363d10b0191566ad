"""``pggan generate``: pictures, sounds, tunes, walks and sampler kits from a trained model."""

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
  pggan generate results/005-cats --seeds 0-63 --truncation 0.7 --depth 3 --only sheet
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
"""What ``--interpolate`` alone stands for: no whole number, so that nobody can give it."""
LEAST_TRUNCATION = 0.01
"""Of a normal distribution less than a hundredth lies within it: each number is drawn over a hundred times."""
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
"""Flags that only some modes read."""
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
    """Run ``pggan generate`` with the words that follow it.

    Returns:
        The exit status.

    Raises:
        UserError: if something given is not usable; nothing is left behind then.
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
        raise UserError(f"{len(seeds) * player.variants} samples are asked for; allowed: up to {MOST_SEEDS}")
    from pggan_framework.training.distributed import World
    from pggan_framework.training.team import Team

    team = Team(World.from_environment())
    if team.world.size > 1 and (mode := _mode(given)):
        raise UserError(f"--{mode} makes one thing, and {team.world.size} processes are there; allowed: one process")
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
    """The folder or zip that is made, and the one to write to until all is written."""
    if given.out is not None and given.out.suffix == ZIP:
        with out_file(given.out) as (path,):
            yield given.out, path
    else:
        with out_folder(given.out, run_folder) as both:
            yield both


def _mode(given: argparse.Namespace) -> str:
    """Which of `MODES` is asked for; empty for single samples."""
    return next((mode for mode in MODES if getattr(given, mode) not in (None, False)), "")


def _parser() -> Parser:
    what = "Pictures, sounds, tunes, walks and sampler kits from a trained model. Needs no training data."
    parser = checkpoint_parser("generate", what, EXAMPLES)
    add = parser.add_argument
    add("--out", type=Path, metavar="PATH", help="a new folder or .zip; RUN/generated/000, 001 ... by default")
    add("--seeds", metavar="LIST", help="which samples: numbers and ranges, 0-35,77")
    add(
        "--count",
        type=int,
        metavar="N",
        help="or how many, from --seed on; 16 (6 for --every; for --interpolate 2 a walk, 1 with --every)",
    )
    add("--seed", type=int, metavar="N", help="the first of them, or the one that plays; 0")
    add("--latents", type=Path, metavar="FILE", help="latents.npz of pggan project: seed 0 is the first of it; all")
    add_label(parser)
    add("--every", metavar="NAME", help="each seed with every value of a label, or with some: NAME=A,B")
    add_weights(parser)
    add_depth(parser)
    add_device(parser)
    add(
        "--truncation",
        type=float,
        metavar="PSI",
        help="draw each number of a latent that lies beyond -PSI or PSI again: less variety; off",
    )
    add("--only", choices=("files", "sheet"), help="leave the sheet out, or all else; a zip has none")
    add("--resolution", type=int, metavar="N", help="pixels of the shorter side of sheets and videos, about; 512")
    add(
        "--maps",
        type=Path,
        metavar="PATH",
        help="label maps to draw, a picture or a folder: seed 0 the first, 1 the next",
    )
    add("--play", metavar="WHAT", help="scale (every pitch), major (those in C major) or a MIDI file")
    add(
        "--interpolate",
        type=int,
        nargs="?",
        const=BY_TIME,
        metavar="N",
        help="walk from seed to seed in N steps each; 8, or what --seconds and --fps of a video make",
    )
    add("--video", choices=("gif", "webp", "mp4"), help="--interpolate: a moving picture, too")
    add("--fps", type=float, metavar="N", help="--video: frames a second; 25")
    add("--loop", action="store_true", help="--interpolate: back to the first seed, so that it can be repeated")
    add("--walks", type=int, metavar="N", help="--interpolate: N walks side by side, which share the seeds; 1")
    add("--own_labels", action="store_true", help="--interpolate: from each seed's label to the next's, too")
    add("--kit", action="store_true", help="a sampler kit: a sound a key, and kit.sfz")
    add("--seconds", type=float, metavar="S", help="of a note of the scale, 0.5 or a clip's; of a whole walk")
    add("--voices", choices=("one", "channel"), help="--play: one latent, or one a MIDI channel; one")
    add("--attack_ms", type=float, metavar="MS", help="--play, --kit: fade-in of a note; 5")
    add("--release_ms", type=float, metavar="MS", help="--play, --kit: fade-out when the key is up; 150")
    add("--layers", type=int, metavar="N", help="--kit: most velocity layers; 4")
    add("--format", metavar="NAME", help="of sounds: wav, flac, ogg (Opus), mp3; wav")
    add("--no_fade", action="store_true", help="of sounds: keep both ends as generated, for clips that loop")
    add("--griffin_lim_iter", type=int, metavar="N", help="steps in search of phases, where pictures hold none; 32")
    add("--phase_start", choices=("auto", "random", "pghi"), help="what that search starts from; auto")
    add("--refine_iter", type=int, metavar="N", help="steps from the phases that pictures hold; 16")
    return parser


def _check(given: argparse.Namespace) -> None:
    """What can be refused before anything is read."""
    modes = [mode for mode in MODES if getattr(given, mode) not in (None, False)]
    if len(modes) > 1:
        raise UserError(f"--{' and --'.join(modes)} are given; allowed: one of them, or none for single samples")
    for flag, allowed in _FOR.items():
        if getattr(given, flag) not in (None, False) and not set(modes) & set(allowed):
            raise UserError(f"--{flag} is given without --{' or --'.join(allowed)}, which alone read it")
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
            raise UserError(f"--{flag} is given with --latents, which has latents and label maps of its own")
    if given.only is not None and modes:
        raise UserError(f"--only is given with --{modes[0]}, which makes one thing; allowed: without it")
    if given.out is not None and given.out.suffix == ZIP and (modes or given.only):
        raise UserError(
            f"--out {given.out} is a zip, which holds single samples; allowed: a folder for --{[*modes, 'only'][0]}"
        )
    if given.play is not None and (given.seeds is not None or given.count is not None):
        raise UserError("--play plays one seed; allowed: --seed N")
    if given.every is not None:
        _check_every(given, modes)
    if given.fps is not None and given.video is None:
        raise UserError("--fps is given without --video, which alone reads it")
    if given.video is not None:
        from pggan_framework.postprocessors.moving import check_fps, check_moving

        check_moving(given.video, f"--video {given.video}")
        if given.fps is not None:
            check_fps(given.video, given.fps)


def _check_every(given: argparse.Namespace, modes: Sequence[str]) -> None:
    if modes and modes != ["interpolate"]:
        raise UserError(f"--every is given with --{modes[0]}, which chooses labels itself; leave it out")
    for flag in ("walks", "own_labels"):
        if getattr(given, flag) not in (None, False):
            raise UserError(f"--{flag} is given with --every, which makes a walk through the labels for each seed")


def _seeds(given: argparse.Namespace) -> list[int]:
    """The seeds that ``--seeds``, or ``--count`` and ``--seed``, mean; each once, but for a walk's."""
    walks = given.interpolate is not None
    if given.seeds is None:
        of_walks = 2 * (given.walks or 1) if given.every is None else 1
        of_samples = 16 if given.every is None else 6
        return seeds_from(given.seed or 0, given.count or (of_walks if walks else of_samples))
    seeds = parse_seeds(given.seeds)
    return seeds if walks else list(dict.fromkeys(seeds))


def _player(given: argparse.Namespace, checkpoint: Path) -> Player:
    """The model, once it is known that it can do what is asked."""
    labels = labels_of(given.label)
    from pggan_framework.generate import kit, player
    from pggan_framework.postprocessors.soundfiles import check_format

    model = load_model(given, checkpoint)
    asked = [f for f in (*_SOUND, "play", "kit") if getattr(given, f) not in (None, False)]
    if model.codec is None and asked:
        raise UserError(f"--{asked[0]} needs a model of sound; {checkpoint} makes pictures")
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
        raise UserError(f"--label {MAP}={labels[MAP]} is given with --maps, which has maps of its own; leave one out")
    model = model if maps is None else model.with_maps(maps)
    return player.Player(model, player.Decoding(**named), labels, maps is not None, given.truncation, given.every)


def _stored_seeds(given: argparse.Namespace, player: Player, seeds: list[int]) -> list[int]:
    """Which of the latents in a file are meant, all where nothing is said."""
    from pggan_framework.generate.latents import StoredPlayer

    assert isinstance(player, StoredPlayer)
    return player.seeds(None if {given.seeds, given.count, given.seed, given.play} == {None} else seeds)


def _read_maps(path: Path, model: Pretrained) -> Map:
    """The maps in a file or a folder, of the model's size and classes."""
    from pggan_framework.data.images.map_files import read_maps

    space = model.label_space
    if not isinstance(space, MapSpace):
        raise UserError("--maps needs a model that draws label maps; this one was trained on none")
    height, width = space.size
    return read_maps(path, (height, width), [entry.colour for entry in space.classes], "--maps")


def _make(
    given: argparse.Namespace, player: Player, seeds: list[int], checkpoint: Path, folder: Path, team: Team
) -> list[str]:
    """Write what is asked for into `folder`, or to this path as a zip; returns what to say of it."""
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
            raise UserError(f"{len(seeds)} seeds are given; a kit of a model conditioned on pitch is one: --seed N")
        title = f"Made by pggan generate from {checkpoint.name}, seed {seeds[0]}"
        return [kit.make_kit(player, seeds, folder, title, given.layers or 4, form, touch, progress)]
    return [samples.write_samples(player, seeds, folder, form, progress, given.only, resolution, team)]
