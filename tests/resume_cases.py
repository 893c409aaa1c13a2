"""Runs that are stopped and gone on with, for the tests of resuming; also a program that a test can kill.

python tests/resume_cases.py FOLDER CASE RESULT EPOCHS
"""

import sys
import time
from datetime import timedelta
from pathlib import Path

import numpy as np

import recurra
from recurra.callbacks import (
    BackupAndRestore,
    EarlyStopping,
    GradientMonitor,
    LambdaCallback,
    LearningRateScheduler,
    ReduceLROnPlateau,
)
from recurra.io import safetensors

EPOCHS = 6
BATCH = 16


def task(count=100):
    rng = np.random.default_rng(3)
    x = rng.normal(size=(count, 6, 3)).astype(np.float32)
    return x, x.sum(axis=(1, 2))[:, None] + rng.normal(size=(count, 1)).astype(np.float32)


def model(units=8, optimizer="adam", metrics=("mae",)):
    recurra.set_random_seed(3)
    made = recurra.Sequential(
        [recurra.LSTM(units, dropout=0.2, recurrent_dropout=0.1), recurra.Dropout(0.3), recurra.Dense(1)]
    )
    made.compile(optimizer, "mse", metrics=list(metrics))
    return made


def callbacks(patience):
    """Callbacks that remember much and act on it."""
    return [
        LearningRateScheduler(lambda epoch, rate: rate * 0.9),
        EarlyStopping("val_loss", patience=patience, restore_best_weights=True),
        ReduceLROnPlateau("loss", patience=1, cooldown=1, min_delta=0.5),
        GradientMonitor(per_batch=True),
    ]


def run(resume=None, more=(), epochs=EPOCHS, patience=2):
    """Train, and return everything that must be the same however often the run was stopped."""
    x, y = task()
    made, given = model(), callbacks(patience)
    history = made.fit(
        x,
        y,
        BATCH,
        epochs,
        verbose=0,
        validation_split=0.2,
        callbacks=[*given[:2], *more, *given[2:]],
        resume=resume,
    )
    return outcome(made, history, given)


def outcome(made, history, given):
    arrays = {"parameters": made.flat_parameters.copy()}
    arrays.update({f"slot {name}": slot for name, slot in made.optimizer.slots.items()})
    arrays["steps"] = np.array([made.optimizer.iterations, made.optimizer.learning_rate])
    arrays["epochs"] = np.array(history.epoch)
    arrays.update({f"history {name}": np.array(values) for name, values in history.history.items()})
    for callback in given:
        arrays.update(flat(callback.get_state(), type(callback).__name__))
    return arrays


def flat(value, name):
    if isinstance(value, dict):
        return {key: a for part, inner in value.items() for key, a in flat(inner, f"{name} {part}").items()}
    if isinstance(value, list) and value and not isinstance(value[0], int | float | str):
        return {key: a for i, inner in enumerate(value) for key, a in flat(inner, f"{name} {i}").items()}
    return {} if value is None or isinstance(value, str) else {name: np.array(value, np.float64)}


def assert_same(found, expected):
    """All arrays are the same, bit for bit."""
    assert sorted(found) == sorted(expected)
    for name, array in expected.items():
        np.testing.assert_array_equal(found[name], array, err_msg=name)


def backup(folder, case):
    """What a case gives as ``resume``."""
    return {
        "epochs": folder,
        "batches": BackupAndRestore(folder, save_freq=2, delete_checkpoint=False),
        "time": BackupAndRestore(folder, save_freq=timedelta(microseconds=1), delete_checkpoint=False),
    }[case]


if __name__ == "__main__":
    folder, case, result, epochs = sys.argv[1:]
    watch = LambdaCallback(
        on_train_begin=lambda logs=None: Path(result + ".started").touch(),
        on_train_batch_end=lambda batch, logs: time.sleep(0.002),  # so that there is time to be killed in
    )
    safetensors.write(result, run(backup(folder, case), [watch], int(epochs), int(epochs)))
