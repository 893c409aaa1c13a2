"""The cells with all their variants, sample problems for them, and the comparison of two implementations.

Every test of the recurrent engine enumerates these lists: a variant that is added here is tested everywhere.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from recurra import _core, reference

ACTIVATIONS: dict[str, tuple[str, float, float]] = {
    "tanh": ("tanh", 0.0, 0.0),
    "sigmoid": ("sigmoid", 0.0, 0.0),
    "relu": ("relu", 0.0, 0.0),
    "hard_sigmoid": ("hard_sigmoid", 1 / 6, 0.5),
    "hard_sigmoid_keras2": ("hard_sigmoid", 0.2, 0.5),
    "softsign": ("softsign", 0.0, 0.0),
    "softplus": ("softplus", 0.0, 0.0),
    "elu": ("elu", 1.0, 0.0),
    "elu_0.7": ("elu", 0.7, 0.0),
    "leaky_relu": ("leaky_relu", 0.01, 0.0),
    "leaky_relu_0.3": ("leaky_relu", 0.3, 0.0),
    "thresholded_relu": ("thresholded_relu", 1.0, 0.0),
    "thresholded_relu_0.1": ("thresholded_relu", 0.1, 0.0),
    "scaled_tanh": ("scaled_tanh", 1.0, 1.0),
    "scaled_tanh_lecun": ("scaled_tanh", 1.7159, 2 / 3),
    "affine": ("affine", 1.0, 0.0),
    "affine_0.5_0.2": ("affine", 0.5, 0.2),
    "identity": ("identity", 0.0, 0.0),
}
"""Name -> (name, alpha, beta), the defaults and others."""

_BASES: dict[str, dict[str, Any]] = {
    "rnn": {"cell": "rnn"},
    "lstm": {"cell": "lstm"},
    "gru": {"cell": "gru"},
    "gru_before": {"cell": "gru", "reset_after": False},
}

_COMMON: dict[str, dict[str, Any]] = {
    "plain": {},
    "no_bias": {"use_bias": False},
    "two_layers": {"num_layers": 2},
    "three_layers": {"num_layers": 3},
    "bidirectional": {"bidirectional": True},
    "bidirectional_sum": {"bidirectional": True, "merge_mode": "sum"},
    "bidirectional_mul": {"bidirectional": True, "merge_mode": "mul"},
    "bidirectional_ave": {"bidirectional": True, "merge_mode": "ave"},
    "bidirectional_two_layers": {"bidirectional": True, "num_layers": 2},
    "bidirectional_mul_two_layers": {"bidirectional": True, "num_layers": 2, "merge_mode": "mul"},
    "go_backwards": {"go_backwards": True},
    "go_backwards_two_layers": {"go_backwards": True, "num_layers": 2},
    "clip": {"clip": 0.3},
    "clip_no_bias_bidirectional": {"clip": 0.3, "use_bias": False, "bidirectional": True},
    "layer_norm": {"layer_norm": True},
    "layer_norm_no_bias": {"layer_norm": True, "use_bias": False},
    "layer_norm_clip_bidirectional": {"layer_norm": True, "clip": 0.4, "bidirectional": True},
    "dropout": {"dropout": 0.4},
    "dropout_bidirectional_two_layers": {"dropout": 0.4, "bidirectional": True, "num_layers": 2},
    "interlayer_dropout": {"interlayer_dropout": 0.4, "num_layers": 2},
    "both_dropouts_go_backwards": {
        "dropout": 0.2,
        "interlayer_dropout": 0.3,
        "num_layers": 2,
        "go_backwards": True,
    },
    "recurrent_dropout": {"recurrent_dropout": 0.4},
    "recurrent_dropout_bidirectional": {"recurrent_dropout": 0.4, "bidirectional": True},
    "zoneout": {"zoneout": (0.3, 0.0)},
    "layer_norm_zoneout": {"layer_norm": True, "zoneout": (0.3, 0.0)},
    "everything_random": {
        "dropout": 0.2,
        "interlayer_dropout": 0.3,
        "recurrent_dropout": 0.25,
        "zoneout": (0.15, 0.0),
        "bidirectional": True,
        "num_layers": 2,
    },
}

_LSTM: dict[str, dict[str, Any]] = {
    "projection": {"proj_size": 2},
    "projection_bidirectional_two_layers": {"proj_size": 2, "bidirectional": True, "num_layers": 2},
    "projection_layer_norm_zoneout": {"proj_size": 2, "layer_norm": True, "zoneout": (0.2, 0.3)},
    "peepholes": {"use_peepholes": True},
    "peepholes_no_bias": {"use_peepholes": True, "use_bias": False},
    "coupled": {"input_forget": True},
    "coupled_layer_norm": {"input_forget": True, "layer_norm": True},
    "coupled_two_layers_bidirectional": {"input_forget": True, "num_layers": 2, "bidirectional": True},
    "peepholes_coupled": {"use_peepholes": True, "input_forget": True},
    "peepholes_coupled_clip": {"use_peepholes": True, "input_forget": True, "clip": 0.3},
    "peepholes_clip_bidirectional": {"use_peepholes": True, "clip": 0.3, "bidirectional": True},
    "cell_clip": {"cell_clip": 0.2},
    "cell_clip_projection": {"cell_clip": 0.2, "proj_size": 2},
    "cell_clip_peepholes_zoneout": {"cell_clip": 0.2, "use_peepholes": True, "zoneout": (0.2, 0.3)},
    "zoneout_c": {"zoneout": (0.0, 0.3)},
    "zoneout_both": {"zoneout": (0.2, 0.3)},
    "zoneout_both_two_layers_bidirectional": {"zoneout": (0.2, 0.3), "num_layers": 2, "bidirectional": True},
    "layer_norm_zoneout_both": {"layer_norm": True, "zoneout": (0.2, 0.3)},
    "layer_norm_sigmoid": {"layer_norm": True, "activation": ("sigmoid", 0.0, 0.0)},  # which is not 0 at 0
    "layer_norm_peepholes_projection": {"layer_norm": True, "use_peepholes": True, "proj_size": 2},
    "recurrent_dropout_projection": {"recurrent_dropout": 0.4, "proj_size": 2},
    "recurrent_dropout_peepholes_coupled": {
        "recurrent_dropout": 0.4,
        "use_peepholes": True,
        "input_forget": True,
    },
    "everything": {
        "num_layers": 2,
        "bidirectional": True,
        "merge_mode": "sum",
        "proj_size": 2,
        "use_peepholes": True,
        "input_forget": True,
        "layer_norm": True,
        "clip": 0.8,
        "cell_clip": 0.9,
        "dropout": 0.2,
        "interlayer_dropout": 0.2,
        "recurrent_dropout": 0.2,
        "zoneout": (0.1, 0.2),
        "recurrent_activation": ACTIVATIONS["hard_sigmoid"],
        "activation": ACTIVATIONS["softsign"],
        "output_activation": ACTIVATIONS["scaled_tanh_lecun"],
    },
}

_GRU: dict[str, dict[str, Any]] = {
    "layer_norm_recurrent_dropout": {"layer_norm": True, "recurrent_dropout": 0.4},
    "zoneout_recurrent_dropout_clip": {"zoneout": (0.3, 0.0), "recurrent_dropout": 0.4, "clip": 0.4},
    "everything": {
        "num_layers": 2,
        "bidirectional": True,
        "merge_mode": "ave",
        "layer_norm": True,
        "clip": 0.8,
        "dropout": 0.2,
        "interlayer_dropout": 0.2,
        "recurrent_dropout": 0.2,
        "zoneout": (0.1, 0.0),
        "recurrent_activation": ACTIVATIONS["hard_sigmoid_keras2"],
        "activation": ACTIVATIONS["softsign"],
    },
}


def _structures() -> dict[str, dict[str, Any]]:
    own = {"rnn": {}, "lstm": _LSTM, "gru": _GRU, "gru_before": _GRU}
    return {
        f"{base}-{name}": _BASES[base] | variant for base in _BASES for name, variant in (_COMMON | own[base]).items()
    }


def _activated() -> dict[str, dict[str, Any]]:
    cases = {}
    for base, options in _BASES.items():
        for name, triple in ACTIVATIONS.items():
            cases[f"{base}-activation-{name}"] = options | {"activation": triple}
            if base != "rnn":
                cases[f"{base}-recurrent_activation-{name}"] = options | {"recurrent_activation": triple}
            if base == "lstm":
                cases[f"{base}-output_activation-{name}"] = options | {"output_activation": triple}
    return cases


STRUCTURES = _structures()
"""Every variant but the activations: name -> keyword arguments of Recurrent, without sizes and dtype."""

ACTIVATED = _activated()
"""Every activation in every place."""

CASES = STRUCTURES | ACTIVATED

CALLS: dict[str, dict[str, bool]] = {
    "bare": {"states": False, "lengths": False, "sequences": True},
    "states": {"states": True, "lengths": False, "sequences": True},
    "lengths": {"states": False, "lengths": True, "sequences": True},
    "lengths_states": {"states": True, "lengths": True, "sequences": True},
    "last": {"states": True, "lengths": False, "sequences": False},
    "last_lengths": {"states": True, "lengths": True, "sequences": False},
}
"""The ways of calling a layer: keyword arguments of problem()."""

SIZES = [(1, 1, 1, 1), (1, 3, 2, 3), (3, 1, 5, 7), (2, 4, 3, 8), (5, 6, 4, 9), (4, 3, 17, 16), (7, 5, 9, 33)]
"""(N, T, I, H), few of them multiples of a vector's length."""


@dataclass
class Problem:
    """All arguments of one forward and backward call."""

    options: dict[str, Any]
    weights: np.ndarray
    x: np.ndarray
    h0: np.ndarray | None
    c0: np.ndarray | None
    lengths: np.ndarray | None
    dy: np.ndarray
    dhn: np.ndarray
    dcn: np.ndarray | None
    call: dict[str, Any] = field(default_factory=dict)  # sequences, training, seed


def problem(
    case: dict[str, Any],
    sizes: tuple[int, int, int, int] = (3, 5, 4, 6),
    *,
    dtype: str = "float64",
    states: bool = True,
    lengths: bool = False,
    sequences: bool = True,
    training: bool = True,
    seed: int = 0,
) -> Problem:
    """Return a random problem: non-zero random weights AND biases, gains around one, lengths with a zero and T."""
    rows, steps, width, units = sizes
    rng = np.random.default_rng(seed)
    options = {**case, "input_size": width, "hidden_size": units}
    plan = reference.Recurrent(**options)
    layers = plan.options.num_layers * plan.options.directions

    def normal(*shape: int) -> np.ndarray:
        return rng.standard_normal(shape).astype(dtype)

    weights = (0.6 * rng.standard_normal(plan.size)).astype(dtype)
    for name, shape, offset in plan.layout:
        part = weights[offset : offset + int(np.prod(shape))]
        if len(shape) == 2:  # keeps the gates' pre-activations near one at any size
            part *= min(1.0, 1.5 / np.sqrt(shape[1]))
        if name.startswith("weight_ln"):
            part += 1
    lstm = plan.options.cell == "lstm"
    long = None
    if lengths:
        long = rng.permutation(np.concatenate(([steps, 0], rng.integers(0, steps + 1, rows)))[:rows]).astype(np.int64)
    return Problem(
        options=options,
        weights=weights,
        x=normal(rows, steps, width),
        h0=normal(layers, rows, plan.state_size) if states else None,
        c0=normal(layers, rows, units) if states and lstm else None,
        lengths=long,
        dy=normal(rows, steps, plan.output_size) if sequences else normal(rows, plan.output_size),
        dhn=normal(layers, rows, plan.state_size),
        dcn=normal(layers, rows, units) if lstm else None,
        call={"sequences": sequences, "training": training, "seed": seed + 12345},
    )


def run(make: Callable[..., Any], given: Problem, *, dtype: str | None = None) -> dict[str, np.ndarray]:
    """Run forward() and vjp() of an implementation; return all results and the gradients, by name.

    ``make`` is ``reference.Recurrent`` or ``_core.Recurrent``; dtype None is that of the problem's arrays.
    """
    kind = np.dtype(dtype or given.weights.dtype)
    plan = make(**given.options, dtype=kind.name)

    def cast(array: np.ndarray | None) -> np.ndarray | None:
        return None if array is None else array.astype(kind)

    arguments = (cast(given.weights), cast(given.x), cast(given.h0), cast(given.c0), given.lengths)
    y, hn, cn = plan.forward(*arguments, **given.call)
    y_again, hn_again, cn_again, tape = plan.vjp(*arguments, **given.call)
    gradients = np.zeros(plan.size, kind)
    dx, dh0, dc0 = tape.backward(cast(given.dy), cast(given.dhn), cast(given.dcn), gradients)
    results = {"y": y, "hn": hn, "cn": cn, "vjp y": y_again, "vjp hn": hn_again, "vjp cn": cn_again}
    results |= {"dx": dx, "dh0": dh0, "dc0": dc0}
    for name, shape, offset in plan.layout:
        results[f"d{name}"] = gradients[offset : offset + int(np.prod(shape))].reshape(shape)
    return {name: value for name, value in results.items() if value is not None}


def run_on(given: Problem, threads: int) -> dict[str, np.ndarray]:
    """Run the engine on so many threads, which stay set (fixture "threads")."""
    _core.set_num_threads(threads)
    assert _core.get_num_threads() == threads or _core.config()["threading"] == "serial"
    return run(_core.Recurrent, given)


def assert_same(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> None:
    """Fail unless all results have the same bits."""
    assert one.keys() == other.keys()
    for name, value in one.items():
        np.testing.assert_array_equal(value, other[name], err_msg=name)


def is_gradient(name: str) -> bool:
    """Tell the gradients among the results of run()."""
    return name.startswith("d")


def error(actual: np.ndarray, expected: np.ndarray) -> float:
    """Return the largest difference relative to the largest element (absolute if all are 0); NaN never agrees."""
    assert actual.shape == expected.shape, f"shape {actual.shape} is not {expected.shape}"
    if expected.size == 0:
        return 0.0
    scale = float(np.abs(expected).max())
    difference = float(np.abs(actual.astype(np.float64) - expected).max()) / (scale if scale > 0 else 1.0)
    return difference if np.isfinite(difference) else float("inf")


def errors(actual: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> dict[str, float]:
    """Return error() of each array."""
    assert actual.keys() == expected.keys(), f"{sorted(actual)} are not {sorted(expected)}"
    return {name: error(actual[name], expected[name]) for name in expected}


def assert_agree(
    actual: dict[str, np.ndarray], expected: dict[str, np.ndarray], *, forward: float, backward: float
) -> None:
    """Fail unless every array is within its tolerance, relative to the expected array's largest element."""
    wrong = {
        name: value
        for name, value in errors(actual, expected).items()
        if not value <= (backward if is_gradient(name) else forward)
    }
    assert not wrong, "relative errors: " + ", ".join(f"{name} {value:.2g}" for name, value in wrong.items())
