"""Write latent interpolations as a grid of the steps, an animation and a sound."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pggan_framework.errors import UserError, plural
from pggan_framework.generate.interpolate import Place, crossfade, steps_of, walk
from pggan_framework.generate.player import Player, common_gain
from pggan_framework.generate.render import Progress
from pggan_framework.generate.samples import RESOLUTION, draw, drawn, room_for
from pggan_framework.postprocessors.moving import Moving, check_fps, write_moving
from pggan_framework.postprocessors.soundfiles import SoundFormat, write_sound

if TYPE_CHECKING:
    from PIL.Image import Image

    from pggan_framework.audio.base import Wave

STEPS = 8
"""Default number of steps from each stop to the next."""
FPS = 25.0
LEG_SECONDS = 2.0
"""Default seconds of an animation from each stop to the next."""
MOST_STEPS = 10_000
LONGEST = 3600.0
"""Maximum length of a sound in seconds; it is mixed in memory."""
OVERLAP = 0.1
"""Fraction of a clip that is cross-faded with the next one, if no length is given."""


@dataclass(frozen=True)
class Way:
    """The settings of an interpolation.

    Args:
        steps: number of steps from each stop to the next; for an animation, the default follows from `seconds` and
            `fps`; otherwise, the default is `STEPS`.
        seconds: total length of the animation or sound.
        loop: return to the first stop at the end.
        walks: number of paths, side by side; the seeds are divided among them in order.
        own_labels: also interpolate between the labels of the seeds; otherwise a path uses its first seed's label.
        video: format of an animation, if any.
        fps: frames per second of an animation without sound; with sound, the clips determine it.
        resolution: approximate shorter side of a grid or frame in pixels.
    """

    steps: int | None = None
    seconds: float | None = None
    loop: bool = False
    walks: int = 1
    own_labels: bool = False
    video: Moving | None = None
    fps: float | None = None
    resolution: int = RESOLUTION


def write_walk(
    player: Player,
    seeds: Sequence[int],
    way: Way,
    folder: Path,
    format: SoundFormat = "wav",
    progress: Progress | None = None,
) -> str:
    """Write ``interpolation.png``, its clips as ``interpolation.wav``, and ``interpolation.gif`` if requested.

    The interpolation leads from seed to seed. If the player generates every value of a label, there is instead one
    interpolation per seed, which keeps the latent and leads from value to value.

    Args:
        player: player of the model.
        seeds: seeds of the stops.
        way: settings of the interpolation.
        folder: output folder.
        format: file format of the sound.
        progress: called after each step.

    Returns:
        A summary of the written files.

    Raises:
        UserError: if there are fewer than two stops or they cannot be divided among the paths, the sound would be too
        short or too long, or the model lacks a requested feature.
    """
    routes = _routes(player, seeds, way)
    sound = player.model.codec is not None
    _check(player, way, len(routes))
    steps = _steps(way, len(routes[0]), sound)
    count = steps_of(len(routes[0]), steps, way.loop)
    if count * len(routes) > MOST_STEPS:
        raise UserError(f"an interpolation of {count * len(routes)} steps is requested; allowed: up to {MOST_STEPS}")
    wide = max(room_for(player) // len(routes), 2)
    every = -(-count // wide)
    shown: list[NDArray[np.float32]] = []

    def pictures() -> Iterator[NDArray[np.float32]]:
        """Yield the images [W, C, h, w] of all paths for each step."""
        for places in zip(*(walk(route, steps, way.loop) for route in routes), strict=True):
            yield np.stack([player.at(place) for place in places])

    def looked_at() -> Iterator[NDArray[np.float32]]:
        for index, row in enumerate(pictures()):
            if index % every == 0:
                shown.append(row)
            yield row
            if progress:
                progress(index + 1, count)

    what = f"{len(seeds)} seeds" if player.every is None else f"{len(routes[0])} values of {player.every.name}"
    words = f"{count} steps through {what}" + f", {len(routes)} paths side by side" * (len(routes) > 1)
    if sound:
        words += _write_sounds(player, looked_at(), count, seeds[0], way, folder, format)
        if way.video is not None:
            words += _write_video_of_sounds(player, pictures(), count, way, folder, format)
    elif way.video is not None:
        fps = FPS if way.fps is None else way.fps
        name = f"interpolation.{way.video}"
        write_moving(folder / name, way.video, _frames(player, looked_at(), way), 1 / fps)
        words += f", {name} of {count / fps:.2f} s, {fps:g} frames a second"
    else:
        for _ in looked_at():
            pass
    rows = np.stack(shown, axis=1)
    columns = len(shown) if len(routes) > 1 else None
    draw(player, rows.reshape(-1, *rows.shape[2:]), folder / "interpolation.png", way.resolution, columns)
    return f"{words}, interpolation.png"


def _routes(player: Player, seeds: Sequence[int], way: Way) -> list[list[Place]]:
    """Return the stops of each path."""
    if player.every is not None:
        values = player.every.values
        if len(values) < 2:
            raise UserError(
                f"--every {player.every.name} names one value, {values[0]}; an interpolation needs two or more"
            )
        stops = [Place(player.latent(seed), player.condition(label)) for seed, label in player.asked(seeds)]
        return [stops[start : start + len(values)] for start in range(0, len(stops), len(values))]
    if len(seeds) % way.walks:
        raise UserError(f"{plural(len(seeds), 'seed')} given for --walks {way.walks}; allowed: equal numbers per path")
    each = len(seeds) // way.walks
    if each < 2:
        of = f" for each of {way.walks} paths" if way.walks > 1 else ""
        raise UserError(f"--interpolate connects seeds, and {each} is given{of}; allowed: two or more")
    routes = []
    for start in range(0, len(seeds), each):
        part = seeds[start : start + each]
        conditions = [player.condition(player.label(seed if way.own_labels else part[0])) for seed in part]
        routes.append([Place(player.latent(seed), seen) for seed, seen in zip(part, conditions, strict=True)])
    return routes


def _check(player: Player, way: Way, walks: int) -> None:
    """Check that the model supports the settings."""
    if way.own_labels and player.space is None:
        raise UserError("--own_labels is given, but the model was trained without labels")
    if player.model.codec is not None:
        if walks > 1:
            raise UserError(f"{walks} paths side by side are requested; allowed for a model of sound: one")
        if way.fps is not None:
            raise UserError("--fps is for images; the length of sounds is set with --seconds")
        return
    if way.seconds is not None and way.video is None:
        raise UserError("--seconds needs a model of sound, or --video; this interpolates between images")
    if way.seconds is not None and way.steps is not None:
        raise UserError(
            f"--seconds {way.seconds:g} is given with --interpolate {way.steps}; allowed: --interpolate alone, whose"
            " steps follow from --seconds and --fps"
        )


def _steps(way: Way, stops: int, sound: bool) -> int:
    """Return the number of steps from each stop to the next."""
    if way.steps is not None:
        return way.steps
    if sound or way.video is None:
        return STEPS
    legs = stops if way.loop else stops - 1
    seconds = LEG_SECONDS * legs if way.seconds is None else way.seconds
    return max(round(seconds * (FPS if way.fps is None else way.fps) / legs), 1)


def _frames(player: Player, rows: Iterator[NDArray[np.float32]], way: Way) -> Iterator[Image]:
    for row in rows:
        yield drawn(player.model, row, way.resolution)


def _write_sounds(
    player: Player,
    rows: Iterator[NDArray[np.float32]],
    count: int,
    seed: int,
    way: Way,
    folder: Path,
    format: SoundFormat,
) -> str:
    hop = _hop(player, count, way)
    waves: Iterator[Wave] = (player.wave(row[0], seed) for row in rows)
    wave = crossfade(waves, count, hop, way.loop)
    # A fade is applied only at the beginning and the end; a loop has neither.
    wave = wave if way.loop else player.finished(wave)
    gain = np.float32(min(common_gain(float(np.abs(wave).max())), 1.0))
    name = f"interpolation.{format}"
    write_sound(folder / name, wave * gain, player.codec.sample_rate, format)
    return f", {name} of {wave.shape[1] / player.codec.sample_rate:.2f} s"


def _write_video_of_sounds(
    player: Player, rows: Iterator[NDArray[np.float32]], count: int, way: Way, folder: Path, format: SoundFormat
) -> str:
    """Write a video that shows each spectrogram when its clip begins; an MP4 includes the sound."""
    assert way.video is not None
    codec = player.codec
    seconds = _hop(player, count, way) / codec.sample_rate
    check_fps(way.video, 1 / seconds, "the number of steps a second")
    name = f"interpolation.{way.video}"
    sound = folder / f"interpolation.{format}" if way.video == "mp4" else None
    hold = seconds if way.loop else codec.samples / codec.sample_rate
    write_moving(folder / name, way.video, _frames(player, rows, way), seconds, hold, sound)
    return f", {name}"


def _hop(player: Player, count: int, way: Way) -> int:
    """Return the number of samples from the start of one clip to the start of the next."""
    samples, rate = player.codec.samples, player.codec.sample_rate
    tail = 0 if way.loop else samples  # the part of the last clip after its hop
    hops = count if way.loop else count - 1
    if way.seconds is None:
        hop = samples - round(OVERLAP * samples)
        whole = (hops * hop + tail) / rate
        if whole > LONGEST:
            raise UserError(
                f"an interpolation of {count} steps lasts {whole:.0f} s; allowed: {LONGEST:g}; give --seconds"
            )
        return hop
    hop = round((way.seconds * rate - tail) / hops)
    least = -(-samples // count) if way.loop else 1  # a loop must be at least as long as a clip
    if not least <= hop <= samples:
        shortest, longest = (hops * least + tail) / rate, (hops * samples + tail) / rate
        raise UserError(
            f"--seconds {way.seconds:g} does not fit {count} clips; allowed: {shortest:.2f} to {longest:.2f}"
        )
    return hop
