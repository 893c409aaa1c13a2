"""The convolution with weights packed once."""

import numpy as np
import pytest

from recurra import _core

# batch, channels, size, outputs, taps, stride, zeros before and behind
CASES = [
    (1, 1, 40, 6, 16, 8, 0, 0),
    (1, 3, 9, 17, 3, 1, 1, 1),
    (1, 3, 1, 4, 3, 2, 1, 1),
    (1, 5, 6, 64, 1, 1, 0, 0),
    (3, 3, 9, 17, 4, 3, 2, 5),
    (4, 1, 5, 2, 5, 7, 0, 0),
    (2, 2, 0, 3, 2, 1, 1, 1),
    (0, 2, 5, 3, 2, 1, 0, 0),
    (40, 8, 200, 32, 5, 2, 2, 2),
]


def arrays(case, dtype):
    batch, channels, size, outputs, taps, *_ = case
    random = np.random.default_rng(0)
    shapes = ((outputs, taps, channels), (outputs,), (batch, channels, size))
    return [random.standard_normal(shape).astype(dtype) for shape in shapes]


def formula(weight, bias, x, stride, low, high):
    padded = np.pad(x.astype(np.float64), ((0, 0), (0, 0), (low, high)))
    taps = weight.shape[1]
    places = range(0, padded.shape[2] - taps + 1, stride)
    found = [np.einsum("ncp,opc->no", padded[:, :, k : k + taps], weight.astype(np.float64)) for k in places]
    return np.stack(found, 2) + bias[:, None]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("case", CASES)
def test_a_packed_convolution_computes_its_formula(case, dtype):
    weight, bias, x = arrays(case, dtype)
    *_, stride, low, high = case
    layer = _core.Convolution(weight, bias, stride)
    expected = formula(weight, bias, x, stride, low, high)
    tolerance = 1e-4 if dtype == np.float32 else 1e-12
    y = layer(x, low, high)
    assert y.dtype == dtype
    assert y.shape == expected.shape
    np.testing.assert_allclose(y, expected, atol=tolerance)
    time_first = np.ascontiguousarray(x.transpose(2, 0, 1)).transpose(1, 2, 0)
    backwards = np.ascontiguousarray(x[:, ::-1, ::-1])[:, ::-1, ::-1]
    for other in (time_first, backwards, np.repeat(x, 2, axis=2)[:, :, ::2]):
        np.testing.assert_array_equal(layer(other, low, high), y)
    relu = layer.activated("leaky_relu", 0.5, 0.0)
    np.testing.assert_allclose(relu(x, low, high), np.where(expected < 0, expected * 0.5, expected), atol=tolerance)
    np.testing.assert_array_equal(layer(x, low, high), y)


def test_weights_are_read_once_and_a_bias_may_be_left_out():
    weight, bias, x = arrays(CASES[1], np.float32)
    layer = _core.Convolution(weight, None, 1)
    expected = layer(x, 1, 1)
    np.testing.assert_allclose(expected, formula(weight, bias * 0, x, 1, 1, 1), atol=1e-5)
    weight[...] = 0
    np.testing.assert_array_equal(layer(x, 1, 1), expected)


def test_wrong_arrays_are_refused():
    weight, bias, x = arrays(CASES[1], np.float32)
    with pytest.raises(ValueError, match=r"bias: expected shape \(17,\), got \(2,\)"):
        _core.Convolution(weight, bias[:2], 1)
    with pytest.raises(ValueError, match="stride: expected an integer from 1, got 0"):
        _core.Convolution(weight, bias, 0)
    with pytest.raises(ValueError, match=r"weight: expected numbers, got shape \(0, 3, 3\)"):
        _core.Convolution(weight[:0], None, 1)
    layer = _core.Convolution(weight, bias, 1)
    with pytest.raises(ValueError, match=r"x: expected shape \(any, 3, any\), got \(1, 2, 9\)"):
        layer(x[:, :2], 1, 1)
    with pytest.raises(TypeError, match="x: expected float32, got float64"):
        layer(x.astype(np.float64), 1, 1)
    with pytest.raises(ValueError, match="padding: expected integers from 0, got -1 and 1"):
        layer(x, -1, 1)
    with pytest.raises(ValueError, match=r"X: expected at least the 3 steps under a window, got 2 with padding"):
        layer(x[:, :, :2], 0, 0)
    with pytest.raises(ValueError, match=r"name: expected one of tanh, .*, got none"):
        layer.activated("none", 0.0, 0.0)
