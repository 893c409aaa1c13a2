"""Another layer at every time step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from recurra import _errors
from recurra.layers._copies import particulars, take_on
from recurra.layers.base import Layer
from recurra.layers.plain import PlainLayer

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Self

    from recurra._typing import Array, Pullback, Shape
    from recurra.streaming import Stepper


class TimeDistributed(PlainLayer):
    """The same layer applied to each time step alone: y[:, t] = layer(x[:, t]).

    Parameters
    ----------
    layer : Layer
        Of one input and one output; a model may be one.
    name : str, optional
        Unique within a model.

    Attributes
    ----------
    parameters, gradients : dict of str to numpy.ndarray
        Those of the layer, under its names.

    Raises
    ------
    TypeError, ValueError
        If ``layer`` is no layer, belongs to a model, takes several inputs or integers, or returns states.

    Notes
    -----
    All steps make one batch for the layer. Steps beyond a sample's length are left out: their outputs are 0. Calls from
    several threads are safe. Computes what `keras.layers.TimeDistributed` computes.

    Examples
    --------
    >>> import numpy as np, recurra
    >>> frames = np.zeros((8, 30, 5, 10), np.float32)  # 30 steps, each a sequence of 5
    >>> recurra.TimeDistributed(recurra.LSTM(20))(frames).shape
    (8, 30, 20)
    """

    def __init__(self, layer: Layer, *, name: str | None = None) -> None:
        if not isinstance(layer, Layer):
            raise _errors.bad_type("layer", "a Layer", layer)
        if layer.owner is not None:
            raise _errors.bad_value("layer", "a layer of no model yet", f"{layer.name!r} of {layer.owner!r}")
        if layer.merges or layer.integer_input or getattr(layer, "return_state", False):
            hint = "it is called on one array of real numbers, and returns one"
            raise _errors.bad_value("layer", "a layer of one input and one output", f"{layer.name!r}", hint)
        super().__init__(dtype=layer.dtype, name=name)
        self.layer, layer.owner = layer, self
        self.leaves, self.random = layer.leaves, layer.random
        self.pointwise, self.sized = layer.pointwise, layer.sized

    def build(self, input_shape: Shape) -> None:
        """Build the layer for inputs (batch, time, ...); see `Layer.build`."""
        if isinstance(input_shape, tuple | list) and len(input_shape) < 3:
            axes = "(batch, time, ...) and at least one axis of features"
            raise _errors.bad_value("input_shape", axes, f"{tuple(input_shape)}")
        was_built = self.built
        super().build(input_shape)
        if was_built:
            return
        assert self.input_shape is not None
        self.built = False
        self.layer.build((None, *self.input_shape[2:]))
        self._adopt(self.layer, "")
        self.random, self.built = self.layer.random, True

    def __reduce__(self) -> tuple[Any, ...]:
        name, *built = particulars(self)
        return _restore, (type(self), self.layer._like(self.dtype.name), name, self.named, *built), self._state()

    def _held(self) -> Sequence[Layer]:
        return [self.layer]

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return (batch, time, ...) with the axes of the layer's output."""
        return (*input_shape[:2], *self.layer.compute_output_shape((None, *input_shape[2:]))[1:])

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, the wrapped layer by its class and arguments."""
        from recurra.layers import serialize

        return {"layer": serialize(self.layer), "name": self.name if self.named else None}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: dict[str, type[Layer]] | None = None) -> Self:
        """Return a new layer made with the arguments that `get_config` returned."""
        from recurra.layers import deserialize

        return cls(**{**config, "layer": deserialize(config["layer"], custom_objects)})

    def _like(self, dtype: str) -> Self:
        return type(self)(self.layer._like(dtype), name=self.name if self.named else None)

    def _steppers(self, batch_size: int) -> Iterable[Stepper]:
        return self.layer._steppers(batch_size) if self.pointwise else super()._steppers(batch_size)

    # Steps that count make the rows of one batch; without lengths all do, and nothing is copied.

    def _rows(self, x: Array, lengths: Array | None) -> tuple[Array, Array | None]:
        if lengths is None:
            return x.reshape(-1, *x.shape[2:]), None
        valid = np.arange(x.shape[1]) < lengths[:, None]
        return x[valid], valid

    def _steps_of(self, rows: Array, valid: Array | None, batch: int, time: int) -> Array:
        if valid is None:
            return rows.reshape(batch, time, *rows.shape[1:])
        y = np.zeros((batch, time, *rows.shape[1:]), rows.dtype)
        y[valid] = rows
        return y

    def _apply(self, x: Array, lengths: Array | None, training: bool, seed: int) -> Array:
        rows, valid = self._rows(x, lengths)
        return self._steps_of(self.layer._apply(rows, None, training, seed), valid, *x.shape[:2])

    def _differentiate(self, x: Array, lengths: Array | None, training: bool, seed: int) -> tuple[Array, Pullback]:
        rows, valid = self._rows(x, lengths)
        y, inner = self.layer._differentiate(rows, None, training, seed)

        def pullback(dy: Array, *, need_dx: bool = True) -> Array | None:
            drows = dy.reshape(-1, *dy.shape[2:]) if valid is None else dy[valid]
            dx = inner(drows, need_dx=need_dx)
            return None if dx is None else self._steps_of(dx, valid, *x.shape[:2])

        return self._steps_of(y, valid, *x.shape[:2]), pullback


def _restore(cls: type[TimeDistributed], inner: Layer, name: str, named: bool, *built: Any) -> TimeDistributed:
    return take_on(cls(inner, name=name if named else None), name, *built)
