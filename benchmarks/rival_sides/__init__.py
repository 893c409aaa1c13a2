"""The rivals: each a module with a builder (`recurra.bench.sides.Builder`) and a test of what it can do."""

from collections.abc import Callable
from importlib.util import find_spec
from typing import NamedTuple

from recurra.bench.cases import Case
from recurra.bench.sides import Builder

from . import jax_side, keras_side, onnx_sides, torch_side


class Rival(NamedTuple):
    """A rival: its module on PyPI, what prepares a case, and which cases it offers."""

    package: str
    builder: Builder
    serves: Callable[[Case], bool]


RIVALS = {
    "torch": Rival("torch", torch_side.prepare, torch_side.serves),
    "onnxruntime": Rival("onnxruntime", onnx_sides.prepare_onnxruntime, onnx_sides.onnxruntime_serves),
    "openvino": Rival("openvino", onnx_sides.prepare_openvino, onnx_sides.openvino_serves),
    "jax": Rival("jax", jax_side.prepare, jax_side.serves),
    "keras": Rival("keras", keras_side.prepare, keras_side.serves),
}


def installed() -> list[str]:
    """Names of the rivals that are here."""
    return [name for name, rival in RIVALS.items() if find_spec(rival.package)]
