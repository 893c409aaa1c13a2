"""Draws the pictures of docs/seeing.md: python tools/pictures.py [folder]."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

import recurra
from recurra import plot

TEXT = "the quick brown fox jumps over the lazy dog "


def gradient_flow(folder: Path) -> None:
    """Three networks before training: plain, gated, and gated with a forget gate that starts open."""
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((64, 100, 4)), rng.standard_normal((64, 1))
    models = {}
    for name, cls, options in (
        ("RNN", recurra.RNN, {"recurrent_initializer": "glorot_uniform"}),
        ("LSTM", recurra.LSTM, {}),
        ("LSTM, forget bias 5", recurra.LSTM, {}),
    ):
        models[name] = recurra.Sequential([cls(32, seed=1, name="layer", **options), recurra.Dense(1, seed=2)])
        models[name].compile("adam", "mse")
        models[name].build((None, None, 4))
    models["LSTM, forget bias 5"].parameters["layer.bias_ih_l0"][32:64] = 5.0
    plot.gradient_flow(models, x, y).figure.savefig(folder / "gradient_flow.png", dpi=110)


def gates(folder: Path) -> None:
    """What an LSTM does that has learned to continue a sentence."""
    codes = np.array([ord(letter) for letter in TEXT])
    letters, classes = np.unique(codes, return_inverse=True)
    x, y = np.eye(len(letters))[classes][None], np.roll(classes, -1)[None]
    model = recurra.Sequential(
        [
            recurra.LSTM(16, return_sequences=True, seed=1),
            recurra.Dense(len(letters), activation="softmax", seed=2),
        ]
    )
    model.compile(recurra.optimizers.Adam(0.02), "sparse_categorical_crossentropy", metrics=["accuracy"])
    history = model.fit(np.repeat(x, 8, 0), np.repeat(y, 8, 0), epochs=60, verbose=0, seed=0)
    figure = plot.gates(model, x, tokens=TEXT, names=["i", "f", "c"], title="")
    figure.savefig(folder / "gates.png", dpi=110)
    history.plot().savefig(folder / "history.png", dpi=80)


def model(folder: Path) -> None:
    """An encoder whose final states start a decoder."""
    source, target = recurra.Input((None, 40), name="source"), recurra.Input((None, 30), name="target")
    _, h, c = recurra.LSTM(64, return_state=True, name="encoder")(source)
    decoded = recurra.LSTM(64, return_sequences=True, name="decoder")(target, initial_state=[h, c])
    outputs = recurra.Dense(30, activation="softmax", name="words")(decoded)
    translator = recurra.Model([source, target], outputs, name="translator")
    plot.plot_model(translator, folder / "model.svg", show_shapes=True, show_layer_names=True)


def main(folder: Path) -> None:
    """Draw all of them."""
    for draw in (gradient_flow, gates, model):
        draw(folder)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parents[1] / "docs" / "pictures")
