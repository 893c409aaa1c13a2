"""Models made of layers."""

from __future__ import annotations

from recurra.layers.symbolic import Input
from recurra.models.functional import Functional
from recurra.models.model import Model
from recurra.models.seq2seq import Seq2Seq
from recurra.models.sequential import Sequential

# Every kind of model that a file may name, by its class's name.
MODELS: dict[str, type[Model] | type[Sequential]] = {
    "Sequential": Sequential,
    "Functional": Functional,
    "Seq2Seq": Seq2Seq,
}

__all__ = ["MODELS", "Functional", "Input", "Model", "Seq2Seq", "Sequential"]
