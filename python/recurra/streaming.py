"""Layers and models fed step by step: the states are carried from one call to the next."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from recurra import _core, _errors

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from recurra._typing import Array
    from recurra.layers.base import Layer
    from recurra.layers.recurrent import Recurrent


class Stepper(Protocol):
    """One layer of a stream."""

    states: int  # how many arrays `get` returns

    def step(self, x: Array, out: Array | None = None) -> Array:
        """Return the outputs (batch, outputs) of inputs (batch, features), written into ``out`` if it is given."""

    def reset(self) -> None:
        """Start anew."""

    def get(self) -> list[Array]:
        """Return copies of the states."""

    def set(self, states: Sequence[Array | None]) -> None:
        """Replace the states, as listed by `get`."""


class PointwiseStepper:
    """A layer that looks at one step at a time anyway.

    Parameters
    ----------
    layer : Layer
        Built; copied, so that its weights are those of now, and called on (batch, features).
    """

    states = 0

    def __init__(self, layer: Layer) -> None:
        self.layer = layer.clone()

    def step(self, x: Array, out: Array | None = None) -> Array:
        """Return the layer's outputs."""
        self.layer.check_input(x)
        y = self.layer._apply(x, None, False, 0)
        if out is None:
            return y
        _errors.check_array("out", out, self.layer.dtype, ("batch", "outputs"), y.shape)
        _errors.check_writeable("out", out)
        out[...] = y
        return out

    def reset(self) -> None:
        """Do nothing."""

    def get(self) -> list[Array]:
        """Return no states."""
        return []

    def set(self, states: Sequence[Array | None]) -> None:
        """Do nothing."""


class RecurrentStepper:
    """A recurrent layer with its states, run by the engine.

    Parameters
    ----------
    layer : Recurrent
        Built, forward in time. Its weights are read now and never again.
    batch_size : int
        Rows of every step.
    """

    def __init__(self, layer: Recurrent, batch_size: int) -> None:
        if layer.directions == 2 or layer.options["go_backwards"]:
            raise _errors.bad_value(
                "layer", "one that runs forward in time", f"{layer.name!r}", "the future of a stream is not known yet"
            )
        assert layer._engine is not None
        self.layer, self.batch_size = layer, batch_size
        self.states = layer.stack * (2 if layer.cell == "lstm" else 1)
        self._core = _core.Stream(layer._engine, layer._engine_weights, batch_size)
        self._start = layer._start(batch_size)
        self.step = self._core.step
        self.reset()

    def reset(self) -> None:
        """Set the states to the layer's initial ones."""
        self._core.set(*self._start)

    def get(self) -> list[Array]:
        """Return copies of the states, listed as ``return_state`` does."""
        return self.layer._states(*self._core.get())

    def set(self, states: Sequence[Array | None]) -> None:
        """Replace the states; None for zero."""
        self._core.set(*self.layer._stacked("states", list(states), self.batch_size))


class Stream:
    """A layer or model run one time step at a time; made by ``layer.stream(batch_size)`` or ``model.stream(...)``.

    The outputs are those of the whole sequence, bit for bit. Nothing is allocated by the step of a recurrent layer when
    it is given ``out``.

    Parameters
    ----------
    layer : Layer
        Built. Its weights are read now; a later change of them needs a new stream.
    batch_size : int, default 1
        Rows of every step.

    Attributes
    ----------
    batch_size : int
        As above.

    Raises
    ------
    TypeError, ValueError
        If a layer cannot run step by step (a bidirectional one, say), is not built, or the batch size makes no sense.

    Notes
    -----
    A stream belongs to one thread at a time; a second one at the same moment gets a ValueError. Make one for each
    thread: they share nothing.

    Examples
    --------
    >>> import numpy as np, recurra
    >>> model = recurra.Sequential([recurra.LSTM(40, return_sequences=True), recurra.Dense(1)])
    >>> model.build((None, None, 3))
    >>> x = np.random.default_rng(0).standard_normal((1, 5, 3)).astype(np.float32)
    >>> stream = model.stream()
    >>> steps = [stream.step(x[:, t]) for t in range(5)]
    >>> bool((np.stack(steps, axis=1) == model(x)).all())
    True
    """

    def __init__(self, layer: Layer, batch_size: int = 1) -> None:
        self.batch_size = _errors.check_integer("batch_size", batch_size, 1)
        layer._require_built()
        layer._allocate()  # the parts read the weights
        self._parts: list[Stepper] = list(layer._steppers(self.batch_size))
        if len(self._parts) == 1:
            self.step = self._parts[0].step  # type: ignore[method-assign]  # nothing between the caller and the engine

    def step(self, x: Array, out: Array | None = None) -> Array:
        """Return the outputs of the next time step.

        Parameters
        ----------
        x : numpy.ndarray, shape (batch_size, features)
            Of the layer's dtype.
        out : numpy.ndarray, shape (batch_size, outputs), optional
            Where to write the outputs: contiguous, of the layer's dtype, apart from ``x``.

        Returns
        -------
        numpy.ndarray, shape (batch_size, outputs)
            ``out``, or a new array.

        Raises
        ------
        TypeError, ValueError
            If an array does not fit; the states stay as they were.
        """
        *first, last = self._parts
        for part in first:
            x = part.step(x)
        return last.step(x, out)

    def reset(self, rows: Any = None) -> None:
        """Start anew, all rows or some.

        Parameters
        ----------
        rows : int, slice, array of int or array of bool, optional
            The rows of the batch to reset; by default all.
        """
        before = None if rows is None else self.get_state()
        for part in self._parts:
            part.reset()
        if before is None:
            return
        kept = np.ones(self.batch_size, bool)
        kept[rows] = False
        states = self.get_state()
        for state, old in zip(states, before, strict=True):
            state[kept] = old[kept]
        self.set_state(states)

    def get_state(self) -> list[Array]:
        """Return copies of all states, layer by layer, each (batch_size, units) as ``return_state`` lists them."""
        return [state for part in self._parts for state in part.get()]

    def set_state(self, states: Iterable[Array | None]) -> None:
        """Replace all states.

        Parameters
        ----------
        states : iterable of (numpy.ndarray or None)
            As returned by `get_state`, or by a call of a layer with ``return_state``; None for zero.

        Raises
        ------
        TypeError, ValueError
            If they do not fit; the states stay as they were.
        """
        states = list(states)
        count = sum(part.states for part in self._parts)
        if len(states) != count:
            raise _errors.bad_value("states", f"{count} arrays", f"{len(states)}", "as get_state returns them")
        before = self.get_state()
        try:
            self._set(states)
        except (TypeError, ValueError):
            self._set(before)
            raise

    def _set(self, states: Sequence[Array | None]) -> None:
        for part in self._parts:
            part.set(states[: part.states])
            states = states[part.states :]
