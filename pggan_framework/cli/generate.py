"""``pggan generate``: pictures, sounds, tunes, walks and sampler kits from a trained model."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from pggan_framework.cli.parser import Parser
from pggan_framework.errors import UserError
from pggan_framework.label_maps import MAP, Map, MapSpace
from pggan_framework.recipes import new_folder
from pggan_framework.runs import find_checkpoint

if TYPE_CHECKING:
    from pggan_framework.playing.player import Player
    from pggan_framework.playing.render import Touch
    from pggan_framework.postprocessors.soundfiles import SoundFormat
    from pggan_framework.pretrained import Pretrained

EXAMPLES = """examples:
  pggan generate latest
  pggan generate results/007-piano --seeds 0-35,77 --format flac
  pggan generate results/003-notes --seed 3 --label pitch=60
  pggan generate results/003-notes --play scale
  pggan generate results/012-avatars --maps drawn.png --seeds 0-7
  pggan generate results/003-notes --play tune.mid --voices channel
  pggan generate results/007-piano --interpolate 8 --seeds 1,5,2
  pggan generate results/003-notes --kit
"""
MOST_SEEDS = 100_000
MODES = ("play", "interpolate", "kit")
_FOR = {
    "seconds": ("play", "interpolate"),
    "voices": ("play",),
    "attack_ms": ("play", "kit"),
    "release_ms": ("play", "kit"),
    "layers": ("kit",),
}
"""Flags that only some modes read."""
_SOUND = ("format", "griffin_lim_iter", "phase_start", "refine_iter")
"""Flags for models of sound."""
_LEAST = {
    "count": 1,
    "seed": 0,
    "interpolate": 1,
    "layers": 1,
    "griffin_lim_iter": 0,
    "refine_iter": 0,
    "attack_ms": 0,
    "release_ms": 0,
}
SCALES = ("scale", "major")


def run(argv: Sequence[str]) -> int:
    """Run ``pggan generate`` with the words that follow it.

    Returns:
        The exit status.

    Raises:
        UserError: if something given is not usable; nothing is left behind then.
    """
    try:
        given = _parser().parse_args(list(argv))
    except SystemExit as stop:  # -h has printed the help
        return int(stop.code or 0)
    _check(given)
    seeds = _seeds(given)
    run_folder, checkpoint = find_checkpoint(given.model, Path(given.result_dir))
    from pggan_framework.cli.threads import share_cores

    share_cores()
    player = _player(given, checkpoint)
    if player.in_turn and given.seeds is None and given.count is None and given.interpolate is None:
        rows = player.model.label_rows
        seeds = list(range(seeds[0], seeds[0] + (0 if rows is None else len(rows))))
    with _out_folder(given.out, run_folder) as (out, folder):
        said = _make(given, player, seeds, checkpoint, folder)
    for line in said:
        print(line)
    print(f"written to {out}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="pggan generate",
        description="Pictures, sounds, tunes, walks and sampler kits from a trained model. Needs no training data.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("model", metavar="RUN", help="a run's folder (its last checkpoint), a checkpoint, or latest")
    add("--out", type=Path, metavar="DIR", help="a new folder; RUN/generated/000, 001 ... by default")
    add("--result_dir", default="results", metavar="DIR", help="where latest looks; results")
    add("--seeds", metavar="LIST", help="which samples: numbers and ranges, 0-35,77")
    add("--count", type=int, metavar="N", help="or how many, from --seed on; 16 (2 for --interpolate)")
    add("--seed", type=int, metavar="N", help="the first of them, or the one that plays; 0")
    add("--label", action="append", default=[], metavar="NAME=VALUE", help="may be given again; others are drawn")
    add(
        "--maps",
        type=Path,
        metavar="PATH",
        help="label maps to draw, a picture or a folder: seed 0 the first, 1 the next",
    )
    add("--play", metavar="WHAT", help="scale (every pitch), major (those in C major) or a MIDI file")
    add("--interpolate", type=int, metavar="N", help="walk from seed to seed in N steps each")
    add("--kit", action="store_true", help="a sampler kit: a sound a key, and kit.sfz")
    add("--seconds", type=float, metavar="S", help="of a note of the scale, 0.5 or a clip's; of a whole walk")
    add("--voices", choices=("one", "channel"), help="--play: one latent, or one a MIDI channel; one")
    add("--attack_ms", type=float, metavar="MS", help="--play, --kit: fade-in of a note; 5")
    add("--release_ms", type=float, metavar="MS", help="--play, --kit: fade-out when the key is up; 150")
    add("--layers", type=int, metavar="N", help="--kit: most velocity layers; 4")
    add("--format", metavar="NAME", help="of sounds: wav, flac, ogg (Opus), mp3; wav")
    add("--griffin_lim_iter", type=int, metavar="N", help="steps in search of phases, where pictures hold none; 100")
    add("--phase_start", choices=("auto", "random", "pghi"), help="what that search starts from; auto")
    add("--refine_iter", type=int, metavar="N", help="steps from the phases that pictures hold; 16")
    add("--debug", action="store_true", help="show the traceback of an error")
    return parser


def _check(given: argparse.Namespace) -> None:
    """What can be refused before anything is read."""
    modes = [mode for mode in MODES if getattr(given, mode) not in (None, False)]
    if len(modes) > 1:
        raise UserError(f"--{' and --'.join(modes)} are given; allowed: one of them, or none for single samples")
    for flag, allowed in _FOR.items():
        if getattr(given, flag) is not None and not set(modes) & set(allowed):
            raise UserError(f"--{flag} is given without --{' or --'.join(allowed)}, which alone read it")
    for flag, least in _LEAST.items():
        number = getattr(given, flag)
        if number is not None and not least <= number < 2**32:
            raise UserError(f"--{flag} is {number}; allowed: {least} or more")
    if given.seconds is not None and not 0 < given.seconds <= 3600:
        raise UserError(f"--seconds is {given.seconds:g}; allowed: above 0, up to 3600")
    if given.seeds is not None and (given.count is not None or given.seed is not None):
        raise UserError("--seeds is given with --count or --seed; allowed: --seeds alone, or the other two")
    if given.play is not None and (given.seeds is not None or given.count is not None):
        raise UserError("--play plays one seed; allowed: --seed N")


def _seeds(given: argparse.Namespace) -> list[int]:
    """The seeds that ``--seeds``, or ``--count`` and ``--seed``, mean."""
    if given.seeds is None:
        first, count = given.seed or 0, given.count or (2 if given.interpolate else 16)
        pairs = [(first, first + count - 1)]
    else:
        pairs = []
        for part in given.seeds.split(","):
            match = re.fullmatch(r"\s*(\d{1,10})(?:-(\d{1,10}))?\s*", part)
            if not match or int(match[2] or match[1]) < int(match[1]):
                raise UserError(f"--seeds '{given.seeds}' is given; allowed: numbers and rising ranges, as in 0-35,77")
            pairs.append((int(match[1]), int(match[2] or match[1])))
    if sum(last - first + 1 for first, last in pairs) > MOST_SEEDS or max(last for _, last in pairs) >= 2**32:
        raise UserError(f"too many seeds, or too large ones; allowed: {MOST_SEEDS} of them, below {2**32}")
    seeds = [seed for first, last in pairs for seed in range(first, last + 1)]
    return seeds if given.interpolate else list(dict.fromkeys(seeds))


def _labels(words: Sequence[str]) -> dict[str, str]:
    """``pitch=60`` and so on."""
    labels: dict[str, str] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not name or not equals:
            raise UserError(f"--label '{word}' is given; allowed: NAME=VALUE, as in pitch=60")
        if name in labels:
            raise UserError(f"--label {name} is given twice, as {labels[name]} and {value}; allowed: once")
        labels[name] = value
    return labels


def _player(given: argparse.Namespace, checkpoint: Path) -> Player:
    """The model, once it is known that it can do what is asked."""
    labels = _labels(given.label)
    from pggan_framework.playing import kit, player
    from pggan_framework.postprocessors.soundfiles import check_format
    from pggan_framework.pretrained import load_generator

    model = load_generator(checkpoint)
    asked = [f for f in (*_SOUND, "play", "kit", "seconds") if getattr(given, f) not in (None, False)]
    if model.codec is None and asked:
        raise UserError(f"--{asked[0]} needs a model of sound; {checkpoint} makes pictures")
    if given.format is not None:
        check_format(given.format)
        if given.kit and given.format not in kit.FORMATS:
            raise UserError(f"--format {given.format} is given; allowed for a kit: {', '.join(kit.FORMATS)}")
    named = {name: getattr(given, name) for name in _SOUND[1:] if getattr(given, name) is not None}
    maps = None if given.maps is None else _read_maps(given.maps, model)
    if maps is None:
        return player.Player(model, player.Decoding(**named), labels)
    if MAP in labels:
        raise UserError(f"--label {MAP}={labels[MAP]} is given with --maps, which has maps of its own; leave one out")
    return player.Player(model.with_maps(maps), player.Decoding(**named), labels, in_turn=True)


def _read_maps(path: Path, model: Pretrained) -> Map:
    """The maps in a file or a folder, of the model's size and classes."""
    from pggan_framework.data.map_files import read_maps

    space = model.label_space
    if not isinstance(space, MapSpace):
        raise UserError("--maps needs a model that draws label maps; this one was trained on none")
    height, width = space.size
    return read_maps(path, (height, width), [entry.colour for entry in space.classes], "--maps")


def _make(given: argparse.Namespace, player: Player, seeds: list[int], checkpoint: Path, folder: Path) -> list[str]:
    """Write what is asked for into `folder`; returns what to say of it."""
    from pggan_framework.playing import kit, samples
    from pggan_framework.playing.render import Touch

    form: SoundFormat = given.format or "wav"
    named = {name: getattr(given, name) for name in ("attack_ms", "release_ms") if getattr(given, name) is not None}
    touch = Touch(**named)
    if given.play is not None:
        return _play(given, player, seeds[0], touch, folder)
    if given.interpolate is not None:
        return [samples.write_walk(player, seeds, given.interpolate, folder, given.seconds, form, _progress("clips"))]
    if given.kit:
        if given.seeds is None and given.count is None:
            seeds = seeds[:1] if player.numbers("pitch") else seeds
        if player.numbers("pitch") and len(seeds) > 1:
            raise UserError(f"{len(seeds)} seeds are given; a kit of a model conditioned on pitch is one: --seed N")
        title = f"Made by pggan generate from {checkpoint.name}, seed {seeds[0]}"
        return [kit.make_kit(player, seeds, folder, title, given.layers or 4, form, touch, _progress("samples"))]
    return [samples.write_samples(player, seeds, folder, form, _progress("samples"))]


def _play(given: argparse.Namespace, player: Player, seed: int, touch: Touch, folder: Path) -> list[str]:
    """Play a scale or a MIDI file."""
    from pggan_framework.playing.midi import read_midi
    from pggan_framework.playing.render import perform
    from pggan_framework.playing.score import scale
    from pggan_framework.postprocessors.soundfiles import write_sound

    pitches, rate, said = player.pitches("--play"), player.codec.sample_rate, []
    if given.play in SCALES:
        notes = scale(pitches, given.seconds or min(0.5, player.codec.samples / rate), given.play == "major")
    elif given.seconds is not None:
        raise UserError("--seconds is the length of a scale's notes; a MIDI file has its own")
    else:
        score = read_midi(Path(given.play))
        notes = list(score.notes)
        said = [f"{score.drums} notes of drums (channel 10) are left out"] if score.drums else []
    by_channel = given.voices == "channel"
    wave, remarks = perform(player, notes, "--play", seed, by_channel, touch, _progress("clips"))
    name = f"{Path(given.play).stem}_seed{seed:04d}.{given.format or 'wav'}"
    write_sound(folder / name, wave, rate, given.format or "wav")
    return [*said, *remarks, f"{name}: {len(notes)} notes, {wave.shape[1] / rate:.2f} s"]


@contextmanager
def _out_folder(out: Path | None, run_folder: Path) -> Iterator[tuple[Path, Path]]:
    """The folder that is made, and the one to write to until all is written."""
    if out is not None:
        with new_folder(out) as folder:
            yield out, folder
        return
    parent = run_folder / "generated"
    try:
        parent.mkdir(exist_ok=True)
        out = _reserve(parent)
    except OSError as error:
        raise UserError(f"cannot make a folder in {run_folder}: {error.strerror}; give --out DIR") from error
    try:
        with new_folder(out) as folder:
            yield out, folder
    except BaseException:
        for empty in (out, parent):
            with suppress(OSError):  # others' files are in it
                empty.rmdir()
        raise


def _reserve(parent: Path) -> Path:
    """The next numbered folder in `parent`, made and empty, so that nobody else takes its number."""
    while True:
        taken = [int(path.name) for path in parent.iterdir() if path.name.isdecimal()]
        out = parent / f"{max(taken, default=-1) + 1:03d}"
        try:
            out.mkdir()
        except FileExistsError:
            continue
        return out


def _progress(what: str) -> Callable[[int, int], None] | None:
    """A counter on the terminal; nothing elsewhere."""
    if not sys.stderr.isatty():
        return None

    def show(done: int, total: int) -> None:
        print(f"\r{done} of {total} {what}", end="\n" if done == total else "", file=sys.stderr, flush=True)

    return show
