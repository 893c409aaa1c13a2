"""What PyTorch's modules call the parameters of our layers.

Shapes are the same: Dense keeps (outputs, inputs), Conv1D (filters, features / groups, kernel_size), recurrent layers
stack their gates as PyTorch does. So only names differ. Source: the ``state_dict`` of each module of `torch.nn`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from recurra import _errors
from recurra.layers import BatchNormalization, Conv1D, Dense, Embedding, LayerNormalization, Recurrent
from recurra.layers.cells import FusedCell

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from recurra.layers.base import Layer

Prefix = str | Mapping[str, str | None]

# Class to PyTorch's module, and our names to its names. Recurrent layers have the same names on both sides.
MODULES: dict[type[Layer], tuple[str, dict[str, str]]] = {
    Dense: ("Linear", {"weight": "weight", "bias": "bias"}),
    Conv1D: ("Conv1d", {"weight": "weight", "bias": "bias"}),
    Embedding: ("Embedding", {"embeddings": "weight"}),
    LayerNormalization: ("LayerNorm", {"gamma": "weight", "beta": "bias"}),
    BatchNormalization: (
        "BatchNorm1d",
        {"gamma": "weight", "beta": "bias", "moving_mean": "running_mean", "moving_variance": "running_var"},
    ),
    Recurrent: ("RNN, LSTM or GRU", {}),
}
# What a module keeps besides, and we have no use for.
IGNORED: dict[type[Layer], tuple[str, ...]] = {BatchNormalization: ("num_batches_tracked",)}


class Named(NamedTuple):
    """A layer that holds parameters itself, and the names that a state dict has for them.

    Attributes
    ----------
    layer : Layer
        Its views are those of the model that holds it.
    path : str
        What a user calls the layer.
    names : dict of str to tuple of str
        Our names to PyTorch's, the first being the one to write.
    ignored : tuple of str
        Names that may be there too.
    """

    layer: Layer
    path: str
    names: dict[str, tuple[str, ...]]
    ignored: tuple[str, ...]


def join(prefix: str, name: str) -> str:
    """Return ``prefix.name``; the prefix may be empty, or end in a dot as PyTorch writes it."""
    if not prefix or not name:
        return prefix or name
    return prefix + name if prefix.endswith(".") else f"{prefix}.{name}"


def named(layer: Layer, prefix: Prefix = "") -> list[Named]:
    """Return the layers that hold parameters, in order, with the names of each.

    Parameters
    ----------
    layer : Layer
        Built.
    prefix : str, or mapping of str to (str or None)
        What stands before all names; or for the layers of a model, by name, what stands before theirs: by default
        their name, None for those to leave out.

    Raises
    ------
    TypeError, ValueError
        If the prefix does not fit the layer, or a layer has no counterpart in PyTorch.
    """
    if isinstance(prefix, str):
        return list(_walk(layer, prefix, "", {}))
    if not isinstance(prefix, Mapping):
        raise _errors.bad_type("prefix", "a text, or a mapping from layers' names to texts", prefix)
    known = {path for path, _, _ in _paths(layer, "")} - {""}
    for path, text in prefix.items():
        if path not in known:
            names = ", ".join(sorted(known)) or "none: it is no model, give it a text"
            raise _errors.bad_value("prefix", f"names of layers in {layer.name!r}", repr(path), names)
        if text is not None and not isinstance(text, str):
            raise _errors.bad_type(f"prefix[{path!r}]", "a text, or None to leave the layer out", text)
    return list(_walk(layer, "", "", prefix))


def _inner(layer: Any) -> list[tuple[str, Layer]]:
    """Return the layers whose parameters a layer shows as its own, each with the name it has there."""
    if getattr(layer, "borrows", False):
        return [(one.name, one) for one in layer.layers if one.size]
    found = []
    for inner, place in layer._inner:
        if inner.size:
            shown = next(weight.name for weight in layer.weights_declared if weight.offset == place.start)
            found.append((shown.removesuffix(inner.weights_declared[0].name).rstrip("."), inner))
    return found


def _paths(layer: Layer, path: str) -> Iterator[tuple[str, str, Layer]]:
    """Yield (path, name within the one that holds it, layer) of every layer inside."""
    for name, inner in _inner(layer):
        here = join(path, name)
        yield here, name, inner
        yield from _paths(inner, here)


def _walk(layer: Layer, prefix: str, path: str, prefixes: Mapping[str, str | None]) -> Iterator[Named]:
    inner = _inner(layer)
    if not inner:
        if layer.size:
            yield _leaf(layer, prefix, path)
        return
    if any(weight.layer is layer for weight in layer.weights_declared):
        raise _no_counterpart(layer, "it holds parameters beside those of its layers")
    for name, part in inner:
        here = join(path, name)
        chosen = prefixes.get(here, join(prefix, name)) if name else prefix
        if chosen is None:
            continue
        for one in _walk(part, chosen, here, prefixes):
            yield (
                one
                if not isinstance(layer, FusedCell)
                else one._replace(names={ours: theirs[::-1] for ours, theirs in one.names.items()})
            )


def _leaf(layer: Layer, prefix: str, path: str) -> Named:
    path = path or layer.name
    if isinstance(layer, Recurrent):
        lacking = _lacking(layer)
        if lacking:
            raise _no_counterpart(layer, f"{type(layer).__name__} with {lacking}")
        names = {}
        for weight in layer.weights_declared:
            short = (weight.name.removesuffix("_l0"),) if layer.stack == 1 else ()
            names[weight.name] = tuple(join(prefix, name) for name in (weight.name, *short))
        return Named(layer, path, names, ())
    kind = next((cls for cls in type(layer).__mro__ if cls in MODULES), None)
    if kind is None:
        raise _no_counterpart(layer, f"a {type(layer).__name__}")
    table = MODULES[kind][1]
    names = {weight.name: (join(prefix, table[weight.name]),) for weight in layer.weights_declared}
    return Named(layer, path, names, tuple(join(prefix, name) for name in IGNORED.get(kind, ())))


def _lacking(layer: Recurrent) -> str:
    """Return what a recurrent layer does that PyTorch's does not, in words, or nothing."""
    options = layer.options
    own = [name for name in ("use_peepholes", "input_forget", "layer_norm", "clip", "cell_clip") if options.get(name)]
    if any(options["zoneout"]):
        own.append("zoneout")
    if layer.learned_state:
        own.append("trainable_initial_state")
    if not options.get("reset_after", True):
        own.append("reset_after=False")
    hidden = ("tanh", "relu") if layer.cell == "rnn" else ("tanh",)
    usual = {"activation": hidden, "recurrent_activation": ("sigmoid",), "output_activation": ("tanh",)}
    for name, known in usual.items():
        if name in options and options[name].name not in known:
            own.append(f"{name}={options[name].name!r}")
    return ", ".join(own)


def _no_counterpart(layer: Layer, got: str) -> ValueError:
    hint = "in a model leave it out: prefix={..., " + repr(layer.name) + ": None}; load_state_dict takes it as it is"
    return _errors.bad_value(f"layer {layer.name!r}", "one that torch.nn has", got, hint)


def input_shape(layer: Layer, prefix: Prefix, shape_of: Callable[[str], tuple[int, ...] | None]) -> Any:
    """Return the shape of the input of a layer that is not built, as far as a state dict tells it; else None.

    Parameters
    ----------
    layer : Layer
        A layer, or a chain that begins with one.
    prefix : str or mapping
        See `named`.
    shape_of : callable
        Returns the shape of the array of a name, None if there is none.
    """
    layers = getattr(layer, "layers", None)
    if layers and not isinstance(layer, Recurrent):
        first = layers[0]
        if not isinstance(first, Recurrent | Conv1D | Embedding):
            return None  # its input may have any number of axes
        text = join(prefix, first.name) if isinstance(prefix, str) else dict(prefix).get(first.name, first.name)
        return None if text is None else input_shape(first, text, shape_of)
    if not isinstance(prefix, str):
        return None
    if isinstance(layer, Embedding):
        return (None, None)
    kinds = {
        Recurrent: (("weight_ih_l0", "weight_ih"), 1),
        Conv1D: (("weight",), 1),
        Dense: (("weight",), 1),
        LayerNormalization: (("weight", "bias"), 0),
        BatchNormalization: (("running_mean",), 0),
    }
    for kind, (names, axis) in kinds.items():
        if isinstance(layer, kind):
            shapes = [shape for name in names if (shape := shape_of(join(prefix, name))) and len(shape) > axis]
            if not shapes:
                return None
            features = shapes[0][axis] * getattr(layer, "groups", 1)
            return (None, None, features) if isinstance(layer, Recurrent | Conv1D) else (None, features)
    return None
