"""Objects by name, by description or as they are; how files and configurations describe them."""

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
    return {"class_name": type(value).__name__, "config": value.get_config(), **origin(type(value))}


def origin(cls: type) -> dict[str, str]:
    """Return what a description adds for a class that is not recurra's: the module that it comes from."""
    return {} if _root(cls.__module__) == _root(__name__) else {"module": cls.__module__}


def check_origin(argument: str, description: Mapping[str, Any]) -> None:
    """Raise if a description is that of a class from elsewhere, which a class of recurra must not stand in for.

    Keras's own classes pass: those of the same name mean the same.
    """
    module = description.get("module")
    if isinstance(module, str) and _root(module) not in (_root(__name__), "keras", "tf_keras"):
        name = description.get("class_name")
        hint = f"give that class as custom_objects={{{name!r}: ...}}"
        raise _errors.bad_value(argument, f"a class of {_root(__name__)}", f"{name!r} of the module {module!r}", hint)


def _root(module: str) -> str:
    return module.partition(".")[0]


def described_each(given: Any, known: Mapping[str, type], *, skip: bool = False) -> Any:
    """Return losses or metrics, also in lists and dictionaries, for `each_from_description`.

    Raises
    ------
    LookupError
        If there is one that is not of a known class; with ``skip`` it is left out.
    """
    if isinstance(given, dict):
        made = {key: described_each(value, known, skip=skip) for key, value in given.items()}
        return {"each": {key: one for key, one in made.items() if one is not None}}
    if isinstance(given, str):
        return given  # what it stands for is the loss's affair
    if isinstance(given, list):
        found = [described_each(one, known, skip=skip) for one in given]
        each = any(isinstance(one, list) for one in given)  # a place for each output, which stays empty
        return [[] if one is None else one for one in found if each or one is not None]
    if type(given) in known.values():
        return described(given)
    if skip:
        return None
    raise LookupError(given)


def each_from_description(argument: str, description: Any, known: dict[str, type]) -> Any:
    """Return what `described_each` described."""
    if isinstance(description, str):
        return description
    if isinstance(description, list):
        return [each_from_description(argument, one, known) for one in description]
    if "each" in description:
        return {key: each_from_description(argument, value, known) for key, value in description["each"].items()}
    if "class_name" not in description:  # but a name of the table, as files had it at first
        description = {"class_name": description["name"], **description}
    return from_description(argument, description, known, None)


def from_description(
    argument: str, config: Any, known: dict[str, Any], custom_objects: Mapping[str, type] | None
) -> Any:
    """Return the object that `described` described; a class of one's own goes before a known one of its name.

    Raises
    ------
    TypeError, ValueError
        If there is no such class or its arguments are wrong.
    """
    name, arguments = _errors.check_described(argument, config)
    cls: Any = (custom_objects or {}).get(name)
    if cls is None:
        check_origin(argument, config)
        cls = _errors.find_class(argument, name, known)
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
