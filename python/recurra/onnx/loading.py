"""From an ONNX file to a model: a native one where its graph is made of what our layers compute."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from recurra import _errors
from recurra.onnx.graph import read_graph
from recurra.onnx.model import OnnxModel

if TYPE_CHECKING:
    import os

    from recurra.onnx.graph import Graph


def load(path: str | os.PathLike[str], custom_objects: Any = None, *, native: bool | None = None) -> Any:
    """Read an ONNX file; see `recurra.load`."""
    graph = read_graph(path)
    model = None if native is False else convert(graph)
    if model is not None:
        return model
    if native:
        raise _errors.bad_value(graph.source, "a graph that our layers can say", "another one", "leave native out")
    return OnnxModel(graph)


def save(model: Any, path: str | os.PathLike[str]) -> None:
    """Write a model to an ONNX file; the same as ``model.export_onnx(path)``."""
    model.export_onnx(path)


def convert(graph: Graph) -> Any:
    """Return a native model that computes what a graph does, or None if our layers cannot say it."""
    from recurra.onnx import native

    return native.convert(graph)
