"""What a model reads and returns, under names that C can say."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

from recurra import _errors
from recurra.cexport.lowering import Program, streams
from recurra.cexport.operations import BEFORE, EACH, Value
from recurra.cexport.steps import INPUT, constant

if TYPE_CHECKING:
    from recurra._typing import Shape
    from recurra.training.trainer import Trainer

_C = "auto break case char const continue default do double else enum extern float for goto if inline int long main"
_MORE_C = "register restrict return short signed sizeof static struct switch typedef union unsigned void volatile while"
_CPP = "and asm bool catch class delete explicit export false friend mutable namespace new not operator or private"
_MORE_CPP = "protected public template this throw true try typename using virtual xor"
_KEYWORDS = frozenset(f"{_C} {_MORE_C} {_CPP} {_MORE_CPP}".split())


class Port(NamedTuple):
    """An input or output.

    Attributes
    ----------
    name : str
        Of the pointer in C.
    suffix : str
        Of its macros: "" where there is one port alone.
    value : Value
        What it holds.
    """

    name: str
    suffix: str
    value: Value


class Interface(NamedTuple):
    """A model as a program.

    Attributes
    ----------
    inputs, outputs : list of Port
        What functions of the file take.
    program : Program
        The operations between.
    streams : bool
        Whether there is a function for one step.
    least : int
        Steps that a run needs at least.
    fixed : int
        Steps that a run must have, 0 if any number will do.
    """

    inputs: list[Port]
    outputs: list[Port]
    program: Program
    streams: bool
    least: int
    fixed: int


def check_name(name: object) -> str:
    """Return the prefix of a file's names, which must be an identifier of C."""
    hint = "it begins the names in the file: model_step, MODEL_INPUTS"
    if not isinstance(name, str):
        raise _errors.bad_type("name", "a text", name, hint)
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]{0,59}", name) or name in _KEYWORDS:
        raise _errors.bad_value("name", "letters, digits and _, a letter first, and no word of C", repr(name), hint)
    return name


def interface_of(model: Trainer) -> Interface:
    """Return a built model as a program.

    Raises
    ------
    ValueError
        If a C file cannot hold one of its layers.
    """
    shapes: list[Shape] = list(model.input_shape) if model.merges else [model.input_shape]  # type: ignore[arg-type, list-item]
    integers = getattr(model, "_integer_inputs", [model.integer_input])
    values = [_input(model, shape, whole) for shape, whole in zip(shapes, integers, strict=True)]
    program = Program()
    made = program.lower(model, values)
    inputs = _ports("x", model.input_names, values)
    outputs = _ports("y", model.output_names, made)
    free = [value.steps for value in values if value.steps is not None and value.steps.fixed is None]
    known = [value.steps.fixed for value in values if value.steps is not None and value.steps.fixed is not None]
    stepwise = streams(program)
    fixed = 0 if stepwise or free else (known or [1])[0]
    least = 1 if stepwise or not free else _least([*values, *(one.makes for one in program.operations)])
    return Interface(inputs, outputs, program, stepwise, least, fixed)


def _input(model: Trainer, shape: Any, integers: bool) -> Value:
    """Return the value of an input (batch, time, features), (batch, features) or, for integers, (batch, time)."""
    if integers and len(shape) == 2:
        return Value(1, _time(model, shape[1]), EACH, "int32_t")
    if integers or len(shape) not in (2, 3):
        axes = "(batch, time, features), (batch, features) or integers (batch, time)"
        raise _errors.bad_value("model", f"inputs {axes}", f"{'integers ' if integers else ''}{tuple(shape)}")
    if len(shape) == 2:
        return Value(shape[1], None, BEFORE)
    if model.merges and shape[1] == 1:  # one row for all steps of other inputs
        return Value(shape[2], constant(1), BEFORE)
    return Value(shape[2], _time(model, shape[1]), EACH)


def _time(model: Trainer, time: int | None) -> Any:
    return constant(time) if model.sized and time is not None else INPUT


def _ports(letter: str, names: list[str], values: list[Value]) -> list[Port]:
    if len(values) == 1:
        return [Port(letter, "", values[0])]
    plain = [re.sub(r"\W", "_", name, flags=re.ASCII) for name in names]
    if len(set(plain)) < len(plain):
        plain = [str(index) for index in range(len(plain))]
    return [Port(f"{letter}_{n}", f"_{n.upper()}", value) for n, value in zip(plain, values, strict=True)]


def _least(values: list[Value]) -> int:
    """Return the smallest number of steps with which no value is empty."""
    steps = [value.steps for value in values if value.steps is not None]
    count = 1
    while any(some.count(count) < 1 for some in steps):
        if all(some.fixed is not None or some.count(count) == some.count(count + 1024) for some in steps):
            raise _errors.bad_value("model", "values of at least one step", "one that is always empty")
        count += 1
    return count
