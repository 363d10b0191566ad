"""CRC-32C against the published examples and the definition, bit by bit."""

from __future__ import annotations

import pytest
from foreign import crc_by_definition
from hypothesis import given, settings
from hypothesis import strategies as st

from pggan_framework.data.sources.crc32c import crc32c, masked


# The first: the check value of every catalogue of CRCs. The others: RFC 3720, appendix B.4.
@pytest.mark.parametrize(
    ("data", "checksum"),
    [
        (b"123456789", 0xE3069283),
        (b"", 0),
        (bytes(32), 0x8A9136AA),
        (b"\xff" * 32, 0x62A8AB43),
        (bytes(range(32)), 0x46DD794E),
        (bytes(range(31, -1, -1)), 0x113FDB5C),
        (
            bytes.fromhex(
                "01c00000" + "00" * 12 + "1400000000000400" + "0000001400000018" + "28" + "00" * 7 + "02" + "00" * 7
            ),
            0xD9963A56,
        ),
    ],
)
def test_published_checksums(data: bytes, checksum: int) -> None:
    assert crc32c(data) == crc32c(memoryview(data)) == checksum


@settings(deadline=None, max_examples=30)
@given(st.integers(200, 2000), st.randoms(use_true_random=False))
def test_long_data_by_definition(length: int, random: object) -> None:
    data = random.randbytes(length)  # type: ignore[attr-defined]
    assert crc32c(data) == crc_by_definition(data)
    at = length // 3
    changed = data[:at] + bytes([data[at] ^ 4]) + data[at + 1 :]
    assert crc32c(changed) != crc32c(data)


def test_the_mask() -> None:
    # By hand: 1 turned right by 15 is 1 << 17, plus 0xA282EAD8.
    assert masked(1) == 0xA284EAD8
    assert masked(1 << 15) == 0xA282EAD9
    assert masked(0xFFFFFFFF) == 0xA282EAD7
