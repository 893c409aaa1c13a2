"""What each callback does: decisions, files, averages, norms."""

import csv
import json
import os
import warnings
from types import SimpleNamespace

import numpy as np
import pytest

import recurra
from recurra import callbacks
from recurra.metrics import METRICS
from test_callbacks import model, task

UPWARD = ("acc", "precision", "recall", "f1", "auc", "r2", "bleu")  # parts of names of metrics of which more is better

# Callbacks that watch a number, driven by hand


def driven(callback, values, name="val_loss", rate=0.1):
    """Give a callback epochs with these values; return learning rates and the epoch at which it stopped."""
    fake = SimpleNamespace(
        optimizer=SimpleNamespace(learning_rate=rate), stop_training=False, metrics=[], get_weights=lambda: [len(rates)]
    )
    fake.set_weights = lambda weights: setattr(fake, "weights", weights)
    rates = []
    callback.set_model(fake)
    callback.on_train_begin()
    for epoch, value in enumerate(values):
        callback.on_epoch_begin(epoch)
        callback.on_epoch_end(epoch, {name: value})
        rates.append(fake.optimizer.learning_rate)
        if fake.stop_training:
            break
    callback.on_train_end()
    return rates, fake


@pytest.mark.parametrize(
    ("options", "values", "epochs"),
    [
        ({"patience": 2}, [5, 4, 4.5, 4.4, 3], 4),
        ({"patience": 0}, [5, 4, 4.5, 3], 3),
        ({"patience": 1, "min_delta": 0.5}, [5, 4.8, 4.7, 3], 2),
        ({"patience": 1, "mode": "max"}, [1, 2, 1, 3], 3),
        ({"patience": 2, "baseline": 1.0}, [5, 4, 3, 2], 4),
        ({"patience": 2, "baseline": 1.0}, [5, 5, 5, 0.5], 2),
        ({"patience": 1, "start_from_epoch": 2}, [1, 2, 3, 4, 5], 4),
        ({"patience": 2}, [5, 4, 3, 2, 1], 5),
    ],
)
def test_early_stopping_stops_when_patience_ends(options, values, epochs):
    stop = callbacks.EarlyStopping(**options)
    rates, _ = driven(stop, values)
    assert len(rates) == epochs
    assert stop.stopped_epoch == (epochs - 1 if epochs < len(values) else 0)


def test_early_stopping_restores_the_weights_of_the_best_epoch(capsys):
    stop = callbacks.EarlyStopping(patience=2, restore_best_weights=True, verbose=1)
    _, fake = driven(stop, [5, 3, 4, 6, 2])
    assert (fake.weights, stop.best_epoch, stop.best) == ([1], 1, 3)
    said = "Epoch 4: early stopping\nRestoring model weights from the end of the best epoch: 2.\n"
    assert capsys.readouterr().out == said


def test_learning_rate_falls_on_a_plateau_waits_and_stops_at_its_minimum(capsys):
    reduce = callbacks.ReduceLROnPlateau(factor=0.5, patience=2, cooldown=1, min_lr=0.02, verbose=1)
    rates, _ = driven(reduce, [5] * 12)
    assert rates == [0.1, 0.1, 0.05, 0.05, 0.025, 0.025, 0.02, 0.02, 0.02, 0.02, 0.02, 0.02]
    first = capsys.readouterr().out.splitlines()[0]
    assert first == "Epoch 3: ReduceLROnPlateau reducing learning rate to 0.05."


def test_an_unknown_number_is_warned_of_once_and_those_known_are_named(tmp_path):
    path = tmp_path / "a.safetensors"
    x, y = task()
    for watch in (
        callbacks.EarlyStopping("val_loss"),
        callbacks.ReduceLROnPlateau("val_loss"),
        callbacks.ModelCheckpoint(path, "val_loss", save_best_only=True),
    ):
        with pytest.warns(UserWarning, match="which is not available. Available metrics are: loss,mae") as warned:
            model().fit(x, y, epochs=3, verbose=0, callbacks=[watch])
        assert len(warned) == 1


def test_auto_knows_the_direction_of_common_names_and_asks_for_others():
    for name, upward in (("loss", 0), ("val_accuracy", 1), ("val_mae", 0), ("f1_score", 1), ("cosine_similarity", 1)):
        callback = callbacks.EarlyStopping(name)
        callback.set_model(SimpleNamespace(metrics=[]))
        callback.on_train_begin()
        assert callback._upward() == upward, name
    for name in set(METRICS) - {"mean"}:  # the mean of anything
        callback = callbacks.EarlyStopping(f"val_{name}")
        callback.set_model(SimpleNamespace(metrics=[]))
        assert callback._upward() == any(part in name for part in UPWARD), name
    callback = callbacks.EarlyStopping("val_novelty")
    callback.set_model(SimpleNamespace(metrics=[SimpleNamespace(name="novelty", direction="up")]))
    assert callback._upward()
    x, y = task()
    with pytest.raises(ValueError, match="mode: expected 'min' or 'max', got 'auto'; less or more novelty"):
        model().fit(x, y, verbose=0, callbacks=[callbacks.EarlyStopping("novelty")])


def test_a_schedule_sets_the_rate_of_each_epoch_and_the_history_has_it():
    x, y = task()
    for schedule in (lambda epoch: 0.1 / (epoch + 1), lambda epoch, rate: 0.1 / (epoch + 1)):
        made = model()
        history = made.fit(x, y, epochs=3, verbose=0, callbacks=[callbacks.LearningRateScheduler(schedule)])
        assert history.history["learning_rate"] == [0.1, 0.1 / 2, 0.1 / 3]
    with pytest.raises(TypeError, match="schedule: expected a function that returns a float, got 1 from it"):
        model().fit(x, y, verbose=0, callbacks=[callbacks.LearningRateScheduler(lambda epoch: 1)])


# Files


def test_checkpoints_are_named_by_epoch_and_logs_and_hold_the_epochs_weights(tmp_path):
    x, y = task()
    made = model()
    kept = []
    keep = callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: kept.append((made.get_weights(), logs["loss"])))
    save = callbacks.ModelCheckpoint(tmp_path / "deep" / "{epoch:02d}-{loss:.3f}.safetensors")
    made.fit(x, y, epochs=2, verbose=0, callbacks=[keep, save])
    for epoch, (weights, loss) in enumerate(kept):
        read = recurra.load_model(tmp_path / "deep" / f"{epoch + 1:02d}-{loss:.3f}.safetensors")
        np.testing.assert_equal(read.get_weights(), weights)
    assert len(os.listdir(tmp_path / "deep")) == 2


def test_the_best_weights_alone_are_kept(tmp_path, capsys):
    path = tmp_path / "best.safetensors"
    save = callbacks.ModelCheckpoint(path, save_best_only=True, save_weights_only=True, verbose=1)
    made = model()
    made.build((None, None, 3))
    save.set_model(made)
    save.on_train_begin()
    for epoch, loss in enumerate([5.0, 3.0, 4.0]):
        made.flat_parameters.fill(epoch)
        save.on_epoch_end(epoch, {"val_loss": loss})
    made.load_weights(path)
    assert (made.flat_parameters == 1.0).all()
    assert capsys.readouterr().out.splitlines() == [
        f"Epoch 1: val_loss improved from None to 5.00000, saving model to {path}",
        f"Epoch 2: val_loss improved from 5.00000 to 3.00000, saving model to {path}",
        "Epoch 3: val_loss did not improve from 3.00000",
    ]


def test_checkpoints_come_every_few_batches(tmp_path):
    x, y = task()
    save = callbacks.ModelCheckpoint(tmp_path / "{epoch}-{batch}.safetensors", save_freq=3)
    model().fit(x, y, 16, 3, verbose=0, callbacks=[save])
    assert sorted(os.listdir(tmp_path)) == [f"{name}.safetensors" for name in ("1-3", "2-2", "3-1", "3-4")]


def test_a_checkpoint_with_a_name_that_is_not_in_the_logs_says_so(tmp_path):
    x, y = task()
    save = callbacks.ModelCheckpoint(tmp_path / "{val_loss:.2f}.safetensors")
    with pytest.raises(ValueError, match="filepath: expected names among loss, mae, epoch, got another; 'val_loss'"):
        model().fit(x, y, verbose=0, callbacks=[save])
    with pytest.raises(ValueError, match=r"filepath: expected a name ending in "):
        callbacks.ModelCheckpoint("a.txt")


def test_loggers_write_what_the_history_has(tmp_path):
    x, y = task()
    table, lines = callbacks.CSVLogger(tmp_path / "a.csv", ";"), callbacks.JSONLLogger(tmp_path / "a.jsonl")
    history = model().fit(x, y, epochs=3, verbose=0, validation_split=0.5, callbacks=[table, lines])
    expected = [{"epoch": e, **{k: v[e] for k, v in history.history.items()}} for e in range(3)]
    with open(tmp_path / "a.csv", newline="") as file:
        rows = [{k: float(v) for k, v in row.items()} for row in csv.DictReader(file, delimiter=";")]
    assert rows == expected
    assert [json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines()] == expected


@pytest.mark.parametrize("append", [False, True])
def test_loggers_replace_a_file_or_append_to_it(append, tmp_path):
    x, y = task()
    for _ in range(2):
        table = callbacks.CSVLogger(tmp_path / "a.csv", append=append)
        lines = callbacks.JSONLLogger(tmp_path / "a.jsonl", append=append)
        model().fit(x, y, epochs=2, verbose=0, callbacks=[table, lines])
    count = 4 if append else 2
    assert (tmp_path / "a.jsonl").read_text().count("\n") == count
    text = (tmp_path / "a.csv").read_text()
    assert (text.count("\n"), text.count("epoch")) == (count + 1, 1)


# The rest


def test_terminate_on_nan_ends_in_order_or_raises(capsys):
    x, y = task()
    y[40] = np.nan
    made = model()
    history = made.fit(x, y, 16, 5, verbose=0, shuffle=False, callbacks=[callbacks.TerminateOnNaN()])
    assert capsys.readouterr().out == "Batch 2: Invalid loss, terminating training\n"
    assert history.epoch == [0]
    assert np.isnan(history.history["loss"][0])
    assert (made.optimizer.iterations, bool(np.isfinite(made.flat_parameters).all())) == (2, True)
    with pytest.raises(RuntimeError, match=r"NaN or Inf loss encountered at batch 2. Loss value: nan"):
        model().fit(x, y, 16, 5, verbose=0, shuffle=False, callbacks=[callbacks.TerminateOnNaN(raise_error=True)])
    with pytest.raises(ValueError, match="loss: expected a finite number"):
        model().fit(x, y, 16, 5, verbose=0, shuffle=False)


def test_lambda_callback_takes_hooks_by_name_and_no_others():
    calls = []
    x, y = task()
    given = callbacks.LambdaCallback(on_test_end=lambda logs: calls.append(sorted(logs)))
    model().fit(x, y, verbose=0, validation_split=0.5, callbacks=[given])
    assert calls == [["loss", "mae"]]
    with pytest.raises(ValueError, match="LambdaCallback: expected one of 'on_train_begin'"):
        callbacks.LambdaCallback(on_epoch=print)


@pytest.mark.parametrize("swap_on_epoch", [False, True])
def test_averaged_weights_are_those_evaluated_saved_and_kept(swap_on_epoch):
    """Authority: the average computed here after each step, float64 to 1e-12."""
    x, y = task()
    recurra.set_random_seed(4)
    made = recurra.Sequential([recurra.LSTM(4, dtype="float64"), recurra.Dense(1, dtype="float64")])
    made.compile(recurra.optimizers.SGD(0.1, use_ema=True, ema_momentum=0.5), "mse")
    average, seen = [], {"tested": [], "after": [], "live": []}

    def step(batch, logs):
        weights = made.flat_parameters.copy()
        average.append(weights if not average else 0.5 * average[-1] + 0.5 * weights)
        seen["live"].append(weights)

    watch = callbacks.LambdaCallback(
        on_train_batch_end=step,
        on_test_batch_end=lambda batch, logs: seen["tested"].append(made.flat_parameters.copy()),
        on_epoch_end=lambda epoch, logs: seen["after"].append(made.flat_parameters.copy()),
    )
    swap = callbacks.SwapEMAWeights(swap_on_epoch)
    made.fit(x, y, 64, 3, verbose=0, validation_data=(x, y), callbacks=[swap, watch])
    np.testing.assert_allclose(seen["tested"], average, rtol=1e-12)
    np.testing.assert_allclose(seen["after"], average if swap_on_epoch else seen["live"], rtol=1e-12)
    np.testing.assert_allclose(made.flat_parameters, average[-1], rtol=1e-12)
    before = made.flat_parameters.copy()
    made.evaluate(x, y, verbose=0, callbacks=[swap])
    np.testing.assert_array_equal(made.flat_parameters, before)


def test_averages_give_the_weights_back_when_an_evaluation_is_interrupted():
    x, y = task()
    made, live = model(recurra.optimizers.SGD(0.1, use_ema=True)), []

    def stop(batch, logs):
        raise KeyboardInterrupt

    watch = callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: live.append(made.flat_parameters.copy()), on_test_batch_end=stop
    )
    with pytest.raises(KeyboardInterrupt):
        made.fit(x, y, verbose=0, validation_data=(x, y), callbacks=[callbacks.SwapEMAWeights(), watch])
    np.testing.assert_array_equal(made.flat_parameters, live[-1])


def test_averages_need_an_optimizer_that_keeps_them():
    x, y = task()
    with pytest.raises(ValueError, match="optimizer: expected one made with use_ema=True") as raised:
        model().fit(x, y, verbose=0, validation_split=0.5, callbacks=[callbacks.SwapEMAWeights()])
    assert "raised by on_test_begin of the callback SwapEMAWeights" in raised.value.__notes__


@pytest.mark.parametrize("norm_type", [1.0, 2.0, 3.0, float("inf")])
def test_gradient_norms_are_those_of_the_batches(norm_type):
    """Authority: numpy.linalg.norm in float64, to 1e-12."""
    x, y = task()
    made, expected = model(), {"lstm": [], "dense": []}

    def norms(batch, logs):
        for layer in made.layers:
            flat = layer.flat_gradients.astype(np.float64)
            expected[layer.name].append(np.linalg.norm(flat, norm_type))

    monitor = callbacks.GradientMonitor(norm_type, per_batch=True)
    watch = callbacks.LambdaCallback(on_train_batch_end=norms)
    history = made.fit(x, y, 16, 2, verbose=0, callbacks=[monitor, watch]).history
    for name, values in expected.items():
        np.testing.assert_allclose(monitor.batch_norms[name], values, rtol=1e-12)
        np.testing.assert_allclose(monitor.norms[name], np.reshape(values, (2, 4)).mean(axis=1), rtol=1e-12)
        assert history[f"gradient_norm_{name}"] == monitor.norms[name]


def test_vanishing_and_exploding_gradients_are_warned_of_once_for_each_layer():
    x, y = task()
    for options, kind in (({"vanishing": 1e9}, "vanishing"), ({"exploding": 0.0}, "exploding")):
        monitor = callbacks.GradientMonitor(warn=True, **options)
        with pytest.warns(UserWarning, match=rf"epoch 1: {kind} gradients in layer '(lstm|dense)'") as warned:
            model().fit(x, y, epochs=2, verbose=0, callbacks=[monitor])
        assert len(warned) == 2
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model().fit(x, y, verbose=0, callbacks=[callbacks.GradientMonitor(warn=True)])
