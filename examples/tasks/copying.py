"""The copying problem (Hochreiter & Schmidhuber 1997; Arjovsky et al. 2016): ten symbols, a pause, then the same.

Symbols 1 to 8 come first, then blanks (0), then a signal (9) to begin. Who remembers nothing has a cross-entropy of
10 ln 8 / (pause + 20).
"""

from __future__ import annotations

import argparse
import math

import numpy as np

import recurra

SYMBOLS, LENGTH = 8, 10


def sequences(count: int, pause: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return one-hot inputs (count, pause + 20, 10) and labels (count, pause + 20)."""
    symbols = rng.integers(1, SYMBOLS + 1, (count, LENGTH))
    steps = pause + 2 * LENGTH
    shown, wanted = np.zeros((count, steps), np.int64), np.zeros((count, steps), np.int64)
    shown[:, :LENGTH] = symbols
    shown[:, LENGTH + pause - 1] = SYMBOLS + 1
    wanted[:, -LENGTH:] = symbols
    return np.eye(SYMBOLS + 2, dtype=np.float32)[shown], wanted


def train(cell: str, pause: int, updates: int, seed: int = 0, verbose: int = 0) -> tuple[float, float]:
    """Return cross-entropy and accuracy of the recalled symbols, on fresh sequences after at most so many updates."""
    recurra.set_random_seed(seed)
    rng = np.random.default_rng(seed)
    layer = {"lstm": recurra.LSTM, "gru": recurra.GRU}[cell]
    model = recurra.Sequential([layer(128, return_sequences=True), recurra.Dense(SYMBOLS + 1)])
    loss = recurra.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(recurra.optimizers.Adam(4e-3, global_clipnorm=1.0), loss)
    x, y = sequences(500, pause, rng)
    entropy, right = math.inf, 0.0
    for _ in range(0, updates, 100):
        model.fit(*sequences(100 * 64, pause, rng), batch_size=64, verbose=verbose)
        entropy = model.evaluate(x, y, verbose=0)
        right = float((model.predict(x).argmax(-1) == y)[:, -LENGTH:].mean())
        if right > 0.99:
            break
    return entropy, right


def main() -> None:
    """Train both and print what they recall."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pause", type=int, default=30, help="steps between the symbols and their recall")
    parser.add_argument("--verbose", type=int, default=1, help="progress: 0 none, 1 a bar")
    options = parser.parse_args()
    for cell in ("lstm", "gru"):
        entropy, right = train(cell, options.pause, 3000, verbose=options.verbose)
        print(
            f"{cell.upper():4} pause {options.pause}: cross-entropy {entropy:.4f}, {right:.1%} of the symbols recalled"
        )
    print(f"without memory: {LENGTH * math.log(SYMBOLS) / (options.pause + 2 * LENGTH):.4f}, 12.5%")


if __name__ == "__main__":
    main()
