"""Load trained models by run, path or URL, for `pggan_framework.load_generator` and torch.hub."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import Protocol
from urllib.parse import unquote, urlsplit

import torch

from pggan_framework.errors import UserError
from pggan_framework.models import pretrained
from pggan_framework.models.exported import CONFIG, ENDING, WEIGHTS
from pggan_framework.models.pretrained import Pretrained, Weights
from pggan_framework.runs.folders import find_checkpoint

SCHEMES = ("http", "https", "file")


class HasPath(Protocol):
    """A run: the result of `pggan_framework.run`, or a `pggan_framework.Run`."""

    @property
    def path(self) -> Path:
        """The folder of the run."""


def load_generator(
    model: str | Path | HasPath = "latest", weights: Weights | None = None, depth: int | None = None
) -> Pretrained:
    """Load a trained generator with its codec and labels onto the CPU.

    ``load_generator("results/003-piano").sounds(4)`` generates four sounds, which a notebook plays.

    Args:
        model: a run or its folder (the best checkpoint is used), ``latest`` in ``results``, a checkpoint, exported
            weights or their folder, or the URL of a checkpoint or exported weights.
        weights: ``ema`` or ``raw``; by default ``ema``, or the exported generator.
        depth: depth of the images; by default the deepest trained depth.

    Raises:
        UserError: if the file does not exist, cannot be downloaded, or is of another kind.
    """
    name = str(model if isinstance(model, (str, Path)) else model.path)
    path = _download(name) if urlsplit(name).scheme in SCHEMES else find_checkpoint(name, Path("results"))[1]
    found = pretrained.load_generator(path, weights)
    return found if depth is None else found.at_depth(depth)


def _download(address: str) -> Path:
    """The file at a URL, cached in torch's folder under a name derived from the URL."""
    name = PurePosixPath(unquote(urlsplit(address).path)).name
    folder = Path(torch.hub.get_dir()) / "pggan_framework" / sha256(address.encode()).hexdigest()[:16]
    wanted = {name: address}
    if name.endswith(ENDING):
        # The JSON in a model's folder has a different name.
        beside = CONFIG if name == WEIGHTS else f"{name}.json"
        parts = urlsplit(address)
        wanted[beside] = parts._replace(path=f"{parts.path.rpartition('/')[0]}/{beside}").geturl()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for file, url in wanted.items():
            if not (folder / file).is_file():
                torch.hub.download_url_to_file(url, str(folder / file), progress=False)
    except (OSError, ValueError) as error:
        raise UserError(f"{address} cannot be downloaded: {error}") from error
    return folder / name
