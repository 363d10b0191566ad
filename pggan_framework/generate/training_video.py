"""Frames of a training video: a run's sample grids, or samples of its checkpoints."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pggan_framework.errors import UserError
from pggan_framework.generate.player import Player
from pggan_framework.generate.render import Progress
from pggan_framework.generate.samples import drawn, room_for
from pggan_framework.models.pretrained import Weights, load_generator
from pggan_framework.postprocessors.moving import sheet_frames, sheets_in
from pggan_framework.runs.folders import checkpoint_folder, snapshots, stored_config

if TYPE_CHECKING:
    from PIL.Image import Image

_PAPER, _INK = (255, 255, 255), (48, 48, 48)


def sheets_of(run: Path) -> list[tuple[float, Path]]:
    """The sample grids that a run has written, each with its kimg, in their order.

    Raises:
        UserError: if it is not a run's folder, or there are fewer than two.
    """
    folder = run / (stored_config(run).get("ImageSaver") or {}).get("samples_path", "images")
    found = sheets_in(folder)
    if len(found) < 2:
        raise UserError(
            f"{folder} holds {len(found)} sample grids (fakes_*.png), and a video needs two or more;"
            " allowed: a run with ImageSaver among its postprocessors, or --of snapshots"
        )
    return found


def snapshots_of(run: Path) -> list[Path]:
    """The checkpoints of a run, oldest first.

    Raises:
        UserError: if it is not a run's folder, or there are fewer than two.
    """
    folder = checkpoint_folder(run, stored_config(run).get("checkpoints_dir") or "")
    found = snapshots(folder)
    if len(found) < 2:
        raise UserError(
            f"{folder} holds {len(found)} checkpoint{'s' * (len(found) != 1)}, and a video needs two or more; allowed:"
            " a run that keeps them (--SaverPlugin.keep_old_checkpoints True), or --of grids"
        )
    return found


def frames_of_sheets(sheets: Sequence[tuple[float, Path]], longest_side: int, caption: bool) -> Iterator[Image]:
    """A frame of each grid, all of one size.

    Args:
        sheets: kimg and file of each.
        longest_side: in pixels; larger ones are reduced.
        caption: write the kimg below.
    """
    frames = sheet_frames([path for _, path in sheets], longest_side)
    for (kimg, _), frame in zip(sheets, frames, strict=True):
        yield captioned(frame, f"{kimg} kimg") if caption else frame


def frames_of_snapshots(
    checkpoints: Sequence[Path],
    seeds: Sequence[int],
    labels: Mapping[str, str],
    weights: Weights | None,
    resolution: int,
    caption: bool,
    progress: Progress | None = None,
) -> Iterator[Image]:
    """A grid of the same latents and labels by each checkpoint, of the full depth's size at every depth.

    Args:
        checkpoints: of one run.
        seeds: the latents.
        labels: values of attributes for all samples; the others are drawn by the seeds.
        weights: which generator.
        resolution: about how many pixels the shorter side has.
        caption: write kimg and the size of the images below.
        progress: called after each.

    Raises:
        UserError: if a checkpoint cannot be read, labels do not fit it, or seeds do not fit on a grid.
    """
    for done, path in enumerate(checkpoints, 1):
        model = load_generator(path, weights)
        player = Player(model, fixed=labels)
        if len(seeds) > room_for(player):
            raise UserError(f"{len(seeds)} samples are requested in a frame; allowed: up to {room_for(player)}")
        frame = drawn(model, np.stack([player.picture(player.latent(s), player.label(s)) for s in seeds]), resolution)
        height, width = model.generator.size
        yield captioned(frame, f"{model.nimg / 1000:g} kimg, {height}x{width}") if caption else frame
        if progress:
            progress(done, len(checkpoints))


def captioned(frame: Image, text: str) -> Image:
    """A frame with words in a strip below it."""
    from PIL import Image, ImageDraw, ImageFont

    em = min(max(frame.width // 32, 11), 24)
    whole = Image.new("RGB", (frame.width, frame.height + 2 * em), _PAPER)
    whole.paste(frame.convert("RGB"), (0, 0))
    ImageDraw.Draw(whole).text((em // 2, frame.height + em), text, _INK, ImageFont.load_default(em), "lm")
    return whole
