"""Damaged and hostile files of graphs: a sentence about what is wrong, whatever the header says."""

import copy
import json

import numpy as np
import pytest

import recurra
import runtime_graphs as graphs
import runtime_models as models
from recurra.io import safetensors
from recurra.runtime import Model


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    """The arrays of a graph's file and what its header says; x -> shared -> shared -> dense -> end, all of 4."""
    x = recurra.Input((None, 4))
    shared = recurra.LSTM(4, return_sequences=True, name="shared")
    y = recurra.Add(name="sum")([shared(shared(x)), recurra.Dense(4, name="dense")(x)])
    model = recurra.Model(x, recurra.Dense(4, name="end")(y))
    path = models.saved(tmp_path_factory.mktemp("good"), models.fill(model, np.random.default_rng(0)))
    arrays, metadata = safetensors.read(path)
    return arrays, json.loads(metadata["model"])


def load(good, tmp_path, change):
    """Load the graph with its configuration changed."""
    arrays, whole = good
    whole = copy.deepcopy(whole)
    change(whole["config"], whole)
    path = tmp_path / "model.safetensors"
    safetensors.write(path, arrays, {"format": "recurra", "model": json.dumps(whole)})
    return Model(path)


def put(key, value, *, at=()):
    """Return the change that puts a value somewhere in the configuration."""

    def change(config, _):
        for step in at:
            config = config[step]
        config[key] = value

    return change


HOSTILE = {
    "a cycle": (put("inputs", [[1, 0]], at=("calls", 1)), r"calls that read outputs of earlier ones, got \[1, 0\]"),
    "a later call": (put("inputs", [[3, 0]], at=("calls", 0)), "outputs of earlier ones"),
    "a missing call": (put("inputs", [[99, 0]], at=("calls", 1)), "outputs of earlier ones"),
    "a missing input": (put("inputs", [[-1, 1]], at=("calls", 0)), "outputs of earlier ones"),
    "a missing output": (put("inputs", [[0, 1]], at=("calls", 1)), "outputs of earlier ones"),
    "a negative output": (put("inputs", [[0, -1]], at=("calls", 1)), "outputs of earlier ones"),
    "a call before all": (put("inputs", [[-2, 0]], at=("calls", 1)), "outputs of earlier ones"),
    "a huge call": (put("inputs", [[9223372036854775807, 0]], at=("calls", 1)), "outputs of earlier ones"),
    "a place of one number": (put("inputs", [[0]], at=("calls", 1)), "outputs of earlier ones"),
    "a place of three": (put("inputs", [[0, 0, 0]], at=("calls", 1)), "outputs of earlier ones"),
    "a place of texts": (put("inputs", [["0", "0"]], at=("calls", 1)), "outputs of earlier ones"),
    "no inputs": (put("inputs", [], at=("calls", 1)), "calls of layers with inputs"),
    "inputs that are no list": (put("inputs", 0, at=("calls", 1)), "calls of layers with inputs"),
    "a missing layer": (put("layer", 4, at=("calls", 0)), "calls of its layers"),
    "a negative layer": (put("layer", -1, at=("calls", 0)), "calls of its layers"),
    "a layer by name": (put("layer", "shared", at=("calls", 0)), "calls of its layers"),
    "calls that are no list": (put("calls", {}), "outputs of earlier ones"),
    "no calls": (put("calls", []), "outputs of earlier ones"),
    "no outputs": (put("outputs", []), "outputs: expected one, got 0"),
    "an output of the future": (put("outputs", [[5, 0]]), "outputs of earlier ones"),
    "no layers": (put("layers", []), "a model with layers"),
    "a layer without a name": (put("name", None, at=("layers", 0, "config")), "layers with names"),
    "two layers of a name": (put("name", "end", at=("layers", 1, "config")), "expected the parameter|different names"),
    "two inputs": (put("inputs", [{}, {}]), "inputs: expected one, got 2"),
    "no graph's inputs": (put("inputs", []), "inputs: expected one, got 0"),
    "integers for numbers": (lambda _, whole: whole.update(input_shape=[None, None]), r"of shape \[16, 1\]"),
    "inputs of other widths": (put("inputs", [[0, 0], [-1, 0]], at=("calls", 3)), None),
    "an initial state for a dense layer": (put("inputs", [[1, 0], [0, 0]], at=("calls", 2)), "initial states of its"),
    "a series for an initial state": (
        put("inputs", [[0, 0], [0, 0], [0, 0]], at=("calls", 1)),
        "initial states of its",
    ),
    "too many layers": (lambda config, _: config["layers"].extend([{}] * 5000), "at most 4096 layers"),
    "too many calls": (lambda config, _: config["calls"].extend(config["calls"][:1] * 70000), "at most 65536 calls"),
    "calls without end": (lambda config, _: config["calls"].extend(config["calls"][:1] * 3000), "called less often"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_graph_is_refused_with_a_sentence(name, good, tmp_path):
    change, message = HOSTILE[name]
    if message is None:
        assert load(good, tmp_path, change)(np.zeros((1, 2, 4), np.float32)).shape == (1, 2, 4)
        return
    with pytest.raises(ValueError, match=message):
        load(good, tmp_path, change)


def test_models_within_models_do_not_multiply_without_bound(good, tmp_path):
    """Ten levels, each of ten calls of the one below."""

    def change(config, _):
        layers = config["layers"]
        inner = {"class_name": "Sequential", "config": {"name": "shared", "layers": [layers[0]]}}
        for level in range(10):
            calls = [{"layer": 0, "inputs": [[i - 1, 0]]} for i in range(10)]
            graph = {"inputs": [{"dtype": "float32"}], "layers": [inner], "calls": calls, "outputs": [[9, 0]]}
            inner = {"class_name": "Functional", "config": {"name": f"level{level}", **graph}}
        config.update(layers=[inner, *layers], calls=[{"layer": 0, "inputs": [[-1, 0]]}], outputs=[[0, 0]])

    arrays, whole = good
    renamed = {"".join(f"level{i}." for i in reversed(range(10))) + "shared." + name: a for name, a in arrays.items()}
    with pytest.raises(ValueError, match="called less often"):
        load((renamed, whole), tmp_path, change)


def test_widths_that_double_are_refused(good, tmp_path):
    def change(config, _):
        config["layers"] = [{"class_name": "Concatenate", "config": {"name": "wide"}}]
        config["calls"] = [{"layer": 0, "inputs": [[i - 1, 0]] * 2} for i in range(40)]
        config["outputs"] = [[39, 0]]

    with pytest.raises(ValueError, match="inputs that fit each other"):
        load(good, tmp_path, change)


@pytest.mark.parametrize("layer", ["ReLU", "Dropout", "Add"])
def test_integers_that_no_embedding_reads_are_refused(layer, good, tmp_path):
    def change(config, whole):
        config["layers"] = [{"class_name": layer, "config": {"name": "some", "dtype": "float32"}}]
        config["calls"] = [{"layer": 0, "inputs": [[-1, 0]]}] * 2
        config["outputs"] = [[1, 0]]
        config["inputs"][0]["dtype"] = "int64"
        whole["input_shape"] = [None, None]

    with pytest.raises(ValueError, match="an Embedding behind an input of integers"):
        load(good, tmp_path, change)


def test_a_shared_layer_on_inputs_of_two_sizes_is_refused(good, tmp_path):
    def change(config, _):
        config["calls"][1:] = [
            {"layer": 2, "inputs": [[0, 0], [0, 0]]},
            {"layer": 0, "inputs": [[1, 0]]},
        ]
        config["layers"][2] = {"class_name": "Concatenate", "config": {"name": "wide"}}
        config["outputs"] = [[2, 0]]

    with pytest.raises(ValueError, match="layer 'shared': expected calls on inputs of the same sizes"):
        load(good, tmp_path, change)


@pytest.mark.parametrize("name", ["shared", "nested_of_two", "encoder_decoder"])
def test_a_damaged_graph_runs_or_gives_a_sentence(name, tmp_path):
    """Cut short, or up to three bytes of the header changed, by chance."""
    rng = np.random.default_rng(0)
    function = (graphs.STREAMING | graphs.WHOLE)[name]
    data = models.saved(tmp_path, models.fill(graphs.draw(function), rng)).read_bytes()
    header = int.from_bytes(data[:8], "little") + 8
    damaged = [data[: rng.integers(len(data))] for _ in range(300)]
    for _ in range(1000):
        changed = bytearray(data)
        for place in rng.integers(8, header, rng.integers(1, 4)):
            changed[place] = rng.choice(np.frombuffer(b'0123456789-[]{},"\\x', np.uint8))
        damaged.append(bytes(changed))
    sentences = []
    for some in damaged:
        try:
            model = Model(some)
        except (ValueError, MemoryError) as error:
            sentences.append(str(error))
            continue
        if max(model.inputs, model.outputs) < 1000 and model.input_dtype != np.int64:
            model(np.zeros((2, 3, model.inputs), model.input_dtype))
    assert 600 < len(sentences) < len(damaged)
    assert min(map(len, sentences)) > 20
