"""A cell of one's own, run over time in Python with backpropagation through time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from recurra import _errors
from recurra.layers.cells import Cell
from recurra.layers.stateful import Stateful

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Self

    from recurra._typing import Array, Shape
    from recurra.layers.base import Layer
    from recurra.layers.stateful import Backward
    from recurra.streaming import Stepper


class CellRNN(Stateful):
    """A `Cell` run over the steps of sequences: what ``recurra.RNN(cell)`` returns for a cell of one's own.

    Parameters
    ----------
    cell : Cell
        Not built yet; it becomes the layer's.
    return_sequences, return_state, go_backwards : bool, default False
        As in `LSTM`.
    name : str, optional
        Unique within a model.

    Attributes
    ----------
    parameters, gradients : dict of str to numpy.ndarray
        The cell's.

    Raises
    ------
    TypeError, ValueError
        On wrong arguments.

    Notes
    -----
    Steps beyond a sample's length leave its states as they are, and outputs there are 0, as is the last output of a
    sample without steps. Calls from several threads are
    safe if the cell's ``step`` is.

    Examples
    --------
    See `recurra.layers.Cell`.
    """

    def __init__(
        self,
        cell: Cell,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        name: str | None = None,
    ) -> None:
        if not isinstance(cell, Cell):
            raise _errors.bad_type("cell", "a class derived from recurra.layers.Cell", cell)
        super().__init__(return_sequences, return_state, go_backwards, dtype=cell.dtype, name=name)
        self.cell = cell

    @property
    def state_sizes(self) -> list[int]:  # type: ignore[override]
        """The columns of each state."""
        return self.cell.state_sizes

    @property
    def output_size(self) -> int:  # type: ignore[override]
        """The columns of the outputs."""
        return self.cell.output_size

    def build(self, input_shape: Shape) -> None:
        """Build the cell for steps (batch, features); see `Layer.build`."""
        was_built = self.built
        super().build(input_shape)
        if not was_built:
            assert self.input_shape is not None
            self.cell.build((self.input_shape[0], self.input_shape[2]))
            self._adopt(self.cell, "")

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, the cell by its class and arguments."""
        from recurra.layers import serialize

        return {**super().get_config(), "cell": serialize(self.cell)}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: dict[str, type[Layer]] | None = None) -> Self:
        """Return a new layer made with the arguments that `get_config` returned."""
        from recurra.layers import deserialize

        return cls(**{**config, "cell": deserialize(config["cell"], custom_objects)})

    def _like(self, dtype: str) -> Self:
        return type(self)(**{**super().get_config(), "cell": self.cell._like(dtype)})

    def __reduce__(self) -> tuple[Any, ...]:
        return self._reduced(self.cell._like(self.dtype.name), super().get_config())

    def _held(self) -> Sequence[Layer]:
        return [self.cell]

    # Time

    def _run(
        self, x: Array, states: Any, lengths: Array | None, training: bool, seed: int
    ) -> tuple[Array, list[Array]]:
        steps = _Steps(self, x, lengths)
        now = steps.start(states)
        for t in range(steps.count):
            y, new = self.cell.step(steps.x[:, t], now)
            now = steps.put(t, y, new, now)
        return steps.outputs(), now

    def _tape(
        self, x: Array, states: Any, lengths: Array | None, training: bool, seed: int
    ) -> tuple[Array, list[Array], Backward]:
        steps = _Steps(self, x, lengths)
        now, pullbacks = steps.start(states), []
        for t in range(steps.count):
            (y, new), pullback = self.cell.step_vjp(steps.x[:, t], now)
            now = steps.put(t, y, new, now)
            pullbacks.append(pullback)

        def backward(dys: Sequence[Array | None], need_dx: bool) -> tuple[Array | None, list[Array]]:
            dstates = steps.start(dys[1:])
            dx = np.zeros(x.shape, x.dtype)
            for t in reversed(range(steps.count)):
                runs = steps.running(t)
                kept = [np.where(runs, 0, d) for d in dstates]
                dx[:, t], dold = pullbacks[t](steps.slope(t, dys[0]), [np.where(runs, d, 0) for d in dstates])
                dstates = [a + b for a, b in zip(kept, dold, strict=True)]
            return (steps.reordered(dx) if need_dx else None), dstates

        return steps.outputs(), now, backward

    def _steppers(self, batch_size: int) -> Iterable[Stepper]:
        return [CellStepper(self, batch_size)]


class _Steps:
    """The steps of one call: their order, which samples still run, and the outputs."""

    def __init__(self, layer: CellRNN, x: Array, lengths: Array | None) -> None:
        self.layer, self.shape, self.lengths = layer, x.shape, lengths
        self.count = x.shape[1] if lengths is None else int(lengths.max(initial=0))
        self.x = self.reordered(x)
        batch, time = x.shape[:2]
        shape = (batch, time, layer.output_size) if layer.return_sequences else (batch, layer.output_size)
        self.y = np.zeros(shape, x.dtype)

    def start(self, states: Any) -> list[Array]:
        """Return states (or their gradients), zero where there is none."""
        zeros = self.layer.cell.get_initial_state(self.shape[0])
        return [z if s is None else s for z, s in zip(zeros, states, strict=True)] if states else zeros

    def reordered(self, x: Array) -> Array:
        """Return an array of steps in the order of computation, or back."""
        if not self.layer.go_backwards:
            return x
        if self.lengths is None:
            return x[:, ::-1]
        steps = np.arange(x.shape[1])
        order = np.where(steps < self.lengths[:, None], self.lengths[:, None] - 1 - steps, steps)
        return np.take_along_axis(x, order[:, :, None], axis=1)

    def running(self, t: int) -> Any:
        """Return which samples have a step number t, as a column."""
        return True if self.lengths is None else (t < self.lengths)[:, None]

    def put(self, t: int, y: Array, new: list[Array], old: list[Array]) -> list[Array]:
        """Keep the outputs of a step and return the states after it."""
        runs = self.running(t)
        if self.layer.return_sequences:
            self.y[:, t] = y if runs is True else np.where(runs, y, 0)
        else:
            self.y = y if runs is True else np.where(runs, y, self.y)
        return list(new) if runs is True else [np.where(runs, a, b) for a, b in zip(new, old, strict=True)]

    def outputs(self) -> Array:
        """Return the outputs of all steps or the last."""
        return self.y

    def slope(self, t: int, dy: Array | None) -> Array:
        """Return the gradient of the outputs of one step."""
        if dy is None:
            return np.zeros((self.shape[0], self.layer.output_size), self.layer.dtype)
        if self.layer.return_sequences:
            return np.where(self.running(t), dy[:, t], 0)
        last = np.array([self.count]) if self.lengths is None else self.lengths
        return np.where((last == t + 1)[:, None], dy, 0)


class CellStepper:
    """A cell of one's own fed step by step; see `recurra.streaming.Stepper`.

    Parameters
    ----------
    layer : CellRNN
        Built, forward in time; its cell is copied.
    batch_size : int
        Rows of every step.
    """

    def __init__(self, layer: CellRNN, batch_size: int) -> None:
        if layer.go_backwards:
            hint = "the future of a stream is not known yet"
            raise _errors.bad_value("layer", "one that runs forward in time", f"{layer.name!r}", hint)
        self.cell, self.batch_size = layer.cell.clone(), batch_size
        self.states = len(layer.state_sizes)
        self.now = self.cell.get_initial_state(batch_size)

    def step(self, x: Array, out: Array | None = None) -> Array:
        """Return the outputs of the next step."""
        self.cell.check_input(x)
        if len(x) != self.batch_size:
            raise _errors.bad_value("x", f"{self.batch_size} rows", f"{len(x)}")
        y, self.now = self.cell.step(x, self.now)
        if out is None:
            return y
        _errors.check_array("out", out, self.cell.dtype, ("batch", "outputs"), y.shape)
        _errors.check_writeable("out", out)
        out[...] = y
        return out

    def reset(self) -> None:
        """Set the states to zero."""
        self.now = self.cell.get_initial_state(self.batch_size)

    def get(self) -> list[Array]:
        """Return copies of the states."""
        return [state.copy() for state in self.now]

    def set(self, states: Sequence[Array | None]) -> None:
        """Replace the states; None for zero."""
        zeros = self.cell.get_initial_state(self.batch_size)
        for index, (zero, state) in enumerate(zip(zeros, states, strict=True)):
            if state is not None:
                _errors.check_array(f"states[{index}]", state, self.cell.dtype, ("batch", "units"), zero.shape)
        self.now = [z if s is None else s.copy() for z, s in zip(zeros, states, strict=True)]
