"""A stream whose states the caller keeps: one call sets them, steps, and returns them."""

import numpy as np
import pytest

from recurra import _core


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
def test_advancing_gives_the_bits_of_a_pass_over_one_step(cell, dtype):
    engine = _core.Recurrent(cell, 3, 5, dtype=np.dtype(dtype).name)
    random = np.random.default_rng(0)
    weights, x = random.normal(size=engine.size).astype(dtype), random.normal(size=(4, 1, 3)).astype(dtype)
    h, c = random.normal(size=(2, 1, 4, 5)).astype(dtype)
    stream = _core.Stream(engine, weights, 4)
    for start in ((h, c), (None, None), (h, None)):
        y, *states = stream.advance(x[:, 0], *start)
        expected, *finals = engine.forward(weights, x, start[0], start[1] if cell == "lstm" else None)
        np.testing.assert_array_equal(y, expected[:, 0])
        for one, other in zip(states, finals, strict=True):
            assert (one is None) == (other is None)
            if one is not None:
                np.testing.assert_array_equal(one, other)


def test_what_does_not_fit_is_refused_and_leaves_the_stream_usable():
    engine = _core.Recurrent("lstm", 3, 5, dtype="float32")
    stream = _core.Stream(engine, np.ones(engine.size, np.float32), 2)
    x, h = np.ones((2, 3), np.float32), np.ones((1, 2, 5), np.float32)
    expected, _, _ = stream.advance(x, h, h)
    with pytest.raises(ValueError, match=r"h: expected shape \(1, 2, 5\), got \(1, 1, 5\)"):
        stream.advance(x, h[:, :1], h)
    with pytest.raises(ValueError, match=r"x: expected shape \(2, 3\), got \(1, 3\)"):
        stream.advance(x[:1], h, h)
    np.testing.assert_array_equal(stream.advance(x, h, h)[0], expected)
