"""Weights of recurrent cells as Keras lays them out, and the way to ours and back.

Letters: I inputs, H units, G gates. Keras has kernels (I, G H) and (H, G H) and one bias (G H,); a GRU with
``reset_after`` has (2, 3 H). Files of Keras 2 may come from layers for cuDNN, whose blocks are transposed and whose
bias is (2 G H,).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from recurra import _errors
from recurra.io import gates

if TYPE_CHECKING:
    from collections.abc import Sequence

    from recurra._typing import Array
    from recurra.layers.recurrent import Recurrent

# Options that Keras's layers do not have, with the value that leaves them out.
_UNKNOWN = {
    "proj_size": 0,
    "use_peepholes": False,
    "clip": 0.0,
    "cell_clip": 0.0,
    "input_forget": False,
    "layer_norm": False,
    "zoneout": (0.0, 0.0),
}
COUNTS = {"rnn": 1, "lstm": 4, "gru": 3}
CLASSES = {"rnn": "SimpleRNN", "lstm": "LSTM", "gru": "GRU"}


def check_expressible(layer: Recurrent, where: str) -> None:
    """Raise unless Keras has a layer that computes what this one does."""
    options = layer.options
    odd = [name for name, plain in _UNKNOWN.items() if options.get(name, plain) != plain]
    if options.get("output_activation", options["activation"]) != options["activation"]:
        odd.append("output_activation")
    if layer.learned_state:
        odd.append("trainable_initial_state")
    if odd:
        raise _errors.bad_value(where, "a layer that Keras has", f"{odd[0]} in {layer.name!r}", "Keras has no such")
    if options["num_layers"] > 1:
        hint = "make it of layers of one"
        raise _errors.bad_value(where, "a layer that Keras has", f"num_layers in {layer.name!r}", hint)


def from_keras(layer: Recurrent, suffix: str, arrays: Sequence[Array]) -> dict[str, Array]:
    """Return the native weights of one direction, by name.

    Parameters
    ----------
    layer : Recurrent
        Built or not.
    suffix : {"", "_reverse"}
        The direction.
    arrays : list of numpy.ndarray
        kernel, recurrent_kernel and, with ``use_bias``, bias; of a plain layer or one for cuDNN.

    Raises
    ------
    ValueError
        If their number or a shape does not fit.
    """
    cell, units, count = layer.cell, layer.units, COUNTS[layer.cell]
    names = variable_names(layer)
    if len(arrays) != len(names):
        raise _errors.bad_value(f"weights of {layer.name!r}", ", ".join(names), f"{len(arrays)} arrays")
    kernel, recurrent, *bias = arrays
    wide = count * units
    if kernel.ndim != 2 or kernel.shape[1] != wide or recurrent.shape != (units, wide):
        expected = f"kernels of shape (inputs, {wide}) and {(units, wide)}"
        raise _errors.bad_value(f"weights of {layer.name!r}", expected, f"{kernel.shape} and {recurrent.shape}")
    if bias and cell != "rnn" and bias[0].shape == (2 * wide,):
        kernel, recurrent = _plain(kernel, count, "F"), _plain(recurrent, count)
        bias = [bias[0].reshape(2, wide)]
    made = {f"weight_ih_l0{suffix}": kernel, f"weight_hh_l0{suffix}": recurrent}
    native = {name: gates.to_native(array.T, cell, "keras") for name, array in made.items()}
    if bias:
        both = _biases(layer, bias[0])
        native[f"bias_ih_l0{suffix}"], native[f"bias_hh_l0{suffix}"] = (gates.to_native(b, cell, "keras") for b in both)
    return native


def _plain(kernel: Array, count: int, order: Any = None) -> Array:
    """Return a kernel of cuDNN with its blocks as in the plain layer; they are transposed there."""
    blocks = np.split(kernel, count, axis=1)
    turned = [block.T if order is None else block.T.reshape(block.shape, order=order) for block in blocks]
    return np.concatenate(turned, axis=1)


def _biases(layer: Recurrent, bias: Array) -> Array:
    """Return Keras's bias as the two of ours, (2, G H)."""
    wide = COUNTS[layer.cell] * layer.units
    two = layer.cell == "gru" and layer.options["reset_after"]
    if bias.shape == (2, wide) and (two or layer.cell == "lstm"):
        return bias
    if bias.shape == (wide,) and not two:
        return np.stack([bias, np.zeros_like(bias)])
    hint = "" if layer.cell != "gru" else "the one is of reset_after=True, the other of False"
    expected = f"a bias of shape {(2, wide) if two else (wide,)}"
    raise _errors.bad_value(f"weights of {layer.name!r}", expected, f"{bias.shape}", hint)


def to_keras(layer: Recurrent, suffix: str, views: dict[str, Array]) -> list[Array]:
    """Return kernel, recurrent_kernel and bias of one direction of a layer that `check_expressible` let pass."""
    turned = {
        name: gates.from_native(views[name + suffix], layer.cell, "keras")
        for name in ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
        if name + suffix in views
    }
    made = [np.ascontiguousarray(turned["weight_ih_l0"].T), np.ascontiguousarray(turned["weight_hh_l0"].T)]
    if "bias_ih_l0" in turned:
        two = layer.cell == "gru" and layer.options["reset_after"]
        both = turned["bias_ih_l0"], turned["bias_hh_l0"]
        made.append(np.stack(both) if two else both[0] + both[1])
    return made


def variable_names(layer: Recurrent) -> list[str]:
    """Return Keras's names of a cell's weights, in Keras's order."""
    return ["kernel", "recurrent_kernel", *(["bias"] if layer.options["use_bias"] else [])]
