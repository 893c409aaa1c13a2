"""Weights in Keras's files: layouts made by hand as Keras documents them, and our own files read again."""

import numpy as np
import pytest

import recurra
from keras_files import cudnn, legacy, random
from recurra.keras import hdf5

h5py = pytest.importorskip("h5py")

GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}


def sigmoid(x):
    return 1.0 / (1.0 + np.exp(-x))


def keras_lstm(x, kernel, recurrent, bias):
    """LSTM as Keras writes it: gates i, f, c, o in columns; returns the last h."""
    h = c = np.zeros((len(x), recurrent.shape[0]))
    for t in range(x.shape[1]):
        i, f, g, o = np.split(x[:, t] @ kernel + h @ recurrent + bias, 4, axis=1)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
    return h


def keras_gru(x, kernel, recurrent, bias, after):
    """GRU as Keras writes it: gates z, r, h in columns; returns the last h."""
    units = recurrent.shape[0]
    h = np.zeros((len(x), units))
    inner, outer = bias if after else (bias, np.zeros_like(bias))
    for t in range(x.shape[1]):
        xz, xr, xh = np.split(x[:, t] @ kernel + inner, 3, axis=1)
        hz, hr, hh = np.split(h @ recurrent + outer, 3, axis=1)
        z, r = sigmoid(xz + hz), sigmoid(xr + hr)
        new = np.tanh(xh + r * hh) if after else np.tanh(xh + (r * h) @ recurrent[:, 2 * units :])
        h = z * h + (1 - z) * new
    return h


@pytest.fixture
def generator():
    return np.random.default_rng(0)


def test_lstm_weights_of_a_legacy_file_compute_what_keras_computes(tmp_path, generator):
    kernel, recurrent, bias = random(generator, 3, 20), random(generator, 5, 20), random(generator, 20)
    names = ["lstm/lstm_cell/kernel:0", "lstm/lstm_cell/recurrent_kernel:0", "lstm/lstm_cell/bias:0"]
    legacy(h5py, tmp_path / "a.h5", {"lstm": dict(zip(names, [kernel, recurrent, bias], strict=True)), "drop": {}})
    model = recurra.Sequential([recurra.Input((None, 3)), recurra.LSTM(5), recurra.Dropout(0.5)])
    model.load_weights(tmp_path / "a.h5")
    x = random(generator, 2, 7, 3)
    assert np.abs(model(x) - keras_lstm(x, kernel, recurrent, bias)).max() < 1e-6


@pytest.mark.parametrize("after", [True, False])
def test_gru_weights_of_a_legacy_file_compute_what_keras_computes(tmp_path, generator, after):
    kernel, recurrent = random(generator, 3, 15), random(generator, 5, 15)
    bias = random(generator, 2, 15) if after else random(generator, 15)
    legacy(h5py, tmp_path / "a.h5", {"gru": {"k": kernel, "r": recurrent, "b": bias}}, under="model_weights")
    model = recurra.Sequential([recurra.Input((None, 3)), recurra.GRU(5, reset_after=after)])
    model.load_weights(tmp_path / "a.h5")
    x = random(generator, 2, 7, 3)
    assert np.abs(model(x) - keras_gru(x, kernel, recurrent, bias, after)).max() < 1e-6


@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
def test_weights_of_layers_for_cudnn_become_those_of_the_plain_layer(tmp_path, generator, kind):
    gates = GATES[kind]
    kernel, recurrent, bias = (random(generator, size, 5 * gates) for size in (3, 5, 2))
    turned, back = cudnn(kernel, recurrent, gates)
    weights = {"kernel:0": turned, "recurrent_kernel:0": back, "bias:0": bias.reshape(-1)}
    legacy(h5py, tmp_path / "a.hdf5", {"rnn_1": weights})
    model = recurra.Sequential([recurra.Input((None, 3)), getattr(recurra, kind)(5, name="rnn_1")])
    model.load_weights(tmp_path / "a.hdf5", by_name=True)
    x = random(generator, 2, 7, 3)
    lstm = kind == "LSTM"
    y = keras_lstm(x, kernel, recurrent, bias.sum(axis=0)) if lstm else keras_gru(x, kernel, recurrent, bias, True)
    assert np.abs(model(x) - y).max() < 1e-6


def test_by_name_takes_the_layers_that_both_have_and_leaves_the_others(tmp_path, generator):
    kernel, bias = random(generator, 4, 2), random(generator, 2)
    legacy(h5py, tmp_path / "a.h5", {"elsewhere": {"k": random(generator, 9, 9)}, "out": {"k": kernel, "b": bias}})
    model = recurra.Sequential([recurra.Input((3,)), recurra.Dense(4, name="first"), recurra.Dense(2, name="out")])
    before = model.get_weights()
    model.load_weights(tmp_path / "a.h5", by_name=True)
    after = model.get_weights()
    assert (after[0] == before[0]).all()
    assert (after[1] == before[1]).all()
    assert (after[2] == kernel.T).all()
    assert (after[3] == bias).all()
    with pytest.raises(ValueError, match=r"a\.h5: expected names of the model's layers, dense, got elsewhere, out"):
        recurra.Sequential([recurra.Input((3,)), recurra.Dense(2)]).load_weights(tmp_path / "a.h5", by_name=True)


def test_frozen_and_moving_weights_of_an_inner_model_come_after_those_that_train(tmp_path, generator):
    inner = recurra.Sequential([recurra.Input((3,)), recurra.BatchNormalization(), recurra.Dense(2)], name="inner")
    model = recurra.Sequential([recurra.Input((3,)), inner])
    gamma, beta, kernel, bias = (random(generator, *shape) for shape in ((3,), (3,), (3, 2), (2,)))
    mean, variance = random(generator, 3), random(generator, 3) ** 2
    arrays = dict(zip("abcdef", [gamma, beta, kernel, bias, mean, variance], strict=True))
    legacy(h5py, tmp_path / "a.h5", {"inner": arrays})
    model.load_weights(tmp_path / "a.h5")
    x = random(generator, 4, 3)
    expected = ((x - mean) / np.sqrt(variance + 1e-3) * gamma + beta) @ kernel + bias
    assert np.abs(model(x) - expected).max() < 1e-5


def test_names_cut_into_pieces_are_joined(tmp_path, generator):
    kernel, bias = random(generator, 3, 2), random(generator, 2)
    path = tmp_path / "a.h5"
    legacy(h5py, path, {"a": {"k": kernel, "b": bias}, "b": {"k": kernel[:2], "b": bias}})
    with h5py.File(path, "a") as file:
        names = file.attrs.pop("layer_names")
        file.attrs["layer_names0"], file.attrs["layer_names1"] = names[:1], names[1:]
    model = recurra.Sequential([recurra.Input((3,)), recurra.Dense(2), recurra.Dense(2)])
    model.load_weights(path)
    assert (model.get_weights()[2] == kernel[:2].T).all()


def layers_of_all_kinds():
    return [
        recurra.Embedding(11, 4),
        recurra.LSTM(5, return_sequences=True),
        recurra.Bidirectional(recurra.GRU(3, return_sequences=True)),
        recurra.RNN([recurra.LSTMCell(4), recurra.GRUCell(3, reset_after=False)], return_sequences=True),
        recurra.Conv1D(4, 2),
        recurra.LayerNormalization(),
        recurra.BatchNormalization(),
        recurra.TimeDistributed(recurra.Dense(3)),
        recurra.LSTM(4, use_bias=False),
        recurra.Normalization(),
        recurra.Dense(2),
    ]


def test_weights_written_for_keras_3_are_read_again(tmp_path, generator):
    models = [recurra.Sequential([recurra.Input((None,)), *layers_of_all_kinds()]) for _ in range(2)]
    models[0].set_weights([np.abs(random(generator, *w.shape)) for w in models[0].get_weights()])
    models[0].save_weights(tmp_path / "a.weights.h5")
    models[1].load_weights(tmp_path / "a.weights.h5")
    x = generator.integers(0, 11, (3, 9))
    assert np.abs(models[0](x) - models[1](x)).max() < 1e-6


def test_a_file_of_other_layers_is_refused_and_the_weights_stay(tmp_path, generator):
    first = recurra.Sequential([recurra.Input((None, 3)), recurra.LSTM(4), recurra.Dense(2)])
    first.save_weights(tmp_path / "a.weights.h5")
    for other in ([recurra.LSTM(5), recurra.Dense(2)], [recurra.GRU(4), recurra.Dense(2)], [recurra.LSTM(4)]):
        model = recurra.Sequential([recurra.Input((None, 3)), *other])
        before = model.get_weights()
        with pytest.raises(ValueError, match=r"a\.weights\.h5: .*expected .*got"):
            model.load_weights(tmp_path / "a.weights.h5")
        assert all((a == b).all() for a, b in zip(before, model.get_weights(), strict=True))


@pytest.mark.parametrize("options", [{"use_peepholes": True}, {"proj_size": 2}, {"clip": 1.0}, {"num_layers": 2}])
def test_what_keras_lacks_is_named(tmp_path, options):
    model = recurra.Sequential([recurra.Input((None, 3)), recurra.LSTM(4, name="odd", **options)])
    with pytest.raises(ValueError, match=f"{next(iter(options))} in 'odd'"):
        model.save_weights(tmp_path / "a.weights.h5")


def test_the_reader_agrees_with_h5py(tmp_path, generator):
    path = tmp_path / "a.h5"
    arrays = {f"g{i % 60}/{kind}{i}": (generator.random((i % 4, 3)) * 9).astype(kind)
              for i, kind in enumerate(["f2", "f4", "f8", ">f4", "i1", "u2", "i4", "i8"] * 20)}  # fmt: skip
    with h5py.File(path, "w") as file:
        for name, array in arrays.items():
            file[name] = array
        big = generator.integers(0, 9, (130, 71))
        file.create_dataset("packed", data=big, chunks=(32, 16), compression="gzip", shuffle=True)
        file.create_dataset("cut", data=big, chunks=(7, 5))
        file.attrs["long"], file.attrs["many"] = "x" * 100_000, np.array([b"a", b"bcd"])
    tree = hdf5.read(path, "a.h5")
    for name, array in arrays.items():
        found = tree.array(name)
        assert found.dtype == array.dtype.newbyteorder("=")
        assert (found == array).all()
        assert found.shape == array.shape
    assert (tree.array("packed") == big).all()
    assert (tree.array("cut") == big).all()
    assert tree.attributes["long"] == "x" * 100_000
    assert tree.attributes["many"] == ["a", "bcd"]
