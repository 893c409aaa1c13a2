"""How far a file's stored weights take its outputs from the model's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from recurra import _errors

if TYPE_CHECKING:
    from recurra._typing import Array
    from recurra.cexport.interface import Interface
    from recurra.layers.base import Layer
    from recurra.training.trainer import Trainer

_SEQUENCES, _STEPS = 16, 64  # of random data
_TESTED_STEPS = 32  # that a file carries for its test


class Accuracy(NamedTuple):
    """What `Trainer.export_c` returns.

    Attributes
    ----------
    weights : str
        How matrices are stored.
    constants, state : int
        Bytes of the file's arrays, and of a state.
    largest, root_mean_square : float
        Errors of the outputs that come from storing the weights so, over the sample.
    relative : float
        The largest error divided by the largest output, in size.
    sample : str
        What was run.
    """

    weights: str
    constants: int
    state: int
    largest: float
    root_mean_square: float
    relative: float
    sample: str

    def __str__(self) -> str:
        error = f"largest error {self.largest:.2g} ({100 * self.relative:.2g} % of the largest output)"
        return f"{self.weights} on {self.sample}: {error}, root mean square {self.root_mean_square:.2g}"


class Sample(NamedTuple):
    """What a file is measured and tested with.

    Attributes
    ----------
    inputs, outputs : list of numpy.ndarray
        Of the model as it is, batch axis first.
    origin : str
        What they are.
    """

    inputs: list[Array]
    outputs: list[Array]
    origin: str


def sample_of(model: Trainer, interface: Interface, sample: Any) -> Sample:
    """Return the caller's inputs, or random ones, with the model's outputs."""
    if sample is None:
        for steps, scale in (
            (_STEPS, 1.0),
            (_STEPS // 8, 1.0),
            (interface.least, 0.01),
        ):  # some models grow without bound
            inputs = _random(model, interface, max(steps, interface.least), scale)
            outputs = run(model, inputs)
            if _finite(outputs):
                return Sample(inputs, outputs, "random numbers")
        raise _errors.bad_value("sample", "inputs with finite outputs", "none", "random ones make others: give some")
    inputs = _given(model, interface, sample)
    outputs = run(model, inputs)
    if not _finite(outputs):
        raise _errors.bad_value("sample", "inputs with finite outputs", "others")
    return Sample(inputs, outputs, "the sample")


def _finite(outputs: list[Array]) -> bool:
    return all(bool(np.isfinite(array.astype(np.float32)).all()) for array in outputs)


def _given(model: Trainer, interface: Interface, sample: Any) -> list[Array]:
    count = len(interface.inputs)
    given = list(sample) if count > 1 and isinstance(sample, list | tuple) else [sample]
    if len(given) != count:
        raise _errors.bad_type("sample", f"a list of {count} arrays, one for each input", sample)
    arrays = []
    for index, (port, one) in enumerate(zip(interface.inputs, given, strict=True)):
        name = f"sample[{index}]" if count > 1 else "sample"
        array = np.asarray(one) if port.value.kind != "float" else _errors.as_real(name, one, model.dtype)
        if not array.size:
            raise _errors.bad_value(name, "at least one sequence", "none")
        arrays.append(array)
    model.check_input(arrays if model.merges else arrays[0], "sample")
    return arrays


def _times(model: Trainer) -> list[int | None]:
    """Return the fixed steps of each input, None where any number will do or there is no such axis."""
    shapes: Any = model.input_shape if model.merges else [model.input_shape]
    return [shape[1] if len(shape) > 1 else None for shape in shapes]


def _random(model: Trainer, interface: Interface, steps: int, scale: float) -> list[Array]:
    rng = np.random.default_rng(0)
    arrays: list[Array] = []
    for port, time in zip(interface.inputs, _times(model), strict=True):
        value = port.value
        rows = () if value.steps is None else (time or steps,)
        if value.kind != "float":
            known = _vocabulary(interface, value)  # 0 may stand for padding
            arrays.append(rng.integers(min(1, known - 1), known, (_SEQUENCES, *rows)))
        else:
            numbers = scale * rng.standard_normal((_SEQUENCES, *rows, value.width))
            arrays.append(numbers.astype(model.dtype))
    return arrays


def _vocabulary(interface: Interface, value: Any) -> int:
    """Return how many integers all tables know that read an input."""
    from recurra.cexport.pointwise import LookUp

    tables = [one for one in interface.program.operations if isinstance(one, LookUp) and one.reads[0] is value]
    return min(len(table.entries) for table in tables)


def run(model: Layer, inputs: list[Array]) -> list[Array]:
    """Return all outputs of a model for arrays with a batch axis."""
    made = model(inputs if model.merges else inputs[0])
    return made if isinstance(made, list) else [made]


def measure(expected: list[Array], found: list[Array]) -> tuple[float, float, float]:
    """Return largest error, root mean square error, largest error over largest output."""
    with np.errstate(over="ignore", invalid="ignore"):
        return _measure(expected, found)


def _measure(expected: list[Array], found: list[Array]) -> tuple[float, float, float]:
    errors = np.concatenate([np.abs(a.astype(float) - b).ravel() for a, b in zip(expected, found, strict=True)])
    size = max(float(np.abs(a).max(initial=0.0)) for a in expected)
    largest = float(errors.max(initial=0.0))
    return largest, float(np.sqrt(np.square(errors).mean())), largest / size if size else 0.0


def tested(model: Trainer, interface: Interface, inputs: list[Array]) -> list[Array]:
    """Return the first sample, with as many steps as a file carries for its test."""
    steps = max(_TESTED_STEPS, interface.least)
    free = [
        port.value.steps is not None and time is None
        for port, time in zip(interface.inputs, _times(model), strict=True)
    ]
    return [array[:1, :steps] if cut else array[:1] for cut, array in zip(free, inputs, strict=True)]
