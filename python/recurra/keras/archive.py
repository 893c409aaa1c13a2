"""The file ``.keras``: an archive of a configuration and the weights."""

from __future__ import annotations

import io
import json
import os
import tempfile
import zipfile
import zlib
from typing import TYPE_CHECKING, Any, BinaryIO

from recurra.keras import hdf5

if TYPE_CHECKING:
    from collections.abc import Mapping

    from recurra.keras.hdf5 import Group

_CONFIG, _METADATA, _WEIGHTS = "config.json", "metadata.json", "model.weights.h5"
_TEXT = 1 << 25  # bytes of a configuration
_SPARE, _RATIO = 1 << 24, 100  # how far weights may grow when they are unpacked


def read(path: str | os.PathLike[str]) -> tuple[dict[str, Any], Group, str]:
    """Return the configuration, the weights and Keras's version of an archive.

    Raises
    ------
    ValueError
        If it is no such archive, damaged, or unpacks to more than a file of its size should.
    OSError
        If it cannot be read.
    """
    name = os.fspath(path)
    size = os.stat(path).st_size
    with open(path, "rb") as file:
        config, metadata, weights = _entries(file, size, name)
    version = metadata.get("keras_version", "")
    tree = hdf5.read(weights, f"{name}: {_WEIGHTS}", ("optimizer", "metrics", "_metrics"))
    return config, tree, version if isinstance(version, str) else ""


def _entries(file: BinaryIO, size: int, name: str) -> tuple[dict[str, Any], dict[str, Any], bytes]:
    """Return the three files of an archive."""
    try:
        with zipfile.ZipFile(file) as archive:
            texts = [_entry(archive, part, _TEXT) for part in (_CONFIG, _METADATA)]
            weights = _entry(archive, _WEIGHTS, size * _RATIO + _SPARE)
    except _Odd as error:
        raise ValueError(f"{name}: expected a model saved by Keras, got {error}") from None
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, NotImplementedError, RuntimeError,
            OverflowError, AttributeError, IndexError, TypeError) as error:  # fmt: skip
        raise ValueError(f"{name}: expected an archive of a Keras model, got a damaged one: {error}") from None
    config, metadata = (parsed(t, f"{name}: {p}") for t, p in zip(texts, (_CONFIG, _METADATA), strict=True))
    return config, metadata, weights


class _Odd(Exception):
    """What an archive has that no model's has."""


def _entry(archive: zipfile.ZipFile, name: str, most: int) -> bytes:
    """Return a file of the archive, checked before and while it is unpacked."""
    found = [info for info in archive.infolist() if info.filename == name]
    if len(found) != 1:
        raise _Odd(f"{len(found)} files {name!r} in it")
    info = found[0]
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) or info.flag_bits & 1:
        raise _Odd(f"{name!r} packed in a way that Keras does not use")
    if info.file_size > most:
        raise _Odd(f"{name!r} of {info.file_size} bytes, unpacked")
    with archive.open(info) as entry:
        data = entry.read(most + 1)
    if len(data) != info.file_size:
        raise _Odd(f"{len(data)} bytes of {name!r} instead of {info.file_size}")
    return data


def parsed(text: bytes | str, name: str) -> dict[str, Any]:
    """Return a JSON object."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise ValueError(f"{name}: expected a configuration in JSON, got something else")
    return found


# Writing


def write(path: str | os.PathLike[str], config: dict[str, Any], metadata: dict[str, Any], weights: bytes) -> None:
    """Write an archive, wholly or not at all."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(_METADATA, json.dumps(metadata))
        archive.writestr(_CONFIG, json.dumps(config))
        archive.writestr(_WEIGHTS, weights)
    replace(path, buffer.getvalue())


def hdf5_bytes(tree: Mapping[str, Any]) -> bytes:
    """Return an HDF5 file of a tree: dictionaries are groups, arrays arrays, ``"@name"`` texts are attributes."""
    try:
        import h5py
    except ImportError:
        raise ImportError("writing Keras's files needs h5py: pip install 'recurra[keras]'") from None
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        _write(file, tree)
    return buffer.getvalue()


def _write(group: Any, tree: Mapping[str, Any]) -> None:
    for key, value in tree.items():
        if key.startswith("@"):
            group.attrs[key[1:]] = value
        elif isinstance(value, dict):
            _write(group.create_group(key), value)
        else:
            group.create_dataset(key, data=value)


def replace(path: str | os.PathLike[str], data: bytes) -> None:
    """Give a file new contents, wholly or not at all."""
    folder = os.path.dirname(os.path.abspath(os.fspath(path)))
    descriptor, temporary = tempfile.mkstemp(prefix=".recurra-", suffix=".tmp", dir=folder)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        mask = os.umask(0o077)
        os.umask(mask)
        os.chmod(temporary, 0o666 & ~mask)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
