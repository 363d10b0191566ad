"""How many files there are decides what is frozen, at which rate and for how long."""

from __future__ import annotations

import pytest
from test_grown_targets import LINEAR, facts

from pggan_framework.config.discovery import load_builtin
from pggan_framework.errors import UserError
from pggan_framework.planning.choose import Choice
from pggan_framework.planning.finetune import adjust

SOUND = Choice(
    {"dataset_class": "SoundImageDataset", "SoundImageDataset": {"dir_path": "new", "bins": 64, "too_short": "pad"}},
    ["found: 40 recordings", "size: spectrograms"],
    {},
)


@pytest.mark.parametrize(
    ("count", "factor", "frozen", "minutes"), [(40, 0.25, 3, 3.0), (120, 0.5, 1, 6.0), (800, 1.0, 0, 10.0)]
)
def test_fewer_files_train_less(count: int, factor: float, frozen: int, minutes: float) -> None:
    load_builtin()
    source = facts(LINEAR, (32, 8), G_lr_max=0.004)
    found = adjust(SOUND, source, count, {})
    assert found.config["G_lr_max"] == 0.004 * factor and found.config["minutes"] == minutes
    assert found.config.get("FreezeD", {}).get("blocks", 0) == frozen
    assert ("FreezeD" in found.config.get("plugins", [])) == bool(frozen)
    data = found.config["SoundImageDataset"]
    assert data["n_fft"] == 512 and "bins" not in data and data["seed_shape"] == [32, 8] and data["dir_path"] == "new"
    assert found.config["DepthManager"]["trained_depth"] == 3.0
    assert not any(line.startswith("size:") for line in found.lines)


@pytest.mark.parametrize(
    ("discriminator", "frozen"),
    [("Discriminator", 3), ("ProjectionDiscriminator", 3), ("R3GANDiscriminator", 0), ("ProjectedDiscriminator", 0)],
)
def test_only_blocks_that_freezed_knows_are_frozen(discriminator: str, frozen: int) -> None:
    load_builtin()
    found = adjust(SOUND, facts(LINEAR, (32, 8), discriminator=discriminator), 40, {})
    assert found.config.get("FreezeD", {}).get("blocks", 0) == frozen
    assert any(line.startswith("frozen: nothing") for line in found.lines) == (not frozen)


def test_given_minutes_stay() -> None:
    load_builtin()
    assert adjust(SOUND, facts(LINEAR, (32, 8)), 40, {"minutes": 7}).config["minutes"] == 7


def test_images_for_sounds_are_refused_in_a_line() -> None:
    with pytest.raises(UserError, match="the model makes images, and the folder holds recordings") as refused:
        adjust(SOUND, facts(None, (4, 4)), 40, {})
    assert "\n" not in str(refused.value)
