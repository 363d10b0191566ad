"""What a model is to become -> sizes and a seed block that keep frequencies, times and depths where they were."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pggan_framework.audio import Codec, build_codec
from pggan_framework.config import resolve_overrides
from pggan_framework.errors import UserError
from pggan_framework.planning.targets import Facts, grown
from pggan_framework.schedules.growth import Growth


def facts(codec: Codec | None, seed: tuple[int, int], shape: tuple[int, ...] | None = None, **more: Any) -> Facts:
    name = "DefaultImageFolderDataset" if codec is None else "SoundImageDataset"
    config = resolve_overrides(None, {"dataset_class": name, f"{name}.dir_path": "data", **more}).to_dict()
    growth = Growth.of(codec.shape if codec else shape or (3, 16, 16), seed)
    return Facts(config, growth, codec, float(growth.max_depth), "results/000-a/network-snapshot-000004.pt")


LINEAR = build_codec("abslog", sample_rate=8000, n_fft=512, hop_length=128, frames=64, margin=2)
MEL = build_codec("mellog", sample_rate=8000, n_fft=256, hop_length=128, frames=64, mels=64, margin=2)


@pytest.mark.parametrize(
    ("to", "seed", "shape"),
    [
        ({"rate": 16000}, [32, 8], (512, 64)),
        ({"rate": 16000, "seconds": 1.92}, [32, 16], (512, 128)),
        ({"n_fft": 1024}, [16, 8], (512, 64)),
        ({"bins": 512, "frames": 128, "hop": 64}, [16, 8], (512, 128)),
        ({"rate": 4000}, [8, 8], (128, 64)),
    ],
    ids=str,
)
def test_cells_of_the_seed_block_keep_their_hertz_and_seconds(
    to: dict[str, Any], seed: list[int], shape: tuple[int, int]
) -> None:
    source = facts(LINEAR, (16, 8))
    data = grown(source, to)["SoundImageDataset"]
    assert data["seed_shape"] == seed and (data["n_fft"] // 2, data["frames"]) == shape
    old = (4000 / 16, 64 * 128 / 8000 / 8)
    new = (data["frequency"] / 2 / seed[0], data["frames"] * data["hop_length"] / data["frequency"] / seed[1])
    np.testing.assert_allclose(new, old, rtol=0.01)


@pytest.mark.parametrize("rate", [4000, 11025, 16000, 32000])
def test_mel_bands_keep_their_spacing(rate: int) -> None:
    data = grown(facts(MEL, (8, 8)), {"rate": rate})["SoundImageDataset"]
    sizes = {"n_fft": data["n_fft"], "hop_length": data["hop_length"], "mels": data["bins"]}
    new = build_codec("mellog", sample_rate=rate, **sizes)
    old_hz, hz = np.asarray(MEL.row_hz()), np.asarray(new.row_hz())
    both = min(len(old_hz), len(hz))
    # A seed cell is 8 bands: none is off by more than a third of one, in the half that both have.
    places = np.interp(hz[: both // 2], old_hz, np.arange(len(old_hz)))
    assert np.abs(places - np.arange(both // 2)).max() < 8 / 3
    assert data["bins"] % 8 == 0 and data["seed_shape"][0] == data["bins"] // 8


def test_images_keep_their_seed_block_and_begin_where_they_stopped() -> None:
    source = facts(None, (4, 4), **{"DepthManager.minibatch_overrides": {2: 8}})
    config = grown(source, {"size": 64, "channels": "grey", "width": 2, "Adam.eps": 1e-6})
    data = config["DefaultImageFolderDataset"]
    assert (data["size"], data["seed_shape"], data["resize"], data["imread_mode"]) == (64, [4, 4], "crop", "L")
    assert config["DepthManager"]["trained_depth"] == 2.0 and config["resume_network"] == source.checkpoint
    assert config["Generator"]["fmap_max"] == 1024 and config["Adam"]["eps"] == 1e-6
    smaller = grown(source, {"size": 8})
    assert smaller["DepthManager"]["trained_depth"] == 1.0 and smaller["DepthManager"]["minibatch_overrides"] == {}
    assert grown(source, {"labels": "none"})["DefaultImageFolderDataset"]["labels"] is None
    assert grown(source, {"labels": "folder"})["DefaultImageFolderDataset"]["labels"] == ["folder"]


@pytest.mark.parametrize(
    ("to", "message"),
    [
        ({"rate": 16000}, "--to rate is given"),
        ({"size": 24}, "is not the seed block's 4 times a power of two"),
        ({"channels": "stereo"}, "allowed for DefaultImageFolderDataset: grey, colour, opacity"),
        ({"width": "wide"}, "allowed: a factor of 1 and up"),
    ],
)
def test_targets_that_do_not_fit_are_refused(to: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        grown(facts(None, (4, 4)), to)
