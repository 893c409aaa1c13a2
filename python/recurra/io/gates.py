"""Orders in which others store the gates of a cell, and the way to ours, which is PyTorch's.

Letters: LSTM i (input), f (forget), g (cell candidate), o (output); GRU r (reset), z (update), n (candidate).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from recurra import _errors

if TYPE_CHECKING:
    from recurra._typing import Array

NATIVE = {"rnn": "h", "lstm": "ifgo", "gru": "rzn"}
# Keras names g "c" and n "h"; ONNX likewise.
ORDERS: dict[str, dict[str, str]] = {
    "torch": NATIVE,
    "keras": {"rnn": "h", "lstm": "ifgo", "gru": "zrn"},
    "onnx": {"rnn": "h", "lstm": "iofg", "gru": "zrn"},
    "openvino": {"rnn": "h", "lstm": "figo", "gru": "zrn"},
    "onednn": {"rnn": "h", "lstm": "ifgo", "gru": "zrn"},
    "dynet": {"lstm": "ifog"},
}


def to_native(array: Array, cell: str, order: str, axis: int = 0) -> Array:
    """Return an array whose gates lie in blocks along an axis with the blocks in our order.

    Parameters
    ----------
    array : numpy.ndarray
        Its axis is a multiple of the number of gates.
    cell : {"rnn", "lstm", "gru"}
        The cell.
    order : str
        Whose order it is in, of ``ORDERS``; or the letters themselves, such as ``"ifog"``.
    axis : int, default 0
        Where the blocks lie.

    Returns
    -------
    numpy.ndarray
        A copy, contiguous.

    Examples
    --------
    >>> import numpy as np
    >>> to_native(np.array([1, 2, 3, 4]), "lstm", "onnx").tolist()
    [1, 3, 4, 2]
    """
    return _moved(array, _letters(cell, order), NATIVE[cell], axis)


def from_native(array: Array, cell: str, order: str, axis: int = 0) -> Array:
    """Return an array in our order with the blocks in another one; the inverse of `to_native`."""
    return _moved(array, NATIVE[cell], _letters(cell, order), axis)


def _letters(cell: str, order: str) -> str:
    letters = ORDERS[order].get(cell, "") if order in ORDERS else order
    if sorted(letters) != sorted(NATIVE[cell]):
        raise _errors.bad_value("order", f"one of {', '.join(ORDERS)}, or the letters {NATIVE[cell]!r}", repr(order))
    return letters


def _moved(array: Array, before: str, after: str, axis: int) -> Array:
    if array.shape[axis] % len(before):
        raise _errors.bad_value("array", f"a multiple of {len(before)} gates along axis {axis}", f"shape {array.shape}")
    blocks = np.split(array, len(before), axis)
    return np.ascontiguousarray(np.concatenate([blocks[before.index(letter)] for letter in after], axis))
