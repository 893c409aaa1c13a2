"""Placeholders for arrays: calling layers on them draws the graph that a `recurra.Model` runs."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import numpy as np

from recurra import _errors

if TYPE_CHECKING:
    from collections.abc import Sequence

    from recurra._typing import Shape
    from recurra.layers.base import Layer


class SymbolicTensor:
    """What a layer returns when it is called on `Input`: a shape, and where it came from.

    Attributes
    ----------
    shape : tuple of (int or None)
        Batch axis first; None where any size will do.
    dtype : numpy.dtype
        Of the arrays it stands for.
    name : str
        The input's, or that of the layer it comes from.
    node : Node or None
        The call that it is an output of; None for an input.
    index : int
        Its number among that call's outputs.
    open_dtype : bool
        Whether the first layer called on it decides about the dtype.
    """

    __slots__ = ("dtype", "index", "name", "node", "open_dtype", "shape")

    def __init__(self, shape: Shape, dtype: np.dtype[Any], name: str, node: Node | None = None, index: int = 0) -> None:
        self.shape, self.dtype, self.name, self.node, self.index = shape, dtype, name, node, index
        self.open_dtype = False

    def __repr__(self) -> str:
        return f"<SymbolicTensor {self.name!r} shape={self.shape} {self.dtype.name}>"

    def __array__(self, *arguments: Any, **options: Any) -> Any:
        hint = "call layers on it, then the model on arrays"
        raise _errors.bad_type("x", "an array", self, hint)


class Node:
    """One call of a layer in a graph.

    Attributes
    ----------
    layer : Layer
        What is called.
    inputs, outputs : list of SymbolicTensor
        A recurrent layer's initial states follow its input; its final states follow its output.
    """

    __slots__ = ("inputs", "layer", "outputs")

    def __init__(self, layer: Layer, inputs: list[SymbolicTensor], shapes: Sequence[Shape]) -> None:
        self.layer, self.inputs = layer, inputs
        self.outputs = [SymbolicTensor(shape, layer.dtype, layer.name, self, i) for i, shape in enumerate(shapes)]


def is_symbolic(x: Any) -> bool:
    """Return whether a layer is called on placeholders."""
    if type(x) is SymbolicTensor:
        return True
    return isinstance(x, list | tuple) and len(x) > 0 and all(type(part) is SymbolicTensor for part in x)


def connect(layer: Layer, x: Any, *arguments: Any, **options: Any) -> Any:
    """Return the placeholders of a layer's outputs, having built the layer for the shapes of its inputs."""
    if layer.merges:
        if not isinstance(x, list | tuple):
            raise _errors.bad_type("x", f"a list of inputs for {layer.name!r}", x)
        inputs: list[SymbolicTensor] = list(x)
        shape: Any = [part.shape for part in x]
        for part, integers in zip(x, getattr(layer, "_integer_inputs", [False] * len(x)), strict=False):
            _check_kind(layer, part, integers)
    else:
        if not isinstance(x, SymbolicTensor):
            hint = "layers such as Concatenate or Add make one of several"
            raise _errors.bad_type("x", f"one input for {layer.name!r}", f"{len(x)} of them", hint)
        inputs, shape = [x], x.shape
        _check_kind(layer, x, layer.integer_input)
    inputs += _more_inputs(layer, arguments, options)
    if not layer.built:
        layer.build(shape)
    elif not layer.merges and layer._features not in (None, x.shape[-1]):
        layer.build(shape)  # says what is wrong
    node = Node(layer, inputs, layer._output_shapes(shape))
    return node.outputs[0] if len(node.outputs) == 1 else list(node.outputs)


def _more_inputs(layer: Layer, arguments: tuple[Any, ...], options: dict[str, Any]) -> list[SymbolicTensor]:
    """Return the placeholders among the further arguments of a call, which must be such as a graph can hold."""
    try:
        inspect.signature(layer._more_inputs).bind(*arguments, **options)
    except TypeError:
        got = ", ".join(options) or f"{len(arguments)} more"
        hint = "lengths, masks and training belong to the call of the model; other options to a layer of your own"
        raise _errors.bad_type("call", f"arguments of {layer.name!r} that a graph can hold", got, hint) from None
    return layer._more_inputs(*arguments, **options)


def _check_kind(layer: Layer, x: SymbolicTensor, integers: bool) -> None:
    if integers and x.open_dtype:
        x.dtype = np.dtype(np.int64)
    x.open_dtype = False
    if integers and x.dtype.kind not in "iu":
        raise _errors.bad_value("x", f"integers for {layer.name!r}", x.dtype.name, "Input(shape, dtype='int64')")
    if not integers and x.dtype != layer.dtype:
        raise _errors.bad_value("x", f"{layer.dtype.name} for {layer.name!r}", x.dtype.name)


def Input(  # Keras's name
    shape: Sequence[int | None], batch_size: int | None = None, dtype: Any = None, name: str | None = None
) -> Any:
    """Return a placeholder for an input of a `recurra.Model`.

    Parameters
    ----------
    shape : tuple of (int or None)
        Of one sample, without the batch axis; None where any size will do.
    batch_size : int, optional
        Accepted for Keras's sake; any will do.
    dtype : {"float32", "float64", "int32", "int64"}, optional
        By default "int64" for what an Embedding reads, else "float32".
    name : str, optional
        Key of the input where data comes as a dictionary.

    Returns
    -------
    SymbolicTensor
        To call layers on.

    Raises
    ------
    TypeError, ValueError
        If the shape is no tuple of sizes, or the dtype none of these.

    Examples
    --------
    >>> import recurra
    >>> x = recurra.Input((None, 10))
    >>> recurra.LSTM(20)(x).shape
    (None, 20)
    """
    if not isinstance(shape, tuple | list):
        raise _errors.bad_type("shape", "a tuple such as (time, features)", shape)
    if name is not None and (not isinstance(name, str) or not name):
        raise _errors.bad_type("name", "a text", name)
    sizes = [None if size is None else _errors.check_integer("shape", size, 1) for size in shape]
    kind = "float32" if dtype is None else np.dtype(dtype).name
    if kind not in ("int32", "int64"):
        kind = _errors.check_dtype("dtype", kind)
    tensor = SymbolicTensor((None, *sizes), np.dtype(kind), name or "")
    tensor.open_dtype = dtype is None
    return tensor
