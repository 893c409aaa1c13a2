"""The dense layer with weights packed once."""

import threading

import numpy as np
import pytest

from recurra import _core

SIZES = [(1, 1, 1), (1, 128, 128), (3, 5, 7), (64, 17, 33), (200, 64, 40), (0, 3, 4), (9, 100, 1), (300, 61, 2)]


def arrays(rows, inputs, outputs, dtype):
    random = np.random.default_rng(0)
    return [random.normal(size=shape).astype(dtype) for shape in ((outputs, inputs), (outputs,), (rows, inputs))]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("sizes", SIZES)
def test_packed_weights_give_the_bits_of_the_layer_that_packs_for_each_call(sizes, dtype):
    weight, bias, x = arrays(*sizes, dtype)
    for given in (bias, None):
        layer = _core.Linear(weight, given)
        np.testing.assert_array_equal(layer(x), _core.linear(weight, given, x))
        np.testing.assert_allclose(layer(x), x @ weight.T + (0 if given is None else given), atol=1e-4)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("outputs", [1, 2, 3, 40])
@pytest.mark.parametrize("inputs", [1, 7, 8, 16, 61, 256])
def test_a_row_has_the_same_bits_among_any_others(inputs, outputs, dtype):
    weight, bias, x = arrays(13, inputs, outputs, dtype)
    layer = _core.Linear(weight, bias)
    together = layer(x)
    for rows in (1, 2, 5):
        np.testing.assert_array_equal(layer(x[:rows]), together[:rows])
    exact = x.astype(np.float64) @ weight.T.astype(np.float64) + bias
    np.testing.assert_allclose(together, exact, atol=3e-5 if dtype == np.float32 else 1e-13)


def test_numbers_behind_a_row_are_not_read():
    weight, bias, x = arrays(5, 13, 1, np.float32)
    wide = np.full((5, 40), np.nan, np.float32)
    wide[:, :13] = x
    np.testing.assert_array_equal(_core.linear(weight, bias, wide[:, :13]), _core.linear(weight, bias, x))


def test_weights_are_read_once_and_rows_may_overlap():
    weight, bias, x = arrays(9, 4, 3, np.float32)
    layer = _core.Linear(weight, bias)
    expected = layer(x)
    weight[...] = bias[...] = 0
    np.testing.assert_array_equal(layer(x), expected)
    rows = np.lib.stride_tricks.sliding_window_view(x.reshape(-1), 4)
    np.testing.assert_array_equal(layer(rows), layer(np.ascontiguousarray(rows)))


def test_several_threads_share_a_layer():
    weight, bias, x = arrays(50, 64, 64, np.float32)
    layer = _core.Linear(weight, bias)
    expected, wrong = layer(x), []

    def work():
        for _ in range(50):
            if not np.array_equal(layer(x), expected):
                wrong.append(1)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_wrong_arrays_are_refused():
    weight, bias, x = arrays(2, 4, 3, np.float32)
    with pytest.raises(ValueError, match=r"bias: expected shape \(3,\), got \(2,\)"):
        _core.Linear(weight, bias[:2])
    with pytest.raises(ValueError, match=r"x: expected shape \(any, 4\), got \(2, 3\)"):
        _core.Linear(weight, bias)(x[:, :3])
    with pytest.raises(TypeError, match="x: expected float32, got float64"):
        _core.Linear(weight, bias)(x.astype(np.float64))
