"""Small ONNX models for the tests."""

import numpy as np

OPSET = 17


def value(name, shape, dtype=np.float32):
    """An input or output."""
    from onnx import helper

    return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(np.dtype(dtype)), shape)


def model(nodes, inputs, outputs, initializers=None, opset=OPSET, **options):
    """A model from nodes, (name, shape[, dtype]) of inputs and outputs, and arrays by name."""
    from onnx import helper, numpy_helper

    held = [numpy_helper.from_array(np.asarray(array), name) for name, array in (initializers or {}).items()]
    ins, outs = ([value(*one) for one in some] for some in (inputs, outputs))
    graph = helper.make_graph(nodes, "test", ins, outs, held)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8, **options)


def run_often(model, feeds):
    """The outputs of a fourth call, by the plan for these shapes; the first ones must be the same."""
    first = model.run(None, feeds)
    for _ in range(3):
        again = model.run(None, feeds)
        for one, other in zip(again, first, strict=True):
            assert (one.shape, one.dtype) == (other.shape, other.dtype)
            np.testing.assert_allclose(one, other, rtol=1e-6, atol=1e-7)
    return again


def lstm(features=3, units=4, directions=1, rows=("n",), opset=OPSET, seed=0):
    """An LSTM with its weights inside, (t, n, features) to (t, directions, n, units), and a softmax behind it."""
    from onnx import helper

    random = np.random.default_rng(seed)
    weights = {
        "W": random.normal(size=(directions, 4 * units, features)).astype(np.float32),
        "R": random.normal(size=(directions, 4 * units, units)).astype(np.float32),
        "B": random.normal(size=(directions, 8 * units)).astype(np.float32),
    }
    direction = "bidirectional" if directions == 2 else "forward"
    nodes = [
        helper.make_node("LSTM", ["x", *weights], ["y"], "lstm", hidden_size=units, direction=direction),
        helper.make_node("Softmax", ["y"], ["p"], "softmax", axis=-1),
    ]
    shapes = [("x", ["t", *rows, features])], [("p", ["t", directions, *rows, units])]
    return model(nodes, *shapes, weights, opset)
