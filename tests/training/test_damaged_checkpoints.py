"""A bit that flips in a checkpoint is noticed or harmless; a file from a stranger takes no more than it has."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pggan_framework.errors import DamagedError, UserError
from pggan_framework.runs.folders import newest_intact
from pggan_framework.training.checkpoint import FORMAT, PARTS, load_checkpoint, save_checkpoint

FLIPS = 150


def _state(seed: int = 0) -> dict[str, Any]:
    random = torch.Generator().manual_seed(seed)
    return {
        part: {"weights": torch.randn(50, generator=random), "text": "abc" * 20, "number": 0.1 * index}
        for index, part in enumerate(PARTS)
    }


def _equal(first: Any, second: Any) -> bool:
    if isinstance(first, torch.Tensor):
        return torch.equal(first, second)
    if isinstance(first, dict):
        return first.keys() == second.keys() and all(_equal(first[key], second[key]) for key in first)
    return bool(first == second)


def test_flipped_bits_are_noticed_or_harmless(tmp_path: Path) -> None:
    path = tmp_path / "a.pt"
    save_checkpoint(path, _state())
    whole = path.read_bytes()
    expected = load_checkpoint(path)
    random, noticed = np.random.default_rng(0), 0
    for place in random.choice(8 * len(whole), FLIPS, replace=False).tolist():
        data = bytearray(whole)
        data[place // 8] ^= 1 << place % 8
        path.write_bytes(data)
        try:
            found = load_checkpoint(path)
        except UserError:
            noticed += 1
        else:
            assert _equal(found, expected), place
    assert noticed > FLIPS // 3


def test_the_bits_of_weights_are_all_noticed(tmp_path: Path) -> None:
    path = tmp_path / "a.pt"
    save_checkpoint(path, _state())
    whole = path.read_bytes()
    start = whole.index(_state()["ema"]["weights"].numpy().tobytes())
    for bit in range(0, 8 * 200, 37):
        data = bytearray(whole)
        data[start + bit // 8] ^= 1 << bit % 8
        path.write_bytes(data)
        with pytest.raises(DamagedError, match="CRC"):
            load_checkpoint(path)


def test_the_newest_intact_one_is_used_and_the_others_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = [tmp_path / f"network-snapshot-{kimg:06d}.pt" for kimg in (1, 2, 3)]
    for seed, path in enumerate(paths):
        save_checkpoint(path, _state(seed))
    assert newest_intact(paths) == paths[2]
    assert not capsys.readouterr().err
    content = bytearray(paths[2].read_bytes())
    content[content.index(_state(2)["ema"]["weights"].numpy().tobytes())] ^= 1
    paths[2].write_bytes(content)
    assert newest_intact(paths) == paths[1]
    assert f"warning: {paths[2]} is damaged" in capsys.readouterr().err
    for path in paths:
        path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(DamagedError, match="no intact checkpoint"):
        newest_intact(paths)


def test_a_file_that_reads_back_damaged_does_not_replace_the_older_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.pt"
    save_checkpoint(path, _state(1))
    before = path.read_bytes()
    really = torch.save

    def bad(state: Any, file: Path) -> None:
        really(state, file)
        content = bytearray(file.read_bytes())
        content[content.index(_state(2)["ema"]["weights"].numpy().tobytes())] ^= 4
        file.write_bytes(content)

    monkeypatch.setattr(torch, "save", bad)
    with pytest.raises(UserError, match="cannot write the checkpoint"):
        save_checkpoint(path, _state(2))
    assert path.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == ["a.pt"]


@pytest.mark.parametrize(
    "content", [b"", b"a text file\n", b"{}", b"\x80\x02.", b"PK\x03\x04", b"PK\x05\x06" + bytes(18)]
)
def test_what_is_no_checkpoint_is_one_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.pt"
    path.write_bytes(content)
    with pytest.raises(UserError, match="cannot be read as a checkpoint") as caught:
        load_checkpoint(path)
    assert "\n" not in str(caught.value)


def _laughs(levels: int) -> Any:
    value: Any = [0]
    for _ in range(levels):
        value = [value] * 9
    return value


def _deep(levels: int) -> Any:
    value: Any = 0
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.filterwarnings("ignore:Sparse invariant")
@pytest.mark.parametrize(
    ("value", "message"),
    [
        (lambda: _laughs(12), "too many or nested too deep"),
        (lambda: _deep(200), "too many or nested too deep"),
        (lambda: torch.zeros(1).expand(1 << 20, 1 << 20), "larger than what is stored"),
        (lambda: torch.zeros(1 << 20, 1 << 20, device="meta"), "larger than what is stored"),
        (lambda: torch.sparse_coo_tensor(torch.zeros(1, 1, dtype=torch.long), [1.0], (1 << 40,)), "larger than"),
    ],
)
def test_values_that_take_more_than_the_file_are_refused(tmp_path: Path, value: Any, message: str) -> None:
    path = tmp_path / "a.pt"
    torch.save({"format": FORMAT, "version": 1, **_state(), "data": value()}, path)
    assert path.stat().st_size < 1 << 20
    with pytest.raises(UserError, match=message):
        load_checkpoint(path)


def test_compressed_members_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.pt"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/data/0", bytes(10_000_000))
    with pytest.raises(UserError, match="compressed"):
        load_checkpoint(path)
