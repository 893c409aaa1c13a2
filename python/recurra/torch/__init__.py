"""PyTorch's recurrent modules on recurra's engine: the same names, arguments, parameters and results.

Needs the extra ``torch``. `convert` exchanges the modules of a network in place, `revert` exchanges them back.
"""

from __future__ import annotations

try:
    import torch as _torch  # noqa: F401
except ModuleNotFoundError as error:
    hint = "recurra.torch needs PyTorch; pip install 'recurra[torch]'"
    raise ModuleNotFoundError(hint, name=error.name) from error

from recurra.torch.cells import GRUCell, LSTMCell, RNNCell
from recurra.torch.conversion import convert, revert, unchanged_weights
from recurra.torch.rnn import GRU, LSTM, RNN

__all__ = [
    "GRU",
    "LSTM",
    "RNN",
    "GRUCell",
    "LSTMCell",
    "RNNCell",
    "convert",
    "revert",
    "unchanged_weights",
]
