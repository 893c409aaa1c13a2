"""Operators that changed with the versions of the operator set, against the package's reference evaluator."""

import numpy as np
import pytest

import onnx_models as make

pytest.importorskip("onnx")
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

from recurra.onnx import OnnxModel, read_graph

X = np.random.default_rng(0).normal(size=(2, 3, 4)).astype(np.float32)


def ints(*values):
    return np.array(values, np.int64)


# Operator, version of the set, attributes, inputs behind X.
CASES = [
    ("Squeeze", 11, {"axes": [1]}, []),
    ("Squeeze", 13, {}, [ints(1)]),
    ("Squeeze", 13, {}, []),
    ("Unsqueeze", 11, {"axes": [0, 3]}, []),
    ("Unsqueeze", 13, {}, [ints(-1, 0)]),
    ("Slice", 9, {"starts": [0, -3], "ends": [1, 100], "axes": [0, 2]}, []),
    ("Slice", 10, {}, [ints(1, 0), ints(2, -1), ints(1, 2)]),
    ("Slice", 13, {}, [ints(-1), ints(-(2**62)), ints(-1), ints(-2)]),
    ("Split", 11, {"axis": 2, "split": [1, 3]}, []),
    ("Split", 11, {"axis": 2}, []),
    ("Split", 13, {"axis": 2}, [ints(3, 1)]),
    ("Split", 18, {"axis": 1, "num_outputs": 2}, []),
    ("Pad", 8, {"mode": "constant", "pads": [0, 1, 0, 0, 0, 2], "value": 3.0}, []),
    ("Pad", 11, {"mode": "reflect"}, [ints(0, 1, 2, 0, 0, 1)]),
    ("Pad", 13, {"mode": "reflect"}, [ints(0, 5, 0, 0, 7, 9)]),
    ("Pad", 13, {"mode": "edge"}, [ints(0, 1, 2, 0, 0, 1)]),
    ("Pad", 18, {}, [ints(1, 2), np.float32(7), ints(-1)]),
    ("Pad", 19, {"mode": "wrap"}, [ints(0, 1, 2, 0, 0, 1)]),
    ("Clip", 8, {"min": -0.5, "max": 0.25}, []),
    ("Clip", 13, {}, [np.float32(-0.5), np.float32(0.25)]),
    ("Clip", 13, {}, [None, np.float32(0.25)]),
    ("Softmax", 13, {"axis": 1}, []),
    ("Softmax", 13, {}, []),
    ("LogSoftmax", 13, {}, []),
    ("ReduceSum", 11, {"axes": [0, 2], "keepdims": 0}, []),
    ("ReduceSum", 13, {"keepdims": 0}, [ints(0, 2)]),
    ("ReduceSum", 13, {"noop_with_empty_axes": 1}, []),
    ("ReduceMean", 13, {"axes": [-1]}, []),
    ("ReduceMean", 18, {}, [ints(-1)]),
    ("ReduceL2", 17, {}, []),
    ("ReduceLogSumExp", 18, {"keepdims": 0}, [ints(1)]),
    ("Dropout", 7, {"ratio": 0.5}, []),
    ("Dropout", 13, {}, [np.float32(0.5)]),
    ("Reshape", 7, {}, [ints(0, -1)]),
    ("Reshape", 14, {"allowzero": 0}, [ints(4, 0, -1)]),
    ("Shape", 13, {}, []),
    ("Shape", 15, {"start": -2}, []),
    ("Gather", 11, {"axis": 1}, [np.array([[0, -1]])]),
    ("Gather", 13, {"axis": 2}, [np.array(1)]),
    ("CumSum", 14, {"exclusive": 1, "reverse": 1}, [np.array(1)]),
    ("ArgMax", 13, {"axis": 1, "keepdims": 0}, []),
    ("Flatten", 13, {"axis": 2}, []),
    ("Expand", 13, {}, [ints(2, 1, 3, 1)]),
    ("Tile", 13, {}, [ints(1, 2, 1)]),
    ("Transpose", 13, {}, []),
    ("Cast", 13, {"to": TensorProto.INT32}, []),
    ("LayerNormalization", 17, {"axis": 1}, [np.full((3, 4), 2, np.float32), np.ones((3, 4), np.float32)]),
    ("BatchNormalization", 15, {}, [np.float32([1, 2, 3]), np.float32([0, 1, 2]), np.zeros(3), np.float32([1, 2, 4])]),
    ("Conv", 11, {"pads": [1, 2], "strides": [2]}, [np.ones((5, 3, 3)), np.arange(5.0)]),
    ("Conv", 11, {"dilations": [2], "auto_pad": "SAME_LOWER"}, [np.ones((5, 3, 2))]),
    ("Conv", 11, {"group": 3}, [np.arange(9.0).reshape(3, 1, 3), np.arange(3.0)]),
    ("MatMul", 13, {}, [np.arange(20.0).reshape(4, 5)]),
    ("AveragePool", 11, {"kernel_shape": [2], "pads": [1, 0]}, []),
    ("MaxPool", 12, {"kernel_shape": [3], "strides": [2], "auto_pad": "SAME_UPPER"}, []),
    ("Erf", 13, {}, []),
]


# Where the reference evaluator takes the newest version's meaning, or fails: by formula.
FLAT = X.reshape(2, 12)
SCALE, SHIFT, MEAN, VARIANCE = np.float32([[1, 2, 3], [0, 1, 2], [1, 0, -1], [1, 2, 4]])
FORMULAS = [
    ("Softmax", 11, {"axis": 1}, [], np.exp(FLAT) / np.exp(FLAT).sum(1, keepdims=True)),
    ("LogSoftmax", 11, {}, [], FLAT - np.log(np.exp(FLAT).sum(1, keepdims=True))),
    (
        "Pad",
        13,
        {},
        [ints(0, -1, 2, 0, 0, -1), np.float32(7)],
        np.pad(X[:, 1:, :3], ((0, 0), (0, 0), (2, 0)), constant_values=7),
    ),
    (
        "BatchNormalization",
        9,
        {"epsilon": 0.5},
        [SCALE, SHIFT, MEAN, VARIANCE],
        (X - MEAN[:, None]) / np.sqrt(VARIANCE + 0.5)[:, None] * SCALE[:, None] + SHIFT[:, None],
    ),
]


@pytest.mark.parametrize("case", FORMULAS, ids=lambda case: f"{case[0]}-{case[1]}")
def test_each_version_of_an_operator_computes_its_formula(case):
    proto, feeds = built(*case[:-1], constant=True)
    expected = case[-1].reshape(X.shape) if case[-1].size == X.size else case[-1]
    np.testing.assert_allclose(make.run_often(OnnxModel(read_graph(proto)), feeds)[0], expected, rtol=1e-5, atol=1e-6)


def case_name(case):
    return f"{case[0]}-{case[1]}-{len(case[2])}-{len(case[3])}"


def built(op, opset, attributes, others, constant):
    others = [one if one is None or np.asarray(one).dtype.kind in "i" else np.float32(one) for one in others]
    names = ["x", *("" if one is None else f"i{place}" for place, one in enumerate(others))]
    held = {name: one for name, one in zip(names[1:], others, strict=True) if name}
    x = X[:, :1] if op == "Squeeze" else X
    count = 2 if op == "Split" else 1
    outputs = [f"y{place}" for place in range(count)]
    node = helper.make_node(op, names, outputs, **attributes)
    free = [] if constant else [(name, np.shape(one), np.asarray(one).dtype) for name, one in held.items()]
    made = [(name, None) for name in outputs]
    proto = make.model([node], [("x", x.shape), *free], made, held if constant else {}, opset)
    return proto, {"x": x, **({} if constant else held)}


@pytest.mark.parametrize("constant", [True, False])
@pytest.mark.parametrize("case", CASES, ids=case_name)
def test_each_version_of_an_operator_computes_what_the_reference_evaluator_computes(case, constant):
    proto, feeds = built(*case, constant)
    expected = ReferenceEvaluator(proto).run(None, feeds)
    for one, other in zip(make.run_often(OnnxModel(read_graph(proto)), feeds), expected, strict=True):
        assert one.shape == np.shape(other)
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("transposed", [(0, 0), (1, 0), (0, 1), (1, 1)])
@pytest.mark.parametrize("constant", [True, False])
@pytest.mark.parametrize("added", [None, (), (5,), (1, 5), (3, 1), (3, 5)])
def test_gemm_in_all_its_forms_is_the_reference_evaluators(transposed, constant, added):
    random = np.random.default_rng(0)
    left, right = transposed
    a = random.normal(size=(4, 3) if left else (3, 4)).astype(np.float32)
    held = {"b": random.normal(size=(5, 4) if right else (4, 5)).astype(np.float32)}
    if added is not None:
        held["c"] = random.normal(size=added).astype(np.float32)
    node = helper.make_node("Gemm", ["a", *held], ["y"], alpha=0.5, beta=2.0, transA=left, transB=right)
    free = [] if constant else [(name, one.shape) for name, one in held.items()]
    proto = make.model([node], [("a", a.shape), *free], [("y", (3, 5))], held if constant else {})
    feeds = {"a": a, **({} if constant else held)}
    (expected,) = ReferenceEvaluator(proto).run(None, feeds)
    np.testing.assert_allclose(OnnxModel(read_graph(proto))(**feeds), expected, rtol=1e-5, atol=1e-6)
