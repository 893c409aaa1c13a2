"""Graphs as other libraries write them, made by hand: some that are layers exactly, and some that nearly are."""

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from recurra.onnx import read_graph

RNG = np.random.default_rng(7)
T, N, F, H = 5, 3, 4, 6


def real(*shape):
    return RNG.standard_normal(shape).astype(np.float32)


def graph_of(nodes, inputs, outputs, weights, opset=20):
    """A graph made by hand; shapes are lists with texts for open sizes, ``ids`` has integers."""
    infos = [
        helper.make_tensor_value_info(name, TensorProto.INT64 if name == "ids" else TensorProto.FLOAT, shape)
        for name, shape in inputs.items()
    ]
    outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs]
    tensors = [numpy_helper.from_array(array, name) for name, array in weights.items()]
    made = helper.make_graph(nodes, "graph", infos, outputs, tensors)
    return read_graph(helper.make_model(made, opset_imports=[helper.make_opsetid("", opset)]))


def node(op, inputs, outputs, name="", **attributes):
    return helper.make_node(op, inputs.split(), outputs.split(), name=name, **attributes)


def whole(*numbers):
    return np.array(numbers, np.int64)


def recurrent_weights(gates, features, directions=1, prefix=""):
    rows = gates * H
    return {
        f"{prefix}W": real(directions, rows, features) * 0.5,
        f"{prefix}R": real(directions, rows, H) * 0.5,
        f"{prefix}B": real(directions, 2 * rows) * 0.5,
    }


def pytorch_like(read="hidden", **lstm):
    """What PyTorch writes of Embedding, a bidirectional LSTM with zero states, and Linear."""
    weights = recurrent_weights(4, F, 2) | {
        "table": real(9, F), "fc.weight": real(3, 2 * H), "fc.bias": real(3), "fc.weight_T": real(2 * H, 3),
        "zero": whole(0)[0], "axis0": whole(0), "two": whole(2), "units": whole(H), "joined": whole(0, 0, -1),
        "before": whole(-2)[0], "last": whole(-1)[0],
    }  # fmt: skip
    nodes = [
        node("Gather", "table ids", "x", "/emb/Gather"),
        node("Shape", "x", "shape"),
        node("Gather", "shape zero", "batch", axis=0),
        node("Unsqueeze", "batch axis0", "batches"),
        node("Concat", "two batches units", "sizes", axis=0),
        node("ConstantOfShape", "sizes", "zeros"),
        node("Transpose", "x", "turned", perm=[1, 0, 2]),
        helper.make_node("LSTM", ["turned", "W", "R", "B", "", "zeros", "zeros"], ["Y", "Yh", "Yc"], name="/rnn/LSTM",
                         hidden_size=H, **{"direction": "bidirectional", **lstm}),
    ]  # fmt: skip
    steps = [
        node("Transpose", "Y", "beside", perm=[0, 2, 1, 3]),
        node("Reshape", "beside joined", "merged"),
        node("Transpose", "merged", "steps", perm=[1, 0, 2]),
    ]
    nodes += {
        "hidden": [
            node("Gather", "Yh before", "forward", axis=0),
            node("Gather", "Yh last", "backward", axis=0),
            node("Concat", "forward backward", "both", axis=1),
            node("Gemm", "both fc.weight fc.bias", "y", transB=1),
        ],
        "steps": [*steps, node("MatMul", "steps fc.weight_T", "product"), node("Add", "fc.bias product", "y")],
        "last": [
            *steps,
            node("Gather", "steps last", "chosen", axis=1),
            node("Gemm", "chosen fc.weight fc.bias", "y", transB=1),
        ],
    }[read]
    return graph_of(nodes, {"ids": ["n", "t"]}, ["y"], weights)


def last_of_stack(kind="GRU", index=-1, **attributes):
    """Two layers with Squeeze between them, the last step, an activation."""
    gates = {"GRU": 3, "LSTM": 4, "RNN": 1}[kind]
    weights = recurrent_weights(gates, F) | recurrent_weights(gates, H, prefix="second.")
    weights |= {"axis1": whole(1), "index": whole(index)[0], "out": real(H, 2)}
    nodes = [
        node("Transpose", "x", "turned", perm=[1, 0, 2]),
        node(kind, "turned W R B", "Y1 Yh1", hidden_size=H, **attributes),
        node("Squeeze", "Y1 axis1", "steps1"),
        node(kind, "steps1 second.W second.R second.B", "Y2", hidden_size=H, **attributes),
        node("Squeeze", "Y2 axis1", "steps2"),
        node("Transpose", "steps2", "steps", perm=[1, 0, 2]),
        node("Gather", "steps index", "chosen", axis=1),
        node("MatMul", "chosen out", "z"),
        node("Relu", "z", "y"),
    ]
    return graph_of(nodes, {"x": ["n", "t", F]}, ["y"], weights)


def one(op, outputs="y", **attributes):
    """A graph of one node on (n, t, 4)."""
    given = {
        "w": real(F, F),
        "three": real(1, F, F),
        "i": whole(-1),
        "i1": whole(1),
        "s": real(F),
        "two": np.float32(2.0),
    }
    extra = attributes.pop("extra", "")
    inputs = attributes.pop("inputs", {"x": ["n", "t", F]})
    return graph_of([node(op, f"x {extra}", outputs, **attributes)], inputs, outputs.split()[:1], given)


def counted_steps(counts):
    """The final state of a GRU that is given the steps that count."""
    nodes = [
        node("Transpose", "x", "turned", perm=[1, 0, 2]),
        helper.make_node("GRU", ["turned", "W", "R", "B", counts], ["", "Yh"], hidden_size=H),
        node("Squeeze", "Yh axis0", "y"),
    ]
    weights = recurrent_weights(3, F) | {"counts": np.array([1, 2, 3], np.int32), "axis0": whole(0)}
    return graph_of(nodes, {"x": [N if counts else "n", T, F]}, ["y"], weights)


def windows_after_transpose(**attributes):
    """Pooling over time between transposes."""
    nodes = [
        node("Transpose", "x", "turned", perm=[0, 2, 1]),
        node("MaxPool", "turned", "pooled", kernel_shape=[2], strides=[2], **attributes),
        node("Transpose", "pooled", "y", perm=[0, 2, 1]),
    ]
    return graph_of(nodes, {"x": ["n", "t", F]}, ["y"], {"unused": real(1)})


NEAR_MISSES = {
    "the first step": lambda: last_of_stack(index=0),
    "a step in the middle": lambda: last_of_stack(index=1),
    "the last step of a layer that reads both ways": lambda: pytorch_like("last"),
    "numbers that no activation takes": lambda: last_of_stack(activation_alpha=[0.5]),
    "steps backwards in the order of the input": lambda: last_of_stack(direction="reverse"),
    "a table of a scaled product": lambda: one("Gemm", extra="w", inputs={"x": ["n", F]}, alpha=2.0),
    "a product the other way round": lambda: one("Gemm", extra="w", inputs={"x": [F, "n"]}, transA=1),
    "a softmax over the batch": lambda: one("Softmax", axis=0),
    "an operator that no layer is": lambda: one("Erf"),
    "the mean over the features": lambda: one("ReduceMean", extra="i", keepdims=0),
    "a factor for each feature": lambda: one("Mul", extra="s"),
    "no bounds": lambda: one("Clip"),
    "batch-first input to an operator of time-major": lambda: graph_of(
        [node("RNN", "x W R B", "Y Yh", hidden_size=H)], {"x": ["t", "n", F]}, ["Yh"], recurrent_weights(1, F)
    ),
    "windows that are rounded up": lambda: windows_after_transpose(ceil_mode=1),
    "activations of each direction": lambda: pytorch_like(activations=["Sigmoid", *["Tanh"] * 3, *["Relu"] * 2]),
    "a bound of 0": lambda: last_of_stack(clip=0.0),
    "lengths of others": lambda: counted_steps("counts"),
}  # fmt: skip


ALIKE = {
    "the last step": lambda: (last_of_stack(), real(N, T, F)),
    "a product": lambda: (one("Gemm", extra="w", inputs={"x": ["n", F]}), real(N, F)),
    "a softmax": lambda: (one("Softmax", axis=-1), real(N, T, F)),
    "the mean over the steps": lambda: (one("ReduceMean", extra="i1", keepdims=0), real(N, T, F)),
    "a factor": lambda: (one("Mul", extra="two"), real(N, T, F)),
    "whole windows": lambda: (windows_after_transpose(), real(N, T, F)),
    "no lengths": lambda: (counted_steps(""), real(N, T, F)),
}
