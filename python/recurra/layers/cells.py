"""Cells: one time step of a recurrent layer, as a description of the layer or written by the user."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from recurra import _errors
from recurra.layers.base import Layer
from recurra.layers.gru import GRU
from recurra.layers.lstm import LSTM
from recurra.layers.rnn import RNN

if TYPE_CHECKING:
    from collections.abc import Callable

    from recurra._typing import Array, Shape
    from recurra.layers.recurrent import Recurrent

    # (dy, dstates of the new states) to (dx, dstates of the old ones)
    StepPullback = Callable[[Array, list[Array]], tuple[Array, list[Array]]]


class Cell(Layer):
    """Base of cells of one's own, to be run by ``recurra.RNN(cell)``.

    A subclass has

    - ``state_size``, an int or a list of ints, and ``output_size`` where that is not the (first) state's;
    - ``build(input_shape)`` if it has parameters: call ``super().build``, then ``add_weight`` for each;
    - ``step(x, states) -> (y, new_states)``: one step of (batch, features), states a list of (batch, size);
    - ``step_vjp(x, states) -> ((y, new_states), pullback)``, where ``pullback(dy, dnew_states)`` returns ``(dx,
      dstates)`` and adds into ``self.gradients``.

    Neither keeps anything in the cell nor writes into its arguments. Steps run in a Python loop; the built-in cells
    run in the engine.

    Parameters
    ----------
    dtype, name, seed
        See `Layer`.

    Raises
    ------
    TypeError, ValueError
        On wrong arguments.

    Examples
    --------
    An exponential mean with a learned rate for each feature, s' = a s + (1 - a) x:

    >>> import numpy as np, recurra
    >>> from recurra.layers import Cell
    >>> class Mean(Cell):
    ...     def build(self, input_shape):
    ...         super().build(input_shape)
    ...         self.state_size = input_shape[-1]
    ...         self.add_weight("a", (input_shape[-1],), lambda shape, seed, stream: np.full(shape, 0.9))
    ...     def step(self, x, states):
    ...         a = self.parameters["a"]
    ...         s = a * states[0] + (1 - a) * x
    ...         return s, [s]
    ...     def step_vjp(self, x, states):
    ...         a = self.parameters["a"]
    ...         def pullback(dy, dstates):
    ...             ds = dy + dstates[0]
    ...             self.gradients["a"] += (ds * (states[0] - x)).sum(axis=0)
    ...             return (1 - a) * ds, [a * ds]
    ...         return self.step(x, states), pullback
    >>> layer = recurra.RNN(Mean(), return_sequences=True)
    >>> x = np.random.default_rng(0).standard_normal((2, 5, 3))
    >>> layer(x.astype(np.float32), lengths=[5, 2]).shape
    (2, 5, 3)
    >>> bool(recurra.gradcheck(layer, x, lengths=[5, 2]))
    True
    """

    input_axes = ("batch", "features")
    state_size: Any = None

    @property
    def state_sizes(self) -> list[int]:
        """The columns of each state."""
        sizes = self.state_size
        if sizes is None:
            hint = "a cell says how many columns each of its states has, at the latest in build"
            raise _errors.bad_value("state_size", "an int or a list of ints", f"None in {self.name!r}", hint)
        return [int(size) for size in (sizes if isinstance(sizes, list | tuple) else [sizes])]

    @property
    def output_size(self) -> int:
        """The columns of the output."""
        return self.state_sizes[0]

    def step(self, x: Array, states: list[Array]) -> tuple[Array, list[Array]]:
        """Return the output of one step and the new states."""
        raise NotImplementedError(f"{type(self).__name__} defines no step")

    def step_vjp(self, x: Array, states: list[Array]) -> tuple[tuple[Array, list[Array]], StepPullback]:
        """Return what `step` does and the function that backpropagates through the step."""
        raise NotImplementedError(f"{type(self).__name__} defines no step_vjp")

    def get_initial_state(self, batch_size: int) -> list[Array]:
        """Return states of zeros, as at the start of a sequence."""
        return [np.zeros((batch_size, size), self.dtype) for size in self.state_sizes]

    def __call__(  # type: ignore[override]  # a step needs states
        self, x: Array, states: Any, training: bool = False, seed: int | None = None
    ) -> tuple[Array, list[Array] | Array]:
        """Return the output of one step and the new states.

        Parameters
        ----------
        x : numpy.ndarray, shape (batch, features)
            Inputs of one step, of the cell's dtype.
        states : list of numpy.ndarray, or numpy.ndarray
            Each (batch, size); a single one may come bare, and the new one comes bare then.
        training : bool, default False
            Draw the masks of dropout, in a built-in cell.
        seed : int, optional
            Of those masks.

        Returns
        -------
        y : numpy.ndarray, shape (batch, outputs)
            The output.
        new_states : list of numpy.ndarray, or numpy.ndarray
            As ``states``.
        """
        self.check_input(x)
        bare = isinstance(states, np.ndarray)
        listed = [states] if bare else list(states)
        if len(listed) != len(self.state_sizes):
            raise _errors.bad_value("states", f"{len(self.state_sizes)} arrays", f"{len(listed)}")
        for index, (state, size) in enumerate(zip(listed, self.state_sizes, strict=True)):
            _errors.check_array(f"states[{index}]", state, self.dtype, ("batch", "units"), (len(x), size))
        y, new = self._call_step(x, listed, training, seed)
        return y, (new[0] if bare else new)

    def _call_step(self, x: Array, states: list[Array], training: bool, seed: int | None) -> tuple[Array, list[Array]]:
        return self.step(x, states)


class FusedCell(Cell):
    """Base of the built-in cells: a light description of a layer that the engine runs.

    Parameters
    ----------
    kind : type
        `RNN`, `LSTM` or `GRU`.
    arguments : dict
        Of the layer.
    """

    # What a cell leaves to the layer made of it, or to a list of cells.
    _LAYERS_OWN = ("return_sequences", "return_state", "go_backwards", "num_layers", "bidirectional", "merge_mode",
                   "interlayer_dropout")  # fmt: skip

    def __init__(self, kind: type[Recurrent], arguments: dict[str, Any]) -> None:
        for name in self._LAYERS_OWN:
            if name in arguments:
                hint = f"give {name} to the layer: RNN(cell, ...)"
                raise _errors.bad_type("cell", "arguments of a single step", name, hint)
        options = {name: value for name, value in arguments.items() if name != "name"}
        self.kind, self.fused = kind, kind(return_state=True, **options)  # type: ignore[call-arg]
        super().__init__(dtype=self.fused.dtype, name=arguments.get("name"), seed=self.fused.seed)
        self.units, self.random = self.fused.units, self.fused.random
        both = [self.fused.state_size, self.fused.units]
        self.state_size = both if self.fused.cell == "lstm" else self.fused.state_size

    def build(self, input_shape: Shape) -> None:
        """Declare the parameters for inputs (batch, features); see `Layer.build`."""
        was_built = self.built
        super().build(input_shape)
        if not was_built:
            assert self.input_shape is not None
            self.fused.build((self.input_shape[0], None, self.input_shape[1]))
            self._adopt(self.fused, "")

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        options = {name: value for name, value in self.fused.get_config().items() if name not in self._LAYERS_OWN}
        return {**options, "name": self.name if self.named else None}

    def layer(self, **options: Any) -> Recurrent:
        """Return a layer of this cell, independent of it."""
        config = {name: value for name, value in self.get_config().items() if name != "name"}
        made = self.kind(**{**config, **options})
        made.of_cell = True
        return made

    def step(self, x: Array, states: list[Array]) -> tuple[Array, list[Array]]:
        """Return the output of one step and the new states."""
        self.ensure_built(x.shape)
        return self._call_step(x, states, False, 0)

    def _call_step(self, x: Array, states: list[Array], training: bool, seed: int | None) -> tuple[Array, list[Array]]:
        inputs, seed = [x[:, None], *states], self._call_seed(seed, training)
        y, *new = self.fused._apply_node(inputs, [None], training, seed)
        return y, new

    def step_vjp(self, x: Array, states: list[Array]) -> tuple[tuple[Array, list[Array]], StepPullback]:
        """Return what `step` does and the function that backpropagates through the step."""
        self.ensure_built(x.shape)
        (y, *new), inner = self.fused._differentiate_node([x[:, None], *states], [None], False, 0)

        def pullback(dy: Array, dstates: list[Array]) -> tuple[Array, list[Array]]:
            dx, *dold = inner([dy, *dstates])
            return dx[:, 0], dold

        return (y, new), pullback


class SimpleRNNCell(FusedCell):
    """One step of `RNN`: h' = f(W x + b + U h + c).

    Parameters
    ----------
    units, activation, use_bias, kernel_initializer, recurrent_initializer, bias_initializer, **options
        As in `RNN`, but for what a layer adds.

    Examples
    --------
    >>> import numpy as np, recurra
    >>> recurra.RNN(recurra.SimpleRNNCell(20))(np.zeros((8, 30, 10), np.float32)).shape
    (8, 20)
    """

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        **options: Any,
    ) -> None:
        super().__init__(RNN, _arguments(locals()))


class LSTMCell(FusedCell):
    """One step of `LSTM`, whose formulas it has; states are [h, c].

    Parameters
    ----------
    units, activation, recurrent_activation, use_bias, kernel_initializer, recurrent_initializer, bias_initializer, \
unit_forget_bias, **options
        As in `LSTM`, but for what a layer adds.

    Examples
    --------
    >>> import numpy as np, recurra
    >>> cell = recurra.LSTMCell(20)
    >>> h, states = cell(np.zeros((8, 10), np.float32), cell.get_initial_state(8))
    >>> h is states[0], len(states)
    (False, 2)
    """

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        recurrent_activation: Any = "sigmoid",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        unit_forget_bias: bool = True,
        **options: Any,
    ) -> None:
        super().__init__(LSTM, _arguments(locals()))


class GRUCell(FusedCell):
    """One step of `GRU`, whose formulas it has.

    Parameters
    ----------
    units, activation, recurrent_activation, use_bias, kernel_initializer, recurrent_initializer, bias_initializer, \
**options
        As in `GRU`, but for what a layer adds.

    Examples
    --------
    >>> import numpy as np, recurra
    >>> cell = recurra.GRUCell(20)
    >>> h, new = cell(np.zeros((8, 10), np.float32), np.zeros((8, 20), np.float32))
    >>> h.shape, new.shape
    ((8, 20), (8, 20))
    """

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        recurrent_activation: Any = "sigmoid",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        **options: Any,
    ) -> None:
        super().__init__(GRU, _arguments(locals()))


# The built-in cells, by the name of their class.
CELLS: dict[str, type[FusedCell]] = {cell.__name__: cell for cell in (SimpleRNNCell, LSTMCell, GRUCell)}


def _arguments(given: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments of a constructor as one dictionary."""
    hidden = ("self", "__class__", "options")
    return {**{name: value for name, value in given.items() if name not in hidden}, **given["options"]}
