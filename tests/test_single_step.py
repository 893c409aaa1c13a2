"""A recurrent layer called for single steps whose states the caller keeps, in the shapes of an ONNX node."""

import threading

import numpy as np
import pytest

from recurra import _core


def arrays(engine, batch, dtype):
    random = np.random.default_rng(0)
    weights, x = random.normal(size=engine.size).astype(dtype), random.normal(size=(batch, 1, 3)).astype(dtype)
    h, c = random.normal(size=(2, 1, batch, 5)).astype(dtype)
    return weights, x, h, c


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("sequences", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
def test_a_single_step_gives_the_bits_of_a_pass_over_it(cell, dtype, sequences, batch_first):
    engine = _core.Recurrent(cell, 3, 5, dtype=np.dtype(dtype).name)
    weights, x, h, c = arrays(engine, 4, dtype)
    step = _core.SingleStep(engine, weights, 4, sequences, batch_first)

    def turned(array):
        return array if array is None or not batch_first else array.transpose(1, 0, 2)

    for start in ((h, c), (None, None), (h, None), (None, c), (h[:, ::-1], c[:, ::-1])):
        if cell != "lstm":
            start = (start[0], None)
        y, *states = step(x if batch_first else x.transpose(1, 0, 2), *map(turned, start))
        expected, *finals = engine.forward(weights, x, *start)
        assert (y is None) == (not sequences)
        if sequences:
            shape = (4, 1, 1, 5) if batch_first else (1, 1, 4, 5)
            np.testing.assert_array_equal(y, expected.reshape(shape))
        assert len(states) == (2 if cell == "lstm" else 1)
        for one, other in zip(states, finals, strict=False):
            np.testing.assert_array_equal(turned(one), other)


def test_what_does_not_fit_is_refused_and_leaves_the_step_usable():
    engine = _core.Recurrent("lstm", 3, 5, dtype="float32")
    weights, x, h, c = arrays(engine, 2, np.float32)
    step = _core.SingleStep(engine, weights, 2, True, True)
    h, c = h.transpose(1, 0, 2), c.transpose(1, 0, 2)
    expected, *_ = step(x, h, c)
    with pytest.raises(ValueError, match=r"initial_h: expected shape \(2, 1, 5\), got \(1, 1, 5\)"):
        step(x, h[:1], c)
    with pytest.raises(ValueError, match=r"X: expected shape \(2, 1, 3\), got \(1, 1, 3\)"):
        step(x[:1], h, c)
    with pytest.raises(TypeError, match="initial_c: expected float32, got float64"):
        step(x, h, c.astype(np.float64))
    np.testing.assert_array_equal(step(x, h, c)[0], expected)
    with pytest.raises(ValueError, match="stream: expected a layer that runs forward"):
        _core.SingleStep(_core.Recurrent("lstm", 3, 5, dtype="float32", go_backwards=True), weights, 2, True, True)


def test_several_threads_share_a_step():
    engine = _core.Recurrent("lstm", 3, 5, dtype="float32")
    weights, *given = arrays(engine, 2, np.float32)
    step = _core.SingleStep(engine, weights, 2, True, True)
    given[1:] = [one.transpose(1, 0, 2) for one in given[1:]]
    expected, wrong = step(*given), []

    def work():
        for _ in range(300):
            if not all(map(np.array_equal, step(*given), expected)):
                wrong.append(1)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
