"""``load_weights`` and ``save_weights`` in Keras's formats."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from recurra import _errors
from recurra.keras import archive, hdf5, stores
from recurra.keras.order import keras_order
from recurra.keras.variables import fill, holder, tail
from recurra.models import Functional

if TYPE_CHECKING:
    from recurra._typing import Array
    from recurra.keras.hdf5 import Group
    from recurra.keras.variables import Values
    from recurra.layers.base import Layer

SKIPPED = ("optimizer", "optimizer_weights", "metrics", "_metrics")


def load(model: Layer, path: str | os.PathLike[str], by_name: bool) -> None:
    """Set a built model's parameters from a file of Keras; see `Trainer.load_weights`."""
    name = os.fspath(path)
    model._require_built()
    tree = archive.read(path)[1] if name.lower().endswith(".keras") else hdf5.read(path, name, SKIPPED)
    flat = weights_group(tree)
    try:
        values = _by_path(model, tree, name, by_name) if flat is None else _by_list(model, flat, name, by_name)
        if by_name:
            values = {**_present(model), **values}
        fill(model, values, name)
    except (TypeError, ValueError, KeyError) as error:
        raise ValueError(str(error) if name in str(error) else f"{name}: {error}") from error


def weights_group(tree: Group) -> Group | None:
    """Return the group of flat lists of a file; None for a file by path."""
    inner = tree.groups.get("model_weights")
    if inner is not None:
        return inner
    by_path = {"layers", "_layer_checkpoint_dependencies"} & set(tree.groups)
    return None if by_path and stores.listed(tree, "layer_names") is None else tree


def _by_path(model: Layer, tree: Group, name: str, by_name: bool) -> Values:
    if by_name:
        hint = "its layers are numbered; only .h5 files of Keras 2's layout have names"
        raise _errors.bad_value("by_name", f"False for {name}", "True", hint)
    return stores.from_paths(holder(model), tree, name)


def _by_list(model: Layer, group: Group, name: str, by_name: bool) -> Values:
    lists = stores.lists_of(group, name)
    listed: list[Layer] = getattr(model, "layers", [])
    layers = keras_order(model) if isinstance(model, Functional) else listed
    if by_name:
        known = {layer.name: layer for layer in layers}
        if not set(known) & set(lists):
            ours, got = ", ".join(known)[:300], ", ".join(lists)[:300]
            raise ValueError(f"{name}: expected names of the model's layers, {ours}, got {got}")
        pairs = [(layer, lists[key]) for key, layer in known.items() if key in lists]
    else:
        mine = [layer for layer in layers if layer.size]
        theirs = {key: arrays for key, arrays in lists.items() if arrays}
        if len(mine) != len(theirs):
            ours = f"{len(mine)} layers ({', '.join(layer.name for layer in mine)[:300]})"
            got = f"{len(theirs)} ({', '.join(theirs)[:300]})"
            raise ValueError(f"{name}: expected weights of {ours}, got {got}; by_name=True takes what agrees by name")
        pairs = list(zip(mine, theirs.values(), strict=True))
    values: Values = {}
    for layer, arrays in pairs:
        values.update(stores.from_list(holder(layer), arrays))
    return values


def _present(model: Layer) -> dict[tuple[int, str], Array]:
    """Return the parameters as they are."""
    model._allocate()
    views = model._views[0]
    return {(id(weight.layer), tail(weight.name)): views[weight.name] for weight in model.weights_declared}


def save(model: Layer, path: str | os.PathLike[str]) -> None:
    """Write a built model's parameters as ``.weights.h5``; see `Trainer.save_weights`."""
    name = os.fspath(path)
    if not name.lower().endswith(".weights.h5"):
        raise _errors.bad_value("filepath", "a name ending in .weights.h5", repr(name), "as Keras wants it")
    model._require_built()
    archive.replace(path, archive.hdf5_bytes(weights_tree(model, None)))


def weights_tree(model: Layer, kinds: dict[int, str] | None) -> dict[str, Any]:
    """Return a model's parameters by path, for a file."""
    model._allocate()
    return stores.to_paths(holder(model, kinds))
