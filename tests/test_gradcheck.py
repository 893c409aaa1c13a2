"""The user's own check of gradients."""

import numpy as np
import pytest

import recurra

X = np.random.default_rng(0).normal(size=(3, 4, 2))


@pytest.fixture(autouse=True)
def seed():
    """Differences of a normalised layer are no better than its curvature allows: the same weights every time."""
    recurra.set_random_seed(0)


@pytest.mark.parametrize(
    "layer",
    [
        recurra.RNN(4, return_sequences=True),
        recurra.LSTM(3, num_layers=2, bidirectional=True, use_peepholes=True),
        recurra.LSTM(5, proj_size=2, layer_norm=True, trainable_initial_state=True),
        recurra.GRU(4, reset_after=False, zoneout=0.2),
        recurra.Bidirectional(recurra.GRU(3)),
        recurra.Dense(3, activation="softplus"),
        recurra.Sequential([recurra.LSTM(4, return_sequences=True), recurra.GRU(3), recurra.Dense(2)]),
    ],
    ids=repr,
)
def test_layers_and_models_pass(layer):
    result = recurra.gradcheck(layer, X)
    assert result.passed, str(result)
    assert "passed" in str(result)


class Wrong(recurra.Dense):
    """A dense layer whose gradient lacks a factor."""

    def vjp(self, x):
        y, pullback = super().vjp(x)
        return y, lambda dy, **options: pullback(1.001 * dy, **options)


def test_a_wrong_gradient_is_reported_where_it_is():
    result = recurra.gradcheck(Wrong(3), X)
    assert not result.passed
    assert "kernel" in str(result) or "weight" in str(result)
