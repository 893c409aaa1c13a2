"""What layers of cells share: calls with states in a flat list, as `Recurrent` has them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from recurra import _errors
from recurra.layers._copies import particulars, take_on
from recurra.layers.base import Layer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from recurra._typing import Array, Pullback, Shape
    from recurra.layers.symbolic import SymbolicTensor

    # (gradients of outputs and final states) to (gradient of the input, those of the initial states)
    Backward = Callable[[Sequence[Array | None], bool], tuple[Array | None, list[Array]]]


class Stateful(Layer):
    """Base of `CellRNN` and `RecurrentStack`: a subclass sets the sizes and defines ``_run`` and ``_tape``.

    Parameters
    ----------
    return_sequences, return_state, go_backwards : bool
        As in `LSTM`.
    dtype, name, seed
        See `Layer`.

    Attributes
    ----------
    state_sizes : list of int
        Columns of each state.
    output_size : int
        Columns of the outputs.
    """

    input_axes = ("batch", "time", "features")
    carries = True
    state_sizes: list[int]
    output_size: int

    def __init__(
        self, return_sequences: bool, return_state: bool, go_backwards: bool, *, dtype: Any, name: Any, seed: Any = None
    ) -> None:
        super().__init__(dtype=dtype, name=name, seed=seed)
        self.return_sequences = _errors.check_flag("return_sequences", return_sequences)
        self.return_state = _errors.check_flag("return_state", return_state)
        self.go_backwards = _errors.check_flag("go_backwards", go_backwards)

    # What a subclass defines

    def _run(
        self, x: Array, states: Any, lengths: Array | None, training: bool, seed: int
    ) -> tuple[Array, list[Array]]:
        """Return the outputs and the final states; ``states`` None: start anew."""
        raise NotImplementedError

    def _tape(
        self, x: Array, states: Any, lengths: Array | None, training: bool, seed: int
    ) -> tuple[Array, list[Array], Backward]:
        """Return the same and the backward pass."""
        raise NotImplementedError

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
        """Return the outputs for a batch of sequences; arguments and results as in a call of `LSTM`.

        States come cell by cell in one flat list; those given may also be nested, a list for each cell, as Keras does.
        """
        states, lengths = self._checked(x, initial_state, lengths, mask)
        y, final = self._run(x, states, lengths, training, self._call_seed(seed, training))
        return [y, *final] if self.return_state else y

    def vjp(
        self,
        x: Array,
        initial_state: Any = None,
        lengths: Any = None,
        mask: Any = None,
        training: bool = True,
        seed: int | None = None,
    ) -> tuple[Any, StatefulPullback]:
        """Return the outputs and the function that backpropagates through time, as `LSTM.vjp` does."""
        states, lengths = self._checked(x, initial_state, lengths, mask)
        y, final, backward = self._tape(x, states, lengths, training, self._call_seed(seed, training))
        return ([y, *final] if self.return_state else y), StatefulPullback(self, y.shape, backward)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return (batch, outputs) or, with return_sequences, (batch, time, outputs)."""
        time = (input_shape[1],) if self.return_sequences else ()
        return (input_shape[0], *time, self.output_size)

    def compute_lengths(self, x: Array, lengths: Array | None) -> Array | None:
        """Return the lengths as they are, with return_sequences; else None."""
        return lengths if self.return_sequences else None

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments; subclasses add theirs."""
        flags = ("return_sequences", "return_state", "go_backwards")
        return {**{flag: getattr(self, flag) for flag in flags}, "name": self.name if self.named else None}

    def _reduced(self, inner: Any, config: dict[str, Any]) -> tuple[Any, ...]:
        """Return what a copy is made of; ``inner``: what it is made around, itself not built."""
        return _restore, (type(self), inner, config, *particulars(self)), self._state()

    # What a model calls

    def _apply(self, x: Array, lengths: Array | None, training: bool, seed: int) -> Array:
        return self._run(x, None, lengths, training, seed)[0]

    def _differentiate(self, x: Array, lengths: Array | None, training: bool, seed: int) -> tuple[Array, Pullback]:
        y, _, backward = self._tape(x, None, lengths, training, seed)
        return y, StatefulPullback(self, y.shape, backward)

    def _apply_carried(
        self, x: Array, lengths: Array | None, training: bool, seed: int, states: Any
    ) -> tuple[Array, Any]:
        y, final = self._run(x, states and [state[0] for state in states], lengths, training, seed)
        return y, [state[None] for state in final]  # (stack, batch, units), as all that is carried

    def _differentiate_carried(
        self, x: Array, lengths: Array | None, training: bool, seed: int, states: Any
    ) -> tuple[Array, Pullback, Any]:
        y, final, backward = self._tape(x, states and [state[0] for state in states], lengths, training, seed)
        return y, StatefulPullback(self, y.shape, backward), [state[None] for state in final]

    # In a graph the initial states are further inputs, the final ones further outputs.

    def _more_inputs(self, initial_state: Any = None) -> list[SymbolicTensor]:
        if initial_state is None:
            return []
        states = _flat(initial_state)
        if len(states) != len(self.state_sizes):
            raise _errors.bad_value("initial_state", f"{len(self.state_sizes)} placeholders", f"{len(states)}")
        return states

    def _output_shapes(self, input_shape: Shape) -> list[Shape]:
        states = [(input_shape[0], size) for size in self.state_sizes] if self.return_state else []
        return [self.compute_output_shape(input_shape), *states]

    def _node_lengths(self, inputs: list[Array], lengths: list[Any]) -> list[Any]:
        states = (None,) * (len(self.state_sizes) if self.return_state else 0)
        return [self.compute_lengths(inputs[0], lengths[0]), *states]

    def _apply_node(self, inputs: list[Array], lengths: list[Any], training: bool, seed: int) -> list[Array]:
        y, final = self._run(inputs[0], inputs[1:] or None, lengths[0], training, seed)
        return [y, *final] if self.return_state else [y]

    def _differentiate_node(
        self, inputs: list[Array], lengths: list[Any], training: bool, seed: int
    ) -> tuple[list[Array], Pullback]:
        x, *states = inputs
        y, final, backward = self._tape(x, states or None, lengths[0], training, seed)

        def pullback(dys: list[Array | None], *, need_dx: bool = True) -> list[Array | None]:
            dx, dstates = backward(dys, need_dx)
            return [dx, *dstates] if states else [dx]

        return ([y, *final] if self.return_state else [y]), pullback

    # Arguments

    def _checked(self, x: Array, states: Any, lengths: Any, mask: Any) -> tuple[list[Array] | None, Array | None]:
        """Return the states as a flat list and the lengths, having checked them and ``x`` and built the layer."""
        self.check_input(x)
        lengths = _errors.resolve_lengths(lengths, mask, x.shape[0], x.shape[1])
        return None if states is None else self._listed("initial_state", states, len(x)), lengths

    def _listed(self, argument: str, states: Any, batch: int) -> list[Any]:
        """Return states, which may be nested, as a checked flat list; entries may be None."""
        flat = _flat(states)
        if len(flat) != len(self.state_sizes):
            hint = "those of each cell in order"
            raise _errors.bad_value(argument, f"{len(self.state_sizes)} arrays", f"{len(flat)}", hint)
        for index, (state, size) in enumerate(zip(flat, self.state_sizes, strict=True)):
            if state is not None:
                _errors.check_array(f"{argument}[{index}]", state, self.dtype, ("batch", "units"), (batch, size))
        return flat


class StatefulPullback:
    """Backpropagation through time for one call; see `RecurrentPullback`, whose arguments it takes.

    Used up by its first call.
    """

    __slots__ = ("_backward", "_layer", "_shape")

    def __init__(self, layer: Stateful, shape: tuple[int, ...], backward: Backward) -> None:
        self._layer, self._shape, self._backward = layer, shape, backward

    def __call__(self, dy: Array | None, dstates: Any = None, *, need_dx: bool = True) -> Array | None:
        """Return the gradient of the input, having added those of the parameters."""
        return self.with_states(dy, dstates, need_dx=need_dx)[0]

    def with_states(
        self, dy: Array | None, dstates: Any = None, *, need_dx: bool = True
    ) -> tuple[Array | None, list[Array]]:
        """Return the gradient of the input and those of the initial states, in a flat list."""
        layer = self._layer
        if dy is not None:
            axes = ("batch", "time", "outputs") if len(self._shape) == 3 else ("batch", "outputs")
            _errors.check_array("dy", dy, layer.dtype, axes, self._shape)
        states = [] if dstates is None else layer._listed("dstates", dstates, self._shape[0])
        return self._backward([dy, *states], need_dx)


def _flat(states: Any) -> list[Any]:
    """Return a state, a list of states, or a list of such lists, as one list."""
    if not isinstance(states, list | tuple):
        return [states]
    return [state for part in states for state in _flat(part)]


def _restore(cls: Any, inner: Any, config: dict[str, Any], *rest: Any) -> Stateful:
    layer: Stateful = cls(inner, **config)
    return take_on(layer, *rest)
