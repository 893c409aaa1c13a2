"""The embedded Reber grammar (Cleeremans et al. 1989; Hochreiter & Schmidhuber 1997): which symbols may come next?

A string runs through a small automaton between B and E; around it stand B T ... T E or B P ... P E, so that the last
but one symbol must repeat the second. A string counts as right if at every step the symbols that may come next are
the ones given the highest values.
"""

from __future__ import annotations

import argparse

import numpy as np

import recurra

ALPHABET = "BTPSXVE"
# The automaton: from a state, the symbols that may come and the states they lead to.
EDGES = {
    0: {"B": 1},
    1: {"T": 2, "P": 3},
    2: {"S": 2, "X": 4},
    3: {"T": 3, "V": 5},
    4: {"X": 3, "S": 6},
    5: {"P": 4, "V": 6},
    6: {"E": 7},
}


def string(rng: np.random.Generator) -> tuple[str, list[str]]:
    """Return an embedded string, and after each symbol but the last those that may follow."""
    outer = "TP"[rng.integers(2)]
    text, follow, state = f"B{outer}", ["TP", "B"], 0
    while state != 7:
        symbol = rng.choice(list(EDGES[state]))
        state = EDGES[state][symbol]
        text += symbol
        follow.append("".join(EDGES[state]) if state != 7 else outer)
    return f"{text}{outer}E", [*follow, "E"]


def sequences(count: int, rng: np.random.Generator) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Return one-hot strings (steps, 7) and for each step which symbols may come next, as ragged lists."""
    unit = np.eye(len(ALPHABET), dtype=np.float32)
    xs, ys = [], []
    for _ in range(count):
        text, follow = string(rng)
        xs.append(np.stack([unit[ALPHABET.index(symbol)] for symbol in text[:-1]]))
        ys.append(np.stack([sum(unit[ALPHABET.index(symbol)] for symbol in may) for may in follow]))
    return xs, ys


def share_right(model: recurra.Sequential, xs: list[np.ndarray], ys: list[np.ndarray]) -> float:
    """Return the share of strings of which every step is right."""
    right = 0
    for outputs, x, y in zip(model.predict(xs), xs, ys, strict=True):
        given = outputs[: len(x)]
        lowest = np.where(y > 0, given, np.inf).min(axis=1)
        highest = np.where(y > 0, -np.inf, given).max(axis=1)
        right += bool((lowest > highest).all())
    return right / len(xs)


def train(cell: str, epochs: int, seed: int = 0, verbose: int = 0) -> float:
    """Return the share of 500 new strings that a layer of 16 units gets right."""
    recurra.set_random_seed(seed)
    rng = np.random.default_rng(seed)
    layer = {"lstm": recurra.LSTM, "gru": recurra.GRU, "rnn": recurra.SimpleRNN}[cell]
    model = recurra.Sequential([layer(16, return_sequences=True), recurra.Dense(len(ALPHABET), activation="sigmoid")])
    model.compile(recurra.optimizers.Adam(1e-2), "binary_crossentropy")
    model.fit(*sequences(2000, rng), batch_size=32, epochs=epochs, verbose=verbose)
    return share_right(model, *sequences(500, rng))


def main() -> None:
    """Train the three and print their shares."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--verbose", type=int, default=1, help="progress: 0 none, 1 a bar")
    verbose = parser.parse_args().verbose
    print("a string:", string(np.random.default_rng(0))[0])
    for cell in ("lstm", "gru", "rnn"):
        print(f"{cell.upper():4} {train(cell, 30, verbose=verbose):.1%} of new strings right")


if __name__ == "__main__":
    main()
