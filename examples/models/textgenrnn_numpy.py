"""textgenrnn's equations in NumPy, float64: the reference of textgenrnn.py, which shares no code with recurra.

Weights of a cuDNN LSTM as Keras 2.1 stored them: kernels (features, 4 units) whose blocks, one for each of i, f, g, o,
have in row-major order what Keras's own layout has in column-major order; recurrent kernels whose blocks are
transposed; two biases.
"""

from __future__ import annotations

import h5py
import numpy as np


class Reference:
    """The model.

    Parameters
    ----------
    path : path
        The package's ``textgenrnn_weights.hdf5``.
    wrong : {"", "kernels", "all"}, default ""
        Read the layers' kernels, or all their weights, as if they were in Keras's own layout: what a wrong import does.
    """

    def __init__(self, path, wrong: str = "") -> None:
        with h5py.File(path) as file:
            read = {name: _array(file, name) for name in ("embedding/embeddings", "attention/attention_W")}
            read |= {name: _array(file, name) for name in ("output/kernel", "output/bias")}
            layers = [
                [_array(file, f"{layer}/{part}") for part in ("kernel", "recurrent_kernel", "bias")]
                for layer in ("rnn_1", "rnn_2")
            ]
        self.table, self.attention, self.kernel, self.bias = read.values()
        self.layers = [_converted(*arrays, wrong) for arrays in layers]

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Return the probabilities (samples, characters) of what follows x (samples, time)."""
        embedded = self.table[x]
        first = lstm(embedded, *self.layers[0])
        joined = np.concatenate([embedded, first, lstm(first, *self.layers[1])], axis=2)
        logits = (joined @ self.attention)[:, :, 0]
        weights = np.exp(logits - logits.max(axis=1, keepdims=True))
        weights /= weights.sum(axis=1, keepdims=True) + 1e-7
        scores = (weights[:, :, None] * joined).sum(axis=1) @ self.kernel + self.bias
        chances = np.exp(scores - scores.max(axis=1, keepdims=True))
        return chances / chances.sum(axis=1, keepdims=True)


def _array(file, name: str) -> np.ndarray:
    layer, _, weight = name.partition("/")
    return file[f"{layer}/{layer}/{weight}:0"][()].astype(np.float64)


def _converted(kernel, recurrent, bias, wrong: str):
    blocks = np.hsplit(kernel, 4)
    if not wrong:
        kernel = np.hstack([block.T.reshape(block.shape, order="F") for block in blocks])
    if wrong != "all":
        recurrent = np.hstack([block.T for block in np.hsplit(recurrent, 4)])
    return kernel, recurrent, bias.reshape(2, -1).sum(axis=0)


def lstm(x: np.ndarray, kernel: np.ndarray, recurrent: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """Return all outputs of an LSTM in Keras's layout, gates i, f, g, o."""

    def sigmoid(z):
        return 1.0 / (1.0 + np.exp(-z))

    h = c = np.zeros((len(x), len(recurrent)))
    outputs = []
    for t in range(x.shape[1]):
        i, f, g, o = np.split(x[:, t] @ kernel + h @ recurrent + bias, 4, axis=1)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
        outputs.append(h)
    return np.stack(outputs, axis=1)
