"""Convolution, attention and cells beside Keras and PyTorch, outputs and gradients of inputs and weights."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import recurra

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::DeprecationWarning")]
TOLERANCE = 2e-5  # float32, of values around 1

RNG = np.random.default_rng(20267)


def floats(*shape):
    return RNG.standard_normal(shape).astype(np.float32)


def with_gradients(layer, inputs, weights, **options):
    """Return the outputs of a Keras layer, and the gradients of inputs and weights for slopes cos(0), cos(1), ..."""
    import torch

    tensors = [torch.tensor(x, requires_grad=True) for x in inputs]
    y = layer(tensors if len(tensors) > 1 else tensors[0], **options)
    parameters = [weight.value for weight in weights]
    for parameter in parameters:
        parameter.grad = None
    y.backward(torch.tensor(slopes(tuple(y.shape))))
    grads = [tensor.grad.numpy() for tensor in [*tensors, *parameters]]
    return y.detach().numpy(), grads[: len(tensors)], grads[len(tensors) :]


def slopes(shape):
    return np.cos(np.arange(np.prod(shape))).reshape(shape).astype(np.float32)


def agree(ours, theirs):
    scale = max(1.0, float(np.abs(theirs).max()))
    np.testing.assert_allclose(ours, theirs, atol=TOLERANCE * scale)


@pytest.mark.parametrize(
    ("strides", "padding", "dilation", "groups"),
    [
        case
        for case in itertools.product((1, 2, 3), ("valid", "same", "causal"), (1, 2), (1, 2))
        if (case[0] == 1 or case[2] == 1) and not (case[1] == "causal" and case[3] > 1)
    ],
)
def test_conv1d_is_that_of_keras(keras, strides, padding, dilation, groups):
    options = {"strides": strides, "padding": padding, "dilation_rate": dilation, "groups": groups}
    ours, theirs = recurra.Conv1D(8, 4, **options), keras.layers.Conv1D(8, 4, **options)
    x = floats(3, 17, 6)
    theirs.build(x.shape)
    bias = floats(8)
    ours.ensure_built(x.shape)
    ours.parameters["bias"][...] = bias
    theirs.set_weights([ours.parameters["weight"].transpose(2, 1, 0), bias])
    y, (dx,), (dkernel, dbias) = with_gradients(theirs, [x], theirs.weights)
    agree(ours(x), y)
    agree(ours.vjp(x)[1](slopes(y.shape)), dx)
    agree(ours.gradients["weight"], dkernel.transpose(2, 1, 0))
    agree(ours.gradients["bias"], dbias)


@pytest.mark.parametrize("groups", [1, 3])
def test_conv1d_takes_the_weights_of_pytorch_as_they_are(groups):
    torch = pytest.importorskip("torch")
    theirs = torch.nn.Conv1d(6, 9, 5, stride=2, groups=groups)
    ours = recurra.Conv1D(9, 5, 2, groups=groups)
    ours.build((None, None, 6))
    ours.load_state_dict({name: value.numpy() for name, value in theirs.state_dict().items()})
    x = floats(3, 20, 6)
    agree(ours(x), theirs(torch.tensor(x.transpose(0, 2, 1))).detach().numpy().transpose(0, 2, 1))


ATTENTION = [
    ("Attention", {}),
    ("Attention", {"use_scale": True}),
    ("Attention", {"score_mode": "concat"}),
    ("Attention", {"use_scale": True, "score_mode": "concat"}),
    ("AdditiveAttention", {}),
    ("AdditiveAttention", {"use_scale": False}),
]


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("with_key", [False, True])
@pytest.mark.parametrize(("name", "options"), ATTENTION)
def test_attention_is_that_of_keras(keras, name, options, with_key, causal):
    ours, theirs = getattr(recurra, name)(**options), getattr(keras.layers, name)(**options)
    inputs = [floats(3, 4, 5), floats(3, 6, 5), floats(3, 6, 5)][: 3 if with_key else 2]
    shapes = [x.shape for x in inputs]
    theirs.build(shapes)
    ours.ensure_built(shapes)
    values = [RNG.uniform(0.5, 1.5, view.shape).astype(np.float32) for view in ours.parameters.values()]
    ours.set_weights(values)
    theirs.set_weights(values)  # scale comes first in both
    masks = [np.arange(4) < np.array([[4], [2], [1]]), np.arange(6) < np.array([[6], [3], [1]])]
    call = {"mask": masks, "use_causal_mask": causal}
    y, dinputs, dweights = with_gradients(theirs, inputs, theirs.weights, **call)
    found, pullback = ours.vjp(inputs, **call)
    agree(found, y)
    for one, other in zip(pullback(slopes(y.shape)), dinputs, strict=True):
        agree(one, other)
    for one, other in zip(ours.gradients.values(), dweights, strict=True):
        agree(one, other)
    _, scores = theirs(inputs, return_attention_scores=True, **call)
    counted = masks[0]  # of the other queries we see zeros, Keras what they hold
    agree(ours(inputs, return_attention_scores=True, **call)[1][counted], scores.detach().numpy()[counted])


GATES = {"LSTMCell": [0, 1, 2, 3], "GRUCell": [1, 0, 2], "SimpleRNNCell": [0]}  # Keras's GRU has z before r


def to_keras(name, parameters, layer=""):
    """Return a cell's weights as Keras's [kernel, recurrent kernel, bias]."""
    w, u, b, c = (parameters[f"{layer}{key}_l0"] for key in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"))

    def order(a):
        gates = np.split(a, len(GATES[name]))
        return np.concatenate([gates[gate] for gate in GATES[name]])

    bias = np.stack([order(b), order(c)]) if name == "GRUCell" else order(b + c)
    return [order(w).T, order(u).T, bias]


@pytest.mark.parametrize("go_backwards", [False, True])
@pytest.mark.parametrize("names", [*([name] for name in GATES), ["LSTMCell", "GRUCell", "SimpleRNNCell"]], ids=str)
def test_rnn_of_cells_is_that_of_keras(keras, names, go_backwards):
    units, options = [5, 4, 3], {"return_state": True, "return_sequences": True, "go_backwards": go_backwards}
    both = [
        package.RNN([getattr(package, name)(size) for name, size in zip(names, units, strict=False)], **options)
        for package in (recurra, keras.layers)
    ]
    ours, theirs = both
    x = floats(3, 7, 6)
    ours(x)
    theirs.build(x.shape)
    ours.set_weights([RNG.uniform(-0.5, 0.5, view.shape).astype(np.float32) for view in ours.parameters.values()])
    prefixes = [""] if len(names) == 1 else [f"{index}." for index in range(len(names))]
    theirs.set_weights(
        [w for name, prefix in zip(names, prefixes, strict=True) for w in to_keras(name, ours.parameters, prefix)]
    )
    expected = theirs(x)
    flat = [state for part in expected for state in (part if isinstance(part, list | tuple) else [part])]
    found = ours(x)
    assert len(found) == len(flat)
    for one, other in zip(found, flat, strict=True):
        agree(one, other.detach().numpy())


@pytest.mark.parametrize("name", GATES)
def test_a_call_of_a_cell_is_that_of_keras(keras, name):
    ours, theirs = getattr(recurra, name)(5), getattr(keras.layers, name)(5)
    x = floats(3, 6)
    states = [floats(3, 5) for _ in range(2 if name == "LSTMCell" else 1)]
    ours.build((None, 6))
    theirs.build((None, 6))
    ours.set_weights([RNG.uniform(-0.5, 0.5, view.shape).astype(np.float32) for view in ours.parameters.values()])
    theirs.set_weights(to_keras(name, ours.parameters))
    y, new = ours(x, states)
    expected, after = theirs(x, states)
    agree(y, expected.detach().numpy())
    for one, other in zip(new, after, strict=True):
        agree(one, other.detach().numpy())
