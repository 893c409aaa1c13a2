"""load_torch and to_torch: how names are found, what is said when they are not, and the layers of models."""

import numpy as np
import pytest

import recurra
from recurra.io.torch_names import named
from test_state_dicts import GRU, F, Tensor, drawn


def test_names_of_cells_serve_a_layer_of_one_layer_and_direction_only():
    short = {name.removesuffix("_l0"): array for name, array in drawn(GRU).items()}
    layer = recurra.GRU(3)
    layer.load_torch({f"cell.{name}": array for name, array in short.items()}, "cell")
    for name, array in short.items():
        np.testing.assert_array_equal(layer.parameters[f"{name}_l0"], array)
    cell = recurra.GRUCell(3)
    cell.build((None, F))
    cell.load_torch(short)
    assert set(cell.to_torch()) == set(short)
    two = recurra.GRU(3, num_layers=2)
    two.build((None, None, F))
    with pytest.raises(ValueError, match="expected 'weight_ih_l0' for layer 'gru', got 'weight_ih'"):
        two.load_torch(short)


def test_a_missing_name_shows_the_files_names_those_most_alike_first():
    state = {f"model.encoder.{name}": array for name, array in drawn(GRU).items()}
    state |= {f"other.{n}.zzz": np.ones(1) for n in range(30)}
    layer = recurra.GRU(3)
    layer.build((None, None, F))
    with pytest.raises(ValueError, match=r"^state_dict: expected 'encoder\.weight_ih_l0' for layer 'gru', got "
                       r"'model\.encoder\.weight_ih_l0', .* and 28 more; prefix="):  # fmt: skip
        layer.load_torch(state, "encoder")


def test_an_unexpected_name_is_an_error_unless_not_strict():
    state = {**drawn(GRU), "weight_hh_l1": np.ones((9, 3), np.float32)}
    layer = recurra.GRU(3)
    with pytest.raises(ValueError, match="expected no names but those of the layer, got 'weight_hh_l1'; strict=False"):
        layer.load_torch(state)
    found = layer.load_torch({name: a for name, a in state.items() if name != "bias_hh_l0"}, strict=False)
    assert found == (["bias_hh_l0"], ["weight_hh_l1"])
    np.testing.assert_array_equal(layer.parameters["weight_hh_l0"], state["weight_hh_l0"])


@pytest.mark.parametrize(
    "stored",
    [
        ("rnn.weight_hh_l0_g", "rnn.weight_hh_l0_v"),
        ("rnn.weight_hh_l0_orig", "rnn.weight_hh_l0_u"),
        ("rnn.weight_hh_l0_orig", "rnn.weight_hh_l0_mask"),
        ("rnn.parametrizations.weight_hh_l0.original0", "rnn.parametrizations.weight_hh_l0.original1"),
    ],
)
@pytest.mark.parametrize("strict", [True, False])
def test_a_parametrized_weight_is_refused_by_name(stored, strict):
    state = {f"rnn.{name}": array for name, array in drawn(GRU).items() if name != "weight_hh_l0"}
    state |= {name: np.ones(3, np.float32) for name in stored}
    with pytest.raises(
        ValueError, match=f"'rnn.weight_hh_l0' for layer 'gru', got a parametrization of it, '{stored[0]}'"
    ):
        recurra.GRU(3).load_torch(state, "rnn", strict)


def test_a_wrong_shape_is_told_with_both_and_nothing_is_changed():
    state = drawn(GRU)
    layer = recurra.GRU(3)
    layer.build((None, None, F))
    before = layer.flat_parameters.copy()
    with pytest.raises(ValueError, match=r"state_dict\['bias_hh_l0'\]: expected shape \(9,\), got shape \(8,\)"):
        layer.load_torch({**state, "bias_hh_l0": np.ones(8)})
    with pytest.raises(
        ValueError, match=r"expected shape \(9, 3\), got shape \(3, 9\); PyTorch keeps \(outputs, inputs\)"
    ):
        layer.load_torch({**state, "weight_hh_l0": np.ones((3, 9))})
    np.testing.assert_array_equal(layer.flat_parameters, before)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (np.ones((2, F), np.int64), "expected floating-point numbers, got int64"),
        (np.ones((2, F), np.complex64), "got complex64"),
        ({"nested": 1}, "got dict"),
        ("text", "floating-point numbers"),
        (Tensor(np.ones((2, F), np.int8), "torch.float64"), "got int8"),
    ],
)
def test_what_is_no_array_of_numbers_is_named(value, words):
    layer = recurra.Dense(2, use_bias=False)
    layer.build((None, F))
    with pytest.raises(TypeError, match=rf"state_dict\['weight'\]: .*{words}"):
        layer.load_torch({"weight": value})


def test_numbers_too_large_for_the_layer_are_refused():
    layer = recurra.Dense(1, use_bias=False)
    with pytest.raises(ValueError, match="expected numbers that float32 holds, got larger ones"):
        layer.load_torch({"weight": np.array([[1e300]])})


def test_a_module_and_other_things_are_no_state_dict():
    class Module:
        def state_dict(self):
            return {}

    with pytest.raises(TypeError, match=r"got Module; pass module\.state_dict\(\)"):
        recurra.Dense(2).load_torch(Module())
    with pytest.raises(TypeError, match="state_dict: expected a dictionary of arrays"):
        recurra.Dense(2).load_torch(3)


@pytest.mark.parametrize(
    ("cls", "options", "words"),
    [
        (recurra.LSTM, {"use_peepholes": True}, "use_peepholes"),
        (recurra.LSTM, {"input_forget": True}, "input_forget"),
        (recurra.LSTM, {"cell_clip": 3.0}, "cell_clip"),
        (recurra.LSTM, {"output_activation": "identity"}, "output_activation='identity'"),
        (recurra.GRU, {"reset_after": False}, "reset_after=False"),
        (recurra.GRU, {"recurrent_activation": "hard_sigmoid"}, "recurrent_activation='hard_sigmoid'"),
        (recurra.GRU, {"layer_norm": True}, "layer_norm"),
        (recurra.RNN, {"activation": "sigmoid"}, "activation='sigmoid'"),
        (recurra.RNN, {"clip": 1.0, "zoneout": 0.1}, "clip, zoneout"),
        (recurra.RNN, {"trainable_initial_state": True}, "trainable_initial_state"),
    ],
)
def test_a_recurrent_layer_that_computes_something_else_is_refused_both_ways(cls, options, words):
    layer = cls(3, **options)
    layer.build((None, None, F))
    for call in (layer.to_torch, lambda: layer.load_torch(layer.state_dict())):
        with pytest.raises(ValueError, match=f"expected one that torch.nn has, got {cls.__name__} with {words};"):
            call()


# Models


def tagger():
    return recurra.Sequential(
        [
            recurra.Embedding(11, 5, name="embed"),
            recurra.LSTM(3, return_sequences=True, bidirectional=True),
            recurra.Dropout(0.5),
            recurra.TimeDistributed(recurra.Dense(2), name="out"),
        ]
    )


def test_a_chain_takes_each_layers_prefix_or_its_name_and_is_built_by_the_first_weights():
    model = tagger()
    model.build((None, None))
    state = model.to_torch({"lstm": "encoder.rnn", "out": "head"})
    starts = {name.rpartition(".")[0] for name in state}
    assert starts == {"embed", "encoder.rnn", "head"}
    other = tagger()
    other.load_torch(state, {"lstm": "encoder.rnn", "out": "head"})
    x = np.arange(11)[None]
    np.testing.assert_array_equal(other(x), model(x))
    plain = tagger()
    plain.load_torch({f"net.{name}": array for name, array in model.to_torch().items()}, "net")
    np.testing.assert_array_equal(plain(x), model(x))


def test_a_layer_left_out_keeps_its_weights_and_other_names_are_unexpected():
    model, other = tagger(), tagger()
    for one in (model, other):
        one.build((None, None))
    kept = other.get_layer("out").get_weights()
    state = model.to_torch({"out": None})
    assert not any(name.startswith("out") for name in state)
    other.load_torch(state, {"out": None})
    np.testing.assert_array_equal(other.parameters["lstm.weight_hh_l0"], model.parameters["lstm.weight_hh_l0"])
    assert all(np.array_equal(one, two) for one, two in zip(other.get_layer("out").get_weights(), kept, strict=True))
    with pytest.raises(ValueError, match=r"got 'out\.\w+', 'out\.\w+'; strict=False"):
        other.load_torch(model.to_torch(), {"out": None})


def test_a_graph_with_inner_models_takes_paths():
    inner = recurra.Sequential([recurra.GRU(3, name="rnn"), recurra.Dense(2)], name="encoder")
    x = recurra.Input((None, F))
    model = recurra.Model(x, recurra.Dense(1, name="head")(inner(x)))
    state = model.to_torch()
    assert {name.rpartition(".")[0] for name in state} == {"encoder.rnn", "encoder.dense", "head"}
    moved = model.to_torch({"encoder": "net.0", "encoder.dense": "fc."})
    assert {name.rpartition(".")[0] for name in moved} == {"net.0.rnn", "fc", "head"}
    before = model.flat_parameters.copy()
    model.flat_parameters[...] = 0.0
    model.load_torch(moved, {"encoder": "net.0", "encoder.dense": "fc."})
    np.testing.assert_array_equal(model.flat_parameters, before)


def test_stacked_cells_are_numbered_as_pytorchs_module_list_numbers_them():
    layer = recurra.RNN([recurra.LSTMCell(3), recurra.GRUCell(2)])
    layer.build((None, None, F))
    state = {name.replace("_l0", ""): array for name, array in layer.to_torch("cells").items()}
    assert {"cells.0.weight_ih", "cells.1.bias_hh"} <= set(state)
    before = layer.flat_parameters.copy()
    layer.flat_parameters[...] = 0.0
    layer.load_torch(state, "cells")
    np.testing.assert_array_equal(layer.flat_parameters, before)


def test_wrong_prefixes_are_named():
    model = tagger()
    model.build((None, None))
    with pytest.raises(
        ValueError, match="prefix: expected names of layers in 'sequential', got 'lstn'; embed, lstm, out"
    ):
        model.to_torch({"lstn": "rnn"})
    with pytest.raises(TypeError, match=r"prefix\['lstm'\]: expected a text, or None"):
        model.to_torch({"lstm": 3})
    with pytest.raises(TypeError, match="prefix: expected a text, or a mapping"):
        model.to_torch(3)
    with pytest.raises(ValueError, match=r"prefix: expected names of its own for each layer, got 'one\.weight' twice"):
        model.to_torch({"embed": "one", "out": "one"})


def test_a_layer_that_cannot_tell_its_input_from_the_weights_asks_to_be_built():
    with pytest.raises(ValueError, match="build it"):
        recurra.Sequential([recurra.Dropout(0.1), recurra.Dense(2)]).load_torch({"dense.weight": np.ones((2, 3))})


def test_named_lists_layers_in_the_order_of_the_flat_buffer():
    model = tagger()
    model.build((None, None))
    assert [one.path for one in named(model)] == ["embed", "lstm", "out"]
