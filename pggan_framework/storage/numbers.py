"""Numbers in the names of a run's files: thousand images, unique per file."""

from __future__ import annotations

NUMBER = r"\d{6,}(?:\.\d{3})?"
"""What `Numbers.of` gives, as a regular expression without groups."""


class Numbers:
    """Numbers files by thousand images, ``000120``; later ones within the same thousand by images, ``000120.384``.

    What it gives depends on the images of the last file alone, so that a resumed run gives the same.
    """

    def __init__(self) -> None:
        self.last = -1
        """Images at the last file; -1 before the first."""
        self._given = (-1, "")

    def of(self, nimg: int) -> str:
        """The number of a file that is written at `nimg` images; asked again, the same one."""
        if self._given[0] == nimg == self.last:
            return self._given[1]
        earlier, self.last = self.last, nimg
        collides = earlier >= 0 and earlier != nimg and earlier // 1000 == nimg // 1000
        self._given = nimg, f"{nimg // 1000:06d}.{nimg % 1000:03d}" if collides else f"{nimg // 1000:06d}"
        return self._given[1]


def kimg_of(number: str) -> float:
    """Thousand images, of a number that `Numbers.of` has given; of ``000120`` the whole thousands."""
    return float(number) if "." in number else int(number)
