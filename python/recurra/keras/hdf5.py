"""HDF5 files as trees of arrays: a reader of what Keras writes, which trusts nothing.

The HDF5 library itself loops for ever on some damaged files. So this reader is our own; it looks at every number before
it follows it, and reads no byte outside the file. It knows the parts of the format that Keras's files have: groups,
arrays of numbers (whole, or in chunks by deflate), texts as attributes.
"""

from __future__ import annotations

import math
import os
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np

from recurra.keras import _hdf5_messages as messages
from recurra.keras._hdf5_messages import UNDEFINED, Damaged, unpack

if TYPE_CHECKING:
    from collections.abc import Iterator

    from recurra._typing import Array
    from recurra.keras._hdf5_messages import Kind, Layout

_DEPTH = 64
_OBJECTS = 1 << 20  # headers, nodes, messages, texts
_SPARE = 1 << 24  # bytes that a small file may grow by where its arrays are compressed
_RATIO = 100  # of the bytes of compressed arrays to those of the file
_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_DEFLATE, _SHUFFLE = 1, 2
# Types of messages.
_SPACE, _DENSE_LINKS, _KIND, _LINK, _FILES, _LAYOUT = 1, 2, 3, 6, 7, 8
_FILTERS, _ATTRIBUTE, _CONTINUED, _TABLE, _DENSE_ATTRIBUTES = 11, 12, 16, 17, 21


class Group:
    """A group of a file.

    Attributes
    ----------
    attributes : dict of str to (str, list of str)
        Those that are texts.
    groups : dict of str to Group
        The groups inside.
    arrays : dict of str to numpy.ndarray
        The arrays inside, not to be written to.
    """

    __slots__ = ("arrays", "attributes", "groups")

    def __init__(self) -> None:
        self.attributes: dict[str, Any] = {}
        self.groups: dict[str, Group] = {}
        self.arrays: dict[str, Array] = {}

    def find(self, path: str) -> Group | None:
        """Return the group at a path such as ``a/b``, or None."""
        group: Group | None = self
        for part in path.split("/"):
            group = group.groups.get(part) if group is not None else None
        return group

    def array(self, path: str) -> Array | None:
        """Return the array at a path such as ``a/b``, or None."""
        folder, _, name = path.rpartition("/")
        group = self.find(folder) if folder else self
        return None if group is None else group.arrays.get(name)


def read(source: str | os.PathLike[str] | bytes, name: str, skipped: tuple[str, ...] = ()) -> Group:
    """Return all that a file holds.

    Parameters
    ----------
    source : path or bytes
        The file, or what it holds.
    name : str
        What messages call it.
    skipped : tuple of str
        Groups of the root that are left out.

    Raises
    ------
    ValueError
        If it is damaged, holds links to elsewhere or parts of the format that Keras does not write, or would be larger
        in memory than a file of its size can be.
    OSError
        If it cannot be read.
    """
    if not isinstance(source, bytes):
        with open(source, "rb") as file:
            source = file.read()
    try:
        return _Reader(source).root(skipped)
    except (Damaged, OverflowError, RecursionError, UnicodeDecodeError, zlib.error) as error:
        raise ValueError(f"{name}: expected an HDF5 file as Keras writes them, got {error}") from None


class _Reader:
    """Reads one file, counting what it makes against what the file may hold."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.heaps: dict[int, dict[int, tuple[int, int]]] = {}
        # nothing that is counted takes less than four bytes of a file, unless it is read again and again
        self.objects, self.bytes = min(_OBJECTS, len(data) // 4 + 1000), _RATIO * len(data) + _SPARE

    # Bytes and budgets

    def part(self, address: int, size: int) -> memoryview:
        if not 0 <= address <= len(self.data) or size > len(self.data) - address:
            raise Damaged(f"{size} bytes at {address} of {len(self.data)}")
        return memoryview(self.data)[address : address + size]

    def signed(self, address: int, size: int, signature: bytes) -> bytes:
        found = bytes(self.part(address, size))
        if not found.startswith(signature):
            raise Damaged(f"{found[:4]!r} instead of {signature!r} at {address}")
        return found

    def count(self, objects: int, size: int = 0) -> None:
        self.objects -= objects
        self.bytes -= size
        if self.objects < 0 or self.bytes < 0:
            raise Damaged("more than a file of its size holds")

    # Groups

    def root(self, skipped: tuple[str, ...]) -> Group:
        if not self.data.startswith(_SIGNATURE):
            raise Damaged("another file" if self.data else "an empty file")
        (version,) = unpack("B", self.data, 8)
        sizes, base, place = {0: (13, 24, 64), 1: (13, 28, 68), 2: (9, 12, 36), 3: (9, 12, 36)}.get(version, (0, 0, 0))
        if not place or unpack("BB", self.data, sizes) != (8, 8) or unpack("Q", self.data, base) != (0,):
            raise Damaged(f"a superblock of version {version} with other sizes")
        if unpack("Q", self.data, base + 16)[0] > len(self.data):
            raise Damaged("one that ends early")
        group = self.object(unpack("Q", self.data, place)[0], "", 0, skipped)
        if not isinstance(group, Group):
            raise Damaged("an array in place of its root")
        return group

    def object(self, address: int, place: str, depth: int, skipped: tuple[str, ...] = ()) -> Group | Array:
        found: dict[int, bytes] = {}
        links: list[tuple[str, int]] = []
        attributes: dict[str, Any] = {}
        for kind, body in self.header(address):
            if kind == _ATTRIBUTE:
                attributes.update(self.attribute(body))
            elif kind == _LINK:
                links.append(_link(body, place))
            elif kind in (_DENSE_LINKS, _DENSE_ATTRIBUTES):
                _check_not_dense(body, kind, place)
            else:
                found[kind] = body
        if _LAYOUT in found:
            return self.array(found, place)
        made = Group()
        made.attributes = attributes
        if _TABLE in found:
            links += self.table(*unpack("QQ", found[_TABLE], 0))
        if depth >= _DEPTH and links:
            raise Damaged(f"groups more than {_DEPTH} deep")
        for name, child in links:
            if depth == 0 and name in skipped:
                continue
            inner = self.object(child, f"{place}/{name}", depth + 1)
            if name in made.groups or name in made.arrays:
                raise Damaged(f"{name!r} twice in {place!r}")
            if isinstance(inner, Group):
                made.groups[name] = inner
            else:
                made.arrays[name] = inner
        return made

    def header(self, address: int) -> Iterator[tuple[int, bytes]]:
        """Yield type and bytes of the messages of an object's header."""
        self.count(1)
        if bytes(self.part(address, 4)) == b"OHDR":
            _, flags = unpack("BB", self.data, address + 4)
            start = address + 6 + (16 if flags & 32 else 0) + (4 if flags & 16 else 0)
            (size,) = unpack("BHIQ"[flags & 3], self.data, start)
            blocks, fixed = [(start + (1 << (flags & 3)), size)], 6 if flags & 4 else 4
        else:
            version, _, _, _, size = unpack("BBHII", self.data, address)
            if version != 1:
                raise Damaged(f"a header of version {version} at {address}")
            blocks, flags, fixed = [(address + 16, size)], -1, 8
        while blocks:
            block = self.part(*blocks.pop())
            place = 0
            while place + fixed <= len(block):
                self.count(1)
                kind, length, marks = unpack("HHB" if flags < 0 else "BHB", block, place)
                place += fixed
                if place + length > len(block):
                    raise Damaged("a message beyond its header")
                body = bytes(block[place : place + length])
                place += length
                if kind == _CONTINUED:
                    after, more = unpack("QQ", body, 0)
                    if flags >= 0:
                        self.signed(after, 4, b"OCHK")
                        after, more = after + 4, max(0, more - 8)
                    blocks.append((after, more))
                elif marks & 2 and kind in (_SPACE, _KIND, _FILTERS, _ATTRIBUTE):
                    raise Damaged("messages that objects share, which Keras does not write")
                else:
                    yield kind, body

    def table(self, tree: int, heap: int) -> Iterator[tuple[str, int]]:
        """Yield names and addresses of a group of the old format."""
        _, size, _, start = unpack("IQQQ", self.signed(heap, 32, b"HEAP"), 4)
        names = bytes(self.part(start, size))
        for node, _ in self.leaves(tree, 0, 0):
            _, _, count = unpack("BBH", self.signed(node, 8, b"SNOD"), 4)
            entries = bytes(self.part(node + 8, 40 * count))
            for index in range(count):
                self.count(1)
                offset, address, cache = unpack("QQI", entries, 40 * index)
                end = names.find(b"\0", offset)
                if end < 0 or cache == 2:
                    raise Damaged("a link to elsewhere" if cache == 2 else "a name without an end")
                yield names[offset:end].decode(), address

    def leaves(self, tree: int, kind: int, rank: int, level: int = -1) -> Iterator[tuple[int, tuple[Any, ...]]]:
        """Yield children and keys of a B-tree of version 1; each level below is smaller by one, so that it ends."""
        self.count(1)
        found, height, used = unpack("BBH", self.signed(tree, 24, b"TREE"), 4)
        if found != kind or (level >= 0 and height != level) or height > 16:
            raise Damaged("a tree with a damaged node")
        form = "Q" if kind == 0 else f"II{rank}Q"
        width = 8 if kind == 0 else 8 + 8 * rank
        entries = self.part(tree + 24, (width + 8) * used)
        for index in range(used):
            self.count(1)
            key = unpack(form, entries, (width + 8) * index)
            (child,) = unpack("Q", entries, (width + 8) * index + width)
            if height:
                yield from self.leaves(child, kind, rank, height - 1)
            else:
                yield child, key

    # Arrays

    def array(self, found: dict[int, bytes], place: str) -> Array:
        if _SPACE not in found or _KIND not in found or _FILES in found:
            raise Damaged(f"no shape or kind of {place!r}, or one that lies in other files")
        shape, kind = messages.shape_of(found[_SPACE]), messages.kind_of(found[_KIND])
        layout = messages.layout_of(found[_LAYOUT])
        filters = messages.filters_of(found[_FILTERS]) if _FILTERS in found else []
        if kind.dtype is None or shape is None or not set(filters) <= {_DEFLATE, _SHUFFLE}:
            raise Damaged(f"{place!r} as something else than numbers compressed by deflate, if at all")
        size = math.prod(shape) * kind.size
        if layout.kind == "chunked":
            self.count(0, size)
            made = self.chunked(layout, shape, kind, filters)
        else:
            data: Any = layout.data if layout.kind == "compact" else b""
            if layout.kind == "contiguous" and size:
                data = self.part(layout.address, size)
            if filters or len(data) != size or (size and layout.size != size):
                raise Damaged(f"{layout.size} bytes for {place!r} of shape {shape}")
            made = np.frombuffer(data, kind.dtype).reshape(shape)
        return made.astype(made.dtype.newbyteorder("="), copy=False)

    def chunked(self, layout: Layout, shape: tuple[int, ...], kind: Kind, filters: list[int]) -> Array:
        chunk = layout.chunk[:-1]
        whole = math.prod(chunk) * kind.size
        if len(chunk) != len(shape) or layout.chunk[-1] != kind.size or not 0 < whole <= self.bytes:
            raise Damaged(f"chunks of {chunk} of an array of shape {shape}")
        made = np.zeros(shape, kind.dtype)
        if layout.address == UNDEFINED or not made.size:
            return made
        for child, (stored, mask, *starts) in self.leaves(layout.address, 1, len(chunk) + 1):
            self.count(1, whole)
            data = bytes(self.part(child, stored))
            for index, number in reversed(list(enumerate(filters))):
                if not mask >> index & 1:
                    data = _unfiltered(data, number, whole, kind.size)
            if len(data) != whole or any(a >= b or a % c for a, b, c in zip(starts[:-1], shape, chunk, strict=True)):
                raise Damaged(f"a chunk of {len(data)} bytes at {starts[:-1]}")
            places = tuple(slice(a, a + c) for a, c in zip(starts[:-1], chunk, strict=True))
            target = made[places]
            target[...] = np.frombuffer(data, kind.dtype).reshape(chunk)[tuple(slice(0, n) for n in target.shape)]
        return made

    # Attributes

    def attribute(self, body: bytes) -> dict[str, Any]:
        """Return an attribute by its name; nothing for one that is no text."""
        name, kind, shape, data = messages.attribute_of(body)
        if not kind.text or shape is None:
            return {}
        count = math.prod(shape)
        if count * kind.size > len(data):
            raise Damaged(f"{len(data)} bytes for {count} texts")
        self.count(count, len(data))
        parts = [data[kind.size * index : kind.size * (index + 1)] for index in range(count)]
        found = [(part if kind.text == "fixed" else self.heaped(part)).rstrip(b"\0").decode() for part in parts]
        return {name.decode(): found if shape else found[0]}

    def heaped(self, reference: bytes) -> bytes:
        """Return the text that a reference names: its length, the address of a heap, and its number there."""
        length, address, number = unpack("IQI", reference, 0)
        if not length:
            return b""
        place, stored = self.heap(address).get(number, (0, 0))
        if not place or stored < length:
            raise Damaged(f"no text number {number} in the heap at {address}")
        self.count(0, length)
        return bytes(self.part(place, length))

    def heap(self, address: int) -> dict[int, tuple[int, int]]:
        """Return where the texts of a heap are, by number: place and size."""
        if address not in self.heaps:
            _, size = unpack("IQ", self.signed(address, 16, b"GCOL"), 4)
            self.part(address, size)
            found: dict[int, tuple[int, int]] = {}
            place = address + 16
            while place + 16 <= address + size:
                self.count(1)
                number, _, _, stored = unpack("HHIQ", self.data, place)
                if not number:
                    break  # what is left is free
                found[number] = (place + 16, min(stored, address + size - place - 16))
                place += 16 + -(-stored // 8) * 8
            self.heaps[address] = found
        return self.heaps[address]


def _unfiltered(data: bytes, number: int, size: int, width: int) -> bytes:
    """Undo a filter on a chunk of so many bytes."""
    if number == _DEFLATE:
        made = zlib.decompressobj().decompress(data, size + 1)
        if len(made) > size:
            raise Damaged("a chunk that is larger than it says")
        return made
    if len(data) % width:
        raise Damaged(f"a shuffled chunk of {len(data)} bytes")
    return np.frombuffer(data, np.uint8).reshape(width, -1).T.tobytes()


def _link(body: bytes, place: str) -> tuple[str, int]:
    """Return name and address of a message of type "link"."""
    version, flags = unpack("BB", body, 0)
    start = 2
    kind = unpack("B", body, start)[0] if flags & 8 else 0
    start += (1 if flags & 8 else 0) + (8 if flags & 4 else 0) + (1 if flags & 16 else 0)
    (length,) = unpack("BHIQ"[flags & 3], body, start)
    start += 1 << (flags & 3)
    if version != 1 or kind != 0 or start + length + 8 > len(body):
        raise Damaged(f"a link to elsewhere in {place or '/'!r}")
    return body[start : start + length].decode(), unpack("Q", body, start + length)[0]


def _check_not_dense(body: bytes, kind: int, place: str) -> None:
    """Raise where links or attributes lie in a heap, as the library writes them if asked for its latest format."""
    flags = unpack("B", body, 1)[0]
    counted = (8 if kind == _DENSE_LINKS else 2) if flags & 1 else 0
    if unpack("Q", body, 2 + counted) != (UNDEFINED,):
        raise Damaged(f"{place or '/'!r} in a newer layout than Keras writes; copy it with h5py's default settings")
