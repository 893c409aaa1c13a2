"""Helpers of the tests of recurra.torch: the same module of both libraries, the same input."""

import copy
from typing import Any

import torch

import recurra.torch
from recurra.torch.weights import Runtime

LAYERS, CELLS = ("LSTM", "GRU", "RNN"), ("LSTMCell", "GRUCell", "RNNCell")
ALL = LAYERS + CELLS
FORWARD = {"rtol": 0, "atol": 2e-5}


def first(result: Any) -> Any:
    """The first tensor of a result."""
    return result[0] if isinstance(result, tuple) else result


def given(name: str, rows: int = 3) -> Any:
    """An input of 4 features."""
    torch.manual_seed(7)
    return torch.randn(rows, 4) if name.endswith("Cell") else torch.randn(6, rows, 4)


def twin(module: Any) -> Any:
    """torch.nn's module with the same parameters."""
    return recurra.torch.revert(copy.deepcopy(module))


def stepped(module: Any, x: Any) -> Any:
    """The first tensor of two calls, the second with the states of the first: every weight counts."""
    result = module(x)
    return first(module(x, result[1] if type(module).__name__ in LAYERS else result))


def assert_as_pytorch(module: Any, x: Any = None) -> None:
    """Compare a module with its twin."""
    x = given(type(module).__name__) if x is None else x
    torch.testing.assert_close(stepped(module, x), stepped(twin(module), x), **FORWARD)


def in_place(module: Any) -> bool:
    """Whether the engine reads the parameters where they are."""
    runtime = Runtime.of(module)
    found = runtime.vector(module._weights(), torch.float32, [tuple(w.shape) for w in module._weights()])
    return found is not None and found is runtime._array
