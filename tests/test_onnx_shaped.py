"""Plans for inputs of given shapes: they compute what the plan for all shapes does, with fewer nodes."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import onnx_models as make
from recurra import _core

onnx = pytest.importorskip("onnx")
from onnx import helper  # noqa: E402
from onnx.reference import ReferenceEvaluator  # noqa: E402

from recurra.onnx import OnnxModel, read_graph, shaped, written  # noqa: E402


def loaded(*given, **options):
    return OnnxModel(read_graph(make.model(*given, **options)))


def numbers(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def operators(model, *given):
    """The operators that remain for these inputs."""
    for _ in range(2):
        model(*given)
    return [one.node.op_type for one in model._shaped.choose(given).nodes]


def branch(name, op, around="x", **attributes):
    return helper.make_graph([helper.make_node(op, [around], [name], **attributes)], name, [], [make.value(name, None)])


def chosen_by_rows():
    """-x for one row, else exp x; twice as deep for three columns."""
    inner = helper.make_node(
        "If", ["three"], ["d"], then_branch=branch("a", "Neg", "n"), else_branch=branch("b", "Exp", "n")
    )
    outer = [helper.make_node("Neg", ["x"], ["n"]), inner]
    nodes = [
        helper.make_node("Shape", ["x"], ["s"]),
        helper.make_node("Gather", ["s", "first"], ["rows"]),
        helper.make_node("Gather", ["s", "second"], ["columns"]),
        helper.make_node("Equal", ["rows", "one"], ["single"]),
        helper.make_node("Equal", ["columns", "three_"], ["three"]),
        helper.make_node(
            "If",
            ["single"],
            ["y"],
            then_branch=branch("c", "Abs"),
            else_branch=helper.make_graph(outer, "deep", [], [make.value("d", None)]),
        ),
    ]
    held = {"first": np.int64(0), "second": np.int64(1), "one": np.int64(1), "three_": np.int64(3)}
    return loaded(nodes, [("x", ["n", "m"])], [("y", None)], held)


def test_an_if_on_shapes_is_one_of_its_graphs():
    model = chosen_by_rows()
    for _ in range(4):
        for shape, function in (((1, 3), np.abs), ((2, 3), lambda x: x), ((2, 2), lambda x: np.exp(-x))):
            x = numbers(*shape)
            np.testing.assert_allclose(model(x), function(x), rtol=1e-6)
    assert operators(model, numbers(1, 3)) == ["Abs"]
    assert operators(model, numbers(2, 3)) == ["Neg", "Neg"]
    assert operators(model, numbers(2, 2)) == ["Neg", "Exp"]


def test_an_input_that_decides_is_part_of_what_a_plan_is_for():
    nodes = [
        helper.make_node("Equal", ["rate", "sixteen"], ["fast"]),
        helper.make_node("If", ["fast"], ["y"], then_branch=branch("a", "Neg"), else_branch=branch("b", "Exp")),
    ]
    model = loaded(nodes, [("x", [3]), ("rate", [], np.int64)], [("y", [3])], {"sixteen": np.int64(16)})
    x = numbers(3)
    for _ in range(4):
        np.testing.assert_array_equal(model(x, np.array(16)), -x)
        np.testing.assert_allclose(model(x, np.array(8)), np.exp(x), rtol=1e-6)
    assert operators(model, x, np.array(16)) == ["Neg"]


def test_other_integers_and_what_numbers_decide_is_no_part_of_it():
    nodes = [
        helper.make_node("Gather", ["table", "words"], ["v"]),
        helper.make_node("ReduceSum", ["v"], ["total"], keepdims=0),
        helper.make_node("Greater", ["total", "zero"], ["positive"]),
        helper.make_node(
            "If", ["positive"], ["y"], then_branch=branch("a", "Neg", "v"), else_branch=branch("b", "Exp", "v")
        ),
    ]
    table = np.float32([[1, 2], [-3, -4]])
    model = loaded(nodes[:1], [("words", [1], np.int64)], [("v", None)], {"table": table})
    for word in range(2):
        for _ in range(3):
            np.testing.assert_array_equal(model(np.array([word])), table[[word]])
    assert len(model._shaped.plans) == 1
    model = loaded(nodes, [("words", [1], np.int64)], [("y", None)], {"table": table, "zero": np.float32(0)})
    for _ in range(4):
        for word, function in ((0, np.negative), (1, np.exp)):
            np.testing.assert_allclose(model(np.array([word])), function(table[[word]]), rtol=1e-6)


def test_what_changes_nothing_falls_away_and_reshapes_are_one():
    nodes = [
        helper.make_node("Slice", ["x", "zero", "many", "zero"], ["a"]),
        helper.make_node("Cast", ["a"], ["b"], to=onnx.TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["b", "zero"], ["c"]),
        helper.make_node("ReduceMean", ["c"], ["d"], axes=[0], keepdims=0),
        helper.make_node("Unsqueeze", ["d", "zero"], ["e"]),
        helper.make_node("Reshape", ["e", "flat"], ["f"]),
        helper.make_node("Neg", ["f"], ["y"]),
        helper.make_node("Squeeze", ["c", "zero"], ["same"]),
    ]
    held = {"zero": np.int64([0]), "many": np.int64([99]), "flat": np.int64([-1])}
    model = loaded(nodes, [("x", ["n", 3])], [("y", None), ("same", None)], held)
    assert operators(model, numbers(2, 3)) == ["Reshape", "Neg"]
    for x in (numbers(2, 3), numbers(3, 2).T, numbers(0, 3), numbers(120, 3)):
        for _ in range(4):
            y, same = model(x)
            np.testing.assert_array_equal(y, -x[:99].reshape(-1))
            np.testing.assert_array_equal(same, x[:99])
            same[...] = 7  # is no part of the input
    assert (x != 7).all()


@pytest.mark.parametrize("op", ["ReduceMean", "ReduceMax", "ReduceSum"])
def test_a_reduction_of_one_place_is_a_reshape_in_memory_of_its_own(op):
    attributes = {} if op == "ReduceSum" else {"axes": [0]}
    names, held = (["x", "a"], {"a": np.int64([0])}) if op == "ReduceSum" else (["x"], {})
    nodes = [helper.make_node(op, names, ["y"], keepdims=0, **attributes), helper.make_node("Squeeze", ["y"], ["z"])]
    model = loaded(nodes, [("x", ["n", 3])], [("y", None), ("z", None)], held)
    assert operators(model, numbers(1, 3)) == ["Reshape"]
    assert operators(model, numbers(2, 3)) == [op]
    assert operators(model, numbers(0, 3)) == [op]
    x = numbers(1, 3)
    y, z = model(x)
    y[...] = 7
    np.testing.assert_array_equal(z, x[0])
    np.testing.assert_array_equal(x, numbers(1, 3))


def test_a_length_that_numbers_decide_is_not_taken_as_known():
    nodes = [helper.make_node("NonZero", ["x"], ["n"]), helper.make_node("Shape", ["n"], ["y"])]
    model = loaded(nodes, [("x", [4])], [("y", [2])])
    for count in (1, 3, 0, 4):
        for _ in range(3):
            x = np.zeros(4, np.float32)
            x[:count] = 1
            np.testing.assert_array_equal(model(x), [1, count])


def test_sizes_given_as_input_are_read_at_each_call():
    model = loaded([helper.make_node("Reshape", ["x", "s"], ["y"])], [("x", [6]), ("s", [2], np.int64)], [("y", None)])
    for shape in ([2, 3], [3, 2], [6, 1]):
        for _ in range(3):
            assert list(model(numbers(6), np.array(shape)).shape) == shape


def test_no_more_plans_are_kept_than_some_and_none_for_large_arrays(monkeypatch):
    monkeypatch.setattr(shaped, "MOST_SHAPES", 4)
    model = chosen_by_rows()
    for _ in range(3):
        for rows in range(2, 9):
            x = numbers(rows, 2)
            np.testing.assert_allclose(model(x), np.exp(-x), rtol=1e-6)
    assert len(model._shaped.plans) == 4
    monkeypatch.setattr(shaped, "MOST_NUMBERS", 40)
    model = chosen_by_rows()
    assert operators(model, numbers(2, 3)) == ["Neg", "Neg"]
    assert "If" in operators(model, numbers(30, 3))


def test_errors_name_the_node_at_every_call():
    nodes = [helper.make_node("Identity", ["x"], ["z"]), helper.make_node("MatMul", ["z", "w"], ["y"], "product")]
    model = loaded(nodes, [("x", ["n", "m"])], [("y", None)], {"w": numbers(3, 2)})
    for _ in range(4):
        with pytest.raises(ValueError, match=r"model: node 'product' .MatMul.: factors: expected 3 columns"):
            model(numbers(2, 4))
        model(numbers(2, 3))


def test_errors_within_a_plan_for_shapes_name_the_node():
    nodes = [
        helper.make_node("Neg", ["x"], ["a"]),
        helper.make_node("Reshape", ["a", "s"], ["b"], "turn"),
        helper.make_node("Exp", ["b"], ["y"]),
    ]
    model = loaded(nodes, [("x", [6]), ("s", [2], np.int64)], [("y", None)])
    x = numbers(6)
    for _ in range(4):
        np.testing.assert_allclose(model(x, np.array([2, 3])), np.exp(-x).reshape(2, 3), rtol=1e-6)
        with pytest.raises(ValueError, match=r"model: node 'turn' \(Reshape\): cannot reshape array of size 6"):
            model(x, np.array([4, 3]))
    assert isinstance(model._shaped.choose([x, np.array([2, 3])]), written.WrittenPlan)


def test_inputs_are_checked_at_every_call():
    node = helper.make_node("Add", ["a", "b"], ["y"])
    model = loaded([node], [("a", ["n"]), ("b", [2])], [("y", None)])
    a, b = numbers(2), numbers(2, seed=1)
    for _ in range(4):
        np.testing.assert_array_equal(model(a, b), a + b)
        np.testing.assert_array_equal(model([1, 2], (3, 4)), [4, 6])
        np.testing.assert_array_equal(model.run(["y"], {"b": b, "a": a})[0], a + b)
        with pytest.raises(TypeError, match="a: expected float32, got float64"):
            model(a.astype(np.float64), b)
        with pytest.raises(ValueError, match=r"b: expected shape \(2,\), got \(3,\)"):
            model(a, numbers(3))
        with pytest.raises(ValueError, match="inputs: expected 'a', 'b', got none for 'b'"):
            model(a)
        with pytest.raises(ValueError, match="inputs: expected 'a', 'b', got 'c'"):
            model(a, b, c=b)
        with pytest.raises(ValueError, match="output_names: expected one of 'y', got 'z'"):
            model.run(["z"], {"a": a, "b": b})


def lstm(batch_first):
    held = {"W": numbers(1, 16, 3), "R": numbers(1, 16, 4, seed=1), "B": numbers(1, 32, seed=2)}
    layout = {"layout": 1} if batch_first else {}
    node = helper.make_node("LSTM", ["x", *held, "", "h", "c"], ["y", "hn", "cn"], hidden_size=4, **layout)
    return loaded([node], [(name, None) for name in "xhc"], [(name, None) for name in ("y", "hn", "cn")], held)


@pytest.mark.parametrize("batch_first", [False, True])
def test_a_single_step_of_an_lstm_is_bound_to_its_shapes(batch_first):
    model, other = lstm(batch_first), lstm(batch_first)
    axes = (1, 0, 2) if batch_first else (0, 1, 2)
    for rows in (2, 1):
        x, h, c = (numbers(1, rows, width, seed=width).transpose(axes) for width in (3, 4, 5))
        c = c[..., 1:]
        for _ in range(4):
            made = model(x, h, c)
            for one, expected in zip(made, other._plan.run([x, h, c]), strict=True):
                np.testing.assert_array_equal(one, expected)
                one[...] = 7
        (node,) = model._shaped.choose([x, h, c]).nodes
        assert isinstance(node.call, _core.SingleStep)
        for _ in range(3):
            with pytest.raises(ValueError, match="input 'initial_h': expected shape"):
                model(x, h[..., :3], c)


def test_threads_may_make_a_plan_at_the_same_time():
    model, expected = chosen_by_rows(), np.exp(-numbers(2, 2))
    with ThreadPoolExecutor(4) as pool:
        for y in pool.map(lambda _: model(numbers(2, 2)), range(200)):
            np.testing.assert_allclose(y, expected, rtol=1e-6)


ACTIVATIONS = {
    "Relu": {},
    "LeakyRelu": {"alpha": 0.3},
    "HardSigmoid": {"alpha": 0.3, "beta": 0.4},
    "Sigmoid": {},
    "Elu": {"alpha": 0.5},
}


@pytest.mark.parametrize("op", ACTIVATIONS)
@pytest.mark.parametrize("batch", [1, 3])
def test_an_activation_behind_a_convolution_is_part_of_it_unless_others_read_that(op, batch):
    held = {"w": numbers(5, 2, 3), "b": numbers(5)}
    nodes = [
        helper.make_node("Conv", ["x", "w", "b"], ["z"], pads=[1, 1], strides=[2]),
        helper.make_node(op, ["z"], ["y"], **ACTIVATIONS[op]),
        helper.make_node("Neg", ["z"], ["other"]),
    ]
    joined = loaded(nodes[:2], [("x", [batch, 2, 7])], [("y", None)], held)
    apart = loaded(nodes, [("x", [batch, 2, 7])], [("y", None), ("other", None)], held)
    shown = loaded(nodes[:2], [("x", [batch, 2, 7])], [("y", None), ("z", None)], held)
    assert [one.node.op_type for one in joined._plan.nodes] == ["Conv"]
    assert len(apart._plan.nodes) == 3
    assert len(shown._plan.nodes) == 2
    x = numbers(batch, 2, 7)
    expected = ReferenceEvaluator(make.model(nodes[:2], [("x", x.shape)], [("y", None)], held))
    for y in (joined(x), apart(x)[0], shown(x)[0]):
        np.testing.assert_allclose(y, expected.run(None, {"x": x})[0], rtol=1e-5, atol=1e-6)


WINDOWS = {
    "two axes": ([2, 6, 7, 9], [8, 6, 3, 2], {"pads": [1, 0, 2, 1], "strides": [2, 1]}),
    "dilations": ([1, 3, 9, 8], [4, 3, 2, 3], {"dilations": [3, 2]}),
    "groups": ([3, 6, 5, 6], [4, 3, 2, 2], {"group": 2, "auto_pad": "SAME_UPPER"}),
    "one place": ([2, 5, 4, 3], [7, 5, 1, 1], {}),
    "one place, padded": ([1, 5, 4, 3], [7, 5, 1, 1], {"pads": [1, 1, 1, 1]}),
    "one place, strides": ([1, 5, 4, 3], [7, 5, 1, 1], {"strides": [2, 1]}),
    "three axes": ([1, 2, 4, 5, 3], [3, 2, 2, 2, 2], {"pads": [1] * 6}),
    "dilated line": ([2, 4, 11], [6, 4, 3], {"dilations": [2], "pads": [2, 1]}),
}


@pytest.mark.parametrize("case", WINDOWS)
def test_convolutions_of_any_windows_are_the_reference_evaluators(case):
    shape, filters, attributes = WINDOWS[case]
    nodes = [
        helper.make_node("Conv", ["x", "w", "b"], ["z"], **attributes),
        helper.make_node("LeakyRelu", ["z"], ["y"], alpha=0.5),
    ]
    held = {"w": numbers(*filters), "b": numbers(filters[0])}
    proto = make.model(nodes, [("x", shape)], [("y", None)], held)
    model = OnnxModel(read_graph(proto))
    assert [one.node.op_type for one in model._plan.nodes] == ["Conv"]
    x = numbers(*shape, seed=1)
    (expected,) = ReferenceEvaluator(proto).run(None, {"x": x})
    last = np.moveaxis(np.ascontiguousarray(np.moveaxis(x, 1, -1)), -1, 1)
    for given in (x, last):
        np.testing.assert_allclose(make.run_often(model, {"x": given})[0], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("pads", [[0, 0, 0, 0], [1, 0, 1, 1]])
@pytest.mark.parametrize("op", ["MaxPool", "AveragePool"])
def test_pools_that_round_up_are_onnx_runtimes(op, pads):
    runtime = pytest.importorskip("onnxruntime")
    for sizes in ([7, 8], [6, 9], [4, 4], [3, 5]):
        node = helper.make_node(op, ["x"], ["y"], kernel_shape=[2, 3], strides=[3, 2], pads=pads, ceil_mode=1)
        proto = make.model([node], [("x", [2, 3, *sizes])], [("y", None)], opset=19)
        session = runtime.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
        x = numbers(2, 3, *sizes)
        (expected,) = session.run(None, {"x": x})
        for given in (x, np.asfortranarray(x)):
            np.testing.assert_allclose(OnnxModel(read_graph(proto))(given), expected, rtol=1e-6, atol=1e-7)


class Named(dict):
    """A dictionary of another class."""


class Own(np.ndarray):
    """An array of another class."""


def test_only_the_very_arrays_of_a_graph_are_taken_at_once():
    feeds = _core.Feeds(["a", "n"], [np.dtype(np.float32), np.dtype(np.int64)], [1])
    a, n = numbers(2, 3), np.array([4])
    key, given = feeds.take({"n": n, "a": a})
    assert given[0] is a
    assert given[1] is n
    assert key == feeds.key([a, n]) == feeds.key([a[::-1], n.copy()])
    others = [(a.T, n), (a[None], n), (a, np.array([5])), (a, np.array(4)), (a, np.array([4, 4]))]
    assert len({key, *(feeds.key(list(other)) for other in others)}) == 1 + len(others)
    assert feeds.key([a, np.array([4, 4])]) == feeds.key([a, np.array([4, 5])])
    refused = [
        Named(a=a, n=n),
        {"a": a},
        {"a": a, "b": n},
        {"a": a, "n": n, "b": n},
        {"a": a.astype(np.float64), "n": n},
        {"a": a.astype(">f4"), "n": n},
        {"a": a.view(Own), "n": n},
        {"a": a.tolist(), "n": n},
        {"a": None, "n": n},
        None,
    ]
    for other in refused:
        assert feeds.take(other) is None
    assert _core.Feeds([], [], []).take({}) == (b"", [])
    with pytest.raises(ValueError, match="dtypes: expected one for each name, got 0"):
        _core.Feeds(["a"], [], [])
    with pytest.raises(IndexError):
        _core.Feeds(["a"], [np.dtype(np.float32)], [1])
    with pytest.raises(ValueError, match="given: expected one array for each name, got 1"):
        feeds.key([a])
