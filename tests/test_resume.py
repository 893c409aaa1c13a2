"""fit(resume=...): a run that was stopped goes on bit for bit; states that do not fit or are damaged."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import recurra
from recurra.callbacks import BackupAndRestore, Callback, CSVLogger, JSONLLogger
from recurra.io import safetensors
from recurra.training import snapshot
from resume_cases import assert_same, backup, model, run, task

PROGRAM = Path(__file__).with_name("resume_cases.py")
HOOKS = ("epoch_begin", "train_batch_begin", "train_batch_end", "test_begin", "test_batch_end", "test_end", "epoch_end")


@pytest.fixture(scope="module")
def whole():
    """A run that was never stopped."""
    return run()


class Stops(Callback):
    """Raises an error in one hook of one epoch."""

    def __init__(self, error, hook, epoch, batch=3):
        super().__init__()
        self.error, self.hook, self.place = error, hook, (epoch, batch)
        self.epoch = 0
        if hook:
            setattr(self, f"on_{hook}", self.stop)

    def stop(self, number=None, logs=None):
        if self.hook.startswith("epoch"):
            self.epoch = number
        if self.epoch == self.place[0] and ("train_batch" not in self.hook or number == self.place[1]):
            raise self.error

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch


@pytest.mark.parametrize("error", [ValueError("stop"), KeyboardInterrupt()], ids=["error", "interrupt"])
@pytest.mark.parametrize("hook", [*HOOKS, "train_end"])
def test_a_run_stopped_in_any_hook_goes_on_bit_for_bit(hook, error, whole, tmp_path):
    for epoch in (0, 2):
        stops = Stops(error, hook, 5 if hook == "train_end" else epoch)
        folder = tmp_path / f"{epoch}"
        with pytest.raises(type(error)) as raised:
            run(folder, [stops])
        if isinstance(error, ValueError):
            assert f"raised by on_{hook} of the callback Stops" in raised.value.__notes__
        assert_same(run(folder, [Stops(error, "", 0)]), whole)


@pytest.mark.parametrize("case", ["epochs", "batches", "time"])
def test_saving_changes_nothing_and_a_finished_run_returns_its_history_at_once(case, whole, tmp_path):
    assert_same(run(backup(tmp_path, case)), whole)
    begun = []
    watch = recurra.callbacks.LambdaCallback(on_train_begin=begun.append)
    assert_same(run(backup(tmp_path, case), [watch]), whole)
    assert not begun


def test_a_finished_run_goes_on_if_more_epochs_are_asked_for(whole, tmp_path):
    run(tmp_path, epochs=3)
    assert_same(run(tmp_path), whole)


def test_what_the_end_of_training_did_to_the_model_is_not_gone_on_with(whole, tmp_path):
    """Two ends: one that came to pass, and one at which a callback raised."""
    for name, error in (("whole", None), ("broken", ValueError("stop"))):
        ends = recurra.callbacks.LambdaCallback()
        ends.on_train_end = lambda logs, ends=ends: ends.model.flat_parameters.fill(0.0)
        with pytest.raises(ValueError, match="stop") if error else contextlib.nullcontext():
            run(tmp_path / name, [ends, *([Stops(error, "train_end", 2)] if error else [])], epochs=3)
        assert_same(run(tmp_path / name), whole)


def test_an_epoch_gone_on_with_begins_for_every_callback(tmp_path):
    calls = []
    with pytest.raises(ValueError, match="stop"):
        run(tmp_path, [Stops(ValueError("stop"), "train_batch_end", 2, 3)])
    watch = recurra.callbacks.LambdaCallback(
        on_epoch_begin=lambda epoch, logs=None: calls.append(f"epoch {epoch}"),
        on_train_batch_begin=lambda batch, logs: calls.append(batch),
    )
    run(tmp_path, [watch], epochs=4)
    assert calls == ["epoch 2", 4, "epoch 3", 0, 1, 2, 3, 4]


def test_a_finished_run_that_stopped_early_stays_as_it_is(tmp_path):
    x, y = task()
    stop = recurra.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: setattr(stop.model, "stop_training", True))
    for epochs in (5, 50):
        history = model().fit(x, y, epochs=epochs, verbose=0, callbacks=[stop], resume=tmp_path)
        assert history.epoch == [0]


def test_an_interrupt_while_a_step_computes_loses_no_batch(whole, tmp_path):
    class Interrupts(Callback):
        calls = 0

        def on_train_batch_begin(self, batch, logs=None):
            Interrupts.calls += 1
            if Interrupts.calls == 9:
                os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, [Interrupts()])
    state = snapshot.read(os.fspath(tmp_path), snapshot.STATE)
    assert (state["epoch"], state["batch"]) == (1, 3)
    assert_same(run(tmp_path, [Interrupts()]), whole)


def test_a_loss_that_is_no_number_leaves_a_run_to_go_on_with(whole, tmp_path):
    class Poisons(Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 2 and not self.healed:
                self.model._compiled.loss.vjp = lambda *given: (float("nan"), None)

    sick = Poisons()
    sick.healed = False
    with pytest.raises(ValueError, match="expected a finite number, got nan in epoch 3, batch 1"):
        run(tmp_path, [sick])
    sick.healed = True
    assert_same(run(tmp_path, [sick]), whole)


def test_backup_and_restore_as_a_callback_deletes_its_state_at_the_end(whole, tmp_path):
    folder = tmp_path / "backup"
    error = ValueError("stop")
    with pytest.raises(ValueError, match="stop"):
        run(None, [BackupAndRestore(folder), Stops(error, "epoch_end", 3)])
    assert folder.exists()
    assert_same(run(None, [BackupAndRestore(folder), Stops(error, "", 3)]), whole)
    assert not folder.exists()


def test_files_of_loggers_go_on_where_the_state_was_saved(tmp_path):
    texts = []
    for stop in (False, True):
        loggers = [CSVLogger(tmp_path / f"{stop}.csv"), JSONLLogger(tmp_path / f"{stop}.jsonl")]
        if stop:
            with pytest.raises(KeyboardInterrupt):  # the lines of epoch 3 are written, its state is not
                run(tmp_path / "run", [*loggers, Stops(KeyboardInterrupt(), "epoch_end", 3)])
            assert Path(loggers[1].filename).read_text().count("\n") == 4
        run(tmp_path / "run" if stop else None, [*loggers, Stops(None, "", 3)])
        texts.append([Path(logger.filename).read_text() for logger in loggers])
    assert texts[0] == texts[1]


# States that do not fit


def started(folder, **options):
    x, y = task()
    model().fit(x, y, 16, 2, verbose=0, resume=folder)
    return x, y


def other(**options):
    made = model(**options)
    made.build((None, None, 3))
    return made


WRONG = {
    "layer": (lambda: recurra_gru(), {}, "layers ['LSTM', 'Dropout', 'Dense'], as in"),
    "units": (lambda: other(units=9), {}, "parameters 'lstm.weight_ih_l0' [32, 3], as in"),
    "optimizer": (lambda: other(optimizer="sgd"), {}, "optimizer 'Adam', as in"),
    "argument": (lambda: other(optimizer=recurra.optimizers.Adam(beta_1=0.5)), {}, "optimizer's argument 'beta_1' 0.9"),
    "metrics": (lambda: other(metrics=()), {}, "metrics"),
    "samples": (other, {"rows": 90}, "samples 100, as in"),
    "batch_size": (other, {"batch_size": 32}, "batch"),
    "seed": (other, {"seed": 1}, "seed"),
    "shuffle": (other, {"shuffle": False}, "shuffle true, as in"),
}


def recurra_gru():
    made = recurra.Sequential([recurra.GRU(8), recurra.Dropout(0.3), recurra.Dense(1)])
    made.compile("adam", "mse", metrics=["mae"])
    made.build((None, None, 3))
    return made


@pytest.mark.parametrize("kind", WRONG)
def test_a_state_of_another_run_is_refused_by_name_and_nothing_changes(kind, tmp_path):
    x, y = started(tmp_path)
    make, options, text = WRONG[kind]
    made, options = make(), dict(options)
    rows = options.pop("rows", len(x))
    before, files = made.flat_parameters.copy(), {path: path.read_bytes() for path in tmp_path.iterdir()}
    size = options.pop("batch_size", 16)
    with pytest.raises(ValueError, match="resume: expected .*" + re.escape(text).replace("'", "[\"']")) as raised:
        made.fit(x[:rows], y[:rows], size, 4, verbose=0, resume=tmp_path, **options)
    assert "take another folder for another run" in str(raised.value)
    np.testing.assert_array_equal(made.flat_parameters, before)
    assert made.history is None
    assert made.optimizer.iterations == 0
    assert files == {path: path.read_bytes() for path in tmp_path.iterdir()}


def test_a_model_of_another_dtype_is_refused(tmp_path):
    x, y = started(tmp_path)
    made = recurra.Sequential(
        [
            recurra.LSTM(8, dropout=0.2, recurrent_dropout=0.1, dtype="float64"),
            recurra.Dropout(0.3, dtype="float64"),
            recurra.Dense(1, dtype="float64"),
        ]
    )
    made.compile("adam", "mse", metrics=["mae"])
    with pytest.raises(ValueError, match=r'resume: expected dtype "float32", as in .* got "float64"'):
        made.fit(x, y, 16, 4, verbose=0, resume=tmp_path)


def damage(path):
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(content)


def test_a_damaged_state_is_replaced_by_the_one_before(whole, tmp_path):
    with pytest.raises(ValueError, match="stop"):
        run(tmp_path, [Stops(ValueError("stop"), "epoch_end", 3)])
    damage(tmp_path / snapshot.STATE)
    with pytest.warns(UserWarning, match=r"state.safetensors: .* checksum is wrong; going on from the state before"):
        found = run(tmp_path, [Stops(None, "", 0)])
    assert_same(found, whole)


def test_two_damaged_states_are_an_error_that_says_what_to_do(tmp_path):
    with pytest.raises(ValueError, match="stop"):
        run(tmp_path, [Stops(ValueError("stop"), "epoch_end", 3)])
    damage(tmp_path / snapshot.STATE)
    (tmp_path / snapshot.PREVIOUS).write_bytes(b"nothing")
    with pytest.raises(ValueError, match=r"resume: expected a whole state, got two damaged ones .*delete .* anew"):
        run(tmp_path)
    (tmp_path / snapshot.PREVIOUS).unlink()
    with pytest.raises(ValueError, match="resume: expected a whole state, got a damaged one"):
        run(tmp_path)


def test_what_a_killed_writer_left_behind_is_removed(tmp_path):
    for name in (".recurra-abc.tmp", "previous.safetensors.tmp"):
        (tmp_path / name).write_bytes(b"half")
    (tmp_path / "mine.tmp").write_bytes(b"whole")
    run(tmp_path, epochs=2)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "final.safetensors",
        "mine.tmp",
        "previous.safetensors",
        "state.safetensors",
    ]


def test_a_state_that_cannot_be_written_names_the_callback(tmp_path):
    class Odd(Callback):
        def get_state(self):
            return {"thing": object()}

    with pytest.raises(TypeError, match=r"callbacks/\d/1/thing: expected None, booleans, numbers"):
        run(tmp_path, [Odd()], epochs=1)


def test_resume_must_be_a_folder_or_a_backup():
    x, y = task()
    for wrong in (True, 3):
        with pytest.raises(TypeError, match="resume: expected the name of a folder, or a BackupAndRestore"):
            model().fit(x, y, resume=wrong)


VALUES = [None, True, 3, 0.1, float("nan"), float("inf"), "text", [1, [2.5]], (1, "a", (2,)), {"a": {3: (4,)}}, {}]


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_values_come_back_from_a_file_as_they_were(value, tmp_path):
    state = {"version": snapshot.VERSION, "value": value, "array": np.arange(3.0), "single": np.float32(0.1)}
    snapshot.write(os.fspath(tmp_path), "a.safetensors", state, False)
    found = snapshot.read(os.fspath(tmp_path), "a.safetensors")
    np.testing.assert_equal(found, state)
    assert type(found["value"]) is type(value)
    assert type(found["single"]) is np.float32


# Killed for good


def killed_runs(folder, case, epochs, moments):
    """Start the program, kill it after each of the moments, let it end; return its outcome and how often it died."""
    result = str(folder / "result.safetensors")
    command = [sys.executable, str(PROGRAM), str(folder / "run"), case, result, str(epochs)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    deaths = 0
    for moment in moments:
        process = subprocess.Popen(command, env=environment)
        while not Path(result + ".started").exists() and process.poll() is None:
            time.sleep(0.001)
        time.sleep(moment)
        process.kill()
        deaths += process.wait() != 0
        Path(result + ".started").unlink(missing_ok=True)
    subprocess.run(command, check=True, env=environment, timeout=120)
    return safetensors.read(result)[0], deaths


def test_a_killed_run_goes_on_bit_for_bit(tmp_path):
    found, deaths = killed_runs(tmp_path, "batches", 12, [0.03, 0.05])
    assert_same(found, run(epochs=12, patience=12))
    assert deaths


@pytest.mark.slow
@pytest.mark.parametrize("case", ["epochs", "batches", "time"])
def test_a_run_killed_at_random_moments_goes_on_bit_for_bit(case, tmp_path):
    moments = np.random.default_rng(len(case)).uniform(0.0, 0.05, 20)
    found, deaths = killed_runs(tmp_path, case, 60, moments)
    assert_same(found, run(epochs=60, patience=60))
    assert deaths > 10
