"""From what users pass as x, y, lengths and weights to checked samples in the model's dtype."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from recurra import _errors
from recurra.training.data import Batch, Samples, is_ragged
from recurra.training.objective import for_each

if TYPE_CHECKING:
    from recurra._typing import Array
    from recurra.training.trainer import Trainer


def samples(
    model: Trainer,
    x: Any,
    y: Any,
    lengths: Any = None,
    sample_weight: Any = None,
    class_weight: dict[int, float] | None = None,
    prefix: str = "",
) -> Samples:
    """Return checked samples, having built the model; ``y`` None: no targets."""
    x, y, lengths = model._examples(x, y, lengths)
    names = model.input_names
    inputs, steps = _inputs(model, x, lengths, f"{prefix}x")
    for name, array in zip(names, inputs, strict=True):
        if len(array) != len(inputs[0]):
            raise _errors.bad_value(
                f"{prefix}x", f"{len(inputs[0])} samples in every input", f"{len(array)} in {name!r}"
            )
    model.check_input(inputs if model.merges else inputs[0], f"{prefix}x")
    if not len(inputs[0]):
        raise _errors.bad_value(f"{prefix}x", "at least one sample", "none")
    if y is None:
        return Samples(inputs, [], steps)
    targets = _targets(model, y, inputs, steps, f"{prefix}y")
    weights = None if sample_weight is None else _weights(model, sample_weight, inputs, steps, targets, prefix)
    checked = Samples(inputs, targets, steps, weights or ())
    return weighed(model, checked, class_weight)


def weighed(model: Trainer, samples: Samples, class_weight: dict[int, float] | None) -> Samples:
    """Return samples whose weights are multiplied by those of their classes."""
    if class_weight is None:
        return samples
    if len(samples.y) > 1:
        raise _errors.bad_value("class_weight", "a model with one output", f"{len(samples.y)}", "use sample_weight")
    weight = samples.weights[0]
    classes = _class_weights(class_weight, samples.y[0], model.dtype)
    if weight is not None:
        classes = np.ascontiguousarray(classes * (weight[:, None] if weight.ndim < classes.ndim else weight))
    return Samples(samples.x, samples.y, samples.lengths, [classes])


def batch(
    model: Trainer,
    given: Any,
    class_weight: dict[int, float] | None = None,
    targets: bool = True,
    prefix: str = "",
) -> Batch:
    """Return what a data set or generator yields, (x, y) or (x, y, sample_weight), as a checked batch.

    Without ``targets`` it may yield x alone; of a tuple the first is x, so that data sets for training do as well.
    """
    if not targets:
        return samples(model, given[0] if isinstance(given, tuple) else given, None).batch(slice(None))
    if not isinstance(given, tuple | list) or len(given) not in (2, 3):
        raise _errors.bad_type("x", "batches (x, y) or (x, y, sample_weight)", given)
    x, y, weight = (*given, None)[:3]
    return samples(model, x, y, None, weight, class_weight, prefix).batch(slice(None))


def _inputs(model: Trainer, x: Any, lengths: Any, argument: str) -> tuple[list[Array], list[Array | None]]:
    """Return an array and lengths for each input."""
    if isinstance(x, tuple) and not (model.merges and len(x) == len(model.input_names) and lengths is None):
        if len(x) != 2 or lengths is not None:
            hint = "" if not model.merges else f"inputs come as a list: {', '.join(model.input_names)}"
            raise _errors.bad_value(argument, "an array, or the pair (array, lengths)", f"a tuple of {len(x)}", hint)
        x, lengths = x
    if not model.merges:
        if isinstance(x, dict):
            x = for_each(argument, x, model.input_names)[0]
        array, steps = _input(model, x, lengths, argument, model.integer_input)
        return [array], [steps]
    given = for_each(argument, x, model.input_names)
    if not isinstance(x, dict | list | tuple):
        raise _errors.bad_type(
            argument, f"a list or dictionary of {len(given)} inputs", x, ", ".join(model.input_names)
        )
    counts = lengths if isinstance(lengths, list | tuple | dict) else [lengths, *(None,) * (len(given) - 1)]
    pairs = [
        _input(model, array, steps, f"{argument}[{name!r}]", integer)
        for name, array, steps, integer in zip(
            model.input_names, given, for_each("lengths", counts, model.input_names), model._integer_inputs, strict=True
        )
    ]
    return [array for array, _ in pairs], [steps for _, steps in pairs]


def _input(model: Trainer, x: Any, lengths: Any, argument: str, integer: bool) -> tuple[Array, Array | None]:
    """Return one input in the model's dtype, ragged lists padded, and its lengths."""
    if isinstance(x, tuple) and len(x) == 2 and lengths is None:
        x, lengths = x
    if is_ragged(x):
        if lengths is not None:
            raise _errors.bad_value("lengths", "none for a list of sequences", "some", "they are the sequences' own")
        x, lengths = _padded(x, argument)
    array = as_input(argument, x, model.dtype, integer)
    if lengths is not None:
        if array.ndim < (2 if integer else 3):
            raise _errors.bad_value("lengths", "an input with a time axis", f"shape {array.shape}")
        lengths = _errors.check_lengths(lengths, len(array), array.shape[1])
    return array, lengths


def _padded(sequences: Any, argument: str) -> tuple[Array, Array]:
    from recurra.data import pad

    return pad(sequences, argument=argument)


def as_input(argument: str, value: Any, dtype: np.dtype[Any], integer: bool) -> Array:
    """Return an array of the model's dtype, or of integers as they are."""
    if not isinstance(value, np.ndarray | list | tuple | int | float):
        from recurra.data import as_array

        value = as_array(value, argument)
    return _whole(argument, np.asarray(value)) if integer else _errors.as_real(argument, value, dtype)


def _whole(argument: str, array: Array) -> Array:
    """Return integers; floats must be whole numbers, as files and frames hold them."""
    if array.dtype.kind == "f" and array.size and bool((np.isfinite(array) & (array == np.floor(array))).all()):
        array = array.astype(np.int64)
    return _errors.check_integers(argument, array)


def _targets(model: Trainer, y: Any, inputs: list[Array], steps: list[Array | None], argument: str) -> list[Array]:
    """Return the targets of each output as its loss wants them."""
    names = model.output_names
    if len(names) > 1 and not isinstance(y, dict | list | tuple):
        raise _errors.bad_type(argument, f"a list or dictionary of {len(names)} targets", y, ", ".join(names))
    given, shapes = for_each(argument, y, names), model._target_shapes(inputs)
    made = []
    for name, target, loss, shape in zip(names, given, model._objective.losses, shapes, strict=True):
        if is_ragged(target) and not loss.sequences:  # those pad labels themselves
            target = steps_filled(target, _output_steps(model, inputs, steps, shape), argument)
        elif not isinstance(target, np.ndarray | list | tuple | int | float):
            from recurra.data import as_array

            target = as_array(target, argument)
        _check_not_text(argument, target)
        try:
            made.append(loss.prepare(target, shape, model.dtype))
        except (TypeError, ValueError) as error:
            text = argument + str(error)[1:] if str(error).startswith(("y:", "y[")) else str(error)
            if len(names) > 1:
                text = f"output {name!r}: {text}"
            if text == str(error):
                raise
            raise type(error)(text) from error
    return made


def _check_not_text(argument: str, target: Any) -> None:
    """Raise TypeError if targets are texts."""
    first = target
    while isinstance(first, list | tuple) and first:
        first = first[0]
    if isinstance(first, np.ndarray) and first.dtype == object and first.size:
        first = first.flat[0]
    if isinstance(first, str | bytes) or getattr(first, "dtype", np.dtype(float)).kind in "SU":
        hint = "number the classes: classes, y = numpy.unique(y, return_inverse=True)"
        raise _errors.bad_type(argument, "numbers", "text", hint)


def _output_steps(
    model: Trainer, inputs: list[Array], steps: list[Array | None], shape: tuple[int, ...]
) -> Array | None:
    """Return how many steps of each sample an output of this shape has, None where only a pass would tell."""
    if len(shape) < 3 or any(getattr(layer, "makes_lengths", False) for layer in list(model._held())[1:]):
        return None
    if not model.merges:
        found = model.compute_lengths(inputs[0], steps[0])
    elif inputs[0].shape[1:2] == shape[1:2]:
        found = steps[0]
    else:
        return None
    return np.full(len(inputs[0]), shape[1]) if found is None else found


def steps_filled(sequences: Any, expected: Array | None, argument: str) -> Array:
    """Return ragged sequences of targets or weights as one array, each having as many steps as is expected."""
    array, found = _padded(sequences, argument)
    if expected is None or len(expected) != len(found):
        return array
    wrong = np.flatnonzero(found != expected)
    if wrong.size:
        first = int(wrong[0])
        hint = "one for each step of the sequence, or one array (samples, ...)"
        raise _errors.bad_value(f"{argument}[{first}]", f"{expected[first]} steps", f"{found[first]}", hint)
    return array


def _weights(
    model: Trainer,
    sample_weight: Any,
    inputs: list[Array],
    steps: list[Array | None],
    targets: list[Array],
    prefix: str,
) -> list[Array | None]:
    """Return the weights of each output's rows."""
    argument = f"{prefix}sample_weight"
    made: list[Array | None] = []
    shapes = model._target_shapes(inputs)
    for given, y, shape in zip(for_each(argument, sample_weight, model.output_names), targets, shapes, strict=True):
        weight = given
        if is_ragged(weight):
            weight = steps_filled(weight, _output_steps(model, inputs, steps, shape), argument)
        made.append(None if weight is None else _sample_weight(weight, y, model.dtype, argument))
    return made


def _sample_weight(weight: Any, y: Array, dtype: np.dtype[Any], argument: str) -> Array:
    array = _errors.as_real(argument, weight, dtype)
    fits = array.shape == y.shape[:1] or (array.ndim == 2 and array.shape == y.shape[:2])
    if not fits:
        expected = f"shape ({len(y)},)" + (f" or {y.shape[:2]}" if y.ndim > 1 else "")
        raise _errors.bad_value(argument, expected, f"{array.shape}", "one weight for each sample or step")
    if not np.isfinite(array).all() or (array.size and array.min() < 0):
        raise _errors.bad_value(argument, "finite numbers of at least 0", "others")
    return array


def _class_weights(class_weight: Any, y: Array, dtype: np.dtype[Any]) -> Array:
    """Return each row's weight by its class."""
    if not isinstance(class_weight, dict) or not class_weight:
        raise _errors.bad_type("class_weight", "a dictionary of class to weight", class_weight)
    labels = y
    if y.dtype.kind == "f":
        labels = y.argmax(axis=-1) if y.shape[-1] > 1 else (y[..., 0] > 0.5).astype(np.int64)
    table = np.ones(int(labels.max(initial=0)) + 1, dtype)
    for key, value in class_weight.items():
        number = _errors.check_integer("class_weight", key, 0)
        factor = _errors.check_number("class_weight", value, 0.0, 1e30, "numbers of at least 0")
        if number < len(table):
            table[number] = factor
    return np.asarray(table[labels])
