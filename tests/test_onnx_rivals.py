"""Slow: random recurrent graphs against ONNX Runtime and the specification; ONNX's own tests."""

import os
import re
import unittest
import warnings

import numpy as np
import pytest

import onnx_models as make
import onnx_spec as spec

onnx = pytest.importorskip("onnx")
from recurra.onnx import OnnxModel, read_graph, supported_operators  # noqa: E402

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
RANDOM = 300
TOLERANCES = {"float32": 1e-5, "float64": 1e-12}  # of 1 + |expected|


def apart(got, expected):
    return max(float((abs(a - b) / (1 + abs(b))).max(initial=0)) for a, b in zip(got, expected, strict=True))


@pytest.mark.parametrize("seed", range(RANDOM))
def test_random_graphs_agree_with_the_specification_and_with_onnx_runtime_where_it_has_them(seed):
    case = spec.random_case(seed)
    proto = case.model()
    got = OnnxModel(read_graph(proto)).run(None, case.feeds())
    tolerance = TOLERANCES[case.inputs["X"].dtype.name]
    assert apart(got, case.expected()) <= tolerance
    theirs = runtime(proto, case)
    if theirs is not None:
        assert apart(got, theirs) <= 2 * tolerance


def runtime(proto, case):
    """ONNX Runtime's outputs, or None for what it has not: layout 1 and float64, see docs/onnx.md."""
    ort = pytest.importorskip("onnxruntime")
    absent = case.attributes.get("layout") == 1 or case.inputs["X"].dtype == np.float64
    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    try:
        session = ort.InferenceSession(proto.SerializeToString(), options, providers=["CPUExecutionProvider"])
        found = session.run(None, case.feeds())
    except Exception:
        assert absent, "ONNX Runtime refuses what the table says it has"
        return None
    assert not absent
    return found


def test_onnx_runtime_serves_more_than_a_third_of_the_random_graphs():
    """Lest the comparison compares nothing."""
    cases = [spec.random_case(seed) for seed in range(RANDOM)]
    served = [one for one in cases if one.attributes.get("layout") != 1 and one.inputs["X"].dtype == np.float32]
    assert len(served) > RANDOM / 3


# ONNX's own tests of single nodes


def node_cases():
    from onnx.backend.test.case.node import collect_testcases

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = {case.name: case for case in collect_testcases(None)}
    own = set(supported_operators())
    return [one for one in found.values() if {node.op_type for node in one.model.graph.node} <= own]


# What the tests of supported operators ask for and recurra refuses by name.
REFUSED = (
    "expected numbers of type",
    "expected a tensor, got",
    "at inference, got training_mode",
    "an operator set from 7",
    "Scan of version 9 or later",
)
# Tests that fail, and why.
DIFFERENT = {
    "test_causal_conv_with_state_silu_fp16_expanded": "products of halves, which recurra does not round in between",
    "test_quantizelinear_blocked_symmetric": "the reference evaluator returns no numbers",
}


def agrees(case, got, expected):
    for one, other in zip(got, expected, strict=True):
        if not isinstance(other, np.ndarray | np.generic):
            other = onnx.numpy_helper.to_array(other)
        other = np.asarray(other)
        assert one.dtype == other.dtype
        assert one.shape == other.shape
        np.testing.assert_allclose(one, other, rtol=case.rtol or 1e-3, atol=case.atol or 1e-7)


def test_onnx_node_tests_of_all_supported_operators_pass_or_are_refused_by_name():
    passed, seen = 0, set()
    for case in node_cases():
        try:
            model = OnnxModel(read_graph(case.model))
        except ValueError as error:
            if not re.search("|".join(REFUSED), str(error)):
                raise
            continue
        if case.name in DIFFERENT:
            continue
        names = [value.name for value in model.inputs]
        for inputs, outputs in case.data_sets:
            arrays = [one if isinstance(one, np.ndarray | np.generic) else array_of(one) for one in inputs]
            agrees(case, make.run_often(model, dict(zip(names, arrays, strict=True))), outputs)
        passed += 1
        seen |= {node.op_type for node in case.model.graph.node}
    missing = set(supported_operators()) - seen
    assert not missing, f"no node test of {sorted(missing)} ran"
    assert passed > 1200


def array_of(value):
    return onnx.numpy_helper.to_array(value) if hasattr(value, "dims") else np.asarray(value)


def test_the_backend_runner_passes_all_tests_of_rnn_lstm_and_gru():
    import onnx.backend.test

    import recurra.onnx.backend as backend

    tests = onnx.backend.test.BackendTest(backend, __name__)
    pattern = r"^test_(simple_rnn|rnn_|lstm_|gru_)"
    tests.include(pattern)
    suite, result = unittest.TestSuite(), unittest.TestResult()
    for group in tests.test_cases.values():
        for name in unittest.TestLoader().getTestCaseNames(group):
            if re.match(pattern, name) and name.endswith("_cpu"):
                suite.addTest(group(name))
    assert suite.countTestCases() >= 15
    suite.run(result)
    assert result.wasSuccessful(), result.errors + result.failures
    assert not result.skipped
    assert result.testsRun >= 15


# Models made for old operator sets, which come with the package onnx


def stored_models():
    folder = os.path.join(os.path.dirname(onnx.backend.test.__file__), "data")
    found = [os.path.join(root, name) for root, _, names in os.walk(folder) for name in names if name == "model.onnx"]
    return sorted(found)


def test_stored_models_of_the_package_run_or_are_refused_by_name():

    known = (*REFUSED, "an operator of ONNX itself", "an operator that runs")
    ran = 0
    for path in stored_models():
        try:
            model = OnnxModel(read_graph(path))
        except ValueError as error:
            if not re.search("|".join(known), str(error)):
                raise
            continue
        assert model.outputs
        ran += 1
    assert ran > 5
