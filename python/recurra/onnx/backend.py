"""The backend interface of the package onnx: ``prepare``, ``run_model``, ``run_node``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from onnx import ModelProto, NodeProto, defs, helper
from onnx.backend.base import Backend, BackendRep, namedtupledict

from recurra import _errors
from recurra.onnx.graph import read_graph
from recurra.onnx.model import OnnxModel

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from recurra._typing import Array

DEVICE = "CPU"


class RecurraRep(BackendRep):
    """A prepared model.

    Parameters
    ----------
    model : OnnxModel
        What it runs.

    Notes
    -----
    Calls from several threads are safe.
    """

    def __init__(self, model: OnnxModel) -> None:
        self.model = model

    def run(self, inputs: Any, **kwargs: Any) -> tuple[Array, ...]:
        """Return the outputs as a named tuple.

        Parameters
        ----------
        inputs : sequence or mapping of numpy.ndarray, or one array
            In the order of the model's inputs, or by name.
        **kwargs
            None are known.

        Raises
        ------
        TypeError, ValueError
            As `OnnxModel.run`.
        """
        _only(kwargs)
        if isinstance(inputs, np.ndarray):
            inputs = [inputs]
        names = [value.name for value in self.model.inputs]
        if not isinstance(inputs, dict):
            if len(inputs) != len(names):
                raise _errors.bad_value("inputs", f"{len(names)} arrays", f"{len(inputs)}")
            inputs = dict(zip(names, inputs, strict=True))
        made = self.model.run(None, inputs)
        return namedtupledict("Outputs", [value.name for value in self.model.outputs])(*made)  # type: ignore[no-any-return]


class RecurraBackend(Backend):
    """recurra as a backend of ONNX, on the CPU.

    The module `recurra.onnx.backend` has its methods as functions, as backends do.

    Examples
    --------
    >>> import numpy as np
    >>> from onnx import helper
    >>> import recurra.onnx.backend as backend
    >>> node = helper.make_node("Add", ["a", "b"], ["c"])
    >>> backend.run_node(node, [np.ones(2, np.float32), np.ones(2, np.float32)])
    Outputs(c=array([2., 2.], dtype=float32))
    """

    @classmethod
    def is_compatible(cls, model: ModelProto, device: str = DEVICE, **kwargs: Any) -> bool:
        """Whether a model runs: its version, operators and attributes are supported."""
        try:
            cls.prepare(model, device, **kwargs)
        except ValueError:
            return False
        return True

    @classmethod
    def prepare(cls, model: ModelProto, device: str = DEVICE, **kwargs: Any) -> RecurraRep:
        """Return a model that can be run any number of times.

        Raises
        ------
        ValueError
            If it cannot be read, or something in it does not run; the message names the node.
        """
        _only(kwargs)
        _check_device(device)
        return RecurraRep(OnnxModel(read_graph(model)))

    @classmethod
    def run_model(cls, model: ModelProto, inputs: Any, device: str = DEVICE, **kwargs: Any) -> tuple[Array, ...]:
        """Return a model's outputs; `prepare` once to run it more than once."""
        return cls.prepare(model, device, **kwargs).run(inputs)

    @classmethod
    def run_node(
        cls,
        node: NodeProto,
        inputs: Sequence[Array] | Mapping[str, Array],
        device: str = DEVICE,
        outputs_info: Any = None,
        **kwargs: Any,
    ) -> tuple[Array, ...]:
        """Return the outputs of one node, of the newest operator set or of ``opset_version``."""
        version = kwargs.pop("opset_version", defs.onnx_opset_version())
        names = [name for name in dict.fromkeys(node.input) if name]
        if not isinstance(inputs, dict):
            given = [value for value in inputs if value is not None]
            if len(given) != len(names):
                raise _errors.bad_value("inputs", f"{len(names)} arrays, one for each input", f"{len(given)}")
            by_name: Mapping[str, Any] = dict(zip(names, given, strict=True))
        else:
            by_name = inputs
        feeds = {name: np.asarray(by_name[name]) for name in names}
        infos = [
            helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(array.dtype), array.shape)
            for name, array in feeds.items()
        ]
        outputs = [helper.make_empty_tensor_value_info(name) for name in node.output if name]
        graph = helper.make_graph([node], "node", infos, outputs)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", version)])
        return cls.run_model(model, feeds, device, **kwargs)

    @classmethod
    def supports_device(cls, device: str) -> bool:
        """Whether a device is the CPU."""
        return device.partition(":")[0] == DEVICE


def _only(kwargs: dict[str, Any]) -> None:
    if kwargs:
        raise _errors.bad_type("backend", "no further options", ", ".join(sorted(kwargs)))


def _check_device(device: str) -> None:
    if not RecurraBackend.supports_device(device):
        raise _errors.bad_value("device", repr(DEVICE), repr(device))


is_compatible = RecurraBackend.is_compatible
prepare = RecurraBackend.prepare
run_model = RecurraBackend.run_model
run_node = RecurraBackend.run_node
supports_device = RecurraBackend.supports_device
