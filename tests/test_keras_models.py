"""Models in Keras's files: configurations made by hand, what is refused, and our own models there and back."""

import json
import warnings

import numpy as np
import pytest

import recurra
from keras_configs import (
    DENSE,
    GRU,
    LSTM,
    archive_of,
    cell_tree,
    functional,
    layer,
    node,
    random_lstm,
    ref,
    sequential,
    start,
)
from keras_files import legacy, random
from recurra.keras.rows import CELLS, ROWS
from recurra.layers import Layer
from test_keras_weights import keras_lstm

h5py = pytest.importorskip("h5py")


@pytest.fixture
def generator():
    return np.random.default_rng(0)


def refused(path, config, match, **options):
    with pytest.raises(ValueError, match=match) as caught:
        recurra.load(archive_of(path / "m.keras", config, **options))
    assert "m.keras: " in str(caught.value)


def test_a_chain_of_keras_3_computes_what_its_weights_say(tmp_path, generator):
    arrays = random_lstm(generator, 3, 4)
    config = sequential(start([None, 3]), layer("LSTM", "first", LSTM))
    model = recurra.load(archive_of(tmp_path / "m.keras", config, {"layers": {"lstm": cell_tree(*arrays)}}))
    x = random(generator, 2, 7, 3)
    assert np.abs(model(x) - keras_lstm(x, *arrays)).max() < 1e-6
    assert [one.name for one in model.layers] == ["first"]


@pytest.mark.parametrize(("version", "slope"), [("2.15.0", 0.2), ("2.4.0-tf", 0.2), ("3.6.0", 1 / 6)])
def test_hard_sigmoid_is_that_of_the_generation(tmp_path, version, slope):
    config = sequential(start([5]), layer("Activation", "act", {"activation": "hard_sigmoid"}))
    model = recurra.load(archive_of(tmp_path / "m.keras", config, version=version))
    x = np.linspace(-4, 4, 5, dtype=np.float32)[None]
    assert np.abs(model(x) - np.clip(slope * x + 0.5, 0, 1)).max() < 1e-6


def test_hard_sigmoid_of_an_unknown_generation_is_refused(tmp_path):
    config = sequential(start([5]), layer("Activation", "act", {"activation": "hard_sigmoid"}))
    refused(tmp_path, config, r"layer 'act' \(Activation\): expected a file that says Keras's version", version="")


def test_a_graph_of_keras_2_passes_states_from_layer_to_layer(tmp_path, generator):
    encoder, decoder = random_lstm(generator, 3, 4), random_lstm(generator, 2, 4)
    parts = [
        {"class_name": "InputLayer", "name": name, "inbound_nodes": [],
         "config": {"name": name, "batch_input_shape": [None, None, size], "dtype": "float32"}}
        for name, size in (("a", 3), ("b", 2))
    ]  # fmt: skip
    for name, options, calls in (
        ("enc", {**LSTM, "return_state": True}, [[["a", 0, 0, {}]]]),
        ("dec", LSTM, [[["b", 0, 0, {}], ["enc", 0, 1, {}], ["enc", 0, 2, {}]]]),
    ):
        part = layer("LSTM", name, {**options, "time_major": False, "implementation": 1})
        parts.append({**part, "name": name, "inbound_nodes": calls})
    ends = {"input_layers": [["a", 0, 0], ["b", 0, 0]], "output_layers": [["dec", 0, 0]]}
    config = {"class_name": "Model", "config": {"name": "model", "layers": parts, **ends}}
    weights = {
        "a": {},
        "b": {},
        "enc": dict(zip("kub", encoder, strict=True)),
        "dec": dict(zip("kub", decoder, strict=True)),
    }
    legacy(
        h5py, tmp_path / "m.h5", weights, under="model_weights", model_config=json.dumps(config), keras_version="2.2.4"
    )
    model = recurra.load(tmp_path / "m.h5")
    a, b = random(generator, 2, 5, 3), random(generator, 2, 6, 2)
    by_hand = recurra.LSTM(4, return_state=True), recurra.LSTM(4)
    for one, arrays in zip(by_hand, (encoder, decoder), strict=True):
        kernel, recurrent, bias = arrays
        one.build((None, None, kernel.shape[0]))
        one.set_weights([kernel.T, recurrent.T, bias, np.zeros_like(bias)])
    _, h, c = by_hand[0](a)
    assert np.abs(model([a, b]) - by_hand[1](b, initial_state=[h, c])).max() < 1e-6


def test_a_graph_of_keras_3_with_its_masks_is_drawn(tmp_path, generator):
    tokens = start([None], "tokens", "int32")
    embedding = layer("Embedding", "embedding", {"input_dim": 9, "output_dim": 3, "mask_zero": True})
    told = {"module": "keras.src.ops.numpy", "class_name": "NotEqual", "config": {"name": "mask"}}
    arrays, table = random_lstm(generator, 3, 4), random(generator, 9, 3)
    config = functional(
        [(tokens, []), (embedding, [node(ref("tokens"))]), (told, [node(ref("tokens"), 0)]),
         (layer("LSTM", "lstm", LSTM), [node(ref("embedding"), mask=ref("mask"), training=None)])],
        ["tokens"], ["lstm"],
    )  # fmt: skip
    weights = {"layers": {"embedding": {"vars": {"0": table}}, "lstm": cell_tree(*arrays)}}
    model = recurra.load(archive_of(tmp_path / "m.keras", config, weights))
    x = np.array([[4, 2, 7, 0, 0], [1, 2, 3, 4, 5]])
    for row, count in zip(x, (3, 5), strict=True):
        assert (
            np.abs(model(x[:1] if count == 3 else x[1:]) - keras_lstm(table[row[:count]][None], *arrays)).max() < 1e-6
        )
    config["config"]["layers"][2]["inbound_nodes"] = [node(ref("tokens"), 5)]
    refused(tmp_path, config, r"layer 'lstm' \(LSTM\): expected the mask that comes with its input", weights=weights)


def test_models_in_models_and_shared_layers_are_drawn(tmp_path, generator):
    first, second = (recurra.Input((None, 3)) for _ in range(2))
    shared, inner = recurra.GRU(4), recurra.Sequential([recurra.Input((4,)), recurra.Dense(3)], name="inner")
    x, y = shared(first), shared(second)
    model = recurra.Model([first, second], [recurra.layers.Add()([inner(x), inner(y)]), x])
    model.save(tmp_path / "m.keras")
    again = recurra.load(tmp_path / "m.keras")
    data = [random(generator, 2, 5, 3), random(generator, 2, 4, 3)]
    for ours, theirs in zip(model(data), again(data), strict=True):
        assert np.abs(ours - theirs).max() < 1e-6


OPTIONS = {
    "SimpleRNN": [{"units": 3}], "LSTM": [{"units": 3, "dropout": 0.2}, {"units": 2, "go_backwards": True}],
    "GRU": [{"units": 3, "reset_after": False}], "Dense": [{"units": 2, "activation": "softmax"}],
    "Embedding": [{"input_dim": 9, "output_dim": 3}], "Conv1D": [{"filters": 4, "kernel_size": 3, "padding": "causal"}],
    "Dropout": [{"rate": 0.5}], "SpatialDropout1D": [{"rate": 0.5}], "GaussianNoise": [{"stddev": 1.0}],
    "GaussianDropout": [{"rate": 0.5}], "Activation": [{"activation": a} for a in ("elu", "hard_sigmoid")],
    "ReLU": [{"max_value": 1.0, "threshold": 0.5}], "LeakyReLU": [{"negative_slope": 0.1}], "ELU": [{"alpha": 0.5}],
    "Reshape": [{"target_shape": (3, 5)}], "Permute": [{"dims": (2, 1)}], "MaxPooling1D": [{"pool_size": 2}],
    "RepeatVector": [{"n": 3}], "LayerNormalization": [{"scale": False}], "BatchNormalization": [{"center": False}],
    "Dot": [{"axes": 1}], "Attention": [{"use_scale": True}], "Normalization": [{}, {"mean": 1.0, "variance": 4.0}],
}  # fmt: skip
# Keras's classes that stand for others of ours.
STAND_FOR = {"CuDNNLSTM", "CuDNNGRU", "ThresholdedReLU", "Identity", "Rescaling"}


@pytest.mark.parametrize("kind", sorted(set(ROWS) - STAND_FOR))
def test_every_layer_of_the_table_goes_to_a_file_and_comes_back(tmp_path, generator, kind):
    own = recurra.layers.SimpleRNN if kind == "SimpleRNN" else getattr(recurra.layers, kind)
    for options in OPTIONS.get(kind, [{}]):
        one = own(**options)
        tokens = one.integer_input
        shape = (5,) if tokens or kind == "RepeatVector" else (5, 3)
        starts = [recurra.Input(shape) for _ in range(2 if one.merges else 1)]
        model = recurra.Model(starts, one(starts) if one.merges else one(starts[0]))
        model.set_weights([np.abs(random(generator, *w.shape)) + 0.1 for w in model.get_weights()])
        model.save(tmp_path / "m.keras")
        again = recurra.load(tmp_path / "m.keras")
        x = [generator.integers(0, 9, (2, 5)) if tokens else random(generator, 2, *shape) for _ in starts]
        given = x if one.merges else x[0]
        assert np.abs(model(given) - again(given)).max() < 1e-6
        assert type(again.layers[0]) is type(one)


@pytest.mark.parametrize("kind", sorted(CELLS))
def test_cells_go_to_a_file_and_come_back(tmp_path, generator, kind):
    cell = getattr(recurra, kind)
    for cells in (cell(3), [cell(3), recurra.LSTMCell(2)]):
        model = recurra.Sequential([recurra.Input((None, 3)), recurra.RNN(cells, return_sequences=True)])
        model.set_weights([random(generator, *w.shape) for w in model.get_weights()])
        model.save(tmp_path / "m.keras")
        x = random(generator, 2, 5, 3)
        assert np.abs(model(x) - recurra.load(tmp_path / "m.keras")(x)).max() < 1e-6


@pytest.mark.parametrize("mode", ["concat", "sum", "mul", "ave"])
def test_bidirectional_goes_to_a_file_and_comes_back(tmp_path, generator, mode):
    layers = [recurra.Bidirectional(recurra.GRU(3, return_sequences=True), merge_mode=mode), recurra.Dense(2)]
    model = recurra.Sequential(
        [recurra.Input((None, 3)), recurra.Masking(), recurra.TimeDistributed(recurra.Dense(4)), *layers]
    )
    model.save(tmp_path / "m.keras")
    x = random(generator, 2, 5, 3)
    x[1, 3:] = 0
    assert np.abs(model(x) - recurra.load(tmp_path / "m.keras")(x)).max() < 1e-6


def test_regularizers_constraints_and_frozen_layers_come_back(tmp_path):
    dense = recurra.Dense(
        2, kernel_regularizer=recurra.regularizers.L2(0.5), kernel_constraint=recurra.constraints.MaxNorm(3)
    )
    model = recurra.Sequential([recurra.Input((3,)), dense, recurra.Dense(2)])
    model.layers[1].trainable = False
    model.save(tmp_path / "m.keras")
    again = recurra.load(tmp_path / "m.keras")
    config = again.layers[0].get_config()
    assert config["kernel_regularizer"]["config"] == {"l2": 0.5}
    assert (
        config["kernel_constraint"]["config"] == {"max_value": 3, "axis": -1}
        or config["kernel_constraint"]["config"]["axis"] == 1
    )
    assert [one.trainable for one in again.layers] == [True, False]


class Scale(Layer):
    """A layer of one's own, which stands for a custom one of Keras."""

    def __init__(self, factor=1.0, *, dtype="float32", name=None, seed=None):
        super().__init__(dtype=dtype, name=name, seed=seed)
        self.factor = factor

    def build(self, input_shape):
        super().build(input_shape)
        self.add_weight("scale", (input_shape[-1],), "ones")

    def __call__(self, x):
        self.ensure_built(x.shape)
        return x * self.parameters["scale"] * self.factor

    def vjp(self, x):
        raise NotImplementedError


def test_custom_layers_of_keras_are_what_custom_objects_say(tmp_path, generator):
    config = sequential(start([3]), layer("Own", "own", {"factor": 2.0, "dtype": "float32"}))
    weights = {"layers": {"own": {"vars": {"0": np.array([1, 2, 3], np.float32)}}}}
    path = archive_of(tmp_path / "m.keras", config, weights)
    model = recurra.load_model(path, custom_objects={"Own": Scale})
    assert model(np.ones((1, 3), np.float32)).tolist() == [[2, 4, 6]]
    refused(tmp_path, config, "layer 'own': expected one of .*got class 'Own'; a class of your own .* custom_objects")


LAMBDA = {"function": ["4wEAAAA=", None, None], "function_type": "lambda"}


def odd(kind, options=None, **more):
    return layer(kind, "odd", {**(options or {}), **more})


FUNCTION = {"class_name": "function", "config": "f", "module": "m"}
BACK = layer("LSTM", "back", {**LSTM, "units": 5, "go_backwards": True})
MINE = {"class_name": "Mine", "config": {}}
REFUSALS = [
    (odd("Lambda", LAMBDA), "layer 'odd': .*class 'Lambda'; its code cannot be run"),
    (odd("TextVectorization"), "layer 'odd': .*class 'TextVectorization'; split the model behind it"),
    (odd("ConvLSTM2D"), "layer 'odd': expected one of .*LSTM.*got class 'ConvLSTM2D'"),
    (odd("LSTM", LSTM, time_major=True), r"layer 'odd' \(LSTM\): expected time_major=False, got True"),
    (odd("LSTM", LSTM, depth=2), r"layer 'odd' \(LSTM\): expected options that are known, got depth=2"),
    (odd("LSTM", LSTM, activation="gelu"), r"layer 'odd' \(LSTM\): expected activation of .*got 'gelu'"),
    (odd("LSTM", LSTM, dtype="float16"), r"\(LSTM\): expected dtype float32 or float64, got 'float16'"),
    (odd("LSTM", LSTM, activity_regularizer=MINE), r"\(LSTM\): expected activity_regularizer=None"),
    (odd("LSTM", LSTM, kernel_constraint=MINE), "expected a constraint of MaxNorm"),
    (odd("Dense", units=2, activation=FUNCTION), "expected activation of linear"),
    (odd("Bidirectional", merge_mode=None, layer=layer("LSTM", "in", LSTM)), "merge_mode 'concat'"),
    (
        odd("Bidirectional", layer=layer("LSTM", "in", LSTM), backward_layer=BACK),
        "same options, .*got 'units' differing",
    ),
    (odd("Bidirectional", layer=layer("Dense", "in", DENSE)), "one of SimpleRNN.* in it, got 'Dense'"),
    (odd("RNN", cell=layer("Mine", "in", {})), r"layer 'odd' \(RNN\): expected cells of .*got 'Mine'"),
    (odd("Conv1D", filters=2, kernel_size=[3], data_format="channels_first"), "data_format=None"),
]


@pytest.mark.parametrize(("part", "match"), REFUSALS)
def test_what_cannot_be_honoured_is_refused_by_name(tmp_path, part, match):
    refused(tmp_path, sequential(start([None, 3]), part), match)


@pytest.mark.parametrize(
    ("reader", "match"),
    [
        ([layer("Conv1D", "odd", {"filters": 2, "kernel_size": [2]})], r"layer 'odd' \(Conv1D\): expected a mask that"),
        ([layer("GlobalMaxPooling1D", "odd", {})], r"'odd' \(GlobalMaxPooling1D\): .*Keras takes the padding"),
        (
            [layer("LSTM", "in", {**LSTM, "return_sequences": True}), layer("Flatten", "odd", {})],
            r"'odd' \(Flatten\): ",
        ),
        ([layer("GRU", "odd", {**GRU, "return_sequences": True, "go_backwards": True})], "'odd' .*go_backwards=False"),
        (
            [layer("LSTM", "odd", {**LSTM, "zero_output_for_mask": True})],
            "'odd' .*zero_output_for_mask=False with a mask",
        ),
    ],
)
def test_masks_that_would_be_read_otherwise_are_refused(tmp_path, reader, match):
    refused(tmp_path, sequential(start([5, 3]), layer("Masking", "mask", {"mask_value": 0.0}), *reader), match)


def test_masks_that_are_read_alike_are_let_pass(tmp_path, generator):
    arrays = random_lstm(generator, 3, 4)
    parts = [
        start([5, 3]),
        layer("Masking", "mask", {"mask_value": 0.0}),
        layer("LSTM", "in", {**LSTM, "return_sequences": True}),
    ]
    config = sequential(*parts, layer("GlobalMaxPooling1D", "top", {}))
    model = recurra.load(archive_of(tmp_path / "m.keras", config, {"layers": {"lstm": cell_tree(*arrays)}}))
    x = random(generator, 1, 5, 3)
    x[0, 3:] = 0
    steps = np.stack([keras_lstm(x[:, : t + 1], *arrays) for t in range(3)], axis=1)
    assert np.abs(model(x) - steps.max(axis=1)).max() < 1e-6


def test_stateful_layers_are_loaded_with_a_warning(tmp_path, generator):
    config = sequential(start([None, 3]), layer("LSTM", "going_on", {**LSTM, "stateful": True}))
    weights = {"layers": {"lstm": cell_tree(*random_lstm(generator, 3, 4))}}
    with pytest.warns(UserWarning, match=r"m\.keras: going_on had stateful=True; .*model\.stream"):
        recurra.load(archive_of(tmp_path / "m.keras", config, weights))


def test_nothing_else_warns(tmp_path, generator):
    config = sequential(start([None, 3]), layer("LSTM", "a", {**LSTM, "stateful": False}))
    weights = {"layers": {"lstm": cell_tree(*random_lstm(generator, 3, 4))}}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        recurra.load(archive_of(tmp_path / "m.keras", config, weights))


@pytest.mark.parametrize(
    ("made", "match"),
    [
        (lambda: recurra.LSTM(3, use_peepholes=True, name="odd"), "use_peepholes in 'odd'; Keras has no such"),
        (lambda: recurra.LSTM(3, activation=("leaky_relu", 0.7), name="odd"), "leaky_relu.* in 'odd'"),
        (
            lambda: recurra.LSTM(3, recurrent_activation=("hard_sigmoid", 0.2, 0.5), name="odd"),
            "hard_sigmoid.* in 'odd'",
        ),
        (lambda: recurra.GRU(3, num_layers=2, name="odd"), "num_layers in 'odd'"),
        (lambda: recurra.layers.CRF(3, name="odd"), "got CRF 'odd'; Keras has no such"),
        (lambda: Scale(name="odd"), "got Scale 'odd'"),
    ],
)
def test_what_keras_lacks_is_named_on_saving(tmp_path, made, match):
    model = recurra.Sequential([recurra.Input((None, 3)), made()])
    with pytest.raises(ValueError, match=match):
        model.save(tmp_path / "m.keras")
    assert not list(tmp_path.iterdir())


def test_masks_that_keras_would_read_otherwise_are_named_on_saving(tmp_path):
    layers = [recurra.Masking(), recurra.layers.GlobalMaxPooling1D(name="odd")]
    with pytest.raises(ValueError, match=r"layer 'odd' \(GlobalMaxPooling1D\)"):
        recurra.Sequential([recurra.Input((None, 3)), *layers]).save(tmp_path / "m.keras")


def test_only_models_are_written_and_only_as_keras_reads_them(tmp_path):
    model = recurra.Sequential([recurra.Input((3,)), recurra.Dense(2)])
    with pytest.raises(ValueError, match=r"a name ending in \.keras"):
        model.save(tmp_path / "m.h5")
    with pytest.raises(ValueError, match=r"a name ending in \.weights\.h5"):
        model.save_weights(tmp_path / "m.h5")
