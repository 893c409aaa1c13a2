"""Files.

A format is a module with ``save(model, path)`` and ``load(path, custom_objects)``, and a line in ``FORMATS``.
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

from recurra import _errors

if TYPE_CHECKING:
    from recurra.layers.base import Layer
    from recurra.training.trainer import Trainer

# Ending of the file's name to module.
FORMATS = {
    ".onnx": "recurra.onnx",
    ".safetensors": "recurra.io.native",
    ".keras": "recurra.keras.files",
    ".h5": "recurra.keras.files",
    ".hdf5": "recurra.keras.files",
}

__all__ = ["FORMATS", "load", "load_model", "save_model"]


def _format(path: str | os.PathLike[str]) -> Any:
    ending = os.path.splitext(os.fspath(path))[1].lower()
    if ending not in FORMATS:
        expected = "a name ending in " + " or ".join(FORMATS)
        raise _errors.bad_value("path", expected, repr(os.fspath(path)), "the ending says the format")
    return import_module(FORMATS[ending])


def save_model(model: Trainer, path: str | os.PathLike[str]) -> None:
    """Write a model to a file; the same as ``model.save(path)``, see `Trainer.save`."""
    _format(path).save(model, path)


def load_model(path: str | os.PathLike[str], custom_objects: dict[str, type[Layer]] | None = None) -> Any:
    """Read a model from a file; `recurra.load` is another name for it.

    Parameters
    ----------
    path : path
        Its ending names the format: ``.safetensors`` of ``model.save``, with optimizer and loss; ``.keras``, ``.h5`` or
        ``.hdf5`` of Keras 2 and 3, whose layers become ours (the Keras user's guide says what is refused); ``.onnx``.
    custom_objects : dict of str to type, optional
        Layers of one's own in the model, by the name of their class; in a file of Keras, what stands for its classes.

    Returns
    -------
    Sequential, Model or recurra.onnx.OnnxModel
        Built, with its parameters. One of ``model.save`` is compiled if it was, unless the loss was a function of one's
        own; others are not.

    Raises
    ------
    ValueError
        If the file is no model, damaged or hostile: nothing is run from it, nothing is allocated that it does not
        hold.
    OSError
        If it cannot be read.

    Examples
    --------
    >>> import numpy as np, os, recurra, tempfile
    >>> model = recurra.Sequential([recurra.LSTM(20), recurra.Dense(5)])
    >>> model.build((None, 30, 10))
    >>> path = os.path.join(tempfile.mkdtemp(), "model.safetensors")
    >>> model.save(path)
    >>> x = np.ones((8, 30, 10), np.float32)
    >>> bool((recurra.load_model(path)(x) == model(x)).all())
    True
    """
    return _format(path).load(path, custom_objects)


load = load_model
