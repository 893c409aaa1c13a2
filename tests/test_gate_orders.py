"""Orders of gates of other libraries."""

import numpy as np
import pytest

from recurra.io import gates


@pytest.mark.parametrize(("order", "cell"), [(o, c) for o, cells in gates.ORDERS.items() for c in cells])
def test_there_and_back_is_the_same(order, cell):
    array = np.random.default_rng(0).normal(size=(3, 12))
    there = gates.from_native(array, cell, order, 1)
    np.testing.assert_array_equal(gates.to_native(there, cell, order, 1), array)


def test_each_gate_goes_to_its_place():
    named = np.array(list("iofg"))
    assert "".join(gates.to_native(named, "lstm", "onnx")) == "ifgo"
    assert "".join(gates.from_native(np.array(list("rzn")), "gru", "keras")) == "zrn"
    assert "".join(gates.to_native(np.array(list("iiffoogg")), "lstm", "dynet")) == "iiffggoo"


def test_mistakes_are_named():
    with pytest.raises(ValueError, match=r"order: expected one of torch, .* got 'tensor'"):
        gates.to_native(np.zeros(8), "lstm", "tensor")
    with pytest.raises(ValueError, match=r"array: expected a multiple of 4 gates along axis 0, got shape \(6,\)"):
        gates.to_native(np.zeros(6), "lstm", "keras")
