"""Losses of rows with targets, outputs and their formulas in NumPy; shared by the tests of losses."""

import numpy as np

from recurra import losses

N, T, K = 4, 5, 3
RNG = np.random.default_rng(11)
EPS = 1e-7


def softmax(z):
    e = np.exp(z - z.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


REAL = RNG.normal(size=(N, T, K))
TARGET = RNG.normal(size=(N, T, K))
POSITIVE = RNG.uniform(0.2, 3, (N, T, K))
SHARES = softmax(RNG.normal(size=(N, T, K)))
CHANCES = RNG.uniform(0.05, 0.95, (N, T, K))
YES = RNG.integers(0, 2, (N, T, K)).astype(float)
LABELS = RNG.integers(0, K, (N, T))
ONE_HOT = np.eye(K)[LABELS]
IGNORED = np.where(RNG.random((N, T)) < 0.3, -1, LABELS)


def focal(y, p, alpha=None, gamma=2.0):
    q = y * p + (1 - y) * (1 - p)
    weight = 1 if alpha is None else y * alpha + (1 - y) * (1 - alpha)
    return (weight * (1 - q) ** gamma * -(y * np.log(p) + (1 - y) * np.log(1 - p))).mean(-1)


def entropy(y, p):
    return -(y * np.log(p) + (1 - y) * np.log(1 - p)).mean(-1)


def picked(labels, p):
    return -np.log(np.take_along_axis(p, labels[..., None], -1)[..., 0])


def pinball(y, p, quantiles):
    e = y[..., None] - p.reshape(*y.shape, len(quantiles))
    return np.maximum(quantiles * e, (quantiles - 1) * e).mean((-1, -2))


def gaussian(y, p):
    m, s = p[..., : p.shape[-1] // 2], p[..., p.shape[-1] // 2 :]
    return -np.log(np.exp(-((y - m) ** 2) / (2 * np.exp(s))) / np.sqrt(np.exp(s))).mean(-1)


def cosine(y, p):
    return -(y * p).sum(-1) / np.linalg.norm(y, axis=-1) / np.linalg.norm(p, axis=-1)


def huber(y, p, delta):
    e = np.abs(y - p)
    return np.where(e <= delta, e**2 / 2, delta * e - delta**2 / 2).mean(-1)


PLUS = 2 * YES - 1
# Loss, targets, outputs, and the loss of each row by its formula.
CASES = {
    "mse": (losses.MeanSquaredError(), TARGET, REAL, lambda y, p: ((y - p) ** 2).mean(-1)),
    "mae": (losses.MeanAbsoluteError(), TARGET, REAL, lambda y, p: np.abs(y - p).mean(-1)),
    "mape": (losses.MeanAbsolutePercentageError(), TARGET, REAL, lambda y, p: 100 * np.abs((y - p) / y).mean(-1)),
    "msle": (
        losses.MeanSquaredLogarithmicError(),
        POSITIVE[::-1].copy(),
        POSITIVE,
        lambda y, p: ((np.log(y + 1) - np.log(p + 1)) ** 2).mean(-1),
    ),
    "huber": (losses.Huber(0.7), TARGET, REAL, lambda y, p: huber(y, p, 0.7)),
    "log_cosh": (losses.LogCosh(), TARGET, REAL, lambda y, p: np.log(np.cosh(y - p)).mean(-1)),
    "cosine_similarity": (losses.CosineSimilarity(), TARGET, REAL, cosine),
    "binary_crossentropy": (losses.BinaryCrossentropy(), YES, CHANCES, entropy),
    "bce of logits, smoothed": (
        losses.BinaryCrossentropy(from_logits=True, label_smoothing=0.2),
        YES,
        REAL,
        lambda y, z: entropy(0.8 * y + 0.1, sigmoid(z)),
    ),
    "binary_focal_crossentropy": (losses.BinaryFocalCrossentropy(), YES, CHANCES, focal),
    "balanced focal of logits": (
        losses.BinaryFocalCrossentropy(True, 0.3, 1.5, from_logits=True),
        YES,
        REAL,
        lambda y, z: focal(y, sigmoid(z), 0.3, 1.5),
    ),
    "focal of gamma 0": (losses.BinaryFocalCrossentropy(gamma=0.0), YES, CHANCES, entropy),
    "categorical_crossentropy": (
        losses.CategoricalCrossentropy(),
        SHARES[::-1].copy(),
        2 * SHARES,
        lambda y, p: -(y * np.log(p / p.sum(-1, keepdims=True))).sum(-1),
    ),
    "crossentropy of logits, smoothed": (
        losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.3),
        ONE_HOT,
        REAL,
        lambda y, z: -((0.7 * y + 0.1) * np.log(softmax(z))).sum(-1),
    ),
    "sparse_categorical_crossentropy": (losses.SparseCategoricalCrossentropy(), LABELS, SHARES, picked),
    "sparse of logits": (
        losses.SparseCategoricalCrossentropy(from_logits=True),
        LABELS,
        REAL,
        lambda y, z: picked(y, softmax(z)),
    ),
    "kl_divergence": (losses.KLDivergence(), SHARES[::-1].copy(), SHARES, lambda y, p: (y * np.log(y / p)).sum(-1)),
    "poisson": (losses.Poisson(), POSITIVE[::-1].copy(), POSITIVE, lambda y, p: (p - y * np.log(p + EPS)).mean(-1)),
    "hinge": (losses.Hinge(), YES, REAL, lambda y, p: np.maximum(1 - (2 * y - 1) * p, 0).mean(-1)),
    "squared_hinge": (losses.SquaredHinge(), PLUS, REAL, lambda y, p: (np.maximum(1 - y * p, 0) ** 2).mean(-1)),
    "categorical_hinge": (
        losses.CategoricalHinge(),
        ONE_HOT,
        REAL,
        lambda y, p: np.maximum(1 + ((1 - y) * p).max(-1) - (y * p).sum(-1), 0),
    ),
    "gaussian_nll": (losses.GaussianNLL(), TARGET[..., :2], RNG.normal(size=(N, T, 4)), gaussian),
    "full gaussian": (
        losses.GaussianNLL(full=True),
        TARGET[..., :1],
        REAL[..., :2],
        lambda y, p: gaussian(y, p) + np.log(2 * np.pi) / 2,
    ),
    "quantile": (
        losses.Quantile([0.1, 0.5, 0.8]),
        TARGET[..., 0],
        REAL,
        lambda y, p: pinball(y[..., None], p, np.array([0.1, 0.5, 0.8])),
    ),
    "quantiles of two": (
        losses.Quantile([0.2, 0.9]),
        TARGET[..., :2],
        RNG.normal(size=(N, T, 4)),
        lambda y, p: pinball(y, p, np.array([0.2, 0.9])),
    ),
}
REDUCTIONS = ("sum_over_batch_size", "sum", "mean_with_sample_weight", "mean_per_sequence")
LENGTHS = np.array([5, 0, 2, 4])
WEIGHTS = {
    "none": None,
    "samples": np.array([0.5, 2.0, 0.0, 1.5]),
    "steps": RNG.uniform(0, 2, (N, T)) * (RNG.random((N, T)) < 0.8),
}
