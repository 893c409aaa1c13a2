"""Layers on layers: directions, their merging, the order of time, dropout on inputs."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from . import layer as one_layer
from . import random
from ._types import Array, Parameters
from .cells import make_cell
from .options import Options
from .product import Tally


class Draw(NamedTuple):
    """Whether the call trains (and so drops), and with which seed."""

    training: bool
    seed: int


class Saved(NamedTuple):
    """What the backward pass of a stack needs."""

    parameters: list[Parameters]  # by l * D + d
    directions: list[one_layer.Saved]  # by l * D + d
    outputs: list[Array]  # by l * D + d, (T, N, R), in the order of the merged output
    final: list[Array]  # by direction, top layer, (N, R)
    input_masks: list[Array | None]  # by layer
    order: Array | None


def merge(parts: list[Array], mode: str) -> Array:
    """Merge what the directions put out, each (..., R): ``concat``, ``sum``, ``mul`` or ``ave``."""
    if len(parts) == 1:
        return parts[0]
    if mode == "concat":
        return np.concatenate(parts, axis=-1)
    if mode == "mul":
        return parts[0] * parts[1]
    return (parts[0] + parts[1]) * (0.5 if mode == "ave" else 1.0)


def merge_backward(dy: Array, parts: list[Array], mode: str) -> list[Array]:
    """Return the gradient of each part of merge(parts, mode)."""
    if len(parts) == 1:
        return [dy]
    if mode == "concat":
        return list(np.split(dy, 2, axis=-1))
    if mode == "mul":
        return [dy * parts[1], dy * parts[0]]
    return [dy * (0.5 if mode == "ave" else 1.0)] * 2


def reversed_order(steps: int, lengths: Array) -> Array:
    """Return the time (T, N) that each row reads at step s when it starts at its own end; its own inverse."""
    s = np.arange(steps)[:, np.newaxis]
    return np.where(s < lengths, lengths - 1 - s, s)


def reverse(x: Array, order: Array | None) -> Array:
    """Reverse x (T, N, F) in time, each row within its length; order None: all of it."""
    return x[::-1] if order is None else x[order, np.arange(x.shape[1])]


def forward(
    options: Options,
    parameters: list[Parameters],
    x: Array,
    h0: Array,
    c0: Array | None,
    lengths: Array | None,
    draw: Draw,
    *,
    save: bool,
) -> tuple[Array, list[Array], list[Array], list[Array], Saved]:
    """Run all layers.

    Parameters
    ----------
    options : Options
    parameters : list of dict
        By l * D + d.
    x : ndarray (T, N, I)
    h0 : ndarray (L*D, N, R)
    c0 : ndarray (L*D, N, H) or None
    lengths : ndarray of int (N,) or None
    draw : Draw
    save : bool
        Keep what backward() needs.

    Returns
    -------
    y : ndarray (T, N, O)
    hn, cn : list of ndarray (N, R), (N, H), by l * D + d
    top : list of ndarray (N, R)
        Final hidden states of the last layer's directions.
    saved : Saved
    """
    steps, count = x.shape[0], options.directions
    alive = None if lengths is None else (np.arange(steps)[:, np.newaxis] < lengths)[..., np.newaxis]
    order = None if lengths is None else reversed_order(steps, lengths)
    saved = Saved(parameters, [], [], [], [], order)
    hn: list[Array] = []
    cn: list[Array] = []
    if alive is not None:
        x = np.where(alive, x, 0)  # padding may hold anything, even NaN
    if options.go_backwards:
        x = reverse(x, order)
    for layer in range(options.num_layers):
        saved.input_masks.append(input_mask(options, layer, x, draw))
        x = _masked(x, saved.input_masks[-1])
        outputs = []
        for direction in range(count):
            index = layer * count + direction
            y, h, c, kept = one_layer.forward(
                make_cell(options, parameters[index]),
                reverse(x, order) if direction else x,
                h0[index],
                None if c0 is None else c0[index],
                alive,
                masks(options, layer, direction, x, draw),
                save=save,
            )
            outputs.append(reverse(y, order) if direction else y)
            hn.append(h)
            cn += [] if c is None else [c]
            saved.directions.extend([] if kept is None else [kept])
        saved.outputs.extend(outputs if save else [])
        x = merge(outputs, options.merge_mode)
    saved.final.extend(hn[-count:])
    return x, hn, cn, hn[-count:], saved


def backward(
    options: Options,
    saved: Saved,
    dy: Array | None,
    dhn: list[Array],
    dcn: list[Array] | None,
    gradients: list[Parameters],
    *,
    need_dx: bool,
) -> tuple[Array | None, list[Array], list[Array]]:
    """Backpropagate through all layers.

    Parameters
    ----------
    options : Options
    saved : Saved
    dy : ndarray (T, N, O) or None
    dhn, dcn : list of ndarray (N, R), (N, H), by l * D + d
    gradients : list of dict, by l * D + d
        Added into.
    need_dx : bool

    Returns
    -------
    dx : ndarray (T, N, I), or None if not needed
    dh0, dc0 : list of ndarray (N, R), (N, H), by l * D + d
    """
    count, order = options.directions, saved.order
    dh0, dc0 = list(dhn), list(dcn or [])
    dx = dy
    for layer in reversed(range(options.num_layers)):
        first = layer * count
        parts = None if dx is None else merge_backward(dx, saved.outputs[first : first + count], options.merge_mode)
        dinputs = []
        for direction in range(count):
            index = first + direction
            part = None if parts is None else parts[direction]
            tally = Tally(gradients[index])
            dinput, dh0[index], dc = one_layer.backward(
                make_cell(options, saved.parameters[index]),
                saved.directions[index],
                reverse(part, order) if direction and part is not None else part,
                dhn[index],
                None if dcn is None else dcn[index],
                tally,
                need_dx=need_dx or layer > 0,
            )
            tally.finish()
            if dc is not None:
                dc0[index] = dc
            if dinput is not None:
                dinputs.append(reverse(dinput, order) if direction else dinput)
        dx = _masked(sum(dinputs[1:], dinputs[0]), saved.input_masks[layer]) if dinputs else None
    if options.go_backwards and dx is not None:
        dx = reverse(dx, order)
    return dx, dh0, dc0


def input_mask(options: Options, layer: int, x: Array, draw: Draw) -> Array | None:
    """Return the factors of dropout on a layer's input x (T, N, F), or None.

    ``dropout`` (Gal & Ghahramani 2016; Keras): one mask per row and feature, the same at all times, on every layer.
    ``interlayer_dropout`` (PyTorch's ``dropout``): a fresh mask at each time, on every layer but the first.
    """
    steps, rows, width = x.shape
    mask: Array | None = None
    if draw.training and options.dropout > 0:
        words = random.random_words(draw.seed, random.DROPOUT, layer, 0, 0, np.arange(rows), width)
        mask = random.dropout_mask(options.dropout, words, x.dtype)
    if draw.training and options.interlayer_dropout > 0 and layer > 0:
        times = np.arange(steps)[:, np.newaxis]
        words = random.random_words(draw.seed, random.INTERLAYER_DROPOUT, layer, 0, times, np.arange(rows), width)
        fresh = random.dropout_mask(options.interlayer_dropout, words, x.dtype)
        mask = fresh if mask is None else mask * fresh
    return mask


def masks(options: Options, layer: int, direction: int, x: Array, draw: Draw) -> one_layer.Masks:
    """Return the factors inside the time loop: random in training; else zoneout's expectation, and no dropout."""
    steps, rows = x.shape[:2]
    recurrent: Array | None = None
    if draw.training and options.recurrent_dropout > 0:
        words = random.random_words(
            draw.seed, random.RECURRENT_DROPOUT, layer, direction, 0, np.arange(rows), options.state_size
        )
        recurrent = random.dropout_mask(options.recurrent_dropout, words, x.dtype)

    def zoneout(rate: float, purpose: int, width: int) -> one_layer.Mask | None:
        if rate == 0:
            return None
        if not draw.training:
            return rate
        times = np.arange(steps)[:, np.newaxis]
        words = random.random_words(draw.seed, purpose, layer, direction, times, np.arange(rows), width)
        return random.zoneout_mask(rate, words, x.dtype)

    zoneout_h = zoneout(options.zoneout[0], random.ZONEOUT_H, options.state_size)
    zoneout_c = zoneout(options.zoneout[1], random.ZONEOUT_C, options.hidden_size)
    return one_layer.Masks(recurrent, zoneout_h, zoneout_c)


def _masked(x: Any, mask: Array | None) -> Array:
    result: Array = x if mask is None else x * mask
    return result
