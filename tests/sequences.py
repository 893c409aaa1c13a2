"""Sequences for the tests of the estimators."""

import numpy as np

# Training that ends after max_iter epochs, of its own will.
FIXED = {"n_iter_no_change": np.inf, "random_state": 0}


def sequences(count=60, time=8, features=2, seed=0):
    """Sequences, and whether their first feature sums to more than zero."""
    X = np.random.default_rng(seed).normal(size=(count, time, features))
    return X, np.where(X[:, :, 0].sum(axis=1) > 0.0, "up", "down")


def ragged(count=60, seed=0):
    """Sequences of 3 to 8 steps, and their classes."""
    X, _ = sequences(count, seed=seed)
    X = [x[: 3 + number % 6] for number, x in enumerate(X)]
    return X, [("up" if x[:, 0].sum() > 0.0 else "down") for x in X]
