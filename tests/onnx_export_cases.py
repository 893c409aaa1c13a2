"""What the tests of writing ONNX files share: ONNX Runtime on a model's graph, and random models."""

import numpy as np

import recurra
from recurra.layers import LAYERS

TOLERANCE = 2e-5  # of float32 outputs


def runtime(proto, feed):
    """Outputs of ONNX Runtime."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(proto.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session.run(None, feed)


def feed_of(model, inputs, lengths=None):
    """What a runtime is given: inputs by name, and lengths where there are some."""
    feed = dict(zip(model.input_names, inputs, strict=True))
    for name, some in zip(model.input_names, lengths or (), strict=False):
        if some is not None:
            feed["lengths" if len(inputs) == 1 else f"{name}_lengths"] = np.asarray(some, np.int64)
    return feed


def called(model, inputs, lengths=None):
    """Outputs of the model itself, as a list."""
    given = {} if lengths is None else {"lengths": lengths if model.merges else lengths[0]}
    outputs = model(inputs if model.merges else inputs[0], **given)
    return outputs if isinstance(outputs, list) else [outputs]


def assert_agrees(model, inputs, lengths=None, run=runtime, tolerance=TOLERANCE, **options):
    """A model's graph passes the checker and computes what the model computes."""
    import onnx

    from recurra.onnx.export import to_proto

    proto = to_proto(model, lengths=lengths is not None, **options)
    onnx.checker.check_model(proto, full_check=True)
    outputs = run(proto, feed_of(model, inputs, lengths))
    expected = called(model, inputs, lengths)
    assert len(outputs) == len(expected)
    for output, wanted in zip(outputs, expected, strict=True):
        assert output.shape == wanted.shape
        np.testing.assert_allclose(output, wanted, rtol=tolerance, atol=tolerance)
    return proto


def drawn(layer, inputs):
    """A model of one layer, its inputs open in batch and time where the layer allows; and of what reads its lengths."""
    shapes = [x.shape[1:] if layer.sized else (None,) * (x.ndim - 2) + x.shape[-1:] for x in inputs]
    if layer.integer_input:
        shapes = [(None,) * (x.ndim - 1) for x in inputs]
    tensors = [recurra.Input(shape, dtype=str(x.dtype)) for shape, x in zip(shapes, inputs, strict=True)]
    y = layer(tensors if layer.merges else tensors[0])
    return recurra.Model(tensors, [y, recurra.GlobalAveragePooling1D()(y)] if len(y.shape) == 3 and y.shape[2] else y)


# Random models


ACTIVATIONS = ("tanh", "sigmoid", "relu", "softsign", "softplus", "hard_sigmoid", ("elu", 0.7), ("leaky_relu", 0.2),
               ("thresholded_relu", 0.3), ("scaled_tanh", 1.2, 0.8), ("affine", 0.6, 0.1), "linear")  # fmt: skip
GATES = ("sigmoid", "hard_sigmoid", "softsign", ("hard_sigmoid", 0.2, 0.5))


def pick(rng, choices):
    return choices[int(rng.integers(len(choices)))]


def random_recurrent(rng, **options):
    """A recurrent layer with options that ONNX's operators have."""
    name = pick(rng, ("RNN", "GRU", "LSTM"))
    options |= {
        "units": int(rng.integers(1, 51)),
        "num_layers": int(rng.integers(1, 3)),
        "use_bias": bool(rng.random() < 0.8),
        "trainable_initial_state": bool(rng.random() < 0.3),
        "activation": pick(rng, ACTIVATIONS[:7]) if rng.random() < 0.4 else "tanh",
        "clip": float(rng.uniform(0.3, 2.0)) if rng.random() < 0.2 else None,
        "dropout": 0.2 if rng.random() < 0.2 else 0.0,
        "seed": int(rng.integers(2**31)),
    }
    if rng.random() < 0.4:
        options |= {"bidirectional": True, "merge_mode": pick(rng, ("concat", "sum", "mul", "ave"))}
    else:
        options["go_backwards"] = bool(rng.random() < 0.3)
    if name != "RNN" and rng.random() < 0.3:
        options["recurrent_activation"] = pick(rng, GATES)
    if name == "GRU":
        options["reset_after"] = bool(rng.random() < 0.5)
    if name == "LSTM":
        options |= {"use_peepholes": bool(rng.random() < 0.3), "input_forget": bool(rng.random() < 0.3)}
        options["output_activation"] = pick(rng, ACTIVATIONS[:7]) if rng.random() < 0.2 else None
    return LAYERS[name](**options)


def random_step(rng, x):
    """A layer between recurrent ones, called on (batch, time, features)."""
    features, seed = x.shape[-1], int(rng.integers(2**31))
    makers = (
        lambda: recurra.Dense(int(rng.integers(1, 51)), activation=pick(rng, ACTIVATIONS), seed=seed),
        lambda: recurra.Conv1D(
            int(rng.integers(1, 20)), int(rng.integers(1, 5)), padding=pick(rng, ("same", "causal")),
            activation=pick(rng, ACTIVATIONS), strides=int(rng.integers(1, 3)), seed=seed,
        ),
        lambda: recurra.LayerNormalization(),
        lambda: recurra.BatchNormalization(),
        lambda: recurra.MaxPooling1D(2, padding="same"),
        lambda: recurra.AveragePooling1D(3, strides=1, padding="same"),
        lambda: recurra.TimeDistributed(recurra.Dense(int(rng.integers(1, 20)), activation="relu", seed=seed)),
        lambda: recurra.ZeroPadding1D((int(rng.integers(0, 3)), 0)),
        lambda: recurra.UpSampling1D(2),
        lambda: recurra.SpatialDropout1D(0.2),
        lambda: recurra.Softmax(),
        lambda: recurra.ReLU(max_value=1.0, negative_slope=0.1, threshold=0.2),
        lambda: recurra.Normalization(mean=0.1, variance=[0.5] * features),
    )  # fmt: skip
    return pick(rng, makers)()(x)


def random_model(rng):
    """A random graph and its inputs and lengths: masks, stacks, states passed on, attention, branches."""
    N, T, F = int(rng.integers(1, 5)), int(rng.integers(3, 12)), int(rng.integers(1, 51))
    masked = pick(rng, ("none", "lengths", "masking", "embedding"))
    lengths = rng.integers(0, T + 1, N)
    if masked == "embedding":
        tensor, x = recurra.Input((None,)), rng.integers(1, 30, (N, T))
        x[np.arange(T) >= lengths[:, None]] = 0
        y = recurra.Embedding(30, F, mask_zero=True, seed=1)(tensor)
    else:
        tensor, x = recurra.Input((None, F)), rng.standard_normal((N, T, F)).astype(np.float32)
        y = tensor
        if masked == "masking":
            x[np.arange(T) >= lengths[:, None]] = 0.0
            y = recurra.Masking()(tensor)
    for _ in range(int(rng.integers(0, 3))):
        y = random_step(rng, y)
    sequences = random_recurrent(rng, return_sequences=True)(y)
    for _ in range(int(rng.integers(0, 2))):
        sequences = random_step(rng, sequences)
    outputs = [random_end(rng, sequences)]
    if rng.random() < 0.3:
        outputs.append(recurra.Dense(3, seed=2)(sequences))
    model = recurra.Model(tensor, outputs)
    shaken(rng, model)
    return model, [x], [lengths] if masked == "lengths" else None


def random_end(rng, sequences):
    """What reads all steps: a last layer, pooling, attention, or a decoder that starts from final states."""
    kind = pick(rng, ("last", "pool", "attention", "states"))
    if kind == "pool":
        pools = (recurra.GlobalAveragePooling1D, recurra.GlobalMaxPooling1D)
        return recurra.Dense(2, activation="softmax", seed=3)(pick(rng, pools)()(sequences))
    if kind == "attention":
        layer = pick(rng, (recurra.Attention(use_scale=True), recurra.AdditiveAttention(), recurra.Attention(False)))
        return layer([sequences, sequences])
    if kind == "states":
        _, *states = recurra.LSTM(5, return_state=True, seed=4)(sequences)
        decoder = recurra.LSTM(5, return_sequences=True, seed=5)
        return recurra.Add()([decoder(sequences, initial_state=states), decoder(sequences)])
    return random_recurrent(rng)(sequences)


def shaken(rng, model):
    """Give every parameter another value: zeros and ones hide what is swapped."""
    for name, view in model.parameters.items():
        shift = rng.uniform(-0.3, 0.3, view.shape)
        view[...] = np.abs(view + shift) + 0.1 if "variance" in name else view + shift
