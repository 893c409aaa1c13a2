"""The product of a row with a weight matrix, its bias and its layer normalisation; forward and backward."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ._types import Array, Parameters
from .options import EPSILON


class Normalized(NamedTuple):
    """What the backward pass of a normalisation needs."""

    value: Array  # (..., n), mean 0 and variance 1 over each group
    inverse_deviation: Array  # (..., groups)


def normalize(z: Array, groups: list[slice]) -> Normalized:
    """Shift and scale every group of the last axis to mean 0 and variance 1.

    ``norm(z) = (z - mean) / sqrt(variance + 1e-5)`` with the biased variance (Ba, Kiros & Hinton, "Layer
    normalization", 2016, eq. 4; the gain and the bias are applied by the caller).
    """
    value = np.empty_like(z)
    inverse_deviation = np.empty((*z.shape[:-1], len(groups)), z.dtype)
    for number, group in enumerate(groups):
        centred = z[..., group] - z[..., group].mean(axis=-1, keepdims=True)
        variance = (centred * centred).mean(axis=-1, keepdims=True)
        inverse = 1.0 / np.sqrt(variance + EPSILON)
        value[..., group] = centred * inverse
        inverse_deviation[..., number] = inverse[..., 0]
    return Normalized(value, inverse_deviation)


def normalize_backward(dvalue: Array, normalized: Normalized, groups: list[slice]) -> Array:
    """Return the gradient of z from that of ``normalize(z).value``.

    ``dz = (dv - mean(dv) - v mean(dv v)) / sqrt(variance + 1e-5)`` over each group.
    """
    dz = np.empty_like(dvalue)
    for number, group in enumerate(groups):
        dv, v = dvalue[..., group], normalized.value[..., group]
        mean, correlation = dv.mean(axis=-1, keepdims=True), (dv * v).mean(axis=-1, keepdims=True)
        dz[..., group] = (dv - mean - v * correlation) * normalized.inverse_deviation[..., number : number + 1]
    return dz


class Tally:
    """Collects what every step contributes to the parameter gradients of one direction.

    The matrices are multiplied once for all steps, in :meth:`finish`: one large product in place of T small ones.
    """

    def __init__(self, gradients: Parameters) -> None:
        self._gradients = gradients
        self._products: dict[tuple[str, int, int], list[tuple[Array, Array]]] = {}
        self._sums: dict[tuple[str, int, int], list[Array]] = {}

    def product(self, name: str, rows: slice, dz: Array, x: Array) -> None:
        """Note dz (N, rows) and x (N, I): the gradient of ``rows`` of matrix ``name`` gains ``dz^T x``."""
        self._products.setdefault((name, rows.start, rows.stop), []).append((dz, x))

    def sum(self, name: str, rows: slice, d: Array) -> None:
        """Note d (N, rows): the gradient of ``rows`` of vector ``name`` gains d's sum over the rows of the batch."""
        self._sums.setdefault((name, rows.start, rows.stop), []).append(d)

    def finish(self) -> None:
        """Add everything noted into the gradients."""
        for (name, start, stop), pairs in self._products.items():
            dz, x = (np.concatenate(parts) for parts in zip(*pairs, strict=True))
            self._gradients[name][start:stop] += dz.T @ x
        for (name, start, stop), parts in self._sums.items():
            self._gradients[name][start:stop] += np.concatenate(parts).sum(axis=0)


class ProductSaved(NamedTuple):
    """What the backward pass of a product needs."""

    x: Array  # (N, I)
    normalized: Normalized | None


class Product:
    """Rows ``rows`` of ``W x + b``, or with layer normalisation of ``g * norm(W x) + b``.

    Parameters
    ----------
    parameters : dict
        Holds ``weight_<side>`` and perhaps ``bias_<side>`` and ``weight_ln_<side>`` (the gain g).
    side : {"ih", "hh"}
        Input to hidden or hidden to hidden.
    rows : slice
        The gates to compute, as rows of the matrix.
    groups : list of slices
        The gates that are normalised together, counted from the first of ``rows``.
    """

    def __init__(self, parameters: Parameters, side: str, rows: slice, groups: list[slice]) -> None:
        self._side, self._rows, self._groups = side, rows, groups
        self._weight = parameters[f"weight_{side}"][rows]  # (rows, I)
        self._bias = parameters[f"bias_{side}"][rows] if f"bias_{side}" in parameters else None
        self._gain = parameters[f"weight_ln_{side}"][rows] if f"weight_ln_{side}" in parameters else None

    def forward(self, x: Array) -> tuple[Array, ProductSaved]:
        """Map x (N, I) to (N, rows)."""
        y = x @ self._weight.T
        normalized = None
        if self._gain is not None:
            normalized = normalize(y, self._groups)
            y = self._gain * normalized.value
        if self._bias is not None:
            y += self._bias
        return y, ProductSaved(x, normalized)

    def backward(self, dy: Array, saved: ProductSaved, tally: Tally) -> Array:
        """Return the gradient of x (N, I); note the parameters' share in the tally."""
        dx: Array = self.note(dy, saved, tally) @ self._weight
        return dx

    def note(self, dy: Array, saved: ProductSaved, tally: Tally) -> Array:
        """Note the parameters' share in the tally; return the gradient of ``W x`` (N, rows)."""
        dz = dy
        if self._bias is not None:
            tally.sum(f"bias_{self._side}", self._rows, dy)
        if self._gain is not None and saved.normalized is not None:
            tally.sum(f"weight_ln_{self._side}", self._rows, dy * saved.normalized.value)
            dz = normalize_backward(dy * self._gain, saved.normalized, self._groups)
        tally.product(f"weight_{self._side}", self._rows, dz, saved.x)
        return dz
