"""Models as directed graphs: they compute what calling the layers by hand does, train, freeze, copy and save."""

import pickle

import numpy as np
import pytest

import recurra
from recurra.layers import Layer

RNG = np.random.default_rng(0)
X = RNG.normal(size=(6, 5, 3)).astype(np.float32)
Z = RNG.normal(size=(6, 4, 3)).astype(np.float32)


class Total(Layer):
    """The sum of several inputs."""

    merges = True

    def compute_output_shape(self, input_shape):
        return input_shape[0]

    def __call__(self, x):
        self.check_input(x)
        return sum(x[1:], x[0])

    def vjp(self, x):
        count = len(x)
        return self(x), lambda dy, *, need_dx=True: [dy] * count


def skipping():
    """One input, a shared layer read twice, a skip connection."""
    x = recurra.Input((None, 3))
    shared = recurra.Dense(3, activation="tanh", name="shared", seed=1)
    hidden = recurra.LSTM(3, return_sequences=True, name="lstm", seed=2)(shared(x))
    return recurra.Model(x, recurra.Dense(2, name="head", seed=3)(Total(name="add")([shared(hidden), x])))


def translating():
    """Two inputs; the states after the first start the second; two outputs."""
    source, target = recurra.Input((None, 3), name="source"), recurra.Input((None, 3), name="target")
    _, h, c = recurra.LSTM(4, return_state=True, name="encoder", seed=1)(source)
    decoded = recurra.LSTM(4, return_sequences=True, name="decoder", seed=2)(target, initial_state=[h, c])
    return recurra.Model([source, target], [recurra.Dense(2, name="steps", seed=3)(decoded),
                                            recurra.Dense(1, name="value", seed=4)(h)])  # fmt: skip


def custom_objects():
    return {"Total": Total}


def test_a_graph_computes_what_its_layers_do():
    model = skipping()
    shared, lstm, add, head = model.layers
    assert [layer.name for layer in model.layers] == ["shared", "lstm", "add", "head"]
    by_hand = head(add([shared(lstm(shared(X))), X]))
    np.testing.assert_array_equal(model(X), by_hand)
    np.testing.assert_array_equal(model.predict(X, batch_size=4), by_hand)


def test_states_pass_from_layer_to_layer():
    model = translating()
    encoder, decoder, steps, value = (model.layers[i] for i in range(4))
    _, h, c = encoder(X)
    first, second = model([X, Z])
    np.testing.assert_array_equal(first, steps(decoder(Z, initial_state=[h, c])))
    np.testing.assert_array_equal(second, value(h))


@pytest.mark.parametrize("lengths", [None, [5, 3, 1, 0, 2, 4]])
def test_gradients_of_a_graph_are_finite_differences(lengths):
    result = recurra.gradcheck(skipping(), X, lengths=lengths)
    assert result, result
    names = {row.name for row in result.rows}
    assert {"shared.weight", "lstm.weight_hh_l0", "x"} <= names


def test_gradients_of_several_inputs_and_outputs_are_finite_differences():
    result = recurra.gradcheck(translating(), [X, Z])
    assert result, result
    assert {"x[0]", "x[1]", "encoder.weight_hh_l0"} <= {row.name for row in result.rows}


def test_an_output_without_a_gradient_costs_none():
    model = translating()
    (_, second), pullback = model.vjp([X, Z])
    model.zero_gradients()
    dx = pullback([None, np.ones_like(second)])
    assert dx[1] is None
    assert not model.gradients["decoder.weight_ih_l0"].any()
    assert model.gradients["encoder.weight_ih_l0"].any()


def test_several_outputs_train_with_losses_of_their_own():
    model = translating()
    model.compile("adam", {"steps": "mse", "value": "mse"}, loss_weights={"value": 0.5}, metrics={"steps": ["mae"]})
    y = [np.zeros((6, 4, 2)), np.zeros((6, 1))]
    before = model.evaluate([X, Z], y, verbose=0, return_dict=True)
    assert list(before) == ["loss", "steps_loss", "value_loss", "steps_mae"]
    assert before["loss"] == pytest.approx(before["steps_loss"] + 0.5 * before["value_loss"], rel=1e-6)
    history = model.fit({"source": X, "target": Z}, {"steps": y[0], "value": y[1]}, epochs=30, verbose=0, seed=1)
    assert history.history["loss"][-1] < before["loss"]


def test_a_graph_trains_as_the_chain_that_it_is():
    """The same layers as a chain and as a graph: the same bits after five steps."""

    def layers():
        return [recurra.GRU(4, return_sequences=True, dropout=0.3, seed=1), recurra.Dense(2, seed=2)]

    chain = recurra.Sequential(layers())
    x = recurra.Input((None, 3))
    y = x
    for layer in layers():
        y = layer(y)
    graph = recurra.Model(x, y)
    for model in (chain, graph):
        model.compile("adam", "mse")
        model.fit(X, np.ones((6, 5, 2)), batch_size=4, epochs=3, verbose=0, seed=5, lengths=[5, 3, 1, 0, 2, 4])
    np.testing.assert_array_equal(chain.flat_parameters, graph.flat_parameters)


@pytest.mark.parametrize("make", [skipping, translating])
def test_copies_and_files_hold_the_whole_graph(make, tmp_path):
    model = make()
    x = X if make is skipping else [X, Z]
    if make is skipping:
        model.compile("adam", "mse", metrics=["mae"])
        model.fit(x, np.ones((6, 5, 2)), epochs=2, verbose=0)
    model.save(tmp_path / "m.safetensors")
    loaded = recurra.load_model(tmp_path / "m.safetensors", custom_objects())
    copies = [loaded, pickle.loads(pickle.dumps(model)), model.clone()]
    wanted = model(x) if make is skipping else model(x)[0]
    for copy in copies:
        found = copy(x) if make is skipping else copy(x)[0]
        np.testing.assert_array_equal(found, wanted)
        assert [layer.name for layer in copy.layers] == [layer.name for layer in model.layers]
        assert (copy.input_names, copy.output_names) == (model.input_names, model.output_names)
    if make is skipping:
        for copy in (model, loaded):
            copy.fit(x, np.ones((6, 5, 2)), epochs=2, verbose=0, seed=3)
        np.testing.assert_array_equal(loaded.flat_parameters, model.flat_parameters)


def test_a_model_stands_in_another_one():
    x = recurra.Input((None, 3))
    inner = translating()
    steps, _ = inner([x, recurra.LSTM(3, return_sequences=True, seed=7)(x)])
    outer = recurra.Model(x, recurra.Dense(1, seed=8)(steps))
    assert recurra.gradcheck(outer, X)
    assert "model.encoder.weight_hh_l0" in outer.parameters or "functional.encoder.weight_hh_l0" in outer.parameters


def test_frozen_layers_stay_and_thaw():
    model = skipping()
    model.compile("adam", "mse")
    y = np.ones((6, 5, 2))
    model.layers[1].trainable = False
    before = {name: value.copy() for name, value in model.parameters.items()}
    model.fit(X, y, epochs=2, verbose=0)
    for name, value in model.parameters.items():
        assert (value == before[name]).all() == name.startswith("lstm"), name
    model.trainable = False
    kept = model.flat_parameters.copy()
    model.fit(X, y, epochs=1, verbose=0)
    np.testing.assert_array_equal(model.flat_parameters, kept)
    model.trainable = True
    model.fit(X, y, epochs=1, verbose=0)
    assert (model.parameters["lstm.weight_hh_l0"] != before["lstm.weight_hh_l0"]).any()


def test_frozen_stays_frozen_in_a_file(tmp_path):
    model = skipping()
    model.layers[1].trainable = False
    model.save(tmp_path / "m.safetensors")
    loaded = recurra.load_model(tmp_path / "m.safetensors", custom_objects())
    assert [layer.trainable for layer in loaded.layers] == [True, False, True, True]


class Residual(recurra.Model):
    """A model of one's own."""

    def __init__(self, units=3, name=None):
        super().__init__(name=name)
        self.units = units
        self.inner = recurra.GRU(units, return_sequences=True, dropout=0.2, seed=1)
        self.last = recurra.Dense(units, seed=2)

    def get_config(self):
        return {"units": self.units}

    def __call__(self, x, lengths=None, training=False, seed=None):
        return x + self.last(self.inner(x, lengths=lengths, training=training, seed=seed))

    def vjp(self, x, lengths=None, training=True, seed=None):
        hidden, inner = self.inner.vjp(x, lengths=lengths, training=training, seed=seed)
        y, last = self.last.vjp(hidden)

        def pullback(dy, *, need_dx=True):
            dx = inner(last(dy), need_dx=need_dx)
            return dy + dx if need_dx else None

        return x + y, pullback


def test_a_class_of_ones_own_finds_its_layers_and_trains():
    model = Residual()
    model.compile("adam", "mse")
    y = np.zeros((6, 5, 3))
    first = model.evaluate(X, y, verbose=0)
    model.fit(X, y, epochs=30, verbose=0, seed=1, lengths=[5, 3, 1, 0, 2, 4])
    assert model.evaluate(X, y, verbose=0) < first
    assert {name.split(".")[0] for name in model.parameters} == {"inner", "last"}


def test_a_class_of_ones_own_is_saved_and_loaded(tmp_path):
    model = Residual()
    model.build((None, None, 3))
    model.save(tmp_path / "m.safetensors")
    loaded = recurra.load_model(tmp_path / "m.safetensors", {"Residual": Residual})
    np.testing.assert_array_equal(loaded(X), model(X))


def test_mistakes_in_a_graph_are_named():
    x, other = recurra.Input((None, 3), name="x"), recurra.Input((None, 3), name="other")
    layer = recurra.Dense(2)
    y = layer(x)
    with pytest.raises(ValueError, match=r"inputs: expected 'x' among them, got an output that needs it"):
        recurra.Model(other, y)
    with pytest.raises(TypeError, match=r"outputs: expected placeholders"):
        recurra.Model(x, np.zeros(3))
    with pytest.raises(ValueError, match=r"outputs: expected outputs of layers, got inputs alone"):
        recurra.Model(x, x)
    with pytest.raises(TypeError, match=r"inputs: expected placeholders from Input.*got None"):
        recurra.Model()
    with pytest.raises(TypeError, match=r"x: expected one input for 'dense'"):
        recurra.Dense(2)([x, other])
    with pytest.raises(TypeError, match=r"call: expected arguments of 'lstm' that a graph can hold, got mask"):
        recurra.LSTM(2)(x, mask=other)
    with pytest.raises(ValueError, match=r"float32 for 'dense', got int64"):
        recurra.Dense(2)(recurra.Input((3,), dtype="int64"))
    with pytest.raises(TypeError, match=r"an array, got.*SymbolicTensor.*call layers on it"):
        np.asarray(x)


def test_wrong_structures_of_data_are_named():
    model = translating()
    model.compile("adam", "mse")
    y = [np.zeros((6, 4, 2)), np.zeros((6, 1))]
    with pytest.raises(TypeError, match=r"x: expected a list or dictionary of 2 inputs"):
        model.fit(X, y)
    with pytest.raises(ValueError, match=r"x: expected 2 entries, got 3; source, target"):
        model.fit([X, Z, Z], y)
    with pytest.raises(ValueError, match=r"x: expected 6 samples in every input, got 5 in 'target'"):
        model.fit([X, Z[:5]], y)
    with pytest.raises(ValueError, match=r"output 'value': y: expected shape"):
        model.fit([X, Z], [y[0], np.zeros((6, 3))])
    with pytest.raises(ValueError, match=r"y: expected .*'steps'.*'value'|steps"):
        model.fit([X, Z], {"nothing": y[0]})


def test_a_graph_of_another_models_layers_runs_them_as_they_are():
    """Keras's way to translate: the encoder and the decoder as models of their own, after training."""
    model = translating()
    encoder, decoder, steps, _ = model.layers
    source, target = recurra.Input((None, 3)), recurra.Input((None, 3))
    h0, c0 = recurra.Input((4,)), recurra.Input((4,))
    encode = recurra.Model(source, encoder(source)[1:])
    decode = recurra.Model([target, h0, c0], steps(decoder(target, initial_state=[h0, c0])))
    model.compile("adam", {"steps": "mse", "value": "mse"})
    y = [np.zeros((6, 4, 2)), np.zeros((6, 1))]
    for _ in range(2):
        np.testing.assert_array_equal(decode.predict([Z, *encode.predict(X)]), model.predict([X, Z])[0])
        model.fit([X, Z], y, verbose=0)
    assert "encoder.weight_hh_l0" in encode.parameters
    encode.compile("adam", "mse")
    with pytest.raises(ValueError, match=r"model: expected one whose layers are its own, got layers of 'functional'"):
        encode.fit(X, [np.zeros((6, 4)), np.zeros((6, 4))])
    with pytest.raises(ValueError, match=r"save that model, or draw the graph with copies"):
        encode.save("never.safetensors")


def test_copies_of_layers_stand_in_a_new_model():
    model = skipping()
    new = recurra.Sequential([*(layer.clone() for layer in model.layers[:2]), recurra.Dense(1)])
    np.testing.assert_array_equal(new.layers[1](new.layers[0](X)), model.layers[1](model.layers[0](X)))
    with pytest.raises(ValueError, match=r"layer: expected a layer of no model yet.*layer\.clone\(\) is a copy"):
        recurra.Sequential(model.layers[:2])


def test_an_input_opens_a_chain_and_builds_it():
    model = recurra.Sequential([recurra.Input((7, 3)), recurra.LSTM(4), recurra.Dense(2)])
    assert model.built
    assert model.output_shape == (None, 2)
    assert model.count_params() == model.size == 154  # two biases, as in PyTorch
    later = recurra.Sequential()
    later.add(recurra.Input((None,)))
    later.add(recurra.Embedding(10, 4))
    later.add(recurra.GRU(3))
    later.compile("adam", "mse")
    assert "gru.weight_hh_l0" in later.parameters
    with pytest.raises(ValueError, match=r"layer: expected an Input before all layers"):
        recurra.Sequential([recurra.Dense(2), recurra.Input((3,))])


def test_an_input_takes_integers_if_an_embedding_reads_it():
    x = recurra.Input((None,))
    model = recurra.Model(x, recurra.Dense(1)(recurra.GRU(3)(recurra.Embedding(10, 4)(x))))
    assert model.inputs[0].dtype == np.int64
    ones = model.predict(np.ones((2, 5), int))
    np.testing.assert_array_equal(model.predict(np.ones((2, 5))), ones)  # whole numbers, as files hold them
    with pytest.raises(TypeError, match=r"x: expected integers, got float64"):
        model.predict(np.full((2, 5), 0.5))


def test_layers_are_found_by_name_and_number():
    model = skipping()
    assert model.get_layer("lstm") is model.layers[1] is model.get_layer(index=1)
    with pytest.raises(ValueError, match=r"name: expected one of 'shared', 'lstm', 'add', 'head', got 'lstn'"):
        model.get_layer("lstn")
    with pytest.raises(ValueError, match=r"name: expected a name or an index, got neither"):
        model.get_layer()
