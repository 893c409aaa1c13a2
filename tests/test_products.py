"""Products of two matrices for each sample, against NumPy's in float64."""

import numpy as np
import pytest

from recurra import _core

RNG = np.random.default_rng(31)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (3, 5, 7, 9), (2, 64, 16, 32), (4, 65, 40, 33), (1, 200, 3, 17)])
def test_products_are_numpys(shape, dtype):
    """Tolerance: depth rounding errors of each sum's terms."""
    batch, rows, depth, columns = shape
    a, b = RNG.standard_normal((batch, rows, depth)), RNG.standard_normal((batch, depth, columns))
    a, b = a.astype(dtype), b.astype(dtype)
    exact = a.astype("float64") @ b.astype("float64")
    most = depth * np.finfo(dtype).eps * (np.abs(a) @ np.abs(b)).max()
    got = _core.products(a, b)
    np.testing.assert_allclose(got, exact, rtol=0, atol=most)
    turned = np.ascontiguousarray(b.swapaxes(1, 2))
    np.testing.assert_array_equal(_core.products(a, turned, transposed=True), got)
    np.testing.assert_array_equal(_core.products(a, b.swapaxes(1, 2).copy().swapaxes(1, 2)), got)


def test_products_do_not_depend_on_threads_or_on_other_rows():
    a, b = RNG.standard_normal((3, 300, 40)), RNG.standard_normal((3, 40, 150))
    before, found = _core.get_num_threads(), []
    try:
        for threads in (1, 2, 3, 7):
            _core.set_num_threads(threads)
            found.append(_core.products(a, b))
    finally:
        _core.set_num_threads(before)
    for one in found[1:]:
        np.testing.assert_array_equal(one, found[0])
    np.testing.assert_array_equal(_core.products(a[1:2, 7:9], b[1:2]), found[0][1:2, 7:9])


def test_products_of_nothing_are_empty_or_zero():
    assert _core.products(np.zeros((0, 2, 3)), np.zeros((0, 3, 4))).shape == (0, 2, 4)
    assert _core.products(np.zeros((2, 0, 3)), np.zeros((2, 3, 4))).shape == (2, 0, 4)
    assert not _core.products(np.zeros((2, 2, 0)), np.zeros((2, 0, 4))).any()


@pytest.mark.parametrize(
    ("a", "b", "transposed"),
    [((2, 3, 4), (2, 5, 6), False), ((2, 3, 4), (1, 4, 6), False), ((2, 3, 4), (2, 4, 6), True)],
)
def test_matrices_that_do_not_fit_are_refused(a, b, transposed):
    with pytest.raises(ValueError, match="b: expected shape"):
        _core.products(np.zeros(a), np.zeros(b), transposed)
    with pytest.raises(TypeError, match="b: expected float64, got float32"):
        _core.products(np.zeros(a), np.zeros(b, np.float32), transposed)
