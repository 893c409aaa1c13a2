"""Layers: from Keras's arguments to the engine and back; what is computed is measured against the reference."""

import numpy as np
import pytest

import recurra
from recurra import activations, reference
from recurra.layers import Layer

RNG = np.random.default_rng(20261)
N, T, F, H = 4, 6, 3, 5

# Arguments of a layer, and what they are called by the engine where that differs.
VARIANTS = [
    (recurra.RNN, {}),
    (recurra.RNN, {"activation": "relu", "num_layers": 2, "layer_norm": True}),
    (recurra.RNN, {"activation": ("leaky_relu", 0.2), "zoneout": 0.3, "use_bias": False}),
    (recurra.GRU, {}),
    (recurra.GRU, {"reset_after": False, "bidirectional": True, "merge_mode": "sum"}),
    (recurra.GRU, {"go_backwards": True, "clip": 0.7, "recurrent_activation": "hard_sigmoid"}),
    (recurra.LSTM, {}),
    (recurra.LSTM, {"num_layers": 2, "bidirectional": True, "merge_mode": "mul"}),
    (recurra.LSTM, {"proj_size": 2, "use_peepholes": True, "clip": 0.9, "cell_clip": 0.4}),
    (recurra.LSTM, {"input_forget": True, "layer_norm": True, "output_activation": "softsign"}),
    (recurra.LSTM, {"activation": {"name": "scaled_tanh", "alpha": 1.7, "beta": 0.6}, "zoneout": (0.1, 0.2)}),
    (recurra.LSTM, {"dropout": 0.3, "recurrent_dropout": 0.2, "interlayer_dropout": 0.4, "num_layers": 2}),
]
IDS = [f"{cls.__name__}-{'-'.join(options) or 'plain'}" for cls, options in VARIANTS]


def sequences(*shape, dtype=np.float64):
    return RNG.standard_normal(shape).astype(dtype)


def built(cls, options, **more):
    """A float64 layer with random weights and biases, and the reference with the same options."""
    layer = cls(H, dtype="float64", **options, **more)
    layer.build((None, None, F))
    layer.flat_parameters[...] = RNG.uniform(-0.8, 0.8, layer.size)
    names = ("activation", "recurrent_activation", "output_activation")
    translated = {**options}
    for name in names:
        if name in options:
            translated[name] = tuple(activations.resolve(name, options[name]))
    if cls is recurra.LSTM:
        translated.setdefault("output_activation", translated.get("activation", ("tanh", 0.0, 0.0)))
    if isinstance(options.get("zoneout"), float):
        translated["zoneout"] = (options["zoneout"], 0.0)
    return layer, reference.Recurrent(layer.cell, F, H, **translated)


@pytest.mark.parametrize(("cls", "options"), VARIANTS, ids=IDS)
@pytest.mark.parametrize("training", [False, True])
def test_a_layer_computes_what_the_reference_computes(cls, options, training):
    layer, oracle = built(cls, options, return_sequences=True, return_state=True)
    x, lengths = sequences(N, T, F), np.array([T, 0, 2, 5])
    y, *states = layer(x, lengths=lengths, training=training, seed=11)
    expected, h, c = oracle.forward(layer.flat_parameters, x, lengths=lengths, training=training, seed=11)
    np.testing.assert_allclose(y, expected, atol=1e-12)
    pairs = list(h) if c is None else [state for pair in zip(h, c, strict=True) for state in pair]
    assert len(states) == len(pairs)
    for state, pair in zip(states, pairs, strict=True):
        np.testing.assert_allclose(state, pair, atol=1e-12)


@pytest.mark.parametrize(("cls", "options"), VARIANTS, ids=IDS)
def test_a_pullback_gives_the_gradients_of_the_reference(cls, options):
    layer, oracle = built(cls, options, return_sequences=True, return_state=True)
    x, lengths = sequences(N, T, F), np.array([1, T, 3, 0])
    initial = [sequences(N, width) for width in state_widths(layer)]
    (y, *states), pullback = layer.vjp(x, initial_state=initial, lengths=lengths, seed=3)
    dy, dstates = sequences(*y.shape), [sequences(*state.shape) for state in states]
    layer.zero_gradients()
    dx, dinitial = pullback.with_states(dy, dstates)

    kinds = 2 if layer.cell == "lstm" else 1
    h0, dhn = (np.stack(part[::kinds]) for part in (initial, dstates))
    c0, dcn = (np.stack(part[1::kinds]) if kinds == 2 else None for part in (initial, dstates))
    gradients = np.zeros(layer.size)
    *_, tape = oracle.vjp(layer.flat_parameters, x, h0, c0, lengths, training=True, seed=3)
    expected_dx, dh0, dc0 = tape.backward(dy, dhn, dcn, gradients)
    np.testing.assert_allclose(dx, expected_dx, atol=1e-12)
    np.testing.assert_allclose(layer.flat_gradients, gradients, atol=1e-11)
    np.testing.assert_allclose(np.stack(dinitial[::kinds]), dh0, atol=1e-12)
    if kinds == 2:
        np.testing.assert_allclose(np.stack(dinitial[1::kinds]), dc0, atol=1e-12)


def state_widths(layer):
    pair = [layer.state_size, layer.units] if layer.cell == "lstm" else [layer.state_size]
    return pair * layer.stack


@pytest.mark.parametrize("cls", [recurra.RNN, recurra.GRU, recurra.LSTM])
def test_outputs_have_keras_shapes(cls):
    x = sequences(N, T, F, dtype=np.float32)
    assert cls(H)(x).shape == (N, H)
    assert cls(H, return_sequences=True)(x).shape == (N, T, H)
    assert cls(H, bidirectional=True)(x).shape == (N, 2 * H)
    outputs = cls(H, return_state=True)(x)
    assert isinstance(outputs, list)
    assert [o.shape for o in outputs] == [(N, H)] * (3 if cls is recurra.LSTM else 2)
    np.testing.assert_array_equal(outputs[0], outputs[1])  # the last output is the final h
    assert all(o.dtype == np.float32 for o in outputs)


def test_states_come_forward_then_backward_then_the_next_layer():
    layer, _ = built(recurra.LSTM, {"num_layers": 2, "bidirectional": True}, return_state=True)
    x = sequences(N, T, F)
    _, *states = layer(x)
    assert len(states) == 8
    forward = recurra.LSTM(H, return_state=True, dtype="float64")
    forward.build((None, None, F))
    for name, value in forward.parameters.items():
        value[...] = layer.parameters[name]
    _, h, c = forward(x)
    np.testing.assert_allclose(states[0], h, atol=1e-12)
    np.testing.assert_allclose(states[1], c, atol=1e-12)
    for name, value in forward.parameters.items():
        value[...] = layer.parameters[f"{name}_reverse"]
    _, h, c = forward(np.ascontiguousarray(x[:, ::-1]))
    np.testing.assert_allclose(states[2], h, atol=1e-12)
    np.testing.assert_allclose(states[3], c, atol=1e-12)


def test_final_states_go_on_where_they_ended():
    layer, _ = built(recurra.LSTM, {"num_layers": 2}, return_sequences=True, return_state=True)
    x = sequences(N, T, F)
    whole, *_ = layer(x)
    first, *states = layer(x[:, :2])
    second, *_ = layer(x[:, 2:], initial_state=states)
    np.testing.assert_array_equal(np.concatenate([first, second], axis=1), whole)


def test_a_single_state_may_come_bare_and_a_missing_one_is_zero():
    gru, _ = built(recurra.GRU, {})
    lstm, _ = built(recurra.LSTM, {})
    x, h = sequences(N, T, F), sequences(N, H)
    np.testing.assert_array_equal(gru(x, initial_state=h), gru(x, initial_state=[h]))
    np.testing.assert_array_equal(lstm(x, initial_state=[h, None]), lstm(x, initial_state=[h, np.zeros((N, H))]))


def test_a_mask_of_prefixes_means_lengths():
    layer, _ = built(recurra.LSTM, {"bidirectional": True}, return_sequences=True)
    x, lengths = sequences(N, T, F), np.array([3, 0, T, 1])
    mask = np.arange(T) < lengths[:, None]
    np.testing.assert_array_equal(layer(x, mask=mask), layer(x, lengths=lengths.tolist()))


def test_strided_and_time_major_input_gives_the_same():
    layer, _ = built(recurra.GRU, {"bidirectional": True}, return_sequences=True)
    x = sequences(N, T, F)
    y = layer(x)
    wide = sequences(N, 2 * T, F + 2)
    wide[:, ::2, 1:-1] = x
    for view in (np.asfortranarray(x), np.ascontiguousarray(x.swapaxes(0, 1)).swapaxes(0, 1), wide[:, ::2, 1:-1]):
        np.testing.assert_array_equal(layer(view), y)
    np.testing.assert_array_equal(layer(np.ascontiguousarray(x[:, ::-1])[:, ::-1]), y)


def test_learned_initial_states_start_at_zero_and_get_the_sum_of_gradients():
    layer = recurra.LSTM(H, trainable_initial_state=True, num_layers=2, dtype="float64", seed=1)
    x = sequences(N, T, F)
    layer.build(x.shape)
    assert layer.parameters["h0"].shape == layer.parameters["c0"].shape == (2, H)
    assert not layer.parameters["h0"].any()
    layer.parameters["h0"][...], layer.parameters["c0"][...] = sequences(2, H), sequences(2, H)
    given = [np.tile(layer.parameters[k][i], (N, 1)) for i in range(2) for k in ("h0", "c0")]
    np.testing.assert_array_equal(layer(x), layer(x, initial_state=given))

    dy = sequences(N, H)
    layer.zero_gradients()
    layer.vjp(x)[1](dy)
    learned = {name: layer.gradients[name].copy() for name in ("h0", "c0")}
    layer.zero_gradients()
    _, dinitial = layer.vjp(x, initial_state=given)[1].with_states(dy)
    assert not layer.gradients["h0"].any()
    np.testing.assert_allclose(learned["h0"], np.stack([d.sum(0) for d in dinitial[::2]]), atol=1e-13)
    np.testing.assert_allclose(learned["c0"], np.stack([d.sum(0) for d in dinitial[1::2]]), atol=1e-13)


@pytest.mark.parametrize("mode", ["concat", "sum", "mul", "ave"])
def test_bidirectional_is_the_layer_with_both_directions(mode):
    wrapped = recurra.Bidirectional(recurra.GRU(H, return_sequences=True, dtype="float64", seed=4), merge_mode=mode)
    direct = recurra.GRU(H, return_sequences=True, bidirectional=True, merge_mode=mode, dtype="float64", seed=4)
    x = sequences(N, T, F)
    np.testing.assert_array_equal(wrapped(x), direct(x))
    assert list(wrapped.parameters) == list(direct.parameters)
    assert wrapped.compute_output_shape((N, T, F)) == wrapped(x).shape


def test_gradients_add_up_and_a_retained_pullback_serves_twice():
    layer, _ = built(recurra.LSTM, {})
    x, dy = sequences(N, T, F), sequences(N, H)
    _, pullback = layer.vjp(x)
    layer.zero_gradients()
    dx = pullback(dy, retain_graph=True)
    once = layer.flat_gradients.copy()
    assert pullback(dy, need_dx=False, retain_graph=True) is None
    np.testing.assert_allclose(layer.flat_gradients, 2 * once, rtol=1e-12)
    np.testing.assert_array_equal(pullback(dy), dx)
    before = layer.flat_gradients.copy()
    with pytest.raises(ValueError, match=r"^pullback: expected one that was not used yet, got a used one; pass retain"):
        pullback(dy)
    np.testing.assert_array_equal(layer.flat_gradients, before)


def test_parameters_are_views_under_pytorch_names():
    layer = recurra.LSTM(H, num_layers=2, bidirectional=True, proj_size=2)
    layer.build((None, None, F))
    assert list(layer.parameters)[:5] == ["weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0", "weight_hr_l0"]
    assert layer.parameters["weight_ih_l1_reverse"].shape == (4 * H, 4)
    layer.parameters["bias_hh_l0"][...] = 7.0
    assert (layer.flat_parameters == 7.0).sum() == 4 * H
    assert sum(value.size for value in layer.parameters.values()) == layer.size


def test_bind_moves_parameters_into_the_given_buffers():
    layer, twin = recurra.Dense(2, seed=1), recurra.Dense(2, seed=1)
    x = sequences(N, F, dtype=np.float32)
    y = layer(x)
    parameters, gradients = np.full(100, 9.0, np.float32), np.full(100, 9.0, np.float32)
    layer.bind(parameters[10 : 10 + layer.size], gradients[10 : 10 + layer.size])
    np.testing.assert_array_equal(layer(x), y)
    assert np.shares_memory(layer.parameters["weight"], parameters)
    assert not layer.gradients["weight"].any()
    layer.vjp(x)[1](np.ones_like(y))
    assert gradients[10:16].any()
    assert gradients[0] == parameters[-1] == 9.0
    twin.build(x.shape)
    twin.bind(parameters[: twin.size], gradients[: twin.size])  # bound before it had values
    np.testing.assert_array_equal(twin(x), y)


# Initial values


def test_initial_values_follow_keras():
    layer = recurra.LSTM(64, seed=5)
    layer.build((None, None, 32))
    p = layer.parameters
    limit = np.sqrt(6 / (32 + 4 * 64))
    assert limit * 0.99 < np.abs(p["weight_ih_l0"]).max() <= limit
    np.testing.assert_allclose(p["weight_hh_l0"].T @ p["weight_hh_l0"], np.eye(64), atol=1e-5)
    forget = np.repeat([0.0, 1.0, 0.0, 0.0], 64)
    np.testing.assert_array_equal(p["bias_ih_l0"], forget)
    assert not p["bias_hh_l0"].any()


def test_pytorch_uniform_covers_its_interval():
    name = "pytorch_uniform"
    layer = recurra.GRU(16, kernel_initializer=name, recurrent_initializer=name, bias_initializer=name, seed=5)
    layer.build((None, None, 3))
    for value in layer.parameters.values():
        assert 0.2 < np.abs(value).max() <= 0.25
    dense = recurra.Dense(50, kernel_initializer=name, bias_initializer=name, seed=5)
    dense.build((None, 4))
    assert 0.45 < np.abs(dense.flat_parameters).max() <= 0.5


def test_an_initializer_may_be_a_function():
    layer = recurra.Dense(2, kernel_initializer=lambda shape, seed, stream: np.full(shape, 3.0))
    layer.build((None, F))
    assert (layer.parameters["weight"] == 3.0).all()


def test_seeds_decide_initial_values():
    def weights(**arguments):
        layer = recurra.GRU(H, **arguments)
        layer.build((None, None, F))
        return layer.flat_parameters

    np.testing.assert_array_equal(weights(seed=1), weights(seed=1))
    assert (weights(seed=1) != weights(seed=2)).any()
    recurra.set_random_seed(3)
    first, second = weights(), weights()
    assert (first != second).any()
    recurra.set_random_seed(3)
    np.testing.assert_array_equal(weights(), first)
    np.testing.assert_array_equal(weights(), second)


def test_each_training_call_draws_new_masks_unless_it_is_seeded():
    layer = recurra.LSTM(H, dropout=0.5, seed=1)
    x = sequences(N, T, F, dtype=np.float32)
    assert (layer(x, training=True) != layer(x, training=True)).any()
    np.testing.assert_array_equal(layer(x, training=True, seed=2), layer(x, training=True, seed=2))
    np.testing.assert_array_equal(layer(x), layer(x))


# Dense and Dropout


@pytest.mark.parametrize("shape", [(N, F), (N, T, F), (2, 3, 4, F)])
def test_dense_is_a_product_on_the_last_axis(shape):
    layer = recurra.Dense(2, dtype="float64", seed=1)
    x = sequences(*shape)
    layer.build(shape)
    layer.parameters["bias"][...] = (0.5, -0.25)
    weight, bias = layer.parameters["weight"], layer.parameters["bias"]
    np.testing.assert_allclose(layer(x), x @ weight.T + bias, atol=1e-14)
    dy = sequences(*shape[:-1], 2)
    layer.zero_gradients()
    dx = layer.vjp(x)[1](dy)
    np.testing.assert_allclose(dx, dy @ weight, atol=1e-14)
    np.testing.assert_allclose(layer.gradients["weight"], dy.reshape(-1, 2).T @ x.reshape(-1, F), atol=1e-13)
    np.testing.assert_allclose(layer.gradients["bias"], dy.reshape(-1, 2).sum(0), atol=1e-13)


@pytest.mark.parametrize("activation", [*activations.FORMULAS, "linear", "softmax", None])
def test_dense_takes_every_activation_and_its_gradient_is_right(activation):
    layer = recurra.Dense(4, activation=activation, dtype="float64", seed=3)
    result = recurra.gradcheck(layer, sequences(5, 3))
    assert result.passed, result


def test_softmax_outputs_add_up_to_one():
    y = recurra.Dense(7, activation="softmax")(100 * sequences(N, T, F, dtype=np.float32))
    np.testing.assert_allclose(y.sum(-1), 1.0, rtol=1e-5)


def test_dropout_keeps_the_mean_and_backpropagates_through_its_own_mask():
    layer = recurra.Dropout(0.25, seed=1, dtype="float64")
    x = np.ones((200, 50))
    y, pullback = layer.vjp(x)
    assert set(np.unique(y)) == {0.0, 1 / 0.75}
    assert abs((y == 0).mean() - 0.25) < 0.02
    np.testing.assert_array_equal(pullback(x), y)
    assert layer(x) is x


# Spelling, copies, names


def test_activations_may_be_spelled_five_ways():
    spellings = ("leaky_relu", ("leaky_relu", 0.01), ["leaky_relu", 0.01, 0.0], {"name": "leaky_relu", "alpha": 0.01},
                 activations.leaky_relu(0.01))  # fmt: skip
    assert len({activations.resolve("activation", spelling) for spelling in spellings}) == 1
    assert activations.resolve("activation", "linear") == activations.resolve("activation", None)
    assert activations.resolve("a", "hard_sigmoid") == activations.Activation("hard_sigmoid", 1 / 6, 0.5)


@pytest.mark.parametrize("name", list(activations.FORMULAS))
def test_each_activation_has_a_function_of_its_name(name):
    assert activations.resolve("a", getattr(activations, name)()) == activations.resolve("a", name)


@pytest.mark.parametrize("cls", [recurra.RNN, recurra.LSTM, recurra.GRU])
def test_each_recurrent_layer_says_its_arguments(cls):
    import inspect

    documented = cls.__doc__ or ""
    assert all(name in documented for name in inspect.signature(cls).parameters)


def test_one_layer_serves_several_threads_from_its_first_call():
    from concurrent.futures import ThreadPoolExecutor

    layer = recurra.LSTM(H, seed=2)
    x = sequences(N, T, F, dtype=np.float32)
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda _: layer(x), range(32)))
    for result in results:
        np.testing.assert_array_equal(result, results[0])


def test_the_base_layer_says_what_is_missing():
    with pytest.raises(NotImplementedError, match="Layer defines no __call__"):
        Layer()(np.zeros((1, 2), np.float32))
