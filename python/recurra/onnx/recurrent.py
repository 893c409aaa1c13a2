"""RNN, LSTM and GRU nodes on the engine.

Legend of the specification: T steps, N samples, I inputs, H units, G gates, D directions. Layout 0 is (T, N, I) in and
(T, D, N, H) out, layout 1 (N, T, I) and (N, T, D, H). Everything that the operators can say is computed by the engine:
one layer for both directions, or two where their functions differ.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from recurra import _core, _errors
from recurra.io import gates
from recurra.onnx import recurrent_settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from recurra._typing import Array
    from recurra.onnx.graph import Node

MOST_BATCH_SIZES = 64  # for which streams are kept
GATES = {"rnn": 1, "lstm": 4, "gru": 3}
_DTYPES = {"float16": "float32", "float32": "float32", "float64": "float64"}  # what the engine computes each in


class Part(NamedTuple):
    """An engine's layer with its weights, and whether it reads from the end alone."""

    engine: _core.Recurrent
    weights: Array
    backwards: bool


class Packed(NamedTuple):
    """The layers that compute a node, and what their weights measure."""

    parts: list[Part]
    inputs: int
    units: int
    constant: bool


class SingleSteps:
    """A forward node called for one step at a time, as models that are fed piece by piece do.

    The engine's streams do it without setting up a pass over a sequence.
    """

    def __init__(self, packed: Packed, sequences: bool, batch_first: bool) -> None:
        (self.part,), self.inputs, _, _ = packed
        self.sequences, self.batch_first = sequences, batch_first
        self.by_batch: dict[int, _core.SingleStep] = {}

    def prepared(self, shape: tuple[int, ...]) -> _core.SingleStep | None:
        """Return the node for x of a shape, or None for what is no single step."""
        if len(shape) != 3 or shape[1 if self.batch_first else 0] != 1 or not min(shape):
            return None
        batch = shape[0 if self.batch_first else 1]
        made = self.by_batch.get(batch)
        if made is None:
            if len(self.by_batch) == MOST_BATCH_SIZES:
                self.by_batch.clear()
            made = _core.SingleStep(self.part.engine, self.part.weights, batch, self.sequences, self.batch_first)
            self.by_batch[batch] = made
        return made


class Recurrent:
    """One recurrent node, ready to be called on its inputs in the order of the specification.

    Parameters
    ----------
    node : Node
        The operator.
    constants : sequence of numpy.ndarray or None
        Those of its inputs that never change; weights among them are packed here, once.
    where : str
        What messages call the node.

    Raises
    ------
    ValueError
        If the attributes cannot be honoured, or the weights do not fit each other.

    Notes
    -----
    Calls from several threads are safe. Numbers of type float16 are computed as float32 and rounded once.
    """

    def __init__(self, node: Node, constants: Sequence[Array | None], where: str) -> None:
        self.where = where
        self.settings = recurrent_settings.read(node, where)
        self.directions = len(self.settings.activations)
        self.wants_sequence = node.wants(0)
        self.packed: Packed | None = None
        held = [constants[place] if node.has(place) else None for place in (1, 2, 3, 7)]
        if all(array is not None for place, array in zip((1, 2, 3, 7), held, strict=True) if node.has(place)):
            self.packed = self._assembled(held, constant=True)
        self.single = None
        if self.packed and self.settings.direction == "forward":
            self.single = SingleSteps(self.packed, self.wants_sequence, self.settings.batch_first)

    def __call__(
        self,
        x: Array,
        w: Array,
        r: Array,
        b: Array | None = None,
        lengths: Array | None = None,
        h: Array | None = None,
        c: Array | None = None,
        p: Array | None = None,
    ) -> tuple[Array | None, ...]:
        """Return Y, Y_h and, of an LSTM, Y_c."""
        if self.single is not None and lengths is None:
            step = self.single.prepared(x.shape)
            if step is not None:
                try:
                    return step(x, h, c)
                except (TypeError, ValueError):
                    pass  # the pass over a sequence says what does not fit, or computes halves
        packed = self.packed or self._assembled([w, r, b, p], constant=False)
        kept = x.dtype
        if kept == np.float16:
            x, h, c = (None if one is None else one.astype(np.float32) for one in (x, h, c))  # type: ignore[assignment]
        rows = x if self.settings.batch_first else self._swapped(x)
        self._check(packed, rows, h, c)
        if lengths is not None:
            lengths = _errors.check_lengths(lengths, rows.shape[0], rows.shape[1])
        if self.settings.batch_first:
            h, c = (None if one is None else one.transpose(1, 0, 2) for one in (h, c))
        if len(packed.parts) == 1:
            found = self._run(packed.parts[0], rows, h, c, lengths, packed.constant)
        else:
            found = self._both(packed, rows, h, c, lengths)
        y, hn, cn = self._outputs(found, packed.units, lengths, h is not None or c is not None)
        results = (y, hn) if cn is None else (y, hn, cn)
        if kept == np.float16:
            return tuple(None if one is None else one.astype(np.float16) for one in results)
        return results

    def for_shapes(self, given: Sequence[Any]) -> tuple[Any, tuple[int, ...]] | None:
        """Return the node for inputs of given shapes and the places of those it reads; None: it is as it is."""
        lengths, h, c = (given[place] if place < len(given) else None for place in (4, 5, 6))
        step = self.single.prepared(given[0].shape) if self.single is not None and lengths is None else None
        if step is None:
            return None
        try:
            step(given[0], h, c)
        except (TypeError, ValueError):
            return None
        return step, (0, 5, 6)

    def _run(
        self, part: Part, x: Array, h: Array | None, c: Array | None, lengths: Array | None, constant: bool
    ) -> tuple[Array | None, Array, Array | None]:
        """Return the outputs (N, T, D H), or None if nobody wants them, and the states (D, N, H)."""
        y, hn, cn = part.engine.forward(
            part.weights,
            x,
            h,
            c,
            lengths,
            sequences=self.wants_sequence,
            unchanged=constant,
            time_major=not self.settings.batch_first,
        )
        if not self.wants_sequence:
            return None, hn, cn
        return _in_order(y, lengths) if part.backwards else y, hn, cn

    def _both(self, packed: Packed, x: Array, h: Any, c: Any, lengths: Array | None) -> Any:
        """Run two directions apart and return what one layer of both would."""
        made = []
        for d, part in enumerate(packed.parts):
            own = (None if state is None else state[d : d + 1] for state in (h, c))
            made.append(self._run(part, x, next(own), next(own), lengths, packed.constant))
        axes = (2, 0, 0)
        columns = zip(zip(*made, strict=True), axes, strict=True)
        return [None if column[0] is None else np.concatenate(column, axis) for column, axis in columns]

    def _outputs(
        self, made: Any, units: int, lengths: Array | None, started: bool
    ) -> tuple[Array | None, Array, Array | None]:
        """Return outputs and states as the node's layout has them."""
        y, hn, cn = made
        if lengths is not None and started and not lengths.all():
            for state in (hn, cn):  # as in ONNX Runtime; the specification does not say
                if state is not None:
                    state[:, lengths == 0] = 0
        if self.settings.batch_first:
            hn, cn = hn.transpose(1, 0, 2), None if cn is None else cn.transpose(1, 0, 2)
            if y is not None:
                y = y.reshape(*y.shape[:2], self.directions, units)
        elif y is not None:
            batch, time = y.shape[:2]
            y = y.transpose(1, 0, 2).reshape(time, batch, self.directions, units).transpose(0, 2, 1, 3)
        return y, hn, cn

    def _swapped(self, x: Array) -> Array:
        if x.ndim != 3:
            raise _errors.bad_value("input 'X'", "3 axes", f"shape {x.shape}")
        return x.transpose(1, 0, 2)

    def _check(self, packed: Packed, rows: Array, h: Array | None, c: Array | None) -> None:
        """Raise unless input and states fit the weights."""
        _, inputs, units, _ = packed
        if rows.ndim != 3 or rows.shape[2] != inputs:
            shape = rows.shape if self.settings.batch_first or rows.ndim != 3 else rows.transpose(1, 0, 2).shape
            weights = (self.directions, GATES[self.settings.cell] * units, inputs)
            raise _errors.bad_value("input 'X'", f"{inputs} features, as W of shape {weights} has", f"shape {shape}")
        batch = rows.shape[0]
        first = self.settings.batch_first
        shape = (batch, self.directions, units) if first else (self.directions, batch, units)
        for name, state in (("initial_h", h), ("initial_c", c)):
            if state is not None and state.shape != shape:
                raise _errors.bad_value(f"input {name!r}", f"shape {shape}", f"shape {state.shape}")

    # Weights

    def _assembled(self, arrays: list[Array | None], *, constant: bool) -> Packed:
        """Return the engine's layers for W, R, B and P."""
        w, r, b, p = arrays
        assert w is not None
        assert r is not None
        inputs, units = self._fitting(w, r, b, p)
        dtype = _DTYPES.get(w.dtype.name)
        if dtype is None:
            raise _errors.bad_value(self.where, "weights of type " + ", ".join(_DTYPES), w.dtype.name)
        native = [self._native(d, w, r, b, p) for d in range(self.directions)]
        together = len(set(self.settings.activations)) == 1
        groups = [list(range(self.directions))] if together else [[d] for d in range(self.directions)]
        parts = []
        for group in groups:
            backwards = self.settings.direction == "reverse" or group == [1]
            options = {"dtype": dtype, "use_bias": b is not None, "go_backwards": backwards}
            engine = self._engine(group, inputs, units, p is not None, options)
            weights = np.concatenate([np.ravel(one) for d in group for one in native[d]]).astype(dtype, copy=False)
            parts.append(Part(engine, weights, backwards))
        return Packed(parts, inputs, units, constant)

    def _fitting(self, w: Array, r: Array, b: Array | None, p: Array | None) -> tuple[int, int]:
        """Return (inputs, units) of weights that fit each other and the attributes."""
        count = GATES[self.settings.cell]
        units = self.settings.hidden or (r.shape[2] if r.ndim == 3 else 0)
        inputs = w.shape[2] if w.ndim == 3 else 0
        expected = {
            "W": (w, (self.directions, count * units, inputs)),
            "R": (r, (self.directions, count * units, units)),
            "B": (b, (self.directions, 2 * count * units)),
            "P": (p, (self.directions, 3 * units)),
        }
        for name, (array, shape) in expected.items():
            if array is not None and array.shape != shape:
                hint = f"{self.settings.direction}, {units} units, {inputs} inputs"
                raise _errors.bad_value(f"{self.where}: input {name!r}", f"shape {shape}", f"{array.shape}", hint)
            if array is not None and array.dtype != w.dtype:
                raise _errors.bad_value(f"{self.where}: input {name!r}", f"{w.dtype} as W", f"{array.dtype}")
        if not units or not inputs:
            raise _errors.bad_value(f"{self.where}: input 'W'", "at least one input and one unit", f"shape {w.shape}")
        return inputs, units

    def _native(self, d: int, w: Array, r: Array, b: Array | None, p: Array | None) -> list[Array]:
        """Return a direction's weights in the engine's order."""
        cell, units = self.settings.cell, r.shape[2]
        kept = ["i", "g", "o"] if self.settings.coupled else []  # of i, f, g, o

        def ordered(array: Array) -> Array:
            native = gates.to_native(array, cell, "onnx")
            if not kept:
                return native
            blocks = dict(zip("ifgo", np.split(native, 4), strict=True))
            return np.concatenate([blocks[gate] for gate in kept])

        found = [ordered(w[d]), ordered(r[d])]
        if b is not None:
            found += [ordered(half) for half in np.split(b[d], 2)]
        if p is not None:
            i, o, f = p[d, :units], p[d, units : 2 * units], p[d, 2 * units :]
            found += [i, o] if self.settings.coupled else [i, f, o]
        return found

    def _engine(
        self, group: list[int], inputs: int, units: int, peepholes: bool, options: dict[str, Any]
    ) -> _core.Recurrent:
        settings = self.settings
        functions = settings.activations[group[0]]
        named: dict[str, Any] = {"activation": functions[0]}
        if settings.cell != "rnn":
            named = {"recurrent_activation": functions[0], "activation": functions[1]}
        if settings.cell == "lstm":
            named |= {"output_activation": functions[2], "input_forget": settings.coupled, "use_peepholes": peepholes}
        if settings.cell == "gru":
            named["reset_after"] = settings.reset_after
        try:
            return _core.Recurrent(
                settings.cell,
                inputs,
                units,
                bidirectional=len(group) == 2,
                clip=settings.clip,
                **options,
                **named,
            )
        except ValueError as error:
            raise ValueError(f"{self.where}: {error}") from None


def _in_order(y: Array, lengths: Array | None) -> Array:
    """Return outputs (N, T, H), which come in the order of processing from each row's end, at their own steps."""
    if lengths is None:
        return y[:, ::-1]
    steps = np.arange(y.shape[1])
    places = np.where(steps < lengths[:, None], lengths[:, None] - 1 - steps, steps)
    ordered: Array = np.take_along_axis(y, places[:, :, None], 1)
    return ordered
