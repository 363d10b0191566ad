"""``pggan verify`` finds a stretch equal, and finds what differs; the data may move to another folder."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Iterator
from itertools import accumulate, count, repeat
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from tiny import TONES

from pggan_framework import UserError, run
from pggan_framework.cli.main import main
from pggan_framework.launch.verify import stretches, verify
from pggan_framework.plugins.depth import DepthManager
from pggan_framework.runs.folders import snapshots
from pggan_framework.training.checkpoint import load_checkpoint, save_checkpoint

FLAGS: dict[str, Any] = {
    **TONES,
    "DepthManager.tick_kimg_default": 0.02,
    "DepthManager.lod_training_nimg": 24,
    "DepthManager.lod_transition_nimg": 24,
    "SaverPlugin.network_snapshot_ticks": 1,
    "SaverPlugin.keep_old_checkpoints": True,
    "Adam.betas": (0.5, 0.9),
    "total_kimg": 0.06,
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with checkpoints at 20, 40 and 60 images, over a change of depth."""
    return run(overrides={**FLAGS, "result_dir": str(tmp_path_factory.mktemp("runs"))}).path


def test_checkpoints_within_a_thousand_images_have_names_of_their_own(trained: Path) -> None:
    names = [f"network-snapshot-{number}.pt" for number in ("000000", "000000.040", "000000.060")]
    assert [path.name for path in snapshots(trained)] == names
    assert [load_checkpoint(path)["nimg"] for path in snapshots(trained)] == [20, 40, 60]


def test_every_stretch_is_equal_bit_for_bit(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {path: path.stat().st_mtime_ns for path in trained.rglob("*")}
    assert main(["verify", str(trained), "--all", "--from_start"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(":")[0] for line in lines] == ["0 to 0.02 kimg", "0.02 to 0.04 kimg", "0.04 to 0.06 kimg"]
    assert all(line.endswith("tensors compared: equal bit for bit") for line in lines)
    assert {path: path.stat().st_mtime_ns for path in trained.rglob("*")} == before


def test_a_single_bit_is_found(trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = tmp_path / "000-x"
    shutil.copytree(trained, other)
    first, second, third = snapshots(other)
    third.unlink()
    state = load_checkpoint(second)
    name, weight = next((n, w) for n, w in state["networks"]["D"].items() if w.dim() == 4)
    weight[(0,) * weight.dim()].view(torch.int32).bitwise_xor_(1)
    save_checkpoint(second, state)
    assert main(["verify", str(other)]) == 1
    out = capsys.readouterr().out
    assert "1 value differs" in out and f"networks.D.{name}: 1 of {weight.numel()} values differ" in out
    result = verify(first, second)
    assert (result.first, result.last, len(result.differences)) == (20, 40, 1)


def test_what_cannot_be_verified_says_why(trained: Path, tmp_path: Path) -> None:
    other = tmp_path / "000-x"
    shutil.copytree(trained, other)
    for path in snapshots(other)[:-1]:
        path.unlink()
    with pytest.raises(UserError, match=r"has 1 checkpoint,.*keep_old_checkpoints True, or --from_start"):
        stretches(other)
    (last,) = snapshots(other)
    state = load_checkpoint(last)
    save_checkpoint(last, {**state, "trainer": {**state["trainer"], "stream": 1}})
    with pytest.raises(UserError, match="there was a rollback between"):
        verify(None, last)
    save_checkpoint(last, {**state, "data": "others"})
    with pytest.raises(UserError, match="the data differ from the run's"):
        verify(None, last)


def _photos(folder: Path, seed: int = 0) -> Path:
    folder.mkdir()
    noise = torch.Generator().manual_seed(seed)
    for number in range(8):
        pixels = torch.randint(0, 256, (16, 16, 3), generator=noise, dtype=torch.uint8).numpy()
        Image.fromarray(pixels).save(folder / f"{number}.png")
    return folder


def test_data_may_move_if_they_are_the_same(tmp_path: Path) -> None:
    photos = {name: value for name, value in FLAGS.items() if not name.startswith("TonesDataset")}
    photos |= {"dataset_class": "DefaultImageFolderDataset", "result_dir": str(tmp_path / "runs"), "total_kimg": 0.02}
    where = "DefaultImageFolderDataset.dir_path"
    run(overrides={**photos, where: str(_photos(tmp_path / "here"))})
    (tmp_path / "here").rename(tmp_path / "there")
    more = {
        "resume": "latest",
        "result_dir": str(tmp_path / "runs"),
        "total_kimg": 0.04,
        where: str(tmp_path / "there"),
    }
    with pytest.raises(UserError, match=r"dir_path: .*here -> .*there.*--moved_data True for the same data"):
        run(overrides=more)
    with pytest.raises(UserError, match=r"Adam.eps"):
        run(overrides={**more, "moved_data": True, "Adam.eps": 1e-3})
    with pytest.raises(UserError, match=r"other files or parameters than before"):
        run(overrides={**more, "moved_data": True, where: str(_photos(tmp_path / "others", 1))})
    assert run(overrides={**more, "moved_data": True}).nimg == 40
    # The stored configuration names the new folder.
    assert run(overrides={"resume": "latest", "result_dir": str(tmp_path / "runs"), "total_kimg": 0.06}).nimg == 60


def _by_clock(folder: Path, monkeypatch: pytest.MonkeyPatch, pace: Iterator[float], **more: Any) -> Path:
    """A run that grows by a clock whose readings are given: 20 seconds, half a fade at each of three depths."""
    monkeypatch.setattr(DepthManager, "now", lambda: next(pace))
    images = {name: value for name, value in FLAGS.items() if not name.startswith(("DepthManager.lod", "total"))}
    clock = {"schedule": "WallClockSchedule", "WallClockSchedule.minutes": 1 / 3, "WallClockSchedule.min_steps": 0}
    decay = {"WallClockSchedule.lr_decay_share": 0.5, "WallClockSchedule.fade_share": 0.5}
    return run(overrides={**images, **clock, **decay, **more, "result_dir": str(folder)}).path


@pytest.mark.parametrize("repeats", [1, 3])
def test_a_run_that_grew_by_the_clock_grows_again_as_it_did(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, repeats: int
) -> None:
    draw = random.Random(repeats)
    pace = accumulate(draw.uniform(0.05, 0.7) for _ in count())
    trained = _by_clock(tmp_path, monkeypatch, pace, **{"DepthManager.minibatch_repeats": repeats})
    last = load_checkpoint(snapshots(trained)[-1])
    assert last["networks"]["depth"] > 1
    assert last["trainer"]["tick_start_nimg"] == last["nimg"]  # the last tick is closed, though it may be short
    found = stretches(trained, from_start=True)
    assert [verify(*stretch).differences for stretch in found] == [()] * len(found)
    assert len(found) >= 2


def test_a_clock_without_a_record_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trained = _by_clock(tmp_path, monkeypatch, accumulate(repeat(1.0)))
    first, second = snapshots(trained)[:2]
    state = load_checkpoint(second)
    rows = state["plugins"]["DepthManager"].pop("recorded")
    save_checkpoint(second, state)
    with pytest.raises(UserError, match="has no record of it from 20 images on"):
        verify(first, second)
    for other in (rows[rows[:, 0] > 20], rows * float("nan"), rows + 9, rows[:, :3], "rows", None):
        state["plugins"]["DepthManager"]["recorded"] = other
        save_checkpoint(second, state)
        with pytest.raises(UserError, match="has no record of it from 20 images on"):
            verify(first, second)


def test_checkpoints_are_known_by_their_content(trained: Path, tmp_path: Path) -> None:
    other = tmp_path / "000-x"
    shutil.copytree(trained, other)
    first, second, third = snapshots(other)
    shutil.copy(third, other / "network-best.pt")
    second.rename(other / "network-snapshot-000007.pt")
    images = [
        (None if a is None else load_checkpoint(a)["nimg"], load_checkpoint(b)["nimg"]) for a, b in stretches(other)
    ]
    assert images == [(20, 40), (40, 60)]


def test_a_run_from_another_model_is_recomputed_from_its_weights(trained: Path, tmp_path: Path) -> None:
    grown = run(
        overrides={
            **FLAGS,
            "resume_network": str(snapshots(trained)[-1]),
            "result_dir": str(tmp_path),
            "random_seed": 3,
        }
    ).path
    (first, *_) = stretches(grown, from_start=True)
    assert verify(*first).differences == ()


def test_ranks_are_refused(trained: Path, tmp_path: Path) -> None:
    other = tmp_path / "000-x"
    shutil.copytree(trained, other)
    facts = json.loads((other / "environment.json").read_text())
    (other / "environment.json").write_text(json.dumps({**facts, "processes": "4"}))
    with pytest.raises(UserError, match="trained by 4 processes"):
        stretches(other)
