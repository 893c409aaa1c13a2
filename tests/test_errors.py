"""What a user reads after a mistake: `argument: expected X, got Y; hint`, and nothing has changed."""

import re

import numpy as np
import pytest

import recurra

X = np.ones((2, 5, 3), np.float32)


def lstm():
    layer = recurra.LSTM(4)
    layer.build((None, None, 3))
    return layer


def compiled():
    model = recurra.Sequential([recurra.LSTM(4), recurra.Dense(1)])
    model.compile("adam", "mse")
    return model


GAP = np.array([[1, 0, 1, 0, 0], [1, 1, 1, 1, 1]], bool)
STATE = np.ones((3, 4), np.float32)

CALLS = [
    (lambda: lstm()(X.astype(np.float64)), TypeError, "x: expected float32, got float64; cast it"),
    (lambda: lstm()(X.astype(int)), TypeError, "x: expected float32, got int64; cast it"),
    (lambda: lstm()([1, 2]), TypeError, "x: expected a NumPy array, got list; wrap it"),
    (lambda: lstm()(X[0]), ValueError, "x: expected shape (batch, time, 3), got (5, 3); 3 axes are needed"),
    (
        lambda: lstm()(np.ones((2, 5, 7), np.float32)),
        ValueError,
        "x: expected shape (batch, time, 3), got (2, 5, 7); axis 2 is the number of features",
    ),
    (lambda: lstm()(X, lengths=[6, 1]), ValueError, "lengths: expected values from 0 to 5, got 6 in sample 0; x has"),
    (lambda: lstm()(X, lengths=[-1, 1]), ValueError, "lengths: expected values from 0 to 5, got -1 in sample 0; x has"),
    (lambda: lstm()(X, lengths=[1.5, 1]), TypeError, "lengths: expected integers, got float64"),
    (lambda: lstm()(X, lengths=[1, 1, 1]), ValueError, "lengths: expected shape (2,), got (3,); axis 0"),
    (
        lambda: lstm()(X, mask=GAP),
        ValueError,
        "mask: expected True values before all False ones, got a gap in sample 0",
    ),
    (lambda: lstm()(X, mask=GAP[:, :4]), ValueError, "mask: expected shape (2, 5), got (2, 4); axis 1"),
    (lambda: lstm()(X, initial_state=[STATE]), ValueError, "initial_state: expected 2 arrays, got 1; h, c of each"),
    (lambda: lstm()(X, initial_state=[STATE] * 2), ValueError, "initial_state[0]: expected shape (2, 4), got (3, 4)"),
    (lambda: recurra.LSTM(4).parameters, ValueError, "input_shape: expected layer 'lstm' to know its input, got"),
    (lambda: recurra.LSTM(4, activation="swish"), ValueError, "activation: expected one of 'tanh', 'sigmoid'"),
    (lambda: recurra.LSTM(0), ValueError, "units: expected an integer from 1"),
    (lambda: recurra.LSTM(4.5), TypeError, "units: expected an integer, got 4.5"),
    (lambda: recurra.LSTM(4, dropout=2), ValueError, "dropout: expected a rate from 0 to below 1, got 2"),
    (lambda: recurra.LSTM(4, proj_size=9), ValueError, "proj_size: expected an integer from 0 to 4, got 9"),
    (lambda: recurra.Bidirectional(recurra.LSTM(4), merge_mode="max"), ValueError, "merge_mode: expected one of"),
    (lambda: recurra.Sequential([recurra.LSTM(4)]).fit(X, X), ValueError, "model: expected a compiled model, got one"),
    (lambda: compiled().compile("adamm", "mse"), ValueError, "optimizer: expected one of 'sgd', 'rmsprop', 'adagrad',"),
    (lambda: compiled().compile("adam", "msee"), ValueError, "loss: expected one of 'mean_squared_error'"),
    (lambda: compiled().fit(X, np.ones((3, 1)), verbose=0), ValueError, "y: expected shape (2, 1), got (3, 1); axis 0"),
    (lambda: compiled().fit(X, np.ones((2, 2)), verbose=0), ValueError, "y: expected shape (2, 1), got (2, 2); axis 1"),
    (
        lambda: compiled().fit(X, np.array(["a", "b"]), verbose=0),
        TypeError,
        "y: expected numbers, got text; number the classes",
    ),
    (
        lambda: lstm().vjp(X)[1](np.ones((2, 5), np.float32)),
        ValueError,
        "dy: expected shape (2, 4), got (2, 5); axis 1",
    ),
    (lambda: recurra.set_num_threads(0), ValueError, "count: expected an integer from 1 to 1024, got 0"),
]


@pytest.mark.parametrize(("call", "kind", "message"), CALLS, ids=[message for _, _, message in CALLS])
def test_a_mistake_is_explained(call, kind, message):
    with pytest.raises(kind, match="^" + re.escape(message)):
        call()


def test_a_refused_call_changes_nothing():
    layer = lstm()
    before = layer.flat_parameters.copy()
    _, pullback = layer.vjp(X)
    with pytest.raises(ValueError, match=r"^dy: expected"):
        pullback(np.ones((2, 5), np.float32))
    np.testing.assert_array_equal(layer.flat_parameters, before)
    np.testing.assert_array_equal(layer.flat_gradients, 0)
    pullback(np.ones((2, 4), np.float32))  # not used up
