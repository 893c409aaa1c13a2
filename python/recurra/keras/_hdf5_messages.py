"""What the messages in the headers of HDF5's objects say: shapes, kinds of numbers and texts, places of bytes.

Format: https://docs.hdfgroup.org/hdf5/v1_14/_f_m_t3.html; offsets and lengths are of 8 bytes.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from typing import Any

UNDEFINED = 2**64 - 1
_RANK = 32
# Exponent's place and bits, mantissa's place and bits, bias, by the bytes of a number (IEEE 754).
_FLOATS = {2: (10, 5, 0, 10, 15), 4: (23, 8, 0, 23, 127), 8: (52, 11, 0, 52, 1023)}


class Damaged(ValueError):
    """A file that does not obey the format, or uses a part of it that Keras does not."""


class Kind(NamedTuple):
    """What the elements of an array are.

    Attributes
    ----------
    dtype : numpy.dtype or None
        Of numbers; None for texts and whatever else there is.
    size : int
        Bytes of an element.
    text : {"", "fixed", "variable"}
        How texts lie: in the array, or elsewhere with their place in the array.
    """

    dtype: np.dtype[Any] | None
    size: int
    text: str = ""


class Layout(NamedTuple):
    """Where an array's bytes are: in the header (``data``), at an address, or in chunks below one."""

    kind: str
    address: int = UNDEFINED
    size: int = 0
    data: bytes = b""
    chunk: tuple[int, ...] = ()


def unpack(form: str, data: Any, place: int) -> tuple[Any, ...]:
    """Return little-endian numbers at a place; raise `Damaged` where the bytes end before."""
    try:
        return struct.unpack_from("<" + form, data, place)
    except struct.error:
        raise Damaged("an end in the midst of a message") from None


def shape_of(data: bytes) -> tuple[int, ...] | None:
    """Return the shape that a message of type "dataspace" says; None for one without elements."""
    version, rank, _, third = unpack("BBBB", data, 0)
    if version not in (1, 2) or rank > _RANK:
        raise Damaged(f"a shape of version {version} with {rank} axes")
    if version == 2 and third == 2:
        return None
    return unpack(f"{rank}Q", data, 8 if version == 1 else 4)


def kind_of(data: bytes) -> Kind:
    """Return what a message of type "datatype" says."""
    first, bits, size = *unpack("BB", data, 0), *unpack("I", data, 4)
    order, family = "<>"[bits & 1], first & 15
    if family == 0:
        if size not in (1, 2, 4, 8) or unpack("HH", data, 8) != (0, 8 * size):
            raise Damaged(f"integers of {size} bytes with gaps")
        return Kind(np.dtype(f"{order}{'i' if bits & 8 else 'u'}{size}"), size)
    if family == 1:
        offset, precision, *parts = unpack("HHBBBBI", data, 8)
        if bits & 64 or (offset, precision) != (0, 8 * size) or tuple(parts) != _FLOATS.get(size):
            raise Damaged(f"real numbers of {size} bytes that are not IEEE 754's")
        return Kind(np.dtype(f"{order}f{size}"), size)
    if family == 3:
        return Kind(None, size, "fixed")
    return Kind(None, size, "variable" if family == 9 and bits & 15 == 1 and size == 16 else "")


def layout_of(data: bytes) -> Layout:
    """Return what a message of type "data layout" says."""
    version, family = unpack("BB", data, 0)
    if version not in (3, 4) or (version == 4 and family > 1):
        raise Damaged(f"a layout of version {version}, family {family}, which Keras does not write")
    if family == 0:
        (size,) = unpack("H", data, 2)
        return Layout("compact", size=size, data=data[4 : 4 + size])
    if family == 1:
        return Layout("contiguous", *unpack("QQ", data, 2))
    if family == 2:
        rank, address = unpack("BQ", data, 2)
        if not 2 <= rank <= _RANK + 1:
            raise Damaged(f"chunks of {rank} axes")
        return Layout("chunked", address, chunk=unpack(f"{rank}I", data, 11))
    raise Damaged("an array that lies in other files")


def filters_of(data: bytes) -> list[int]:
    """Return the numbers of the filters of a message of type "filter pipeline", in the order of writing."""
    version, count = unpack("BB", data, 0)
    if version not in (1, 2) or count > 32:
        raise Damaged(f"{count} filters of version {version}")
    place, found = 8 if version == 1 else 2, []
    for _ in range(count):
        (number,) = unpack("H", data, place)
        named = version == 1 or number >= 256
        length = unpack("H", data, place + 2)[0] if named else 0
        _, values = unpack("HH", data, place + (4 if named else 2))
        place += (8 if named else 6) + length + 4 * values
        place += 4 if version == 1 and values % 2 else 0
        found.append(number)
    return found


def attribute_of(data: bytes) -> tuple[bytes, Kind, tuple[int, ...] | None, bytes]:
    """Return name, kind, shape and bytes of a message of type "attribute"."""
    version, _, *lengths = unpack("BBHHH", data, 0)
    if version not in (1, 2, 3):
        raise Damaged(f"an attribute of version {version}")
    place, parts = 9 if version == 3 else 8, []
    for length in lengths:
        parts.append(data[place : place + length])
        place += -(-length // 8) * 8 if version == 1 else length
    name, kind, space = parts
    return name.split(b"\0")[0], kind_of(kind), shape_of(space), data[place:]
