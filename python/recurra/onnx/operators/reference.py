"""Rare operators, left to the reference evaluator of the package onnx: bound once, computed in NumPy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from onnx import helper

if TYPE_CHECKING:
    from recurra.onnx.site import Call, Site

# Operators without state, randomness or text, whose results are no larger than their inputs tell.
OPERATORS = (
    "AffineGrid",
    "BlackmanWindow",
    "CenterCropPad",
    "Compress",
    "ConvTranspose",
    "DFT",
    "DepthToSpace",
    "DequantizeLinear",
    "Det",
    "Erf",
    "EyeLike",
    "GatherND",
    "Gelu",
    "GridSample",
    "GroupNormalization",
    "HammingWindow",
    "HannWindow",
    "Hardmax",
    "LRN",
    "LpNormalization",
    "LpPool",
    "MeanVarianceNormalization",
    "MelWeightMatrix",
    "OneHot",
    "QuantizeLinear",
    "RMSNormalization",
    "Resize",
    "STFT",
    "ScatterElements",
    "ScatterND",
    "Shrink",
    "SpaceToDepth",
    "TensorScatter",
    "TopK",
    "Trilu",
    "Unique",
)


def fallback(site: Site) -> Call:
    """Bind an operator to the reference evaluator."""
    from onnx.reference import ReferenceEvaluator

    node = site.node
    names = [name or None for name in node.inputs]
    inputs = [helper.make_tensor_value_info(name, 1, None) for name in dict.fromkeys(names) if name]
    outputs = [helper.make_tensor_value_info(name, 1, None) for name in node.outputs if name]
    graph = helper.make_graph([node.proto], "one", inputs, outputs)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", site.opset)])
    evaluator = ReferenceEvaluator(model)
    wanted = [name for name in node.outputs if name]

    def run(*given: Any) -> tuple[Any, ...]:
        feeds = {name: np.asarray(value) for name, value in zip(names, given, strict=False) if name}
        made = dict(zip(wanted, evaluator.run(wanted, feeds), strict=True))
        return tuple(made.get(name) for name in node.outputs)

    return run


BUILDERS: dict[str, Any] = dict.fromkeys(OPERATORS, fallback)
