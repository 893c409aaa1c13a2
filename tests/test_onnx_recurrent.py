"""RNN, LSTM and GRU nodes against the specification's text in float64, attribute by attribute and at random."""

import re

import numpy as np
import pytest

import onnx_spec as spec

pytest.importorskip("onnx")
from recurra.onnx import OnnxModel, read_graph

TOLERANCES = {"float16": 4e-3, "float32": 5e-6, "float64": 1e-12}  # of 1 + |expected|
SIZES = (5, 3, 4, 6)


def plain(op, directions=1, dtype=np.float32, options="B", layout=0, **attributes):
    """A case with these optional inputs."""
    random = np.random.default_rng(1)
    every = {}
    while set(every) != set(spec.INPUTS[op]):
        every = spec.random_inputs(random, op, (*SIZES, directions), layout, dtype)
    short = {"L": "sequence_lens", "h": "initial_h", "c": "initial_c", "P": "P", "B": "B"}
    wanted = {"X", "W", "R", *(short[letter] for letter in options)}
    if "L" in options:
        every["sequence_lens"] = np.array([2, 0, 5], np.int32)
    direction = "bidirectional" if directions == 2 else attributes.pop("direction", "forward")
    found = {name: array for name, array in every.items() if name in wanted}
    attributes |= {"hidden_size": SIZES[3], "direction": direction} | ({"layout": 1} if layout else {})
    return spec.Case(op, attributes, found, outputs=("Y", "Y_h", "Y_c")[: 3 if op == "LSTM" else 2])


def check(case):
    """The model of a case agrees with the specification."""
    model = OnnxModel(read_graph(case.model()))
    dtype = case.inputs["X"].dtype
    for got, expected in zip(model.run(None, case.feeds()), case.expected(), strict=True):
        assert got.shape == expected.shape
        assert got.dtype == dtype
        assert (abs(got - expected) <= TOLERANCES[dtype.name] * (1 + abs(expected))).all()
    return model


OPTIONS = {
    "plain": {},
    "no bias": {"options": ""},
    "lengths": {"options": "BL"},
    "initial state": {"options": "Bh"},
    "lengths and initial state": {"options": "BLh"},
    "reverse": {"direction": "reverse"},
    "reverse with lengths": {"direction": "reverse", "options": "BLh"},
    "bidirectional": {"directions": 2, "options": "BLh"},
    "batch first": {"layout": 1, "options": "BLh"},
    "batch first, bidirectional": {"layout": 1, "directions": 2, "options": "BLh"},
    "batch first, reverse": {"layout": 1, "direction": "reverse", "options": "BL"},
    "clip": {"clip": 0.4},
    "float64": {"dtype": np.float64, "options": "BLh"},
    "float16": {"dtype": np.float16, "options": "BLh"},
}


@pytest.mark.parametrize("option", OPTIONS)
@pytest.mark.parametrize("op", spec.GATES)
def test_each_option_is_the_specifications(op, option):
    check(plain(op, **OPTIONS[option]))


@pytest.mark.parametrize("coupled", [0, 1])
@pytest.mark.parametrize("options", ["B", "Bc", "BP", "BPLhc"])
def test_peepholes_and_coupled_gates_are_the_specifications(options, coupled):
    check(plain("LSTM", 2, options=options, input_forget=coupled, clip=0.8, dtype=np.float64))


@pytest.mark.parametrize("linear", [0, 1])
def test_both_forms_of_the_reset_gate_are_the_specifications(linear):
    check(plain("GRU", 2, dtype=np.float64, linear_before_reset=linear))


@pytest.mark.parametrize("name", spec.ACTIVATIONS)
@pytest.mark.parametrize("op", spec.GATES)
def test_each_activation_is_the_specifications(op, name):
    """In each place, and another one in the other direction: two layers then."""
    count = spec.ACTIVATIONS[name][1]
    each = spec.FUNCTIONS[op]
    names = [name] * each + spec.DEFAULTS[op]
    numbers = {"activation_alpha": [0.3] * each * (count > 0), "activation_beta": [0.2] * each * (count > 1)}
    numbers = {key: value for key, value in numbers.items() if value}
    model = check(plain(op, 2, np.float64, "BLh", activations=names, clip=1.0, **numbers))
    (step,) = model._plan.steps
    assert len(step.call.packed.parts) == (1 if names[:each] == names[each:] else 2)


@pytest.mark.parametrize("seed", range(1000, 1040))
def test_random_nodes_are_the_specifications(seed):
    check(spec.random_case(seed))


def test_alphas_and_betas_without_a_value_are_those_of_the_operators_of_that_name():
    """And names of activations are taken in any case, as in ONNX Runtime."""
    given = plain("GRU", 2, activations=["HardSigmoid", "LeakyRelu", "HardSigmoid", "Elu"])
    full = plain("GRU", 2, activations=given.attributes["activations"])
    full.attributes |= {"activation_alpha": [0.2, 0.01, 0.2, 1.0], "activation_beta": [0.5, 0.5]}
    given.attributes["activations"] = ["hardsigmoid", "LEAKYRELU", "HardSigmoid", "elu"]
    for case in (given, full):
        case.results = OnnxModel(read_graph(case.model())).run(None, case.feeds())
    np.testing.assert_allclose(given.results[0], full.results[0], atol=1e-7)


def test_weights_that_come_with_each_call_are_used_and_not_kept():
    case = plain("LSTM", 2, options="BPLhc")
    case.constant = False
    model = check(case)
    zero = {name: array * 0 for name, array in case.feeds().items() if name in "WRBP"}
    assert not model.run(["Y"], {**case.feeds(), **zero, "initial_c": case.inputs["initial_c"] * 0})[0].any()
    check(case)


@pytest.mark.parametrize("outputs", [("Y",), ("", "Y_h"), ("", "", "Y_c"), ("Y", "", "Y_c")])
def test_outputs_that_nobody_wants_may_be_left_out(outputs):
    case = plain("LSTM", options="BLhc")
    case.outputs = outputs
    check(case)


@pytest.mark.parametrize("shape", [(0, 3, 4), (5, 0, 4)])
@pytest.mark.parametrize("op", spec.GATES)
def test_empty_sequences_and_batches_give_empty_outputs(op, shape):
    case = plain(op, 2)
    case.inputs["X"] = np.zeros(shape, np.float32)
    check(case)


@pytest.mark.parametrize("layout", [0, 1])
@pytest.mark.parametrize("op", spec.GATES)
def test_single_steps_with_states_handed_on_are_one_sequence(op, layout):
    """And of several batch sizes in turn; float32, 1e-6."""
    case = plain(op, options="B", layout=layout)
    model = OnnxModel(read_graph(case.model()))
    whole = model.run(None, case.feeds())
    stepping = plain(op, options="Bhc" if op == "LSTM" else "Bh", layout=layout)
    steps = OnnxModel(read_graph(unnamed(stepping)))
    time = 1 if layout else 0
    for rows in (3, 1, 2):
        chosen = case.inputs["X"].take(range(rows), 1 - time)
        states = [np.zeros((rows, 1, 6) if layout else (1, rows, 6), np.float32)] * (2 if op == "LSTM" else 1)
        names = ("initial_h", "initial_c")
        for t in range(5):
            feeds = {"X": chosen.take([t], time), **dict(zip(names, states, strict=False))}
            y, *states = steps.run(None, feeds)
            expected = whole[0].take([t], time).take(range(rows), 0 if layout else 2)
            np.testing.assert_allclose(y, expected, atol=1e-6)
    assert len(steps._plan.steps[0].call.single.by_batch) == 3


def unnamed(case):
    """A case's model whose inputs have no fixed sizes."""
    proto = case.model()
    for value in proto.graph.input:
        value.type.tensor_type.ClearField("shape")
    return proto


REFUSED = {
    "direction": ({"direction": "sideways"}, "'direction' as one of forward, reverse, bidirectional, got 'sideways'"),
    "clip": ({"clip": 0.0}, "'clip' as a positive number, got 0.0"),
    "layout": ({"layout": 2}, "'layout' as 0 or 1, got 2"),
    "hidden_size": ({"hidden_size": 7}, "input 'W': expected shape (1, 28, 4), got (1, 24, 4)"),
    "activations": ({"activations": ["Sigmoid", "Gelu", "Tanh"]}, "activations of Affine, Elu,"),
    "their number": ({"activations": ["Sigmoid", "Tanh"]}, "expected 3 activations, got 2"),
    "alpha of Affine": ({"activations": ["Sigmoid", "Affine", "Tanh"]}, "a number for Affine in attribute"),
    "too many alphas": (
        {"activations": ["Sigmoid", "Elu", "Tanh"], "activation_alpha": [1.0, 2.0]},
        "at most 1 numbers in attribute 'activation_alpha'",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_attributes_that_cannot_be_honoured_are_refused_at_load_with_the_node(name):
    attributes, words = REFUSED[name]
    case = plain("LSTM")
    case.attributes |= attributes
    with pytest.raises(ValueError, match=re.escape(words)) as caught:
        OnnxModel(read_graph(case.model()))
    assert "node 'node' (LSTM)" in str(caught.value)


SHAPES = {
    "X": ((5, 3, 7), "expected 4 features, as W of shape (1, 24, 4) has, got shape (5, 3, 7)"),
    "initial_h": ((1, 3, 7), "input 'initial_h': expected shape (1, 3, 6), got shape (1, 3, 7)"),
    "initial_c": ((2, 3, 6), "input 'initial_c': expected shape (1, 3, 6), got shape (2, 3, 6)"),
    "sequence_lens": ((4,), "lengths: expected shape (3,), got (4,)"),
    "R": ((1, 24, 5), "input 'R': expected shape (1, 24, 6), got (1, 24, 5)"),
    "B": ((1, 24), "input 'B': expected shape (1, 48), got (1, 24)"),
    "P": ((1, 6), "input 'P': expected shape (1, 18), got (1, 6)"),
}


@pytest.mark.parametrize("name", SHAPES)
def test_shapes_that_do_not_fit_are_refused_with_both(name):
    shape, words = SHAPES[name]
    case = plain("LSTM", options="BLhcP")
    case.inputs[name] = np.zeros(shape, case.inputs[name].dtype)
    with pytest.raises(ValueError, match=re.escape(words)) as caught:
        OnnxModel(read_graph(case.model())).run(None, case.feeds())
    assert "node 'node' (LSTM)" in str(caught.value)


def test_lengths_beyond_the_sequence_are_refused():
    case = plain("GRU", options="BL")
    case.inputs["sequence_lens"] = np.array([5, 6, 0], np.int32)
    with pytest.raises(ValueError, match="lengths: expected values from 0 to 5, got 6 in sample 1"):
        OnnxModel(read_graph(case.model())).run(None, case.feeds())
