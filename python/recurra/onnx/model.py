"""An ONNX model that runs: NumPy arrays in and out, as from ONNX Runtime's session."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from recurra import _errors
from recurra.onnx.plan import GraphPlan
from recurra.onnx.shaped import Shaped

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from recurra._typing import Array
    from recurra.onnx.graph import Graph, Value


class OnnxModel:
    """A model read from an ONNX file, run by recurra's engine.

    Made by `recurra.load` and `recurra.onnx.load`.

    Parameters
    ----------
    graph : Graph
        What `recurra.onnx.read_graph` returned.

    Attributes
    ----------
    inputs, outputs : list of Value
        Names, types and shapes.
    graph : Graph
        What the file holds.

    Raises
    ------
    ValueError
        If an operator, an attribute or weights cannot be honoured exactly; the message names the node.

    Notes
    -----
    Calls from several threads are safe. Weights are packed once, when the model is made; RNN, LSTM, GRU, MatMul, Gemm
    and Conv run in the engine, what surrounds them in NumPy.

    Examples
    --------
    >>> import numpy as np
    >>> from onnx import TensorProto, helper
    >>> from recurra.onnx import OnnxModel, read_graph
    >>> x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 2]) for name in "xy")
    >>> graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "small", [x], [y])
    >>> model = OnnxModel(read_graph(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])))
    >>> model(np.array([[1, -1]], np.float32))
    array([[1., 0.]], dtype=float32)
    >>> model.run(None, {"x": np.array([[2, 3]], np.float32)})
    [array([[2., 3.]], dtype=float32)]
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.inputs: list[Value] = graph.inputs
        self.outputs: list[Value] = graph.outputs
        self._plan = GraphPlan(graph, {})
        self._shaped = Shaped(self._plan, graph)

    def __repr__(self) -> str:
        def listed(values: list[Value]) -> str:
            return ", ".join(f"{value.name} {value.type}{_text(value.shape)}" for value in values)

        return f"OnnxModel({listed(self.inputs)} -> {listed(self.outputs)})"

    def __call__(self, *arrays: Any, **by_name: Any) -> Any:
        """Return the output, or the list of outputs if there are several.

        Parameters
        ----------
        *arrays : numpy.ndarray
            The inputs in their order.
        **by_name : numpy.ndarray
            Further inputs by name.

        Returns
        -------
        numpy.ndarray or list of numpy.ndarray
            The outputs.

        Raises
        ------
        TypeError, ValueError
            If inputs are missing or do not fit, or a node cannot compute; the message names it.
        """
        if len(arrays) > len(self.inputs):
            raise _errors.bad_value("arrays", f"{len(self.inputs)} inputs", f"{len(arrays)}")
        feeds = dict(zip((value.name for value in self.inputs), arrays, strict=False))
        twice = sorted(set(feeds) & set(by_name))
        if twice:
            raise _errors.bad_value("arrays", "each input once", f"{twice[0]!r} twice")
        results = self.run(None, {**feeds, **by_name})
        return results[0] if len(results) == 1 else results

    def run(self, output_names: Sequence[str] | None, feeds: Mapping[str, Any]) -> list[Array]:
        """Return outputs, as `onnxruntime.InferenceSession.run` does.

        Parameters
        ----------
        output_names : sequence of str or None
            Which outputs; None: all.
        feeds : mapping of str to numpy.ndarray
            The inputs by name.

        Returns
        -------
        list of numpy.ndarray
            The outputs, in memory of their own.

        Raises
        ------
        TypeError, ValueError
            As from a call.
        """
        plan, given = self._shaped.ready(feeds)
        if plan is None:
            given = self._given(feeds)
            plan = self._shaped.choose(given)
        if plan.quiet:
            with np.errstate(all="ignore"):
                made = plan.run(given)
        else:
            made = plan.run(given)
        results = made if plan.exact else list(map(_own, made, plan.shared))
        if output_names is None:
            return results
        by_name = dict(zip(self._plan.outputs, results, strict=True))
        unknown = [name for name in output_names if name not in by_name]
        if unknown:
            raise _errors.bad_value("output_names", "one of " + ", ".join(map(repr, by_name)), repr(unknown[0]))
        return [by_name[name] for name in output_names]

    def get_inputs(self) -> list[Value]:
        """Return the inputs: objects with ``name``, ``shape`` and ``type``."""
        return list(self.inputs)

    def get_outputs(self) -> list[Value]:
        """Return the outputs, likewise."""
        return list(self.outputs)

    def _given(self, feeds: Mapping[str, Any]) -> list[Array]:
        """Return the inputs in their order, having checked them."""
        given = []
        for value in self.inputs:
            name, dtype, shape = value
            array = feeds.get(name)
            if type(array) is not np.ndarray or array.dtype != dtype or array.shape != shape:
                if name not in feeds:
                    names = ", ".join(repr(one.name) for one in self.inputs)
                    raise _errors.bad_value("inputs", names, f"none for {name!r}")
                array = _checked(value, array)
            given.append(array)
        if len(feeds) != len(given):
            known = {value.name for value in self.inputs}
            odd = next(name for name in feeds if name not in known)
            raise _errors.bad_value("inputs", ", ".join(map(repr, sorted(known))) or "none", repr(odd))
        return given


def _checked(value: Value, array: Any) -> Array:
    """Return an input as an array, if its type and shape are the graph's."""
    name, dtype, shape = value
    if type(array) is not np.ndarray:
        array = np.asarray(array, None if isinstance(array, np.generic | np.ndarray) else dtype)
    if dtype is not None and array.dtype != dtype:
        raise _errors.bad_type(name, dtype.name, array.dtype.name, f"cast it: {name}.astype({dtype.name!r})")
    if shape is not None and array.shape != shape:
        fits = len(shape) == array.ndim
        for size, length in zip(shape, array.shape, strict=False):
            fits = fits and (size == length or type(size) is not int)
        if not fits:
            raise _errors.bad_value(name, f"shape {_text(shape)}", f"{array.shape}")
    return array  # type: ignore[no-any-return]


def _text(shape: tuple[int | str | None, ...] | None) -> str:
    """Return a shape in words, with ``?`` where a size is free."""
    if shape is None:
        return ""
    sizes = ["?" if size is None else str(size) for size in shape]
    return "(" + ", ".join(sizes) + ("," if len(sizes) == 1 else "") + ")"


def _own(result: Any, shared: bool) -> Array:
    """Return an output in memory of its own."""
    if shared:
        return np.array(result)
    return result if type(result) is np.ndarray else np.asarray(result)
