"""Saved models for C programs; inputs and Python's outputs lie beside them, as tests/cpp/model_outputs.c reads them."""

from pathlib import Path

import numpy as np

import recurra
from recurra import layers

BATCH, STEPS = 3, 7

# Name: layers, or a graph, and the number of inputs (None: integers below 11).
MODELS = {
    "rnn": (lambda: [layers.SimpleRNN(5, return_sequences=True), layers.Dense(2)], 3),
    "lstm": (lambda: [layers.LSTM(16, return_sequences=True), layers.Dense(1)], 1),
    "lstm_last": (lambda: [layers.LSTM(9), layers.Dense(4, activation="softmax")], 2),
    "lstm_wide": (lambda: [layers.LSTM(70, return_sequences=True), layers.Dense(3, activation="tanh")], 33),
    "lstm_variants": (lambda: [layers.LSTM(12, return_sequences=True, use_peepholes=True, proj_size=7)], 4),
    "gru": (lambda: [layers.GRU(17, return_sequences=True), layers.Dense(2, activation="relu")], 3),
    "gru_before": (lambda: [layers.GRU(8, reset_after=False)], 2),
    "deep": (lambda: [layers.LSTM(10, return_sequences=True), layers.GRU(6, return_sequences=True)], 5),
    "both_ways": (lambda: [layers.Bidirectional(layers.LSTM(6, return_sequences=True)), layers.Dense(2)], 3),
    "norms": (lambda: [layers.LayerNormalization(), layers.GRU(5), layers.BatchNormalization()], 4),
    "conv": (lambda: [layers.Conv1D(6, 3, padding="causal"), layers.GRU(5, return_sequences=True)], 2),
    "double": (lambda: [layers.LSTM(9, return_sequences=True, dtype="float64"), layers.Dense(2, dtype="float64")], 3),
    "skip": (lambda: [residual(5, layers.GRU(7, return_sequences=True)), layers.Dense(2)], 5),
    "siamese": (lambda: siamese(4, layers.LSTM(5)), 4),
    "attention": (lambda: [attending(4, layers.Attention(True, "concat"), layers.Attention()), layers.GRU(3)], 4),
    "encoder": (lambda: encoder_decoder(3, 6), 3),
    "words": (lambda: [layers.Embedding(11, 6), layers.GRU(8, return_sequences=True), layers.Dense(11)], None),
}  # fmt: skip


def residual(width: int, layer: layers.Layer) -> recurra.Model:
    """A graph around a layer: its output made as wide as the input, and added to it."""
    x = recurra.Input((None, width))
    return recurra.Model(x, layers.Add()([x, layers.Dense(width)(layer(x))]))


def siamese(width: int, layer: layers.Layer) -> recurra.Model:
    """A graph that calls a layer twice."""
    x = recurra.Input((None, width))
    return recurra.Model(x, layers.Concatenate()([layer(x), layer(layers.Dense(width, "tanh")(x))]))


def attending(width: int, *attentions: layers.Layer) -> recurra.Model:
    """A graph of layers of attention, each of a series to itself."""
    x = y = recurra.Input((None, width))
    for layer in attentions:
        y = layers.Add()([x, layer([y, layers.Dense(width)(y)])])
    return recurra.Model(x, y)


def encoder_decoder(width: int, units: int) -> recurra.Model:
    """A graph in which final states start another layer."""
    x = recurra.Input((None, width))
    _, h, c = layers.LSTM(units, return_state=True)(x)
    return recurra.Model(x, layers.LSTM(units, return_sequences=True)(x, initial_state=[h, c]))


WHOLE = ("both_ways", "attention", "encoder")  # those that cannot step


def inputs_of(name: str) -> np.ndarray:
    """The inputs (B, T, I), or integers (B, T), that a model is compared on."""
    rng = np.random.default_rng(len(name))
    width = MODELS[name][1]
    if width is None:
        return rng.integers(0, 11, (BATCH, STEPS))
    return rng.standard_normal((BATCH, STEPS, width)).astype("float64" if name == "double" else "float32")


def save_model(name: str, folder: Path) -> Path:
    """Save a model with random weights, and what model_outputs.c compares beside it; return the model's path."""
    made = MODELS[name][0]()
    model = recurra.Sequential(made) if isinstance(made, list) else made
    x = inputs_of(name)
    model(x)
    rng = np.random.default_rng(1)
    model.set_weights([rng.uniform(0.1, 0.6, w.shape) - 0.3 * (w.ndim > 1) for w in model.get_weights()])
    y = model.predict(x, verbose=0)
    path = folder / f"{name}.safetensors"
    model.save(str(path))
    head = np.array([BATCH, STEPS, x.nbytes, y.nbytes], np.int64)
    Path(f"{path}.numbers").write_bytes(head.tobytes() + x.tobytes() + y.tobytes())
    return path
