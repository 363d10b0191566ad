"""Detect the system that a file comes from."""

from __future__ import annotations

from pathlib import Path

from pggan_framework.errors import UserError
from pggan_framework.models.importing import deepsound, gan_zoo, karras, torch_files
from pggan_framework.models.importing.foreign import Foreign
from pggan_framework.training.checkpoint import FORMAT

KINDS = (
    "network-*.pkl of the original PGGAN, network-snapshot-generator-*.dat of deepsound-project/pggan-pytorch,"
    " *_s*_i*.pt of facebookresearch/pytorch_GAN_zoo"
)


def read_foreign(path: Path, discriminator: Path | None = None) -> Foreign:
    """Read a model of another system.

    Args:
        path: path of the model file.
        discriminator: path of the discriminator's file, for systems with two files; by default the file next to `path`.

    Raises:
        UserError: if the system is not supported, the file is truncated, damaged or would run code, or the model has a
            feature that our networks lack.
    """
    if not path.is_file():
        raise UserError(f"{path} does not exist; allowed: {KINDS}")
    if discriminator is not None and not discriminator.is_file():
        raise UserError(f"--discriminator {discriminator} does not exist")
    with path.open("rb") as file:
        start = file.read(len(torch_files.LEGACY))
    if start == torch_files.LEGACY or start.startswith(torch_files.ZIP):
        return _from_torch(path, discriminator)
    if discriminator is not None:
        raise UserError(f"--discriminator {discriminator} is given, but {path} holds both networks, if any")
    if not start.startswith((b"\x80", b"(", b"c", b"]", b"}")):
        raise UserError(f"{path} is not a model file of a supported system; allowed: {KINDS}")
    return karras.read(path)


def _from_torch(path: Path, discriminator: Path | None) -> Foreign:
    found = torch_files.read_torch_file(
        path, lambda module, attribute: deepsound.allowed(module, attribute) or gan_zoo.allowed(module, attribute)
    )
    if deepsound.is_network(found):
        return deepsound.read(path, found, discriminator or deepsound.partner(path))
    if discriminator is not None:
        raise UserError(f"--discriminator {discriminator} is given, but {path} holds both networks, if any")
    if gan_zoo.is_checkpoint(found):
        return gan_zoo.read(path, found)
    if isinstance(found, dict) and found.get("format") == FORMAT:
        raise UserError(f"{path} is a checkpoint of this project already")
    if any(".c1.conv." in str(key) for key in torch_files.keys(found)):
        raise UserError(
            f"{path} is a state dict of deepsound's trainer, without layer constants; allowed: the whole module,"
            " network-snapshot-generator-*.dat"
        )
    raise UserError(f"{path} is a torch file, but not a model of a supported system; allowed: {KINDS}")
