"""Finite differences against the gradients of any layer or model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from recurra import _core, _errors, _random

if TYPE_CHECKING:
    from collections.abc import Iterator

    from recurra._typing import Array
    from recurra.layers.base import Layer

_TOLERANCE = 1e-7
_STEP = 1e-5  # the error is about 1e-10, nearly all of it from rounding
_FLOOR = 1e-3  # share of the largest gradient of all below which an array's own scale is not used


class Row(NamedTuple):
    """The comparison for one array.

    Attributes
    ----------
    name : str
        Parameter, ``x`` or ``initial_state[i]``.
    shape : tuple of int
        Of the array.
    checked : int
        Elements compared.
    largest : float
        The largest gradient, by size, of those.
    error : float
        The largest difference, as a share of the largest gradient.
    worst : tuple of int
        Where that is.
    passed : bool
        Whether the error is within the tolerance.
    """

    name: str
    shape: tuple[int, ...]
    checked: int
    largest: float
    error: float
    worst: tuple[int, ...]
    passed: bool


class GradcheckResult:
    """What `gradcheck` found; prints as a table, and is true if all arrays passed.

    Attributes
    ----------
    rows : list of Row
        One per array.
    tolerance : float
        The largest error allowed.
    passed : bool
        Whether all rows passed.
    """

    def __init__(self, rows: list[Row], tolerance: float) -> None:
        self.rows, self.tolerance = rows, tolerance
        self.passed = all(row.passed for row in rows)

    def __bool__(self) -> bool:
        return self.passed

    def __str__(self) -> str:
        table = [("array", "shape", "checked", "largest gradient", "error", "at", "")]
        for row in self.rows:
            checked = f"{row.checked} of {int(np.prod(row.shape))}"
            verdict = "ok" if row.passed else "WRONG"
            table.append((row.name, str(row.shape), checked, f"{row.largest:.3e}", f"{row.error:.1e}", str(row.worst),
                          verdict))  # fmt: skip
        widths = [max(len(line[column]) for line in table) for column in range(len(table[0]))]
        lines = ["  ".join(f"{text:{width}}" for text, width in zip(line, widths, strict=True)) for line in table]
        verdict = "passed" if self.passed else "FAILED"
        summary = f"{verdict}: errors are shares of the largest gradient, tolerance {self.tolerance:.0e}"
        return "\n".join([*(line.rstrip() for line in lines), summary])


class _Case:
    """A layer in float64 with everything of a call but what is varied, and the projection that makes one number."""

    def __init__(self, layer: Layer, x: Any, states: list[Array] | None, keywords: dict[str, Any], seed: int) -> None:
        self.layer, self.x, self.states, self.keywords = layer, x, states, keywords
        several = isinstance(x, list)
        named = {f"x[{i}]": part for i, part in enumerate(x)} if several else {"x": x}
        self.inputs = {name: part for name, part in named.items() if part.dtype.kind == "f"}
        outputs, _ = self.vjp()
        self.weights = [_projection(seed, number, y.shape) for number, y in enumerate(_as_list(outputs))]

    def vjp(self) -> tuple[Any, Any]:
        states = {} if self.states is None else {"initial_state": self.states}
        return self.layer.vjp(self.x, **states, **self.keywords)

    def analytic(self) -> dict[str, Array]:
        """Return the gradients that the layer says, by the names of `arrays`."""
        self.layer.zero_gradients()
        _, pullback = self.vjp()
        found: dict[str, Array] = {}
        if self.states is None:
            dx = self._pulled(pullback)
        else:
            dx, dinitial = pullback.with_states(self.weights[0], *([self.weights[1:]] if self.weights[1:] else []))
            found = {f"initial_state[{i}]": d for i, d in enumerate(dinitial)}
        parts = {f"x[{i}]": d for i, d in enumerate(dx)} if isinstance(self.x, list) else {"x": dx}
        found.update({name: parts[name] for name in self.inputs})
        return {**{name: d.copy() for name, d in self.layer.gradients.items()}, **found}

    def _pulled(self, pullback: Any) -> Any:
        """Return the gradient of the input(s): a recurrent layer's states come apart, other outputs as a list."""
        if len(self.weights) == 1:
            return pullback(self.weights[0])
        if getattr(self.layer, "return_state", False):
            return pullback(self.weights[0], self.weights[1:])
        return pullback(self.weights)

    def arrays(self) -> Iterator[tuple[str, Array]]:
        """Yield what can be varied."""
        fixed = {weight.name for weight in self.layer.weights_declared if not weight.trainable}
        yield from ((name, array) for name, array in self.layer.parameters.items() if name not in fixed)
        yield from self.inputs.items()
        for number, state in enumerate(self.states or ()):
            yield f"initial_state[{number}]", state

    def difference(self, array: Array, index: tuple[int, ...]) -> float:
        """Return the derivative of the projected outputs along one element, by central differences of order four.

        Order two would not do: where layer normalisation meets a zero state, curvature alone makes an error of 1e-5.
        """
        near, far = self._gap(array, index, _STEP), self._gap(array, index, 2.0 * _STEP)
        return (8.0 * near - far) / (12.0 * _STEP)

    def _gap(self, array: Array, index: tuple[int, ...], step: float) -> float:
        kept = array[index]
        try:
            array[index] = kept + step
            above = _as_list(self.vjp()[0])
            array[index] = kept - step
            below = _as_list(self.vjp()[0])
        finally:
            array[index] = kept
        # differences first: less is lost to rounding than in the difference of two sums
        return sum(float(np.vdot(w, a - b)) for w, a, b in zip(self.weights, above, below, strict=True))


def gradcheck(
    layer: Layer,
    x: Any,
    *,
    initial_state: Any = None,
    tolerance: float = _TOLERANCE,
    max_elements: int | None = 100,
    seed: int = 0,
    **keywords: Any,
) -> GradcheckResult:
    """Compare the gradients of a layer or model with central finite differences, in float64.

    The outputs (and final states) are projected to one number by fixed random weights; its derivatives along every
    parameter, the input and the given initial states are compared. A float32 layer is copied to float64 with the same
    weights; the layer itself stays as it is.

    Parameters
    ----------
    layer : Layer
        Any layer or model, also of one's own.
    x : array_like, or list of such
        The input or inputs, converted to float64 but for int64 arrays, which an Embedding reads. Small shapes suffice:
        each element costs four forward passes.
    initial_state : list of array_like, optional
        As in a call of a recurrent layer; checked too.
    tolerance : float, default 1e-7
        Largest error allowed, as a share of the array's largest gradient (or of a thousandth of the largest of all
        arrays, if that is larger).
    max_elements : int or None, default 100
        Elements to check of each array, drawn at random; None for all.
    seed : int, default 0
        Of the projection, of that draw, and of masks if the layer draws any.
    **keywords
        Passed to ``layer.vjp``: ``lengths``, ``mask``, ``training`` (False unless given).

    Returns
    -------
    GradcheckResult
        ``print(result)`` shows a table; ``result.passed`` says whether all is well.

    Raises
    ------
    TypeError, ValueError
        If ``layer`` is no layer, or does not take the arguments.

    Notes
    -----
    Where a function has a kink (relu, a clip), a difference across it says nothing: choose another ``x`` then.

    Examples
    --------
    >>> import numpy as np, recurra
    >>> layer = recurra.GRU(3, seed=1)
    >>> result = recurra.gradcheck(layer, np.linspace(-1, 1, 2 * 4 * 3).reshape(2, 4, 3), lengths=[4, 2])
    >>> result.passed
    True
    """
    from recurra.layers.base import Layer

    if not isinstance(layer, Layer):
        raise _errors.bad_type("layer", "a layer or model", layer)
    limit = None if max_elements is None else _errors.check_integer("max_elements", max_elements, 1)
    inputs: Any = [_double(part) for part in x] if layer.merges else _double(x)
    layer.ensure_built([part.shape for part in inputs] if layer.merges else inputs.shape)
    double = layer.clone("float64")
    states = None if initial_state is None else [np.array(state, np.float64) for state in initial_state]
    case = _Case(double, inputs, states, {**_call_keywords(layer, seed), **keywords}, seed)
    analytic = case.analytic()
    floor = _FLOOR * max((float(np.abs(d).max()) for d in analytic.values() if d.size), default=0.0)
    rows = []
    for number, (name, array) in enumerate(case.arrays()):
        indices = _drawn(array, limit, seed, number)
        numeric = np.array([case.difference(array, index) for index in indices])
        rows.append(_compare(name, analytic[name], indices, numeric, floor, tolerance))
    return GradcheckResult(rows, tolerance)


def _double(x: Any) -> Array:
    """Return a copy of an input in float64; integers stay, if it is a layer that reads such."""
    return np.array(x if isinstance(x, np.ndarray) and x.dtype == np.int64 else _errors.as_real("x", x, np.dtype("f8")))


def _call_keywords(layer: Layer, seed: int) -> dict[str, Any]:
    """Return what every evaluation must share: no masks, or always the same."""
    from inspect import signature

    known = signature(layer.vjp).parameters
    return {name: value for name, value in (("training", False), ("seed", seed)) if name in known}


def _projection(seed: int, number: int, shape: tuple[int, ...]) -> Array:
    return _core.random_normal(seed, number, int(np.prod(shape))).reshape(shape)


def _as_list(outputs: Any) -> list[Array]:
    return list(outputs) if isinstance(outputs, list | tuple) else [outputs]


def _drawn(array: Array, limit: int | None, seed: int, number: int) -> list[tuple[int, ...]]:
    """Return the indices of the elements to check."""
    flat = np.arange(array.size)
    if limit is not None and limit < array.size:
        flat = np.sort(_random.permutation(seed, number, array.size)[:limit])
    return [tuple(int(i) for i in np.unravel_index(k, array.shape)) for k in flat]


def _compare(
    name: str,
    analytic: Array,
    indices: list[tuple[int, ...]],
    numeric: Array,
    floor: float,
    tolerance: float,
) -> Row:
    stated = np.array([analytic[index] for index in indices])
    if not indices:
        return Row(name, analytic.shape, 0, 0.0, 0.0, (), True)
    largest = float(np.abs(np.concatenate([numeric, stated])).max())
    gaps = np.abs(numeric - stated)
    worst = int(np.argmax(gaps))
    scale = max(largest, floor, float(np.finfo(np.float64).tiny))
    error = float(gaps[worst]) / scale
    return Row(name, analytic.shape, len(indices), largest, error, indices[worst], bool(error <= tolerance))
