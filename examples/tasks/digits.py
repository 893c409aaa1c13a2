"""Sequential digits: an image of 8 x 8 pixels read one pixel at a time, 64 steps, then named (after Le et al. 2015).

Data: the digits of scikit-learn (UCI, Alpaydin & Kaynak 1998), the last fifth held out.
"""

from __future__ import annotations

import argparse
import math

import numpy as np

import recurra


def shifted(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return images (count, 8, 8), each moved by up to one pixel, as sequences (count, 64, 1)."""
    padded = np.pad(images, ((0, 0), (1, 1), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (8, 8), axis=(1, 2))
    down, right = rng.integers(0, 3, (2, len(images)))
    return windows[np.arange(len(images)), down, right].reshape(len(images), 64, 1)


def train(epochs: int, seed: int = 0, verbose: int = 0) -> float:
    """Return the share of held-out digits named rightly."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    recurra.set_random_seed(seed)
    digits = load_digits()
    x = digits.images / 16.0
    x_train, x_test, y_train, y_test = train_test_split(x, digits.target, test_size=0.2, random_state=0)
    model = recurra.Sequential(
        [recurra.GRU(96, num_layers=2, interlayer_dropout=0.2), recurra.Dropout(0.3), recurra.Dense(10)]
    )
    loss = recurra.losses.SparseCategoricalCrossentropy(from_logits=True)
    steps = math.ceil(len(x_train) / 32)
    schedule = recurra.optimizers.schedules.CosineDecay(4e-3, decay_steps=epochs * steps)
    model.compile(recurra.optimizers.Adam(schedule, global_clipnorm=1.0), loss, metrics=["accuracy"])
    rng = np.random.default_rng(seed)
    for _ in range(epochs):
        model.fit(shifted(x_train, rng), y_train, batch_size=32, verbose=verbose)
    return float(model.evaluate(x_test.reshape(-1, 64, 1), y_test, verbose=0)[1])


def main() -> None:
    """Train and print the accuracy."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--verbose", type=int, default=1, help="progress: 0 none, 1 a bar")
    print(f"{train(60, verbose=parser.parse_args().verbose):.1%} of held-out digits named rightly")


if __name__ == "__main__":
    main()
