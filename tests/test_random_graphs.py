"""Random graphs of layers against the same calls made by hand: outputs, lengths, gradients, copies, files."""

import copy
import pickle

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import recurra
from recurra import layers
from recurra.layers.symbolic import SymbolicTensor

F, T, N = 2, 4, 3
SETTINGS = settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.too_slow])


def dense(seed):
    return recurra.Dense(F, activation="tanh", seed=seed, dtype="float64")


def lstm(seed):
    return recurra.LSTM(F, return_sequences=True, return_state=True, seed=seed, dtype="float64")


def timed(seed):
    return layers.TimeDistributed(dense(seed))


def chain(seed):
    return recurra.Sequential([dense(seed), recurra.GRU(F, return_sequences=True, seed=seed, dtype="float64")])


def graph(seed):
    x = recurra.Input((None, F), dtype="float64")
    return recurra.Model(x, layers.Add(dtype="float64")([dense(seed)(x), x]))


def normed(seed):
    return layers.LayerNormalization(dtype="float64")


ONE = {"dense": dense, "timed": timed, "chain": chain, "graph": graph, "normed": normed}
TWO = {"add": layers.Add, "maximum": layers.Maximum, "multiply": layers.Multiply, "subtract": layers.Subtract}


@st.composite
def recipes(draw):
    """A list of calls, each with the numbers of the arrays that it reads; 0 and 1 are the inputs."""
    count, made, calls = 2, [], []
    for seed in range(draw(st.integers(1, 6))):
        pick = st.integers(0, count - 1)
        kind = draw(st.sampled_from([*ONE, *TWO, "concatenate", "lstm", "started", "shared"]))
        if kind == "shared" and not made:
            kind = "dense"
        if kind == "shared":
            calls.append((kind, draw(st.sampled_from(made)), [draw(pick)]))
        elif kind in TWO or kind == "concatenate" or kind == "started":
            calls.append((kind, seed, [draw(pick), draw(pick)]))
        else:
            calls.append((kind, seed, [draw(pick)]))
            if kind != "lstm":
                made.append(len(calls) - 1)
        count += 1
    outputs = draw(st.lists(st.integers(2, count - 1), min_size=1, max_size=3, unique=True))
    return calls, outputs


def run(recipe, x, made):
    """Make the calls on arrays or placeholders, with layers that are kept in ``made``."""
    calls, outputs = recipe
    arrays = list(x)

    def call(key, make, *arguments, **options):
        layer = made.setdefault(key, None) or make()
        made[key] = layer
        return layer(*arguments, **options)

    for number, (kind, seed, reads) in enumerate(calls):
        given = [arrays[read] for read in reads]
        if kind in TWO:
            y = call(number, lambda kind=kind: TWO[kind](dtype="float64"), given)
        elif kind == "concatenate":
            wide = call(number, lambda: layers.Concatenate(dtype="float64"), given)
            y = call((number, "narrow"), lambda seed=seed: dense(seed), wide)
        elif kind == "lstm":
            y = call(number, lambda seed=seed: lstm(seed), given[0])[0]
        elif kind == "started":
            _, h, c = call(number, lambda seed=seed: lstm(seed), given[0])
            y = call((number, "next"), lambda seed=seed: lstm(seed + 50), given[1], initial_state=[h, c])[0]
        elif kind == "shared":
            y = made[seed](given[0])
        else:
            y = call(number, lambda kind=kind, seed=seed: ONE[kind](seed), given[0])
        arrays.append(y)
    return [arrays[output] for output in outputs]


def drawn(recipe):
    inputs = [recurra.Input((None, F), dtype="float64", name=name) for name in "ab"]
    made = {}
    outputs = run(recipe, inputs, made)
    assert all(type(output) is SymbolicTensor for output in outputs)
    return recurra.Model(inputs, outputs), made


def data(seed=0):
    rng = np.random.default_rng(seed)
    return [rng.normal(size=(N, T, F)) for _ in range(2)]


def listed(outputs):
    return outputs if isinstance(outputs, list) else [outputs]


@SETTINGS
@given(recipes())
def test_a_graph_computes_what_the_calls_compute(recipe):
    """Bit for bit."""
    model, made = drawn(recipe)
    for y, expected in zip(listed(model(data())), run(recipe, data(), made), strict=True):
        np.testing.assert_array_equal(y, expected)


@SETTINGS
@given(recipes(), st.booleans())
def test_gradients_are_those_of_finite_differences_and_touch_nothing_of_the_caller(recipe, cut):
    """Along a random direction in float64, to 1e-5; kinks of Maximum are not met by chance."""
    model, _ = drawn(recipe)
    x, rng = data(1), np.random.default_rng(2)
    lengths = [np.array([T, 2, 1]), np.array([T, 2, 1])] if cut else None
    outputs, pullback = model.vjp(x, lengths=lengths)
    slopes = [rng.normal(size=y.shape) for y in listed(outputs)]
    kept = [slope.copy() for slope in slopes]
    model.zero_gradients()
    dx = pullback(slopes if len(slopes) > 1 else slopes[0])
    assert all((slope == before).all() for slope, before in zip(slopes, kept, strict=True))
    assert all((array == before).all() for array, before in zip(x, data(1), strict=True))

    directions = [rng.normal(size=a.shape) for a in x]
    step = rng.normal(size=model.size)
    theta, eps = model.flat_parameters, 1e-6

    def value(t):
        theta[...] = start + t * step
        found = listed(model([a + t * d for a, d in zip(x, directions, strict=True)], lengths=lengths))
        return sum(float((slope * y).sum()) for slope, y in zip(slopes, found, strict=True))

    start = theta.copy()
    expected = (value(eps) - value(-eps)) / (2 * eps)
    got = float(model.flat_gradients @ step) + sum(
        float((d * g).sum()) for d, g in zip(directions, dx, strict=True) if g is not None
    )
    assert got == pytest.approx(expected, rel=1e-5, abs=1e-6)


@SETTINGS
@given(recipes(), st.data())
def test_copies_and_files_of_any_graph_train_as_it_does(tmp_path_factory, recipe, choose):
    """Bit for bit after two steps, some layers frozen; a clone is compiled anew."""
    model, _ = drawn(recipe)
    for layer in model.layers:
        layer.trainable = choose.draw(st.booleans())
    model.compile(recurra.optimizers.Adam(0.05), "mse")
    x, y = data(3), [np.zeros((N, T, F))] * len(model.outputs)
    y = y if len(y) > 1 else y[0]
    model.train_on_batch(x, y)
    path = tmp_path_factory.mktemp("graph") / "model.safetensors"
    model.save(path)
    copies = [recurra.load_model(path), copy.deepcopy(model), pickle.loads(pickle.dumps(model))]
    clone = model.clone()
    expected = model.train_on_batch(x, y)
    assert [other.train_on_batch(x, y) for other in copies] == [expected] * 3
    for other in copies:
        np.testing.assert_array_equal(other.flat_parameters, model.flat_parameters)
        assert list(other.parameters) == list(model.parameters)
    clone.compile(recurra.optimizers.SGD(0.05), "mse")
    before = clone.flat_parameters.copy()
    clone.train_on_batch(x, y)
    for weight, twin in zip(model.weights_declared, clone.weights_declared, strict=True):
        assert weight.moves == twin.moves
        assert twin.moves or (clone.flat_parameters[twin.place] == before[twin.place]).all()
