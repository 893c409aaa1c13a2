"""The loop over time of one layer in one direction: lengths, recurrent dropout, zoneout."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ._types import Array
from .cells import Cell
from .product import ProductSaved, Tally

Mask = Array | float


class Masks(NamedTuple):
    """The random factors of one layer and direction; all of them constant where there is nothing random.

    recurrent : (N, R), factor on the h that enters the recurrent products; None: 1
        Gal & Ghahramani, "A theoretically grounded application of dropout in recurrent neural networks", 2016: one
        mask for the whole sequence.
    zoneout_h, zoneout_c : (T, N, R) and (T, N, H), the share of the old state that is kept; or one number; None: 0
        Krueger et al., "Zoneout: regularizing RNNs by randomly preserving hidden activations", 2017.
    """

    recurrent: Array | None = None
    zoneout_h: Mask | None = None
    zoneout_c: Mask | None = None


class Saved(NamedTuple):
    """What the backward pass of one layer and direction needs."""

    inputs: ProductSaved
    steps: list[Any]
    masks: Masks
    alive: Array | None


def zone_out(new: Array, old: Array, mask: Mask | None, step: int) -> Array:
    """Return ``new + mask (old - new)``: the old state where the mask is 1, their mean where it is a rate."""
    if mask is None:
        return new
    result: Array = new + _at(mask, step) * (old - new)
    return result


def forward(
    cell: Cell, x: Array, h: Array, c: Array | None, alive: Array | None, masks: Masks, *, save: bool
) -> tuple[Array, Array, Array | None, Saved | None]:
    """Run a cell over a sequence.

    Parameters
    ----------
    cell : Cell
    x : ndarray (T, N, I)
        In the order of processing.
    h : ndarray (N, R)
        Initial hidden state.
    c : ndarray (N, H) or None
        Initial cell state, LSTM only.
    alive : ndarray of bool (T, N, 1) or None
        Whether step s is within the row's length; None: always.
    masks : Masks
    save : bool
        Keep what backward() needs.

    Returns
    -------
    y : ndarray (T, N, R)
        Hidden states; 0 beyond a row's length.
    h, c : ndarray (N, R), ndarray (N, H) or None
        Final states, at the row's length.
    saved : Saved or None
    """
    steps, rows, width = x.shape
    a, inputs = cell.inputs(x.reshape(steps * rows, width))
    a = a.reshape(steps, rows, a.shape[-1])
    y = np.empty((steps, *h.shape), h.dtype)
    kept = []
    for s in range(steps):
        h_dropped = h if masks.recurrent is None else h * masks.recurrent
        new = cell.step(a[s], h, h_dropped, c)
        h_next, c_next = zone_out(new.h, h, masks.zoneout_h, s), new.c
        if c is not None and c_next is not None:
            c_next = zone_out(c_next, c, masks.zoneout_c, s)
            c = c_next if alive is None else np.where(alive[s], c_next, c)
        y[s] = h_next if alive is None else np.where(alive[s], h_next, 0)
        h = h_next if alive is None else np.where(alive[s], h_next, h)
        if save:
            kept.append(new.saved)
    return y, h, c, Saved(inputs, kept, masks, alive) if save else None


def backward(
    cell: Cell, saved: Saved, dy: Array | None, dh: Array, dc: Array | None, tally: Tally, *, need_dx: bool
) -> tuple[Array | None, Array, Array | None]:
    """Backpropagate through time.

    Parameters
    ----------
    cell : Cell
    saved : Saved
        From forward().
    dy : ndarray (T, N, R) or None
        Gradient of the hidden states; None: 0.
    dh, dc : ndarray (N, R), ndarray (N, H) or None
        Gradients of the final states.
    tally : Tally
        Collects the gradients of the parameters.
    need_dx : bool

    Returns
    -------
    dx : ndarray (T, N, I), or None if not needed
    dh, dc : ndarray (N, R), ndarray (N, H) or None
        Gradients of the initial states.
    """
    masks, alive = saved.masks, saved.alive
    steps, rows = len(saved.steps), dh.shape[0]
    da = np.empty((steps, rows, cell.all_rows.stop), dh.dtype)
    for s in reversed(range(steps)):
        if dy is not None:
            dh = dh + (dy[s] if alive is None else np.where(alive[s], dy[s], 0))
        dh_step, dh_past = _zone_out_backward(dh, masks.zoneout_h, s, alive)
        dc_step, dc_past = (None, None) if dc is None else _zone_out_backward(dc, masks.zoneout_c, s, alive)
        gradient = cell.backward(dh_step, dc_step, saved.steps[s], tally)
        da[s] = gradient.a
        dh = gradient.h_dropped if masks.recurrent is None else gradient.h_dropped * masks.recurrent
        for direct in (gradient.h, dh_past):
            dh = dh if direct is None else dh + direct
        dc = gradient.c if dc_past is None or gradient.c is None else gradient.c + dc_past
    dx = cell.inputs_backward(da.reshape(steps * rows, da.shape[-1]), saved.inputs, tally, need_dx=need_dx)
    return None if dx is None else dx.reshape(steps, rows, dx.shape[-1]), dh, dc


def _at(mask: Mask, step: int) -> Any:
    return mask[step] if isinstance(mask, np.ndarray) else mask


def _zone_out_backward(d: Array, mask: Mask | None, step: int, alive: Array | None) -> tuple[Array, Array | None]:
    """Split a state's gradient into what goes to the new and to the old state; a row at its end has only an old one."""
    new, old = d, None
    if mask is not None:
        share = _at(mask, step)
        new, old = d * (1 - share), d * share
    if alive is not None:
        new, old = np.where(alive[step], new, 0), np.where(alive[step], 0 if old is None else old, d)
    return new, old
