"""What every layer promises, over all of LAYERS: gradients, copies, shapes, lengths, threads, float32 and float64."""

import inspect
import json
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import recurra
from layer_examples import EXAMPLES, LENGTHS, SEQUENCES, label
from recurra.layers import LAYERS, deserialize, serialize

STEP, TOLERANCE = 1e-6, 2e-7  # of finite differences, and of their error as a share of the largest gradient

every = pytest.mark.parametrize("example", EXAMPLES, ids=label)


def built(example, dtype="float64"):
    """A layer with random parameters, its input and the lengths."""
    layer, x = example.make(dtype), example.inputs(dtype)
    layer(x)
    rng = np.random.default_rng(3)
    for weight in layer.weights_declared:
        values = rng.uniform(-0.8, 0.8, weight.shape)
        layer.parameters[weight.name][...] = np.abs(values) + 0.1 if "variance" in weight.name else values
    return layer, x, example.lengths()


def as_list(x):
    return list(x) if isinstance(x, list) else [x]


def derivative(layer, x, lengths, training, array, dy):
    """Central differences of <dy, y> along every element of an array."""
    found = np.zeros(array.shape)
    for index in np.ndindex(array.shape):
        kept = array[index]
        sides = []
        for moved in (kept + STEP, kept - STEP):
            array[index] = moved
            sides.append(layer._apply(x, lengths, training, 5).copy())  # not a view of x
        array[index] = kept
        found[index] = np.vdot(dy, sides[0] - sides[1]) / (2 * STEP)
    return found


def test_every_layer_has_an_example():
    assert {example.name for example in EXAMPLES} == set(LAYERS)


@every
@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("with_lengths", [False, True])
def test_gradients_are_those_of_finite_differences(example, training, with_lengths):
    layer, x, lengths = built(example)
    if not with_lengths:
        lengths = [None] * len(x) if layer.merges else None
    y, pullback = layer._differentiate(x, lengths, training, 5)
    dy = np.random.default_rng(1).standard_normal(y.shape)
    layer.zero_gradients()
    dx = pullback(dy)
    pairs = [] if example.integers else list(zip(as_list(dx), as_list(x), strict=True))
    moving = [weight.name for weight in layer.weights_declared if weight.trainable]
    pairs += [(layer.gradients[name], layer.parameters[name]) for name in moving]
    for stated, array in pairs:
        numeric = derivative(layer, x, lengths, training, array, dy)
        assert stated.shape == array.shape
        np.testing.assert_allclose(stated, numeric, rtol=0, atol=TOLERANCE * max(1.0, np.abs(numeric).max()))


@every
@pytest.mark.parametrize("training", [False, True])
def test_vjp_returns_what_a_call_returns_and_adds_into_gradients(example, training):
    layer, x, lengths = built(example)
    options = {"training": training, "seed": 5} if "training" in inspect.signature(layer.vjp).parameters else {}
    if "lengths" in inspect.signature(layer.vjp).parameters:
        options["lengths"] = lengths
    y, pullback = layer.vjp(x, **options)
    np.testing.assert_array_equal(layer(x, **options), y)
    dy = np.ones_like(y)
    layer.zero_gradients()
    pullback(dy)
    once = layer.flat_gradients.copy()
    layer.vjp(x, **options)[1](dy, need_dx=False)
    if example.name != "TimeDistributed" and "BatchNormalization" not in label(example):
        np.testing.assert_allclose(layer.flat_gradients, 2 * once, rtol=1e-12, atol=1e-14)
    with pytest.raises((ValueError, TypeError), match=r"^dy: expected "):
        layer.vjp(x, **options)[1](dy[:-1])


@every
def test_a_call_leaves_input_parameters_and_gradients_as_they_were(example):
    layer, x, lengths = built(example)
    layer.zero_gradients()
    before, inputs = layer.flat_parameters.copy(), pickle.loads(pickle.dumps(x))
    for training in (False, True):
        layer._differentiate(x, lengths, training, 5)
    np.testing.assert_array_equal(layer.flat_parameters, before)
    assert not layer.flat_gradients.any()
    for array, kept in zip(as_list(x), as_list(inputs), strict=True):
        np.testing.assert_array_equal(array, kept)


@every
def test_configs_copies_and_pickles_make_the_same_layer(example):
    layer, x, lengths = built(example, "float32")
    y = layer._apply(x, lengths, False, 0)
    config = layer.get_config()
    assert type(layer).from_config(json.loads(json.dumps(config))).get_config() == config
    made = deserialize(json.loads(json.dumps(serialize(layer))))
    assert type(made) is type(layer)
    assert made.get_config() == {**config, "name": layer.name}
    for copy in (layer.clone(), pickle.loads(pickle.dumps(layer))):
        np.testing.assert_array_equal(copy._apply(x, lengths, False, 0), y)
        assert not layer.size or not np.shares_memory(copy.flat_parameters, layer.flat_parameters)
    double = layer.clone("float64")
    wide = x if example.integers else [part.astype(np.float64) for part in as_list(x)]
    wide = wide if layer.merges or example.integers else wide[0]
    np.testing.assert_allclose(double._apply(wide, lengths, False, 0), y, rtol=1e-5, atol=1e-5)


@every
def test_arguments_are_kept_and_documented(example):
    layer, cls = example.make(), LAYERS[example.name]
    config = layer.get_config()
    documented = cls.__doc__ or ""
    if " see `Merge`" in documented.lower():
        documented += recurra.layers.merging.Merge.__doc__
    for name in inspect.signature(cls).parameters:
        if name not in ("args", "kwargs"):
            assert name in config or name in ("data_format", "activity_regularizer"), f"{name} is not in get_config"
            inherited = name in ("dtype", "name", "seed", "gamma", "beta")
            assert inherited or name in documented or "_As in" in documented or "As in" in documented, name


@every
def test_the_output_has_the_shape_and_dtype_it_is_said_to_have(example):
    for dtype in ("float32", "float64"):
        layer, x, lengths = built(example, dtype)
        shapes = [part.shape for part in as_list(x)]
        for training in (False, True):
            y, pullback = layer._differentiate(x, lengths, training, 5)
            assert y.dtype == dtype
            assert layer.compute_output_shape(shapes if layer.merges else shapes[0]) == y.shape
            opened = [(None, *shape[1:]) for shape in shapes]
            assert layer.compute_output_shape(opened if layer.merges else opened[0]) == (None, *y.shape[1:])
            dx = pullback(np.ones_like(y))
            for part, array in [] if example.integers else zip(as_list(dx), as_list(x), strict=True):
                assert part.dtype == dtype
                assert part.shape == array.shape


@every
def test_padding_does_not_leak_into_what_counts(example):
    layer, x, lengths = built(example)
    if not example.padded or all(some is None for some in as_list(lengths)):
        pytest.skip("all of the input counts in all of the output")
    other = example.inputs(seed=8)
    for array, values, some in zip(as_list(x), as_list(other), as_list(lengths), strict=True):
        if some is not None:
            counted = (np.arange(array.shape[1]) < some[:, None]).reshape(*array.shape[:2], *(1,) * (array.ndim - 2))
            values[...] = np.where(counted, array, values)
        else:
            values[...] = array
    for training in (False, True):
        y, pullback = layer._differentiate(x, lengths, training, 5)
        z = layer._apply(other, lengths, training, 5)
        after = layer.compute_lengths(x, lengths)
        if after is None:
            np.testing.assert_array_equal(y, z)
            continue
        counted = np.arange(y.shape[1]) < after[:, None]
        assert counted.any()
        np.testing.assert_array_equal(y[counted], z[counted])
        dx = pullback(np.where(counted.reshape(*counted.shape, *(1,) * (y.ndim - 2)), 1.0, np.zeros_like(y)))
        for d, some in zip([] if example.integers else as_list(dx), as_list(lengths), strict=False):
            if some is not None:
                assert not d[np.arange(d.shape[1]) >= some[:, None]].any()


@every
def test_lengths_of_the_output_fit_its_time_axis(example):
    layer, x, lengths = built(example)
    after = layer.compute_lengths(x, lengths)
    none = layer.compute_lengths(x, [None] * len(x) if layer.merges else None)
    y = layer._apply(x, lengths, False, 0)
    for some in (after, none):
        if some is not None:
            assert y.ndim >= 3
            assert some.dtype == np.int64
            assert some.shape == (len(y),)
            assert some.min() >= 0
            assert some.max() <= y.shape[1]
    assert none is None or layer.makes_lengths


@every
def test_several_threads_may_call_one_layer_from_its_first_call(example):
    layer, x, lengths = example.make(), example.inputs("float32"), example.lengths()

    def call(number):
        layer.check_input(x)
        training = number % 2 == 1
        return layer._apply(x, lengths, training, 5), layer._differentiate(x, lengths, training, 5)[0]

    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(call, range(16)))
    for number, pair in enumerate(results):
        for y in pair:
            np.testing.assert_array_equal(y, results[number % 2][0])


@every
def test_inference_is_pure_and_training_differs_where_a_layer_is_random(example):
    layer, x, lengths = built(example)
    calm = layer._apply(x, lengths, False, 1)
    np.testing.assert_array_equal(layer._apply(x, lengths, False, 2), calm)
    seeded = layer._apply(x, lengths, True, 1)
    np.testing.assert_array_equal(layer._apply(x, lengths, True, 1), seeded)
    if layer.random:
        assert (layer._apply(x, lengths, True, 2) != seeded).any()
        assert (seeded != calm).any()
    elif "BatchNormalization" not in f"{layer!r}{getattr(layer, 'layer', '')!r}":
        np.testing.assert_array_equal(seeded, calm)


@every
def test_a_layer_stands_in_a_graph(example):
    layer, x = example.make(), example.inputs("float32")
    kind = "int64" if example.integers else "float32"
    inputs = [recurra.Input(part.shape[1:], dtype=kind) for part in as_list(x)]
    model = recurra.Model(inputs if layer.merges else inputs[0], layer(inputs if layer.merges else inputs[0]))
    np.testing.assert_array_equal(model(x), layer(x))
    copy = type(model).from_config(json.loads(json.dumps(model.get_config())))
    copy.set_weights(model.get_weights())
    np.testing.assert_array_equal(copy(x), layer(x))


@every
def test_an_empty_batch_gives_an_empty_output(example):
    layer, x, _ = built(example)
    empty = [part[:0] for part in as_list(x)]
    y = layer(empty if layer.merges else empty[0])
    whole = layer(x)
    assert y.shape == (0, *whole.shape[1:])


@pytest.mark.parametrize("example", [e for e in EXAMPLES if e.shapes == (SEQUENCES,)], ids=label)
def test_a_pointwise_layer_streams_and_a_layer_between_recurrent_ones_trains(example):
    layer = example.make()
    if layer.pointwise and not layer.random:
        layer(example.inputs("float32"))
        stream = layer.stream(3)
        x = example.inputs("float32")
        for step in range(2):
            np.testing.assert_allclose(stream.step(x[:, step]), layer(x)[:, step], atol=1e-6)
    if layer.compute_output_shape(SEQUENCES)[1:] == SEQUENCES[1:]:
        model = recurra.Sequential([recurra.GRU(4, return_sequences=True), example.make(), recurra.GRU(2)])
        model.compile("sgd", "mse")
        history = model.fit(example.inputs("float32"), np.ones((3, 2), np.float32), lengths=LENGTHS, verbose=0)
        assert np.isfinite(history.history["loss"]).all()
