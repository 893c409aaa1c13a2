"""A model that is a chain of layers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from recurra import _errors, _random
from recurra.layers.base import Layer
from recurra.layers.symbolic import SymbolicTensor
from recurra.models.carry import run, tape
from recurra.training.runnable import Runnable
from recurra.training.trainer import Trainer

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Self

    from recurra._typing import Array, Pullback, Shape
    from recurra.models.carry import Carry
    from recurra.streaming import Stepper


class Sequential(Trainer):
    """A chain of layers, each reading the output of the one before.

    A model is a layer too: it has ``__call__``, ``vjp`` and ``build``, and can stand in another model. All parameters
    lie in one flat buffer, all gradients in a second one.

    Parameters
    ----------
    layers : iterable of Layer, optional
        More can follow by `add`. A layer belongs to one model.
    name : str, optional
        For `summary`, and for the names of parameters if the model is part of another one.

    Attributes
    ----------
    layers : list of Layer
        The chain.
    parameters, gradients : dict of str to numpy.ndarray
        Views under ``"layer.parameter"``.

    Raises
    ------
    TypeError, ValueError
        On wrong arguments.

    Notes
    -----
    The model is built by its first input. Calls, ``vjp`` and ``predict`` are safe from several threads; training is
    for one thread at a time.

    Examples
    --------
    >>> import numpy as np, recurra
    >>> model = recurra.Sequential([recurra.LSTM(20), recurra.Dense(5)])
    >>> model(np.zeros((8, 30, 10), np.float32)).shape
    (8, 5)

    A training loop of one's own:

    >>> optimizer, loss = recurra.optimizers.Adam(), recurra.losses.MeanSquaredError()
    >>> x, y = np.zeros((8, 30, 10), np.float32), np.ones((8, 5), np.float32)
    >>> for step in range(3):
    ...     outputs, pullback = model.vjp(x)
    ...     value, dy = loss.vjp(y, outputs)
    ...     model.zero_gradients()
    ...     dx = pullback(dy)
    ...     optimizer.step(model)
    """

    def __init__(self, layers: Iterable[Layer] | None = None, name: str | None = None) -> None:
        super().__init__(name=name)
        self.layers: list[Layer] = []
        self._seeds: list[int] = []  # what each layer adds to a call's seed
        self._opening: Any = None  # the placeholder that said the input's shape
        for layer in layers or ():
            self.add(layer)
        if layers is not None:
            self._settle()

    def _settle(self) -> None:
        """Build a model whose input is known."""
        if self._opening is not None and self.layers and not self.built:
            self.build(self._opening.shape)

    def _require_built(self) -> None:
        self._settle()
        super()._require_built()

    def add(self, layer: Any) -> None:
        """Append a layer.

        Parameters
        ----------
        layer : Layer or SymbolicTensor
            One that belongs to no model yet; or first of all an `Input`, for which the model is built as soon as it is
            compiled or summarised, or whole.

        Raises
        ------
        TypeError, ValueError
            If it is no layer, belongs to a model, returns states or has another dtype; or if the model is built.
        """
        if isinstance(layer, SymbolicTensor):
            if self.layers or self._opening is not None or layer.node is not None:
                raise _errors.bad_value("layer", "an Input before all layers", "one behind", "a chain has one input")
            self._opening = layer
            return
        if not isinstance(layer, Layer):
            raise _errors.bad_type("layer", "a Layer", layer)
        if self.built:
            raise _errors.bad_value("layer", "a model that is not built", "a built one", "add all layers first")
        if layer.owner is not None or layer is self:
            hint = "layer.clone() is a copy with the same weights"
            raise _errors.bad_value("layer", "a layer of no model yet", f"{layer.name!r} of {layer.owner!r}", hint)
        if getattr(layer, "return_state", False):
            hint = "a chain passes one array on"
            raise _errors.bad_value("layer", "return_state=False", f"{layer.name!r} with return_state=True", hint)
        if self.layers and layer.dtype != self.dtype:
            raise _errors.bad_value("layer", f"dtype {self.dtype.name}, as the layers before", layer.dtype.name)
        name = self._unique(layer)
        if not self.layers:
            self.dtype, self.input_axes = layer.dtype, layer.input_axes
            self.integer_input = layer.integer_input
            if layer.merges:
                raise _errors.bad_value(
                    "layer", "a layer of one input", f"{layer.name!r}", "use Model(inputs, outputs)"
                )
        layer.name, layer.owner = name, self
        self.layers.append(layer)
        self._seeds.append(self.leaves)
        self.leaves += layer.leaves
        self.sized = self.sized or layer.sized

    def _unique(self, layer: Layer) -> str:
        taken = {other.name for other in self.layers}
        name, number = layer.name, 0
        while name in taken:
            if layer.named:
                raise _errors.bad_value("name", "names unique within the model", f"{layer.name!r} twice")
            number += 1
            name = f"{layer.name}_{number}"
        return name

    # Building

    def build(self, input_shape: Shape) -> None:
        """Build all layers for inputs of this shape; see `Layer.build`."""
        if not self.layers:
            raise _errors.bad_value("layers", "at least one layer", "none", "call model.add(...)")
        was_built = self.built
        super().build(input_shape)
        if was_built:
            return
        self.built = False
        try:
            self._build_layers()
            self.built = True
        finally:
            if not self.built:
                self.input_shape = None

    def _build_layers(self) -> None:
        shape = self.input_shape
        assert shape is not None
        for layer in self.layers:
            try:
                layer.build(shape)
                shape = layer.compute_output_shape(shape)
            except ValueError as error:
                raise ValueError(f"layer {layer.name!r}: {error}") from error
        self.random = any(layer.random for layer in self.layers)
        for layer in self.layers:
            self._adopt(layer, layer.name)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return the shape of the last layer's output."""
        for layer in self.layers:
            input_shape = layer.compute_output_shape(input_shape)
        return input_shape

    # The verbs

    def __call__(
        self, x: Array, lengths: Any = None, mask: Any = None, training: bool = False, seed: int | None = None
    ) -> Array:
        """Return the last layer's output.

        Parameters
        ----------
        x : numpy.ndarray, shape (batch, ...)
            Of the model's dtype; `predict` converts, this does not.
        lengths, mask, training, seed
            As in a call of a recurrent layer; every layer with a time axis gets the lengths.

        Returns
        -------
        numpy.ndarray
            The output.

        Raises
        ------
        TypeError, ValueError
            If an argument does not fit.
        """
        self.check_input(x)
        return self._apply(x, self._lengths(x, lengths, mask), training, self._call_seed(seed, training))

    def vjp(
        self, x: Array, lengths: Any = None, mask: Any = None, training: bool = True, seed: int | None = None
    ) -> tuple[Array, Pullback]:
        """Return the output and the function that backpropagates through this call.

        Parameters
        ----------
        x, lengths, mask, training, seed
            As in a call.

        Returns
        -------
        output : numpy.ndarray
            As from a call.
        pullback : callable
            ``dx = pullback(dy)`` adds into `gradients`; with ``need_dx=False`` it returns None.
        """
        self.check_input(x)
        return self._differentiate(x, self._lengths(x, lengths, mask), training, self._call_seed(seed, training))

    def _lengths(self, x: Array, lengths: Any, mask: Any) -> Array | None:
        if lengths is None and mask is None:
            return None
        if x.ndim < (2 if self.integer_input else 3):
            raise _errors.bad_value("lengths", "an input with a time axis", f"shape {x.shape}")
        return _errors.resolve_lengths(lengths, mask, x.shape[0], x.shape[1])

    def _apply(self, x: Array, lengths: Array | None, training: bool, seed: int) -> Array:
        return self._run(x, lengths, training, seed)[0]

    def _run(
        self, x: Array, lengths: Array | None, training: bool, seed: int, carry: Carry | None = None
    ) -> tuple[Array, Array | None]:
        """Return the output and the lengths that count in it."""
        for place, (layer, offset) in enumerate(zip(self.layers, self._seeds, strict=True)):
            drawn = _random.shifted(seed, offset)
            if carry is None and not isinstance(layer, Runnable):
                after = layer.compute_lengths(x, lengths)
                x, lengths = layer._apply(x, lengths, training, drawn), after
            else:
                (x,), (lengths,) = run(layer, [x], [lengths], training, drawn, carry, place)
        return x, lengths

    def _differentiate(self, x: Array, lengths: Array | None, training: bool, seed: int) -> tuple[Array, Pullback]:
        y, _, pullback = self._tape(x, lengths, training, seed)
        return y, pullback

    def _tape(
        self, x: Array, lengths: Array | None, training: bool, seed: int, carry: Carry | None = None
    ) -> tuple[Array, Array | None, Pullback]:
        """Return the output, the lengths that count in it, and the pullback."""
        pullbacks: list[Pullback] = []
        for place, (layer, offset) in enumerate(zip(self.layers, self._seeds, strict=True)):
            drawn = _random.shifted(seed, offset)
            if carry is None and not isinstance(layer, Runnable):
                after = layer.compute_lengths(x, lengths)
                x, pullback = layer._differentiate(x, lengths, training, drawn)
                lengths = after
            else:
                (x,), (lengths,), listed = tape(layer, [x], [lengths], training, drawn, carry, place)
                pullback = _single(listed)
            pullbacks.append(pullback)
        first = pullbacks[0]

        def chain(dy: Array, *, need_dx: bool = True) -> Array | None:
            for pullback in reversed(pullbacks):
                dy = pullback(dy, need_dx=need_dx or pullback is not first)
            return dy

        return x, lengths, chain

    def compute_lengths(self, x: Array, lengths: Array | None) -> Array | None:
        """Return the lengths that count in the output; see `Layer.compute_lengths`."""
        return self._run(x, lengths, False, 0)[1]

    def _outputs(
        self, inputs: list[Array], lengths: list[Any], training: bool, seed: int, carry: Carry | None = None
    ) -> tuple[list[Array], list[Any]]:
        y, steps = self._run(inputs[0], lengths[0], training, seed, carry)
        return [y], [steps]

    def _taped(
        self, inputs: list[Array], lengths: list[Any], training: bool, seed: int, carry: Carry | None = None
    ) -> tuple[list[Array], list[Any], Pullback]:
        y, steps, pullback = self._tape(inputs[0], lengths[0], training, seed, carry)
        return [y], [steps], lambda dys, *, need_dx=True: [pullback(dys[0], need_dx=need_dx)]

    def _held(self) -> Sequence[Layer]:
        return self.layers

    def _steppers(self, batch_size: int) -> Iterable[Stepper]:
        return [part for layer in self.layers for part in layer._steppers(batch_size)]

    # Copies and files

    def get_config(self) -> dict[str, Any]:
        """Return the name and the layers by class and arguments."""
        from recurra.layers import serialize

        return {"name": self.name if self.named else None, "layers": [serialize(layer) for layer in self.layers]}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: dict[str, type[Layer]] | None = None) -> Self:
        """Return a new model from what `get_config` returned."""
        from recurra.layers import deserialize

        if not isinstance(config.get("layers"), list):
            raise _errors.bad_value("config", "a list of layers", config)
        model = cls(name=config.get("name"))
        for description in config["layers"]:
            model.add(deserialize(description, custom_objects))
        return model

    def _like(self, dtype: str) -> Self:
        copy = type(self)(name=self.name if self.named else None)
        for layer in self.layers:
            copy.add(layer._like(dtype))
        return copy

    def __reduce__(self) -> tuple[Any, ...]:
        name = self.name if self.named else None
        return _restore, (type(self), self.layers, name, self.input_shape), self._state()


def _single(pullback: Pullback) -> Pullback:
    """Return a pullback of single arrays made of one of lists."""
    return lambda dy, *, need_dx=True: pullback([dy], need_dx=need_dx)[0]


def _restore(cls: type[Sequential], layers: list[Layer], name: str | None, shape: Shape | None) -> Sequential:
    model = cls(layers, name)
    if shape is not None:
        model.build(shape)
    return model
