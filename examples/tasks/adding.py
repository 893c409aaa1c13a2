"""The adding problem (Hochreiter & Schmidhuber 1997): what is the sum of the two numbers that were marked?

Each step shows a number from U(0, 1) and a mark; two steps are marked, one in each half. Who always answers 1 has a
mean squared error of 1/6 = 0.167, the variance of the sum. LSTM and GRU learn the task over 200 steps; a tanh RNN
over 600 steps does not, as published: its gradients vanish on the way.
"""

from __future__ import annotations

import argparse

import numpy as np

import recurra


def sequences(count: int, steps: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return inputs (count, steps, 2) and sums (count, 1)."""
    x = np.zeros((count, steps, 2), np.float32)
    x[..., 0] = rng.random((count, steps))
    rows, half = np.arange(count), steps // 2
    first, second = rng.integers(0, half, count), rng.integers(half, steps, count)
    x[rows, first, 1] = x[rows, second, 1] = 1.0
    return x, (x[rows, first, 0] + x[rows, second, 0])[:, None]


def train(cell: str, steps: int, updates: int, seed: int = 0, verbose: int = 0) -> float:
    """Return the mean squared error on fresh sequences after at most so many updates."""
    recurra.set_random_seed(seed)
    rng = np.random.default_rng(seed)
    layer = {"lstm": recurra.LSTM, "gru": recurra.GRU, "rnn": recurra.SimpleRNN}[cell]
    model = recurra.Sequential([layer(48), recurra.Dense(1)])
    model.compile(recurra.optimizers.Adam(3e-3, global_clipnorm=1.0), "mse")
    test = sequences(1000, steps, rng)
    error = float("inf")
    for _ in range(0, updates, 250):
        model.fit(*sequences(250 * 50, steps, rng), batch_size=50, verbose=verbose)
        error = model.evaluate(*test, verbose=0)
        if error < 0.005:
            break
    return error


def main() -> None:
    """Train the three and print their errors."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--verbose", type=int, default=1, help="progress: 0 none, 1 a bar")
    verbose = parser.parse_args().verbose
    for cell, steps, updates in (("lstm", 200, 4000), ("gru", 200, 4000), ("rnn", 600, 500)):
        error = train(cell, steps, updates, verbose=verbose)
        print(f"{cell.upper():4} over {steps} steps: mean squared error {error:.4f}")
    print("always 1: 0.1667")


if __name__ == "__main__":
    main()
