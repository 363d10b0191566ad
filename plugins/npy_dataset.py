"""Example of a user-defined dataset: images from one numpy array."""

from hashlib import sha256
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pggan_framework import DepthDataset, UserError, register


@register("dataset")
class NpyDataset(DepthDataset):
    """Images from a ``.npy`` file, uint8 [N, C, H, W], read from the disk on demand.

    Args:
        path: path of the ``.npy`` file.
        model_dataset_depth_offset: log2 of the shorter side of the images at depth 0.
    """

    def __init__(self, path: Path, model_dataset_depth_offset: int = 2) -> None:
        try:
            self.array = np.load(path, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError) as error:
            raise UserError(f"NpyDataset.path: {path} cannot be read as a .npy file: {error}") from error
        if self.array.ndim != 4 or self.array.dtype != np.uint8:
            raise UserError(
                f"NpyDataset.path: {path} is {self.array.dtype} {self.array.shape}; allowed: uint8 [N, C, H, W]"
            )
        super().__init__(self.array.shape[1:], model_dataset_depth_offset)

    def __len__(self) -> int:
        return len(self.array)

    def image(self, index: int) -> NDArray[np.uint8]:
        """Return image `index`, [C, H, W]."""
        return np.asarray(self.array[index])

    def fingerprint(self) -> str:
        """Return a digest of shape and pixels."""
        return sha256(repr(self.array.shape).encode() + self.array.tobytes()).hexdigest()[:16]
