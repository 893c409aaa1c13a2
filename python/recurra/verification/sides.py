"""The two sides of a comparison: recurra, and the runtime that a model comes from."""

from __future__ import annotations

import statistics
import time
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from recurra import _errors
from recurra.verification.inputs import Spec

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from recurra._typing import Array

_TURNS = 5
_SECONDS = 0.5  # that the timing of one side may take, beside one call


class Computed(NamedTuple):
    """Outputs by name for each batch, and the seconds of one call with the last."""

    outputs: list[dict[str, Array]]
    seconds: float


class Side:
    """One side.

    Attributes
    ----------
    title : str
        What the table calls it.
    """

    title = "recurra"

    def specs(self) -> list[Spec] | None:
        """Return what the model takes; None where it does not say."""
        return None

    def call(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Return the outputs of one batch by name."""
        raise NotImplementedError

    def compute(self, batches: Sequence[Mapping[str, Array]]) -> Computed:
        """Return the outputs of all batches, and the time of the last."""
        outputs = [self.call(batch) for batch in batches]
        return Computed(outputs, timed(lambda: self.call(batches[-1])))


def timed(run: Callable[[], Any]) -> float:
    """Return the median seconds of a few calls."""
    found: list[float] = []
    while len(found) < _TURNS and sum(found) < _SECONDS:
        start = time.perf_counter()
        run()
        found.append(time.perf_counter() - start)
    return statistics.median(found)


class OurModel(Side):
    """A model of ours.

    Parameters
    ----------
    model : Layer
        Built.
    """

    def __init__(self, model: Any) -> None:
        model._require_built()
        self.model = model
        self.names = list(getattr(model, "input_names", ["input"]))

    def specs(self) -> list[Spec]:
        """Return one for each input, the bounds of integers from the embeddings."""
        model = self.model
        shapes = model.input_shape if model.merges or len(self.names) > 1 else [model.input_shape]
        kinds = getattr(model, "_integer_inputs", [model.integer_input])
        low, high, padded = vocabulary(model)
        return [
            Spec(name, tuple(shape), "int64" if integers else model.dtype.name, low, high, padded)
            for name, shape, integers in zip(self.names, shapes, kinds, strict=True)
        ]

    def call(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Return the model's outputs; numbers are cast to its dtype."""
        dtype = self.model.dtype
        arrays = [value.astype(dtype, copy=False) if value.dtype.kind == "f" else value for value in inputs.values()]
        outputs = self.model(arrays if len(self.names) > 1 else arrays[0])
        listed = outputs if isinstance(outputs, list | tuple) else [outputs]
        names = getattr(self.model, "output_names", [])
        names = names if len(names) == len(listed) else [f"output {index}" for index in range(len(listed))]
        return dict(zip(names, listed, strict=True))


class OurGraph(Side):
    """A graph of ONNX that runs as it is, because no layers of ours make it up.

    Parameters
    ----------
    model : OnnxModel
        What `recurra.load` returned. Integers are drawn as 0 and 1, which every table and length can be.
    """

    def __init__(self, model: Any) -> None:
        self.model = model
        self.names = [value.name for value in model.get_outputs()]

    def specs(self) -> list[Spec] | None:
        """Return one for each input; None where the file leaves a type or a shape open."""
        values = self.model.get_inputs()
        if any(value.dtype is None or value.shape is None for value in values):
            return None
        return [Spec(value.name, value.shape, value.dtype.name) for value in values]

    def call(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Return the graph's outputs."""
        return dict(zip(self.names, self.model.run(None, inputs), strict=True))


def vocabulary(model: Any) -> tuple[int, int, bool]:
    """Return the integers that all embeddings of a model take, as (low, high), and whether they end in zeros."""
    from recurra.layers import Embedding
    from recurra.layers.weights import inside

    tables = [layer for layer in [model, *inside(model)] if isinstance(layer, Embedding)]
    masked = any(table.mask_zero for table in tables)
    return int(masked), min((table.input_dim for table in tables), default=2), masked


def flattened(value: Any, name: str = "output") -> dict[str, Array]:
    """Return nested tuples, lists and dictionaries of tensors as arrays by name."""
    if value is None:
        return {}
    if hasattr(value, "detach"):
        return {name: value.detach().cpu().numpy()}
    if isinstance(value, np.ndarray | np.generic | float | int):
        return {name: np.asarray(value)}
    if hasattr(value, "_fields") and hasattr(value, "data"):  # a PackedSequence
        return flattened(value.data, f"{name}.data")
    if isinstance(value, dict):
        pairs = [(f"{name}[{key!r}]", part) for key, part in value.items()]
    elif isinstance(value, list | tuple):
        pairs = [(f"{name}[{index}]", part) for index, part in enumerate(value)]
    else:
        raise _errors.bad_type("what", "a model that returns tensors", value)
    return {key: array for place, part in pairs for key, array in flattened(part, place).items()}
