"""Makes the golden vectors beside it: what PyTorch computes for random weights and biases.

    python tests/golden/generate.py

One file per network: its options (JSON, keyword arguments of Recurrent), the inputs (float32, so that both precisions
read the same numbers), and for float32 and float64 the outputs, final states and all gradients. Written with
PyTorch 2.13. Weights are one vector in the order of ``named_parameters()``.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

ROWS, STEPS, WIDTH, UNITS = 4, 5, 3, 5
LENGTHS = [3, 5, 1, 4]
RELU = ("relu", 0.0, 0.0)

VARIANTS: dict[str, dict[str, Any]] = {
    "plain": {},
    "stateless": {"states": False},
    "no_bias": {"use_bias": False},
    "bidirectional": {"bidirectional": True},
    "two_layers": {"num_layers": 2},
    "packed": {"lengths": LENGTHS},
    "packed_bidirectional_two_layers": {"lengths": LENGTHS, "bidirectional": True, "num_layers": 2},
}
PROJECTION: dict[str, dict[str, Any]] = {
    "projection": {"proj_size": 2},
    "projection_packed_bidirectional_two_layers": {
        "proj_size": 2,
        "lengths": LENGTHS,
        "bidirectional": True,
        "num_layers": 2,
    },
}
NETWORKS: dict[str, dict[str, Any]] = {
    f"{family}-{name}": {**base, **variant}
    for family, base in {
        "lstm": {"cell": "lstm"},
        "gru": {"cell": "gru"},
        "rnn_tanh": {"cell": "rnn"},
        "rnn_relu": {"cell": "rnn", "activation": RELU},
    }.items()
    for name, variant in (VARIANTS | PROJECTION if family == "lstm" else VARIANTS).items()
}
"""Name -> options of Recurrent, and lengths, and whether initial states are given."""


def module(options: dict[str, Any], width: int, units: int, dtype: torch.dtype) -> torch.nn.RNNBase:
    """Return PyTorch's layer for options of Recurrent."""
    arguments: dict[str, Any] = {
        "num_layers": options.get("num_layers", 1),
        "bidirectional": options.get("bidirectional", False),
        "bias": options.get("use_bias", True),
        "batch_first": True,
        "dtype": dtype,
    }
    if options["cell"] == "rnn":
        return torch.nn.RNN(width, units, nonlinearity=options.get("activation", ("tanh",))[0], **arguments)
    if options["cell"] == "gru":
        return torch.nn.GRU(width, units, **arguments)
    return torch.nn.LSTM(width, units, proj_size=options.get("proj_size", 0), **arguments)


def evaluate(options: dict[str, Any], inputs: dict[str, np.ndarray], dtype: torch.dtype) -> dict[str, np.ndarray]:
    """Return outputs, final states and gradients under the names y, hn, cn, dx, dh0, dc0, dweights."""
    given = {
        name: torch.tensor(value).to(dtype).requires_grad_() for name, value in inputs.items() if name != "lengths"
    }
    rnn = module(options, inputs["x"].shape[2], inputs["units"].item(), dtype)
    torch.nn.utils.vector_to_parameters(given["weights"].detach(), rnn.parameters())
    states = tuple(given[name] for name in ("h0", "c0") if name in given)
    x = given["x"]
    if "lengths" in inputs:
        x = pack_padded_sequence(x, torch.tensor(inputs["lengths"]), batch_first=True, enforce_sorted=False)
    y, last = rnn(x, (states if len(states) > 1 else states[0]) if states else None)
    if "lengths" in inputs:
        y, _ = pad_packed_sequence(y, batch_first=True, total_length=inputs["x"].shape[1])
    results = {"y": y} | dict(zip(("hn", "cn"), last if isinstance(last, tuple) else (last,), strict=False))
    sum((value * given[f"d{name}"]).sum() for name, value in results.items()).backward()
    results |= {f"d{name}": given[name].grad for name in ("x", "h0", "c0") if name in given}
    results["dweights"] = torch.cat([parameter.grad.ravel() for parameter in rnn.parameters()])
    return {name: value.detach().numpy() for name, value in results.items()}


def random_inputs(
    options: dict[str, Any], rng: np.random.Generator, sizes: tuple[int, int, int, int], states: bool
) -> dict[str, np.ndarray]:
    """Return weights, input, states and the gradients of the results, all random, for sizes (N, T, I, H)."""
    rows, steps, width, units = sizes
    rnn = module(options, width, units, torch.float32)
    directions = 2 if rnn.bidirectional else 1
    recurrent = rnn.proj_size or units
    shapes = {
        "weights": (sum(parameter.numel() for parameter in rnn.parameters()),),
        "x": (rows, steps, width),
        "h0": (rnn.num_layers * directions, rows, recurrent),
        "c0": (rnn.num_layers * directions, rows, units),
        "dy": (rows, steps, directions * recurrent),
    }
    shapes |= {"dhn": shapes["h0"], "dcn": shapes["c0"]}
    if options["cell"] != "lstm":
        del shapes["c0"], shapes["dcn"]
    if not states:
        shapes = {name: shape for name, shape in shapes.items() if name not in ("h0", "c0")}
    inputs = {name: rng.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}
    inputs["weights"] *= np.float32(0.5 if units < 10 else 1.5 / np.sqrt(units))
    return inputs | {"units": np.array(units, np.int64)}


def make(name: str) -> dict[str, np.ndarray]:
    """Return the contents of one file."""
    options = dict(NETWORKS[name])
    lengths, states = options.pop("lengths", None), options.pop("states", True)
    rng = np.random.default_rng(list(NETWORKS).index(name))
    inputs = random_inputs(options, rng, (ROWS, STEPS, WIDTH, UNITS), states)
    if lengths is not None:
        inputs["lengths"] = np.array(lengths, np.int64)
    contents = {"options": np.array(json.dumps(options))} | inputs
    for dtype in ("float32", "float64"):
        results = evaluate(options, inputs, getattr(torch, dtype))
        contents |= {f"{dtype}/{result}": value for result, value in results.items()}
    return contents


def main() -> None:
    """Write all files."""
    for name in NETWORKS:
        np.savez_compressed(Path(__file__).parent / f"{name}.npz", **make(name))


if __name__ == "__main__":
    main()
