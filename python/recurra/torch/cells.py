"""torch.nn.RNNCell, LSTMCell and GRUCell on the engine: one step a call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from recurra.torch.function import Call
from recurra.torch.layouts import SINGLE_STEP, STEP
from recurra.torch.modules import OnEngine, OnePairOfStates, is_plain, is_state, serves_now
from recurra.torch.weights import Runtime

if TYPE_CHECKING:
    from collections.abc import Sequence


_WITH_BIAS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
# Up to which hidden size one step is worth the engine's call: to train, and for one row with weights to be compared.
_TRAINED = {"rnn": 0, "gru": 64, "lstm": 48}
_SINGLE = 128
_WORTH = {"rnn": 1024, "gru": 0, "lstm": 0}  # rows times hidden units from which on inference is worth it


class _Cell(OnEngine):
    """What the three have in common."""

    _cell: str

    def _names(self) -> Sequence[str]:
        return _WITH_BIAS if self.bias else _WITH_BIAS[:2]

    def _options(self) -> dict[str, Any]:
        return {
            "cell": self._cell,
            "input_size": self.input_size,
            "hidden_size": self.hidden_size,
            "use_bias": self.bias,
        }

    def _apply(self, fn: Any, recurse: bool = True) -> Any:
        result = super()._apply(fn, recurse)
        self.flatten_parameters()
        return result

    def forward(self, input: Any, hx: Any = None) -> Any:
        """Return the next states as PyTorch's cell does, from the same arguments."""
        served = self._serve(input, hx) if self._pays(input) and serves_now() else None
        return super().forward(input, hx) if served is None else served

    def _pays(self, x: Any) -> bool:
        """Tell whether the engine takes a step faster than PyTorch's own code."""
        units: int = self.hidden_size
        if torch.is_grad_enabled():
            return units <= _TRAINED[self._cell]
        if Runtime.of(self).trusted:
            return True
        rows = len(x) if x.dim() > 1 else 1
        return (rows > 1 or units <= _SINGLE) and rows * units >= _WORTH[self._cell]

    def _serve(self, x: Any, hx: Any) -> Any:
        """Return what the engine makes of a call; None if the call is not for it."""
        layout = SINGLE_STEP if x.dim() == 1 else STEP
        if not is_plain(x) or x.dim() != layout.axes or x.shape[-1] != self.input_size or x.numel() == 0:
            return None
        states = self._states(hx)
        if states is None:
            return None
        shape = layout.state_shape(x.shape, 1, self.hidden_size)
        if not all(state is None or is_state(state, x, shape) for state in states):
            return None
        prepared = self._prepare(x.dtype)
        return None if prepared is None else self._final(Call(*prepared, layout, None)(x, *states))


class RNNCell(_Cell, nn.RNNCell):
    """`torch.nn.RNNCell` computed by recurra.

    Parameters
    ----------
    input_size, hidden_size, bias, nonlinearity, device, dtype
        As in `torch.nn.RNNCell`.

    Examples
    --------
    >>> import torch
    >>> from recurra.torch import RNNCell
    >>> RNNCell(10, 20)(torch.randn(3, 10)).shape
    torch.Size([3, 20])
    """

    _cell = "rnn"

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        nonlinearity: str = "tanh",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(input_size, hidden_size, bias, nonlinearity, device, dtype)
        self.flatten_parameters()

    def _options(self) -> dict[str, Any]:
        return super()._options() | {"activation": (self.nonlinearity, 0.0, 0.0)}

    def _serve(self, x: Any, hx: Any) -> Any:
        return super()._serve(x, hx) if self.nonlinearity in ("tanh", "relu") else None


class GRUCell(_Cell, nn.GRUCell):
    """`torch.nn.GRUCell` computed by recurra.

    Parameters
    ----------
    input_size, hidden_size, bias, device, dtype
        As in `torch.nn.GRUCell`.

    Examples
    --------
    >>> import torch
    >>> from recurra.torch import GRUCell
    >>> GRUCell(10, 20)(torch.randn(3, 10), torch.zeros(3, 20)).shape
    torch.Size([3, 20])
    """

    _cell = "gru"

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, device: Any = None, dtype: Any = None
    ) -> None:
        super().__init__(input_size, hidden_size, bias, device, dtype)
        self.flatten_parameters()


class LSTMCell(OnePairOfStates, _Cell, nn.LSTMCell):
    """`torch.nn.LSTMCell` computed by recurra.

    Parameters
    ----------
    input_size, hidden_size, bias, device, dtype
        As in `torch.nn.LSTMCell`.

    Examples
    --------
    >>> import torch
    >>> from recurra.torch import LSTMCell
    >>> h, c = LSTMCell(10, 20)(torch.randn(3, 10))
    >>> h.shape, c.shape
    (torch.Size([3, 20]), torch.Size([3, 20]))
    """

    _cell = "lstm"

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, device: Any = None, dtype: Any = None
    ) -> None:
        super().__init__(input_size, hidden_size, bias, device, dtype)
        self.flatten_parameters()
