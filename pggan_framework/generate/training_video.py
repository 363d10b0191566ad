"""Frames of a training video: a run's sample grids, or samples of its checkpoints."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pggan_framework.errors import UserError, plural
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
    """Find the sample grids of a run, each with its kimg, in order.

    Raises:
        UserError: if `run` is not the folder of a run, or has fewer than two grids.
    """
    folder = run / (stored_config(run).get("ImageSaver") or {}).get("samples_path", "images")
    found = sheets_in(folder)
    if len(found) < 2:
        raise UserError(
            f"{folder} holds {plural(len(found), 'sample grid')} (fakes_*.png), and a video needs two or more;"
            " allowed: a run with ImageSaver among its postprocessors, or --of snapshots"
        )
    return found


def snapshots_of(run: Path) -> list[Path]:
    """Find the checkpoints of a run, oldest first.

    Raises:
        UserError: if `run` is not the folder of a run, or has fewer than two checkpoints.
    """
    folder = checkpoint_folder(run, stored_config(run).get("checkpoints_dir") or "")
    found = snapshots(folder)
    if len(found) < 2:
        raise UserError(
            f"{folder} holds {plural(len(found), 'checkpoint')}, and a video needs two or more; allowed:"
            " a run that keeps them (--SaverPlugin.keep_old_checkpoints True), or --of grids"
        )
    return found


def frames_of_sheets(sheets: Sequence[tuple[float, Path]], longest_side: int, caption: bool) -> Iterator[Image]:
    """Yield a frame for each grid, all of the same size.

    Args:
        sheets: kimg and file of each grid.
        longest_side: longest side of a frame in pixels; larger grids are reduced.
        caption: whether to write the kimg below each frame.
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
    """Yield a grid for each checkpoint, with the same latents and labels and at the full size for every depth.

    Args:
        checkpoints: checkpoints of one run.
        seeds: seeds of the latents.
        labels: values of attributes for all samples; the seeds determine the other attributes.
        weights: EMA or raw generator.
        resolution: approximate shorter side of a frame in pixels.
        caption: whether to write kimg and image size below each frame.
        progress: called after each checkpoint.

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
    """Add a strip with a caption below the frame."""
    from PIL import Image, ImageDraw, ImageFont

    em = min(max(frame.width // 32, 11), 24)
    whole = Image.new("RGB", (frame.width, frame.height + 2 * em), _PAPER)
    whole.paste(frame.convert("RGB"), (0, 0))
    ImageDraw.Draw(whole).text((em // 2, frame.height + em), text, _INK, ImageFont.load_default(em), "lm")
    return whole
