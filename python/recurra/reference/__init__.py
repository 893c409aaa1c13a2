"""Every cell and variant of recurra in NumPy, forward and backward, written as in the papers.

The compiled engine is tested against this package and its speed is measured against it; read it to see what is
computed. It imports NumPy only, and nothing of the engine.

Where to read what: ``cells/`` has the formulas, one step forward and its backward beside it; ``activations.py``
the activations and their derivatives; ``product.py`` products, biases and layer normalisation; ``layer.py`` the loop
over time with lengths, recurrent dropout and zoneout; ``stack.py`` layers, directions, merging and dropout;
``random.py`` the counter-based generator; ``options.py`` what can be chosen, and the parameters' layout.
"""

from __future__ import annotations

from .activations import RULES, Activation
from .functional import gru, lstm, rnn
from .options import Options
from .random import philox4x32, random_words
from .recurrent import Recurrent, Tape

ACTIVATIONS = tuple(RULES)
"""Names of the activations."""

__all__ = [
    "ACTIVATIONS",
    "Activation",
    "Options",
    "Recurrent",
    "Tape",
    "gru",
    "lstm",
    "philox4x32",
    "random_words",
    "rnn",
]
