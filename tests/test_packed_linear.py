"""The dense layer with weights packed once."""

import threading

import numpy as np
import pytest

from recurra import _core

SIZES = [(1, 1, 1), (1, 128, 128), (3, 5, 7), (64, 17, 33), (200, 64, 40), (0, 3, 4)]


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
