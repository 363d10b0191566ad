"""Samples of a model as one zip of any size, in StyleGAN2-ADA's layout."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from io import BytesIO
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from zipfile import ZipFile, ZipInfo

import numpy as np
from numpy.typing import NDArray

from pggan_framework.errors import UserError, plural
from pggan_framework.generate.player import Player
from pggan_framework.generate.render import Progress
from pggan_framework.generate.samples import tile
from pggan_framework.labels.attributes import Labels, LabelSpace
from pggan_framework.labels.maps import MapSpace
from pggan_framework.postprocessors.soundfiles import SoundFormat, write_sound
from pggan_framework.training.team import Team

BATCH = 32
"""Batch size of the generation."""
IN_A_FOLDER = 1000
"""Files in each folder of the zip."""


def write_archive(
    player: Player,
    seeds: Sequence[int],
    path: Path,
    format: SoundFormat = "wav",
    progress: Progress | None = None,
    team: Team | None = None,
) -> str:
    """Write ``00000/seed0007_class-cat.png`` or a sound for each sample, and ``dataset.json`` with all labels.

    Images have the size of the model's depth. They are generated in batches of `BATCH`, so an image may differ in the
    last bit from the same seed generated alone; repeating a request gives the same bytes. Only one batch and the labels
    are in memory. In distributed generation, each rank writes a zip, and rank 0 joins them.

    Args:
        player: player of the model.
        seeds: seeds of the samples.
        path: output file, the same on all ranks; an existing file is replaced.
        format: file format of the sounds.
        progress: called after each sample of this rank.
        team: ranks that generate the samples.

    Returns:
        A summary of the written files.

    Raises:
        UserError: if rank 0 does not find the files of the other ranks.
    """
    team = team or Team()
    total = len(seeds) * player.variants
    parts = [path.with_name(f"{path.name}.{rank}") for rank in range(1, team.world.size)]
    try:
        with ZipFile(path if team.main else parts[team.world.rank - 1], "w", allowZip64=True) as archive:
            labels, ending = _write_share(player, seeds, archive, format, progress, team.share(total, BATCH))
            if team.main:
                team.meet()
                _append(archive, parts)
                labels += [label for _, label in islice(player.asked(seeds), len(labels), None)]
                with archive.open(ZipInfo("dataset.json"), "w", force_zip64=True) as file:
                    for text in _listing(player, seeds, labels, ending):
                        file.write(text.encode())
        if not team.main:
            team.meet()
        team.meet()
    finally:
        if not team.main:
            parts[team.world.rank - 1].unlink(missing_ok=True)
    what = "image" if player.model.codec is None else "sound"
    return f"{plural(total, what)}, dataset.json"


def _write_share(
    player: Player,
    seeds: Sequence[int],
    archive: ZipFile,
    format: SoundFormat,
    progress: Progress | None,
    share: range,
) -> tuple[list[Labels | None], str]:
    """Write this rank's fraction of the samples; return their labels and the file extension."""
    labels: list[Labels | None] = []
    ending = ""
    with TemporaryDirectory() as spare:
        for done, (seed, label, picture) in enumerate(_samples(player, seeds, share), 1):
            data, ending = _encoded(player, picture, seed, Path(spare), format)
            # A ZipInfo has a fixed date, so equal samples give equal bytes; PNG and sound are compressed already.
            archive.writestr(ZipInfo(f"{_place(player, share[done - 1], seed, label)}.{ending}"), data)
            labels.append(label)
            if progress:
                progress(done, len(share))
    return labels, ending


def _append(archive: ZipFile, parts: Sequence[Path]) -> None:
    """Copy the members of other zip files."""
    for part in parts:
        if not part.is_file():
            raise UserError(f"{part}, written by another rank, is missing; all ranks need one file system")
        with ZipFile(part) as other:
            for info in other.infolist():
                archive.writestr(ZipInfo(info.filename), other.read(info))


def _samples(
    player: Player, seeds: Sequence[int], share: range
) -> Iterator[tuple[int, Labels | None, NDArray[np.float32]]]:
    """Yield the seed, label [A] and image [C, h, w] of each of a rank's samples, generated in batches."""
    asked = islice(player.asked(seeds), share.start, share.stop)
    while part := list(islice(asked, BATCH)):
        latents, labels = [player.latent(seed) for seed, _ in part], [label for _, label in part]
        for (seed, label), picture in zip(part, player.pictures(latents, labels), strict=True):
            yield seed, label, picture


def _encoded(
    player: Player, picture: NDArray[np.float32], seed: int, spare: Path, format: SoundFormat
) -> tuple[bytes, str]:
    """Encode a sample: the bytes of its file and the extension."""
    if player.model.codec is not None:
        path = spare / f"sound.{format}"
        write_sound(path, player.finished(player.wave(picture, seed)), player.codec.sample_rate, format)
        return path.read_bytes(), format
    stream = BytesIO()
    tile(picture).save(stream, format="PNG")
    return stream.getvalue(), "png"


def _place(player: Player, index: int, seed: int, label: Labels | None) -> str:
    return f"{index // IN_A_FOLDER:05d}/{player.stem(seed, label)}"


def _listing(player: Player, seeds: Sequence[int], labels: Sequence[Labels | None], ending: str) -> Iterator[str]:
    """Yield the text of dataset.json, one sample at a time.

    A single categorical attribute is written as the index of its value; other labels as the networks' label vectors.
    """
    space = player.space
    if space is None or isinstance(space, MapSpace):
        yield json.dumps({"labels": None})
        return
    yield '{"labels": ['
    for index, label in enumerate(labels):
        assert label is not None
        seed = seeds[index // player.variants]
        name = f"{_place(player, index, seed, label)}.{ending}"
        yield f"{',' * (index > 0)}\n{json.dumps([name, _seen(space, label)])}"
    yield f'\n], "attributes": {json.dumps(space.state_dict())}}}\n'


def _seen(space: LabelSpace, label: Labels) -> int | list[float]:
    if len(space.attributes) == 1 and not space.continuous:
        return int(label[0])
    numbers: list[float] = space.one_hot(label[None])[0].tolist()
    return numbers
