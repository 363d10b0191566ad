"""The masked checksum of TFRecords, against published examples of CRC-32C masked by hand."""

from __future__ import annotations

import pytest

from pggan_framework.data.sources.tfrecords import _checksum


# The check value of every catalogue of CRCs, and examples of RFC 3720, appendix B.4.
@pytest.mark.parametrize(
    ("data", "crc"),
    [(b"123456789", 0xE3069283), (b"", 0), (bytes(32), 0x8A9136AA), (b"\xff" * 32, 0x62A8AB43)],
)
def test_published_checksums_turned_by_15_bits(data: bytes, crc: int) -> None:
    turned = int(f"{crc:032b}"[-15:] + f"{crc:032b}"[:-15], 2)
    assert _checksum(data) == (turned + 0xA282EAD8) % 2**32
