"""Reading ONNX models: nodes in order, attributes of their version, weights; and what is refused by name."""

import re

import numpy as np
import pytest

import onnx_models as make

onnx = pytest.importorskip("onnx")
from onnx import TensorProto, helper, numpy_helper  # noqa: E402

from recurra.onnx import read_graph  # noqa: E402


def relu(inputs=("x",), outputs=("y",), name=""):
    return helper.make_node("Relu", list(inputs), list(outputs), name)


def small(nodes, opset=make.OPSET, **held):
    return make.model(nodes, [("x", [2, "n"])], [("y", None)], held, opset)


def test_a_graph_holds_nodes_with_defaults_weights_and_shapes():
    graph = read_graph(make.lstm())
    lstm, softmax = graph.nodes
    assert (graph.opset, lstm.op_type, lstm.name, softmax.attributes) == (17, "LSTM", "lstm", {"axis": -1})
    assert lstm.attributes["direction"] == "forward"
    assert lstm.attributes["layout"] == 0
    assert lstm.attributes["activations"] is None
    assert lstm.version == 14
    assert {name: array.shape for name, array in graph.initializers.items()} == {
        "W": (1, 16, 3),
        "R": (1, 16, 4),
        "B": (1, 32),
    }
    assert [tuple(value) for value in graph.inputs] == [("x", np.dtype(np.float32), ("t", "n", 3))]


def test_weights_are_the_same_read_from_bytes_a_file_and_external_data(tmp_path):
    proto = make.lstm()
    expected = read_graph(proto).initializers
    path = tmp_path / "m.onnx"
    path.write_bytes(proto.SerializeToString())
    onnx.save(proto, tmp_path / "e.onnx", save_as_external_data=True, location="weights", size_threshold=0)
    for read in (read_graph(path), read_graph(path.read_bytes()), read_graph(tmp_path / "e.onnx")):
        for name, array in expected.items():
            np.testing.assert_array_equal(read.initializers[name], array)
            assert not read.initializers[name].flags.writeable


@pytest.mark.parametrize("dtype", ["float16", "float64", "int8", "int64", "uint8", "uint32", "bool"])
@pytest.mark.parametrize("raw", [True, False])
def test_numbers_of_each_type_are_read_raw_and_not(dtype, raw):
    expected = np.arange(6).reshape(2, 3).astype(dtype)
    kind = helper.np_dtype_to_tensor_dtype(expected.dtype)
    data = expected.tobytes() if raw else expected.ravel()
    proto = small([relu()])
    proto.graph.initializer.append(helper.make_tensor("w", kind, (2, 3), data, raw=raw))
    read = read_graph(proto).initializers["w"]
    assert read.dtype == expected.dtype
    np.testing.assert_array_equal(read, expected)


def test_values_whose_type_the_file_leaves_open_are_read():
    """As exporters leave them in branches: a type that is there and says nothing."""
    proto = small([relu()])
    proto.graph.output[0].ClearField("type")
    proto.graph.output[0].type.SetInParent()
    assert proto.graph.output[0].HasField("type")
    assert read_graph(proto).outputs == [("y", None, None)]


def test_nodes_out_of_order_are_put_in_order():
    graph = read_graph(small([relu(["b"], ["y"]), relu(["a"], ["b"]), relu(["x"], ["a"])]))
    assert [node.outputs for node in graph.nodes] == [("a",), ("b",), ("y",)]


def test_a_graph_inside_of_a_node_tells_what_it_reads_from_around():
    branch = helper.make_graph([relu(["x"], ["z"])], "branch", [], [make.value("z", None)])
    node = helper.make_node("If", ["c"], ["y"], then_branch=branch, else_branch=branch)
    graph = read_graph(small([node], c=np.array(True)))
    assert graph.nodes[0].captured == ("x",)
    assert graph.nodes[0].attributes["then_branch"].captured == ("x",)
    assert [node.op_type for node in graph.walk()] == ["If", "Relu", "Relu"]


def test_functions_of_the_model_are_replaced_by_their_nodes():
    opset = [helper.make_opsetid("", make.OPSET)]
    function = helper.make_function("own", "Twice", ["a"], ["c"], [relu("a", "b"), relu("b", "c")], opset)
    node = helper.make_node("Twice", ["x"], ["y"], domain="own")
    proto = small([node])
    proto.functions.append(function)
    proto.opset_import.append(helper.make_opsetid("own", 1))
    assert [node.op_type for node in read_graph(proto).nodes] == ["Relu", "Relu"]


def recursive():
    opset = [helper.make_opsetid("", make.OPSET)]
    inner = helper.make_node("Twice", ["a"], ["c"], domain="own")
    proto = small([helper.make_node("Twice", ["x"], ["y"], domain="own")])
    proto.functions.append(helper.make_function("own", "Twice", ["a"], ["c"], [inner], opset))
    return proto


def multiplying():
    """Forty functions, each calling the one before twice: 2**40 nodes."""
    opset = [helper.make_opsetid("", make.OPSET)]
    proto = small([helper.make_node("f40", ["x"], ["y"], domain="own")])
    for index in range(1, 41):
        kind = {"op_type": f"f{index - 1}", "domain": "own"} if index > 1 else {"op_type": "Relu"}
        nodes = [helper.make_node(inputs=a, outputs=b, **kind) for a, b in ((["a"], ["b"]), (["b"], ["c"]))]
        proto.functions.append(helper.make_function("own", f"f{index}", ["a"], ["c"], nodes, opset))
    return proto


def nested(depth):
    node = relu()
    for _ in range(depth):
        branches = (helper.make_graph([one], "branch", [], [make.value("y", None)]) for one in (node, relu()))
        node = helper.make_node("If", ["c"], ["y"], then_branch=next(branches), else_branch=next(branches))
    return small([node], c=np.array(True))


def absurd(dims):
    proto = small([relu()])
    proto.graph.initializer.append(TensorProto(name="w", dims=dims, data_type=TensorProto.FLOAT, raw_data=b"1234"))
    return proto


REFUSED = {
    "an operator nobody knows": (lambda: small([helper.make_node("Lstm", ["x"], ["y"], "one")]), "'one' (Lstm)"),
    "another domain": (lambda: small([helper.make_node("Relu", ["x"], ["y"], domain="com.me")]), "'com.me'"),
    "an attribute of a later version": (
        lambda: small([helper.make_node("RNN", ["x", "w", "w"], ["y"], layout=1)], 13, w=np.ones(1)),
        "'layout'; in version 13 of the set it has activation_alpha,",
    ),
    "an attribute of another type": (lambda: small([helper.make_node("Elu", ["x"], ["y"], alpha=1)]), "as FLOAT"),
    "a missing attribute": (lambda: small([helper.make_node("Cast", ["x"], ["y"])]), "attribute 'to', got none"),
    "too many inputs": (lambda: small([relu(["x", "x"])]), "1 to 1 inputs, got 2"),
    "a value from nowhere": (lambda: small([relu(["w"])]), "'w', which nothing makes"),
    "a value made twice": (lambda: small([relu(), relu()]), "'y', which is there already"),
    "a cycle": (lambda: small([relu(["b"], ["a"]), relu(["a"], ["b"]), relu()]), "without cycles"),
    "an old operator set": (lambda: small([relu()], 6), "from 7 to"),
    "a future operator set": (lambda: small([relu()], 10_000), "from 7 to"),
    "a function that calls itself": (recursive, "calls itself"),
    "functions that multiply": (multiplying, "multiply"),
    "graphs in graphs": (lambda: nested(20), "nested at most 16"),
    "a weight of 4 TB in 4 bytes": (lambda: absurd([2**20, 2**20]), f"{2**42} bytes for shape"),
    "a weight of negative size": (lambda: absurd([-1]), "sizes from 0"),
    "bytes that are no model": (lambda: b"\xff\x01 nothing", "an ONNX model"),
    "an empty file": (lambda: b"", "operator set"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_read_is_refused_by_name(case):
    made, words = REFUSED[case]
    with pytest.raises(ValueError, match=re.escape(words)):
        read_graph(made())


@pytest.mark.parametrize("location", ["/etc/hostname", "../outside", "missing", "link", "", ".", "in\0side"])
def test_external_data_outside_of_the_folder_is_refused(location, tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    (tmp_path / "outside").write_bytes(b"1234")
    (folder / "link").symlink_to(tmp_path / "outside")
    proto = small([relu()])
    tensor = numpy_helper.from_array(np.ones(1, np.float32), "w")
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=location)
    proto.graph.initializer.append(tensor)
    (folder / "m.onnx").write_bytes(proto.SerializeToString())
    with pytest.raises(ValueError, match="array 'w': expected external data in a file of the model's own folder"):
        read_graph(folder / "m.onnx")


@pytest.mark.parametrize("entries", [{"offset": "8"}, {"offset": "-4"}, {"length": "1" * 30}, {"offset": "x"}])
def test_external_data_beyond_its_file_is_refused(entries, tmp_path):
    (tmp_path / "data").write_bytes(b"1234")
    proto = absurd([1])
    tensor = proto.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, text in {"location": "data", **entries}.items():
        tensor.external_data.add(key=key, value=text)
    (tmp_path / "m.onnx").write_bytes(proto.SerializeToString())
    with pytest.raises(ValueError, match="array 'w'"):
        read_graph(tmp_path / "m.onnx")
