"""Models written as ONNX files compute in ONNX Runtime what they compute here, within 2e-5 in float32."""

import os

import numpy as np
import pytest

import recurra
from layer_examples import EXAMPLES, LENGTHS, label
from recurra.layers import LAYERS
from test_layers import IDS, VARIANTS, F, H, N, T

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from onnx_export_cases import assert_agrees, drawn, random_model, runtime, shaken  # noqa: E402
from recurra.onnx.export import OPSETS, layers, to_proto  # noqa: E402

RNG = np.random.default_rng(5)
REFUSED_OPTIONS = ("proj_size", "layer_norm", "zoneout", "cell_clip")


def real(*shape):
    return RNG.standard_normal(shape).astype(np.float32)


def test_every_layer_is_written_or_refused_with_a_reason():
    written, refused = set(layers.RULES), set(layers.REFUSED)
    assert not written & refused
    assert set(LAYERS.values()) <= written | refused
    assert all(layers.REFUSED.values())


@pytest.mark.parametrize("example", EXAMPLES, ids=label)
@pytest.mark.parametrize("opset", OPSETS)
def test_every_layer_agrees_with_onnx_runtime(example, opset):
    layer = example.make()
    if type(layer) in layers.REFUSED:
        pytest.skip("refused, see the test of that")
    inputs = example.inputs("float32")
    inputs = inputs if isinstance(inputs, list) else [inputs]
    model = drawn(layer, inputs)
    shaken(RNG, model)
    assert_agrees(model, inputs, opset=opset)
    axes = 2 if example.integers else 3
    for steps in (LENGTHS, np.array([4, 0, 5])):
        lengths = [steps.clip(max=x.shape[1]) if x.ndim >= axes else None for x in inputs]
        if any(some is not None for some in lengths):
            assert_agrees(model, inputs, lengths, opset=opset)


@pytest.mark.parametrize(("cls", "options"), VARIANTS, ids=IDS)
def test_recurrent_options_agree_or_are_named(cls, options):
    layer = cls(H, **options, return_sequences=True, return_state=True, name="mine", seed=1)
    kinds = [shape[1] for shape in layer._output_shapes((None, None, F))[1:]]
    states = [recurra.Input((size,)) for size in kinds]
    x = recurra.Input((None, F))
    model = recurra.Model([x, *states], layer(x, initial_state=states))
    shaken(RNG, model)
    named = [option for option in REFUSED_OPTIONS if options.get(option)]
    if named:
        with pytest.raises(ValueError, match=f"({'|'.join(named)}).* in 'mine'"):
            to_proto(model)
        return
    inputs = [real(N, T, F), *(real(N, size) for size in kinds)]
    assert_agrees(model, inputs)
    assert_agrees(model, inputs, [[T, 0, 2, 5], *(None,) * len(kinds)])


def test_an_encoder_hands_its_states_to_a_decoder_and_a_shared_layer_has_its_weights_once():
    source, target = recurra.Input((None, 4), name="source"), recurra.Input((None, 3), name="target")
    shared = recurra.Dense(3, activation="tanh", name="shared")
    _, h, c = recurra.LSTM(6, return_state=True, name="encoder")(shared(source))
    decoded = recurra.LSTM(6, return_sequences=True, name="decoder")(target, initial_state=[h, c])
    model = recurra.Model([source, target], [shared(recurra.Dense(4)(decoded)), h])
    inputs = [real(2, 5, 4), real(2, 7, 3)]
    proto = assert_agrees(model, inputs)
    assert_agrees(model, inputs, [[5, 2], [7, 0]])
    assert sum(tensor.name.startswith("shared.weight") for tensor in proto.graph.initializer) == 1


def test_models_within_models_and_stacks_of_cells_are_written():
    inner = recurra.Sequential([recurra.Conv1D(3, 2, padding="causal"), recurra.GRU(4)], name="inner")
    model = recurra.Sequential([
        recurra.RNN([recurra.LSTMCell(5), recurra.GRUCell(6)], return_sequences=True),
        recurra.Reshape((-1, 2, 3)),
        recurra.TimeDistributed(inner),
        recurra.Permute((2, 1)),
        recurra.Flatten(),
        recurra.Dense(2),
    ])  # fmt: skip
    model.build((None, 6, 4))
    proto = assert_agrees(model, [real(3, 6, 4)])
    assert "time_distributed.inner.gru.W_l0" in {tensor.name for tensor in proto.graph.initializer}


def test_names_axes_and_the_producer_are_carried():
    x = recurra.Input((None, 4), name="frames")
    y = recurra.Dense(2, name="scores")(recurra.LSTM(3, return_sequences=True, name="memory")(x))
    proto = to_proto(recurra.Model(x, y, name="tagger"), opset=18, lengths=True)
    assert (proto.producer_name, proto.producer_version) == ("recurra", recurra.__version__)
    assert (proto.graph.name, proto.opset_import[0].version) == ("tagger", 18)
    assert described(proto.graph.input) == {"frames": ["batch", "time", 4], "lengths": ["batch"]}
    assert described(proto.graph.output) == {"scores": ["batch", "time", 2]}
    assert {node.name.partition("/")[0] for node in proto.graph.node} == {"memory", "scores"}
    renamed = to_proto(recurra.Model(x, y.node.inputs[0]), input_names=["a"], output_names=["b"])
    assert described(renamed.graph.input) == {"a": ["batch", "time", 4]}
    assert described(renamed.graph.output) == {"b": ["batch", "time", 3]}


def described(infos):
    dims = {info.name: info.type.tensor_type.shape.dim for info in infos}
    return {name: [dim.dim_param or dim.dim_value for dim in shape] for name, shape in dims.items()}


def test_layers_of_the_same_name_in_two_models_keep_their_own_weights():
    x = recurra.Input((None, 4))
    first, second = (recurra.GRU(4, return_sequences=True, name="same", seed=seed) for seed in (1, 2))
    recurra.Model(x, first(x)), recurra.Model(x, second(x))
    assert_agrees(recurra.Model(x, second(first(x))), [real(2, 3, 4)])


def test_nothing_that_no_output_needs_is_written():
    model = recurra.Sequential([recurra.Masking(), recurra.Conv1D(3, 2, padding="same"), recurra.Dropout(0.3)])
    model.build((None, None, 2))
    graph = to_proto(model).graph
    read = {name for node in graph.node for name in node.input} | {value.name for value in graph.output}
    assert {name for node in graph.node for name in node.output} <= read
    assert {tensor.name for tensor in graph.initializer} <= read


def test_a_model_that_changes_nothing_is_a_graph_still():
    x = recurra.Input((None, 3))
    same = recurra.Dropout(0.5)(x)
    model = recurra.Model(x, [same, same])
    assert_agrees(model, [real(2, 4, 3)])


def test_what_training_alone_needs_is_written_too():
    model = chain(recurra.BatchNormalization(momentum=0.8, epsilon=0.01))
    (attributes,) = (node.attribute for node in to_proto(model).graph.node if node.op_type == "BatchNormalization")
    assert {part.name: round(part.f, 6) for part in attributes} == {"momentum": 0.8, "epsilon": 0.01}


def test_padding_that_would_come_between_steps_is_refused():
    x, other = recurra.Input((None, 3)), recurra.Input((None, 3))
    joined = recurra.Concatenate(axis=1, name="joined")([recurra.Masking()(x), other])
    with pytest.raises(ValueError, match="no padding before the last input of 'joined'"):
        to_proto(recurra.Model([x, other], joined))
    joined = recurra.Concatenate(axis=1)([other, recurra.Masking()(x)])
    model = recurra.Model([x, other], [joined, recurra.GRU(3)(joined)])
    padded = real(2, 4, 3)
    padded[0, 2:] = 0.0
    assert_agrees(model, [padded, real(2, 5, 3)])


def test_float64_models_are_written_in_double():
    model = recurra.Sequential([recurra.Dense(3, activation="tanh", dtype="float64"), recurra.Softmax(dtype="float64")])
    model.build((None, 4))
    assert_agrees(model, [RNG.standard_normal((5, 4))], tolerance=1e-12)


def test_the_write_is_atomic(tmp_path, monkeypatch):
    model = recurra.Sequential([recurra.GRU(3)])
    model.build((None, None, 2))
    path = tmp_path / "model.onnx"
    model.export_onnx(path)
    before = path.read_bytes()
    assert np.allclose(runtime(onnx.load(path), {"input": real(2, 3, 2)})[0].shape, (2, 3))
    monkeypatch.setattr(os, "replace", None)
    with pytest.raises(TypeError):
        model.export_onnx(path, opset=13)
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["model.onnx"]


class Own(recurra.layers.Layer):
    pointwise = True

    def __call__(self, x):
        return x


def chain(*parts, shape=(None, None, 2)):
    model = recurra.Sequential(parts)
    model.build(shape)
    return model


@pytest.mark.parametrize(
    ("make", "options", "message"),
    [
        (lambda: chain(Own(name="odd")), {}, "got Own 'odd'; layers and models of classes of one's own"),
        (lambda: chain(recurra.CellRNN(recurra.LSTMCell(3))), {}, "got CellRNN 'cell_rnn'; its cell is a Python loop"),
        (
            lambda: recurra.Sequential([recurra.GRU(3)]),
            {},
            "input_shape: expected layer 'sequential' to know its input",
        ),
        (lambda: chain(recurra.GRU(3)), {"opset": 12}, "opset: expected an integer from 13 to 22, got 12"),
        (lambda: chain(recurra.GRU(3)), {"input_names": ["a", "b"]}, "input_names: expected 1 names, got 2; input"),
        (lambda: chain(recurra.GRU(3)), {"output_names": ["input"]}, "output_names: expected names .*'input' twice"),
        (lambda: chain(recurra.Dense(3), shape=(None, 2)), {"lengths": True}, "lengths: expected an input with a time"),
    ],
)
def test_what_cannot_be_written_is_named(make, options, message):
    with pytest.raises(ValueError, match=message):
        to_proto(make(), **options)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100))
def test_random_models_agree_with_onnx_runtime(seed):
    rng = np.random.default_rng(seed)
    model, inputs, lengths = random_model(rng)
    opset = int(rng.integers(OPSETS[0], OPSETS[1] + 1))
    assert_agrees(model, inputs, lengths, opset=opset)
