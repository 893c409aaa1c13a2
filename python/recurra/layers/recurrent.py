"""What RNN, LSTM and GRU share: from their arguments to the engine, states in Keras's order, and the pullback."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from recurra import _core, _errors, initializers
from recurra.layers import _arguments
from recurra.layers._options import engine_options
from recurra.layers.base import Layer
from recurra.layers.bptt import RecurrentPullback
from recurra.layers.trace import trace_call

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from recurra._typing import Array, Pullback, Shape
    from recurra.layers.parameters import Version
    from recurra.layers.symbolic import SymbolicTensor
    from recurra.streaming import Stepper

# Which arguments of Keras speak of which of the engine's parameters.
_KINDS = {
    "weight_ih": "kernel",
    "weight_hr": "kernel",
    "weight_hh": "recurrent",
    "bias_ih": "bias",
    "bias_hh": "bias",
}
_AXES = ("batch", "time", "features")


class Recurrent(Layer):
    """Base of the recurrent layers; `RNN`, `LSTM` and `GRU` say what they take.

    Parameters
    ----------
    cell : {"rnn", "lstm", "gru"}
        The engine's cell.
    arguments : dict
        The arguments of the subclass's constructor by name; other keys are ignored.

    Attributes
    ----------
    units : int
        Hidden units of one direction of one layer.
    return_sequences, return_state : bool
        What a call returns.
    """

    input_axes: tuple[str, ...] | None = _AXES
    carries = True
    of_cell = False  # whether it was made of a cell, which Keras's files tell apart

    def __init__(self, cell: str, arguments: dict[str, Any]) -> None:
        names = ("dtype", "name", "seed")
        super().__init__(**{name: arguments[name] for name in names})
        hidden = ("self", "__class__")
        self.arguments = {name: value for name, value in arguments.items() if name not in hidden}
        self.arguments["dtype"] = self.dtype.name
        self.cell = cell
        self.units = self.arguments["units"] = _errors.check_integer("units", arguments["units"], 1)
        self.return_sequences = _errors.check_flag("return_sequences", arguments["return_sequences"])
        self.return_state = _errors.check_flag("return_state", arguments["return_state"])
        self.learned_state = _errors.check_flag("trainable_initial_state", arguments["trainable_initial_state"])
        self.options = engine_options(cell, self.arguments)
        self.directions = 2 if self.options["bidirectional"] else 1
        self.stack = self.options["num_layers"] * self.directions
        self.state_size = self.options.get("proj_size", 0) or self.units
        concat = self.directions == 2 and self.options["merge_mode"] == "concat"
        self.output_size = self.state_size * (2 if concat else 1)
        rates = ("dropout", "interlayer_dropout", "recurrent_dropout")
        self.random = any(self.options[name] for name in rates) or any(self.options["zoneout"])
        self.arguments.update(_arguments.resolved(self.arguments))
        self._engine: _core.Recurrent | None = None

    # Building

    def build(self, input_shape: Shape) -> None:
        """Declare the parameters for inputs (batch, time, features); see `Layer.build`."""
        super().build(input_shape)
        if self._engine is not None:
            return
        assert self.input_shape is not None
        self._engine = _core.Recurrent(self.cell, self.input_shape[-1] or 0, self.units, **self.options)
        for name, shape, offset in self._engine.layout:
            assert offset == self.size
            more = _arguments.of_weight(self.arguments, _KINDS.get(name.partition("_l")[0], ""))
            self.add_weight(name, shape, self._initializer(name), width=self.units, **more)
        self._engine_size = self.size
        if self.learned_state:
            self.add_weight("h0", (self.stack, self.state_size))
            if self.cell == "lstm":
                self.add_weight("c0", (self.stack, self.units))

    def _initializer(self, name: str) -> Any:
        """Return how an engine's parameter starts: as in Keras, whose one bias is ours of the input."""
        chosen = self.arguments["bias_initializer"]
        if name.startswith(("weight_ih", "weight_hr")):
            return self.arguments["kernel_initializer"]
        if name.startswith("weight_hh"):
            return self.arguments["recurrent_initializer"]
        if name.startswith("weight_ln"):
            return "ones"
        if name.startswith("bias_ih"):
            return self._forget_bias(chosen) if self.arguments.get("unit_forget_bias") else chosen
        both = chosen == initializers.PYTORCH_UNIFORM or (self.cell == "gru" and self.options["reset_after"])
        return chosen if name.startswith("bias_hh") and both else "zeros"

    def _forget_bias(self, chosen: Any) -> Any:
        """Return the initializer with 1 for the forget gate (Jozefowicz et al. 2015), which a coupled cell lacks."""
        if self.options["input_forget"]:
            return chosen
        start = initializers.resolve(chosen, self.units)

        def values(shape: tuple[int, ...], seed: int, stream: int) -> Array:
            bias = np.array(start(shape, seed, stream))
            bias[self.units : 2 * self.units] = 1.0  # gates are i, f, g, o
            return bias

        return values

    def _attach(self, parameters: Array, gradients: Array, version: Version | None = None) -> None:
        self._engine_weights = parameters[: self._engine_size]
        self._engine_gradients = gradients[: self._engine_size]
        self._packed = -1
        super()._attach(parameters, gradients, version)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return (batch, outputs) or, with return_sequences, (batch, time, outputs)."""
        time = (input_shape[1],) if self.return_sequences else ()
        return (input_shape[0], *time, self.output_size)

    def compute_lengths(self, x: Array, lengths: Array | None) -> Array | None:
        """Return the lengths as they are, with return_sequences; else None."""
        return lengths if self.return_sequences else None

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return _arguments.serialized(self.arguments)

    # The verbs

    def __call__(
        self,
        x: Array,
        initial_state: Any = None,
        lengths: Any = None,
        mask: Any = None,
        training: bool = False,
        seed: int | None = None,
    ) -> Any:
        """Return the outputs for a batch of sequences.

        Parameters
        ----------
        x : numpy.ndarray, shape (batch, time, features)
            Of the layer's dtype; any strides, read without a copy.
        initial_state : array or list of arrays, optional
            As returned with ``return_state``: h (batch, outputs of a direction), and for an LSTM c (batch, units);
            for more layers or directions such pairs in the order layer 0 forward, layer 0 backward, layer 1 forward,
            ... By default zero, or the learned state.
        lengths : array of int, shape (batch,), optional
            Steps to read of each sample, 0 to time, unsorted. Later outputs are 0.
        mask : array of bool, shape (batch, time), optional
            The same said by steps: True for those to read, which must come first.
        training : bool, default False
            Draw the masks of dropout and zoneout.
        seed : int, optional
            Of those masks; by default each call draws new ones.

        Returns
        -------
        numpy.ndarray or list of numpy.ndarray
            Outputs (batch, outputs), with ``return_sequences`` (batch, time, outputs); with ``return_state`` the list
            of outputs and final states, the states in the order of ``initial_state``.

        Raises
        ------
        TypeError, ValueError
            If an argument does not fit.
        """
        h0, c0, lengths = self._checked(x, initial_state, lengths, mask)
        y, hn, cn = self._forward(x, h0, c0, lengths, training, self._call_seed(seed, training))
        return [y, *self._states(hn, cn)] if self.return_state else y

    def vjp(
        self,
        x: Array,
        initial_state: Any = None,
        lengths: Any = None,
        mask: Any = None,
        training: bool = True,
        seed: int | None = None,
    ) -> tuple[Any, RecurrentPullback]:
        """Return the outputs, as a call does, and the function that backpropagates through time.

        Parameters
        ----------
        x, initial_state, lengths, mask, seed
            As in a call.
        training : bool, default True
            Draw the masks of dropout and zoneout.

        Returns
        -------
        outputs : numpy.ndarray or list of numpy.ndarray
            As from a call.
        pullback : RecurrentPullback
            ``dx = pullback(dy, dstates)`` adds into `gradients`; ``pullback.with_states`` also returns the gradients
            of the initial states.
        """
        h0, c0, lengths = self._checked(x, initial_state, lengths, mask)
        y, hn, cn, tape = self._taped(x, h0, c0, lengths, training, self._call_seed(seed, training))
        learned = self.learned_state and initial_state is None
        pullback = RecurrentPullback(self, tape, y.shape, learned)
        return ([y, *self._states(hn, cn)] if self.return_state else y), pullback

    trace = trace_call

    def _apply(self, x: Array, lengths: Array | None, training: bool, seed: int) -> Array:
        return self._forward(x, *self._start(len(x)), lengths, training, seed)[0]

    def _differentiate(
        self, x: Array, lengths: Array | None, training: bool, seed: int
    ) -> tuple[Array, RecurrentPullback]:
        y, _, _, tape = self._taped(x, *self._start(len(x)), lengths, training, seed)
        return y, RecurrentPullback(self, tape, y.shape, self.learned_state)

    def _apply_carried(
        self, x: Array, lengths: Array | None, training: bool, seed: int, states: Any
    ) -> tuple[Array, Any]:
        h0, c0 = states or self._start(len(x))
        y, *states = self._forward(x, h0, c0, lengths, training, seed)
        return y, states

    def _differentiate_carried(
        self, x: Array, lengths: Array | None, training: bool, seed: int, states: Any
    ) -> tuple[Array, RecurrentPullback, Any]:
        h0, c0 = states or self._start(len(x))
        y, hn, cn, tape = self._taped(x, h0, c0, lengths, training, seed)
        return y, RecurrentPullback(self, tape, y.shape, self.learned_state and not states), (hn, cn)

    # In a graph the initial states are further inputs, the final ones further outputs.

    def _more_inputs(self, initial_state: Any = None) -> list[SymbolicTensor]:
        if initial_state is None:
            return []
        states = list(initial_state) if isinstance(initial_state, list | tuple) else [initial_state]
        count = self.stack * (2 if self.cell == "lstm" else 1)
        if len(states) != count:
            raise _errors.bad_value("initial_state", f"{count} placeholders", f"{len(states)}")
        return states

    def _output_shapes(self, input_shape: Shape) -> list[Shape]:
        shapes = [self.compute_output_shape(input_shape)]
        if self.return_state:
            kinds = (self.state_size, self.units) if self.cell == "lstm" else (self.state_size,)
            shapes += [(input_shape[0], size) for size in kinds] * self.stack
        return shapes

    def _node_lengths(self, inputs: list[Array], lengths: list[Any]) -> list[Any]:
        states = len(self._output_shapes((None,) * 3)) - 1
        return [self.compute_lengths(inputs[0], lengths[0]), *(None,) * states]

    def _node_start(self, inputs: list[Array]) -> tuple[Array | None, Array | None]:
        x, *states = inputs
        return self._stacked("initial_state", states, len(x)) if states else self._start(len(x))

    def _apply_node(self, inputs: list[Array], lengths: list[Any], training: bool, seed: int) -> list[Array]:
        y, hn, cn = self._forward(inputs[0], *self._node_start(inputs), lengths[0], training, seed)
        return [y, *self._states(hn, cn)] if self.return_state else [y]

    def _differentiate_node(
        self, inputs: list[Array], lengths: list[Any], training: bool, seed: int
    ) -> tuple[list[Array], Pullback]:
        given = len(inputs) > 1
        y, hn, cn, tape = self._taped(inputs[0], *self._node_start(inputs), lengths[0], training, seed)
        one = RecurrentPullback(self, tape, y.shape, self.learned_state and not given)

        def pullback(dys: list[Array | None], *, need_dx: bool = True) -> list[Array | None]:
            dstates = dys[1:] if any(dy is not None for dy in dys[1:]) else None
            dx, states = one.with_states(dys[0], dstates, need_dx=need_dx)
            return [dx, *states] if given else [dx]

        return ([y, *self._states(hn, cn)] if self.return_state else [y]), pullback

    def _forward(self, *arguments: Any) -> tuple[Array, Array, Array | None]:
        """Run the engine on (x, h0, c0, lengths, training, seed)."""
        assert self._engine is not None
        return self._run(self._engine.forward, *arguments)  # type: ignore[no-any-return]

    def _taped(self, *arguments: Any) -> tuple[Array, Array, Array | None, _core.Tape]:
        """Run the engine as `_forward` does, and keep what its backward pass needs."""
        assert self._engine is not None
        return self._run(self._engine.vjp, *arguments)  # type: ignore[no-any-return]

    def _run(
        self, call: Any, x: Array, h0: Array | None, c0: Array | None, lengths: Array | None, training: bool, seed: int
    ) -> Any:
        version = self._version.number
        unchanged = version == self._packed and not self._handed_out
        sequences = self.return_sequences  # positional, all of them: a name costs a tenth of a microsecond
        result = call(self._engine_weights, x, h0, c0, lengths, sequences, training, seed, unchanged)
        self._packed = version  # what the engine has packed now, unless someone changed it meanwhile
        return result

    def _steppers(self, batch_size: int) -> Iterable[Stepper]:
        from recurra.streaming import RecurrentStepper

        return [RecurrentStepper(self, batch_size)]

    # Arguments and states

    def _checked(
        self, x: Array, initial_state: Any, lengths: Any, mask: Any
    ) -> tuple[Array | None, Array | None, Array | None]:
        """Return (h0, c0, lengths) for the engine, having checked them and ``x`` and built the layer."""
        self.check_input(x)
        batch, time, _ = x.shape
        if lengths is not None or mask is not None:
            lengths = _errors.resolve_lengths(lengths, mask, batch, time)
        if initial_state is None:
            h0, c0 = self._start(batch) if self.learned_state else (None, None)
            return h0, c0, lengths
        h0, c0 = self._stacked("initial_state", initial_state, batch)
        return h0, c0, lengths

    def _start(self, batch: int) -> tuple[Array | None, Array | None]:
        """Return the learned initial states for a batch, or (None, None) for zero."""
        if not self.learned_state:
            return None, None
        wide = [
            np.ascontiguousarray(np.broadcast_to(state[:, None], (state.shape[0], batch, state.shape[1])))
            for name, state in self._views[0].items()
            if name in ("h0", "c0")
        ]
        return wide[0], wide[1] if len(wide) == 2 else None

    def _states(self, h: Array, c: Array | None) -> list[Array]:
        """Return the states (layers * directions, batch, size) as Keras lists them."""
        if c is None:
            return list(h)
        return [state for pair in zip(h, c, strict=True) for state in pair]

    def _stacked(self, argument: str, states: Any, batch: int) -> tuple[Array | None, Array | None]:
        """Return Keras's list of states as the engine's h and c; entries may be None, for zero."""
        kinds = 2 if self.cell == "lstm" else 1
        if isinstance(states, np.ndarray) and self.stack * kinds == 1:
            states = [states]
        if not isinstance(states, list | tuple):
            raise _errors.bad_type(argument, f"a list of {self.stack * kinds} arrays", states)
        if len(states) != self.stack * kinds:
            order = "h, c" if kinds == 2 else "h"
            hint = f"{order} of each direction of each layer"
            raise _errors.bad_value(argument, f"{self.stack * kinds} arrays", f"{len(states)}", hint)
        h = self._stack(argument, states, 0, kinds, (batch, self.state_size))
        return h, self._stack(argument, states, 1, kinds, (batch, self.units)) if kinds == 2 else None

    def _stack(
        self, argument: str, states: Sequence[Array | None], first: int, step: int, shape: tuple[int, int]
    ) -> Array | None:
        chosen = states[first::step]
        for index, state in enumerate(chosen):
            if state is not None:
                name = f"{argument}[{first + index * step}]"
                _errors.check_array(name, state, self.dtype, ("batch", "units"), shape)
        if all(state is None for state in chosen):
            return None
        if len(chosen) == 1 and chosen[0] is not None:
            return np.ascontiguousarray(chosen[0])[None]
        return np.stack([np.zeros(shape, self.dtype) if state is None else state for state in chosen])
