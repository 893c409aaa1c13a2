"""Looking inside recurrent layers: states and gates of every step, and the gradient of every hidden state."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from recurra import _errors

if TYPE_CHECKING:
    from collections.abc import Iterator

    from recurra import _core
    from recurra._typing import Array
    from recurra.layers.recurrent import Recurrent

# In the engine's order, PyTorch's.
GATES = {"rnn": (), "lstm": ("i", "f", "g", "o"), "gru": ("r", "z", "n")}


@dataclass(frozen=True, eq=False)
class DirectionTrace:
    """Every step of one direction of one layer; steps behind a sample's end are 0.

    Attributes
    ----------
    h : numpy.ndarray, shape (batch, time, outputs of the direction)
        Hidden states after each step, at the time of the output that they are.
    c : numpy.ndarray, shape (batch, time, units), or None
        Cell states of an LSTM.
    gates : dict of str to numpy.ndarray, shape (batch, time, units)
        Activated gates: i, f, g, o of an LSTM, r, z, n of a GRU, none of an RNN; letters as in the classes' formulas.
    """

    h: Array
    c: Array | None
    gates: dict[str, Array]


class Trace(Mapping[str, DirectionTrace]):
    """What a recurrent layer did at every step, by layer and direction.

    A mapping with PyTorch's suffixes as keys: ``"l0"``, ``"l0_reverse"``, ``"l1"``, ... as in the names of the
    parameters. With one layer that reads one way, ``h``, ``c`` and ``gates`` can be had without the key.

    Parameters
    ----------
    outputs : numpy.ndarray
        What the call returned.
    parts : dict of str to DirectionTrace
        By suffix.

    Examples
    --------
    >>> import numpy as np, recurra
    >>> trace = recurra.LSTM(20, seed=1).trace(np.zeros((8, 30, 10), np.float32))
    >>> trace.h.shape, trace.gates["f"].shape, list(trace.gates)
    ((8, 30, 20), (8, 30, 20), ['i', 'f', 'g', 'o'])
    """

    def __init__(self, outputs: Array, parts: dict[str, DirectionTrace]) -> None:
        self.outputs = outputs
        self._parts = parts

    def __getitem__(self, suffix: str) -> DirectionTrace:
        return self._parts[suffix]

    def __iter__(self) -> Iterator[str]:
        return iter(self._parts)

    def __len__(self) -> int:
        return len(self._parts)

    def __repr__(self) -> str:
        return f"<Trace of {', '.join(self)}: h {next(iter(self.values())).h.shape}>"

    @property
    def h(self) -> Array:
        """Hidden states of the only direction."""
        return self._only().h

    @property
    def c(self) -> Array | None:
        """Cell states of the only direction."""
        return self._only().c

    @property
    def gates(self) -> dict[str, Array]:
        """Gates of the only direction."""
        return self._only().gates

    def _only(self) -> DirectionTrace:
        if len(self) > 1:
            hint = f"choose one of them: trace[{next(iter(self))!r}]"
            raise _errors.bad_value("trace", "one layer in one direction", ", ".join(self), hint)
        return next(iter(self.values()))


def suffixes(layer: Recurrent) -> list[str]:
    """Return PyTorch's suffixes of a layer's parameters, in the engine's order."""
    directions = ("", "_reverse")[: layer.directions]
    return [f"l{index}{direction}" for index in range(layer.stack // layer.directions) for direction in directions]


def trace_call(self: Recurrent, x: Array, initial_state: Any = None, lengths: Any = None, mask: Any = None) -> Trace:
    """Return the states and gates of every step of a call for inference, as the engine computed them.

    Nothing is computed a second time: it costs what ``vjp`` costs, and a copy.

    Parameters
    ----------
    x, initial_state, lengths, mask
        As in a call.

    Returns
    -------
    Trace
        States and gates by layer and direction.

    Raises
    ------
    TypeError, ValueError
        If an argument does not fit.

    Notes
    -----
    Safe from several threads.

    Examples
    --------
    >>> import numpy as np, recurra
    >>> layer = recurra.GRU(5, bidirectional=True)
    >>> trace = layer.trace(np.zeros((2, 7, 3), np.float32))
    >>> list(trace), trace["l0_reverse"].gates["z"].shape
    (['l0', 'l0_reverse'], (2, 7, 5))
    """
    h0, c0, lengths = self._checked(x, initial_state, lengths, mask)
    return traced(self, x, h0, c0, lengths)[0]


def traced(
    layer: Recurrent, x: Array, h0: Array | None, c0: Array | None, lengths: Array | None
) -> tuple[Trace, Array, Array | None]:
    """Return the trace of a call of the engine for inference, and its final states."""
    y, hn, cn, tape = layer._taped(x, h0, c0, lengths, False, 0)
    shape, names = tape.state_shape, GATES[layer.cell]
    h = np.zeros(shape, layer.dtype)
    c = np.zeros((*shape[:3], layer.units), layer.dtype) if layer.cell == "lstm" else None
    gates = np.zeros((*shape[:3], len(names), layer.units), layer.dtype)
    tape.trace(h, c, gates)
    parts = {
        suffix: DirectionTrace(
            h[index],
            None if c is None else c[index],
            {name: gates[index, :, :, number] for number, name in enumerate(names)},
        )
        for index, suffix in enumerate(suffixes(layer))
    }
    return Trace(y, parts), hn, cn


# The gradients of hidden states

_wanted: ContextVar[tuple[float, list[tuple[Recurrent, Array]]] | None] = ContextVar("hidden_gradients", default=None)


@contextmanager
def hidden_gradients(padding: float = 0.0) -> Iterator[list[tuple[Recurrent, Array]]]:
    """Have every pullback of a recurrent layer in this context append (layer, dL/dh of every step).

    The arrays have the shape (layers * directions, batch, time, outputs of a direction); ``padding`` stands behind a
    sample's end.
    """
    found: list[tuple[Recurrent, Array]] = []
    token = _wanted.set((padding, found))
    try:
        yield found
    finally:
        _wanted.reset(token)


def wanted_buffer(layer: Recurrent, tape: _core.Tape) -> Array | None:
    """Return where a pullback is to put the gradients of hidden states, if anyone asked for them."""
    wanted = _wanted.get()
    if wanted is None:
        return None
    padding, found = wanted
    dh = np.full(tape.state_shape, padding, layer.dtype)
    found.append((layer, dh))
    return dh
