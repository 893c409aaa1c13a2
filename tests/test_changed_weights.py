"""A change of the weights, by whatever way, is seen by the next call."""

import numpy as np
import pytest

import recurra

X = np.random.default_rng(0).standard_normal((3, 5, 4)).astype(np.float32)


def in_a_model(layer):
    model = recurra.Sequential([layer, recurra.Dense(2)])
    model.build((None, None, 4))
    return model


def held_view(model, layer):
    weight = layer.parameters["weight_ih_l0"]
    layer(X), layer(X)
    return lambda: weight.__setitem__(..., 0.5)


def fresh_view(model, layer):
    return lambda: layer.parameters["weight_ih_l0"].fill(0.5)


def flat_of_the_model(model, layer):
    flat = model.flat_parameters
    layer(X), layer(X)
    return lambda: flat.__imul__(0.5)


def view_of_the_model(model, layer):
    weight = model.parameters["lstm.weight_hh_l0"][3:]
    layer(X), layer(X)
    return lambda: weight.fill(0.1)


def set_weights(model, layer):
    return lambda: layer.set_weights([weights * 0.5 for weights in layer.get_weights()])


def set_weights_of_the_model(model, layer):
    return lambda: model.set_weights([weights * 0.5 for weights in model.get_weights()])


def training_step(model, layer):
    model.compile(optimizer=recurra.optimizers.SGD(1.0), loss="mse")
    return lambda: model.fit(X, np.ones((3, 2), np.float32), epochs=1, verbose=0)


def optimizer_on_the_layer(model, layer):
    layer.flat_gradients.fill(0.1)
    return lambda: recurra.optimizers.SGD(1.0).step(layer)


def bound_buffers(model, layer):
    parameters, gradients = np.empty((2, layer.size), np.float32)
    layer.bind(parameters, gradients)
    layer(X), layer(X)
    return lambda: parameters.__imul__(0.5)


WAYS = [
    held_view,
    fresh_view,
    flat_of_the_model,
    view_of_the_model,
    set_weights,
    set_weights_of_the_model,
    training_step,
    optimizer_on_the_layer,
    bound_buffers,
]


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_the_next_call_sees_the_change(way):
    layer = recurra.LSTM(6, seed=1)
    model = in_a_model(layer)
    change = way(model, layer)
    before = layer(X)
    np.testing.assert_array_equal(layer(X), before)
    change()
    after = layer(X)
    assert not np.array_equal(after, before)
    fresh = recurra.LSTM(6)
    fresh.build((None, None, 4))
    fresh.set_weights(layer.get_weights())
    np.testing.assert_array_equal(after, fresh(X))


def test_a_call_in_the_middle_of_a_step_hides_nothing_from_the_next():
    layer = recurra.LSTM(6, seed=1)
    layer(X)

    class Looking(recurra.optimizers.Optimizer):
        def update(self, parameters, gradients, slots):
            layer(X)
            parameters += 0.5

    before = layer(X)
    Looking(1.0).step(layer)
    assert not np.array_equal(layer(X), before)


def test_a_step_that_fails_half_way_hides_nothing_from_the_next_call():
    layer = recurra.LSTM(6, seed=1)
    before = layer(X)

    class Failing(recurra.optimizers.Optimizer):
        def update(self, parameters, gradients, slots):
            parameters += 0.5
            raise RuntimeError("half way")

    with pytest.raises(RuntimeError, match="half way"):
        Failing(1.0).step(layer)
    assert not np.array_equal(layer(X), before)


def test_unchanged_weights_are_not_compared():
    layer = recurra.LSTM(6, seed=1)
    layer(X)
    layer.vjp(X)
    seen = []
    engine = layer._engine

    class Watched:
        def forward(self, *arguments, **options):
            seen.append(options["unchanged"])
            return engine.forward(*arguments, **options)

    layer._engine = Watched()
    layer(X)
    layer.set_weights(layer.get_weights())
    layer(X)
    layer(X)
    assert layer.parameters
    layer(X)
    layer(X)
    assert seen == [True, False, True, False, False]


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (lambda w: w[:1], "weights: expected 4 arrays, got 1; weight_ih_l0, weight_hh_l0, bias_ih_l0, bias_hh_l0"),
        (lambda w: [w[0].T, *w[1:]], r"weights: expected shape \(24, 4\) for 'weight_ih_l0', got \(4, 24\)"),
        (lambda w: [w[0] + 1, w[1], w[2], w[3][1:]], r"weights: expected shape \(24,\) for 'bias_hh_l0'"),
    ],
)
def test_weights_that_do_not_fit_are_refused_and_change_nothing(weights, message):
    layer = recurra.LSTM(6, seed=1)
    layer.build((None, None, 4))
    before = layer.get_weights()
    with pytest.raises(ValueError, match=message):
        layer.set_weights(weights(before))
    for now, then in zip(layer.get_weights(), before, strict=True):
        np.testing.assert_array_equal(now, then)
