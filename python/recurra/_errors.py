"""Every message about a wrong argument, in one form: ``argument: expected X, got Y; hint``.

Functions named ``check_*`` return the accepted value, in the form the caller goes on with, or raise ValueError or
TypeError; they change nothing.
"""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from recurra._typing import Array, Shape


def message(argument: str, expected: str, got: str, hint: str = "") -> str:
    """Return ``argument: expected X, got Y; hint``."""
    return f"{argument}: expected {expected}, got {got}" + (f"; {hint}" if hint else "")


def describe(value: object) -> str:
    """Return how a message speaks of ``value``: arrays by dtype and shape, others by their text."""
    if isinstance(value, np.ndarray):
        return f"an array of {value.dtype} with shape {value.shape}"
    text = repr(value)
    return text if len(text) <= 60 else type(value).__name__


def bad_value(argument: str, expected: str, got: object, hint: str = "") -> ValueError:
    """Return a ValueError with the message; ``got`` is described unless it is text already."""
    return ValueError(message(argument, expected, got if isinstance(got, str) else describe(got), hint))


def bad_type(argument: str, expected: str, got: object, hint: str = "") -> TypeError:
    """Return a TypeError with the message; ``got`` is described unless it is text already."""
    return TypeError(message(argument, expected, got if isinstance(got, str) else describe(got), hint))


# Scalars


def check_integer(argument: str, value: object, low: int, high: int = 2**31 - 1) -> int:
    """Return ``value`` as an int within [low, high]."""
    if isinstance(value, bool | np.bool_) or not hasattr(value, "__index__"):
        raise bad_type(argument, "an integer", repr(value))
    number = operator.index(value)
    if not low <= number <= high:
        raise bad_value(argument, f"an integer from {low} to {high}", str(number))
    return number


def check_number(argument: str, value: object, low: float, high: float, expected: str) -> float:
    """Return ``value`` as a float within [low, high]."""
    if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating):
        raise bad_type(argument, expected, repr(value))
    number = float(value)
    if not low <= number <= high:
        raise bad_value(argument, expected, repr(value))
    return number


def check_rate(argument: str, value: object) -> float:
    """Return a dropout rate, 0 <= rate < 1."""
    return check_number(argument, value, 0.0, float(np.nextafter(1.0, 0.0)), "a rate from 0 to below 1")


def check_flag(argument: str, value: object) -> bool:
    """Return ``value`` as a bool."""
    if isinstance(value, bool | np.bool_):
        return bool(value)
    raise bad_type(argument, "True or False", repr(value))


def check_choice(argument: str, value: object, choices: Iterable[str]) -> str:
    """Return ``value`` if it is one of ``choices``."""
    known = list(choices)
    if isinstance(value, str) and value in known:
        return value
    raise bad_value(argument, "one of " + ", ".join(map(repr, known)), repr(value))


def check_seed(argument: str, value: object) -> int:
    """Return a seed, an integer from 0 to 2**64 - 1."""
    return check_integer(argument, value, 0, 2**64 - 1)


def check_dtype(argument: str, value: object) -> str:
    """Return ``"float32"`` or ``"float64"``."""
    try:
        name = np.dtype(value).name  # type: ignore[call-overload]
    except TypeError:
        name = repr(value)
    if value is None or name not in ("float32", "float64"):
        raise bad_value(argument, "'float32' or 'float64'", repr(value))
    return str(name)


# Arrays


def shape_text(axes: Sequence[str], sizes: Shape) -> str:
    """Return ``(batch, time, 4)``: the axis' name where any size will do, else the size."""
    shown = [axis if size is None else str(size) for axis, size in zip(axes, sizes, strict=True)]
    return "(" + ", ".join(shown) + ("," if len(shown) == 1 else "") + ")"


def check_array(argument: str, value: object, dtype: np.dtype[Any], axes: Sequence[str], sizes: Shape) -> Array:
    """Return ``value``, which must be an array of exactly this dtype whose axes have these names and sizes."""
    if type(value) is np.ndarray and value.shape == sizes and value.dtype == dtype:
        return value  # what nearly every call brings, without the words for the others
    if not isinstance(value, np.ndarray):
        raise bad_type(argument, "a NumPy array", type(value).__name__, f"wrap it: numpy.asarray(..., {dtype.name!r})")
    check_array_dtype(argument, value, dtype)
    check_shape(argument, value.shape, axes, sizes)
    return value


def check_array_dtype(argument: str, value: Array, dtype: np.dtype[Any]) -> None:
    """Raise TypeError unless ``value`` has exactly this dtype."""
    if value.dtype != dtype:
        if not value.dtype.isnative:
            raise bad_type(argument, dtype.name, f"{value.dtype.name} of foreign byte order", "cast it")
        hint = f"cast it: {argument}.astype({dtype.name!r})"
        if value.dtype.name in ("float32", "float64"):
            hint += f", or make the layer with dtype={value.dtype.name!r}"
        raise bad_type(argument, dtype.name, value.dtype.name, hint)


def check_integers(argument: str, value: object) -> Array:
    """Return ``value`` if it is an array of integers with a batch axis."""
    if not isinstance(value, np.ndarray):
        raise bad_type(argument, "a NumPy array of integers", value)
    if value.dtype.kind not in "iu":
        raise bad_type(argument, "integers", value.dtype.name)
    if not value.ndim:
        raise bad_value(argument, "at least one axis", "a number")
    return value


def check_shape(argument: str, shape: tuple[int, ...], axes: Sequence[str], sizes: Shape) -> None:
    """Raise ValueError unless ``shape`` has these axes with these sizes (None: any size)."""
    if len(shape) != len(axes):
        hint = f"{len(axes)} {'axis is' if len(axes) == 1 else 'axes are'} needed, not {len(shape)}"
        raise bad_value(argument, f"shape {shape_text(axes, sizes)}", f"{shape}", hint)
    for axis, (size, name) in enumerate(zip(sizes, axes, strict=True)):
        if size is not None and shape[axis] != size:
            hint = f"axis {axis} is the {_AXES.get(name, name)}"
            raise bad_value(argument, f"shape {shape_text(axes, sizes)}", f"{shape}", hint)


_AXES = {
    "batch": "number of samples in the batch",
    "time": "number of time steps",
    "features": "number of features",
    "units": "number of units",
    "outputs": "number of outputs",
}


def check_axis(argument: str, axis: int, count: int) -> int:
    """Return an axis of an array of ``count`` axes, counted from the first; never the batch axis."""
    place = axis + count if axis < 0 else axis
    if not 1 <= place < count:
        raise bad_value(argument, f"an axis from 1 to {count - 1}, or from -{count - 1} to -1", f"{axis}")
    return place


def check_writeable(argument: str, value: Array) -> None:
    """Raise ValueError if ``value`` is read-only."""
    if not value.flags.writeable:
        raise bad_value(argument, "a writeable array", "a read-only one", f"copy it: {argument}.copy()")


def as_real(argument: str, value: object, dtype: np.dtype[Any]) -> Array:
    """Return real numbers of any kind (lists, integers, booleans, floats) as an array of ``dtype``."""
    try:
        array = np.asarray(value)
    except ValueError:
        raise bad_value(
            argument,
            "one array",
            "sequences of different lengths",
            "pad them to a common length and give lengths=",
        ) from None
    if array.dtype == dtype:
        return array
    if array.dtype.kind not in "biuf":
        raise bad_type(argument, "real numbers", f"an array of {array.dtype}")
    return array.astype(dtype)


# Lengths and masks


def check_lengths(lengths: object, batch: int, time: int) -> Array:
    """Return lengths as a contiguous int64 array (batch,) with 0 <= length <= time."""
    array = np.asarray(lengths)
    if array.dtype.kind not in "iu" and array.size:
        raise bad_type("lengths", "integers", array.dtype.name)
    check_shape("lengths", array.shape, ("batch",), (batch,))
    array = np.ascontiguousarray(array, dtype=np.int64)
    if batch and not (array.min() >= 0 and array.max() <= time):
        row = int(np.flatnonzero((array < 0) | (array > time))[0])
        hint = f"x has {time} time steps"
        raise bad_value("lengths", f"values from 0 to {time}", f"{array[row]} in sample {row}", hint)
    return array


def lengths_of_mask(mask: object, batch: int, time: int) -> Array:
    """Return the lengths that a mask (batch, time) means: True marks a step to be read, padding comes last."""
    array = np.asarray(mask)
    if array.dtype != np.bool_:
        raise bad_type("mask", "booleans", array.dtype.name, "True marks the steps to read")
    check_shape("mask", array.shape, ("batch", "time"), (batch, time))
    lengths: Array = array.sum(axis=1, dtype=np.int64)
    holes = array[:, 1:] & ~array[:, :-1]
    if holes.any():
        row = int(np.flatnonzero(holes.any(axis=1))[0])
        hint = "a recurrent layer reads a prefix of each sample: move the padding to the end"
        raise bad_value("mask", "True values before all False ones", f"a gap in sample {row}", hint)
    return lengths


def lengths_of_padding(counts: Array, lengths: Array | None, padding: str) -> Array:
    """Return the lengths that the steps which count (batch, time) leave; ``padding`` says what the others hold."""
    if lengths is not None:
        counts = counts & (np.arange(counts.shape[1]) < lengths[:, None])
    holes = counts[:, 1:] & ~counts[:, :-1]
    if holes.any():
        row, step = (int(index) for index in np.argwhere(holes)[0])
        got = f"some before step {step + 1} of sample {row}"
        raise bad_value("x", f"{padding} after all other steps", got, "pad at the end")
    found: Array = counts.sum(axis=1, dtype=np.int64)
    return found


def resolve_lengths(lengths: object, mask: object, batch: int, time: int) -> Array | None:
    """Return the lengths given by ``lengths`` or by ``mask``, at most one of which may be given."""
    if mask is None:
        return None if lengths is None else check_lengths(lengths, batch, time)
    if lengths is not None:
        raise bad_value("mask", "either lengths or mask", "both", "drop one of them")
    return lengths_of_mask(mask, batch, time)


# Layers and models


def not_built(layer: str) -> ValueError:
    """Return the error of a layer that is asked for its parameters before it knows its input."""
    return bad_value(
        "input_shape",
        f"layer {layer!r} to know its input",
        "a layer that is not built",
        "call it on data, or build it: layer.build((batch, time, features)), None where any size will do",
    )


def not_compiled() -> ValueError:
    """Return the error of a model that is to train without optimizer and loss."""
    return bad_value("model", "a compiled model", "one without optimizer and loss", "call model.compile(...) first")


class NotFiniteError(ValueError):
    """A loss that is NaN or infinite, kept as ``loss``; epoch and batch in the message are counted from 1."""

    def __init__(self, loss: float, epoch: int, batch: int, where: str) -> None:
        hint = where or "lower the learning rate, or clip"
        super().__init__(message("loss", "a finite number", f"{loss} in epoch {epoch}, batch {batch}", hint))
        self.loss = loss


def note_batch(error: BaseException, number: int, epoch: int) -> None:
    """Let an exception say in which batch it arose, both counted from 0."""
    error.add_note(f"in batch {number + 1} of epoch {epoch + 1}")


def first_not_finite(argument: str, value: Array) -> str:
    """Return where ``value`` first holds NaN or infinity in words, or nothing."""
    if value.dtype.kind != "f" or bool(np.isfinite(value).all()):
        return ""
    index = tuple(int(i) for i in np.argwhere(~np.isfinite(value))[0])
    return f"{argument} of that batch holds {value[index]} at {index}"


def find_class(argument: str, name: object, known: dict[str, type[Any]]) -> Any:
    """Return the class called ``name``, by a name of the table or by its class name; else name those alike."""
    for key, cls in known.items():
        if name in (key, cls.__name__):
            return cls
    if isinstance(name, str) and name.lower() in known:
        return known[name.lower()]
    if isinstance(name, str):
        from difflib import get_close_matches

        alike = get_close_matches(name.lower(), known, n=1)
        hint = f"did you mean {alike[0]!r}?" if alike else ""
        own = [key for key, cls in known.items() if getattr(cls, "name", key) == key]
        raise bad_value(argument, "one of " + ", ".join(map(repr, own)), repr(name), hint)
    raise bad_type(argument, "a name", repr(name))


def check_described(argument: str, config: object) -> tuple[str, dict[str, Any]]:
    """Return class name and arguments from what a ``serialize`` function wrote."""
    if not isinstance(config, dict) or not {"class_name", "config"} <= set(config):
        got = repr(sorted(map(str, config))) if isinstance(config, dict) else describe(config)
        raise bad_value(argument, "a dictionary of class_name and config", got)
    if not isinstance(config["class_name"], str) or not isinstance(config["config"], dict):
        raise bad_type(argument, "a text as class_name and a dictionary as config", repr(config))
    return config["class_name"], config["config"]
