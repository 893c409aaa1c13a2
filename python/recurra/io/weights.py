"""Files of parameters alone: safetensors under the model's names, and Keras's."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np

from recurra import _errors
from recurra.io import safetensors

if TYPE_CHECKING:
    from recurra.layers.base import Layer

_ENDING = ".safetensors"
_KERAS = (".keras", ".h5", ".hdf5")
_SLOT = "optimizer/"  # what a file of a whole model holds besides


def save(model: Layer, path: str | os.PathLike[str], overwrite: bool) -> None:
    """Write the parameters; see `Trainer.save_weights`."""
    name = _checked(path)
    if not overwrite and os.path.exists(name):
        raise _errors.bad_value("filepath", "a new name", f"{name!r}, which exists", "or pass overwrite=True")
    if name.lower().endswith(_KERAS):
        from recurra.keras import weights

        weights.save(model, path)
        return
    model._require_built()
    model._allocate()
    safetensors.write(path, model._views[0], {"format": "recurra weights"})


def load(model: Layer, path: str | os.PathLike[str], by_name: bool = False) -> None:
    """Read the parameters; see `Trainer.load_weights`."""
    name = _checked(path)
    if name.lower().endswith(_KERAS):
        from recurra.keras import weights

        weights.load(model, path, by_name)
        return
    if by_name:
        raise _errors.bad_value("by_name", f"False for a file {_ENDING}", "True", "its arrays have the model's names")
    model._require_built()
    arrays, _ = safetensors.read(path)
    arrays = {key: values for key, values in arrays.items() if not key.startswith(_SLOT)}
    expected = {weight.name: weight.shape for weight in model.weights_declared}
    if set(arrays) != set(expected):
        odd = ", ".join(sorted(set(arrays) ^ set(expected))[:5])
        raise ValueError(f"{name}: expected the parameters of the model, got others: {odd}")
    for key, shape in expected.items():
        if arrays[key].shape != shape:
            raise ValueError(f"{name}: expected {key!r} of shape {shape}, got {arrays[key].shape}")
    model.set_weights([np.asarray(arrays[key], model.dtype) for key in expected])


def _checked(path: str | os.PathLike[str]) -> str:
    name = os.fspath(path)
    if not name.lower().endswith((_ENDING, *_KERAS)):
        raise _errors.bad_value("filepath", f"a name ending in {_ENDING}, .weights.h5, .h5 or .keras", repr(name))
    return name
