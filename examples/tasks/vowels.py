"""Japanese Vowels (Kudo et al. 1999): which of nine men speaks?

Data: 12 LPC cepstrum coefficients over 7 to 29 steps; aeon carries 270 utterances to learn from and 370 to test on.
"""

from __future__ import annotations

import argparse

import numpy as np

import recurra


def train(epochs: int, seed: int = 0, verbose: int = 0) -> float:
    """Return the share of test utterances whose speaker is named rightly."""
    from aeon.datasets import load_japanese_vowels

    recurra.set_random_seed(seed)
    parts = {}
    for split in ("train", "test"):
        series, labels = load_japanese_vowels(split=split)
        parts[split] = [np.asarray(one).T for one in series], np.asarray(labels).astype(int) - 1
    model = recurra.Sequential([recurra.LSTM(64, bidirectional=True), recurra.Dropout(0.4), recurra.Dense(9)])
    loss = recurra.losses.SparseCategoricalCrossentropy(from_logits=True)
    steps = -(-len(parts["train"][0]) // 16)
    schedule = recurra.optimizers.schedules.CosineDecay(5e-3, decay_steps=epochs * steps)
    model.compile(recurra.optimizers.Adam(schedule), loss, metrics=["accuracy"])
    model.fit(*parts["train"], batch_size=16, epochs=epochs, verbose=verbose)
    return float(model.evaluate(*parts["test"], verbose=0)[1])


def main() -> None:
    """Train and print the accuracy."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--verbose", type=int, default=1, help="progress: 0 none, 1 a bar")
    print(f"{train(40, verbose=parser.parse_args().verbose):.1%} of test utterances named rightly")


if __name__ == "__main__":
    main()
