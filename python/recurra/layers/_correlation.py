"""Correlation over time on the engine's product: overlapping rows where the taps are neighbours, one gather elsewhere.

Legend: N samples, P padded steps, C channels, K taps, S stride, D dilation, O outputs per sample, F filters.

With D = 1 the K steps under a filter are K C contiguous numbers, and the next output's begin S C later, so the product
reads the sequence itself as overlapping rows. Rows run through all samples; those that reach from one sample into the
next are computed and dropped, (K - 1) of P.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from recurra import _core

if TYPE_CHECKING:
    from recurra._typing import Array


class Correlation:
    """One correlation of padded sequences, forward and backward.

    Parameters
    ----------
    x : numpy.ndarray, shape (N, P, C)
        Padded inputs, contiguous; with D = 1 P must be a multiple of S.
    kernel : numpy.ndarray, shape (F, C, K)
        The filters, as PyTorch keeps them.
    strides, dilation, outputs : int
        S, D and O, with (O - 1) S + (K - 1) D < P.
    """

    def __init__(self, x: Array, kernel: Array, strides: int, dilation: int, outputs: int) -> None:
        self.shape, self.kernel = x.shape, kernel
        self.strides, self.dilation, self.outputs = strides, dilation, outputs
        batch, steps, channels = x.shape
        taps = kernel.shape[2]
        self.overlapping = dilation == 1 or taps == 1
        if self.overlapping:
            self.rows = _windows(x.reshape(-1), taps * channels, strides * channels)
            self.pitch = steps // strides  # rows from one sample to the next
        else:
            places = _places(outputs, taps, strides, dilation)
            self.rows = x[:, places].reshape(batch * outputs, taps * channels)
            self.pitch = outputs

    def forward(self, bias: Array | None, product: _core.Linear | None = None) -> Array:
        """Return the outputs (N, O, F), contiguous; ``product``: that of filters and bias, if nothing goes back."""
        batch, filters = self.shape[0], len(self.kernel)
        if product is None:
            self.weight = _filter_rows(self.kernel)
            y = _core.linear(self.weight, bias, self.rows)
        else:
            y = product(self.rows)
        if self.pitch == self.outputs:
            return y.reshape(batch, self.outputs, filters)
        whole = np.empty((batch, self.outputs, filters), y.dtype)
        for n, part in enumerate(whole):
            part[...] = y[n * self.pitch : n * self.pitch + self.outputs]
        return whole

    def backward(self, dy: Array, dkernel: Array, dbias: Array | None, need_dx: bool) -> Array | None:
        """Add into the gradients of kernel and bias and return that of ``x``; dy (N, O, F) is contiguous."""
        batch, _, channels = self.shape
        filters, _, taps = self.kernel.shape
        last = len(self.rows)
        spaced = np.zeros((batch * self.pitch, filters), dy.dtype)  # rows that were dropped get no gradient
        spaced.reshape(batch, self.pitch, filters)[:, : self.outputs] = dy
        gathered = need_dx and not (self.overlapping and self.strides == 1)
        dweight = np.zeros_like(self.weight)
        dcolumns = _core.linear_backward(self.weight, self.rows, spaced[:last], dweight, dbias, gathered)
        dkernel += dweight.reshape(filters, taps, channels).transpose(0, 2, 1)
        if not need_dx:
            return None
        return self._correlated(spaced) if dcolumns is None else self._scattered(dcolumns)

    def _correlated(self, dy: Array) -> Array:
        """Return the gradient of ``x`` as another correlation: of the outputs' gradients with the taps reversed."""
        batch, steps, channels = self.shape
        filters, _, taps = self.kernel.shape
        reversed_taps = np.ascontiguousarray(self.kernel[:, :, ::-1].transpose(1, 2, 0)).reshape(channels, -1)
        padded = np.zeros((taps - 1 + len(dy), filters), dy.dtype)
        padded[taps - 1 :] = dy
        rows = _windows(padded.reshape(-1), taps * filters, filters)
        return _core.linear(reversed_taps, None, rows).reshape(batch, steps, channels)

    def _scattered(self, dcolumns: Array) -> Array:
        """Return the gradient of ``x`` from that of the rows, by adding each tap where it was read."""
        batch, _, channels = self.shape
        taps = self.kernel.shape[2]
        dx = np.zeros(self.shape, dcolumns.dtype)
        columns = np.zeros((batch * self.pitch, taps, channels), dcolumns.dtype)
        columns[: len(dcolumns)] = dcolumns.reshape(-1, taps, channels)
        columns = columns.reshape(batch, self.pitch, taps, channels)
        reach = (self.outputs - 1) * self.strides + 1
        for tap in range(taps):
            start = tap * self.dilation
            dx[:, start : start + reach : self.strides] += columns[:, : self.outputs, tap]
        return dx


def packed(weights: dict[str, Array], groups: int) -> list[_core.Linear]:
    """Return the product of each group's filters, (filters, taps * features) taps outside."""
    weight, bias = weights["weight"], weights.get("bias")
    biases = [None] * groups if bias is None else bias.reshape(groups, -1)
    kernels = weight.reshape(groups, -1, *weight.shape[1:])
    return [_core.Linear(_filter_rows(kernel), b) for kernel, b in zip(kernels, biases, strict=True)]


def _filter_rows(kernel: Array) -> Array:
    """Return filters (F, C, K) as contiguous rows (F, K C)."""
    return np.ascontiguousarray(kernel.transpose(0, 2, 1)).reshape(len(kernel), -1)


def _windows(flat: Array, width: int, pitch: int) -> Array:
    """Return the stretches of a vector that begin every ``pitch`` elements, as rows of a read-only view."""
    if flat.size < width:
        return np.empty((0, width), flat.dtype)  # a batch of no samples
    return sliding_window_view(flat, width)[::pitch]


def _places(outputs: int, taps: int, strides: int, dilation: int) -> Array:
    """Return the steps (outputs, taps) that each output reads."""
    places: Array = np.arange(outputs)[:, None] * strides + np.arange(taps) * dilation
    return places
