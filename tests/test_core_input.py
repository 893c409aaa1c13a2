"""Bad arguments to the compiled module: an exception with the argument's name, nothing changed, never a crash."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recurra import _core

N, T, I, H = 3, 4, 5, 6  # noqa: E741
PLAN = _core.Recurrent("lstm", I, H, dtype="float32")


def arguments(**changes):
    good = {
        "weights": np.ones(PLAN.size, np.float32),
        "x": np.ones((N, T, I), np.float32),
        "h0": np.ones((1, N, H), np.float32),
        "c0": np.ones((1, N, H), np.float32),
        "lengths": np.array([4, 0, 2]),
    }
    return good | changes


@pytest.mark.parametrize(
    ("name", "value", "kind"),
    [
        ("x", np.ones((N, T, I)), TypeError),
        ("x", np.ones((N, T, I), np.int32), TypeError),
        ("x", [[[1.0] * I] * T] * N, TypeError),
        ("x", np.ones((N, T, I + 1), np.float32), ValueError),
        ("x", np.ones((N, I), np.float32), ValueError),
        ("x", None, TypeError),
        ("weights", np.ones(PLAN.size - 1, np.float32), ValueError),
        ("weights", np.ones(PLAN.size), TypeError),
        ("weights", np.ones((1, PLAN.size), np.float32), ValueError),
        ("h0", np.ones((1, N, H + 1), np.float32), ValueError),
        ("h0", np.ones((N, H), np.float32), ValueError),
        ("c0", np.ones((2, N, H), np.float32), ValueError),
        ("c0", np.ones((1, N, H)), TypeError),
        ("lengths", np.array([4.0, 0.0, 2.0]), TypeError),
        ("lengths", np.array([4, 0]), ValueError),
        ("lengths", np.array([5, 0, 2]), ValueError),
        ("lengths", np.array([4, -1, 2]), ValueError),
    ],
)
@pytest.mark.parametrize("call", ["forward", "vjp"])
def test_a_bad_argument_is_named(call, name, value, kind):
    with pytest.raises(kind, match=rf"^{name}: expected .*, got "):
        getattr(PLAN, call)(**arguments(**{name: value}))


@pytest.mark.parametrize(
    ("gradients", "kind"),
    [
        (np.zeros(PLAN.size), TypeError),
        (np.zeros(PLAN.size + 1, np.float32), ValueError),
        (np.zeros(2 * PLAN.size, np.float32)[::2], ValueError),
        (np.broadcast_to(np.float32(0), (PLAN.size,)), ValueError),
    ],
)
def test_gradients_must_be_writeable_in_place(gradients, kind):
    tape = PLAN.vjp(**arguments())[3]
    before = gradients.copy()
    with pytest.raises(kind, match=r"^gradients: expected "):
        tape.backward(np.ones((N, T, H), np.float32), None, None, gradients)
    np.testing.assert_array_equal(gradients, before)
    tape.backward(None, None, None, np.zeros(PLAN.size, np.float32))  # the refused call has not used it up


def test_read_only_gradients_are_refused():
    gradients = np.zeros(PLAN.size, np.float32)
    gradients.flags.writeable = False
    with pytest.raises(ValueError, match=r"^gradients: expected a writeable array, got a read-only one"):
        PLAN.vjp(**arguments())[3].backward(None, None, None, gradients)


@pytest.mark.parametrize(
    ("options", "kind"),
    [
        ({"cell": "lstn"}, ValueError),
        ({"input_size": 0}, ValueError),
        ({"hidden_size": -3}, ValueError),
        ({"num_layers": 0}, ValueError),
        ({"dtype": "float16"}, ValueError),
        ({"merge_mode": "max"}, ValueError),
        ({"dropout": 1.5}, ValueError),
        ({"zoneout": (0.1, -0.1)}, ValueError),
        ({"clip": -1.0}, ValueError),
        ({"proj_size": 7}, ValueError),
        ({"activation": ("swish", 0.0, 0.0)}, ValueError),
        ({"bidirectional": True, "go_backwards": True}, ValueError),
        ({"cell": "gru", "use_peepholes": True}, ValueError),
        ({"colour": "red"}, TypeError),
    ],
)
def test_a_bad_option_is_refused(options, kind):
    with pytest.raises(kind):
        _core.Recurrent(**{"cell": "lstm", "input_size": I, "hidden_size": 6, "dtype": "float32"} | options)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_any_arrays_give_a_result_or_an_exception(data):
    def array():
        shape = tuple(data.draw(st.lists(st.integers(0, 7), min_size=1, max_size=4)))
        kind = data.draw(st.sampled_from(["float32", "float64", "int64", "bool", "S3"]))
        return np.zeros(shape, kind)

    changed = {name: array() for name in data.draw(st.sets(st.sampled_from(["x", "h0", "c0", "lengths", "weights"])))}
    try:
        y, _, _, tape = PLAN.vjp(**arguments(**changed))
        tape.backward(array(), array(), array(), array())
    except (ValueError, TypeError):
        return
    assert np.isfinite(y).all()


def test_an_unaligned_array_is_read_right():
    raw = np.zeros(N * T * I * 4 + 1, np.uint8)
    x = raw[1:].view(np.float32).reshape(N, T, I)
    x[...] = np.arange(N * T * I).reshape(N, T, I) / 50
    np.testing.assert_array_equal(PLAN.forward(**arguments(x=x))[0], PLAN.forward(**arguments(x=x.copy()))[0])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_an_activation_keeps_the_order_of_axes_in_memory(dtype):
    """Bit for bit what it gives for contiguous numbers; arrays with gaps, turned ones and repeated ones too."""
    x = np.random.default_rng(0).standard_normal((3, 4, 5)).astype(dtype)
    turned = [x.transpose(2, 0, 1), x.transpose(1, 2, 0)[None], x[::-1], x[:, ::2], x[:, 1:3].transpose(1, 0, 2)]
    turned += [np.broadcast_to(x[0], (2, 4, 5)).transpose(1, 0, 2), x[:0].transpose(1, 0, 2), x[:1].transpose(2, 1, 0)]
    for one in turned:
        y = _core.activation("tanh", 0.0, 0.0, one)
        np.testing.assert_array_equal(y, _core.activation("tanh", 0.0, 0.0, np.ascontiguousarray(one)))
    y = _core.activation("relu", 0.0, 0.0, turned[0])
    assert y.strides == turned[0].strides
