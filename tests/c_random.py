"""Random models that a C file can hold: all layers, variants and sizes."""

from typing import Any

import numpy as np

import recurra
from c_files import randomised, sequential

ACTIVATIONS = ("tanh", "sigmoid", "relu", "hard_sigmoid", "softsign", "elu", "leaky_relu", "thresholded_relu",
               "scaled_tanh", ("hard_sigmoid", 0.2, 0.5), "softplus")  # fmt: skip
BOUNDED = ("tanh", "sigmoid", "hard_sigmoid", "softsign", ("scaled_tanh", 1.2, 0.7))  # whose states cannot grow
WIDEST = 200


class Maker:
    """Draws the parts of one model."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)

    def one(self, choices: Any) -> Any:
        return choices[int(self.rng.integers(len(choices)))]

    def flag(self, chance: float = 0.5) -> bool:
        return bool(self.rng.random() < chance)

    def size(self) -> int:
        """From 1 to 200, small ones more often."""
        return int(np.exp(self.rng.uniform(0, np.log(WIDEST + 1))))

    def recurrent(self, sequences: bool, streams: bool) -> Any:
        kind = self.one(["rnn", "lstm", "lstm", "lstm", "gru", "gru"])
        units = self.size()
        options: dict[str, Any] = {
            "activation": self.one(BOUNDED),
            "use_bias": self.flag(0.8),
            "num_layers": self.one([1, 1, 1, 2, 3]),
            "clip": self.one([None, None, 0.7]),
            "layer_norm": units >= 8 and self.flag(0.4),  # of few numbers it magnifies their last bits
            "trainable_initial_state": self.flag(0.3),
            "return_sequences": sequences,
        }
        if not streams:
            options |= self.one([{"go_backwards": True}, {"bidirectional": True, "merge_mode": self.one(MODES)}])
        if kind == "rnn":
            return recurra.RNN(units, zoneout=self.one([0.0, 0.2]), **options)
        options["recurrent_activation"] = self.one(["sigmoid", "sigmoid", "hard_sigmoid", ("hard_sigmoid", 0.2, 0.5)])
        if kind == "gru":
            return recurra.GRU(units, zoneout=self.one([0.0, 0.2]), reset_after=self.flag(), **options)
        options |= {"proj_size": self.one([0, 0, (units + 1) // 2]), "use_peepholes": self.flag(0.3)}
        options |= {"cell_clip": self.one([None, None, 0.5]), "input_forget": self.flag(0.3)}
        options |= {"zoneout": self.one([0.0, (0.1, 0.3)]), "output_activation": self.one([None, *BOUNDED])}
        return recurra.LSTM(units, **options)

    def pointwise(self, timed: bool) -> Any:
        own = [lambda: recurra.TimeDistributed(recurra.Dense(self.size()))] if timed else []
        return self.one(
            [
                *own,
                lambda: recurra.Dense(self.size(), activation=self.one(ACTIVATIONS), use_bias=self.flag(0.8)),
                lambda: recurra.Dense(self.size(), activation="softmax"),
                lambda: recurra.LayerNormalization(),
                lambda: recurra.BatchNormalization(),
                lambda: recurra.Normalization(mean=0.3, variance=2.0),
                lambda: recurra.Dropout(0.3),
                lambda: recurra.Activation(self.one(ACTIVATIONS)),
            ]
        )()

    def convolution(self, streams: bool) -> Any:
        padding = "causal" if streams else self.one(["valid", "same", "causal"])
        strides = 1 if streams else self.one([1, 1, 2])
        dilation = self.one([1, 1, 2]) if strides == 1 else 1
        options = {"padding": padding, "strides": strides, "dilation_rate": dilation}
        return recurra.Conv1D(self.size(), self.one([1, 2, 3]), activation=self.one(BOUNDED), **options)


MODES = ("concat", "sum", "mul", "ave")


def chain(seed: int) -> tuple[Any, list[np.ndarray]]:
    """A chain, built, with random parameters; and the inputs of one sample."""
    make = Maker(seed)
    streams = make.flag(0.6)
    features, vocabulary = make.size(), make.size() + 1
    words = make.flag(0.2)
    layers = [recurra.Embedding(vocabulary, make.size())] if words else []
    layers += [make.pointwise(True)] if make.flag(0.3) else []
    layers += [make.convolution(streams)] if make.flag(0.4) else []
    layers += [make.recurrent(True, streams)] if make.flag(0.4) else []
    layers += [recurra.MaxPooling1D(2)] if not streams and make.flag(0.2) else []
    last = make.flag(0.4)
    layers.append(make.recurrent(not last, streams))
    layers += [make.pointwise(not last) for _ in range(int(make.rng.integers(3)))]
    steps = int(make.rng.integers(6, 14))
    model = randomised(sequential(*layers, shape=(None, None) if words else (None, None, features)), seed)
    settle(model)
    if words:
        return model, [make.rng.integers(0, vocabulary, steps)]
    return model, [make.rng.standard_normal((steps, features)).astype(np.float32)]


def graph(seed: int) -> tuple[Any, list[np.ndarray]]:
    """A graph of two branches that merge, over the same time."""
    make = Maker(seed)
    features, width = make.size(), make.size()
    streams = make.flag()
    x = recurra.Input((None, features))
    left = recurra.Dense(width, activation="tanh")(make.recurrent(True, streams)(x))
    right = recurra.Dense(width)(make.convolution(True)(x))
    merge = make.one([recurra.Add, recurra.Multiply, recurra.Concatenate, recurra.Maximum, recurra.Average])()
    y = make.recurrent(make.flag(), True)(merge([left, right]))
    outputs = [recurra.Dense(make.size())(y)]
    if make.flag(0.3):
        outputs.append(recurra.GlobalMaxPooling1D()(left))
    model = randomised(recurra.Model(x, outputs if len(outputs) > 1 else outputs[0]), seed)
    settle(model)
    steps = int(make.rng.integers(6, 14))
    return model, [make.rng.standard_normal((steps, features)).astype(np.float32)]


def settle(model: Any) -> None:
    """Scale products so that a difference of one step fades in the next ones: float32 says little about others."""
    for name, view in model.parameters.items():
        if "weight_ln" in name:
            view *= np.float32(0.3)
        elif view.ndim > 1 and not name.endswith(("embeddings", "h0", "c0")):
            view /= np.float32(max(1.0, np.sqrt(view[0].size) / 2))
