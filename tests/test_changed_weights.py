"""A change of the weights, by whatever way, is seen by the next call."""

import threading

import numpy as np
import pytest

import recurra
from recurra import _core
from recurra.layers._packing import Packing

X = np.random.default_rng(0).standard_normal((3, 5, 4)).astype(np.float32)


def in_a_model(layer):
    model = recurra.Sequential([layer, recurra.Dense(2)])
    model.build((None, None, 4))
    return model


def first(parameters):
    return next(iter(parameters.values()))


def held_view(model, layer):
    weight = first(layer.parameters)
    layer(X), layer(X)
    return lambda: weight.__setitem__(..., 0.5)


def fresh_view(model, layer):
    return lambda: first(layer.parameters).fill(0.5)


def flat_of_the_model(model, layer):
    flat = model.flat_parameters
    layer(X), layer(X)
    return lambda: flat.__imul__(0.5)


def view_of_the_model(model, layer):
    weight = first(model.parameters)[3:]
    layer(X), layer(X)
    return lambda: weight.fill(0.1)


def set_weights(model, layer):
    return lambda: layer.set_weights([weights * 0.5 for weights in layer.get_weights()])


def set_weights_of_the_model(model, layer):
    return lambda: model.set_weights([weights * 0.5 for weights in model.get_weights()])


def training_step(model, layer):
    model.compile(optimizer=recurra.optimizers.SGD(1.0), loss="mse")
    return lambda: model.fit(X, np.ones_like(model(X)), epochs=1, verbose=0)


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


LAYERS = {
    "LSTM": lambda: recurra.LSTM(6, seed=1),
    "Dense": lambda: recurra.Dense(6, seed=1),
    "Dense without bias": lambda: recurra.Dense(6, "tanh", use_bias=False, seed=1),
    "Conv1D": lambda: recurra.Conv1D(6, 3, padding="causal", seed=1),
    "Conv1D in groups": lambda: recurra.Conv1D(6, 3, groups=2, dilation_rate=2, seed=1),
    "TimeDistributed": lambda: recurra.TimeDistributed(recurra.Dense(6, seed=1)),
}
each_layer = pytest.mark.parametrize("made", LAYERS.values(), ids=LAYERS)


@each_layer
@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_the_next_call_sees_the_change(way, made):
    layer = made()
    model = in_a_model(layer)
    change = way(model, layer)
    before = layer(X)
    np.testing.assert_array_equal(layer(X), before)
    change()
    after = layer(X)
    assert not np.array_equal(after, before)
    fresh = made()
    fresh.build((None, None, 4))
    fresh.set_weights(layer.get_weights())
    np.testing.assert_array_equal(after, fresh(X))


@each_layer
def test_a_call_in_the_middle_of_a_step_hides_nothing_from_the_next(made):
    layer = made()
    layer(X)

    class Looking(recurra.optimizers.Optimizer):
        def update(self, parameters, gradients, slots):
            layer(X)
            parameters += 0.5

    before = layer(X)
    Looking(1.0).step(layer)
    assert not np.array_equal(layer(X), before)


@each_layer
def test_a_step_that_fails_half_way_hides_nothing_from_the_next_call(made):
    layer = made()
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
        def forward(self, *arguments):
            seen.append(arguments[-1])  # unchanged
            return engine.forward(*arguments)

    layer._engine = Watched()
    layer(X)
    layer.set_weights(layer.get_weights())
    layer(X)
    layer(X)
    assert layer.parameters
    layer(X)
    layer(X)
    assert seen == [True, False, True, False, False]


def test_weights_of_a_product_are_packed_once_for_all_calls_that_find_them_unchanged():
    layer, packed = recurra.Dense(6, seed=1), []
    layer._packing = Packing(lambda weights: packed.append(1) or _core.Linear(*map(np.array, weights.values())))

    def packings_of(action):
        packed.clear()
        action(), layer(X), layer(X), layer.vjp(X)
        return len(packed)

    assert packings_of(lambda: None) == 1
    assert packings_of(lambda: None) == 0
    assert packings_of(lambda: layer.set_weights(layer.get_weights())) == 1
    weight = layer.parameters["weight"]
    assert packings_of(lambda: None) == 1  # from now on with a copy to compare with
    assert packings_of(lambda: None) == 0
    assert packings_of(lambda: weight.fill(0.0)) == 1
    assert packings_of(lambda: weight.fill(-0.0)) == 1  # equal numbers, other bits
    assert packings_of(lambda: layer.bind(*np.empty((2, layer.size), np.float32))) == 1


@each_layer
def test_threads_that_call_while_weights_change_see_old_or_new_weights_and_then_the_new_ones(made):
    layer = made()
    layer(X)
    weights = [layer.get_weights(), [2 * w for w in layer.get_weights()]]
    stop, wrong = threading.Event(), []

    def call():
        while not stop.is_set():
            if not np.isfinite(layer(X)).all():
                wrong.append(1)

    threads = [threading.Thread(target=call) for _ in range(3)]
    for thread in threads:
        thread.start()
    for turn in range(200):
        layer.set_weights(weights[turn % 2])
        fresh = made()
        fresh.build((None, None, 4))
        fresh.set_weights(weights[turn % 2])
        if not np.array_equal(layer(X), fresh(X)):
            wrong.append(2)
    stop.set()
    for thread in threads:
        thread.join()
    assert not wrong


def test_bits_are_compared_not_numbers():
    a = np.array([1.0, np.nan, 0.0])
    assert _core.same_bits(a, a.copy())
    assert not _core.same_bits(a, np.array([1.0, np.nan, -0.0]))
    assert not _core.same_bits(a, a[:2])
    assert not _core.same_bits(np.zeros(100_000), np.eye(1, 100_000, 99_999)[0])
    with pytest.raises(ValueError, match="a: expected C-contiguous arrays, got other strides"):
        _core.same_bits(a, a[::-1])


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
