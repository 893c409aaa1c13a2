"""What recurra's modules share: when the engine serves a call, and what it needs for it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import torch
from torch.autograd import forward_ad

from recurra import _core, _errors
from recurra.torch.weights import DTYPES, PLAIN, Plan, Runtime

if TYPE_CHECKING:
    from collections.abc import Sequence

    from recurra._typing import Array

_threads = torch.get_num_threads()
if "RECURRA_NUM_THREADS" not in os.environ and _threads < _core.get_num_threads():
    _core.set_num_threads(_threads)


def serves_now() -> bool:
    """Tell whether operations run as they are called, and in the precision of their tensors.

    They do not while a compiler, an exporter or a tracer records them, inside `torch.func` and forward-mode
    differentiation, under autocast, and where a dispatch mode looks at each.
    """
    return not (
        torch._C._get_tracing_state() is not None
        or torch.compiler.is_compiling()
        or torch._C._are_functorch_transforms_active()
        or torch.is_autocast_enabled("cpu")
        or forward_ad._current_level >= 0
        or torch._C._len_torch_dispatch_stack() > 0
    )


def is_plain(tensor: Any) -> bool:
    """Tell whether the engine can read a tensor: dense, on the CPU, float32 or float64, of no subclass."""
    return (
        type(tensor) in PLAIN
        and tensor.dtype in DTYPES
        and tensor.device.type == "cpu"
        and tensor.layout is torch.strided
    )


def is_state(tensor: Any, x: Any, shape: tuple[int, ...]) -> bool:
    """Tell whether the engine can read a tensor as a state that belongs to the input ``x``."""
    return is_plain(tensor) and tensor.dtype is x.dtype and tensor.shape == shape


def follow_threads() -> None:
    """Take over a changed `torch.set_num_threads`."""
    global _threads
    count = torch.get_num_threads()
    if count != _threads:
        _threads = count
        _core.set_num_threads(count)


class OnEngine(torch.nn.Module):
    """Stands before one of PyTorch's recurrent modules among the bases of ours.

    What the engine does not serve goes to PyTorch's own ``forward``; so do wrong arguments, for its messages.
    """

    def _options(self) -> dict[str, Any]:
        """Return the engine's options but for the dtype."""
        raise NotImplementedError

    def _names(self) -> Sequence[str]:
        """Return the names of the weights in the engine's order."""
        raise NotImplementedError

    def _states(self, hx: Any) -> tuple[Any, Any] | None:
        """Return (h, c), None where there is none; None if hx is something else."""
        return hx, None

    def _final(self, states: Sequence[Any]) -> Any:
        """Return final states as the module does."""
        return states[0]

    def _weights(self) -> list[Any]:
        """Return the weights as they are at this moment, whatever computes them."""
        held = self._parameters
        try:
            return [held[name] for name in self._names()]
        except KeyError:
            return [getattr(self, name, None) for name in self._names()]

    def _prepare(self, dtype: Any, dropout: float = 0.0) -> tuple[Runtime, Plan, list[Any], Array] | None:
        """Return runtime, plan, weights and their vector; None if the engine cannot read the weights."""
        runtime, key = Runtime.of(self), (dtype, dropout)
        plan = runtime.plans.get(key)
        if plan is None:
            plan = runtime.plans.setdefault(key, Plan({**self._options(), "dtype": DTYPES[dtype]}))
        weights = self._weights()
        vector = runtime.vector(weights, dtype, plan.shapes)
        if vector is None:
            return None
        follow_threads()
        return runtime, plan, weights, vector

    def __prepare_scriptable__(self) -> None:
        """Refuse `torch.jit.script`, which would compile the Python of `forward`."""
        name = type(self).__name__
        hint = "recurra.torch.revert(module) makes it torch.nn's, torch.jit.trace takes it as it is"
        raise RuntimeError(
            _errors.message("module", "one that torch.jit.script can compile", f"recurra.torch.{name}", hint)
        )

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self.flatten_parameters()

    def flatten_parameters(self) -> None:
        """Move the parameters behind one another in memory, so that the engine reads them in place.

        Done when a module is made, copied, loaded or moved. When a parameter was replaced, calls gather all of them
        into a vector first, until this is called.
        """
        Runtime.of(self).flatten([weight for weight in self._weights() if weight is not None])


class OnePairOfStates(OnEngine):
    """Stands before an LSTM among the bases: its states are (h, c)."""

    def _states(self, hx: Any) -> tuple[Any, Any] | None:
        if hx is None:
            return None, None
        pair = isinstance(hx, tuple | list) and len(hx) == 2 and hx[0] is not None and hx[1] is not None
        return (hx[0], hx[1]) if pair else None

    def _final(self, states: Sequence[Any]) -> Any:
        return states[0], states[1]
