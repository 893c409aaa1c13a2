"""The state of a run as a file: one safetensors file whose arrays and JSON belong together.

Values are packed as JSON; arrays in them go to the file's arrays and leave a name behind. Bits are kept: JSON writes
each float so that the same one is read, NaN and infinities included.
"""

from __future__ import annotations

import json
import os
import shutil
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np

from recurra import _errors
from recurra.io import safetensors

if TYPE_CHECKING:
    from collections.abc import Mapping

    from recurra._typing import Array

VERSION = 1
_FORMAT = "recurra run"
STATE, PREVIOUS, FINAL = "state.safetensors", "previous.safetensors", "final.safetensors"


# Values


def pack(value: Any, arrays: dict[str, Array], where: str) -> Any:
    """Return a value as JSON can say it, having put its arrays among the others.

    Raises
    ------
    TypeError
        If there is something in it that is no None, boolean, number, text, array, list, tuple or dictionary.
    """
    if isinstance(value, np.generic):
        return {"scalar": [value.dtype.str, value.item()]}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, np.ndarray):
        arrays[where] = value
        return {"array": where}
    if isinstance(value, list):
        return [pack(part, arrays, f"{where}/{index}") for index, part in enumerate(value)]
    if isinstance(value, tuple):
        return {"tuple": [pack(part, arrays, f"{where}/{index}") for index, part in enumerate(value)]}
    if isinstance(value, dict):
        pairs = [[pack(key, arrays, where), pack(part, arrays, f"{where}/{key}")] for key, part in value.items()]
        return {"dict": pairs}
    expected = "None, booleans, numbers, texts, arrays, lists, tuples and dictionaries"
    raise _errors.bad_type(where, expected, value, "get_state returns what a file can hold")


def packable(value: Any) -> bool:
    """Return whether `pack` takes a value."""
    try:
        pack(value, {}, "")
    except TypeError:
        return False
    return True


def unpack(value: Any, arrays: Mapping[str, Array]) -> Any:
    """Return what `pack` packed."""
    if isinstance(value, list):
        return [unpack(part, arrays) for part in value]
    if not isinstance(value, dict):
        return value
    if "array" in value:
        return arrays[value["array"]]
    if "scalar" in value:
        return np.dtype(value["scalar"][0]).type(value["scalar"][1])
    if "tuple" in value:
        return tuple(unpack(value["tuple"], arrays))
    return {unpack(key, arrays): unpack(part, arrays) for key, part in value["dict"]}


# Files


def write(folder: str, name: str, state: dict[str, Any], keep_previous: bool) -> None:
    """Write a state to a file of the folder: wholly, or not at all.

    Parameters
    ----------
    folder, name : str
        The file; the folder is made if it is missing.
    state : dict
        See `pack`.
    keep_previous : bool
        Keep the file of this name, if there is one, as ``previous.safetensors``.
    """
    arrays: dict[str, Array] = {}
    text = json.dumps(pack(state, arrays, "state"))
    os.makedirs(folder, exist_ok=True)
    path = os.path.join(folder, name)
    if keep_previous and os.path.exists(path):
        _keep(path, os.path.join(folder, PREVIOUS))
    metadata = {"format": _FORMAT, "state": text, "checksum": _checksum(text, arrays)}
    safetensors.write(path, arrays, metadata)


def _keep(path: str, kept: str) -> None:
    """Give a file a second name, so that there is a whole one under the first at any moment."""
    temporary = kept + ".tmp"
    if os.path.exists(temporary):
        os.unlink(temporary)
    try:
        os.link(path, temporary)
    except OSError:  # a file system without links
        shutil.copyfile(path, temporary)
    os.replace(temporary, kept)


def read(folder: str, name: str) -> dict[str, Any] | None:
    """Return the state in a file of the folder, or None if there is none.

    Raises
    ------
    ValueError
        If the file is damaged or of another kind.
    OSError
        If it cannot be read.
    """
    path = os.path.join(folder, name)
    if not os.path.exists(path):
        return None
    arrays, metadata = safetensors.read(path)
    text = metadata.get("state", "")
    if metadata.get("format") != _FORMAT:
        raise ValueError(f"{path}: expected the state of a run, got another file")
    if metadata.get("checksum") != _checksum(text, arrays):
        raise ValueError(f"{path}: expected the state of a run, got one whose checksum is wrong")
    state: dict[str, Any] = unpack(json.loads(text), arrays)
    if state["version"] != VERSION:
        raise ValueError(f"{path}: expected version {VERSION} of a run's state, got {state['version']!r}")
    return state


def clean(folder: str) -> None:
    """Remove what a process that was killed while writing left behind."""
    if os.path.isdir(folder):
        for name in os.listdir(folder):
            if name.endswith(".tmp") and name.startswith((".recurra-", PREVIOUS)):
                os.unlink(os.path.join(folder, name))


def delete(folder: str) -> None:
    """Remove the states, and the folder if nothing else is in it."""
    clean(folder)
    for name in (STATE, PREVIOUS, FINAL):
        if os.path.exists(os.path.join(folder, name)):
            os.unlink(os.path.join(folder, name))
    if os.path.isdir(folder) and not os.listdir(folder):
        os.rmdir(folder)


def _checksum(text: str, arrays: Mapping[str, Array]) -> str:
    value = zlib.crc32(text.encode())
    for name in sorted(arrays):
        value = zlib.crc32(np.ascontiguousarray(arrays[name]).tobytes(), value)
    return f"{value:08x}"
