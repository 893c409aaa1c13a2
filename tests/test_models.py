"""Sequential: compile, fit, evaluate, predict, save and load."""

import os
import signal

import numpy as np
import pytest

import recurra


def task(count=96, steps=7, width=3, dtype=np.float32):
    rng = np.random.default_rng(2)
    x = rng.normal(size=(count, steps, width)).astype(dtype)
    return x, x[:, -3:].sum(axis=(1, 2))[:, None].astype(dtype) / 3


def model(units=12, outputs=1, seed=5, **options):
    recurra.set_random_seed(seed)
    return recurra.Sequential([recurra.LSTM(units, **options), recurra.Dense(outputs)])


def compiled(**options):
    m = model(**options)
    m.compile(optimizer="adam", loss="mse")
    return m


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
@pytest.mark.parametrize("layer", [recurra.RNN, recurra.SimpleRNN, recurra.LSTM, recurra.GRU])
def test_fit_learns(layer, optimizer):
    recurra.set_random_seed(1)
    m = recurra.Sequential([layer(16), recurra.Dense(1)])
    m.compile(optimizer=optimizer, loss="mse")
    x, y = task()
    history = m.fit(x, y, batch_size=16, epochs=20, verbose=0)
    assert history.history["loss"][-1] < 0.5 * history.history["loss"][0]
    assert m.evaluate(x, y, verbose=0) < history.history["loss"][0]


@pytest.mark.parametrize("loss", ["categorical_crossentropy", "sparse_categorical_crossentropy"])
def test_fit_learns_classes(loss):
    recurra.set_random_seed(1)
    m = recurra.Sequential([recurra.GRU(16), recurra.Dense(2, activation="softmax")])
    m.compile(optimizer="adam", loss=loss, metrics=["accuracy"])
    x, y = task(count=128)
    labels = (y[:, 0] > 0).astype(np.int64)
    targets = labels if loss.startswith("sparse") else np.eye(2, dtype=np.float32)[labels]
    history = m.fit(x, targets, batch_size=16, epochs=25, verbose=0).history
    assert history["accuracy"][-1] > 0.9


def test_history_has_losses_and_validation_losses_of_every_epoch():
    x, y = task()
    m = compiled()
    history = m.fit(x, y, epochs=3, validation_split=0.25, verbose=0)
    assert sorted(history.history) == ["loss", "val_loss"]
    assert [len(values) for values in history.history.values()] == [3, 3]
    assert history.epoch == [0, 1, 2]
    given = compiled()
    same = given.fit(x[:72], y[:72], epochs=3, validation_data=(x[72:], y[72:]), verbose=0)
    np.testing.assert_allclose(same.history["val_loss"], history.history["val_loss"], rtol=1e-6)


def test_the_same_seed_gives_the_same_weights_bit_for_bit_and_another_seed_others():
    x, y = task()
    found = []
    for seed in (5, 5, 6):
        m = compiled(seed=seed, dropout=0.2, recurrent_dropout=0.1)
        m.fit(x, y, epochs=2, verbose=0)
        found.append(m.predict(x))
    np.testing.assert_array_equal(found[0], found[1])
    assert not np.array_equal(found[0], found[2])


def test_fit_takes_float64_lists_of_numbers_as_keras_does():
    x, y = task(dtype=np.float64)
    m = compiled()
    m.fit(x, y, epochs=1, verbose=0)
    assert m.predict(x).dtype == np.float32


def test_lengths_reach_the_recurrent_layer():
    x, y = task()
    lengths = np.full(len(x), 4)
    m = compiled()
    m.fit(x, y, epochs=1, lengths=lengths, verbose=0)
    longer = x.copy()
    longer[:, 4:] = 99
    np.testing.assert_array_equal(m.predict(longer, lengths=lengths), m.predict(x, lengths=lengths))


def test_a_saved_model_predicts_the_same_bits_and_goes_on_training(tmp_path):
    x, y = task()
    m = compiled(num_layers=2, bidirectional=True)
    m.fit(x, y, epochs=1, verbose=0)
    path = tmp_path / "model.safetensors"
    m.save(path)
    again = recurra.load_model(path)
    np.testing.assert_array_equal(again.predict(x), m.predict(x))
    assert again.get_config() == m.get_config()


@pytest.mark.parametrize("verbose", [0, 1, 2, "auto"])
def test_verbose_says_as_much_as_it_promises(verbose, capsys):
    x, y = task()
    compiled().fit(x, y, epochs=2, verbose=verbose)
    out = capsys.readouterr().out
    assert bool(out) == (verbose != 0)
    if verbose != 0:
        assert "loss" in out
        assert "2/2" in out


def test_a_loss_that_is_no_number_names_epoch_and_batch():
    x, y = task()
    y[40] = np.nan
    m = compiled()
    with pytest.raises((ValueError, FloatingPointError), match=r"(?i)loss.*epoch 1.*batch 2"):
        m.fit(x, y, batch_size=32, epochs=2, shuffle=False, verbose=0)


class InterruptsAfter(recurra.callbacks.Callback):
    """Sends Ctrl-C while a batch is under way."""

    def __init__(self, batches):
        super().__init__()
        self.left, self.weights = batches, None

    def on_train_batch_end(self, batch, logs=None):
        self.left -= 1
        if self.left == 0:
            self.weights = {name: value.copy() for name, value in self.model.parameters.items()}
            os.kill(os.getpid(), signal.SIGINT)


def test_an_interrupted_fit_leaves_the_model_as_after_its_last_complete_batch():
    x, y = task()
    m = compiled()
    stop = InterruptsAfter(5)
    with pytest.raises(KeyboardInterrupt):
        m.fit(x, y, batch_size=32, epochs=10, callbacks=[stop], verbose=0)
    assert len(m.history.history["loss"]) >= 1
    for name, value in m.parameters.items():
        np.testing.assert_array_equal(value, stop.weights[name])
    m.fit(x, y, epochs=1, verbose=0)  # goes on


def test_summary_names_layers_shapes_and_parameters(capsys):
    m = model()
    m.build((None, 7, 3))
    m.summary()
    out = capsys.readouterr().out
    for word in ("lstm", "dense", "12", str(4 * 12 * (3 + 12) + 2 * 48 + 13)):
        assert word in out


def test_optimizers_step_as_their_formulas_say():
    x, y = task()
    m = compiled()
    m.build(x.shape)
    before = {name: value.copy() for name, value in m.parameters.items()}
    m.train_on_batch(x, y)
    moved = np.concatenate([(m.parameters[name] - before[name]).ravel() for name in before])
    assert np.abs(moved).max() <= 1.0001e-3  # Adam's first step: the learning rate times the gradient's sign
    assert np.median(np.abs(moved)) > 0.9e-3
