"""What the attributes of an RNN, LSTM or GRU node say, in the engine's words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from recurra import _errors

if TYPE_CHECKING:
    from recurra._typing import Triple
    from recurra.onnx.graph import Node

# ONNX's activations: the engine's name, and alpha and beta by default as in the operator of that name; None where the
# specification gives no default, nothing where the formula has no such number.
_NEEDED = None
ACTIVATIONS: dict[str, tuple[str, tuple[float | None, ...]]] = {
    "Affine": ("affine", (_NEEDED, _NEEDED)),
    "Elu": ("elu", (1.0,)),
    "HardSigmoid": ("hard_sigmoid", (0.2, 0.5)),
    "LeakyRelu": ("leaky_relu", (0.01,)),
    "Relu": ("relu", ()),
    "ScaledTanh": ("scaled_tanh", (_NEEDED, _NEEDED)),
    "Sigmoid": ("sigmoid", ()),
    "Softplus": ("softplus", ()),
    "Softsign": ("softsign", ()),
    "Tanh": ("tanh", ()),
    "ThresholdedRelu": ("thresholded_relu", (1.0,)),
}
_BY_NAME = {name.lower(): name for name in ACTIVATIONS}
DEFAULTS = {"rnn": ("Tanh",), "lstm": ("Sigmoid", "Tanh", "Tanh"), "gru": ("Sigmoid", "Tanh")}
DIRECTIONS = ("forward", "reverse", "bidirectional")


@dataclass(frozen=True)
class Settings:
    """A recurrent node's options.

    Attributes
    ----------
    cell : {"rnn", "lstm", "gru"}
        Which operator.
    hidden : int or None
        Units; None: as the weights say.
    direction : {"forward", "reverse", "bidirectional"}
        Which way it reads.
    batch_first : bool
        Layout 1.
    clip : float
        Limit of pre-activations; 0: none.
    coupled : bool
        LSTM: the forget gate is one minus the input gate.
    reset_after : bool
        GRU: the linear map comes before the reset gate.
    activations : tuple of tuple
        For each direction the functions f, g, h as (name, alpha, beta).
    """

    cell: str
    hidden: int | None
    direction: str
    batch_first: bool
    clip: float
    coupled: bool
    reset_after: bool
    activations: tuple[tuple[Triple, ...], ...]


def read(node: Node, where: str) -> Settings:
    """Return what a node's attributes say.

    Raises
    ------
    ValueError
        If they are out of range, or name a function that is not known.
    """
    given = node.attributes
    cell = node.op_type.lower()
    direction = given["direction"]
    if direction not in DIRECTIONS:
        raise _errors.bad_value(where, "attribute 'direction' as one of " + ", ".join(DIRECTIONS), repr(direction))
    for name in ("layout", "input_forget", "linear_before_reset"):
        if given.get(name, 0) not in (0, 1):
            raise _errors.bad_value(where, f"attribute {name!r} as 0 or 1", repr(given[name]))
    clip, hidden = given["clip"], given["hidden_size"]
    if clip is not None and not 0 < clip < float("inf"):
        raise _errors.bad_value(where, "attribute 'clip' as a positive number", repr(clip))
    if hidden is not None and hidden < 1:
        raise _errors.bad_value(where, "attribute 'hidden_size' from 1", repr(hidden))
    return Settings(
        cell,
        hidden,
        direction,
        batch_first=bool(given.get("layout")),
        clip=clip or 0.0,
        coupled=bool(given.get("input_forget")),
        reset_after=bool(given.get("linear_before_reset")),
        activations=_activations(node, cell, 2 if direction == "bidirectional" else 1, where),
    )


def _activations(node: Node, cell: str, directions: int, where: str) -> tuple[tuple[Triple, ...], ...]:
    """Return the functions of each direction; alphas and betas go to those that take one, in their order."""
    each = len(DEFAULTS[cell])
    names = node.attributes["activations"] or DEFAULTS[cell] * directions
    if cell == "rnn" and names == ("Tanh", "Tanh"):  # the schema's own default, even for one direction
        names = names[:directions]
    if len(names) != each * directions:
        raise _errors.bad_value(where, f"{each * directions} activations", f"{len(names)}: {', '.join(names)}")
    unknown = [name for name in names if name.lower() not in _BY_NAME]
    if unknown:
        known = "activations of " + ", ".join(ACTIVATIONS)
        raise _errors.bad_value(where, known, repr(unknown[0]))
    rows = [ACTIVATIONS[_BY_NAME[name.lower()]] for name in names]
    columns = [_numbers(node, place, names, rows, where) for place in range(2)]
    chosen = [(row[0], alpha, beta) for row, alpha, beta in zip(rows, *columns, strict=True)]
    return tuple(tuple(chosen[start : start + each]) for start in range(0, len(chosen), each))


def _numbers(
    node: Node, place: int, names: tuple[str, ...], rows: list[tuple[str, tuple[float | None, ...]]], where: str
) -> list[float]:
    """Return the alphas (place 0) or betas (1) of the functions, 0 for one that takes none."""
    attribute = ("activation_alpha", "activation_beta")[place]
    left = list(node.attributes[attribute] or ())
    takers = sum(len(row[1]) > place for row in rows)
    if takers and len(left) > takers:
        got = f"{len(left)} for {', '.join(names)}"
        hint = f"{takers} of these functions take one"
        raise _errors.bad_value(where, f"at most {takers} numbers in attribute {attribute!r}", got, hint)
    found = []
    for name, (_, defaults) in zip(names, rows, strict=True):
        number = None
        if len(defaults) > place:
            number = left.pop(0) if left else defaults[place]
            if number is None:
                raise _errors.bad_value(where, f"a number for {name} in attribute {attribute!r}", "none")
        found.append(float(number or 0.0))
    return found
