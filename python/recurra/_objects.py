"""Initializers, regularizers and constraints: what a layer takes by name, by description or as objects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from recurra import _errors

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


def serialize(value: Any, classes: Iterable[type]) -> Any:
    """Return an object of a known class as ``{"class_name": ..., "config": ...}``; anything else as it is."""
    if type(value) not in set(classes):
        return value
    return {"class_name": type(value).__name__, "config": value.get_config()}


def restore(argument: str, value: Any, classes: Iterable[type]) -> Any:
    """Return the object of a description or of a class; anything else as it is.

    Parameters
    ----------
    argument : str
        What messages call the value.
    value : object
        If it is a dictionary, one that `serialize` returned.
    classes : iterable of type
        Those that a description may name.

    Raises
    ------
    ValueError
        If a description names no known class, or arguments that it does not take.
    """
    if isinstance(value, type):
        return value()
    if not isinstance(value, dict):
        return value
    known = {cls.__name__: cls for cls in classes}
    name = _errors.check_choice(argument, value.get("class_name"), known)
    try:
        return known[name](**value.get("config", {}))
    except TypeError as error:
        raise _errors.bad_value(argument, f"arguments of {name}", str(error)) from error


def described(value: Any) -> dict[str, Any]:
    """Return the class and the arguments of a loss, metric, optimizer or schedule, for `from_description`."""
    return {"class_name": type(value).__name__, "config": value.get_config()}


def from_description(
    argument: str, config: Any, known: dict[str, type], custom_objects: Mapping[str, type] | None
) -> Any:
    """Return the object that `described` described; a class of one's own goes before a known one of its name.

    Raises
    ------
    TypeError, ValueError
        If there is no such class or its arguments are wrong.
    """
    name, arguments = _errors.check_described(argument, config)
    cls: Any = (custom_objects or {}).get(name) or _errors.find_class(argument, name, known)
    return cls.from_config(arguments)


def check(argument: str, value: Any, names: Mapping[str, type], method: str) -> Any:
    """Return the object that ``value`` means, or None.

    Parameters
    ----------
    argument : str
        What messages call the value.
    value : str, dict, type, object or None
        A name, what `serialize` returned, a class, or an object with ``method``.
    names : mapping of str to type
        Each name's class, which is made without arguments.
    method : str
        What the object must be able to do.

    Raises
    ------
    TypeError, ValueError
        If it means nothing known.
    """
    if value is None:
        return None
    if isinstance(value, str):
        return names[_errors.check_choice(argument, value, names)]()
    found = restore(argument, value, names.values())
    if not callable(getattr(found, method, None)):
        known = ", ".join(map(repr, names))
        raise _errors.bad_type(argument, f"one of {known}, or an object with {method}", value)
    return found
