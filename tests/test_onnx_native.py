"""ONNX files become native models: the same outputs within 1e-6, trainable; what is not exactly a layer does not."""

import json
import time

import numpy as np
import pytest

import recurra
from layer_examples import EXAMPLES, label

onnx = pytest.importorskip("onnx")

from onnx import helper  # noqa: E402

from onnx_export_cases import called, drawn, random_model, shaken  # noqa: E402
from onnx_graphs import (  # noqa: E402
    ALIKE,
    NEAR_MISSES,
    RNG,
    F,
    H,
    N,
    T,
    graph_of,
    last_of_stack,
    node,
    pytorch_like,
    real,
    recurrent_weights,
    whole,
)
from recurra.onnx import OnnxModel, read_graph  # noqa: E402
from recurra.onnx.export import layers, to_proto  # noqa: E402
from recurra.onnx.native import HANDLERS, convert  # noqa: E402


def stripped(proto):
    """The graph of a file without what recurra says of its layers."""
    del proto.metadata_props[:]
    return read_graph(proto)


def built(*parts, shape=(None, None, F)):
    model = recurra.Sequential(parts)
    model.build(shape)
    shaken(RNG, model)
    return model


# Files of recurra


@pytest.mark.parametrize("seed", range(20))
def test_what_was_written_comes_back_as_the_same_model(tmp_path, seed):
    rng = np.random.default_rng(seed)
    model, inputs, lengths = random_model(rng)
    path = tmp_path / "model.onnx"
    model.export_onnx(path, lengths=lengths is not None, opset=int(rng.integers(13, 23)))
    loaded = recurra.load(path)
    assert type(loaded) is type(model)
    assert [(type(a), a.name) for a in loaded.layers] == [(type(b), b.name) for b in model.layers]
    for output, expected in zip(called(loaded, inputs, lengths), called(model, inputs, lengths), strict=True):
        np.testing.assert_array_equal(output, expected)


@pytest.mark.parametrize("example", EXAMPLES, ids=label)
def test_every_layer_comes_back_and_without_the_description_it_does_or_is_left_to_the_runner(example):
    layer = example.make()
    if type(layer) in layers.REFUSED:
        return
    inputs = example.inputs("float32")
    inputs = inputs if isinstance(inputs, list) else [inputs]
    model = drawn(layer, inputs)
    shaken(RNG, model)
    proto = to_proto(model)
    expected = called(model, inputs)
    for loaded in (convert(read_graph(proto)), convert(stripped(proto))):
        for output, wanted in zip([] if loaded is None else called(loaded, inputs), expected, strict=False):
            np.testing.assert_allclose(output, wanted, rtol=1e-6, atol=1e-6)
    assert convert(read_graph(to_proto(model))).get_config() == model.get_config()


def test_large_models_have_places_beyond_what_float32_counts(monkeypatch):
    from recurra.onnx.native import own

    monkeypatch.setattr(own, "_DIGITS", 16)  # as if float32 held 4 bits
    model = built(recurra.LSTM(3), recurra.Dense(2))
    assert 16 < model.size < 256
    loaded = own.rebuilt(read_graph(to_proto(model)))
    np.testing.assert_array_equal(loaded.flat_parameters, model.flat_parameters)


def test_nothing_is_made_for_a_description_of_more_than_the_file_holds(monkeypatch):
    from recurra.onnx.native import own

    proto = to_proto(built(recurra.Dense(3), shape=(None, F)))
    more = saying("Sequential", {"layers": [{"class_name": "Dense", "config": {"units": 4}}]}, [None, F])
    helper.set_model_props(proto, {"recurra": more})
    made = []
    monkeypatch.setattr(own, "_parameters", lambda *arguments: made.append(arguments))
    assert own.rebuilt(read_graph(proto)) is None
    assert not made


def test_a_loaded_model_trains(tmp_path):
    model = built(recurra.GRU(H), recurra.Dense(1))
    model.save(tmp_path / "model.onnx")
    loaded = recurra.load(tmp_path / "model.onnx")
    x, y = real(16, T, F), real(16, 1)
    loaded.compile("adam", "mse")
    history = loaded.fit(x, y, epochs=5, verbose=0).history["loss"]
    assert history[-1] < history[0]


def test_a_description_is_not_believed_of_a_graph_that_was_changed():
    model = built(recurra.Dense(3, activation="tanh"), recurra.Dense(2), shape=(None, F))
    proto = to_proto(model)
    for part in proto.graph.node:
        part.op_type = "Sigmoid" if part.op_type == "Tanh" else part.op_type
    graph, x = read_graph(proto), real(N, F)
    assert graph.metadata
    np.testing.assert_allclose(convert(graph)(x), OnnxModel(graph)(x), atol=1e-6)
    assert np.abs(convert(graph)(x) - model(x)).max() > 1e-3


def saying(name, config, shape):
    """A description of layers."""
    return json.dumps({"class_name": name, "config": config, "input_shape": shape, "opset": 17, "lengths": False})


@pytest.mark.parametrize(
    "text",
    [
        "", "{", "[]", "null", "[" * 100_000, '{"class_name": "Sequential"}', '{"class_name": 5, "config": 1}',
        saying("Seq2Seq", {}, []),
        saying("Sequential", {"layers": [{"class_name": "Dense", "config": {"units": 2**31 - 1}}]}, [None, 2**31 - 1]),
        saying("Sequential", {"layers": 3}, "x"),
    ],
)  # fmt: skip
def test_a_hostile_description_is_ignored(text):
    model = built(recurra.Dense(3), shape=(None, F))
    proto = to_proto(model)
    del proto.metadata_props[:]
    helper.set_model_props(proto, {"recurra": text})
    x, start = real(N, F), time.monotonic()
    np.testing.assert_allclose(convert(read_graph(proto))(x), model(x), atol=1e-6)
    assert time.monotonic() - start < 2.0


# Files of others


def assert_native(graph, *inputs):
    """A graph has a native model that agrees with the runner within 1e-6, also on a batch of another size."""
    model = convert(graph)
    assert model is not None
    for given in (inputs, [x[:1] for x in inputs]):
        outputs = called(model, list(given))
        expected = OnnxModel(graph)(*given)
        expected = expected if isinstance(expected, list) else [expected]
        for output, wanted in zip(outputs, expected, strict=True):
            assert output.shape == wanted.shape
            np.testing.assert_allclose(output, wanted, rtol=1e-6, atol=1e-6)
    return model


@pytest.mark.parametrize("read", ["hidden", "steps"])
def test_what_pytorch_writes_becomes_a_chain_of_layers(read):
    model = assert_native(pytorch_like(read), RNG.integers(0, 9, (N, T)))
    assert type(model) is recurra.Sequential
    assert [(type(layer).__name__, layer.name) for layer in model.layers] == [
        ("Embedding", "emb"), ("LSTM", "rnn"), ("Dense", "fc"),
    ]  # fmt: skip
    assert model.layers[1].options["bidirectional"]
    assert model.layers[1].return_sequences == (read == "steps")


@pytest.mark.parametrize(
    ("kind", "attributes"),
    [
        ("GRU", {}),
        ("GRU", {"linear_before_reset": 1, "clip": 0.4}),
        ("LSTM", {"input_forget": 1}),
        ("LSTM", {"activations": ["HardSigmoid", "Elu", "Relu"], "activation_alpha": [0.3, 0.7],
                  "activation_beta": [0.4]}),
        ("RNN", {"activations": ["LeakyRelu"], "activation_alpha": [0.2]}),
        ("RNN", {"activations": ["Elu"]}),
    ],
)  # fmt: skip
def test_stacks_and_the_last_step_become_layers_with_every_attribute(kind, attributes):
    model = assert_native(last_of_stack(kind, **attributes), real(N, T, F))
    assert [type(layer).__name__ for layer in model.layers] == [kind, kind, "Dense"]
    assert model.layers[2].get_config()["activation"][0] == "relu"
    assert [layer.name for layer in model.layers[1:]] == ["second", "dense"]


def test_an_encoder_and_a_decoder_become_a_graph_with_its_names():
    weights = recurrent_weights(4, F) | recurrent_weights(4, 2, prefix="d.") | {"axis1": whole(1), "out": real(H, 2)}
    nodes = [
        node("Transpose", "source", "s", perm=[1, 0, 2]),
        node("Transpose", "target", "t", perm=[1, 0, 2]),
        helper.make_node("LSTM", ["s", "W", "R", "B"], ["", "h", "c"], hidden_size=H),
        helper.make_node("LSTM", ["t", "d.W", "d.R", "d.B", "", "h", "c"], ["Y"], hidden_size=H),
        node("Squeeze", "Y axis1", "steps"),
        node("Transpose", "steps", "decoded", perm=[1, 0, 2]),
        node("MatMul", "decoded out", "scores"),
    ]
    graph = graph_of(nodes, {"source": ["n", "a", F], "target": ["n", "b", 2]}, ["scores"], weights)
    model = assert_native(graph, real(N, T, F), real(N, T + 2, 2))
    assert (model.input_names, model.output_names) == (["source", "target"], ["scores"])


def test_learned_states_that_are_repeated_for_the_batch_are_parameters():
    weights = recurrent_weights(3, F) | {"h": real(1, 1, H), "one": whole(1), "units": whole(H), "axis0": whole(0)}
    nodes = [
        node("Transpose", "x", "turned", perm=[1, 0, 2]),
        node("Shape", "x", "batch", start=0, end=1),
        node("Concat", "one batch units", "sizes", axis=0),
        node("Expand", "h sizes", "start"),
        helper.make_node("GRU", ["turned", "W", "R", "B", "", "start"], ["", "Yh"], hidden_size=H),
        node("Squeeze", "Yh axis0", "y"),
    ]
    model = assert_native(graph_of(nodes, {"x": ["n", "t", F]}, ["y"], weights), real(N, T, F))
    np.testing.assert_array_equal(model.parameters["gru.h0"], weights["h"][0])


def test_convolution_normalisation_and_pooling_around_transposes_become_layers():
    weights = {"conv.weight": real(H, F, 3), "conv.bias": real(H), "half": np.float32(0.5), "m": real(H), "g": real(H)}
    weights |= {"v": np.abs(real(H)) + 0.5, "w": real(3, H)}
    nodes = [
        node("Transpose", "x", "turned", perm=[0, 2, 1]),
        node("Conv", "turned conv.weight conv.bias", "c", kernel_shape=[3], pads=[2, 1]),
        node("Relu", "c", "r"),
        node("BatchNormalization", "r g m m v", "n"),
        node("MaxPool", "n", "p", kernel_shape=[2], strides=[2]),
        node("Mul", "p half", "scaled"),
        node("GlobalAveragePool", "scaled", "mean"),
        node("Flatten", "mean", "flat"),
        node("Gemm", "flat w", "z", transB=1),
        node("Softmax", "z", "y"),
    ]
    model = assert_native(graph_of(nodes, {"x": ["n", "t", F]}, ["y"], weights), real(N, 2 * T, F))
    kinds = ["ZeroPadding1D", "Conv1D", "BatchNormalization", "MaxPooling1D", "Activation", "GlobalAveragePooling1D"]
    assert [type(layer).__name__ for layer in model.layers] == [*kinds, "Dense"]


@pytest.mark.parametrize("make", NEAR_MISSES.values(), ids=NEAR_MISSES)
def test_what_is_not_exactly_a_layer_is_left_to_the_runner(make):
    assert convert(make()) is None


@pytest.mark.parametrize("make", ALIKE.values(), ids=ALIKE)
def test_the_same_without_the_flaw_is_a_layer(make):
    assert_native(*make())


@pytest.mark.parametrize("op", ["Concat", "Mul"])
def test_a_file_that_doubles_its_constants_and_sizes_again_and_again_takes_no_memory(op):
    more = {"axis": 0} if op == "Concat" else {}
    doubled = [node(op, f"c{i} c{i}", f"c{i + 1}", **more) for i in range(60)]
    tail = [node("ConstantOfShape", "c60", "zeros"), node("Gemm", "x w zeros", "y")]
    for first in ([node("Shape", "x", "c0")], []):
        weights = {"w": real(F, F)} | ({} if first else {"c0": whole(1, 2, 3, 4)})
        graph, start = graph_of([*first, *doubled, *tail], {"x": ["n", F]}, ["y"], weights), time.monotonic()
        assert convert(graph) is None
        assert time.monotonic() - start < 2.0


def test_every_operator_that_is_read_is_one_of_onnx():
    known = {schema.name for schema in onnx.defs.get_all_schemas()}
    assert set(HANDLERS) <= known
