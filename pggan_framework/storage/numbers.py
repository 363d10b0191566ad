"""Numbers in the names of a run's files: thousands of images, unique for each file."""

from __future__ import annotations

NUMBER = r"\d{6,}(?:\.\d{3})?"
"""Regular expression, without groups, that matches the results of `Numbers.of`."""


class Numbers:
    """Numbers files by thousands of images, ``000120``; further files in the same thousand by images, ``000120.384``.

    The result depends only on the images of the last file, so a resumed run uses the same names.
    """

    def __init__(self) -> None:
        self.last = -1
        """Number of images at the last file; -1 before the first file."""
        self._given = (-1, "")

    def of(self, nimg: int) -> str:
        """The number of a file written at `nimg` images; repeated calls return the same number."""
        if self._given[0] == nimg == self.last:
            return self._given[1]
        earlier, self.last = self.last, nimg
        collides = earlier >= 0 and earlier != nimg and earlier // 1000 == nimg // 1000
        self._given = nimg, f"{nimg // 1000:06d}.{nimg % 1000:03d}" if collides else f"{nimg // 1000:06d}"
        return self._given[1]


def kimg_of(number: str) -> float:
    """Thousands of images for a number from `Numbers.of`; a whole number for ``000120``."""
    return float(number) if "." in number else int(number)
