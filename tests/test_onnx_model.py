"""ONNX models that run: their interface, their plan, graphs inside of nodes, and what errors say."""

import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import onnx_models as make
import recurra

onnx = pytest.importorskip("onnx")
from onnx import TensorProto, helper  # noqa: E402
from onnx.reference import ReferenceEvaluator  # noqa: E402

from recurra.onnx import OnnxModel, read_graph, supported_operators  # noqa: E402


def loaded(proto):
    return OnnxModel(read_graph(proto))


def sequence(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def test_a_file_is_loaded_in_one_line_and_agrees_with_the_reference_evaluator(tmp_path):
    proto = make.lstm(directions=2)
    onnx.save(proto, tmp_path / "m.onnx")
    model = recurra.onnx.load(tmp_path / "m.onnx", native=False)
    x = sequence(5, 2, 3)
    (expected,) = ReferenceEvaluator(proto).run(None, {"x": x})
    np.testing.assert_allclose(model(x), expected, atol=1e-6)
    np.testing.assert_array_equal(model(x=x), model(x))


def test_a_file_that_no_native_model_can_say_is_loaded_as_it_is(tmp_path):
    proto = make.model([helper.make_node("Erf", ["x"], ["y"])], [("x", [2])], [("y", [2])])
    onnx.save(proto, tmp_path / "m.onnx")
    assert isinstance(recurra.load(tmp_path / "m.onnx"), OnnxModel)
    with pytest.raises(ValueError, match="a graph that our layers can say"):
        recurra.onnx.load(tmp_path / "m.onnx", native=True)


def test_importing_recurra_does_not_import_onnx():
    code = "import recurra, recurra.io, sys; assert 'onnx' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_interface_is_that_of_an_onnx_runtime_session():
    model = loaded(make.lstm())
    (given,), (made,) = model.get_inputs(), model.get_outputs()
    assert (given.name, given.shape, given.type) == ("x", ("t", "n", 3), "tensor(float)")
    assert (made.name, made.shape) == ("p", ("t", 1, "n", 4))
    x = sequence(5, 2, 3)
    np.testing.assert_array_equal(model.run(["p"], {"x": x})[0], model.run(None, {"x": x})[0])
    assert repr(model) == "OnnxModel(x tensor(float)(t, n, 3) -> p tensor(float)(t, 1, n, 4))"


CALLS = {
    "type": (lambda m: m(np.zeros((5, 2, 3))), TypeError, "x: expected float32, got float64; cast it"),
    "shape": (lambda m: m(sequence(5, 2, 4)), ValueError, "x: expected shape (t, n, 3), got (5, 2, 4)"),
    "axes": (lambda m: m(sequence(5, 3)), ValueError, "x: expected shape (t, n, 3), got (5, 3)"),
    "missing": (lambda m: m(), ValueError, "inputs: expected 'x', got none for 'x'"),
    "unknown": (lambda m: m(sequence(5, 2, 3), z=1), ValueError, "inputs: expected 'x', got 'z'"),
    "too many": (lambda m: m(1, 2), ValueError, "arrays: expected 1 inputs, got 2"),
    "twice": (lambda m: m(sequence(5, 2, 3), x=1), ValueError, "each input once, got 'x' twice"),
    "output": (lambda m: m.run(["q"], {"x": sequence(5, 2, 3)}), ValueError, "one of 'p', got 'q'"),
}


@pytest.mark.parametrize("name", CALLS)
def test_wrong_calls_are_named(name):
    call, kind, words = CALLS[name]
    with pytest.raises(kind, match=re.escape(words)):
        call(loaded(make.lstm()))


def test_many_threads_share_a_model():
    model = loaded(make.lstm(features=8, units=32, directions=2))
    inputs = [sequence(6, 3, 8, seed=seed) for seed in range(40)]
    expected = [model(x) for x in inputs]
    with ThreadPoolExecutor(8) as pool:
        for one, two in zip(pool.map(model, inputs), expected, strict=True):
            np.testing.assert_array_equal(one, two)


def test_what_never_changes_is_computed_once_and_what_nobody_reads_never():
    nodes = [
        helper.make_node("Transpose", ["w"], ["t"], perm=[1, 0]),
        helper.make_node("Mul", ["t", "two"], ["u"]),
        helper.make_node("MatMul", ["x", "u"], ["y"]),
        helper.make_node("Exp", ["y"], ["unused"]),
    ]
    w = sequence(4, 3)
    proto = make.model(nodes, [("x", [2, 3])], [("y", [2, 4])], {"w": w, "two": np.float32(2)})
    model = loaded(proto)
    assert [node.where for node in model._plan.nodes] == ["model: the MatMul node that makes 'y'"]
    x = sequence(2, 3)
    np.testing.assert_allclose(model(x), x @ w.T * 2, rtol=1e-6)


def test_outputs_share_no_memory_with_inputs_weights_or_each_other():
    nodes = [helper.make_node("Identity", ["x"], ["y"]), helper.make_node("Reshape", ["w", "s"], ["z"])]
    proto = make.model(nodes, [("x", [3])], [("y", [3]), ("z", [3, 1])], {"w": sequence(3), "s": np.array([3, 1])})
    model = loaded(proto)
    x = sequence(3)
    for _ in range(2):
        y, z = model(x)
        np.testing.assert_array_equal(y, x)
        np.testing.assert_array_equal(z[:, 0], sequence(3))
        y[...] = z[...] = 0


def branch(name, op, around="x"):
    return helper.make_graph([helper.make_node(op, [around], [name])], name, [], [make.value(name, None)])


@pytest.mark.parametrize("fixed", [True, False])
def test_if_runs_one_branch_which_reads_values_from_around(fixed):
    node = helper.make_node("If", ["c"], ["y"], then_branch=branch("a", "Neg"), else_branch=branch("b", "Exp"))
    inputs = [("x", [3])] if fixed else [("x", [3]), ("c", [], np.bool_)]
    for truth, function in ((True, np.negative), (False, np.exp)):
        held = {"c": np.array(truth)} if fixed else {}
        more = () if fixed else (np.array(truth),)
        x = sequence(3)
        np.testing.assert_allclose(loaded(make.model([node], inputs, [("y", [3])], held))(x, *more), function(x))


def doubling(rounds):
    """y = x * 2**rounds, with every step kept: a loop whose body reads a weight from around."""
    body = helper.make_graph(
        [
            helper.make_node("Mul", ["v", "two"], ["w"]),
            helper.make_node("Identity", ["w"], ["kept"]),
            helper.make_node("Identity", ["go"], ["go_on"]),
        ],
        "body",
        [make.value("i", [], np.int64), make.value("go", [], np.bool_), make.value("v", [3])],
        [make.value("go_on", [], np.bool_), make.value("w", [3]), make.value("kept", [3])],
    )
    node = helper.make_node("Loop", ["m", "", "x"], ["y", "all"], body=body)
    held = {"m": np.array(rounds), "two": np.float32(2)}
    return make.model([node], [("x", [3])], [("y", [3]), ("all", None)], held)


def test_loop_carries_values_and_stacks_what_each_round_gives():
    x = sequence(3)
    y, kept = loaded(doubling(3))(x)
    np.testing.assert_array_equal(y, x * 8)
    np.testing.assert_array_equal(kept, np.stack([x * 2, x * 4, x * 8]))


def test_a_loop_that_never_ends_is_ended(monkeypatch):
    monkeypatch.setattr("recurra.onnx.operators.control.MOST_ROUNDS", 100)
    with pytest.raises(ValueError, match="at most 100 rounds"):
        loaded(doubling(2**62))(np.zeros(3, np.float32))


def test_scan_runs_its_body_over_slices():
    body = helper.make_graph(
        [helper.make_node("Add", ["s", "p"], ["t"]), helper.make_node("Identity", ["t"], ["o"])],
        "body",
        [make.value("s", [2]), make.value("p", [2])],
        [make.value("t", [2]), make.value("o", [2])],
    )
    node = helper.make_node("Scan", ["s0", "x"], ["last", "all"], body=body, num_scan_inputs=1)
    proto = make.model([node], [("s0", [2]), ("x", [4, 2])], [("last", [2]), ("all", [4, 2])])
    x = sequence(4, 2)
    last, each = loaded(proto)(np.zeros(2, np.float32), x)
    np.testing.assert_allclose(each, np.cumsum(x, 0), rtol=1e-6)
    np.testing.assert_allclose(last, x.sum(0), rtol=1e-6)


def test_an_operator_that_does_not_run_is_named_before_anything_runs():
    node = helper.make_node("RandomNormal", [], ["y"], "noise", shape=[3])
    with pytest.raises(ValueError, match=re.escape("node 'noise' (RandomNormal): expected an operator that runs")):
        loaded(make.model([node], [], [("y", [3])]))
    assert "LSTM" in supported_operators()
    assert "RandomNormal" not in supported_operators()


def test_an_error_while_running_names_the_node():
    node = helper.make_node("Add", ["x", "w"], ["y"], "sum")
    model = loaded(make.model([node], [("x", ["n"])], [("y", None)], {"w": sequence(3)}))
    with pytest.raises(ValueError, match=r"node 'sum' \(Add\): operands could not be broadcast"):
        model(sequence(2))


GROWING = {
    "ConstantOfShape": (["s"], {"s": np.array([2**20, 2**20])}, {}),
    "Expand": (["x", "s"], {"s": np.array([2**40, 3])}, {}),
    "Tile": (["x", "s"], {"s": np.array([2**40])}, {}),
    "Range": (["a", "b", "a"], {"a": np.array(1), "b": np.array(2**40)}, {}),
    "Pad": (["x", "s"], {"s": np.array([2**40, 0])}, {}),
}


@pytest.mark.parametrize("op", GROWING)
def test_results_beyond_all_reason_are_refused_before_memory_is_taken(op):
    inputs, held, attributes = GROWING[op]
    proto = make.model([helper.make_node(op, inputs, ["y"], "big", **attributes)], [("x", [3])], [("y", None)], held)
    with pytest.raises(ValueError, match=r"node 'big' .*at most 134217728 numbers in all"):
        loaded(proto)(sequence(3))


def test_weights_of_half_precision_are_computed_wider_and_rounded_once():
    w = sequence(4, 3).astype(np.float16)
    node = helper.make_node("MatMul", ["x", "w"], ["y"])
    proto = make.model([node], [("x", [2, 4], np.float16)], [("y", [2, 3], np.float16)], {"w": w})
    x = sequence(2, 4).astype(np.float16)
    expected = (x.astype(np.float32) @ w.astype(np.float32)).astype(np.float16)
    np.testing.assert_array_equal(loaded(proto)(x), expected)


def test_numbers_are_taken_as_arrays_of_the_inputs_type():
    node = helper.make_node("Cast", ["x"], ["y"], to=TensorProto.FLOAT)
    model = loaded(make.model([node], [("x", [], np.int64)], [("y", [])]))
    assert model(16000) == np.float32(16000)
    assert model([[]][0:0] or 3).shape == ()
