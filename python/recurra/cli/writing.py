"""``recurra export`` and ``recurra convert``: a model from one file into another."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Any

import recurra
from recurra import _errors, io

if TYPE_CHECKING:
    import argparse

# Which options of the command line are for which ending, by the argument of the method that writes it.
OPTIONS = {".onnx": ("opset", "lengths"), ".c": ("name", "weights", "sample")}
EXPORTS = {".onnx": "export_onnx", ".c": "export_c"}


def write(file: str, out: str, options: argparse.Namespace) -> str:
    """Read a model, write it in another format; return what to tell.

    Parameters
    ----------
    file, out : str
        The names of the files.
    options : argparse.Namespace
        What is to be done in a format's own way.
    """
    ending = os.path.splitext(out)[1].lower()
    endings = list(dict.fromkeys([*io.FORMATS, *EXPORTS]))
    if ending not in endings:
        raise _errors.bad_value("OUT", "a name ending in " + ", ".join(endings), repr(out))
    chosen = _chosen(options, ending)
    _check_other(file, out)
    model = recurra.load(file)
    method = getattr(model, EXPORTS.get(ending, "save"), None)
    if method is None:
        hint = "" if hasattr(model, "layers") else "it is run as a graph, of which recurra's layers are not made"
        raise _errors.bad_value(file, f"a model that can be written as {ending}", type(model).__name__, hint)
    with contextlib.redirect_stdout(None):  # what a method prints it returns as well
        told = method(out, **chosen)
    size = f"{out}: {os.path.getsize(out):,} bytes"
    return size if told is None else f"{size}; {told}"


def write_state_dict(file: str, out: str) -> str:
    """Read a model, write its weights under PyTorch's names; return what to tell."""
    if os.path.splitext(out)[1].lower() != ".safetensors":
        raise _errors.bad_value("OUT", "a name ending in .safetensors", repr(out))
    _check_other(file, out)
    model = recurra.load(file)
    if not hasattr(model, "to_torch"):
        raise _errors.bad_value(file, "a model of recurra's layers", type(model).__name__)
    found = model.to_torch()
    io.safetensors.write(out, found, {"format": "pt"})
    return f"{out}: {len(found)} arrays, {os.path.getsize(out):,} bytes"


def _chosen(options: argparse.Namespace, ending: str) -> dict[str, Any]:
    """Return the options given, as arguments; those of another format are refused."""
    given = {}
    for kind, names in OPTIONS.items():
        for name in names:
            value = getattr(options, name)
            if value is None or value is False:
                continue
            if kind != ending:
                raise _errors.bad_value(f"--{name}", f"a file {kind}", f"one ending in {ending}")
            given[name] = value
    if "sample" in given:
        from recurra.cli.running import arrays

        given["sample"] = arrays(given["sample"])
    return given


def _check_other(file: str, out: str) -> None:
    if os.path.exists(out) and os.path.samefile(file, out):
        raise _errors.bad_value("OUT", "another file", f"{out!r}, which is read")
