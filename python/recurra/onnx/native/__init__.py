"""Graphs made only of what recurra's layers compute become native models, which train.

Files that `recurra.training.stored.Stored.export_onnx` wrote say their layers, and are believed if these write the
same graph; graphs of others are read node by node. Nothing is approximated: where a node is not exactly what a layer
does, there is no native model.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from recurra.onnx.native import own, pointwise, recurrent, shapes, windows
from recurra.onnx.native.assemble import assembled
from recurra.onnx.native.reader import Reader
from recurra.onnx.native.values import Unmatched

if TYPE_CHECKING:
    from recurra.onnx.graph import Graph

# What reads a node, by its operator.
HANDLERS: dict[str, Any] = {
    **dict.fromkeys(("RNN", "LSTM", "GRU"), recurrent.recurrent),
    **dict.fromkeys(("Identity", "Dropout"), shapes.identity),
    "Constant": shapes.constant,
    "Cast": shapes.cast,
    "Transpose": shapes.transpose,
    "Squeeze": shapes.squeeze,
    "Unsqueeze": shapes.unsqueeze,
    "Shape": shapes.shape,
    "Gather": shapes.gather,
    "Slice": shapes.slice_,
    "Concat": shapes.concat,
    "ConstantOfShape": shapes.constant_of_shape,
    "Expand": shapes.expand,
    "Reshape": shapes.reshape,
    "Flatten": shapes.flatten,
    "MatMul": pointwise.matmul,
    "Gemm": pointwise.gemm,
    **dict.fromkeys(pointwise.MERGES, pointwise.elementwise),
    **dict.fromkeys(pointwise.ACTIVATIONS, pointwise.activation),
    "Softmax": pointwise.softmax,
    "Clip": pointwise.clip,
    "Conv": windows.conv,
    "Pad": windows.pad,
    **dict.fromkeys(("MaxPool", "AveragePool"), windows.pool),
    **dict.fromkeys(("GlobalMaxPool", "GlobalAveragePool"), windows.global_pool),
    **dict.fromkeys(("ReduceMax", "ReduceMean"), windows.reduce),
    "BatchNormalization": windows.batch_normalization,
    "LayerNormalization": windows.layer_normalization,
}


def convert(graph: Graph) -> Any:
    """Return a native model that computes what a graph does.

    Parameters
    ----------
    graph : Graph
        From `recurra.onnx.read_graph`.

    Returns
    -------
    Sequential, Model or None
        Built, with the file's weights, to be compiled and trained; None if some node is not exactly what a layer of
        recurra does.
    """
    model = own.rebuilt(graph)
    if model is not None:
        return model
    try:
        reader = Reader(graph, HANDLERS)
        return assembled(graph, reader, reader.read())
    except (Unmatched, TypeError, ValueError, LookupError, ArithmeticError):
        return None  # layers refuse what does not suit them, such as a negative slope
