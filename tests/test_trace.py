"""`layer.trace`, `model.trace` and `pullback.with_hidden`: what they return, under which names."""

import numpy as np
import pytest

import recurra
from recurra.layers import Layer, Recurrent, Trace
from recurra.models import Model

RNG = np.random.default_rng(9)
N, T, F, H = 3, 6, 4, 5
X = RNG.standard_normal((N, T, F))
LENGTHS = np.array([4, T, 0])


def built(cls, **options):
    layer = cls(H, dtype="float64", **{"return_sequences": True, **options})
    layer.build((None, None, F))
    layer.flat_parameters[...] = RNG.uniform(-0.9, 0.9, layer.size)
    return layer


def before(states, initial):
    """The states before each step."""
    return np.concatenate([initial[:, None], states[:, :-1]], axis=1)


def test_an_lstm_s_trace_satisfies_its_equations():
    """c' = f c + i g and h = o tanh c', to 1e-12 in float64; the outputs are those of a call, bit for bit."""
    layer = built(recurra.LSTM)
    initial = [RNG.standard_normal((N, H)), RNG.standard_normal((N, H))]
    trace = layer.trace(X, initial_state=initial)
    gates = trace.gates
    assert list(gates) == ["i", "f", "g", "o"]
    np.testing.assert_allclose(
        trace.c, gates["f"] * before(trace.c, initial[1]) + gates["i"] * gates["g"], atol=1e-12, rtol=0
    )
    np.testing.assert_allclose(trace.h, gates["o"] * np.tanh(trace.c), atol=1e-12, rtol=0)
    np.testing.assert_array_equal(trace.outputs, layer(X, initial_state=initial))
    np.testing.assert_array_equal(trace.h, trace.outputs)


def test_an_lstm_s_gates_are_in_the_order_of_its_weights():
    """sigmoid(W x + b + U h + c) of each gate's own rows, tanh for g, to 1e-12 in float64."""
    layer = built(recurra.LSTM)
    trace, weights = layer.trace(X), layer.parameters
    z = X @ weights["weight_ih_l0"].T + weights["bias_ih_l0"] + weights["bias_hh_l0"]
    z += before(trace.h, np.zeros((N, H))) @ weights["weight_hh_l0"].T
    for number, name in enumerate("ifgo"):
        part = z[..., number * H : (number + 1) * H]
        expected = np.tanh(part) if name == "g" else 1 / (1 + np.exp(-part))
        np.testing.assert_allclose(trace.gates[name], expected, atol=1e-12, rtol=0)


def test_a_gru_s_trace_satisfies_its_equations():
    """h' = (1 - z) n + z h, r and z from their own rows, to 1e-12 in float64."""
    layer = built(recurra.GRU)
    trace, weights = layer.trace(X), layer.parameters
    gates, h = trace.gates, before(trace.h, np.zeros((N, H)))
    assert list(gates) == ["r", "z", "n"]
    assert trace.c is None
    np.testing.assert_allclose(trace.h, (1 - gates["z"]) * gates["n"] + gates["z"] * h, atol=1e-12, rtol=0)
    z = X @ weights["weight_ih_l0"].T + weights["bias_ih_l0"] + weights["bias_hh_l0"] + h @ weights["weight_hh_l0"].T
    for number, name in enumerate("rz"):
        expected = 1 / (1 + np.exp(-z[..., number * H : (number + 1) * H]))
        np.testing.assert_allclose(gates[name], expected, atol=1e-12, rtol=0)


def test_an_rnn_has_states_and_no_gates():
    layer = built(recurra.RNN)
    trace = layer.trace(X, lengths=LENGTHS)
    assert trace.gates == {}
    np.testing.assert_array_equal(trace.h, layer(X, lengths=LENGTHS))


def test_layers_and_directions_come_under_pytorch_s_suffixes():
    """Outputs of the last layer are both directions side by side; each direction is a layer of its own, to 1e-12."""
    layer = built(recurra.LSTM, num_layers=2, bidirectional=True)
    trace = layer.trace(X, lengths=LENGTHS)
    assert isinstance(trace, Trace)
    assert list(trace) == ["l0", "l0_reverse", "l1", "l1_reverse"]
    np.testing.assert_array_equal(np.concatenate([trace["l1"].h, trace["l1_reverse"].h], axis=-1), trace.outputs)
    alone = built(recurra.LSTM)
    for name, value in alone.parameters.items():
        value[...] = layer.parameters[f"{name}_reverse"]
    backwards = np.zeros_like(X)
    for row, length in enumerate(LENGTHS):
        backwards[row, :length] = X[row, :length][::-1]
    expected = alone.trace(backwards, lengths=LENGTHS)
    for row, length in enumerate(LENGTHS):
        for name in "ifgo":
            actual = trace["l0_reverse"].gates[name][row]
            np.testing.assert_allclose(actual[:length][::-1], expected.gates[name][row, :length], atol=1e-12, rtol=0)
            np.testing.assert_array_equal(actual[length:], 0)
    with pytest.raises(ValueError, match=r"^trace: expected one layer in one direction, got l0, l0_reverse, l1"):
        _ = trace.h


def test_bidirectional_takes_part_and_a_learned_state_counts():
    layer = recurra.Bidirectional(recurra.GRU(H, dtype="float64", trainable_initial_state=True))
    layer.build((None, None, F))
    layer.parameters["h0"][...] = 0.7
    trace = layer.trace(X)
    assert list(trace) == ["l0", "l0_reverse"]
    np.testing.assert_array_equal(trace.outputs, layer(X))
    z, n = trace["l0"].gates["z"][:, 0], trace["l0"].gates["n"][:, 0]
    np.testing.assert_allclose(trace["l0"].h[:, 0], (1 - z) * n + z * 0.7, atol=1e-12, rtol=0)


def test_a_wrong_argument_is_explained():
    layer = built(recurra.LSTM)
    with pytest.raises(TypeError, match=r"^x: expected float64, got float32"):
        layer.trace(X.astype(np.float32))
    with pytest.raises(ValueError, match=r"^lengths: expected values from 0 to 6, got 7 in sample 0"):
        layer.trace(X, lengths=[7, 1, 1])
    with pytest.raises(ValueError, match=r"^initial_state: expected 2 arrays, got 1"):
        layer.trace(X, initial_state=[np.zeros((N, H))])


# Gradients of hidden states


def loss_after(layer, weight, step, states):
    """The loss as a function of the state after ``step``: sum of weight * outputs from there on."""
    value = (weight[:, step] * states[0]).sum()
    if step + 1 < T:
        value += (weight[:, step + 1 :] * layer(X[:, step + 1 :], initial_state=list(states))).sum()
    return value


@pytest.mark.parametrize("cls", [recurra.RNN, recurra.LSTM, recurra.GRU])
def test_the_gradient_of_a_hidden_state_is_a_difference_quotient(cls):
    """Central differences of the loss over what follows, float64, step 1e-6: to 1e-7 of the largest."""
    layer, weight = built(cls), RNG.standard_normal((N, T, H))
    trace = layer.trace(X)
    _, pullback = layer.vjp(X, training=False)
    dx, hidden = pullback.with_hidden(weight)
    assert list(hidden) == ["l0"]
    assert dx.shape == X.shape
    dh = hidden["l0"]
    for step in (0, 2, T - 1):
        states = [trace.h[:, step].copy()] + ([trace.c[:, step].copy()] if cls is recurra.LSTM else [])
        expected = np.zeros((N, H))
        for index in np.ndindex(N, H):
            values = []
            for change in (1e-6, -1e-6):
                states[0][index] += change
                values.append(loss_after(layer, weight, step, states))
                states[0][index] -= change
            expected[index] = (values[0] - values[1]) / 2e-6
        np.testing.assert_allclose(dh[:, step], expected, atol=1e-7 * np.abs(expected).max(), rtol=0)


def test_asking_for_hidden_gradients_changes_no_other_gradient():
    layer = built(recurra.LSTM, bidirectional=True, return_sequences=False)
    y, pullback = layer.vjp(X, lengths=LENGTHS, training=False)
    dx, hidden = pullback.with_hidden(np.ones_like(y), retain_graph=True)
    asked = layer.flat_gradients.copy()
    layer.zero_gradients()
    np.testing.assert_array_equal(pullback(np.ones_like(y)), dx)
    np.testing.assert_array_equal(layer.flat_gradients, asked)
    assert list(hidden) == ["l0", "l0_reverse"]
    np.testing.assert_array_equal(hidden["l0"][0, 3], 1)  # the last step that counts gives the output
    np.testing.assert_array_equal(hidden["l0_reverse"][1, 0], 1)
    np.testing.assert_array_equal(hidden["l0"][0, 4:], 0)
    np.testing.assert_array_equal(hidden["l0"][2], 0)


# Models


def test_a_chain_s_trace_has_every_layer_s_output_by_name():
    model = recurra.Sequential([recurra.LSTM(H, return_sequences=True), recurra.GRU(4), recurra.Dense(2, name="out")])
    trace = model.trace(X, lengths=LENGTHS)
    assert list(trace) == ["lstm", "gru", "out"]
    assert isinstance(trace["lstm"], Trace)
    assert trace["gru"].gates["z"].shape == (N, T, 4)
    np.testing.assert_array_equal(trace["lstm"].h[0, 4:], 0)
    np.testing.assert_array_equal(trace["gru"].h[2], 0)
    np.testing.assert_array_equal(trace["out"], model.predict(X, lengths=LENGTHS))


def test_a_graph_s_trace_follows_states_shared_layers_and_inner_models():
    source, target = recurra.Input((None, F)), recurra.Input((None, F))
    shared = recurra.Dense(3, name="shared")
    encoded, h, c = recurra.LSTM(H, return_state=True, name="encoder")(source)
    decoded = recurra.LSTM(H, return_sequences=True, name="decoder")(target, initial_state=[h, c])
    inner = recurra.Sequential([recurra.GRU(3, name="gru")], name="inner")
    model = recurra.Model([source, target], [shared(decoded), shared(encoded), inner(decoded)])
    x = [X.astype(np.float32), X[:, ::-1].astype(np.float32)]
    trace = model.trace(x)
    assert set(trace) == {"encoder", "decoder", "shared", "shared_1", "inner.gru", "inner"}
    outputs = model.predict(x)
    np.testing.assert_array_equal(trace["shared"], outputs[0])
    np.testing.assert_array_equal(trace["shared_1"], outputs[1])
    np.testing.assert_array_equal(trace["inner"], outputs[2])
    np.testing.assert_array_equal(trace["inner.gru"].outputs, outputs[2])
    decoder = next(layer for layer in model.layers if layer.name == "decoder")
    assert isinstance(decoder, Recurrent)
    states = [trace["encoder"].h[:, -1], trace["encoder"].c[:, -1]]
    np.testing.assert_array_equal(trace["decoder"].h, decoder(x[1], initial_state=states))


def test_a_model_of_one_s_own_is_not_traced():
    class Own(Model):
        def __init__(self):
            super().__init__()
            self.inner = recurra.GRU(3)

        def __call__(self, x):
            return self.inner(x)

    assert isinstance(Own(), Layer)
    with pytest.raises(ValueError, match=r"^model: expected a Sequential or a Model\(inputs, outputs\), got 'own'"):
        Own().trace(X)
