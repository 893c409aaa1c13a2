"""In a batch the last few units of a layer share vectors, in a single row they do not: the bits agree all the same."""

import numpy as np
import pytest

import recurra

# Units and batch. Tails of a quarter and of half a vector of 4, 8 and 16 lanes, alone and behind whole vectors; groups
# of rows that are not full; rows, or units, shared out over two threads.
SIZES = [
    (1, 6),
    (2, 5),
    (3, 7),
    (4, 4),
    (8, 9),
    (17, 11),
    (18, 8),
    (20, 32),
    (24, 6),
    (33, 13),
    (66, 4),
    (132, 5),
    (520, 5),
]
CELLS = {"lstm": recurra.LSTM, "gru": recurra.GRU}
STEPS, FEATURES = 5, 3


def trained(layer, x, dy, lengths):
    """Output, gradient of the input and gradients of the weights."""
    layer.zero_gradients()
    y, pullback = layer.vjp(x, lengths=lengths)
    return y, pullback(dy), {name: gradient.copy() for name, gradient in layer.gradients.items()}


@pytest.mark.parametrize("ragged", [False, True])
@pytest.mark.parametrize(("units", "batch"), SIZES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("cell", CELLS)
def test_a_row_has_the_same_bits_in_a_batch_and_alone(cell, dtype, units, batch, ragged):
    rng = np.random.default_rng(units)
    layer = CELLS[cell](units, return_sequences=True, seed=1, dtype=dtype)
    x = rng.standard_normal((batch, STEPS, FEATURES)).astype(dtype)
    dy = rng.standard_normal((batch, STEPS, units)).astype(dtype)
    lengths = rng.integers(0, STEPS + 1, batch) if ragged else None
    inference = layer(x, lengths=lengths)
    y, dx, gradients = trained(layer, x, dy, lengths)
    np.testing.assert_array_equal(inference, y)
    trace = layer.trace(x, lengths=lengths)
    total = {name: np.zeros_like(gradient) for name, gradient in gradients.items()}
    for row in range(batch):
        one = slice(row, row + 1)
        own = None if lengths is None else lengths[one]
        y_row, dx_row, own_gradients = trained(layer, x[one], dy[one], own)
        np.testing.assert_array_equal(y[one], y_row)
        np.testing.assert_array_equal(dx[one], dx_row)
        alone = layer.trace(x[one], lengths=own)
        for gate, values in alone.gates.items():
            np.testing.assert_array_equal(trace.gates[gate][one], values)
        for name, gradient in own_gradients.items():
            total[name] += gradient
    for name, gradient in gradients.items():
        bound = 1e-5 if dtype == "float32" else 1e-13
        np.testing.assert_allclose(gradient, total[name], atol=bound * max(1.0, np.abs(gradient).max()), rtol=0)


@pytest.mark.parametrize("cell", CELLS)
def test_an_infinite_input_meets_no_weight_that_is_not_there(cell):
    layer = CELLS[cell](17, return_sequences=True, seed=1)
    x = np.random.default_rng(0).standard_normal((6, STEPS, FEATURES)).astype("float32")
    x[2, 1, 0] = -np.inf
    layer.build((6, STEPS, FEATURES))
    together = layer(x)
    for row in range(6):
        np.testing.assert_array_equal(together[row], layer(x[row : row + 1])[0])
    assert np.isfinite(together).all()
