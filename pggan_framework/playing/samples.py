"""Samples of a model as files: a picture each, a sound each, a sheet of all; and walks between them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from pggan_framework.audio.base import Wave
from pggan_framework.errors import UserError
from pggan_framework.label_maps import MapSpace
from pggan_framework.playing.interpolate import crossfade, walk
from pggan_framework.playing.player import Player, common_gain
from pggan_framework.playing.render import Progress
from pggan_framework.postprocessors.image import ImageSaver
from pggan_framework.postprocessors.picture import picture_tiles, sheet, to_uint8
from pggan_framework.postprocessors.soundfiles import SoundFormat, write_sound

if TYPE_CHECKING:
    from PIL.Image import Image

Only = Literal["files", "sheet"]
"""What is written of samples where not both are."""

ON_A_SHEET = 64
"""Most pictures on a sheet."""
_SHEET_VALUES = 1 << 24
"""Most numbers in them, which are held in memory."""
MOST_STEPS = 10_000
LONGEST = 3600.0
"""Seconds; a walk is mixed in memory."""
OVERLAP = 0.1
"""Part of a clip that is faded into the next, in a walk whose length is not given."""


def draw(player: Player, pictures: NDArray[np.float32], path: Path, resolution: int = 512) -> None:
    """Pictures [N, C, h, w] as one PNG, as `ImageSaver` draws them."""
    saver = ImageSaver(samples_path=".", resolution=resolution)
    saver.setup(path.parent, player.model.growth, player.model.codec)
    for artifact in saver.save(pictures, "sheet", player.model.nimg // 1000):
        artifact.path.replace(path)


def tile(picture: NDArray[np.float32]) -> Image:
    """A picture [C, h, w] pixel by pixel; with 2 or more than 4 channels these stand side by side."""
    return sheet(picture_tiles(to_uint8(picture[None])), (1, 1))


def write_samples(
    player: Player,
    seeds: Sequence[int],
    folder: Path,
    format: SoundFormat = "wav",
    progress: Progress | None = None,
    only: Only | None = None,
) -> str:
    """Write ``seed0007_pitch60.png`` for each seed, its sound beside it, and ``sheet.png`` of the first 64.

    Where the model draws label maps, ``maps.png`` has theirs. A sheet of very large pictures has fewer. Levels are the
    model's own. Memory holds what is on the sheet.

    Args:
        player: the model.
        seeds: which samples.
        folder: where to write.
        format: of sounds.
        progress: called after each sample.
        only: leave out the sheet (files), or all but the sheet, which has all seeds on it then (sheet).

    Returns:
        What was written, in words.

    Raises:
        UserError: if a file cannot be written, or a sheet is to have more seeds than fit.
    """
    sound, room = player.model.codec, _room(player)
    if only == "sheet" and len(seeds) > room:
        raise UserError(f"{len(seeds)} samples are asked for on one sheet; allowed for this model: up to {room}")
    shown: list[NDArray[np.float32]] = []
    for done, seed in enumerate(seeds, 1):
        label = player.label(seed)
        picture = player.picture(player.latent(seed), label)
        if only != "sheet":
            _write_one(player, picture, seed, folder / player.stem(seed, label), format)
        if only != "files" and len(shown) < room:
            shown.append(picture)
        if progress:
            progress(done, len(seeds))
    count = f"{len(seeds)} picture{'s' * (len(seeds) != 1)}{' and sounds' * (sound is not None and only != 'sheet')}"
    if only == "files":
        return count
    draw(player, np.stack(shown), folder / "sheet.png")
    maps = ""
    if isinstance(player.space, MapSpace):
        rows = [player.label(seed) for seed in seeds[: len(shown)]]
        painted = player.space.paint(np.array(rows)).astype(np.float32) / 127.5 - 1
        draw(player, painted, folder / "maps.png")
        maps = ", their label maps in maps.png"
    of = f" of the first {len(shown)}" if len(shown) < len(seeds) else ""
    return f"{count}, sheet.png{of}{maps}"


def write_walk(
    player: Player,
    seeds: Sequence[int],
    steps: int,
    folder: Path,
    seconds: float | None = None,
    format: SoundFormat = "wav",
    progress: Progress | None = None,
) -> str:
    """Write a walk through the latents of `seeds`: ``interpolation.png``, and its clips as ``interpolation.wav``.

    All is made with one label, the first seed's, so that only the latent changes.

    Args:
        player: the model.
        seeds: two or more.
        steps: from each seed to the next.
        folder: where to write.
        seconds: length of the sound; by default each clip is faded into the next over a tenth of it.
        format: of the sound.
        progress: called after each clip.

    Returns:
        What was written, in words.

    Raises:
        UserError: if there are fewer than two seeds, or the sound cannot be so short or long.
    """
    if len(seeds) < 2:
        raise UserError(f"--interpolate walks from seed to seed, and {len(seeds)} is given; allowed: two or more")
    count = (len(seeds) - 1) * steps + 1
    if count > MOST_STEPS:
        raise UserError(f"a walk of {count} steps is asked for; allowed: up to {MOST_STEPS}")
    label, codec = player.label(seeds[0]), player.model.codec
    hop = 0 if codec is None else _hop(codec.samples, codec.sample_rate, count, seconds)
    latents = walk([player.latent(seed) for seed in seeds], steps)
    pictures = (player.picture(latent, label) for latent in latents)
    every = -(-count // _room(player))
    shown: list[NDArray[np.float32]] = []

    def looked_at() -> Iterator[NDArray[np.float32]]:
        for index, picture in enumerate(pictures):
            if index % every == 0:
                shown.append(picture)
            yield picture
            if progress:
                progress(index + 1, count)

    words = f"{count} steps through {len(seeds)} seeds"
    if codec is not None:
        wave = crossfade(_waves(player, looked_at(), seeds[0]), count, hop)
        gain = np.float32(min(common_gain(float(np.abs(wave).max())), 1.0))
        write_sound(folder / f"interpolation.{format}", wave * gain, codec.sample_rate, format)
        words += f", interpolation.{format} of {wave.shape[1] / codec.sample_rate:.2f} s"
    else:
        for _ in looked_at():
            pass
    draw(player, np.stack(shown), folder / "interpolation.png")
    return f"{words}, interpolation.png"


def _write_one(player: Player, picture: NDArray[np.float32], seed: int, stem: Path, format: SoundFormat) -> None:
    """A picture of its own size, or a spectrogram as large as on a sheet and its sound."""
    path = stem.with_name(f"{stem.name}.png")
    if player.model.codec is None:
        tile(picture).save(path, format="PNG")
        return
    draw(player, picture[None], path)
    sound = stem.with_name(f"{stem.name}.{format}")
    write_sound(sound, player.wave(picture, seed), player.codec.sample_rate, format)


def _room(player: Player) -> int:
    """How many of the model's pictures go on a sheet."""
    channels, height, width = player.model.growth.shape
    return min(max(_SHEET_VALUES // (channels * height * width), 4), ON_A_SHEET)


def _waves(player: Player, pictures: Iterable[NDArray[np.float32]], seed: int) -> Iterator[Wave]:
    for picture in pictures:
        yield player.wave(picture, seed)


def _hop(samples: int, sample_rate: int, count: int, seconds: float | None) -> int:
    """Samples from the start of one clip to that of the next."""
    if seconds is None:
        hop = samples - round(OVERLAP * samples)
        whole = ((count - 1) * hop + samples) / sample_rate
        if whole > LONGEST:
            raise UserError(f"a walk of {count} steps lasts {whole:.0f} s; allowed: {LONGEST:g}; give --seconds")
        return hop
    hop = round((seconds * sample_rate - samples) / (count - 1))
    if not 1 <= hop <= samples:
        least, most = (samples + count - 1) / sample_rate, count * samples / sample_rate
        raise UserError(f"--seconds {seconds:g} does not fit {count} clips; allowed: {least:.2f} to {most:.2f}")
    return hop
