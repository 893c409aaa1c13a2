"""Exchanging PyTorch's recurrent modules for recurra's, in place, and back."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from torch import nn
from torch.nn.utils import parametrize

from recurra import _errors
from recurra.torch import cells, rnn
from recurra.torch.modules import OnEngine
from recurra.torch.weights import Runtime

if TYPE_CHECKING:
    from collections.abc import Iterator

COUNTERPARTS: dict[type[Any], type[Any]] = {
    nn.RNN: rnn.RNN,
    nn.LSTM: rnn.LSTM,
    nn.GRU: rnn.GRU,
    nn.RNNCell: cells.RNNCell,
    nn.LSTMCell: cells.LSTMCell,
    nn.GRUCell: cells.GRUCell,
}


def convert(module: Any) -> Any:
    """Let recurra compute every `torch.nn.RNN`, `LSTM`, `GRU` and cell of a network, in place.

    The modules stay the same objects, with their parameters, hooks and parametrizations; only their class changes, to
    that of `recurra.torch`, a subclass. Subclasses of your own are left alone.

    Parameters
    ----------
    module : torch.nn.Module
        A network, or one of these modules itself.

    Returns
    -------
    torch.nn.Module
        The same object.

    Raises
    ------
    TypeError
        If it is no module.

    Notes
    -----
    Parameters are moved behind one another in memory, as by `torch.nn.Module.to`; convert before you take views of
    their data.

    Examples
    --------
    >>> import recurra.torch, torch
    >>> network = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.LSTM(8, 16))
    >>> type(recurra.torch.convert(network)[1])
    <class 'recurra.torch.rnn.LSTM'>
    """
    for part in _modules(module):
        if _exchange(part, COUNTERPARTS):
            part.flatten_parameters()
    return module


def revert(module: Any) -> Any:
    """Let PyTorch compute again what `convert` gave to recurra, and modules made by `recurra.torch`, in place.

    Parameters
    ----------
    module : torch.nn.Module
        A network, or one of these modules itself.

    Returns
    -------
    torch.nn.Module
        The same object.

    Raises
    ------
    TypeError
        If it is no module.

    Examples
    --------
    >>> import recurra.torch, torch
    >>> type(recurra.torch.revert(recurra.torch.GRU(4, 8)))
    <class 'torch.nn.modules.rnn.GRU'>
    """
    back = {ours: theirs for theirs, ours in COUNTERPARTS.items()}
    for part in _modules(module):
        if _exchange(part, back):
            part.__dict__.pop("_recurra", None)
    return module


@contextmanager
def unchanged_weights(module: Any) -> Iterator[None]:
    """Vouch that nobody writes to a network's weights behind PyTorch's back, which saves looking at them.

    Each call compares the weights with those of the call before, since writing through ``weight.data``, a NumPy view or
    another process leaves no trace. That costs reading them, which matters where a call does little with large weights:
    a step of one sample. Within the block PyTorch's own count of in-place operations is trusted.

    Parameters
    ----------
    module : torch.nn.Module
        The network.

    Raises
    ------
    TypeError
        If it is no module.

    Examples
    --------
    >>> import recurra.torch, torch
    >>> cell = recurra.torch.GRUCell(4, 8)
    >>> h = torch.zeros(1, 8)
    >>> with torch.inference_mode(), recurra.torch.unchanged_weights(cell):
    ...     for x in torch.ones(5, 1, 4):
    ...         h = cell(x, h)
    >>> h.shape
    torch.Size([1, 8])
    """
    runtimes = [Runtime.of(part) for part in _modules(module) if isinstance(part, OnEngine)]
    for runtime in runtimes:
        runtime.trusted += 1
    try:
        yield
    finally:
        for runtime in runtimes:
            runtime.trusted -= 1
            for plan in runtime.plans.values():
                plan.seen = None


def _modules(module: Any) -> list[Any]:
    if not isinstance(module, nn.Module):
        raise _errors.bad_type("module", "a torch.nn.Module", module)
    return list(module.modules())


def _exchange(module: Any, classes: dict[type[Any], type[Any]]) -> bool:
    """Give a module the class that belongs to its own; tell whether there was one."""
    made = classes.get(parametrize.type_before_parametrizations(module))
    if made is None:
        return False
    if parametrize.is_parametrized(module):
        type(module).__bases__ = (made,)  # the class in between is this module's alone
    else:
        module.__class__ = made
    return True
