"""Reads ``tf.train.Example`` messages: just so much of Protocol Buffers as they need."""

from __future__ import annotations

from collections.abc import Iterator

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
"""How a field's value is written."""

Value = list[bytes] | list[int] | None
"""A feature's bytes, or its integers; None for one of floats, or of nothing."""


def parse_example(message: bytes) -> dict[str, Value]:
    """The features of an Example by name.

    The message is ``Example {Features features = 1}``, ``Features {map<string, Feature> feature = 1}``, ``Feature
    {oneof {BytesList bytes_list = 1, FloatList float_list = 2, Int64List int64_list = 3}}``, and each list ``{repeated
    value = 1}``. Fields with other numbers are passed over, as the format requires.

    Raises:
        ValueError: if it is no such message.
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
    """The values of a field of bytes."""
    for number, value in _fields(message):
        if number == wanted and isinstance(value, memoryview):
            yield value


def _packed(values: memoryview) -> list[int]:
    """Integers one after the other."""
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
    """An integer, seven bits a byte, lowest first, all but the last with bit 7 set; and the place behind it."""
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
