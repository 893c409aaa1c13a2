"""Writes models as ONNX files."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import onnx
from onnx import helper

import recurra
from recurra import _errors
from recurra.io.atomic import replacing
from recurra.onnx.export.graph import Graph, Scope, Value
from recurra.onnx.export.layers import emit, inputs_of

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    from onnx import ModelProto, ValueInfoProto

    from recurra._typing import Array

OPSETS = (13, 22)
_MOST_BYTES = 2**31 - 1  # of one protobuf message


def export(model: Any, path: str | os.PathLike[str], **options: Any) -> None:
    """Write a model to a file; see `recurra.training.stored.Stored.export_onnx`."""
    data = to_proto(model, **options).SerializeToString()
    with replacing(path) as file:
        file.write(data)


def to_proto(model: Any, **options: Any) -> ModelProto:
    """Return a model as an ONNX message; see `recurra.training.stored.Stored.export_onnx`."""
    return _message(model, _drawn(model, **options))


def weights_of(model: Any, **options: Any) -> dict[str, Array]:
    """Return the parameters as `to_proto` writes them, by their names there: moved, never computed with."""
    return _drawn(model, **options).graph.weights


class _Drawing(NamedTuple):
    """A model's graph, its inputs as the file describes them, its outputs and their names there."""

    graph: Graph
    inputs: list[Any]
    outputs: list[Value]
    names: list[str]
    lengths: bool


def _drawn(
    model: Any,
    *,
    opset: int = 17,
    input_names: Sequence[str] | None = None,
    output_names: Sequence[str] | None = None,
    lengths: bool = False,
) -> _Drawing:
    opset = _errors.check_integer("opset", opset, OPSETS[0], min(OPSETS[1], onnx.defs.onnx_opset_version()))
    model._settle()
    model._require_built()
    model._allocate()
    described = inputs_of(model)
    names = _names("input_names", input_names, [name for name, _, _ in described])
    given = [Value(name, tuple(shape), dtype) for name, (_, shape, dtype) in zip(names, described, strict=True)]
    infos = [_info(value, len(given) > 1) for value in given]
    if _errors.check_flag("lengths", lengths):
        given, more = _with_lengths(given)
        infos += more
    wanted = _names("output_names", output_names, model.output_names)
    taken = [info.name for info in infos] + wanted
    _check_distinct(taken)
    graph = Graph(opset, taken)
    outputs = emit(model, given, Scope(graph, model))
    graph.prune([value.name for value in outputs])
    return _Drawing(graph, infos, outputs, wanted, lengths)


def _names(argument: str, given: Any, own: Sequence[str]) -> list[str]:
    """Return the names of the graph's inputs or outputs."""
    if given is None:
        return list(own)
    if isinstance(given, str) or not all(isinstance(name, str) and name for name in given):
        raise _errors.bad_type(argument, "a list of texts", given)
    if len(given) != len(own):
        raise _errors.bad_value(argument, f"{len(own)} names", f"{len(given)}", ", ".join(own))
    return list(given)


def _check_distinct(names: list[str]) -> None:
    for name in names:
        if names.count(name) > 1:
            raise _errors.bad_value("output_names", "names that are no others' in the graph", f"{name!r} twice")


def _info(value: Value, several: bool) -> ValueInfoProto:
    """Return the description of an input, whose open axes get names."""
    dims: list[int | str] = ["batch"]
    has_time = value.rank > (1 if value.dtype.kind in "iu" else 2)
    for axis, size in enumerate(value.shape[1:], 1):
        name = "time" if axis == 1 and has_time else f"axis{axis}"
        dims.append(size if size is not None else f"{value.name}_{name}" if several else name)
    return helper.make_tensor_value_info(value.name, helper.np_dtype_to_tensor_dtype(value.dtype), dims)


def _with_lengths(given: list[Value]) -> tuple[list[Value], list[ValueInfoProto]]:
    """Return the inputs with lengths where they have a time axis, and the descriptions of those."""
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(np.int64))
    found, infos = [], []
    for value in given:
        if value.rank > (1 if value.dtype.kind in "iu" else 2):
            name = "lengths" if len(given) == 1 else f"{value.name}_lengths"
            infos.append(helper.make_tensor_value_info(name, kind, ["batch"]))
            value = value._replace(lengths=name)
        found.append(value)
    if not infos:
        raise _errors.bad_value("lengths", "an input with a time axis", "none", "leave lengths out")
    return found, infos


def _message(model: Any, drawing: _Drawing) -> ModelProto:
    graph, inputs, outputs, wanted, lengths = drawing
    _name_outputs(graph, [value.name for value in outputs], wanted)
    infos = [
        helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(value.dtype), ["batch", *value.shape[1:]])
        for name, value in zip(wanted, outputs, strict=True)
    ]
    weights = list(graph.initializers.values())
    if sum(len(tensor.raw_data) for tensor in weights) + 2**20 > _MOST_BYTES:
        raise _errors.bad_value("model", "weights of less than 2 GB, which one ONNX file can hold", "more")
    made = helper.make_graph(graph.nodes, model.name, inputs, infos, weights)
    opsets = [helper.make_opsetid("", graph.opset)]
    proto = helper.make_model(
        made,
        opset_imports=opsets,
        producer_name="recurra",
        producer_version=recurra.__version__,
        ir_version=helper.find_min_ir_version_for(opsets),
    )
    _describe_outputs(proto)
    helper.set_model_props(proto, {"recurra": _description(model, {"opset": graph.opset, "lengths": lengths})})
    onnx.checker.check_model(proto, full_check=True)
    return proto


def _name_outputs(graph: Graph, names: list[str], wanted: list[str]) -> None:
    """Give the graph's outputs their names."""
    made = {name for node in graph.nodes for name in node.output}
    renamed: dict[str, str] = {}
    for name, new in zip(names, wanted, strict=True):
        if name in made and name not in renamed:
            renamed[name] = new
        else:  # an input as it is, or one array twice
            graph.nodes.append(helper.make_node("Identity", [renamed.get(name, name)], [new], name=f"/{new}"))
    for node in graph.nodes:
        for field in (node.input, node.output):
            field[:] = [renamed.get(name, name) for name in field]


def _describe_outputs(proto: ModelProto) -> None:
    """Let the outputs' open axes have the names that follow from the inputs'."""
    inferred = onnx.shape_inference.infer_shapes(proto)
    for info, known in zip(proto.graph.output, inferred.graph.output, strict=True):
        for dim, better in zip(info.type.tensor_type.shape.dim, known.type.tensor_type.shape.dim, strict=False):
            if not dim.HasField("dim_value") and better.WhichOneof("value") and better.dim_param[:5] != "unk__":
                dim.CopyFrom(better)


def _description(model: Any, options: dict[str, Any]) -> str:
    """Return the model's layers as JSON, so that recurra can make them anew; empty if JSON cannot say them."""
    if getattr(model, "borrows", False):
        return ""
    made = {"class_name": type(model).__name__, "config": model.get_config(), "input_shape": model.input_shape}
    try:
        return json.dumps({**made, **options}, default=_plain, allow_nan=False)
    except (TypeError, ValueError):
        return ""


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{value!r}")
