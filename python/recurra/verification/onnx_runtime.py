"""ONNX Runtime as the side that an ONNX file is compared with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from recurra import _errors
from recurra.verification.inputs import Spec
from recurra.verification.sides import Side

if TYPE_CHECKING:
    from collections.abc import Mapping

    from recurra._typing import Array

_DTYPES = {
    "tensor(float)": "float32",
    "tensor(double)": "float64",
    "tensor(float16)": "float16",
    "tensor(int64)": "int64",
    "tensor(int32)": "int32",
    "tensor(uint8)": "uint8",
    "tensor(bool)": "bool",
}


class OnnxRuntime(Side):
    """A session on the CPU.

    Parameters
    ----------
    path : str
        The file.

    Raises
    ------
    ValueError
        If ONNX Runtime does not take it.
    """

    def __init__(self, path: str) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        try:
            self.session: Any = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        except Exception as error:
            raise ValueError(f"{path}: expected a file that ONNX Runtime takes, got its error: {error}") from error
        self.title = f"onnxruntime {onnxruntime.__version__}"

    def specs(self) -> list[Spec]:
        """Return what the session says of its inputs."""
        found = []
        for value in self.session.get_inputs():
            if value.type not in _DTYPES:
                raise _errors.bad_value("inputs", "inputs of your own", "none", f"{value.name!r} takes {value.type}")
            found.append(Spec(value.name, tuple(value.shape), _DTYPES[value.type]))
        return found

    def call(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Return the session's outputs; inputs go by name, or by place where the names are others."""
        takes = [value.name for value in self.session.get_inputs()]
        feeds = dict(inputs) if set(takes) == set(inputs) else dict(zip(takes, inputs.values(), strict=True))
        names = [value.name for value in self.session.get_outputs()]
        return dict(zip(names, self.session.run(None, feeds), strict=True))
