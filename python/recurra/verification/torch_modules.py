"""PyTorch's modules: as they are, and with their recurrent layers computed by recurra."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from recurra import _errors
from recurra.torch import convert, revert
from recurra.verification.inputs import Spec
from recurra.verification.sides import Side, flattened

if TYPE_CHECKING:
    from collections.abc import Mapping

    from recurra._typing import Array

# Modules that say what they read: how to tell the input from the first of them.
_DTYPES = {torch.float32: "float32", torch.float64: "float64"}


class TorchModule(Side):
    """A module in evaluation, without gradients, on a copy.

    Parameters
    ----------
    module : torch.nn.Module
        On the CPU.
    ours : bool
        Whether recurra computes its recurrent layers, or PyTorch all of it.
    """

    def __init__(self, module: Any, ours: bool) -> None:
        self.module = (convert if ours else revert)(copy.deepcopy(module)).eval()
        self.title = "recurra" if ours else f"torch {torch.__version__}"

    def specs(self) -> list[Spec] | None:
        """Return the input of the first layer that says what it reads, in the order of definition."""
        for part in self.module.modules():
            found = _spec(part)
            if found is not None:
                return [found]
        return None

    def call(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Return the outputs, also those in tuples and dictionaries."""
        with torch.no_grad():
            return flattened(self.module(*[torch.from_numpy(array) for array in inputs.values()]))


def _spec(part: Any) -> Spec | None:
    """Return what a module reads."""
    dtype = next((_DTYPES.get(weight.dtype, "float32") for weight in part.parameters(recurse=False)), "float32")
    if isinstance(part, nn.Embedding):
        return Spec("input", ("batch", "time"), "int64", 0, part.num_embeddings)
    if isinstance(part, nn.RNNBase):
        axes = ("batch", "time") if part.batch_first else ("time", "batch")
        return Spec("input", (*axes, part.input_size), dtype)
    if isinstance(part, nn.RNNCellBase):
        return Spec("input", ("batch", part.input_size), dtype)
    if isinstance(part, nn.Conv1d):
        return Spec("input", ("batch", part.in_channels, "time"), dtype)
    if isinstance(part, nn.Linear):
        return Spec("input", ("batch", "time", part.in_features), dtype)
    return None


def check_module(value: Any) -> Any:
    """Return a module, which must be on the CPU."""
    if not isinstance(value, nn.Module):
        raise _errors.bad_type("what", "a path, a model of recurra, or a torch.nn.Module", value)
    devices = {str(weight.device) for weight in value.parameters()} - {"cpu"}
    if devices:
        raise _errors.bad_value("what", "a module on the CPU", f"one on {', '.join(sorted(devices))}", "module.cpu()")
    return value
