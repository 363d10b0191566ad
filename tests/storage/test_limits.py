"""What unpacks to more than is meant is refused before it is unpacked."""

from __future__ import annotations

import gzip
import io
import tarfile
import zipfile
from base64 import b64encode
from pathlib import Path
from zlib import compress

import pytest

from pggan_framework.data.sources.packed import LARGEST, Bounded, open_tar, read_member
from pggan_framework.errors import UserError
from pggan_framework.labels.maps import space_from_state
from pggan_framework.models.fitting import build_generator
from pggan_framework.networks import Generator
from pggan_framework.schedules.growth import Growth
from pggan_framework.storage.limits import parse_json, read_text, value_range


def test_a_member_that_unpacks_to_much_more_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.png", bytes(100 << 20))
        archive.writestr("b.png", bytes(1 << 20))
    assert path.stat().st_size < 200_000
    with zipfile.ZipFile(path) as archive:
        with pytest.raises(ValueError, match="unpacks to 104,857,600 bytes"):
            read_member(archive, "a.png")
        assert read_member(archive, "b.png") == bytes(1 << 20)


def test_a_stream_ends_where_more_comes_out_than_can_be_meant() -> None:
    stream = Bounded(io.BytesIO(bytes(5000)), 1000)
    assert stream.read(900) == bytes(900)
    for size in (-1, LARGEST + 1):
        with pytest.raises(OSError, match="at once"):
            stream.read(size)
    with pytest.raises(OSError, match="unpacks to more than 1,000 bytes"):
        stream.seek(1001)


def test_a_header_of_a_tar_that_claims_gigabytes_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.tar.gz"
    claim = tarfile.TarInfo("././@PaxHeader")
    claim.type, claim.size = tarfile.XHDTYPE, 8 << 30
    with gzip.open(path, "wb") as file:
        file.write(claim.tobuf(tarfile.PAX_FORMAT))
        for _ in range(16):
            file.write(bytes(1 << 20))
    with pytest.raises((OSError, tarfile.TarError)), open_tar(path) as archive:
        archive.getmembers()


def test_json_nested_without_end_is_no_traceback() -> None:
    with pytest.raises(ValueError, match="nested too deep"):
        parse_json("[" * 200_000)
    assert parse_json('{"a": [1]}') == {"a": [1]}


def test_a_text_longer_than_due_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"x" * 11)
    with pytest.raises(ValueError, match="longer than 10 bytes"):
        read_text(path, 10)
    assert read_text(path, 11) == "x" * 11


def test_a_description_of_a_network_larger_than_its_weights_is_refused() -> None:
    growth = Growth.of((1, 8, 8))
    small = {"shape": growth, "fmap_base": 32, "fmap_max": 4, "latent_size": 4}
    weights = Generator(**small).state_dict()
    assert build_generator(Path("a"), Generator, small, weights).latent_size == 4
    huge = {**small, "latent_size": 1 << 28, "fmap_base": 1 << 30, "fmap_max": 1 << 15}
    with pytest.raises(UserError, match="does not describe its generator"):
        build_generator(Path("a"), Generator, huge, weights)


@pytest.mark.parametrize(
    "state",
    [
        {"channels": 1, "seed": [4, 4], "doubles": [[True, True]] * 60},
        {"channels": 1, "seed": [4, 4], "doubles": [[True, True]] * 100_000},
        {"channels": 1 << 40, "seed": [4, 4], "doubles": []},
        {"channels": 1, "seed": [0, 4], "doubles": []},
        {"channels": 1, "seed": [4, 4, 4], "doubles": []},
        {"channels": "x", "seed": [4, 4], "doubles": []},
        {"channels": 1, "seed": None, "doubles": []},
        {"seed": [4, 4], "doubles": []},
        {"channels": float("inf"), "seed": [4, 4], "doubles": []},
    ],
)
def test_a_growth_of_no_image_is_refused(state: dict[str, object]) -> None:
    with pytest.raises(UserError, match=r"^a\.pt is damaged"):
        Growth.from_state(state, "a.pt")


def test_stored_maps_unpack_to_no_more_than_their_shape() -> None:
    state = {
        "classes": [],
        "maps": b64encode(compress(bytes(300 << 20))).decode(),
        "shape": [1, 4, 4],
        "resize": "nearest",
    }
    with pytest.raises(ValueError, match="reshape"):
        space_from_state(state)
    with pytest.raises(UserError, match="not stored label maps"):
        space_from_state({**state, "shape": [1 << 20, 1 << 20, 1]})


@pytest.mark.parametrize("stored", [(1, 1), (1, -1), (-1, float("nan")), (float("-inf"), 1), "ab", [0], [0, 1, 2], 3])
def test_a_range_of_no_values_is_refused(stored: object) -> None:
    with pytest.raises(UserError, match=r"^a\.pt is damaged: its value range"):
        value_range(stored, Path("a.pt"))


def test_a_range_is_two_numbers() -> None:
    assert value_range([0, 255], Path("a.pt")) == (0.0, 255.0)
