"""What one training step of a small model costs, and where.

    python benchmarks/step.py
    python benchmarks/step.py --torch --keras

The model has 10 inputs, 20 hidden units and 5 outputs, the batch 32 sequences of 30 steps; Adam, squared error. The
time inside each call of the compiled core is taken while ``fit`` runs; what is left of a step of another ``fit``, which
nobody watches, is Python's share: gathering batches, checks, bookkeeping. With --torch and --keras the same training in
these, each in a process of its own.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np

import recurra
from recurra import _core

SAMPLES, BATCH, STEPS, INPUTS, UNITS, OUTPUTS = 1024, 32, 30, 10, 20, 5
RNG = np.random.default_rng(0)
X = RNG.normal(size=(SAMPLES, STEPS, INPUTS)).astype(np.float32)
Y = RNG.normal(size=(SAMPLES, OUTPUTS)).astype(np.float32)
CALLS = {
    "linear": "dense forward",
    "mse": "loss",
    "linear_backward": "dense backward",
    "update": "optimizer",
}
EPOCHS = 10  # of one call of fit
MOST = 0.25  # Python's share of a step, at the most


def model_of(cell: str) -> recurra.Sequential:
    """Return the compiled model."""
    layer = {"lstm": recurra.LSTM, "rnn": recurra.SimpleRNN}[cell]
    model = recurra.Sequential([layer(UNITS, seed=0), recurra.Dense(OUTPUTS, seed=1)])
    model.compile(optimizer="adam", loss="mse")
    model.build((None, STEPS, INPUTS))
    return model


class Parts:
    """Time spent inside the compiled core, by what it was for."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def timed(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        """Return the call with its time added up."""
        self.seconds[name] = 0.0

        def run(*arguments: Any, **options: Any) -> Any:
            start = time.perf_counter()
            result = call(*arguments, **options)
            self.seconds[name] += time.perf_counter() - start
            return result

        return run

    def watch(self, layer: Any, first: bool) -> None:
        """Time, from 0 on, the calls of a recurrent layer's engine and of the functions that a step uses."""
        self.seconds["recurrent forward"] = self.seconds["recurrent backward"] = 0.0
        if first:
            engine = layer._engine
            forward = self.timed("recurrent forward", engine.vjp)

            def vjp(*arguments: Any, **options: Any) -> Any:
                *made, tape = forward(*arguments, **options)
                return *made, SimpleNamespace(backward=self.timed_backward(tape))

            layer._engine = SimpleNamespace(vjp=vjp, forward=engine.forward)
        for function, name in CALLS.items():
            setattr(_core, function, self.timed(name, getattr(_core, function)))

    def timed_backward(self, tape: Any) -> Callable[..., Any]:
        """Return a tape's backward pass with its time added up."""

        def run(*arguments: Any, **options: Any) -> Any:
            start = time.perf_counter()
            result = tape.backward(*arguments, **options)
            self.seconds["recurrent backward"] += time.perf_counter() - start
            return result

        return run


def profile(cell: str) -> tuple[float, dict[str, float]]:
    """Return the time of a step, and its parts in the core, in microseconds; those of the fastest of many trainings."""
    plain, watched = model_of(cell), model_of(cell)
    parts, functions = Parts(), {function: getattr(_core, function) for function in CALLS}
    best, fastest, found = float("inf"), float("inf"), {}
    for turn in range(20):
        best = min(best, seconds_of(plain))
        try:
            parts.watch(watched.layers[0], first=not turn)
            taken = seconds_of(watched)
        finally:
            for function, call in functions.items():
                setattr(_core, function, call)
        if taken < fastest:
            fastest, found = taken, dict(parts.seconds)
    each = 1e6 / (EPOCHS * SAMPLES // BATCH)
    return best * each, {name: seconds * each for name, seconds in found.items()}


def seconds_of(model: recurra.Sequential) -> float:
    """Return how long some epochs of training take."""
    start = time.perf_counter()
    model.fit(X, Y, batch_size=BATCH, epochs=EPOCHS, verbose=0)
    return time.perf_counter() - start


def rival(kind: str, cell: str) -> float:
    """Return the seconds of 3,200 steps in another framework, from a process of its own."""
    done = subprocess.run([sys.executable, __file__, "--side", kind, cell], capture_output=True, text=True, check=True)
    return float(done.stdout.splitlines()[-1])


def side(kind: str, cell: str) -> float:
    """Train for 100 epochs and return the seconds."""
    if kind == "recurra":
        model = model_of(cell)
        model.fit(X, Y, batch_size=BATCH, epochs=1, verbose=0)
        start = time.perf_counter()
        model.fit(X, Y, batch_size=BATCH, epochs=100, verbose=0)
        return time.perf_counter() - start
    return {"torch": _torch, "keras": _keras}[kind](cell)


def _torch(cell: str) -> float:
    import torch
    from torch import nn

    layer = {"lstm": nn.LSTM, "rnn": nn.RNN}[cell](INPUTS, UNITS, batch_first=True)
    dense = nn.Linear(UNITS, OUTPUTS)
    optimizer = torch.optim.Adam([*layer.parameters(), *dense.parameters()])
    data = torch.utils.data.TensorDataset(torch.from_numpy(X), torch.from_numpy(Y))
    start = 0.0
    for epoch in range(101):
        if epoch == 1:
            start = time.perf_counter()
        order = torch.randperm(SAMPLES)
        for first in range(0, SAMPLES, BATCH):
            x, y = data[order[first : first + BATCH]]
            loss = nn.functional.mse_loss(dense(layer(x)[0][:, -1]), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return time.perf_counter() - start


def _keras(cell: str) -> float:
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import keras

    layer = {"lstm": keras.layers.LSTM, "rnn": keras.layers.SimpleRNN}[cell](UNITS)
    model = keras.Sequential([keras.layers.Input((STEPS, INPUTS)), layer, keras.layers.Dense(OUTPUTS)])
    model.compile("adam", "mse")
    model.fit(X, Y, batch_size=BATCH, epochs=1, verbose=0)
    start = time.perf_counter()
    model.fit(X, Y, batch_size=BATCH, epochs=100, verbose=0)
    return time.perf_counter() - start


def main() -> int:
    """Print the parts, Python's share and what the others take; with --check 1 when the share is above its bound."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--torch", action="store_true", help="train in PyTorch too, eager")
    parser.add_argument("--keras", action="store_true", help="train in Keras on TensorFlow too")
    parser.add_argument("--check", action="store_true", help=f"fail where Python's share is above {MOST:.0%}")
    parser.add_argument("--side", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.side:
        print(side(*options.side))
        return 0
    over = 0
    for cell in ("lstm", "rnn"):
        total, parts = profile(cell)
        share = 1.0 - sum(parts.values()) / total
        print(f"{cell}, {recurra.get_num_threads()} threads: {total:.0f} us a step")
        for name, time_ in parts.items():
            print(f"  {name:<20} {time_:7.1f} us {time_ / total:6.1%}")
        print(f"  {'Python':<20} {total * share:7.1f} us {share:6.1%}", flush=True)
        over += share > MOST
        kinds = ["recurra", *(kind for kind in ("torch", "keras") if getattr(options, kind))]
        if len(kinds) > 1:
            seconds = {kind: rival(kind, cell) for kind in kinds}
            for kind, taken in seconds.items():
                print(f"  3,200 steps in {kind:<8} {taken:6.2f} s, {taken / seconds['recurra']:.1f} times recurra's")
    return 1 if over and options.check else 0


if __name__ == "__main__":
    sys.exit(main())
