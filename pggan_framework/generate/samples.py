"""Write samples of a model as files: an image and a sound per sample, and a grid of all samples."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from pggan_framework.errors import UserError, plural
from pggan_framework.generate.player import Player
from pggan_framework.generate.render import Progress
from pggan_framework.labels.maps import MapSpace
from pggan_framework.postprocessors.image import ImageSaver
from pggan_framework.postprocessors.picture import picture_tiles, sheet, to_uint8
from pggan_framework.postprocessors.soundfiles import SoundFormat, write_sound
from pggan_framework.training.team import Team

if TYPE_CHECKING:
    from PIL.Image import Image

    from pggan_framework.labels.attributes import Labels
    from pggan_framework.models.pretrained import Pretrained

Only = Literal["files", "sheet"]
"""Values of the flag that restricts the output."""

RESOLUTION = 512
"""Approximate shorter side of a grid in pixels."""
ON_A_SHEET = 64
"""Most images on a grid."""
_SHEET_VALUES = 1 << 24
"""Most values of a grid, which is in memory."""


def drawn(
    model: Pretrained, pictures: NDArray[np.float32], resolution: int = RESOLUTION, columns: int | None = None
) -> Image:
    """Draw images [N, C, h, w] in [-1, 1] on one grid, in the style of `ImageSaver`: sounds as spectrograms.

    Args:
        model: model that generated the images.
        pictures: images of any depth of the model.
        resolution: approximate shorter side of the grid in pixels; images are never reduced.
        columns: images per row; by default the grid is about square.
    """
    saver = ImageSaver(resolution=resolution)
    saver.setup(Path(), model.growth, model.codec)
    return saver.sheet(pictures, columns)


def draw(
    player: Player,
    pictures: NDArray[np.float32],
    path: Path,
    resolution: int = RESOLUTION,
    columns: int | None = None,
) -> None:
    """Write the grid of `drawn` as a PNG file."""
    drawn(player.model, pictures, resolution, columns).save(path, format="PNG")


def tile(picture: NDArray[np.float32]) -> Image:
    """Draw an image [C, h, w] at its own resolution; 2 or more than 4 channels are drawn side by side."""
    return sheet(picture_tiles(to_uint8(picture[None])), (1, 1))


def write_samples(
    player: Player,
    seeds: Sequence[int],
    folder: Path,
    format: SoundFormat = "wav",
    progress: Progress | None = None,
    only: Only | None = None,
    resolution: int = RESOLUTION,
    team: Team | None = None,
) -> str:
    """Write ``seed0007_pitch60.png`` for each sample, its sound next to it, and ``sheet.png`` with the first 64.

    If each seed is generated with every value of a label, the grid has a row per seed and a column per value. If the
    model is conditioned on label maps, ``maps.png`` shows them. A grid of very large images has fewer samples. The
    levels of sounds are not changed. Only the images of the grid are in memory.

    Args:
        player: player of the model.
        seeds: seeds of the samples.
        folder: output folder.
        format: file format of the sounds.
        progress: called after each sample of this rank.
        only: write only the files or only the grid, which then contains all samples.
        resolution: approximate shorter side of the grid in pixels.
        team: ranks that generate the samples; rank 0 draws the grids.

    Returns:
        A summary of the written files.

    Raises:
        UserError: if a file cannot be written, or the samples do not fit on a grid.
    """
    team = team or Team()
    sound, columns, total = player.model.codec, player.variants, len(seeds) * player.variants
    room = room_for(player)
    if only == "sheet" and total > room:
        raise UserError(f"{total} samples are requested on one grid; allowed for this model: up to {room}")
    if columns <= room:
        room -= room % columns  # complete rows
    shown: list[NDArray[np.float32]] = []
    labels: list[Labels | None] = []
    files = range(0) if only == "sheet" else team.share(total)
    # Images do not depend on the rank, so rank 0 generates some again for the grid.
    on_sheet = range(min(room, total) if only != "files" and team.main else 0)
    wanted = len(files) + len(set(on_sheet) - set(files[:room]))
    done = 0
    for number, (seed, label) in enumerate(player.asked(seeds)):
        if number not in files and number not in on_sheet:
            continue
        picture = player.picture(player.latent(seed), label)
        if number in files:
            _write_one(player, picture, seed, folder / player.stem(seed, label), format)
        if number in on_sheet:
            shown.append(picture)
            labels.append(label)
        done += 1
        if progress:
            progress(done, wanted)
    count = f"{plural(total, 'image')}{(' and sound' + 's' * (total != 1)) * (sound is not None and only != 'sheet')}"
    if only == "files" or not team.main:
        return count
    wide = columns if 1 < columns <= room else None
    draw(player, np.stack(shown), folder / "sheet.png", resolution, wide)
    more = ""
    if isinstance(player.space, MapSpace):
        painted = player.space.paint(np.array(labels)).astype(np.float32) / 127.5 - 1
        draw(player, painted, folder / "maps.png", resolution, wide)
        more = ", their label maps in maps.png"
    of = f" of the first {len(shown)}" if len(shown) < total else ""
    if wide and player.every is not None:
        more += f"; a row for each seed, a column for each {player.every.name}: {', '.join(player.every.values)}"
    return f"{count}, sheet.png{of}{more}"


def _write_one(player: Player, picture: NDArray[np.float32], seed: int, stem: Path, format: SoundFormat) -> None:
    """Write an image at its own size, or a sound and its spectrogram at the size of a grid."""
    path = stem.with_name(f"{stem.name}.png")
    if player.model.codec is None:
        tile(picture).save(path, format="PNG")
        return
    draw(player, picture[None], path)
    sound = stem.with_name(f"{stem.name}.{format}")
    write_sound(sound, player.finished(player.wave(picture, seed)), player.codec.sample_rate, format)


def room_for(player: Player) -> int:
    """Return the number of the model's images that fit on a grid."""
    channels, height, width = player.model.growth.shape
    return min(max(_SHEET_VALUES // (channels * height * width), 4), ON_A_SHEET)
