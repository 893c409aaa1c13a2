"""Random inputs for a model that says what it takes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from recurra import _errors

if TYPE_CHECKING:
    from collections.abc import Sequence

    from recurra._typing import Array

_FEWEST_STEPS, _MOST_STEPS = 5, 20


class Spec(NamedTuple):
    """What a model takes as one input.

    Attributes
    ----------
    name : str
        Key in a dictionary of inputs.
    shape : tuple of (int, str or None)
        None or a name for an axis of any size; the same name has the same size in all inputs.
    dtype : str
        NumPy's name.
    low, high : int
        For integers: at least ``low``, below ``high``.
    padded : bool
        Whether rows of integers may end in zeros.
    """

    name: str
    shape: tuple[int | str | None, ...]
    dtype: str
    low: int = 0
    high: int = 2
    padded: bool = False


def draw(specs: Sequence[Spec], batch: int, seed: int) -> dict[str, Array]:
    """Return random inputs: standard normal numbers, integers within their bounds.

    Parameters
    ----------
    specs : sequence of Spec
        The inputs.
    batch : int
        Size of the axes of the batch: those called so, and unnamed ones that come first.
    seed : int
        The same seed draws the same inputs.
    """
    rng = np.random.default_rng([seed, batch])
    sizes: dict[str, int] = {}
    steps = int(rng.integers(_FEWEST_STEPS, _MOST_STEPS))

    def size(axis: int, given: int | str | None) -> int:
        if isinstance(given, int):
            return given
        if given is None:
            return steps if axis else batch
        lead = any(spec.shape[:1] == (given,) for spec in specs) and not any("batch" in str(s) for s in _axes(specs))
        known = batch if lead or "batch" in given.lower() else steps + len(sizes)
        return sizes.setdefault(given, known)

    found = {}
    for spec in specs:
        shape = tuple(size(axis, given) for axis, given in enumerate(spec.shape))
        found[spec.name] = _values(spec, shape, rng)
    return found


def _axes(specs: Sequence[Spec]) -> list[str]:
    return [axis.lower() for spec in specs for axis in spec.shape if isinstance(axis, str)]


def _values(spec: Spec, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    dtype = np.dtype(spec.dtype)
    if dtype.kind == "f":
        return rng.standard_normal(shape).astype(dtype)
    if dtype.kind == "b":
        return rng.random(shape) < 0.5
    if dtype.kind not in "iu":
        raise _errors.bad_value("inputs", "inputs of your own", "none", f"{spec.name!r} takes {dtype.name}")
    values = rng.integers(spec.low, max(spec.high, spec.low + 1), shape).astype(dtype)
    if spec.padded and values.ndim == 2:
        lengths = rng.integers(1, shape[1] + 1, shape[0])
        lengths[0] = shape[1]
        values[np.arange(shape[1]) >= lengths[:, None]] = 0
    return values


def given(inputs: Any, specs: Sequence[Spec] | None) -> dict[str, Array]:
    """Return inputs of one's own by name.

    Parameters
    ----------
    inputs : array, list of arrays, or mapping of str to array
        One for each input.
    specs : sequence of Spec, or None
        Where it is not known what a model takes, any inputs will do.

    Raises
    ------
    ValueError
        If their number or a name does not fit.
    """
    if isinstance(inputs, Mapping):
        found = {str(name): as_array(value) for name, value in inputs.items()}
        if specs is not None and set(found) != {spec.name for spec in specs}:
            known = ", ".join(repr(spec.name) for spec in specs)
            raise _errors.bad_value("inputs", f"arrays for {known}", ", ".join(map(repr, found)) or "none")
        return found if specs is None else {spec.name: _cast(found[spec.name], spec) for spec in specs}
    listed = list(inputs) if isinstance(inputs, list | tuple) else [inputs]
    names = [spec.name for spec in specs] if specs is not None else [f"input {i}" for i in range(len(listed))]
    if len(names) != len(listed):
        raise _errors.bad_value("inputs", f"{len(names)} arrays ({', '.join(names)})", f"{len(listed)}")
    arrays = [as_array(value) for value in listed]
    if specs is not None:
        arrays = [_cast(array, spec) for array, spec in zip(arrays, specs, strict=True)]
    return dict(zip(names, arrays, strict=True))


def _cast(array: Array, spec: Spec) -> Array:
    """Return numbers of the kind that a model takes in the width that it takes."""
    return array.astype(spec.dtype, copy=False) if array.dtype.kind == np.dtype(spec.dtype).kind else array


def as_array(value: Any) -> Array:
    """Return an array or tensor as an array."""
    if hasattr(value, "detach"):
        value = value.detach().cpu().numpy()
    array: Array = np.asarray(value)
    return array


def shapes(inputs: Mapping[str, Array]) -> str:
    """Return names, shapes and dtypes in words."""
    return ", ".join(f"{name} {value.shape} {value.dtype.name}" for name, value in inputs.items())
