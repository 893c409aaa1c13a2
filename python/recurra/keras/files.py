"""Whole models in Keras's files."""

from __future__ import annotations

import os
import warnings
from typing import TYPE_CHECKING, Any

from recurra.keras import archive, hdf5, stores
from recurra.keras.loader import Loader
from recurra.keras.variables import fill, holder
from recurra.keras.weights import SKIPPED, weights_group

if TYPE_CHECKING:
    from recurra.keras.hdf5 import Group
    from recurra.layers.base import Layer
    from recurra.training.trainer import Trainer


def load(path: str | os.PathLike[str], custom_objects: dict[str, type[Layer]] | None = None) -> Any:
    """Return the model of a file; see `recurra.load_model`."""
    name = os.fspath(path)
    flat: Group | None = None
    if name.lower().endswith(".keras"):
        config, tree, version = archive.read(path)
        config.get("compile_config")
    else:
        tree = hdf5.read(path, name, SKIPPED)
        flat = weights_group(tree)
        config, _training, version = _attributes(tree, flat, name)
    try:
        loader = Loader(_generation(version), custom_objects or {})
        build = config.get("build_config")
        model = loader.model(config, build.get("input_shape") if isinstance(build, dict) else None)
        kinds = {**loader.kinds, **loader.inner_kinds}
        if flat is None:
            values = stores.from_paths(holder(model, kinds), tree, name)
        else:
            values = {}
            lists = stores.lists_of(flat, name)
            for theirs, layer in loader.names.items():
                values.update(stores.from_list(holder(layer, kinds), lists.pop(theirs, [])))
            if any(lists.values()):
                raise ValueError(f"expected weights of the model's layers alone, got some of {next(iter(lists))!r}")
        fill(model, values, name)
    except (ValueError, TypeError, KeyError, AttributeError, IndexError, OverflowError, RecursionError) as error:
        raise ValueError(str(error) if name in str(error) else f"{name}: {error}") from error
    if loader.stateful:
        text = f"{name}: {', '.join(loader.stateful)} had stateful=True; here each call starts anew: "
        warnings.warn(text + "model.stream(batch_size) carries states on", UserWarning, stacklevel=3)
    return model


def _attributes(tree: Group, flat: Group | None, name: str) -> tuple[dict[str, Any], Any, str]:
    """Return configuration, training and version of a .h5 file."""
    text = tree.attributes.get("model_config")
    if not isinstance(text, str):
        hint = "build the model and call model.load_weights(path)"
        raise ValueError(f"{name}: expected a model's configuration, got weights alone; {hint}")
    training = tree.attributes.get("training_config")
    version = tree.attributes.get("keras_version", flat.attributes.get("keras_version", "") if flat else "")
    compiled = archive.parsed(training, f"{name}: training_config") if isinstance(training, str) else None
    return archive.parsed(text, f"{name}: model_config"), compiled, version if isinstance(version, str) else ""


def _generation(version: str) -> int | None:
    """Return 2 or 3 for a version such as 2.4.0-tf; None for none."""
    first = version.partition(".")[0]
    if first in ("0", "1"):
        raise ValueError(f"expected a file of Keras 2 or 3, got one of {version[:20]}; load and save it with Keras 2")
    return {"2": 2, "3": 3}.get(first)


def save(model: Trainer, path: str | os.PathLike[str]) -> None:
    """Write a model as ``.keras``; see `Trainer.save`."""
    from recurra.keras import export

    export.save(model, path)
