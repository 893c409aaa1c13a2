"""load_torch and to_torch: PyTorch's names and shapes, and any source of arrays."""

import re

import numpy as np
import pytest

import recurra
from layer_examples import EXAMPLES
from recurra.io import safetensors
from recurra.io.torch_names import MODULES

F = 4


def drawn(shapes, dtype="float32", seed=0):
    rng = np.random.default_rng(seed)
    return {name: rng.standard_normal(shape).astype(dtype) for name, shape in shapes.items()}


GRU = {"weight_ih_l0": (9, F), "weight_hh_l0": (9, 3), "bias_ih_l0": (9,), "bias_hh_l0": (9,)}
LSTM_PROJECTED = {
    f"{name}_l{layer}{way}": shape
    for layer, width in ((0, F), (1, 4))
    for way in ("", "_reverse")
    for name, shape in {
        "weight_ih": (12, width),
        "weight_hh": (12, 2),
        "bias_ih": (12,),
        "bias_hh": (12,),
        "weight_hr": (2, 3),
    }.items()
}

# A layer, and the names and shapes in the state dict of its module in PyTorch, from torch.nn's documentation; beside
# those the names that our parameters have.
CASES = {
    "Dense": (lambda: recurra.Dense(3), {"weight": (3, F), "bias": (3,)}, {}),
    "Dense without bias": (lambda: recurra.Dense(3, use_bias=False), {"weight": (3, F)}, {}),
    "Conv1D": (lambda: recurra.Conv1D(6, 3, groups=2), {"weight": (6, F // 2, 3), "bias": (6,)}, {}),
    "Embedding": (lambda: recurra.Embedding(7, 3), {"weight": (7, 3)}, {"weight": "embeddings"}),
    "LayerNormalization": (
        recurra.LayerNormalization,
        {"weight": (F,), "bias": (F,)},
        {"weight": "gamma", "bias": "beta"},
    ),
    "BatchNormalization": (
        recurra.BatchNormalization,
        {"weight": (F,), "bias": (F,), "running_mean": (F,), "running_var": (F,)},
        {"weight": "gamma", "bias": "beta", "running_mean": "moving_mean", "running_var": "moving_variance"},
    ),
    "RNN": (
        lambda: recurra.RNN(3, activation="relu", use_bias=False),
        {"weight_ih_l0": (3, F), "weight_hh_l0": (3, 3)},
        {},
    ),
    "GRU": (lambda: recurra.GRU(3), GRU, {}),
    "LSTM": (lambda: recurra.LSTM(3, num_layers=2, bidirectional=True, proj_size=2), LSTM_PROJECTED, {}),
    "Bidirectional": (
        lambda: recurra.Bidirectional(recurra.GRU(3)),
        {**GRU, **{f"{name}_reverse": shape for name, shape in GRU.items()}},
        {},
    ),
    "TimeDistributed": (lambda: recurra.TimeDistributed(recurra.Dense(3)), {"weight": (3, F), "bias": (3,)}, {}),
}


@pytest.mark.parametrize("prefix", ["", "encoder.rnn", "module."])
@pytest.mark.parametrize("case", CASES)
def test_weights_go_in_and_out_under_pytorchs_names_bit_for_bit(case, prefix):
    make, shapes, ours = CASES[case]
    start = prefix if not prefix or prefix.endswith(".") else prefix + "."
    state = {start + name: array for name, array in drawn(shapes).items()}
    layer = make()
    if case == "TimeDistributed":
        layer.build((None, None, F))
    found = layer.load_torch({**state, "other.weight": np.ones(1)} if prefix else state, prefix)
    assert found == ([], [])
    for name in shapes:
        np.testing.assert_array_equal(layer.parameters[ours.get(name, name)], state[start + name])
    assert len(layer.parameters) == len(shapes)
    back = layer.to_torch(prefix)
    assert set(back) == set(state)
    for name, array in back.items():
        np.testing.assert_array_equal(array, state[name])
        array[...] = 0.0  # a copy: the layer keeps its own
    assert all((layer.parameters[ours.get(name, name)] == state[start + name]).all() for name in shapes)


def test_a_layer_computes_with_what_it_was_given_after_it_has_computed_before():
    layer, x = recurra.GRU(3), np.ones((2, 5, F), np.float32)
    before = layer(x)
    state = drawn(GRU)
    layer.load_torch(state)
    fresh = recurra.GRU(3)
    fresh.build((None, None, F))
    fresh.load_state_dict(state)
    assert not np.array_equal(layer(x), before)
    np.testing.assert_array_equal(layer(x), fresh(x))


WITHOUT = {
    # layers with parameters that torch.nn does not have in this form
    "CRF": "a CRF",
    "Attention": "a Attention",
    "AdditiveAttention": "a AdditiveAttention",
    "Normalization": "a Normalization",
}


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_every_layer_either_passes_its_weights_on_or_says_that_pytorch_has_no_such_layer(example):
    layer = example.make("float64")
    inputs = example.inputs("float64")
    layer.ensure_built([part.shape for part in inputs] if isinstance(inputs, list) else inputs.shape)
    if example.name in WITHOUT and layer.size:
        with pytest.raises(ValueError, match=f"expected one that torch.nn has, got {WITHOUT[example.name]}"):
            layer.to_torch()
        return
    state = layer.to_torch("some.where")
    assert sum(array.size for array in state.values()) == layer.size
    copy = example.make("float64", name="copy") if example.name != "CellRNN" else layer.clone()
    copy.ensure_built([part.shape for part in inputs] if isinstance(inputs, list) else inputs.shape)
    copy.flat_parameters[...] = 0.5
    copy.load_torch(state, "some.where")
    np.testing.assert_array_equal(copy.flat_parameters, layer.flat_parameters)


def test_the_table_of_modules_holds_layers_that_exist():
    assert {cls.__name__ for cls in MODULES} <= set(recurra.layers.LAYERS) | {"Recurrent"}


# Sources of arrays


class Tensor:
    """What a tensor has that matters here, of a kind of numbers that NumPy lacks or not."""

    def __init__(self, array, dtype="torch.float32"):
        self.array, self.dtype, self.shape = array, dtype, array.shape

    def detach(self):
        return self

    cpu = detach

    def is_floating_point(self):
        return True

    def float(self):
        return Tensor(self.array.astype(np.float32))

    def numpy(self):
        if self.dtype == "torch.bfloat16":
            raise TypeError("Got unsupported ScalarType BFloat16")
        return self.array


def test_tensors_are_taken_without_pytorch_and_small_floats_become_float32_exactly():
    values = np.array([[1.5, -0.25, 3.0, 0.0]])
    for given in (
        Tensor(values.astype(np.float32)),
        Tensor(values.astype(np.float16), "torch.float16"),
        Tensor(values.astype(np.float32), "torch.bfloat16"),
        values.astype(np.float16),
        values,
    ):
        layer = recurra.Dense(1, use_bias=False)
        layer.load_torch({"weight": given})
        np.testing.assert_array_equal(layer.parameters["weight"], values)


def test_numbers_of_float64_are_kept_by_a_layer_of_float64():
    layer, values = recurra.Dense(1, use_bias=False, dtype="float64"), np.array([[1.0 / 3.0, np.pi]])
    layer.load_torch({"weight": values})
    np.testing.assert_array_equal(layer.parameters["weight"], values)


def bfloat16_file(path, values):
    """A safetensors file with one array of bfloat16, byte by byte."""
    import json

    raw = (np.asarray(values, np.float32).view(np.uint32) >> 16).astype("<u2").tobytes()
    header = json.dumps({"weight": {"dtype": "BF16", "shape": list(np.shape(values)), "data_offsets": [0, len(raw)]}})
    path.write_bytes(len(header).to_bytes(8, "little") + header.encode() + raw)


def test_a_safetensors_file_is_read_with_float16_and_bfloat16_as_float32(tmp_path):
    state = drawn(GRU)
    safetensors.write(tmp_path / "gru.safetensors", {f"rnn.{k}": v for k, v in state.items()})
    layer = recurra.GRU(3)
    layer.load_torch(tmp_path / "gru.safetensors", "rnn")
    for name, array in state.items():
        np.testing.assert_array_equal(layer.parameters[name], array)
    half = {k: v.astype(np.float16) for k, v in state.items()}
    safetensors.write(tmp_path / "half.safetensors", half)
    layer.load_torch(str(tmp_path / "half.safetensors"))
    for name, array in half.items():
        np.testing.assert_array_equal(layer.parameters[name], array.astype(np.float32))
    bfloat16_file(tmp_path / "brain.safetensors", [[1.0, -2.5]])
    dense = recurra.Dense(1, use_bias=False)
    dense.load_torch(tmp_path / "brain.safetensors")
    np.testing.assert_array_equal(dense.parameters["weight"], [[1.0, -2.5]])


def test_a_file_of_to_torch_is_read_by_the_official_library(tmp_path):
    official = pytest.importorskip("safetensors.numpy")
    layer = recurra.GRU(3)
    layer.build((None, None, F))
    safetensors.write(tmp_path / "gru.safetensors", layer.to_torch("rnn"))
    for name, array in official.load_file(tmp_path / "gru.safetensors").items():
        np.testing.assert_array_equal(array, layer.parameters[name.removeprefix("rnn.")])


@pytest.mark.parametrize("ending", [".pt", ".pth", ".bin", ".ckpt"])
def test_pickles_are_refused_by_their_ending_and_by_their_first_bytes(tmp_path, ending):
    for name, start in (
        ("weights" + ending, b"anything"),
        ("weights.data", b"PK\3\4rest of a zip"),
        ("w", b"\x80\2}q\0.abc"),
    ):
        (tmp_path / name).write_bytes(start)
        with pytest.raises(
            ValueError, match=r"expected a safetensors file, got '.*', a pickle, .*; in PyTorch: safetensors"
        ):
            recurra.Dense(3).load_torch(tmp_path / name)


def test_a_header_whose_length_looks_like_a_pickle_is_read(tmp_path):
    layer = recurra.Dense(2, use_bias=False)
    array = np.ones((2, F), np.float32)
    safetensors.write(tmp_path / "w.safetensors", {"weight": array}, {"pad": "x" * 501})
    raw = (tmp_path / "w.safetensors").read_bytes()
    length = int.from_bytes(raw[:8], "little")
    padded = raw[8 : 8 + length] + b" " * (0x20280 - length)  # the length's bytes begin 80 02 02
    (tmp_path / "w.safetensors").write_bytes((0x20280).to_bytes(8, "little") + padded + raw[8 + length :])
    layer.load_torch(tmp_path / "w.safetensors")
    np.testing.assert_array_equal(layer.parameters["weight"], array)


def test_a_truncated_file_is_an_error_and_changes_nothing(tmp_path):
    path = tmp_path / "gru.safetensors"
    safetensors.write(path, drawn(GRU))
    raw = path.read_bytes()
    layer = recurra.GRU(3)
    layer.build((None, None, F))
    before = layer.flat_parameters.copy()
    for size in range(0, len(raw), 97):
        path.write_bytes(raw[:size])
        with pytest.raises(ValueError, match=re.escape(str(path))):
            layer.load_torch(path)
    np.testing.assert_array_equal(layer.flat_parameters, before)


def test_gradients_and_statistics_are_untouched_by_loading():
    layer = recurra.BatchNormalization()
    layer.build((None, F))
    layer.flat_gradients[...] = 3.0
    state = drawn(CASES["BatchNormalization"][1]) | {"num_batches_tracked": np.array(7)}
    state["running_var"] = np.abs(state["running_var"])
    layer.load_torch(state)
    assert (layer.flat_gradients == 3.0).all()
    x = np.ones((2, F), np.float32)
    expected = (x - state["running_mean"]) / np.sqrt(state["running_var"] + 1e-3) * state["weight"] + state["bias"]
    np.testing.assert_allclose(layer(x), expected, rtol=1e-5, atol=1e-6)
