"""The two sides of a comparison: this library through its public layers, and the NumPy reference."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from recurra.bench.cases import Case, Data

if TYPE_CHECKING:
    from recurra._typing import Array
    from recurra.layers.recurrent import Recurrent


class Prepared(NamedTuple):
    """A case made ready: ``run`` is what is timed, ``outputs`` gives the arrays to compare, batch-first.

    In a forward case these are (y,), in training (y, dx, gradient of the flat weights).
    """

    run: Callable[[], Any]
    outputs: Callable[[], tuple[Array, ...]]


Builder = Callable[[Case], Prepared]


def numpy_side(case: Case) -> Prepared:
    """Prepare the reference."""
    plan, data = case.reference(), case.data()
    gradients = np.zeros_like(data.weights)

    def forward() -> tuple[Array, ...]:
        return (plan.forward(data.weights, data.x, lengths=data.lengths)[0],)

    def training() -> tuple[Array, ...]:
        gradients.fill(0)
        y, _, _, tape = plan.vjp(data.weights, data.x, lengths=data.lengths)
        dx, _, _ = tape.backward(data.dy, None, None, gradients)
        assert dx is not None
        return y, dx, gradients

    run = training if case.training else forward
    return Prepared(run, run)


def recurra_side(case: Case) -> Prepared:
    """Prepare a layer of this library with the same weights."""
    from recurra import layers

    data = case.data()
    layer = {"rnn": layers.RNN, "lstm": layers.LSTM, "gru": layers.GRU}[case.cell](
        case.units,
        return_sequences=True,
        num_layers=case.layers,
        bidirectional=case.bidirectional,
        dtype=case.dtype,
        **dict(case.options),
    )
    layer.build(data.x.shape)
    layer.set_weights(
        [data.weights[at : at + np.prod(shape)].reshape(shape) for _, shape, at in case.reference().layout]
    )
    if case.stream:
        return _stream_side(layer, data)

    def forward() -> tuple[Array, ...]:
        return (layer(data.x, lengths=data.lengths),)

    def training() -> tuple[Array, Array]:
        layer.zero_gradients()
        y, pullback = layer.vjp(data.x, lengths=data.lengths)
        return y, pullback(data.dy)

    def outputs() -> tuple[Array, ...]:
        y, dx = training()
        return y, dx, layer.flat_gradients

    return Prepared(training, outputs) if case.training else Prepared(forward, forward)


STREAM_STEPS = 5  # that are compared


def _stream_side(layer: Recurrent, data: Data) -> Prepared:
    stream, x = layer.stream(len(data.x)), data.x[:, 0]
    step, out = stream.step, np.empty((len(x), layer.output_size), x.dtype)

    def outputs() -> tuple[Array, ...]:
        stream.reset()
        for _ in range(STREAM_STEPS):
            step(x, out)
        return (out.copy(),)

    return Prepared(lambda: step(x, out), outputs)


SIDES: dict[str, Builder] = {"recurra": recurra_side, "numpy": numpy_side}
