"""Keras on TensorFlow: its layers inside one traced function, as its own loops run them."""

import os

import numpy as np

from recurra.bench.cases import Case
from recurra.bench.sides import Prepared

from .common import flat, parameters, reordered, silenced, stepping, suffixes, threads, use_only_these_cpus, valid

# Our gates r z n in the order of Keras: z r h.
ORDER = {"lstm": (0, 1, 2, 3), "gru": (1, 0, 2), "rnn": (0,)}


def serves(case: Case) -> bool:
    """Neither peepholes, projection nor layer normalisation in the cell."""
    return not case.options


def prepare(case: Case) -> Prepared:
    """Prepare the layers and the traced function."""
    use_only_these_cpus()
    os.environ.update(KERAS_BACKEND="tensorflow", TF_CPP_MIN_LOG_LEVEL="3", CUDA_VISIBLE_DEVICES="")
    with silenced():
        import keras
        import tensorflow as tf

        tf.config.threading.set_intra_op_parallelism_threads(threads())
        tf.config.threading.set_inter_op_parallelism_threads(1)
        tf.zeros(1)  # starts the runtime
    data, order = case.data(), ORDER[case.cell]
    kind = {"lstm": keras.layers.LSTM, "gru": keras.layers.GRU, "rnn": keras.layers.SimpleRNN}[case.cell]
    x, dy = tf.constant(data.x), tf.constant(data.dy)
    counts = valid(case)
    mask = None if counts is None else tf.constant(counts[..., 0])

    layers = []
    for _ in range(case.layers):
        layer = kind(case.units, return_sequences=True, dtype=case.dtype)
        layers.append(keras.layers.Bidirectional(layer) if case.bidirectional else layer)
    shape = data.x.shape
    for layer, ways in zip(layers, suffixes(case), strict=True):
        layer.build(shape)
        layer.set_weights([array for way in ways for array in _keras_weights(case, parameters(case), way, order)])
        shape = (*shape[:2], case.units * len(ways))

    def network(x):
        for layer in layers:
            x = layer(x, mask=mask) if mask is not None else layer(x)
        return x

    @tf.function
    def forward():
        return network(x)

    variables = [variable for layer in layers for variable in layer.trainable_variables]

    @tf.function
    def training():
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = network(x)
        weight = dy if mask is None else dy * tf.cast(mask[..., None], dy.dtype)
        return y, tape.gradient(y, [x, *[variable.value for variable in variables]], output_gradients=weight)

    if case.stream:
        return _stream(tf, layers[0].cell, x[:, 0], case)

    def counted(array):
        return array if counts is None else array * counts

    def outputs():
        if not case.training:
            return (counted(forward().numpy()),)
        y, (dx, *gradients) = training()
        named, arrays = {}, [gradient.numpy() for gradient in gradients]
        for ways in suffixes(case):
            for way in ways:
                named |= _our_names(case, arrays[:3], way, order)
                arrays = arrays[3:]
        return counted(y.numpy()), dx.numpy(), flat(case, named)

    return Prepared(lambda: training() if case.training else forward(), outputs)


def _keras_weights(case: Case, arrays: dict[str, np.ndarray], way: str, order: tuple[int, ...]) -> list[np.ndarray]:
    """Kernel (I, G * H), recurrent kernel (H, G * H), and the bias: one sum, of a GRU both."""
    ih, hh, b, c = (reordered(arrays[name + way], order) for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"))
    return [ih.T, hh.T, np.stack([b, c]) if case.cell == "gru" else b + c]


def _our_names(case: Case, arrays: list[np.ndarray], way: str, order: tuple[int, ...]) -> dict[str, np.ndarray]:
    """Gradients in Keras's layout under PyTorch's names."""
    back = tuple(int(gate) for gate in np.argsort(order))
    kernel, recurrent, bias = arrays
    both = bias if case.cell == "gru" else (bias, bias)
    return {
        "weight_ih" + way: reordered(kernel.T, back),
        "weight_hh" + way: reordered(recurrent.T, back),
        "bias_ih" + way: reordered(both[0], back),
        "bias_hh" + way: reordered(both[1], back),
    }


def _stream(tf, cell, x, case: Case) -> Prepared:
    @tf.function
    def advance(*states):
        return cell(x, list(states))

    def zeros():
        return [tf.zeros((case.rows, case.units)) for _ in range(2 if case.cell == "lstm" else 1)]

    state = [zeros()]

    def step():
        y, state[0] = advance(*state[0])
        return y

    def reset():
        state[0] = zeros()

    return stepping(step, reset)
