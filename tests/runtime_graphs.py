"""Graphs for the tests of the runtime: one of everything that a graph can draw, and random ones."""

from __future__ import annotations

import recurra
import runtime_models as models
from recurra.runtime import _abi

FEATURES = 5
JOINS = ["Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum", "Concatenate"]


def skip(x):
    """A residual connection around a layer."""
    h = recurra.Dense(6)(x)
    return recurra.Add()([h, recurra.GRU(6, return_sequences=True)(h)])


def highway(x):
    """A gate of one number a step, which goes with all features."""
    h = recurra.LSTM(7, return_sequences=True)(x)
    return recurra.Multiply()([h, recurra.Dense(1, activation="sigmoid")(x)])


def last_of_two(x):
    """Vectors of two branches side by side, the input's own last step not among them."""
    return recurra.Dense(3)(recurra.Concatenate()([recurra.LSTM(4)(x), recurra.GRU(3)(x)]))


def shared(x):
    """One layer on two series, with states for each."""
    layer = recurra.LSTM(5, num_layers=2, return_sequences=True, trainable_initial_state=True)
    return recurra.Subtract()([layer(recurra.Dense(4)(x)), layer(recurra.Dense(4, activation="tanh")(x))])


def shared_last(x):
    layer = recurra.GRU(5)
    return recurra.Maximum()([layer(x), layer(recurra.Conv1D(FEATURES, 2, padding="causal")(x)), layer(x)])


def shared_by_steps_and_vectors(x):
    dense, relu = recurra.Dense(4), recurra.ReLU(0.1)
    return relu(dense(recurra.LSTM(4)(relu(dense(recurra.LSTM(4, return_sequences=True)(x))))))


def reused_without_weights(x):
    """Instances of joining layers and activations, called on inputs of several sizes."""
    add, tanh = recurra.Add(), recurra.Activation("tanh")
    a = add([recurra.Dense(4)(x), tanh(recurra.Dense(4)(x))])
    return add([tanh(recurra.Dense(6)(a)), recurra.Dense(6)(x), recurra.Dense(1)(x)])


def final_states(x):
    """Final states as vectors of their own."""
    y, h, c = recurra.LSTM(4, return_state=True)(x)
    return recurra.Concatenate()([c, y, h])


def states_of_cells(x):
    layer = recurra.RNN([recurra.LSTMCell(4), recurra.GRUCell(3)], return_sequences=True, return_state=True)
    _, h, c, other = layer(x)
    return recurra.Concatenate()([h, other, c])


def nested(x):
    """A model within the model, called twice; a chain within both."""
    inside = recurra.Input((None, 4))
    chain = recurra.Sequential([recurra.Dense(4), recurra.LSTM(4, return_sequences=True)])
    block = recurra.Model(inside, recurra.Add()([chain(inside), recurra.Dropout(0.5)(inside)]), name="block")
    return block(block(recurra.Dense(4)(x)))


def nested_of_two(x):
    """A model of two inputs and two outputs, one of them a state."""
    a, b = recurra.Input((None, 3)), recurra.Input((None, 2))
    _, h, c = recurra.LSTM(3, return_state=True)(recurra.Concatenate()([a, b]))
    block = recurra.Model([a, b], [c, recurra.Dense(2)(h)])
    return recurra.Concatenate()(block([recurra.Dense(3)(x), recurra.Dense(2)(x)]))


def unchanged(x):
    return recurra.Concatenate()([x, recurra.Dropout(0.3)(x), x])


# Graphs that run step by step.
STREAMING = {
    function.__name__: function
    for function in (
        *(skip, highway, last_of_two, shared, shared_last, shared_by_steps_and_vectors, reused_without_weights),
        *(final_states, states_of_cells, nested, nested_of_two, unchanged),
    )
} | {join: (lambda x, join=join: join_three(x, join)) for join in JOINS}


def join_three(x, join, last=False):
    """Three branches joined, two where the layer takes no more."""
    branches = [recurra.Dense(4)(x), recurra.GRU(4, return_sequences=True)(x), recurra.Activation("tanh")(x)]
    parts = [branches[0], branches[1], recurra.Dense(4)(branches[2])]
    return getattr(recurra, join)()(parts[:2] if join == "Subtract" else parts)


def encoder_decoder(x):
    """The final states of a layer start another one."""
    _, h, c = recurra.LSTM(6, return_state=True)(x)
    return recurra.Dense(3)(recurra.LSTM(6, return_sequences=True)(x, initial_state=[h, c]))


def projected_start(x):
    """A vector through other layers into a state; the learned one counts where none is given."""
    layer = recurra.GRU(4, return_sequences=True, trainable_initial_state=True)
    start = recurra.Dense(4, activation="tanh")(recurra.LSTM(3)(x))
    return recurra.Add()([layer(x), layer(x, initial_state=start)])


def bidirectional_states(x):
    layer = recurra.Bidirectional(recurra.LSTM(3, return_sequences=True, return_state=True, num_layers=2))
    y, *states = layer(x)
    again = recurra.LSTM(3, bidirectional=True, num_layers=2, return_sequences=True)(y, initial_state=states)
    return recurra.Concatenate()([again, y])


def shared_both_ways(x):
    layer = recurra.Bidirectional(recurra.GRU(4, return_sequences=True), "sum")
    return recurra.Minimum()([layer(recurra.Dense(4)(x)), layer(recurra.Dense(4)(x))])


def stack_started(x):
    first = recurra.RNN([recurra.LSTMCell(4), recurra.GRUCell(3)], return_state=True)
    y, *states = first(x)
    second = recurra.RNN([recurra.LSTMCell(4), recurra.GRUCell(3)], return_sequences=True)
    return recurra.Add()([second(x, initial_state=states), y])


def vector_with_every_step(x):
    """What is known behind the last step goes with all of them."""
    return recurra.Dense(3)(recurra.Add()([recurra.LSTM(4)(x), recurra.Dense(4)(x)]))


def attended(x, layer):
    """Attention with keys of their own, and of a series to itself."""
    h = recurra.GRU(6, return_sequences=True)(x)
    looked = layer([recurra.Dense(6)(x), recurra.Dense(3)(x), h])
    return recurra.Concatenate()([looked, layer([h, recurra.Dense(6)(h)])])


ATTENTION = {
    "dot attention": lambda x: attended(x, recurra.Attention()),
    "scaled attention": lambda x: attended(x, recurra.Attention(use_scale=True)),
    "concat attention": lambda x: attended(x, recurra.Attention(score_mode="concat")),
    "scaled concat attention": lambda x: attended(x, recurra.Attention(True, "concat")),
    "additive attention": lambda x: attended(x, recurra.AdditiveAttention()),
    "additive attention without scale": lambda x: attended(x, recurra.AdditiveAttention(use_scale=False)),
    "attention to the input": lambda x: recurra.Attention()([x, x, recurra.Dense(FEATURES)(x)]),
    "attention of one feature": lambda x: recurra.AdditiveAttention()([recurra.Dense(1)(x), recurra.Dense(1)(x)]),
}

# Graphs that need whole sequences.
WHOLE = ATTENTION | {
    function.__name__: function
    for function in (
        *(encoder_decoder, projected_start, bidirectional_states, shared_both_ways, stack_started),
        vector_with_every_step,
    )
}


def draw(function):
    """Return the model that a function of the input draws."""
    x = recurra.Input((None, FEATURES))
    return recurra.Model(x, function(x))


def random_graph(rng):
    """Return a random graph and the number of its features (None: integers below 20)."""
    words = rng.random() < 0.15
    features = None if words else int(rng.integers(1, 40))
    x = recurra.Input((None,) if words else (None, features), dtype="int64" if words else None)
    masks = bool(rng.random() < 0.3)
    series = [recurra.Embedding(20, int(rng.integers(1, 20)), mask_zero=masks)(x) for _ in range(2)] if words else [x]
    layers = {}  # by what they read: to be called again
    for _ in range(rng.integers(2, 9)):
        read = series[rng.integers(len(series))]
        if rng.random() < 0.4 and len(series) > 1:
            series.append(_joined(rng, series) if rng.random() < 0.85 else _attended(rng, series))
        elif rng.random() < 0.25 and read.shape[-1] in layers:
            series.append(layers[read.shape[-1]](read))
        else:
            layer = _random_layer(rng)
            if not getattr(layer, "return_state", False):
                layers[read.shape[-1]] = layer
            series.append(layer(read))
    ends = [series[-1], recurra.GRU(int(rng.integers(1, 20)))(series[rng.integers(len(series))])]
    if rng.random() < 0.3:
        ends.append(_started(rng, x if features else series[0], series[-1]))
    y = ends[rng.integers(len(ends))]
    return recurra.Model(x, recurra.Dense(int(rng.integers(1, 9)))(y)), features


def _random_layer(rng):
    kind, units = rng.random(), int(rng.integers(1, 100) if rng.random() < 0.3 else rng.integers(1, 20))
    if kind < 0.4:
        return models.random_recurrent(rng, units)
    if kind < 0.6:
        return list(models.STREAMING.values())[rng.integers(len(models.STREAMING))]()
    if kind < 0.7:
        inner = [recurra.Dense(units), models.random_recurrent(rng, 1 + units // 2)]
        return recurra.Sequential(inner)
    return recurra.Dense(units, activation=models.ACTIVATIONS[rng.integers(len(models.ACTIVATIONS))])


def _joined(rng, series):
    """Two or three of the series joined, made as wide as each other where the layer wants that."""
    join = JOINS[rng.integers(len(JOINS))]
    count = 2 if join == "Subtract" else int(rng.integers(2, 4))
    parts = [series[rng.integers(len(series))] for _ in range(count)]
    if join != "Concatenate":
        width = parts[0].shape[-1]
        parts = [part if part.shape[-1] in (1, width) else recurra.Dense(width)(part) for part in parts]
    return getattr(recurra, join)()(parts)


def _attended(rng, series):
    query, value = (series[rng.integers(len(series))] for _ in range(2))
    modes = [recurra.AdditiveAttention, recurra.Attention, lambda: recurra.Attention(True, "concat")]
    keys = recurra.Dense(query.shape[-1])(value)
    return modes[rng.integers(3)]()([query, value, keys])


def _started(rng, x, series):
    """A layer that starts from the final states of another one."""
    units, cell = int(rng.integers(1, 20)), list(models.CELLS.values())[rng.integers(3)]
    _, *states = cell(units, return_state=True)(x)
    return cell(units, return_sequences=bool(rng.random() < 0.5))(series, initial_state=states)


def state_of(loaded, index):
    """Return the layer and the name of a loaded model's state."""
    info = _abi.StateInfo()
    _abi.call("model_get_state", loaded._handle, index, info)
    return info.layer, info.name.decode()
