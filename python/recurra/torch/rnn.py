"""torch.nn.RNN, LSTM and GRU on the engine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn
from torch.nn.utils.rnn import PackedSequence

from recurra.torch.function import Call
from recurra.torch.layouts import BATCH_FIRST, SINGLE, TIME_MAJOR, Layout, Packed
from recurra.torch.modules import OnEngine, OnePairOfStates, is_plain, is_state, serves_now

if TYPE_CHECKING:
    from collections.abc import Sequence

SEEDS = 2**63 - 1


class _Recurrent(OnEngine):
    """What the three have in common."""

    _cell: str

    def _names(self) -> Sequence[str]:
        names: list[str] = self._flat_weights_names
        return names

    def _options(self) -> dict[str, Any]:
        return {
            "cell": self._cell,
            "input_size": self.input_size,
            "hidden_size": self.hidden_size,
            "num_layers": self.num_layers,
            "use_bias": self.bias,
            "bidirectional": self.bidirectional,
            "interlayer_dropout": self.dropout,
        }

    def flatten_parameters(self) -> None:
        """See `OnEngine.flatten_parameters`; on a GPU also what PyTorch does."""
        super().flatten_parameters()
        nn.RNNBase.flatten_parameters(self)

    def forward(self, input: Any, hx: Any = None) -> tuple[Any, Any]:
        """Return the outputs and final states as PyTorch's module does, from the same arguments."""
        served = self._serve(input, hx) if serves_now() else None
        return super().forward(input, hx) if served is None else served

    def _serve(self, input: Any, hx: Any) -> tuple[Any, Any] | None:
        """Return what the engine makes of a call; None if the call is not for it."""
        if isinstance(input, PackedSequence):
            x, batch_sizes, to_sorted, to_unsorted = input
            layout = _packed_layout(batch_sizes, to_sorted, to_unsorted, len(x))
            results = None if layout is None else self._call(x, hx, layout)
            if results is None:
                self._check_packed(x, hx, batch_sizes)
                return None
            return PackedSequence(results[0], batch_sizes, to_sorted, to_unsorted), results[1]
        if input.dim() == 2:
            return self._call(input, hx, SINGLE)
        return self._call(input, hx, BATCH_FIRST if self.batch_first else TIME_MAJOR)

    def _call(self, x: Any, hx: Any, layout: Layout) -> tuple[Any, Any] | None:
        """Call the engine; None if tensors or weights are not for it."""
        if not is_plain(x) or x.dim() != layout.axes or x.shape[-1] != self.input_size or x.numel() == 0:
            return None
        states = self._states(hx)
        if states is None:
            return None
        stack = self.num_layers * (2 if self.bidirectional else 1)
        for state, size in zip(states, (self.proj_size or self.hidden_size, self.hidden_size), strict=True):
            if state is not None and not is_state(state, x, layout.state_shape(x.shape, stack, size)):
                return None
        prepared = self._prepare(x.dtype, self.dropout)
        if prepared is None:
            return None
        draws = self.training and self.dropout > 0 and self.num_layers > 1
        seed = int(torch.randint(SEEDS, ())) if draws else None
        y, *final = Call(*prepared, layout, seed)(x, *states)
        return y, self._final(final)

    def _check_packed(self, x: Any, hx: Any, batch_sizes: Any) -> None:
        """Raise what PyTorch does of wrong sizes: its LSTM looks at those of unpacked sequences alone, and goes on."""
        if hx is None:
            self.check_input(x, batch_sizes)
        else:
            self.check_forward_args(x, hx, batch_sizes)


def _packed_layout(sizes: Any, to_sorted: Any, to_unsorted: Any, count: int) -> Packed | None:
    """Return how the rows of a packed sequence lie, None if its parts contradict one another."""
    orders = (to_sorted, to_unsorted)
    if (to_sorted is None) != (to_unsorted is None):
        return None
    for indices in (sizes, *orders):
        if indices is not None and (type(indices) is not torch.Tensor or indices.device.type != "cpu"):
            return None
    batch_sizes = sizes.numpy()
    if batch_sizes.ndim != 1 or batch_sizes.min() < 1 or (np.diff(batch_sizes) > 0).any() or batch_sizes.sum() != count:
        return None
    if any(indices is not None and indices.shape != (batch_sizes[0],) for indices in orders):
        return None
    return Packed(batch_sizes, *(None if indices is None else indices.numpy() for indices in orders))


class RNN(_Recurrent, nn.RNN):
    """`torch.nn.RNN` computed by recurra.

    Takes, holds and returns what `torch.nn.RNN` does, whose documentation holds here::

        h' = tanh(W x + b + U h + c), or relu of it

    Parameters
    ----------
    input_size, hidden_size, num_layers, nonlinearity, bias, batch_first, dropout, bidirectional, device, dtype
        As in `torch.nn.RNN`.

    Examples
    --------
    >>> import torch
    >>> from recurra.torch import RNN
    >>> rnn = RNN(10, 20, nonlinearity="relu", batch_first=True)
    >>> y, h = rnn(torch.randn(3, 7, 10))
    >>> y.shape, h.shape
    (torch.Size([3, 7, 20]), torch.Size([1, 3, 20]))
    """

    _cell = "rnn"

    def _options(self) -> dict[str, Any]:
        return super()._options() | {"activation": (self.nonlinearity, 0.0, 0.0)}


class GRU(_Recurrent, nn.GRU):
    """`torch.nn.GRU` computed by recurra.

    Takes, holds and returns what `torch.nn.GRU` does, whose documentation holds here::

        r = sigmoid(Wr x + br + Ur h + cr)    z = sigmoid(Wz x + bz + Uz h + cz)
        n = tanh(Wn x + bn + r * (Un h + cn))  h' = (1 - z) * n + z * h

    Parameters
    ----------
    input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, device, dtype
        As in `torch.nn.GRU`.

    Examples
    --------
    >>> import torch
    >>> from recurra.torch import GRU
    >>> gru = GRU(10, 20, bidirectional=True)
    >>> sequences = [torch.randn(4, 10), torch.randn(7, 10)]
    >>> y, h = gru(torch.nn.utils.rnn.pack_sequence(sequences, enforce_sorted=False))
    >>> y.data.shape, h.shape
    (torch.Size([11, 40]), torch.Size([2, 2, 20]))
    """

    _cell = "gru"


class LSTM(OnePairOfStates, _Recurrent, nn.LSTM):
    """`torch.nn.LSTM` computed by recurra.

    Takes, holds and returns what `torch.nn.LSTM` does, whose documentation holds here::

        i, f, o = sigmoid(W x + b + U h + c)    g = tanh(Wg x + bg + Ug h + cg)
        c' = f * c + i * g                      h' = o * tanh(c'), projected with proj_size

    Parameters
    ----------
    input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, proj_size, device, dtype
        As in `torch.nn.LSTM`.

    Notes
    -----
    Calls from several threads are safe. What a backward pass needs is copied by the call, so tensors may be written to
    before it.

    Examples
    --------
    >>> import torch
    >>> from recurra.torch import LSTM
    >>> lstm = LSTM(10, 20, num_layers=2)
    >>> y, (h, c) = lstm(torch.randn(7, 3, 10))
    >>> y.sum().backward()
    >>> y.shape, lstm.weight_hh_l1.grad.shape, isinstance(lstm, torch.nn.LSTM)
    (torch.Size([7, 3, 20]), torch.Size([80, 20]), True)
    """

    _cell = "lstm"

    def _options(self) -> dict[str, Any]:
        return super()._options() | {"proj_size": self.proj_size}
