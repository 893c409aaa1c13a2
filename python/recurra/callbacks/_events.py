"""TensorBoard's event files, written by hand: records with checksums around a few protocol-buffer messages.

A record is its length (8 bytes, little-endian), the masked CRC-32C of these, the bytes, and their masked CRC-32C.
Formats: record_writer.h, event.proto and summary.proto of TensorFlow.
"""

from __future__ import annotations

import os
import socket
import struct
import time
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

if TYPE_CHECKING:
    from recurra._typing import Array

_VARINT, _DOUBLE, _BYTES, _FLOAT = 0, 1, 2, 5  # wire types
_BINS = 30


def _make_table() -> list[int]:
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)  # the polynomial of CRC-32C, reflected
        table.append(byte)
    return table


_TABLE = _make_table()


def masked_crc(data: bytes) -> int:
    """Return the CRC-32C (Castagnoli), rotated and shifted so that a checksum of checksums is sound."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ _TABLE[(crc ^ byte) & 0xFF]
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def record(data: bytes) -> bytes:
    """Return bytes as a record."""
    length = struct.pack("<Q", len(data))
    return length + struct.pack("<I", masked_crc(length)) + data + struct.pack("<I", masked_crc(data))


# Messages


def _varint(value: int) -> bytes:
    value &= 0xFFFFFFFFFFFFFFFF
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _field(number: int, wire: int, value: bytes) -> bytes:
    tag = _varint(number << 3 | wire)
    return tag + _varint(len(value)) + value if wire == _BYTES else tag + value


def _double(number: int, value: float) -> bytes:
    return _field(number, _DOUBLE, struct.pack("<d", value))


def _event(step: int, what: bytes) -> bytes:
    return _double(1, time.time()) + _field(2, _VARINT, _varint(step)) + what


def version_event() -> bytes:
    """Return the event that opens a file."""
    return _event(0, _field(3, _BYTES, b"brain.Event:2"))


def scalar_event(tag: str, value: float, step: int) -> bytes:
    """Return the event of a number, which becomes float32."""
    number = float(np.clip(value, -3e38, 3e38)) if np.isfinite(value) else value
    summary = _field(1, _BYTES, tag.encode()) + _field(2, _FLOAT, struct.pack("<f", number))
    return _event(step, _field(5, _BYTES, _field(1, _BYTES, summary)))


def histogram_event(tag: str, values: Array, step: int) -> bytes:
    """Return the event of the distribution of some values, of which those that are not finite are left out."""
    flat = np.asarray(values, np.float64).reshape(-1)
    flat = flat[np.isfinite(flat)]
    low, high = (float(flat.min()), float(flat.max())) if flat.size else (0.0, 0.0)
    counts, edges = np.histogram(flat, bins=_BINS, range=(low, high) if low < high else (low - 0.5, high + 0.5))
    message = (
        _double(1, low)
        + _double(2, high)
        + _double(3, float(flat.size))
        + _double(4, float(flat.sum()))
        + _double(5, float(np.square(flat).sum()))
        + _field(6, _BYTES, edges[1:].astype("<f8").tobytes())
        + _field(7, _BYTES, counts.astype("<f8").tobytes())
    )
    summary = _field(1, _BYTES, tag.encode()) + _field(5, _BYTES, message)
    return _event(step, _field(5, _BYTES, _field(1, _BYTES, summary)))


class EventFile:
    """A file of events in a folder, new or gone on with.

    Parameters
    ----------
    folder : str
        Where; made if missing.
    state : (str, int), optional
        Name of a file and its length, as `state` returned: it is cut there and gone on with.
    """

    def __init__(self, folder: str, state: tuple[str, int] | None = None) -> None:
        os.makedirs(folder, exist_ok=True)
        path = os.path.join(folder, state[0]) if state else ""
        if state and os.path.exists(path) and os.path.getsize(path) >= state[1]:
            self.file: BinaryIO = open(path, "r+b")  # noqa: SIM115 (closed by `close`)
            self.file.truncate(state[1])
            self.file.seek(0, os.SEEK_END)
            return
        stem = f"events.out.tfevents.{int(time.time()):010}.{socket.gethostname()}.{os.getpid()}"
        number = 0
        while os.path.exists(path := os.path.join(folder, f"{stem}.{number}.v2")):
            number += 1
        self.file = open(path, "xb")  # noqa: SIM115 (closed by `close`)
        self.write(version_event())

    def write(self, event: bytes) -> None:
        """Append an event."""
        self.file.write(record(event))

    def flush(self) -> None:
        """Hand all events to the system."""
        self.file.flush()

    @property
    def state(self) -> tuple[str, int]:
        """Name and length of the file."""
        self.file.flush()
        return os.path.basename(self.file.name), self.file.tell()

    def close(self) -> None:
        """Close the file."""
        self.file.close()
