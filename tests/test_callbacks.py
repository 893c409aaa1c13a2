"""Callbacks in general: hooks and their order, errors, states, what a resumed run gets from them."""

import inspect
import io
import os

import numpy as np
import pytest

import recurra
from recurra import callbacks
from recurra.callbacks import CALLBACKS, Callback, CallbackList
from recurra.training import snapshot


def task(count=64):
    x = np.random.default_rng(1).normal(size=(count, 5, 3)).astype(np.float32)
    return x, x.sum(axis=(1, 2))[:, None]


def model(optimizer="sgd", seed=4, **options):
    recurra.set_random_seed(seed)
    made = recurra.Sequential([recurra.LSTM(4, **options), recurra.Dense(1)])
    made.compile(optimizer, "mse", metrics=["mae"])
    return made


# How each callback is made for tests that go through the list; the folder is one of the test's own.
MADE = {
    "BackupAndRestore": lambda folder: callbacks.BackupAndRestore(folder / "backup"),
    "CSVLogger": lambda folder: callbacks.CSVLogger(folder / "log.csv"),
    "EarlyStopping": lambda folder: callbacks.EarlyStopping("loss", patience=3, restore_best_weights=True),
    "GradientMonitor": lambda folder: callbacks.GradientMonitor(per_batch=True),
    "History": lambda folder: callbacks.History(),
    "JSONLLogger": lambda folder: callbacks.JSONLLogger(folder / "log.jsonl"),
    "LambdaCallback": lambda folder: callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: None),
    "LearningRateScheduler": lambda folder: callbacks.LearningRateScheduler(lambda epoch, rate: rate / 2),
    "ModelCheckpoint": lambda folder: callbacks.ModelCheckpoint(folder / "a.safetensors", "loss", save_best_only=True),
    "ProgressBar": lambda folder: callbacks.ProgressBar(stream=io.StringIO()),
    "ReduceLROnPlateau": lambda folder: callbacks.ReduceLROnPlateau("loss", patience=1, cooldown=2),
    "SwapEMAWeights": lambda folder: callbacks.SwapEMAWeights(swap_on_epoch=True),
    "TensorBoard": lambda folder: callbacks.TensorBoard(folder / "board", update_freq=1),
    "TerminateOnNaN": lambda folder: callbacks.TerminateOnNaN(),
}
EACH = pytest.mark.parametrize("kind", CALLBACKS, ids=lambda kind: kind.__name__)


@EACH
def test_every_callback_is_exported_and_made_by_this_test(kind):
    assert getattr(callbacks, kind.__name__) is kind
    assert set(MADE) == {known.__name__ for known in CALLBACKS}


@EACH
def test_every_callback_runs_and_its_state_returns_from_a_file(kind, tmp_path):
    x, y = task()
    callback = MADE[kind.__name__](tmp_path)
    made = model(recurra.optimizers.SGD(0.01, use_ema=True))
    states = []
    watch = callbacks.LambdaCallback(on_epoch_begin=lambda epoch, logs=None: states.append(callback.get_state()))
    made.fit(x, y, 16, 3, verbose=0, validation_split=0.25, callbacks=[callback, watch])
    state = {"version": snapshot.VERSION, "state": states[-1]}
    snapshot.write(os.fspath(tmp_path), "state.safetensors", state, False)
    found = snapshot.read(os.fspath(tmp_path), "state.safetensors")["state"]
    np.testing.assert_equal(found, states[-1])
    other = MADE[kind.__name__](tmp_path)
    other.set_model(made)
    other.set_params({"epochs": 3, "steps": 3, "samples": 48, "verbose": 0})
    other.on_train_begin()
    other.set_state(found)
    np.testing.assert_equal(other.get_state(), found)
    other._release()


@EACH
def test_every_callback_of_a_resumed_run_ends_as_if_it_had_never_stopped(kind, tmp_path):
    x, y = task()
    ends = []
    for stop in (False, True):
        folder = tmp_path / f"{stop}"
        folder.mkdir()

        def train(*more, folder=folder):
            callback = MADE[kind.__name__](folder)
            made = model(recurra.optimizers.SGD(0.01, use_ema=True))
            given = [callback, *more]
            made.fit(x, y, 16, 4, verbose=0, validation_split=0.25, callbacks=given, resume=folder / "run", seed=7)
            return made.flat_parameters.copy(), made.history.history, callback.get_state()

        if stop:
            stops = Stops()
            with pytest.raises(KeyboardInterrupt):
                train(stops)
        ends.append(train())
        files = [path for path in folder.rglob("*") if path.suffix in {".csv", ".jsonl"}]
        ends[-1] += ([path.read_text() for path in sorted(files)],)
    if kind is callbacks.TensorBoard:  # names of files hold the time
        for end in ends:
            end[2]["files"] = {name: length for name, (_, length) in end[2]["files"].items()}
    np.testing.assert_equal(ends[1], ends[0])


class Stops(Callback):
    """Ctrl-C after eight steps."""

    def on_train_batch_end(self, batch, logs=None):
        if self.model.optimizer.iterations == 8:
            raise KeyboardInterrupt


@EACH
def test_every_callback_names_the_argument_it_does_not_like(kind, tmp_path):
    """Each constructor is given an object that is nothing it knows, in turn for each of its parameters."""
    odd = object()
    for name, parameter in inspect.signature(kind).parameters.items():
        if parameter.kind is parameter.VAR_KEYWORD or (kind, name) == (callbacks.ProgressBar, "stream"):
            continue
        if (kind, name) == (callbacks.ProgressBar, "live"):
            continue
        required = {
            other: tmp_path / "a.safetensors" if other in ("filepath", "filename", "backup_dir") else lambda *given: 0.1
            for other, p in inspect.signature(kind).parameters.items()
            if p.default is p.empty and other != name and p.kind is not p.VAR_KEYWORD
        }
        with pytest.raises((TypeError, ValueError)) as raised:
            kind(**{**required, name: odd})
        if name not in ("filepath", "filename", "backup_dir", "log_dir"):  # there Python's own words will do
            assert str(raised.value).startswith(f"{name}: expected"), raised.value


# Hooks


def recorder(calls, *hooks):
    callback = Callback()
    for hook in hooks:
        setattr(callback, hook, lambda *given, hook=hook: calls.append(hook.removeprefix("on_")))
    return callback


def test_hooks_come_in_keras_order():
    x, y = task(32)
    calls = []
    names = [name for name in vars(Callback) if name.startswith("on_") and "on_batch" not in name]
    made = model()
    made.fit(x, y, 16, 1, verbose=0, validation_split=0.5, callbacks=[recorder(calls, *names)])
    batch = ["train_batch_begin", "train_batch_end"]
    test = ["test_begin", "test_batch_begin", "test_batch_end", "test_end"]
    assert calls == ["train_begin", "epoch_begin", *batch, *test, "epoch_end", "train_end"]
    calls.clear()
    made.evaluate(x, y, 16, verbose=0, callbacks=[recorder(calls, *names)])
    assert calls == ["test_begin", *["test_batch_begin", "test_batch_end"] * 2, "test_end"]
    calls.clear()
    made.predict(x, 16, callbacks=[recorder(calls, *names)])
    assert calls == ["predict_begin", *["predict_batch_begin", "predict_batch_end"] * 2, "predict_end"]


def test_every_hook_gets_logs_as_in_keras():
    """Functions that name all arguments of a hook, without defaults, will do."""
    x, y = task(32)
    calls = []
    hooks = [name for name in vars(Callback) if name.startswith("on_")]
    given = {}
    for hook in hooks:
        if "batch" in hook or "epoch" in hook:
            given[hook] = lambda number, logs, hook=hook: calls.append((hook, type(number), hasattr(logs, "items")))
        else:
            given[hook] = lambda logs, hook=hook: calls.append((hook, int, hasattr(logs, "items")))
    listen = callbacks.LambdaCallback(**given)
    made = model()
    made.fit(x, y, verbose=0, validation_split=0.5, callbacks=[listen])
    made.predict(x, callbacks=[listen])
    assert {hook for hook, _, _ in calls} == set(hooks) - {"on_batch_begin", "on_batch_end"}
    assert all(number is int and logs for _, number, logs in calls)


def test_older_names_of_batch_hooks_are_called():
    class Old(Callback):
        def on_batch_begin(self, batch, logs=None):
            calls.append(("begin", batch))

        def on_batch_end(self, batch, logs=None):
            calls.append(("end", batch))

    calls = []
    x, y = task(32)
    model().fit(x, y, 16, 1, verbose=0, callbacks=[Old()])
    assert calls == [("begin", 0), ("end", 0), ("begin", 1), ("end", 1)]


def test_batch_hooks_that_nobody_overrides_are_not_called_at_all(tmp_path):
    quiet = [
        callbacks.History(),
        callbacks.EarlyStopping("loss"),
        callbacks.ModelCheckpoint(tmp_path / "a.safetensors"),
        callbacks.TensorBoard(tmp_path),
        callbacks.CSVLogger(tmp_path / "log.csv"),
        callbacks.BackupAndRestore(tmp_path / "run"),
    ]
    listed = CallbackList(quiet, model(), {})
    for kind in ("train", "test", "predict"):
        for when in ("begin", "end"):
            assert listed.batch_hook(f"on_{kind}_batch_{when}") is None
    loud = CallbackList([callbacks.ModelCheckpoint(tmp_path / "a.safetensors", save_freq=2)], model(), {})
    assert loud.batch_hook("on_train_batch_end") is not None


def test_the_others_have_their_turn_when_a_callback_raises_and_the_error_names_it():
    class Breaks(Callback):
        def on_epoch_end(self, epoch, logs=None):
            raise RuntimeError(f"no {epoch}")

    class Stumbles(Callback):
        def on_epoch_end(self, epoch, logs=None):
            raise OSError("disk")

    x, y = task()
    calls, made = [], model()
    with pytest.raises(RuntimeError, match="no 0") as raised:
        made.fit(x, y, verbose=0, callbacks=[Breaks(), recorder(calls, "on_epoch_end"), Stumbles()])
    assert raised.value.__notes__ == [
        "raised by on_epoch_end of the callback Breaks",
        "then OSError: disk; raised by on_epoch_end of the callback Stumbles",
    ]
    assert calls == ["epoch_end"]
    assert made.history.epoch == [0]
    made.fit(x, y, verbose=0)  # the model can go on


def test_what_is_no_callback_is_refused():
    x, y = task()
    with pytest.raises(TypeError, match="callbacks: expected Callback objects, got 3"):
        model().fit(x, y, verbose=0, callbacks=[3])
