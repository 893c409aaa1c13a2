"""Layers without a recurrence, regularizers, constraints and initializers beside Keras: outputs, gradients, masks."""

from __future__ import annotations

import numpy as np
import pytest

import recurra
from layer_examples import EXAMPLES, LENGTHS, TESTED_IN, N, T, label

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::DeprecationWarning")]
TOLERANCE = 2e-5  # float32, of values around 1

CASES = [
    example
    for example in EXAMPLES
    if example.name not in TESTED_IN and "GRU" not in type(getattr(example.make(), "layer", None)).__name__
]


def as_list(x):
    return list(x) if isinstance(x, list) else [x]


def transposed(weights):
    """Kernels are (outputs, inputs) here, (inputs, outputs) there."""
    return {name: value.T if name.endswith("weight") else value for name, value in weights.items()}


def counterpart(keras, example):
    """Both layers with the same random weights."""
    ours, x = example.make(), example.inputs("float32")
    options = {key: tuple(value) if isinstance(value, list) else value for key, value in example.options.items()}
    for name in [name for name in options if name.endswith(("regularizer", "constraint"))]:
        options.pop(name)
    if example.inner is not None:
        inner = ours.layer
        made = keras.layers.Dense(3, activation="tanh") if isinstance(inner, recurra.Dense) else None
        options = {"layer": made or keras.layers.BatchNormalization()}
    theirs = getattr(keras.layers, example.name)(**options)
    ours(x)
    theirs(x)
    rng = np.random.default_rng(9)
    for name, value in ours.parameters.items():
        values = rng.uniform(-0.8, 0.8, value.shape)
        value[...] = np.abs(values) + 0.1 if "variance" in name else values
    theirs.set_weights(list(transposed(ours.parameters).values()))
    return ours, theirs, x


def torch_pass(theirs, x, **options):
    """Outputs of a Keras layer, gradients of the inputs and of the weights that move, for random slopes."""
    import torch

    inputs = [torch.tensor(part, requires_grad=part.dtype.kind == "f") for part in as_list(x)]
    parameters = [weight.value for weight in theirs.trainable_weights]
    for parameter in parameters:
        parameter.grad = None
    y = theirs(inputs if isinstance(x, list) else inputs[0], **options)
    dy = np.random.default_rng(2).standard_normal(tuple(y.shape)).astype(np.float32)
    return y, dy, inputs, parameters


def agree(ours, theirs):
    scale = max(1.0, float(np.abs(theirs).max()))
    np.testing.assert_allclose(ours, theirs, atol=TOLERANCE * scale)


@pytest.mark.parametrize("example", CASES, ids=label)
def test_outputs_and_gradients_are_those_of_keras(keras, example):
    import torch

    ours, theirs, x = counterpart(keras, example)
    batch_statistics = "BatchNormalization" in f"{type(ours).__name__}{type(getattr(ours, 'layer', None)).__name__}"
    for training in (False, True) if batch_statistics and example.inner is None else (False,):
        y, dy, inputs, parameters = torch_pass(theirs, x, **({"training": training} if batch_statistics else {}))
        mine, pullback = ours._differentiate(x, [None] * len(x) if ours.merges else None, training, 0)
        agree(mine, y.detach().numpy())
        ours.zero_gradients()
        dx = pullback(dy)
        if inputs[0].requires_grad or parameters:
            y.backward(torch.tensor(dy))
        for stated, tensor in [] if example.integers else zip(as_list(dx), inputs, strict=True):
            agree(stated, tensor.grad.numpy())
        moving = [weight.name for weight in ours.weights_declared if weight.trainable]
        gradients = transposed({name: ours.gradients[name] for name in moving})
        for stated, parameter in zip(gradients.values(), parameters, strict=True):
            agree(stated, parameter.grad.numpy())
        for value, weight in zip(transposed(ours.parameters).values(), theirs.get_weights(), strict=True):
            agree(value, weight)  # moving statistics moved alike


MASK = np.arange(T) < LENGTHS[:, None]
MASKED = [e for e in CASES if e.name in ("GlobalAveragePooling1D", "BatchNormalization") and len(e.shapes[0]) == 3]


@pytest.mark.parametrize("example", MASKED, ids=label)
def test_masked_outputs_and_gradients_are_those_of_keras(keras, example):
    import torch

    ours, theirs, x = counterpart(keras, example)
    training = {"training": True} if example.name == "BatchNormalization" else {}
    y, dy, inputs, parameters = torch_pass(theirs, x, mask=torch.tensor(MASK), **training)
    mine, pullback = ours.vjp(x, mask=MASK)
    agree(mine, y.detach().numpy())
    y.backward(torch.tensor(dy))
    agree(pullback(dy), inputs[0].grad.numpy())
    for name, parameter in zip(("gamma", "beta"), parameters, strict=False):
        agree(ours.gradients[name], parameter.grad.numpy())
    for value, weight in zip(ours.parameters.values(), theirs.get_weights(), strict=True):
        agree(value, weight)


@pytest.mark.parametrize("name", ["Add", "Multiply", "Average", "Maximum", "Concatenate"])
def test_a_merged_mask_is_that_of_keras(keras, name):
    x = [np.zeros((N, T, 2), np.float32)] * 2
    lengths = [LENGTHS, np.array([1, T, 2])]
    for steps in (lengths, [LENGTHS, None], [None, None]):
        masks = [None if some is None else np.arange(T) < some[:, None] for some in steps]
        theirs = getattr(keras.layers, name)().compute_mask(x, masks)
        ours = getattr(recurra, name)().compute_lengths(x, steps)
        expected = np.ones((N, T), bool) if theirs is None else theirs.numpy()
        np.testing.assert_array_equal(np.arange(T) < (np.full(N, T) if ours is None else ours)[:, None], expected)


def test_masks_made_of_values_are_those_of_keras(keras):
    x = np.random.default_rng(3).integers(1, 9, (N, T)) * MASK
    theirs = keras.layers.Embedding(9, 2, mask_zero=True).compute_mask(x).numpy()
    np.testing.assert_array_equal(recurra.Embedding(9, 2, mask_zero=True).compute_lengths(x, None), theirs.sum(1))
    steps = np.where(MASK[..., None], np.random.default_rng(4).standard_normal((N, T, 3)), 2.0).astype(np.float32)
    layer, other = recurra.Masking(2.0), keras.layers.Masking(2.0)
    np.testing.assert_array_equal(layer(steps), other(steps).numpy())
    mask = other(steps)._keras_mask.numpy()
    np.testing.assert_array_equal(layer.compute_lengths(steps, None), mask.sum(1))


@pytest.mark.parametrize(
    ("name", "options", "there"),
    [
        ("L1", {"l1": 0.3}, {}),
        ("L2", {"l2": 0.3}, {}),
        ("L1L2", {"l1": 0.1, "l2": 0.2}, {}),
        ("OrthogonalRegularizer", {"factor": 0.3, "mode": "rows"}, {"mode": "columns"}),
        ("OrthogonalRegularizer", {"factor": 0.3, "mode": "columns"}, {"mode": "rows"}),
    ],
)
def test_penalties_are_those_of_keras(keras, name, options, there):
    import torch

    w = np.random.default_rng(5).standard_normal((4, 6)).astype(np.float32)
    kernel = torch.tensor(w.T.copy(), requires_grad=True)
    expected = getattr(keras.regularizers, name)(**{**options, **there})(kernel)
    expected.backward()
    penalty, gradient = getattr(recurra.regularizers, name)(**options).vjp(w)
    assert penalty == pytest.approx(expected.item(), rel=1e-5)
    agree(gradient, kernel.grad.numpy().T)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("MaxNorm", {"max_value": 1.5}),
        ("MinMaxNorm", {"min_value": 2.0, "max_value": 2.5, "rate": 0.4}),
        ("UnitNorm", {}),
        ("NonNeg", {}),
    ],
)
def test_constraints_are_those_of_keras_whose_kernels_lie_the_other_way(keras, name, options):
    w = np.random.default_rng(6).standard_normal((4, 6)).astype(np.float32)
    expected = getattr(keras.constraints, name)(**options)(w.T.copy())
    agree(getattr(recurra.constraints, name)(**options)(w), np.asarray(expected.detach()).T)


@pytest.mark.parametrize("cls", dict.fromkeys(recurra.initializers.INITIALIZERS.values()), ids=lambda cls: cls.__name__)
def test_initializers_have_keras_defaults_and_deviations(keras, cls):
    theirs = getattr(keras.initializers, cls.__name__)()
    config, ours = theirs.get_config(), cls().get_config()
    shared = (ours.keys() & config.keys()) - {"seed"}
    assert {name: ours[name] for name in shared} == {name: config[name] for name in shared}
    shape = (300, 200)  # (inputs, outputs) there
    mine, other = cls()(shape[::-1], 1, 0), theirs(shape).detach().numpy()
    assert mine.std() == pytest.approx(float(other.std()), rel=0.02, abs=1e-3)
    assert abs(float(mine.mean()) - float(other.mean())) < 0.02 * max(0.05, float(other.std()))
