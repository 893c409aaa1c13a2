"""Models for the tests of the runtime: one of every layer and variant that it has, and random chains of them."""

from __future__ import annotations

import functools

import numpy as np

import recurra

CELLS = {"lstm": recurra.LSTM, "gru": recurra.GRU, "rnn": recurra.RNN}
ACTIVATIONS = ["tanh", "sigmoid", "relu", "hard_sigmoid", "softsign", "softplus", "elu", ("leaky_relu", 0.2), "linear"]

# Variants of the recurrent layers, by the cells that have them.
VARIANTS = {
    "plain": ("lstm gru rnn", {}),
    "two layers": ("lstm gru rnn", {"num_layers": 2}),
    "no bias": ("lstm gru rnn", {"use_bias": False}),
    "layer norm": ("lstm gru rnn", {"layer_norm": True}),
    "clip": ("lstm gru rnn", {"clip": 0.3}),
    "zoneout": ("lstm gru rnn", {"zoneout": 0.2}),
    "learned start": ("lstm gru rnn", {"trainable_initial_state": True}),
    "activation": ("lstm gru rnn", {"activation": "softsign"}),
    "activation with a number": ("lstm gru rnn", {"activation": ("leaky_relu", 0.3)}),
    "gate activation": ("lstm gru", {"recurrent_activation": "hard_sigmoid"}),
    "reset before": ("gru", {"reset_after": False}),
    "reset before, layer norm": ("gru", {"reset_after": False, "layer_norm": True}),
    "peepholes": ("lstm", {"use_peepholes": True}),
    "coupled": ("lstm", {"input_forget": True}),
    "coupled peepholes": ("lstm", {"input_forget": True, "use_peepholes": True}),
    "projection": ("lstm", {"proj_size": 3}),
    "cell clip": ("lstm", {"cell_clip": 0.2}),
    "two zoneouts": ("lstm", {"zoneout": (0.1, 0.4)}),
    "output activation": ("lstm", {"output_activation": "sigmoid"}),
}
RECURRENT = {
    f"{cell}, {name}": functools.partial(CELLS[cell], 7, **options)
    for name, (cells, options) in VARIANTS.items()
    for cell in cells.split()
}

# Layers that look at one step at a time, or remember what they need of earlier ones.
STREAMING = {
    "Dense": lambda: recurra.Dense(5),
    "Dense softmax": lambda: recurra.Dense(9, activation="softmax", use_bias=False),
    "Activation": lambda: recurra.Activation(("scaled_tanh", 1.7, 0.6)),
    "ReLU": lambda: recurra.ReLU(0.5, 0.1, 0.05),
    "LeakyReLU": lambda: recurra.LeakyReLU(0.15),
    "ELU": lambda: recurra.ELU(0.7),
    "Softmax": lambda: recurra.Softmax(),
    "Dropout": lambda: recurra.Dropout(0.5),
    "SpatialDropout1D": lambda: recurra.SpatialDropout1D(0.5),
    "GaussianDropout": lambda: recurra.GaussianDropout(0.5),
    "GaussianNoise": lambda: recurra.GaussianNoise(0.5),
    "LayerNormalization": lambda: recurra.LayerNormalization(),
    "LayerNormalization bare": lambda: recurra.LayerNormalization(center=False, scale=False, epsilon=1e-5),
    "BatchNormalization": lambda: recurra.BatchNormalization(),
    "Normalization": lambda: recurra.Normalization(),
    "Normalization of all": lambda: recurra.Normalization(axis=None, invert=True),
    "Conv1D": lambda: recurra.Conv1D(4, 3, padding="causal", dilation_rate=2, activation="sigmoid"),
    "Conv1D single": lambda: recurra.Conv1D(4, 1, padding="causal", use_bias=False),
    "TimeDistributed": lambda: recurra.TimeDistributed(recurra.Dense(3, activation="relu")),
    "Sequential": lambda: recurra.Sequential([recurra.Dense(4), recurra.GRU(3, return_sequences=True)]),
    "RecurrentStack": lambda: recurra.RNN([recurra.LSTMCell(4), recurra.GRUCell(3)], return_sequences=True),
}

# Layers that need whole sequences.
WHOLE = {
    f"{cell}, {merge}": functools.partial(
        lambda cell, merge: recurra.Bidirectional(CELLS[cell](5, num_layers=2, return_sequences=True), merge),
        cell,
        merge,
    )
    for cell in CELLS
    for merge in ("concat", "sum", "mul", "ave")
} | {
    "go_backwards": lambda: recurra.LSTM(5, num_layers=2, go_backwards=True, return_sequences=True),
    "last of both": lambda: recurra.LSTM(5, bidirectional=True, trainable_initial_state=True),
}

# Layers of recurra.layers.LAYERS that the runtime refuses, with arguments where they need some.
REFUSED = {
    *("CellRNN", "CRF", "AveragePooling1D", "Cropping1D", "Dot", "Flatten"),
    *("GlobalAveragePooling1D", "GlobalMaxPooling1D", "MaxPooling1D", "Permute", "RepeatVector", "Reshape"),
    *("UpSampling1D", "ZeroPadding1D"),
}


def randomized(model, features, rng):
    """Build a model and give it weights that are all in use: biases, statistics and learned states too."""
    model.build((None, None) if features is None else (None, None, features))
    return fill(model, rng)


def fill(model, rng):
    """Give a built model such weights."""
    model._allocate()
    for name, values in model._views[0].items():
        least = 0.2 if name.endswith(("variance", "gamma")) or "_ln_" in name else -0.6
        values[...] = rng.uniform(least, 0.6, values.shape)
    return model


def random_chain(rng):
    """Return a random model and the number of its features (None: integers below 20)."""
    width = lambda: int(rng.integers(1, 201) if rng.random() < 0.3 else rng.integers(1, 40))  # noqa: E731
    layers, features = [], int(rng.integers(1, 60))
    if rng.random() < 0.15:
        layers, features = [recurra.Embedding(20, width(), mask_zero=bool(rng.random() < 0.5))], None
    for _ in range(rng.integers(1, 4)):
        kind = rng.random()
        if kind < 0.6:
            layers.append(random_recurrent(rng, width()))
        elif kind < 0.8:
            layers.append(list(STREAMING.values())[rng.integers(len(STREAMING))]())
        else:
            layers.append(recurra.Dense(width(), activation=ACTIVATIONS[rng.integers(len(ACTIVATIONS))]))
    if rng.random() < 0.3:
        layers.append(random_recurrent(rng, width(), last=True))
    layers.append(recurra.Dense(width(), activation="softmax" if rng.random() < 0.3 else None))
    return recurra.Sequential(layers), features


def random_recurrent(rng, units, last=False):
    """Return a recurrent layer of random variants."""
    cell = list(CELLS)[rng.integers(3)]
    options = {}
    for cells, some in VARIANTS.values():
        if cell in cells.split() and rng.random() < 0.12:
            options.update(some)
    if "proj_size" in options:
        options["proj_size"] = int(rng.integers(1, units + 1))
    layer = CELLS[cell](units, return_sequences=not last, **options)
    return recurra.Bidirectional(layer) if rng.random() < 0.15 else layer


def inputs(rng, features, batch, steps, dtype=np.float32):
    """Return inputs of a model of `random_chain`; integers are all above 0, the padding of a mask."""
    if features is None:
        return rng.integers(1, 20, (batch, steps))
    return rng.standard_normal((batch, steps, features)).astype(dtype)


def saved(tmp_path, model):
    """Save a model and return its path."""
    path = tmp_path / "model.safetensors"
    model.save(path)
    return path


def compare(model, features, tmp_path, rng, batch=3, steps=6):
    """Both whole, with lengths, in two stretches, and step by step; tolerance: none, the bits agree.

    Returns what the runtime loaded. A chain is compared with its stream and the stream's states, a graph, which has
    none in Python, with its own outputs for ever longer beginnings.
    """
    loaded = recurra.runtime.Model(saved(tmp_path, model))
    x = inputs(rng, features, batch, steps, model.dtype)
    lengths = rng.integers(0, steps + 1, batch)
    whole = model(x)
    np.testing.assert_array_equal(loaded(x), whole, strict=True)
    np.testing.assert_array_equal(loaded(x, lengths), model(x, lengths=lengths), strict=True)
    if not loaded.can_step:
        return loaded
    again, mine = loaded.stream(batch), loaded.stream(batch)
    stream = model.stream(batch) if isinstance(model, recurra.Sequential) else None
    for t in range(steps):
        now = np.ascontiguousarray(x[:, t])
        if stream is not None:
            wanted = stream.step(now)
        else:
            wanted = whole[:, t] if loaded.gives_sequence else model(x[:, : t + 1])
        np.testing.assert_array_equal(mine.step(now), wanted, strict=True)
    halves = [again.run(x[:, :2]), again.run(x[:, 2:])]
    np.testing.assert_array_equal(np.concatenate(halves, 1) if loaded.gives_sequence else halves[1], whole)
    theirs = again.get_state() if stream is None else stream.get_state()
    for a, b, c in zip(theirs, mine.get_state(), again.get_state(), strict=True):
        np.testing.assert_array_equal(a.reshape(b.shape), b)
        np.testing.assert_array_equal(b, c)
    return loaded
