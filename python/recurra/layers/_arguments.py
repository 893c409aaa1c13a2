"""Arguments that layers with weights share: initializers, regularizers and constraints, by the end of their names."""

from __future__ import annotations

from typing import Any

from recurra import _errors, activations, constraints, initializers, regularizers

_KINDS: dict[str, Any] = {
    "initializer": initializers,
    "regularizer": regularizers,
    "constraint": constraints,
}


def _kind(name: str) -> str:
    return name.rpartition("_")[2]


def resolved(arguments: dict[str, Any]) -> dict[str, Any]:
    """Return those of a constructor's arguments that are of one of the three kinds, as what they mean."""
    found = {}
    for name, value in arguments.items():
        if name == "activity_regularizer":
            if value is not None:
                hint = "add the penalty to the loss, or regularize the weights"
                raise _errors.bad_value(name, "None: outputs are not penalised", repr(value), hint)
        elif _kind(name) in _KINDS:
            found[name] = _KINDS[_kind(name)].check(name, value)
    return found


def serialized(options: dict[str, Any]) -> dict[str, Any]:
    """Return what `resolved` returned as `get_config` writes it; other arguments stay as they are."""
    return {
        name: _KINDS[_kind(name)].serialize(value) if _kind(name) in _KINDS and value is not None else _named(value)
        for name, value in options.items()
    }


def _named(value: Any) -> Any:
    """Return the name of a function of `recurra.activations`; other values as they are."""
    name = getattr(value, "__name__", None)
    return name if name in activations.FORMULAS and getattr(activations, name) is value else value


def of_weight(options: dict[str, Any], prefix: str) -> dict[str, Any]:
    """Return the keywords of ``add_weight`` for the weight whose arguments begin with ``prefix``."""
    return {kind: options.get(f"{prefix}_{kind}") for kind in ("regularizer", "constraint")}
