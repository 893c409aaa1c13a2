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
from recurra import _errors, _objects
from recurra.io import safetensors

if TYPE_CHECKING:
    from recurra._typing import Array
    from recurra.layers.base import Layer
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
        **_objects.origin(type(model)),
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
    """Return optimizer, losses and metrics by name and arguments; None if one of them has no name."""
    from recurra.losses import LOSSES
    from recurra.metrics import METRICS
    from recurra.optimizers import OPTIMIZERS

    optimizer, compiled = model.optimizer, model._compiled
    name = next((name for name, cls in OPTIMIZERS.items() if type(optimizer) is cls), None)
    if optimizer is None or compiled is None or name is None:
        return None
    try:
        loss = _objects.described_each(compiled.loss, LOSSES)
    except LookupError:
        return None
    return {
        "optimizer": {"name": name, "config": optimizer.get_config(), "state": optimizer.get_state()},
        "loss": loss,
        "loss_weights": compiled.loss_weights,
        "metrics": _objects.described_each(compiled.metrics, METRICS, skip=True),
        "weighted_metrics": _objects.described_each(compiled.weighted_metrics, METRICS, skip=True),
    }


def load(path: str | os.PathLike[str], custom_objects: dict[str, type[Layer]] | None = None) -> Trainer:
    """Read a model; see `recurra.load_model`."""
    name = os.fspath(path)
    arrays, metadata = safetensors.read(path)
    config = _config(metadata, name)
    try:
        model = _model(config, custom_objects or {})
        if not model.built:
            model.build(_shape(config["input_shape"]))
    except (TypeError, ValueError, KeyError, AttributeError, IndexError) as error:
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
    return config


def _model(config: dict[str, Any], custom_objects: dict[str, Any]) -> Trainer:
    """Return the model that a configuration describes, which may be of a class of one's own."""
    from recurra.models import MODELS, Model

    known = {**MODELS, **{name: cls for name, cls in custom_objects.items() if issubclass(cls, Model)}}
    name = _errors.check_choice("class_name", config["class_name"], known)
    if name not in custom_objects:
        _objects.check_origin("class_name", config)
    cls: Any = known[name]
    if name in MODELS:
        model: Trainer = cls.from_config(config["config"], custom_objects)
        return model
    made: Trainer = cls.from_config(config["config"])
    return made


def _shape(value: Any) -> Any:
    if isinstance(value, list) and value and isinstance(value[0], list):
        return [tuple(shape) for shape in value]
    return tuple(value) if isinstance(value, list) else value


def _check_arrays(model: Trainer, arrays: dict[str, Array], path: str) -> None:
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


def _compile(model: Trainer, config: Any, slots: dict[str, Array], path: str) -> None:
    from recurra.losses import LOSSES
    from recurra.metrics import METRICS
    from recurra.optimizers import OPTIMIZERS

    try:
        optimizer_config = config["optimizer"]
        optimizer = OPTIMIZERS[optimizer_config["name"]](**optimizer_config["config"])
        loss = _objects.each_from_description("loss", config["loss"], LOSSES)
        metrics = _objects.each_from_description("metrics", config["metrics"], METRICS)
        weighted = _objects.each_from_description("weighted_metrics", config.get("weighted_metrics", []), METRICS)
        model.compile(optimizer, loss, config.get("loss_weights"), metrics, weighted)
        optimizer.set_state(optimizer_config["state"])
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise ValueError(f"{path}: expected an optimizer and a loss of this version, got {error}") from error
    for key, slot in slots.items():
        if key not in optimizer.slot_names or slot.shape != (model.size,) or slot.dtype != model.dtype:
            raise ValueError(f"{path}: expected the optimizer's slots, got {key!r} of shape {slot.shape}")
    if slots and set(slots) != set(optimizer.slot_names):
        raise ValueError(f"{path}: expected the slots {optimizer.slot_names}, got {tuple(slots)}")
    optimizer.slots = slots
