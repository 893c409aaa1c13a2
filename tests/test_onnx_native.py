"""ONNX files become native models: the same outputs within 1e-6, trainable; what is not exactly a layer does not."""

import json
import time

import numpy as np
import pytest

import recurra
from layer_examples import EXAMPLES, label

onnx = pytest.importorskip("onnx")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402

from onnx_export_cases import called, drawn, random_model, shaken  # noqa: E402
from recurra.onnx import OnnxModel, read_graph  # noqa: E402
from recurra.onnx.export import layers, to_proto  # noqa: E402
from recurra.onnx.native import HANDLERS, convert  # noqa: E402

RNG = np.random.default_rng(7)
T, N, F, H = 5, 3, 4, 6


def real(*shape):
    return RNG.standard_normal(shape).astype(np.float32)


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
    loaded = convert(read_graph(to_proto(model)))
    np.testing.assert_array_equal(loaded.flat_parameters, model.flat_parameters)


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
    for node in proto.graph.node:
        node.op_type = "Sigmoid" if node.op_type == "Tanh" else node.op_type
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


def graph_of(nodes, inputs, outputs, weights, opset=20):
    """A graph made by hand; shapes are lists with texts for open sizes, ``ids`` has integers."""
    infos = [
        helper.make_tensor_value_info(name, TensorProto.INT64 if name == "ids" else TensorProto.FLOAT, shape)
        for name, shape in inputs.items()
    ]
    outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs]
    tensors = [numpy_helper.from_array(array, name) for name, array in weights.items()]
    made = helper.make_graph(nodes, "graph", infos, outputs, tensors)
    return read_graph(helper.make_model(made, opset_imports=[helper.make_opsetid("", opset)]))


def node(op, inputs, outputs, name="", **attributes):
    return helper.make_node(op, inputs.split(), outputs.split(), name=name, **attributes)


def whole(*numbers):
    return np.array(numbers, np.int64)


def recurrent_weights(gates, features, directions=1, prefix=""):
    rows = gates * H
    return {
        f"{prefix}W": real(directions, rows, features) * 0.5,
        f"{prefix}R": real(directions, rows, H) * 0.5,
        f"{prefix}B": real(directions, 2 * rows) * 0.5,
    }


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


def pytorch_like(read="hidden", **lstm):
    """What PyTorch writes of Embedding, a bidirectional LSTM with zero states, and Linear."""
    weights = recurrent_weights(4, F, 2) | {
        "table": real(9, F), "fc.weight": real(3, 2 * H), "fc.bias": real(3), "fc.weight_T": real(2 * H, 3),
        "zero": whole(0)[0], "axis0": whole(0), "two": whole(2), "units": whole(H), "joined": whole(0, 0, -1),
        "before": whole(-2)[0], "last": whole(-1)[0],
    }  # fmt: skip
    nodes = [
        node("Gather", "table ids", "x", "/emb/Gather"),
        node("Shape", "x", "shape"),
        node("Gather", "shape zero", "batch", axis=0),
        node("Unsqueeze", "batch axis0", "batches"),
        node("Concat", "two batches units", "sizes", axis=0),
        node("ConstantOfShape", "sizes", "zeros"),
        node("Transpose", "x", "turned", perm=[1, 0, 2]),
        helper.make_node("LSTM", ["turned", "W", "R", "B", "", "zeros", "zeros"], ["Y", "Yh", "Yc"], name="/rnn/LSTM",
                         hidden_size=H, **{"direction": "bidirectional", **lstm}),
    ]  # fmt: skip
    if read == "hidden":
        nodes += [
            node("Gather", "Yh before", "forward", axis=0),
            node("Gather", "Yh last", "backward", axis=0),
            node("Concat", "forward backward", "both", axis=1),
            node("Gemm", "both fc.weight fc.bias", "y", transB=1),
        ]
    else:
        nodes += [
            node("Transpose", "Y", "beside", perm=[0, 2, 1, 3]),
            node("Reshape", "beside joined", "merged"),
            node("Transpose", "merged", "steps", perm=[1, 0, 2]),
            node("MatMul", "steps fc.weight_T", "product"),
            node("Add", "fc.bias product", "y"),
        ]
    return graph_of(nodes, {"ids": ["n", "t"]}, ["y"], weights)


@pytest.mark.parametrize("read", ["hidden", "steps"])
def test_what_pytorch_writes_becomes_a_chain_of_layers(read):
    model = assert_native(pytorch_like(read), RNG.integers(0, 9, (N, T)))
    assert type(model) is recurra.Sequential
    assert [(type(layer).__name__, layer.name) for layer in model.layers] == [
        ("Embedding", "emb"), ("LSTM", "rnn"), ("Dense", "fc"),
    ]  # fmt: skip
    assert model.layers[1].options["bidirectional"]
    assert model.layers[1].return_sequences == (read == "steps")


def last_of_stack(kind="GRU", index=-1, **attributes):
    """Two layers with Squeeze between them, the last step, an activation."""
    gates = {"GRU": 3, "LSTM": 4, "RNN": 1}[kind]
    weights = recurrent_weights(gates, F) | recurrent_weights(gates, H, prefix="second.")
    weights |= {"axis1": whole(1), "index": whole(index)[0], "out": real(H, 2)}
    nodes = [
        node("Transpose", "x", "turned", perm=[1, 0, 2]),
        node(kind, "turned W R B", "Y1 Yh1", hidden_size=H, **attributes),
        node("Squeeze", "Y1 axis1", "steps1"),
        node(kind, "steps1 second.W second.R second.B", "Y2", hidden_size=H, **attributes),
        node("Squeeze", "Y2 axis1", "steps2"),
        node("Transpose", "steps2", "steps", perm=[1, 0, 2]),
        node("Gather", "steps index", "chosen", axis=1),
        node("MatMul", "chosen out", "z"),
        node("Relu", "z", "y"),
    ]
    return graph_of(nodes, {"x": ["n", "t", F]}, ["y"], weights)


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


def one(op, outputs="y", **attributes):
    """A graph of one node on (n, t, 4)."""
    given = {"w": real(F, F), "three": real(1, F, F), "i": whole(0), "s": real(F), "two": np.float32(2.0)}
    extra = attributes.pop("extra", "")
    inputs = attributes.pop("inputs", {"x": ["n", "t", F]})
    return graph_of([node(op, f"x {extra}", outputs, **attributes)], inputs, outputs.split()[:1], given)


NEAR_MISSES = {
    "the first step": lambda: last_of_stack(index=0),
    "a step of a layer that reads both ways": lambda: last_of_stack(index=1),
    "steps backwards in the order of the input": lambda: last_of_stack(direction="reverse"),
    "a table of a scaled product": lambda: one("Gemm", extra="w", inputs={"x": ["n", F]}, alpha=2.0),
    "a product the other way round": lambda: one("Gemm", extra="w", inputs={"x": [F, "n"]}, transA=1),
    "a softmax over the batch": lambda: one("Softmax", axis=0),
    "an operator that no layer is": lambda: one("Erf"),
    "the mean over the features": lambda: one("ReduceMean", axes=None, extra="i", keepdims=0),
    "a factor for each feature": lambda: one("Mul", extra="s"),
    "bounds from -1": lambda: one("Clip", extra="", inputs={"x": ["n", F]}),
    "batch-first input to an operator of time-major": lambda: graph_of(
        [node("RNN", "x W R B", "Y Yh", hidden_size=H)], {"x": ["t", "n", F]}, ["Yh"], recurrent_weights(1, F)
    ),
    "windows that are rounded up": lambda: one(
        "MaxPool", inputs={"x": ["n", 4, "t"]}, kernel_shape=[2], strides=[2], ceil_mode=1
    ),
    "activations of each direction": lambda: pytorch_like(activations=["Sigmoid", *["Tanh"] * 3, *["Relu"] * 2]),
    "a bound of 0": lambda: last_of_stack(clip=0.0),
    "an operator that only the runner knows in a mask": lambda: one("NonZero"),
}  # fmt: skip


@pytest.mark.parametrize("make", NEAR_MISSES.values(), ids=NEAR_MISSES)
def test_what_is_not_exactly_a_layer_is_left_to_the_runner(make):
    assert convert(make()) is None


def test_lengths_of_others_are_left_to_the_runner():
    nodes = [
        node("Transpose", "x", "turned", perm=[1, 0, 2]),
        node("GRU", "turned W R B counts", "Y Yh", hidden_size=H),
    ]
    weights = recurrent_weights(3, F) | {"counts": np.array([1, 2, 3], np.int32)}
    assert convert(graph_of(nodes, {"x": [N, T, F]}, ["Yh"], weights)) is None


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
