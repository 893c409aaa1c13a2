"""Activations: a name with up to two numbers, computed in the engine.

Wherever a layer takes an activation it accepts a name (``"tanh"``), a tuple or list ``(name, alpha[, beta])``, a
dictionary ``{"name": ..., "alpha": ..., "beta": ...}`` or one of the functions here (``leaky_relu(0.2)``).
Derivatives are taken from the output; relu'(0) = 0.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from recurra import _errors


class Activation(NamedTuple):
    """An activation: its name in the engine and the two numbers of its formula (0 where it has none).

    Attributes
    ----------
    name : str
        A key of ``FORMULAS``.
    alpha, beta : float
        As in the formula.
    """

    name: str
    alpha: float = 0.0
    beta: float = 0.0


class _Row(NamedTuple):
    formula: str
    defaults: tuple[float, ...] = ()


FORMULAS: dict[str, _Row] = {
    "tanh": _Row("tanh x"),
    "sigmoid": _Row("1 / (1 + exp(-x))"),
    "relu": _Row("max(x, 0)"),
    "hard_sigmoid": _Row("max(0, min(1, alpha x + beta))", (1.0 / 6.0, 0.5)),
    "softsign": _Row("x / (1 + |x|)"),
    "softplus": _Row("log(1 + exp x)"),
    "elu": _Row("x if x > 0 else alpha (exp x - 1)", (1.0,)),
    "leaky_relu": _Row("x if x > 0 else alpha x, alpha >= 0", (0.01,)),
    "thresholded_relu": _Row("x if x > alpha else 0", (1.0,)),
    "scaled_tanh": _Row("alpha tanh(beta x)", (1.0, 1.0)),
    "affine": _Row("alpha x + beta", (1.0, 0.0)),
    "identity": _Row("x"),
}

_ALIASES = {"linear": "identity"}


def resolve(argument: str, value: object) -> Activation:
    """Return what ``value`` means, with the defaults of its formula filled in.

    Parameters
    ----------
    argument : str
        What messages call the value.
    value : str, tuple, list, dict, Activation or None
        None is the identity.

    Raises
    ------
    ValueError, TypeError
        If the name is unknown, or the numbers do not fit its formula.
    """
    if value is None:
        return Activation("identity")
    if isinstance(value, str):
        return _filled(argument, value, [])
    if isinstance(value, dict):
        return _from_dict(argument, value)
    name = getattr(value, "__name__", "")
    if name in FORMULAS and globals().get(name) is value:  # a function of this module: its defaults
        return _filled(argument, name, [])
    if isinstance(value, tuple | list) and value:
        numbers = list(value[1:])
        spare = len(_row(argument, value[0]).defaults)
        while len(numbers) > spare and numbers[-1] == 0.0:  # an Activation always carries two numbers
            numbers.pop()
        return _filled(argument, value[0], numbers)
    raise _errors.bad_type(argument, "a name such as 'tanh' or a tuple (name, alpha, beta)", value)


def _row(argument: str, name: Any) -> _Row:
    if isinstance(name, str):
        row = FORMULAS.get(_ALIASES.get(name, name))
        if row is not None:
            return row
    raise _errors.bad_value(argument, "one of " + ", ".join(map(repr, [*FORMULAS, *_ALIASES])), repr(name))


def _from_dict(argument: str, value: dict[str, Any]) -> Activation:
    unknown = set(value) - {"name", "alpha", "beta"}
    if unknown or "name" not in value:
        raise _errors.bad_value(argument, "the keys 'name', 'alpha', 'beta'", ", ".join(map(repr, value)))
    defaults = _row(argument, value["name"]).defaults
    numbers = [value.get(key, default) for key, default in zip(("alpha", "beta"), defaults, strict=False)]
    return _filled(argument, value["name"], numbers)


def _filled(argument: str, name: Any, numbers: list[Any]) -> Activation:
    row = _row(argument, name)
    if len(numbers) > len(row.defaults):
        takes = f"{len(row.defaults)} numbers for {name!r}: {row.formula}"
        raise _errors.bad_value(argument, takes, f"{len(numbers)} numbers")
    given = [_errors.check_number(argument, n, -1e30, 1e30, "finite alpha and beta") for n in numbers]
    alpha, beta = (*given, *row.defaults[len(given) :], 0.0, 0.0)[:2]
    if name == "leaky_relu" and alpha < 0:
        raise _errors.bad_value(argument, "alpha >= 0 for 'leaky_relu'", str(alpha))
    return Activation(_ALIASES.get(name, name), alpha, beta)


def tanh() -> Activation:
    """Tanh x."""
    return Activation("tanh")


def sigmoid() -> Activation:
    """1 / (1 + exp(-x))."""
    return Activation("sigmoid")


def relu() -> Activation:
    """max(x, 0)."""
    return Activation("relu")


def hard_sigmoid(alpha: float = 1.0 / 6.0, beta: float = 0.5) -> Activation:
    """max(0, min(1, alpha x + beta)); the defaults are Keras 3's, Keras 2 had 0.2 and 0.5."""
    return Activation("hard_sigmoid", alpha, beta)


def softsign() -> Activation:
    """X / (1 + |x|)."""
    return Activation("softsign")


def softplus() -> Activation:
    """log(1 + exp x)."""
    return Activation("softplus")


def elu(alpha: float = 1.0) -> Activation:
    """X if x > 0 else alpha (exp x - 1)."""
    return Activation("elu", alpha)


def leaky_relu(alpha: float = 0.01) -> Activation:
    """X if x > 0 else alpha x, with alpha >= 0."""
    return Activation("leaky_relu", alpha)


def thresholded_relu(alpha: float = 1.0) -> Activation:
    """X if x > alpha else 0."""
    return Activation("thresholded_relu", alpha)


def scaled_tanh(alpha: float = 1.0, beta: float = 1.0) -> Activation:
    """Alpha tanh(beta x)."""
    return Activation("scaled_tanh", alpha, beta)


def affine(alpha: float = 1.0, beta: float = 0.0) -> Activation:
    """Alpha x + beta."""
    return Activation("affine", alpha, beta)


def identity() -> Activation:
    """X."""
    return Activation("identity")
