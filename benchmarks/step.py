"""What one training step of a small model costs, and where.

    python benchmarks/step.py
    python benchmarks/step.py --torch --keras

The model has 10 inputs, 20 hidden units and 5 outputs, the batch 32 sequences of 30 steps; Adam, squared error. The
step is run whole through ``fit``, and part by part as bare calls of the compiled core on the same arrays. What `fit`
takes beyond the bare calls is Python's share. With --torch and --keras the same training in these, each in a process of
its own.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np

import recurra
from recurra import _core

SAMPLES, BATCH, STEPS, INPUTS, UNITS, OUTPUTS = 1024, 32, 30, 10, 20, 5
RNG = np.random.default_rng(0)
X = RNG.normal(size=(SAMPLES, STEPS, INPUTS)).astype(np.float32)
Y = RNG.normal(size=(SAMPLES, OUTPUTS)).astype(np.float32)
MOST = 0.25  # Python's share of a step, at the most


def fastest(call: Callable[[], object], repeats: int) -> float:
    """Return the shortest time of a call, in microseconds."""
    best = float("inf")
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        best = min(best, time.perf_counter() - start)
    return best * 1e6


def model_of(cell: str) -> recurra.Sequential:
    """Return the compiled model."""
    layer = {"lstm": recurra.LSTM, "rnn": recurra.SimpleRNN}[cell]
    model = recurra.Sequential([layer(UNITS, seed=0), recurra.Dense(OUTPUTS, seed=1)])
    model.compile(optimizer="adam", loss="mse")
    model.build((None, STEPS, INPUTS))
    return model


def bare_parts(cell: str) -> dict[str, float]:
    """Return the shortest times of the core's calls that make up a step, in microseconds."""
    model = model_of(cell)
    model.train_on_batch(X[:BATCH], Y[:BATCH])
    layer, dense = model.layers
    engine, weights, gradients = layer._engine, layer._engine_weights, layer._engine_gradients
    w, dw = dense._views
    x, y = X[:BATCH], Y[:BATCH]
    hidden, _, _, _ = engine.vjp(weights, x, sequences=False, training=True, unchanged=False)
    outputs = _core.linear(w["weight"], w["bias"], hidden)
    dy = _core.mse(outputs, y)[1]
    dh = _core.linear_backward(w["weight"], hidden, dy, dw["weight"], dw["bias"], True)
    parameters, all_gradients = model._theta, model._grad
    slots = [np.zeros_like(parameters), np.zeros_like(parameters)]

    def forward() -> object:
        weights[0] += 0.0  # as after an optimizer's step: packed anew
        return engine.vjp(weights, x, sequences=False, training=True, unchanged=False)

    def both() -> object:
        return forward()[3].backward(dh, None, None, gradients, need_dx=False)

    times = {"recurrent forward": fastest(forward, 3000)}
    times["recurrent backward"] = fastest(both, 3000) - times["recurrent forward"]
    times["dense forward"] = fastest(lambda: _core.linear(w["weight"], w["bias"], hidden), 3000)
    times["loss"] = fastest(lambda: _core.mse(outputs, y), 3000)
    times["dense backward"] = fastest(
        lambda: _core.linear_backward(w["weight"], hidden, dy, dw["weight"], dw["bias"], True), 3000
    )
    times["optimizer"] = fastest(
        lambda: _core.update("adam", parameters, all_gradients, slots, (0.0, 0.9, 0.999, 0.1, 0.001, 1e-7)), 3000
    )
    times["gathering, zeroing"] = fastest(lambda: (X.take(np.arange(BATCH), axis=0), all_gradients.fill(0.0)), 3000)
    return times


def whole(cell: str) -> float:
    """Return the shortest time of a step through ``fit``, in microseconds."""
    model = model_of(cell)
    batches = SAMPLES // BATCH
    return fastest(lambda: model.fit(X, Y, batch_size=BATCH, epochs=1, verbose=0), 60) / batches


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
        total, parts = whole(cell), bare_parts(cell)
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
