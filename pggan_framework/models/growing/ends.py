"""Mappings at both ends of the networks, between images of source and target, and checks for unsupported changes."""

from __future__ import annotations

from math import log

from pggan_framework.audio.base import Codec
from pggan_framework.audio.magnitude import KNEE, MagnitudeCodec
from pggan_framework.errors import UserError
from pggan_framework.models.growing.channels import image_space
from pggan_framework.models.growing.networks import Between
from pggan_framework.models.growing.positions import Places, axis_space, by_frequency, by_time, same_places, seed_space
from pggan_framework.networks.base import GrowingNetwork
from pggan_framework.schedules.growth import Growth

FAMILIES = (("abslog", "mellog"), ("if", "ifmel"), ("complex",), ("reallog",), ("raw",))
"""Codecs whose images can be mapped to each other because their values have the same meaning."""
QUIET = 0.01
"""Level difference in dB below which no correction is applied."""


def between(source: GrowingNetwork, target: GrowingNetwork, codecs: tuple[Codec | None, Codec | None]) -> Between:
    """The mappings at both ends of a pair of networks.

    Args:
        source: trained network.
        target: new network of the same kind, generator or discriminator.
        codecs: codecs of source and target.

    Raises:
        UserError: if no mapping exists.
    """
    old, new = codecs
    check_codecs(old, new)
    check_growth(source.growth, target.growth)
    kinds = 1 if new is None else new.shape[0] // new.channels
    channels = source.growth.channels, target.growth.channels
    image = image_space(channels, kinds, level_shift(old, new), new is not None)
    down: Places = same_places
    across: Places = same_places
    longer = 1.0
    if old is not None and new is not None and old.row_hz() is not None and new.row_hz() is not None:
        down, across = by_frequency(old, new), by_time(old, new)
        lengths = [end - start for start, end in (codec.time_range() for codec in (old, new))]
        longer = lengths[1] / lengths[0]
    return Between(
        image,
        seed_space(source.growth.seed, target.growth.seed, down, across),
        axis_space(source.growth.shape[1], target.growth.shape[1], down),
        round(target.growth.shape[2] / source.growth.shape[2] / longer, 9),
    )


def check_codecs(old: Codec | None, new: Codec | None) -> None:
    """Check that the images of one codec can be mapped to another codec.

    Raises:
        UserError: if they cannot.
    """
    if new is None and old is None or old is None:
        return
    if new is None:
        raise UserError(
            f"the model makes sounds ({old.name}), and the data are images: all layers would have to be retrained;"
            " allowed: recordings"
        )
    family = next((names for names in FAMILIES if old.name in names), (old.name,))
    if new.name not in family:
        raise UserError(
            f"the model's codec is {old.name}, and {new.name} is requested: there is no mapping, so that all layers"
            f" would have to be retrained; allowed: {', '.join(family)}"
        )
    if old.name == "raw" and old.parameters != new.parameters:
        raise UserError(
            "images of the codec raw are folded waveforms, and another fold or sample rate has no mapping: all layers"
            " would have to be retrained; allowed: the same parameters"
        )
    columns = [codec.time_range() for codec in (old, new)]
    seconds = [(end - start) / codec.shape[2] for (start, end), codec in zip(columns, (old, new), strict=True)]
    if old.name in ("if", "ifmel") and abs(seconds[0] / seconds[1] - 1) > 0.01:
        raise UserError(
            f"phase steps of the codec {old.name} are those of a column, and columns of {1000 * seconds[0]:.3g} ms"
            f" would become columns of {1000 * seconds[1]:.3g} ms: the layers to the image would have to be retrained;"
            " allowed: the same hop_length in seconds"
        )


def check_growth(source: Growth, target: Growth) -> None:
    """Check that the blocks of each depth enlarge images in the same way in both networks.

    Raises:
        UserError: if they do not.
    """
    shared = min(source.max_depth, target.max_depth)
    if source.doubles[:shared] == target.doubles[:shared]:
        return
    depth = next(d for d in range(shared) if source.doubles[d] != target.doubles[d]) + 1
    words = ["x".join(map(str, growth.factor(depth))) for growth in (source, target)]
    raise UserError(
        f"block {depth} of the model enlarges {words[0]} times (height x width), and {words[1]} times is requested: it"
        f" would have to be retrained; allowed: a seed_shape from which both sides double as the model's do, from"
        f" {source.seed[0]},{source.seed[1]}"
    )


def level_shift(old: Codec | None, new: Codec | None) -> float:
    """The offset of image values that preserves the level of a tone if the codecs have different peaks.

    The offset is exact to 0.2 dB down to 40 dB below the peak; near silence, the curve is not logarithmic.
    """
    if not isinstance(old, MagnitudeCodec) or not isinstance(new, MagnitudeCodec):
        return 0.0
    if "peak" not in old.statistics or "peak" not in new.statistics:
        return 0.0
    # The magnitude of a tone is proportional to the window length.
    ratio = old.statistics["peak"] / old.n_fft * new.n_fft / new.statistics["peak"]
    return 0.0 if abs(20 * log(ratio) / log(10)) < QUIET else 2 * log(ratio) / log(1 + KNEE)
