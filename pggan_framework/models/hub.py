"""Models by a path or an address, for torch.hub."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

import torch

from pggan_framework.errors import UserError
from pggan_framework.models.exported import CONFIG, ENDING, WEIGHTS
from pggan_framework.models.pretrained import Pretrained, Weights, load_generator
from pggan_framework.runs.folders import find_checkpoint

SCHEMES = ("http", "https", "file")


def load(model: str | Path, weights: Weights | None = None, depth: int | None = None) -> Pretrained:
    """A trained model from a path or an address.

    Args:
        model: a checkpoint, a run's folder, exported weights or their folder; or the address of a checkpoint or of
            exported weights.
        weights: which generator; by default ema, or whichever was exported.
        depth: of its pictures; the deepest trained by default.

    Raises:
        UserError: if there is no such file, it cannot be downloaded, or it is none of these.
    """
    path = _download(str(model)) if urlsplit(str(model)).scheme in SCHEMES else None
    if path is None:
        _, path = find_checkpoint(str(model), Path("results"))
    found = load_generator(path, weights)
    return found if depth is None else found.at_depth(depth)


def _download(address: str) -> Path:
    """The file at an address, kept in torch's folder under a name of the address's own."""
    name = PurePosixPath(unquote(urlsplit(address).path)).name
    folder = Path(torch.hub.get_dir()) / "pggan_framework" / sha256(address.encode()).hexdigest()[:16]
    wanted = {name: address}
    if name.endswith(ENDING):
        # The JSON of a model's folder has a name of its own.
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
