"""The states of a loaded model, and what runs on them."""

from __future__ import annotations

import ctypes
import itertools
from typing import TYPE_CHECKING, Any

import numpy as np

from recurra import _errors
from recurra.runtime import _abi

if TYPE_CHECKING:
    from collections.abc import Iterable

    from recurra._typing import Array
    from recurra.runtime.model import Model


class Stream:
    """A loaded model fed step by step, or stretch by stretch; made by ``model.stream(batch_size)``.

    Parameters
    ----------
    model : recurra.runtime.Model
        Shared with any other streams.
    batch_size : int, default 1
        Rows of every step.

    Raises
    ------
    ValueError
        If the batch size makes no sense.

    Notes
    -----
    A stream belongs to one thread at a time.

    Examples
    --------
    >>> import numpy as np, recurra, tempfile, os
    >>> model = recurra.Sequential([recurra.GRU(4)])
    >>> model.build((None, None, 2))
    >>> path = os.path.join(tempfile.mkdtemp(), "model.safetensors")
    >>> model.save(path)
    >>> stream = recurra.runtime.Model(path).stream()
    >>> stream.step(np.zeros((1, 2), np.float32)).shape
    (1, 4)
    """

    def __init__(self, model: Model, batch_size: int = 1) -> None:
        self.model = model
        self.batch_size = _errors.check_integer("batch_size", batch_size, 1)
        size, alignment = ctypes.c_size_t(), ctypes.c_size_t()
        _abi.call("state_size", model._handle, self.batch_size, ctypes.byref(size), ctypes.byref(alignment))
        self._memory = np.empty(size.value + alignment.value, np.uint8)
        address = -(-self._memory.ctypes.data // alignment.value) * alignment.value
        self._state = ctypes.c_void_p()
        made = ctypes.byref(self._state)
        _abi.call("state_init", model._handle, self.batch_size, ctypes.c_void_p(address), size, made)

    def _checked(self, x: Array, axes: tuple[str, ...]) -> Array:
        model = self.model
        if model.input_dtype == np.int64:
            _errors.check_integers("x", x)
            if x.shape[:1] != (self.batch_size,) or x.ndim != len(axes) - 1:
                raise _errors.bad_value("x", f"shape ({', '.join(axes[:-1])})", f"{x.shape}")
            return np.ascontiguousarray(x, np.int64)
        shape = (self.batch_size, *(None,) * (len(axes) - 2), model.inputs)
        _errors.check_array("x", x, model.input_dtype, axes, shape)
        return np.ascontiguousarray(x)

    def step(self, x: Array, out: Array | None = None) -> Array:
        """Return the outputs of the next time step.

        Parameters
        ----------
        x : numpy.ndarray, shape (batch_size, inputs), or (batch_size,) of integers
            Of the model's `input_dtype`.
        out : numpy.ndarray, shape (batch_size, outputs), optional
            Where to write the outputs: contiguous, of the model's dtype, apart from ``x``.

        Returns
        -------
        numpy.ndarray, shape (batch_size, outputs)
            ``out``, or a new array.

        Raises
        ------
        TypeError, ValueError
            If an argument does not fit, or the model needs whole sequences.
        """
        x = self._checked(x, ("batch", "features"))
        shape = (self.batch_size, self.model.outputs)
        y = np.empty(shape, self.model.dtype) if out is None else out
        if out is not None:
            _errors.check_array("out", out, self.model.dtype, ("batch", "outputs"), shape)
            _errors.check_writeable("out", out)
            if not out.flags.c_contiguous:
                raise _errors.bad_value("out", "a contiguous array", "another")
        _abi.call("step", self.model._handle, self._state, x.ctypes.data, x.size, y.ctypes.data, y.size)
        return y

    def run(self, x: Array, lengths: Any = None) -> Array:
        """Return the outputs of the next time steps.

        Parameters
        ----------
        x : numpy.ndarray, shape (batch_size, time, inputs), or (batch_size, time) of integers
            Of the model's `input_dtype`.
        lengths : array of int, shape (batch_size,), optional
            Steps that count of each row, from the first of these.

        Returns
        -------
        numpy.ndarray, shape (batch_size, time, outputs) or (batch_size, outputs)
            The outputs, of all steps or of the last one.

        Raises
        ------
        TypeError, ValueError
            If an argument does not fit.
        """
        x = self._checked(x, ("batch", "time", "features"))
        steps = x.shape[1]
        counted = None if lengths is None else _errors.check_lengths(lengths, self.batch_size, steps)
        many = (steps,) if self.model.gives_sequence else ()
        y = np.empty((self.batch_size, *many, self.model.outputs), self.model.dtype)
        pointer = None if counted is None else counted.ctypes.data_as(ctypes.POINTER(ctypes.c_int64))
        handles = self.model._handle, self._state
        _abi.call("run", *handles, steps, x.ctypes.data, x.size, pointer, y.ctypes.data, y.size)
        return y

    def reset(self, rows: Any = None) -> None:
        """Start anew, all rows or some.

        Parameters
        ----------
        rows : int, slice, array of int or array of bool, optional
            The rows of the batch to reset; by default all.
        """
        if rows is None:
            _abi.call("state_reset", self.model._handle, self._state)
            return
        chosen = np.atleast_1d(np.arange(self.batch_size)[rows])
        listed = (ctypes.c_size_t * len(chosen))(*chosen.tolist())
        _abi.call("state_reset_rows", self.model._handle, self._state, listed, len(chosen))

    def get_state(self) -> list[Array]:
        """Return copies of all states, layer by layer, each (batch_size, units)."""
        flat = np.empty(self.batch_size * sum(self.model._states), self.model.dtype)
        _abi.call("state_get", self.model._handle, self._state, flat.ctypes.data, flat.size)
        ends = np.cumsum([0, *self.model._states]) * self.batch_size
        return [flat[a:b].reshape(self.batch_size, -1) for a, b in itertools.pairwise(ends)]

    def set_state(self, states: Iterable[Array]) -> None:
        """Replace all states.

        Parameters
        ----------
        states : iterable of numpy.ndarray
            As returned by `get_state`.

        Raises
        ------
        TypeError, ValueError
            If they do not fit; the states stay as they were.
        """
        given = list(states)
        if len(given) != len(self.model._states):
            raise _errors.bad_value("states", f"{len(self.model._states)} arrays", f"{len(given)}")
        for index, (state, width) in enumerate(zip(given, self.model._states, strict=True)):
            shape = (self.batch_size, width)
            _errors.check_array(f"states[{index}]", state, self.model.dtype, ("batch", "units"), shape)
        flat = np.concatenate([state.reshape(-1) for state in given]) if given else np.empty(0, self.model.dtype)
        _abi.call("state_set", self.model._handle, self._state, flat.ctypes.data, flat.size)
