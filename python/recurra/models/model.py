"""The base of models with several inputs or outputs, and of models of one's own."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import numpy as np

from recurra import _errors
from recurra.layers.base import Layer
from recurra.training.trainer import Trainer

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Self

    from recurra._typing import Array, Pullback


class Model(Trainer):
    """A directed graph of layers: several inputs and outputs, shared layers, skip connections, states passed on.

    Derive from it for a model with a ``__call__`` and ``vjp`` of its own: layers set as attributes are found, and
    their parameters are the model's; see the second example.

    Parameters
    ----------
    inputs : SymbolicTensor, or list or dict of such
        From `Input`.
    outputs : SymbolicTensor, or list or dict of such
        What layers returned for them.
    name : str, optional
        For `summary`, and for the names of parameters if the model is part of another one.

    Attributes
    ----------
    layers : list of Layer
        Each once, in the order in which they compute.
    input_names, output_names : list of str
        Keys of data that comes as a dictionary: names of the inputs, and of the layers that the outputs come from.
    parameters, gradients : dict of str to numpy.ndarray
        Views under ``"layer.parameter"``.

    Raises
    ------
    TypeError, ValueError
        If an output does not follow from the inputs.

    Notes
    -----
    Calls, ``vjp`` and ``predict`` are safe from several threads; training is for one thread at a time. A graph drawn
    with layers of another model (an encoder taken out of a trained translator, say) runs them with the weights they
    have, and leaves training and files to that model.

    Examples
    --------
    An encoder whose final states start a decoder:

    >>> import numpy as np, recurra
    >>> source, target = recurra.Input((None, 4)), recurra.Input((None, 3))
    >>> _, h, c = recurra.LSTM(16, return_state=True)(source)
    >>> decoded = recurra.LSTM(16, return_sequences=True)(target, initial_state=[h, c])
    >>> model = recurra.Model([source, target], recurra.Dense(3)(decoded))
    >>> x = [np.ones((2, 5, 4), np.float32), np.ones((2, 7, 3), np.float32)]
    >>> model.predict(x).shape
    (2, 7, 3)

    A model of one's own:

    >>> class Residual(recurra.Model):
    ...     def __init__(self, units):
    ...         super().__init__()
    ...         self.inner = recurra.GRU(units, return_sequences=True)
    ...     def __call__(self, x):
    ...         return x + self.inner(x)
    ...     def vjp(self, x):
    ...         y, inner = self.inner.vjp(x)
    ...         def pullback(dy, *, need_dx=True):
    ...             dx = inner(dy, need_dx=need_dx)
    ...             return dy + dx if need_dx else None
    ...         return x + y, pullback
    >>> model = Residual(3)
    >>> model.compile("adam", "mse")
    >>> history = model.fit(np.ones((8, 5, 3)), np.zeros((8, 5, 3)), epochs=2, verbose=0)
    >>> sorted(model.parameters)[0]
    'inner.bias_hh_l0'
    """

    input_axes = None
    borrows = False  # whether its layers belong to another model, see `Functional`
    _collects = True  # whether layers set as attributes become the model's

    def __new__(cls, inputs: Any = None, outputs: Any = None, **options: Any) -> Model:
        """Make the kind of model that the arguments ask for."""
        if cls is Model:
            from recurra.models.functional import Functional

            return super().__new__(Functional)
        return super().__new__(cls)

    def __init__(self, inputs: Any = None, outputs: Any = None, *, name: str | None = None) -> None:
        super().__init__(name=name)
        self.layers: list[Layer] = []

    def _claim(self, layers: list[Layer]) -> None:
        """Make the layers this model's, under names unique in it."""
        taken: set[str] = set()
        for layer in layers:
            if layer.owner not in (None, self):
                raise _errors.bad_value("outputs", "layers of no other model", f"{layer.name!r} of {layer.owner!r}")
            name, number = layer.name, 0
            while layer.name in taken:
                if layer.named:
                    raise _errors.bad_value("name", "names unique within the model", f"{layer.name!r} twice")
                number += 1
                layer.name = f"{name}_{number}"
            taken.add(layer.name)
        for layer in layers:
            layer.owner = self
        self.layers = layers
        self.sized = any(layer.sized for layer in layers)

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        if self._collects and isinstance(value, Layer) and name != "owner" and value not in self.layers:
            if self.built:
                raise _errors.bad_value(name, "layers set before the model is built", "one after", "set it in __init__")
            if not value.named:
                value.name = name
            self._claim([*self.layers, value])

    def build(self, input_shape: Any) -> None:
        """Build all layers; a model of one's own builds them by running once. See `Layer.build`."""
        was_built = self.built
        super().build(input_shape)
        if was_built:
            return
        self.built = False
        try:
            self._build_layers()
            self.random = any(layer.random for layer in self.layers)
            for layer in () if self.borrows else self.layers:
                self._adopt(layer, layer.name)
            self.built = True
        finally:
            if not self.built:
                self.input_shape = None

    def _build_layers(self) -> None:
        """Call the model on zeros, one step for every open axis, so that its layers learn their inputs."""
        if all(layer.built for layer in self.layers):
            return
        shape: Any = self.input_shape
        kind = np.dtype(np.int64) if self.integer_input else self.dtype
        shapes = shape if self.merges else [shape]
        zeros = [np.zeros([1 if size is None else size for size in some], kind) for some in shapes]
        self.built = True  # the call must not build again
        self(zeros if self.merges else zeros[0])
        self.built = False
        for layer in self.layers:
            if not layer.built:
                raise _errors.bad_value("layers", "layers that a call uses", f"{layer.name!r}, not called")

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: dict[str, type[Layer]] | None = None) -> Self:
        """Return a new model from what `get_config` returned; of `Model` itself, from that of a drawn graph."""
        if cls is Model:
            from recurra.models.functional import Functional

            made: Any = Functional.from_config(config, custom_objects)
            return made  # type: ignore[no-any-return]
        return super().from_config(config)

    def _held(self) -> Sequence[Layer]:
        return self.layers

    # The verbs of a class of one's own, with the arguments that it names

    def _apply(self, x: Any, lengths: Any, training: bool, seed: int) -> Array:
        y: Array = self(x, **self._wanted(type(self).__call__, lengths, training, seed))
        return y

    def _differentiate(self, x: Any, lengths: Any, training: bool, seed: int) -> tuple[Array, Pullback]:
        return self.vjp(x, **self._wanted(type(self).vjp, lengths, training, seed))

    def _wanted(self, function: Any, lengths: Any, training: bool, seed: int) -> dict[str, Any]:
        """Return those of the arguments that a method takes."""
        given = {"lengths": lengths, "training": training, "seed": seed}
        names = inspect.signature(function).parameters
        return {name: value for name, value in given.items() if name in names}
