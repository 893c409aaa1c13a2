"""``recurra run``: arrays from files through a model into files."""

from __future__ import annotations

import os
import time
import zipfile
from typing import TYPE_CHECKING, Any

import numpy as np

import recurra
from recurra import _errors
from recurra.io.atomic import replacing

if TYPE_CHECKING:
    from collections.abc import Mapping

    from recurra._typing import Array


def run(file: str, given: str, output: str, lengths: str | None, batch_size: int | None) -> str:
    """Run a model on an input file, write the output file; return what to tell.

    Parameters
    ----------
    file, given, output : str
        The model, its inputs, and where its outputs go.
    lengths : str, optional
        Numbers with commas, or a file.
    batch_size : int, optional
        Samples at once.
    """
    if not output.lower().endswith((".npy", ".npz")):
        raise _errors.bad_value("OUTPUT", "a name ending in .npy or .npz", repr(output))
    model, inputs = recurra.load(file), arrays(given)
    start = time.perf_counter()
    if hasattr(model, "get_inputs"):
        if lengths is not None or batch_size is not None:
            hint = "a graph takes its lengths as an input, if it takes any"
            raise _errors.bad_value("--lengths, --batch-size", "neither for an ONNX graph", "one of them", hint)
        outputs = _of_graph(model, inputs)
    else:
        outputs = _of_model(model, inputs, None if lengths is None else _lengths(lengths), batch_size)
    seconds = time.perf_counter() - start
    _write(output, outputs)
    told = ", ".join(f"{name} {array.shape} {array.dtype.name}" for name, array in outputs.items())
    return f"{output}: {told}, in {seconds:.3f} s"


def arrays(path: str) -> Any:
    """Return the array of a file .npy, or the dictionary of arrays of a file .npz."""
    if not path.lower().endswith((".npy", ".npz")):
        raise _errors.bad_value("INPUT", "a name ending in .npy or .npz", repr(path))
    try:
        with open(path, "rb") as file:
            found: Any = np.load(file, allow_pickle=False)
            return found if isinstance(found, np.ndarray) else {name: found[name] for name in found.files}
    except (ValueError, EOFError, zipfile.BadZipFile, KeyError) as error:
        raise ValueError(f"{path}: expected arrays that numpy.save or numpy.savez wrote, got {error}") from error


def _lengths(text: str) -> Array:
    if text.lower().endswith(".npy"):
        found: Array = arrays(text)
        return found
    try:
        return np.array([int(part) for part in text.split(",")])
    except ValueError:
        raise _errors.bad_value("--lengths", "numbers such as 5,3,8, or a file .npy", repr(text)) from None


def _of_model(model: Any, inputs: Any, lengths: Array | None, batch_size: int | None) -> dict[str, Array]:
    if isinstance(inputs, dict) and len(inputs) == 1 and len(model.input_names) == 1:
        inputs = next(iter(inputs.values()))
    outputs = model.predict(inputs, batch_size, lengths=lengths)
    listed = outputs if isinstance(outputs, list) else [outputs]
    return dict(zip(model.output_names, listed, strict=True))


def _of_graph(model: Any, inputs: Any) -> dict[str, Array]:
    takes = model.get_inputs()
    if not isinstance(inputs, dict):
        if len(takes) != 1:
            wanted = ", ".join(repr(value.name) for value in takes)
            raise _errors.bad_value("INPUT", f"a file .npz with {wanted}", "one array")
        inputs = {takes[0].name: inputs}
    known = {value.name: value.dtype for value in takes}
    feeds = {name: _as(array, known.get(name)) for name, array in inputs.items()}
    names = [value.name for value in model.get_outputs()]
    return dict(zip(names, model.run(None, feeds), strict=True))


def _as(array: Array, dtype: np.dtype[Any] | None) -> Array:
    """Return numbers in the width that an input takes; other kinds stay, to be refused by the graph."""
    return array.astype(dtype) if dtype is not None and array.dtype.kind == dtype.kind else array


def _write(path: str, outputs: Mapping[str, Array]) -> None:
    """Write outputs, wholly or not at all."""
    if path.lower().endswith(".npy") and len(outputs) > 1:
        names = ", ".join(map(repr, outputs))
        raise _errors.bad_value("OUTPUT", f"a name ending in .npz for {names}", repr(os.path.basename(path)))
    with replacing(path) as file:
        if path.lower().endswith(".npz"):
            np.savez(file, **outputs)  # type: ignore[arg-type]
        else:
            np.save(file, next(iter(outputs.values())))
