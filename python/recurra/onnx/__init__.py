"""Reads ONNX files: recurrent networks that other frameworks exported, run by recurra's engine.

Needs the extra ``onnx``.
"""

from __future__ import annotations

try:
    import onnx as _onnx  # noqa: F401
except ModuleNotFoundError as error:
    hint = "recurra.onnx needs the package onnx; pip install 'recurra[onnx]'"
    raise ModuleNotFoundError(hint, name=error.name) from error

from recurra.onnx.graph import Graph, Node, Value, read_graph
from recurra.onnx.loading import load, save
from recurra.onnx.model import OnnxModel
from recurra.onnx.operators import supported_operators

__all__ = ["Graph", "Node", "OnnxModel", "Value", "load", "read_graph", "save", "supported_operators"]
