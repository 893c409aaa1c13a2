"""PyTorch's state dicts: named arrays into the parameters of layers, and out again, without PyTorch."""

from __future__ import annotations

import difflib
import os
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from recurra import _errors
from recurra.io import safetensors
from recurra.io.torch_names import Named, input_shape, join, named

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from recurra._typing import Array
    from recurra.layers.base import Layer

PICKLED = (".pt", ".pth", ".bin", ".ckpt", ".pkl", ".pickle", ".tar")
_TO_SAFETENSORS = "in PyTorch: safetensors.torch.save_file(torch.load(file, weights_only=True), 'weights.safetensors')"
_SHOWN = 6  # names in a message
_COMPARED = 5000  # names that are ordered by likeness


class IncompatibleKeys(NamedTuple):
    """What did not go in, as `torch.nn.Module.load_state_dict` returns it.

    Attributes
    ----------
    missing_keys : list of str
        Names that parameters have and the state dict lacks; these parameters keep their values.
    unexpected_keys : list of str
        Names of the state dict that no parameter has.
    """

    missing_keys: list[str]
    unexpected_keys: list[str]


def load(layer: Layer, state_dict: Any, prefix: Any = "", strict: bool = True) -> IncompatibleKeys:
    """Copy the arrays of a state dict into a layer's parameters; see `Layer.load_torch`."""
    arrays = opened(state_dict)
    strict = _errors.check_flag("strict", strict)
    if not layer.built:
        shape = input_shape(layer, prefix, lambda name: _shape(arrays[name]) if name in arrays else None)
        if shape is not None:
            layer.build(shape)
    layer._allocate()
    chosen, missing = [], []
    used: set[str] = set()
    for one in named(layer, prefix):
        used.update(one.ignored)
        for ours, theirs in one.names.items():
            found = next((name for name in theirs if name in arrays), None)
            if found is not None:
                used.add(found)
                view = one.layer._views[0][ours]
                array = _fitting(found, as_array(found, arrays[found]), view, one.path)
                chosen.append((one.layer, view, array))
                continue
            _refuse_parametrized(theirs, arrays, one.path)
            if strict:
                raise _missing(theirs[0], one, arrays)
            missing.append(theirs[0])
    start = join(prefix, ".")[:-1] if isinstance(prefix, str) else ""
    unexpected = [name for name in arrays if name.startswith(start) and name not in used]
    if strict and unexpected:
        raise _unexpected(unexpected, layer, prefix)
    for owner, view, array in chosen:
        view[...] = array
        owner._version.number += 1
    return IncompatibleKeys(missing, unexpected)


def dump(layer: Layer, prefix: Any = "") -> dict[str, Array]:
    """Return copies of a layer's parameters under PyTorch's names; see `Layer.to_torch`."""
    layer._allocate()
    arrays: dict[str, Array] = {}
    for one in named(layer, prefix):
        for ours, theirs in one.names.items():
            if theirs[0] in arrays:
                raise _errors.bad_value("prefix", "names of its own for each layer", f"{theirs[0]!r} twice")
            arrays[theirs[0]] = one.layer._views[0][ours].copy()
    return arrays


# Reading


def opened(state_dict: Any) -> Mapping[str, Any]:
    """Return a state dict as a mapping, or that of a file; the file's arrays are read when asked for."""
    if isinstance(state_dict, str | os.PathLike):
        path = os.fspath(state_dict)
        if os.path.splitext(path)[1].lower() in PICKLED or _starts_as_pickle(path):
            got = f"{path!r}, a pickle, which can run anything when it is read"
            raise _errors.bad_value("state_dict", "a safetensors file", got, _TO_SAFETENSORS)
        return safetensors.Archive(path)
    if callable(getattr(state_dict, "state_dict", None)):
        raise _errors.bad_type("state_dict", "a dictionary", type(state_dict).__name__, "pass module.state_dict()")
    if not hasattr(state_dict, "keys") or not hasattr(state_dict, "__getitem__"):
        raise _errors.bad_type("state_dict", "a dictionary of arrays, or the path of a safetensors file", state_dict)
    mapping: Mapping[str, Any] = state_dict
    return mapping


def _starts_as_pickle(path: str) -> bool:
    """Return whether a file begins as PyTorch's zip archives and pickles do, and not with a header in JSON."""
    try:
        with open(path, "rb") as file:
            start = file.read(9)
    except OSError:
        return False  # who reads it will say so
    return start[8:] != b"{" and (start[:4] == b"PK\x03\x04" or (start[:1] == b"\x80" and start[1:2] in b"\2\3\4\5"))


def _shape(value: Any) -> tuple[int, ...]:
    return tuple(int(size) for size in getattr(value, "shape", ()))


def as_array(name: str, value: Any) -> Array:
    """Return an array or tensor of floating-point numbers as float32 or float64, exactly."""
    try:
        if hasattr(value, "detach") and hasattr(value, "cpu"):  # a tensor; NumPy knows fewer kinds than PyTorch
            value = value.detach().cpu()
            small = str(value.dtype) not in ("torch.float32", "torch.float64") and value.is_floating_point()
            value = (value.float() if small else value).numpy()
        array = np.asarray(value)
        if array.dtype.name in ("float16", "bfloat16"):
            array = array.astype(np.float32)
    except (TypeError, ValueError, RuntimeError, NotImplementedError) as error:
        raise _errors.bad_type(f"state_dict[{name!r}]", "an array or a dense tensor", str(error)) from error
    if array.dtype.name not in ("float32", "float64"):
        got = array.dtype.name if array.dtype != object else type(value).__name__
        raise _errors.bad_type(f"state_dict[{name!r}]", "floating-point numbers", got)
    return array


def _fitting(name: str, array: Array, view: Array, path: str) -> Array:
    """Return an array in the dtype of the parameter that it is for."""
    if array.shape != view.shape:
        turned = array.shape == view.shape[::-1]
        hint = "PyTorch keeps (outputs, inputs); transpose it" if turned else f"which layer {path!r} has"
        raise _errors.bad_value(f"state_dict[{name!r}]", f"shape {view.shape}", f"shape {array.shape}", hint)
    if array.dtype == view.dtype:
        return array
    with np.errstate(over="ignore"):
        cast = array.astype(view.dtype)
    if np.isinf(cast).sum() != np.isinf(array).sum():
        raise _errors.bad_value(f"state_dict[{name!r}]", f"numbers that {view.dtype.name} holds", "larger ones")
    return cast


# What is wrong


def closest(name: str, known: Iterable[str]) -> str:
    """Return names, those most like ``name`` first, in words."""
    names = list(known)
    matcher = difflib.SequenceMatcher(None, "", name, autojunk=False)

    def likeness(other: str) -> float:
        matcher.set_seq1(other)
        return matcher.ratio()

    ordered = sorted(names[:_COMPARED], key=likeness, reverse=True)
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(map(repr, ordered[:_SHOWN])) + more if names else "nothing"


def _missing(name: str, one: Named, arrays: Mapping[str, Any]) -> ValueError:
    expected = f"{name!r} for layer {one.path!r}"
    return _errors.bad_value("state_dict", expected, closest(name, arrays), "prefix= says where a layer's names begin")


def _refuse_parametrized(theirs: tuple[str, ...], arrays: Mapping[str, Any], path: str) -> None:
    """Raise if a parameter is stored as the parts that a parametrization computes it from."""
    for name in theirs:
        module, _, short = name.rpartition(".")
        parts = [f"{name}_{part}" for part in ("g", "v", "orig", "mask", "u")]
        parts += [join(module, f"parametrizations.{short}.{part}") for part in ("original", "original0", "original1")]
        found = [part for part in parts if part in arrays]
        if found:
            got = "a parametrization of it, " + ", ".join(map(repr, found))
            hint = (
                f"store the weight itself: torch.nn.utils.parametrize.remove_parametrizations(module, {short!r}), "
                "torch.nn.utils.remove_weight_norm or prune.remove"
            )
            raise _errors.bad_value("state_dict", f"{name!r} for layer {path!r}", got, hint)


def _unexpected(names: list[str], layer: Layer, prefix: Any) -> ValueError:
    known = [theirs[0] for one in named(layer, prefix) for theirs in one.names.values()]
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    got = ", ".join(map(repr, names[:_SHOWN])) + more
    hint = f"strict=False leaves others out; {layer.name!r} has {closest(names[0], known)}"
    return _errors.bad_value("state_dict", "no names but those of the layer", got, hint)
