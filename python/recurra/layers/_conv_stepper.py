"""A causal convolution fed step by step: it remembers the inputs that its filters still reach."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from recurra import _errors
from recurra.layers import _pointwise
from recurra.layers._correlation import packed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from recurra._typing import Array
    from recurra.layers.conv import Conv1D


class ConvStepper:
    """A causal `Conv1D` with its last inputs; see `recurra.streaming.Stepper`.

    Parameters
    ----------
    layer : Conv1D
        Built, causal, with strides of 1. Its weights are copied now.
    batch_size : int
        Rows of every step.
    """

    states = 1  # the inputs that are still in reach, (batch, span - 1, features), latest last

    def __init__(self, layer: Conv1D, batch_size: int) -> None:
        if layer.padding != "causal" or layer.strides != 1:
            hint = 'padding="causal" and strides=1 make each output depend on the steps so far'
            raise _errors.bad_value("layer", "one that can run step by step", f"{layer.name!r}", hint)
        assert layer.input_shape is not None
        self.activation, self.dtype, self.groups = layer.activation, layer.dtype, layer.groups
        self.dilation, self.filters = layer.dilation_rate, layer.filters
        self.products = packed(layer._views[0], self.groups)
        features = layer.input_shape[-1] or 0
        self.window = np.zeros((batch_size, layer.span, features), layer.dtype)

    def step(self, x: Array, out: Array | None = None) -> Array:
        """Return the outputs of the next step."""
        batch, _, features = self.window.shape
        _errors.check_array("x", x, self.dtype, ("batch", "features"), (batch, features))
        if out is not None:
            _errors.check_array("out", out, self.dtype, ("batch", "outputs"), (batch, self.filters))
            _errors.check_writeable("out", out)
        self.window[:, :-1] = self.window[:, 1:]  # NumPy copies first where both overlap
        self.window[:, -1] = x
        taps = self.window[:, :: self.dilation].reshape(batch, -1, self.groups, features // self.groups)
        parts = [product(taps[:, :, group].reshape(batch, -1)) for group, product in enumerate(self.products)]
        y = _pointwise.forward(self.activation, parts[0] if self.groups == 1 else np.concatenate(parts, axis=-1))
        if out is None:
            return y
        out[...] = y
        return out

    def reset(self) -> None:
        """Forget all inputs."""
        self.window.fill(0.0)

    def get(self) -> list[Array]:
        """Return a copy of the inputs in reach."""
        return [self.window[:, 1:].copy()]

    def set(self, states: Sequence[Array | None]) -> None:
        """Replace the inputs in reach; None for zero."""
        (state,) = states
        kept = self.window[:, 1:]
        if state is not None:
            _errors.check_array("states", state, self.dtype, ("batch", "time", "features"), kept.shape)
        kept[...] = 0.0 if state is None else state
