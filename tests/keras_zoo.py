"""Makes random models with Keras 2 or 3 and saves them, each with inputs and outputs; run as a program of its own.

``python keras_zoo.py MODULE FOLDER FIRST LAST`` with MODULE ``keras`` (3) or ``tf_keras`` (2).
``python keras_zoo.py MODULE FOLDER check`` loads what recurra has written there as ``m*.out.keras`` and compares.
"""

import glob
import os
import sys

os.environ.update(
    TF_CPP_MIN_LOG_LEVEL="3", KERAS_BACKEND="tensorflow", TF_ENABLE_ONEDNN_OPTS="0", CUDA_VISIBLE_DEVICES=""
)

import numpy as np

BATCH, STEPS = 3, 7


class Zoo:
    """Draws one model; ``masked``: whether its sequences are padded and the model knows."""

    def __init__(self, keras, seed):
        self.keras, self.layers, self.old = keras, keras.layers, not keras.__version__.startswith("3")
        self.draw = np.random.default_rng(seed)
        self.seed, self.masked = seed, False

    def flip(self, chance=0.5):
        return bool(self.draw.random() < chance)

    def one(self, *choices):
        return choices[self.draw.integers(len(choices))]

    def cell_options(self, kind):
        options = {"units": int(self.draw.integers(1, 7)), "use_bias": self.flip(0.8)}
        options["activation"] = self.one("tanh", "tanh", "relu", "softsign", "hard_sigmoid", "linear", "elu")
        if kind != "SimpleRNN":
            options["recurrent_activation"] = self.one("sigmoid", "hard_sigmoid", "tanh")
        if kind == "GRU":
            options["reset_after"] = self.flip()
        if self.flip(0.2):
            options.update(dropout=0.2, recurrent_dropout=0.1)
        if self.flip(0.2):
            options.update(kernel_regularizer="l2", recurrent_constraint="max_norm", bias_initializer="ones")
        return options

    def recurrent(self, sequences, **more):
        kind = self.one("LSTM", "GRU", "SimpleRNN")
        flow = {"return_sequences": sequences, **more}
        form = self.one("plain", "plain", "bidirectional", "cell", "cells")
        if "return_state" in more:
            form = "plain"
        if form in ("cell", "cells"):
            count = 1 if form == "cell" else 2
            cells = [getattr(self.layers, f"{kind}Cell")(**self.cell_options(kind)) for _ in range(count)]
            return self.layers.RNN(cells[0] if count == 1 else cells, **flow)
        if form == "plain" and self.flip(0.25) and not (self.masked and sequences) and not more:
            flow["go_backwards"] = True
        layer = getattr(self.layers, kind)(**self.cell_options(kind), **flow)
        if form == "bidirectional":
            return self.layers.Bidirectional(layer, merge_mode=self.one("concat", "sum", "mul", "ave"))
        return layer

    def between(self):
        """A layer of sequences to sequences that is no recurrent one."""
        layers = self.layers
        known = [
            lambda: layers.Dense(4, activation=self.one("relu", "tanh", "hard_sigmoid", "softmax")),
            lambda: layers.TimeDistributed(layers.Dense(3)),
            lambda: layers.Dropout(0.3),
            lambda: layers.SpatialDropout1D(0.3),
            lambda: layers.LayerNormalization(),
            lambda: layers.BatchNormalization(scale=self.flip()),
            lambda: layers.Activation("elu"),
            lambda: layers.LeakyReLU(),
            lambda: layers.GaussianNoise(0.1),
        ]
        if not self.masked:
            known += [
                lambda: layers.Conv1D(4, 3, padding=self.one("same", "valid", "causal"), activation="relu"),
                lambda: layers.MaxPooling1D(2, padding="same", strides=1),
                lambda: layers.AveragePooling1D(2, strides=1, padding="same"),
                lambda: layers.ZeroPadding1D(1),
                lambda: layers.UpSampling1D(2),
                lambda: layers.ReLU(max_value=2.0),
            ]
        return self.one(*known)()

    def source(self):
        """An input and the sequences made of it."""
        kind = self.one("tokens", "tokens", "masked", "floats")
        self.masked = kind == "masked" or (kind == "tokens" and self.flip())
        if kind == "tokens":
            tensor = self.keras.Input((None,), dtype="int32" if self.flip() else "float32")
            return tensor, self.layers.Embedding(11, 4, mask_zero=self.masked)(tensor)
        tensor = self.keras.Input((STEPS if self.flip() and not self.masked else None, 3))
        return tensor, self.layers.Masking(0.0)(tensor) if kind == "masked" else tensor

    def head(self, x):
        """From sequences to an output."""
        layers = self.layers
        kind = self.one("last", "last", "steps", "mean", "max")
        if kind == "steps":
            return layers.Dense(2)(x)
        if kind == "mean":
            return layers.Dense(2)(layers.GlobalAveragePooling1D()(x))
        if kind == "max" and not self.masked:
            return layers.Dense(2)(layers.GlobalMaxPooling1D()(x))
        return layers.Dense(2, activation="softmax")(self.recurrent(False)(x))

    def chain(self):
        """A Sequential, or the same as a functional model."""
        start, x = self.source()
        for _ in range(self.draw.integers(1, 4)):
            x = self.recurrent(True)(x) if self.flip() else self.between()(x)
        return [start], [self.head(x)]

    def coder(self):
        """An encoder whose states start a decoder, with attention."""
        layers = self.layers
        start, x = self.source()
        kind, options = self.one("LSTM", "GRU"), None
        options = self.cell_options(kind)
        made = getattr(layers, kind)(**options, return_sequences=True, return_state=True)(x)
        values, states = made[0], list(made[1:])
        target = self.keras.Input((None, 3))
        y = getattr(layers, kind)(**options, return_sequences=True)(target, initial_state=states)
        context = self.one(layers.Attention, layers.AdditiveAttention)()([y, values])
        self.masked = False
        return [start, target], [layers.Dense(2)(layers.Concatenate()([y, context])), layers.Dense(1)(states[0])]

    def branches(self):
        """Shared layers, models in models, several outputs."""
        layers, keras = self.layers, self.keras
        first, second = keras.Input((None, 3)), keras.Input((None, 3))
        shared = self.recurrent(True)
        x, y = shared(first), shared(second)
        joined = self.one(layers.Add, layers.Multiply, layers.Average, layers.Maximum, layers.Concatenate)()([x, y])
        width = int(joined.shape[-1])
        inner = keras.Sequential([keras.Input((None, width)), layers.BatchNormalization(), layers.Dense(3),
                                  layers.Dropout(0.2), self.recurrent(False), layers.Dense(2)])  # fmt: skip
        point = keras.Input((width,))
        deep = keras.Model(point, layers.Dense(2)(layers.Dense(3, activation="relu")(point)))
        return [first, second], [inner(joined), layers.TimeDistributed(deep)(x) if width == x.shape[-1] else x]

    def model(self):
        kind = (self.chain, self.chain, self.chain, self.coder, self.branches)[self.seed % 5]
        inputs, outputs = kind()
        made = self.keras.Model(inputs, outputs if len(outputs) > 1 else outputs[0])
        if kind == self.chain and self.flip():
            made = self.keras.Sequential(made.layers)
        weights = []
        for weight in made.weights:
            value = self.draw.standard_normal(weight.shape) * 0.3
            weights.append(np.abs(value) + 0.5 if "variance" in getattr(weight, "path", weight.name) else value)
        made.set_weights(weights)
        if self.flip(0.3):
            made.compile("adam", "mse")
        return made

    def data(self, model):
        lengths = self.draw.integers(1, STEPS + 1, BATCH)
        lengths[0] = STEPS
        steps = np.arange(STEPS) < lengths[:, None]
        arrays = []
        for tensor in model.inputs:
            if len(tensor.shape) == 2:
                arrays.append(self.draw.integers(1, 11, (BATCH, STEPS)) * steps)
            else:
                x = self.draw.standard_normal((BATCH, STEPS, 3)).astype(np.float32)
                arrays.append(x * steps[..., None] if self.masked else x)
        return arrays, lengths if self.masked else np.full(BATCH, STEPS)


def listed(value):
    return list(value) if isinstance(value, list | tuple) else [value]


def main(module, folder, first, last):
    keras = __import__(module)
    for seed in range(int(first), int(last)):
        zoo = Zoo(keras, seed)
        keras.backend.clear_session()
        model = zoo.model()
        arrays, lengths = zoo.data(model)
        outputs = listed(model.predict(arrays if len(arrays) > 1 else arrays[0], verbose=0))
        assert all(np.isfinite(y).all() for y in outputs), seed
        name = os.path.join(folder, f"m{seed}")
        model.save(f"{name}.keras")
        model.save(f"{name}.h5")
        model.save_weights(f"{name}.weights.h5")
        if zoo.old:
            model.save_weights(f"{name}-weights.h5", save_format="h5")
        np.savez(f"{name}.npz", lengths=lengths, masked=zoo.masked, **{f"x{i}": x for i, x in enumerate(arrays)},
                 **{f"y{i}": y for i, y in enumerate(outputs)})  # fmt: skip


def check(module, folder):
    keras = __import__(module)
    for path in sorted(glob.glob(os.path.join(folder, "*.out.keras"))):
        data = np.load(path.replace(".out.keras", ".npz"))
        inputs = [data[key] for key in sorted(data) if key.startswith("x")]
        model = keras.models.load_model(path)
        outputs = listed(model.predict(inputs if len(inputs) > 1 else inputs[0], verbose=0))
        np.savez(path.replace(".out.keras", ".back.npz"), **{f"y{i}": y for i, y in enumerate(outputs)})
        weights = path.replace(".out.keras", ".out.weights.h5")
        before = model.get_weights()
        model.set_weights([np.zeros_like(w) for w in before])
        model.load_weights(weights)
        assert all((a == b).all() for a, b in zip(before, model.get_weights(), strict=True)), path


if __name__ == "__main__":
    check(*sys.argv[1:3]) if sys.argv[3] == "check" else main(*sys.argv[1:])
