"""recurra: recurrent networks (RNN, LSTM, GRU) on CPUs, forward and backward, NumPy arrays in and out.

Names are loaded on first use, so that ``import recurra`` stays cheap.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from recurra import (
        activations,
        callbacks,
        data,
        initializers,
        io,
        layers,
        losses,
        metrics,
        optimizers,
        reference,
    )
    from recurra._gradcheck import gradcheck
    from recurra._random import set_random_seed
    from recurra.config import get_num_threads, set_num_threads, show_config
    from recurra.io import load_model
    from recurra.layers import (
        GRU,
        LSTM,
        RNN,
        AdditiveAttention,
        Attention,
        Bidirectional,
        CellRNN,
        Conv1D,
        Dense,
        Dropout,
        GRUCell,
        LSTMCell,
        RecurrentStack,
        SimpleRNN,
        SimpleRNNCell,
        StackedRNNCells,
    )
    from recurra.models import Input, Model, Sequential
    from recurra.streaming import Stream

__version__ = "0.1.0"

__all__ = [
    "GRU",
    "LSTM",
    "RNN",
    "AdditiveAttention",
    "Attention",
    "Bidirectional",
    "CellRNN",
    "Conv1D",
    "Dense",
    "Dropout",
    "GRUCell",
    "Input",
    "LSTMCell",
    "Model",
    "RecurrentStack",
    "Sequential",
    "SimpleRNN",
    "SimpleRNNCell",
    "StackedRNNCells",
    "Stream",
    "__version__",
    "activations",
    "callbacks",
    "data",
    "get_num_threads",
    "gradcheck",
    "initializers",
    "io",
    "layers",
    "load_model",
    "losses",
    "metrics",
    "optimizers",
    "reference",
    "set_num_threads",
    "set_random_seed",
    "show_config",
]

# Where each public name lives; a name equal to its module's is the module itself.
_HOMES = {
    "activations": "activations",
    "callbacks": "callbacks",
    "data": "data",
    "initializers": "initializers",
    "io": "io",
    "layers": "layers",
    "losses": "losses",
    "metrics": "metrics",
    "optimizers": "optimizers",
    "reference": "reference",
    "RNN": "layers",
    "SimpleRNN": "layers",
    "LSTM": "layers",
    "GRU": "layers",
    "Bidirectional": "layers",
    "Dense": "layers",
    "Dropout": "layers",
    "Conv1D": "layers",
    "Attention": "layers",
    "AdditiveAttention": "layers",
    "SimpleRNNCell": "layers",
    "LSTMCell": "layers",
    "GRUCell": "layers",
    "StackedRNNCells": "layers",
    "RecurrentStack": "layers",
    "CellRNN": "layers",
    "Input": "layers.symbolic",
    "Model": "models",
    "Sequential": "models",
    "Stream": "streaming",
    "gradcheck": "_gradcheck",
    "load_model": "io",
    "set_random_seed": "_random",
    "get_num_threads": "config",
    "set_num_threads": "config",
    "show_config": "config",
}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'recurra' has no attribute {name!r}")
    from importlib import import_module

    module = import_module(f"recurra.{home}")
    value = module if home == name else getattr(module, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
