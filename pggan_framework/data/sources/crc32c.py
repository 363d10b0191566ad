"""CRC-32C, the checksum of TFRecords (Castagnoli's polynomial; RFC 3720, appendix B.4), many bytes at a time."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

POLYNOMIAL = 0x82F63B78
"""0x1EDC6F41 with its bits reversed: the lowest bit of a register is that of the highest power."""
POWER = 6
"""The bytes are taken 2^6 at a time; what each value adds at each of so many places is in a table."""

Registers = NDArray[np.uint32]


def crc32c(data: bytes | memoryview) -> int:
    """The checksum of `data`: 0xE3069283 of ``b"123456789"``.

    It is linear over xor. So each byte is looked up by its value and its place in a piece, the register of a piece is
    the xor of what was found, and that of two pieces is the first one's, moved on by the second's length, xor the
    second's.
    """
    if len(data) < 4 << POWER:
        register = 0xFFFFFFFF
        for byte in data:
            register = _BYTES[(register ^ byte) & 0xFF] ^ register >> 8
        return register ^ 0xFFFFFFFF
    pieces = -(-len(data) >> POWER)
    padded = np.zeros(pieces << POWER, np.uint8)
    padded[-len(data) :] = np.frombuffer(data, np.uint8)  # zeros in front leave a register of zeros as it is
    start = len(padded) - len(data)
    padded[start : start + 4] ^= 0xFF  # the same as to begin with a register of ones
    registers = np.zeros(pieces, np.uint32)
    for table, column in zip(_places(), padded.reshape(pieces, -1).T.copy(), strict=True):
        registers ^= table.take(column)
    power = POWER
    while len(registers) > 1:
        if len(registers) % 2:
            registers = np.concatenate([np.zeros(1, np.uint32), registers])
        registers = _move(registers[::2], _zeros(power)) ^ registers[1::2]
        power += 1
    return int(registers[0]) ^ 0xFFFFFFFF


def masked(checksum: int) -> int:
    """The form in which a TFRecord holds a checksum: turned right by 15 bits, plus a constant."""
    return ((checksum >> 15 | checksum << 17) + 0xA282EAD8) & 0xFFFFFFFF


def _table() -> list[int]:
    """What each value of the lowest byte becomes while eight bits are shifted out."""
    table = []
    for register in range(256):
        for _ in range(8):
            register = register >> 1 ^ (POLYNOMIAL if register & 1 else 0)
        table.append(register)
    return table


_BYTES = _table()


@cache
def _places() -> Registers:
    """What each value of each byte of a piece adds to its register: [2^POWER, 256]."""
    rows = [np.array(_BYTES, np.uint32)]
    for _ in range((1 << POWER) - 1):
        rows.append(_move(rows[-1], _zeros(0)))
    return np.stack(rows[::-1])


@cache
def _zeros(power: int) -> Registers:
    """What 2^power bytes of zeros make of a register: the xor of its four bytes' entries in [4, 256]."""
    if power:
        half = _zeros(power - 1)
        return _move(_move(np.arange(256, dtype=np.uint32) << _SHIFTS, half), half)
    values = np.arange(256, dtype=np.uint32) << _SHIFTS
    first: Registers = np.array(_BYTES, np.uint32)[values & 0xFF] ^ values >> 8
    return first


_SHIFTS = np.array([[0], [8], [16], [24]], np.uint32)


def _move(registers: Registers, table: Registers) -> Registers:
    """Registers after the zeros of a `_zeros` table."""
    moved: Registers = table[0].take(registers & 0xFF)
    for byte in range(1, 4):
        moved = moved ^ table[byte].take(registers >> 8 * byte & 0xFF)
    return moved
