"""The cells: one step forward with its backward beside it, as in the papers."""

from __future__ import annotations

from .._types import Parameters
from ..options import Options
from .base import Cell, Step, StepGradient
from .gru import GRU
from .lstm import LSTM
from .rnn import RNN

CELLS: dict[str, type[Cell]] = {"rnn": RNN, "lstm": LSTM, "gru": GRU}


def make_cell(options: Options, parameters: Parameters) -> Cell:
    """Return the cell that ``options.cell`` names, with the parameters of one layer and direction."""
    return CELLS[options.cell](options, parameters)


__all__ = ["CELLS", "GRU", "LSTM", "RNN", "Cell", "Step", "StepGradient", "make_cell"]
