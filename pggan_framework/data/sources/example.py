"""Read ``tf.train.Example`` messages with a minimal subset of Protocol Buffers."""

from __future__ import annotations

from collections.abc import Iterator

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
"""Wire types of a field's value."""

Value = list[bytes] | list[int] | None
"""A feature's bytes or integers; None for floats or an empty feature."""


def parse_example(message: bytes) -> dict[str, Value]:
    """The features of an Example by name.

    The message is ``Example {Features features = 1}``, ``Features {map<string, Feature> feature = 1}``, ``Feature
    {oneof {BytesList bytes_list = 1, FloatList float_list = 2, Int64List int64_list = 3}}``, and each list ``{repeated
    value = 1}``. Fields with other numbers are skipped, as the format requires.

    Raises:
        ValueError: if the bytes are not an Example.
    """
    features: dict[str, Value] = {}
    for entries in _messages(memoryview(message), 1):
        for entry in _messages(entries, 1):
            names, values = list(_messages(entry, 1)), list(_messages(entry, 2))
            name = bytes(names[-1]).decode() if names else ""
            features[name] = _feature(values[-1]) if values else None
    return features


def _feature(message: memoryview) -> Value:
    found: Value = None
    for number, value in _fields(message):
        if number == 1 and isinstance(value, memoryview):
            found = [bytes(item) for item in _messages(value, 1)]
        elif number == 3 and isinstance(value, memoryview):
            integers: list[int] = []
            for inner, item in _fields(value):
                if inner == 1:
                    integers += [item] if isinstance(item, int) else _packed(item)
            found = integers
    return found


def _messages(message: memoryview, wanted: int) -> Iterator[memoryview]:
    """The values of a repeated bytes field."""
    for number, value in _fields(message):
        if number == wanted and isinstance(value, memoryview):
            yield value


def _packed(values: memoryview) -> list[int]:
    """Read consecutive integers."""
    found, place = [], 0
    while place < len(values):
        value, place = _varint(values, place)
        found.append(value)
    return found


def _fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """The number and the value of each field: an integer, or bytes."""
    place = 0
    while place < len(message):
        tag, place = _varint(message, place)
        kind = tag & 7
        if kind == VARINT:
            value, place = _varint(message, place)
            yield tag >> 3, value
            continue
        if kind == BYTES:
            length, place = _varint(message, place)
        elif kind in (FIXED32, FIXED64):
            length = 4 if kind == FIXED32 else 8
        else:
            raise ValueError("it is not an Example of TensorFlow's")
        if place + length > len(message):
            raise ValueError("it is not an Example of TensorFlow's, or is cut short")
        yield tag >> 3, message[place : place + length]
        place += length


def _varint(message: memoryview, place: int) -> tuple[int, int]:
    """Read an integer and the offset after it: seven bits per byte, lowest first; the last byte has bit 7 clear."""
    value = 0
    for shift in range(0, 70, 7):
        if place >= len(message):
            break
        byte = message[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, place
    raise ValueError("it is not an Example of TensorFlow's, or is cut short")
