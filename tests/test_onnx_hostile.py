"""Damaged and hostile ONNX files: ValueError each time, memory bounded, nothing run."""

import re
import tracemalloc

import numpy as np
import pytest

import onnx_models as make

onnx = pytest.importorskip("onnx")
from onnx import TensorProto, helper  # noqa: E402

import recurra  # noqa: E402
from recurra.onnx import OnnxModel, read_graph  # noqa: E402

MOST_BYTES = 40_000_000  # for files of some kilobytes


def victim():
    """A file with every kind of part: weights, shapes, a graph inside of a node, a recurrent node."""
    random = np.random.default_rng(0)
    ops = ("Tanh", "Relu")
    branches = [helper.make_graph([helper.make_node(op, ["s"], [op])], op, [], [make.value(op, None)]) for op in ops]
    nodes = [
        helper.make_node("Transpose", ["x"], ["t"], perm=[1, 0, 2]),
        helper.make_node("GRU", ["t", "W", "R", "B"], ["y", "h"], "gru", hidden_size=4, direction="bidirectional"),
        helper.make_node("Reshape", ["h", "shape"], ["r"]),
        helper.make_node("Gemm", ["r", "G"], ["s"], transB=1),
        helper.make_node("If", ["c"], ["z"], then_branch=branches[0], else_branch=branches[1]),
        helper.make_node("Expand", ["z", "wide"], ["p"]),
    ]
    held = {
        "W": random.normal(size=(2, 12, 3)).astype(np.float32),
        "R": random.normal(size=(2, 12, 4)).astype(np.float32),
        "B": random.normal(size=(2, 24)).astype(np.float32),
        "G": random.normal(size=(5, 4)).astype(np.float32),
        "shape": np.array([-1, 4]),
        "wide": np.array([1, 5]),
    }
    return make.model(nodes, [("x", [2, "t", 3]), ("c", [], np.bool_)], [("p", [None, 5])], held)


def tried(data, path=None):
    """Read and run a damaged file; only ValueError may come of it."""
    try:
        model = OnnxModel(read_graph(data if path is None else path))
        x = np.zeros((2, 3, 3), np.float32)
        feeds = {value.name: x if value.name == "x" else np.array(True) for value in model.inputs}
        model.run(None, feeds)
    except (ValueError, TypeError) as error:
        return str(error)
    return None


def bounded(run):
    tracemalloc.start()
    try:
        run()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_the_victim_itself_runs():
    assert tried(victim().SerializeToString()) is None


def test_a_file_cut_at_every_97th_byte_is_refused(tmp_path):
    data = victim().SerializeToString()
    path = tmp_path / "cut.onnx"

    def run():
        for end in range(0, len(data), 97):
            path.write_bytes(data[:end])
            with pytest.raises(ValueError, match=r"cut\.onnx"):
                recurra.load(path)

    assert bounded(run) < MOST_BYTES


@pytest.mark.parametrize("flips", [200, pytest.param(2000, marks=pytest.mark.slow)])
def test_flipped_bits_give_a_model_or_a_value_error(flips):
    data = victim().SerializeToString()
    random = np.random.default_rng(0)
    refused = []

    def run():
        for _ in range(flips):
            damaged = bytearray(data)
            damaged[random.integers(len(data))] ^= 1 << random.integers(8)
            refused.append(tried(bytes(damaged)))

    assert bounded(run) < MOST_BYTES
    assert (
        flips / 10 < len([one for one in refused if one]) < flips
    )  # a bit of a weight makes another model, not a broken one


def test_random_bytes_are_refused():
    random = np.random.default_rng(0)
    for size in (1, 10, 1000):
        for _ in range(100):
            with pytest.raises(ValueError, match="model"):
                read_graph(random.bytes(size))


def constants(op, inputs, held, **attributes):
    node = helper.make_node(op, inputs, ["y"], "big", **attributes)
    return make.model([node], [], [("y", None)], held)


def chain():
    """Each node squares the size: 2**1024 numbers after ten."""
    nodes = [helper.make_node("Expand", ["w", "s"], ["v0"])]
    nodes += [helper.make_node("Einsum", [f"v{k}", f"v{k}"], [f"v{k + 1}"], equation="i,j->ij") for k in range(3)]
    return make.model(nodes, [], [("v3", None)], {"w": np.ones(1, np.float32), "s": np.array([2**20])})


BOMBS = {
    "a shape of 2**40": lambda: constants("ConstantOfShape", ["s"], {"s": np.array([2**20, 2**20])}),
    "a shape of 2**26": lambda: constants("ConstantOfShape", ["s"], {"s": np.array([2**26])}),
    "a range of 2**40": lambda: constants("Range", ["a", "b", "a"], {"a": np.array(1), "b": np.array(2**40)}),
    "tiles": lambda: constants("Tile", ["a", "s"], {"a": np.ones(1000), "s": np.array([2**30])}),
    "a pad": lambda: constants("Pad", ["a", "s"], {"a": np.ones(1000), "s": np.array([2**40, 0])}),
    "an outer product": lambda: constants("Mul", ["a", "b"], {"a": np.ones((9000, 1)), "b": np.ones((1, 9000))}),
    "matrices": lambda: constants("MatMul", ["a", "b"], {"a": np.ones((9000, 1)), "b": np.ones((1, 9000))}),
    "a gather": lambda: constants("Gather", ["a", "i"], {"a": np.ones((1, 9000)), "i": np.zeros(9000, np.int64)}),
    "squares of squares": chain,
}


@pytest.mark.parametrize("name", BOMBS)
def test_no_large_constant_is_computed_at_load(name):
    proto = BOMBS[name]()
    assert bounded(lambda: tried_at_load(proto)) < MOST_BYTES


def tried_at_load(proto):
    try:
        OnnxModel(read_graph(proto))
    except ValueError:
        return


def test_a_loop_of_constants_is_not_run_at_load():
    body = helper.make_graph(
        [helper.make_node("Identity", ["go"], ["on"]), helper.make_node("Identity", ["v"], ["w"])],
        "body",
        [make.value("i", [], np.int64), make.value("go", [], np.bool_), make.value("v", [1])],
        [make.value("on", [], np.bool_), make.value("w", [1])],
    )
    node = helper.make_node("Loop", ["m", "", "a"], ["y"], body=body)
    held = {"m": np.array(2**62), "a": np.ones(1, np.float32)}
    OnnxModel(read_graph(make.model([node], [], [("y", [1])], held)))  # returns


def test_absurd_windows_are_refused_before_memory_is_taken():
    w = np.ones((1, 1, 1), np.float32)
    node = helper.make_node("Conv", ["x", "w"], ["y"], "conv", pads=[2**40, 2**40])
    proto = make.model([node], [("x", [1, 1, 4])], [("y", None)], {"w": w})
    with pytest.raises(ValueError, match=re.escape("node 'conv' (Conv): expected sizes and pads from 0 to 2**20")):
        OnnxModel(read_graph(proto))


def test_a_tensor_that_claims_more_than_the_file_holds_is_refused_without_memory():
    proto = victim()
    proto.graph.initializer.append(TensorProto(name="w", dims=[2**40], data_type=TensorProto.FLOAT, raw_data=b"1"))
    message = {}
    assert bounded(lambda: message.update(said=tried(proto.SerializeToString()))) < MOST_BYTES
    assert f"expected {2**42} bytes for shape ({2**40},), got 1" in message["said"]
