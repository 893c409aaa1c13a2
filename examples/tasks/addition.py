"""Digit addition, sequence to sequence (Sutskever et al. 2014; Keras's addition example): from "47+8  " to "55 ".

The question goes in backwards, as there. Half of the 10,000 questions of up to two digits are learned from; the
other half is asked.
"""

from __future__ import annotations

import argparse

import numpy as np

import recurra

ALPHABET = "0123456789+ "
DIGITS = 2
QUESTION, ANSWER = 2 * DIGITS + 1, DIGITS + 1


def encode(text: str) -> np.ndarray:
    """Return the numbers of the characters."""
    return np.array([ALPHABET.index(character) for character in text])


def questions(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return all sums in a random order: one-hot questions (count, 5, 12), backwards, and answers (count, 3)."""
    pairs = np.random.default_rng(seed).permutation([(a, b) for a in range(10**DIGITS) for b in range(10**DIGITS)])
    x = np.stack([encode(f"{a}+{b}".ljust(QUESTION))[::-1] for a, b in pairs])
    y = np.stack([encode(str(a + b).ljust(ANSWER)) for a, b in pairs])
    return np.eye(len(ALPHABET), dtype=np.float32)[x], y


def train(epochs: int, seed: int = 0, verbose: int = 0) -> tuple[float, float]:
    """Return the shares of characters and of whole answers that are right, on questions never seen."""
    recurra.set_random_seed(seed)
    x, y = questions(seed)
    model = recurra.Sequential(
        [
            recurra.LSTM(128),
            recurra.RepeatVector(ANSWER),
            recurra.LSTM(128, return_sequences=True),
            recurra.Dense(len(ALPHABET), activation="softmax"),
        ]
    )
    model.compile(
        recurra.optimizers.Adam(4e-3, global_clipnorm=1.0), "sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    held_out = x[5000:], y[5000:]
    for _ in range(0, epochs, 5):
        model.fit(x[:5000], y[:5000], batch_size=64, epochs=5, verbose=verbose)
        right = model.predict(held_out[0]).argmax(-1) == held_out[1]
        if right.mean() > 0.997:
            break
    return float(right.mean()), float(right.all(axis=1).mean())


def main() -> None:
    """Train and print both shares."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--verbose", type=int, default=1, help="progress: 0 none, 1 a bar")
    characters, answers = train(100, verbose=parser.parse_args().verbose)
    print(f"new questions: {characters:.2%} of the characters right, {answers:.2%} of the answers")


if __name__ == "__main__":
    main()
