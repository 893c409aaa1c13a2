"""recurra's own model files: safetensors with the model's configuration as JSON in the metadata.

Arrays are the parameters under the model's names, and with a compiled model the optimizer's slots, each flat under
``optimizer/<slot>`` (no layer's name holds a slash).
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import numpy as np

import recurra
from recurra import _errors
from recurra.io import safetensors

if TYPE_CHECKING:
    from recurra._typing import Array
    from recurra.layers.base import Layer
    from recurra.models import Sequential
    from recurra.training.trainer import Trainer

FORMAT_VERSION = 1
_SLOT = "optimizer/"


def save(model: Trainer, path: str | os.PathLike[str]) -> None:
    """Write a model; see `Trainer.save`."""
    model._require_built()
    config = {
        "version": FORMAT_VERSION,
        "recurra": recurra.__version__,
        "class_name": type(model).__name__,
        "config": model.get_config(),
        "input_shape": model.input_shape,
        "compile": _compile_config(model),
    }
    try:
        text = json.dumps(config, default=_plain, allow_nan=False)
    except (TypeError, ValueError) as error:
        hint = "functions of one's own cannot be written; name an initializer, or build the layer yourself"
        raise _errors.bad_value("model", "parts that JSON can say", str(error), hint) from None
    model._allocate()
    arrays = dict(model._views[0])
    if model.optimizer is not None and config["compile"] is not None:
        arrays.update({_SLOT + name: slot for name, slot in model.optimizer.slots.items()})
    safetensors.write(path, arrays, {"format": "recurra", "model": text})


def _plain(value: Any) -> Any:
    """Return NumPy's scalars as Python's, for JSON."""
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{value!r}")


def _compile_config(model: Trainer) -> dict[str, Any] | None:
    """Return optimizer, loss and metrics by name and arguments; None if one of them has no name."""
    from recurra.losses import LOSSES
    from recurra.metrics import METRICS
    from recurra.optimizers import OPTIMIZERS

    optimizer, loss = model.optimizer, model.loss
    name = next((name for name, cls in OPTIMIZERS.items() if type(optimizer) is cls), None)
    named = loss is not None and LOSSES.get(loss.name) is type(loss)
    if optimizer is None or loss is None or name is None or not named:
        return None
    metrics = [metric.name for metric in model.metrics if METRICS.get(metric.name) is type(metric)]
    return {
        "optimizer": {"name": name, "config": optimizer.get_config(), "iterations": optimizer.iterations},
        "loss": {"name": loss.name, "config": loss.get_config()},
        "metrics": metrics,
    }


def load(path: str | os.PathLike[str], custom_objects: dict[str, type[Layer]] | None = None) -> Sequential:
    """Read a model; see `recurra.load_model`."""
    from recurra.models import Sequential

    name = os.fspath(path)
    arrays, metadata = safetensors.read(path)
    config = _config(metadata, name)
    try:
        model = Sequential.from_config(config["config"], custom_objects)
        model.build(_shape(config["input_shape"]))
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise ValueError(f"{name}: expected a model of this version, got one that cannot be made ({error})") from error
    slots = {key.removeprefix(_SLOT): arrays.pop(key) for key in list(arrays) if key.startswith(_SLOT)}
    _check_arrays(model, arrays, name)
    flat = np.concatenate([arrays[weight.name].reshape(-1) for weight in model.weights_declared] or [np.empty(0)])
    model._attach(flat.astype(model.dtype, copy=False), np.zeros(model.size, model.dtype))
    if config.get("compile") is not None:
        _compile(model, config["compile"], slots, name)
    return model


def _config(metadata: dict[str, str], path: str) -> dict[str, Any]:
    if metadata.get("format") != "recurra" or "model" not in metadata:
        raise ValueError(f"{path}: expected a model saved by recurra, got other arrays; read them with recurra.io")
    try:
        config = json.loads(metadata["model"])
    except (ValueError, RecursionError):
        config = None
    if not isinstance(config, dict) or not {"version", "config", "input_shape", "class_name"} <= set(config):
        raise ValueError(f"{path}: expected a model's configuration, got a damaged one")
    if config["version"] != FORMAT_VERSION:
        raise ValueError(f"{path}: expected format version {FORMAT_VERSION}, got {config['version']!r}; update recurra")
    _errors.check_choice("class_name", config["class_name"], ["Sequential"])
    return config


def _shape(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _check_arrays(model: Sequential, arrays: dict[str, Array], path: str) -> None:
    """Raise unless the arrays are the model's parameters."""
    expected = {weight.name: weight.shape for weight in model.weights_declared}
    if set(arrays) != set(expected):
        odd = ", ".join(sorted(set(arrays) ^ set(expected))[:5])
        raise ValueError(f"{path}: expected the parameters of its model, got others: {odd}")
    for key, shape in expected.items():
        found = arrays[key]
        if found.shape != shape or found.dtype != model.dtype:
            what = f"{found.dtype} of shape {found.shape}"
            raise ValueError(f"{path}: expected {key!r} as {model.dtype.name} of shape {shape}, got {what}")


def _compile(model: Sequential, config: Any, slots: dict[str, Array], path: str) -> None:
    from recurra.losses import LOSSES
    from recurra.optimizers import OPTIMIZERS

    try:
        optimizer_config, loss_config = config["optimizer"], config["loss"]
        optimizer = OPTIMIZERS[optimizer_config["name"]](**optimizer_config["config"])
        loss = LOSSES[loss_config["name"]](**loss_config["config"])
        model.compile(optimizer, loss, config["metrics"])
        optimizer.iterations = _errors.check_integer("iterations", optimizer_config["iterations"], 0, 2**63 - 1)
    except (TypeError, ValueError, KeyError) as error:
        raise ValueError(f"{path}: expected an optimizer and a loss of this version, got {error}") from error
    for key, slot in slots.items():
        if key not in optimizer.slot_names or slot.shape != (model.size,) or slot.dtype != model.dtype:
            raise ValueError(f"{path}: expected the optimizer's slots, got {key!r} of shape {slot.shape}")
    if slots and set(slots) != set(optimizer.slot_names):
        raise ValueError(f"{path}: expected the slots {optimizer.slot_names}, got {tuple(slots)}")
    optimizer.slots = slots
