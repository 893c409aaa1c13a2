"""Elementary functions with the errors that csrc/simd/math.h states; losses beside their formulas."""

import numpy as np
import pytest

from recurra import _core

ULPS = {
    "exp": (1.5, 1.5),
    "expm1": (2.5, 2.5),
    "log": (1.5, 1.5),
    "log1p": (2.5, 2.5),
    "tanh": (7, 3),
    "sigmoid": (3, 3),
}
EXACT = {
    "exp": np.exp,
    "expm1": np.expm1,
    "log": np.log,
    "log1p": np.log1p,
    "tanh": np.tanh,
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
}
POSITIVE = {"log", "log1p"}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ULPS)
def test_errors_stay_below_the_stated_ones(name, dtype):
    rng = np.random.default_rng(0)
    reach = 80 if dtype == "float32" else 600
    x = np.concatenate(
        [rng.uniform(-reach, reach, 100_000), rng.normal(size=100_000), 10 ** rng.uniform(-30, 1, 50_000)]
    )
    x = (np.abs(x) if name in POSITIVE else x).astype(dtype)
    exact = EXACT[name](x.astype(np.longdouble))
    got = _core.math(name, x)
    error = np.abs(got.astype(np.longdouble) - exact) / np.spacing(np.abs(exact).astype(dtype)).astype(np.longdouble)
    assert error.max() <= ULPS[name][dtype == "float64"]
    if name == "tanh":
        assert np.abs(got).max() <= 1


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("name", "pairs"),
    [
        ("exp", [(-np.inf, 0), (np.inf, np.inf), (0, 1)]),
        ("tanh", [(-np.inf, -1), (np.inf, 1), (0, 0)]),
        ("sigmoid", [(-np.inf, 0), (np.inf, 1), (0, 0.5)]),
        ("log", [(0, -np.inf), (np.inf, np.inf), (1, 0), (-1, np.nan)]),
    ],
)
def test_ends_and_numbers_that_are_none(name, pairs, dtype):
    x = np.array([np.nan] + [pair[0] for pair in pairs], dtype)
    np.testing.assert_array_equal(_core.math(name, x), np.array([np.nan] + [pair[1] for pair in pairs], dtype))


def test_losses_and_their_gradients_are_their_formulas():
    rng = np.random.default_rng(2)
    y, target = rng.normal(size=(5, 3)), rng.normal(size=(5, 3))
    loss, dy = _core.mse(y, target)
    np.testing.assert_allclose(loss, ((y - target) ** 2).mean())
    np.testing.assert_allclose(dy, 2 * (y - target) / y.size)
    labels = np.array([0, 2, 1, 1, 0])
    probabilities = np.exp(y) / np.exp(y).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(_core.softmax(y), probabilities)
    loss, dy = _core.sparse_categorical_crossentropy(y, labels, from_logits=True)
    np.testing.assert_allclose(loss, -np.log(probabilities[np.arange(5), labels]).mean())
    np.testing.assert_allclose(dy, (probabilities - np.eye(3)[labels]) / 5, atol=1e-15)
    dense = _core.categorical_crossentropy(y, np.eye(3)[labels], from_logits=True)
    np.testing.assert_allclose(dense[0], loss)
    np.testing.assert_allclose(dense[1], dy, atol=1e-15)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("rows", "inputs", "outputs"), [(1, 1, 1), (5, 7, 3), (33, 20, 50), (300, 64, 130), (0, 4, 2)])
def test_a_dense_layer_is_a_product(rows, inputs, outputs, dtype):
    rng = np.random.default_rng(3)
    weight, x, dy = (rng.normal(size=s).astype(dtype) for s in [(outputs, inputs), (rows, inputs), (rows, outputs)])
    bias = rng.normal(size=outputs).astype(dtype)
    tolerance = {"rtol": 1e-4, "atol": 1e-4} if dtype == "float32" else {"rtol": 1e-11, "atol": 1e-11}
    np.testing.assert_allclose(_core.linear(weight, bias, x), x @ weight.T + bias, **tolerance)
    dweight, dbias = np.ones_like(weight), np.ones_like(bias)
    np.testing.assert_allclose(_core.linear_backward(weight, x, dy, dweight, dbias), dy @ weight, **tolerance)
    np.testing.assert_allclose(dweight, 1 + dy.T @ x, **tolerance)
    np.testing.assert_allclose(dbias, 1 + dy.sum(axis=0), **tolerance)


@pytest.mark.parametrize("bad", [0, 1, 2, 3])
def test_a_nan_stays_in_its_gate_and_huge_inputs_saturate(bad):
    units, steps = 20, 1  # in a second step the state brings it to all
    plan = _core.Recurrent("lstm", 1, units)
    weights = np.zeros(plan.size, np.float32)
    offset = next(at for name, _, at in plan.layout if name.startswith("bias_ih"))
    bias = weights[offset : offset + 4 * units].reshape(4, units)
    bias[:] = np.float32([[3e38], [-3e38], [np.inf], [-np.inf]])
    bias[bad, 0] = np.nan
    tape = plan.vjp(weights, np.zeros((2, steps, 1), np.float32))[3]
    h, c = (np.zeros((1, 2, steps, units), np.float32) for _ in range(2))
    gates = np.zeros((1, 2, steps, 4, units), np.float32)
    tape.trace(h, c, gates)
    expected = np.broadcast_to(np.float32([[1], [0], [1], [0]]), gates.shape).copy()
    expected[..., bad, 0] = np.nan
    np.testing.assert_array_equal(gates, expected)
