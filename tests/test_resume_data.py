"""Runs on every kind of data, with every kind of memory of optimizer and model, go on bit for bit."""

import itertools

import numpy as np
import pytest

import recurra
from recurra import data, optimizers
from test_resume import Stops

X = np.random.default_rng(1).normal(size=(60, 8, 2)).astype(np.float32)
Y = X.sum(axis=(1, 2))[:, None]
STEPS = np.cumsum(X, axis=1).sum(axis=2, keepdims=True)
TOKENS = np.random.default_rng(2).integers(1, 50, size=(60, 8))


class Batches:
    """An iterable that can be read again."""

    def __iter__(self):
        return iter([(X[i : i + 10], Y[i : i + 10]) for i in range(0, 60, 10)])


def endless():
    """Batches that can be read once, from an iterator without an end."""
    number = 0
    while True:
        rows = np.arange(number, number + 10) % 60
        yield X[rows], Y[rows]
        number += 7


def plain(optimizer="adam", build=True, **options):
    model = recurra.Sequential([recurra.GRU(5, dropout=0.2, **options), recurra.Dropout(0.2), recurra.Dense(1)])
    model.compile(optimizer, "mse", metrics=["mae"])
    if build:
        model.build((None, None, 2))
    return model


def embedded():
    model = recurra.Sequential([recurra.layers.Embedding(50, 4, mask_zero=True), recurra.LSTM(3), recurra.Dense(1)])
    model.compile(optimizers.Adam(0.01, gradient_accumulation_steps=4), "mse")
    return model


def normalized():
    layers = [recurra.LSTM(4, return_sequences=True), recurra.layers.BatchNormalization(), recurra.Dense(1)]
    model = recurra.Sequential(layers)
    model.compile("rmsprop", "mse")
    return model


def series():
    return data.stream_dataset(np.arange(400.0, dtype=np.float32)[:, None] % 7, batch_size=4, steps=10)


def many():
    return data.stream_dataset([np.arange(float(n))[:, None] % 7 for n in range(30, 60)], 3, 7, shuffle=True, seed=1)


# Name of a case: what makes the model, what makes the data, further arguments of fit.
CASES = {
    "iterable": (lambda: plain(build=False), lambda: (Batches(),), {}),
    "iterator": (plain, lambda: (endless(),), {"steps_per_epoch": 5}),
    "steps_per_epoch": (plain, lambda: (X, Y, 10), {"steps_per_epoch": 4}),
    "stretches": (lambda: plain(return_sequences=True), lambda: (X, STEPS, 10), {"tbptt": 3}),
    "weights": (plain, lambda: (X, Y, 10), {"sample_weight": np.arange(60.0), "lengths": np.arange(60) % 9}),
    "dataset": (plain, lambda: (data.ArrayDataset(X, Y, batch_size=10, seed=3),), {}),
    "buckets": (plain, lambda: (data.BucketedDataset([x[: 1 + i % 8] for i, x in enumerate(X)], Y, 10, seed=1),), {}),
    "many streams": (lambda: stream_model(), lambda: (many(),), {}),
    "prefetched": (lambda: stream_model(), lambda: (data.Prefetch(series()),), {}),
    "stream": (lambda: stream_model(), lambda: (series(),), {}),
    "accumulation": (embedded, lambda: (TOKENS, Y, 7), {}),
    "averages": (lambda: plain(optimizers.SGD(0.1, momentum=0.9, use_ema=True)), lambda: (X, Y, 10), {}),
    "schedule": (lambda: plain(scheduled()), lambda: (X, Y, 10), {}),
    "statistics": (normalized, lambda: (X, STEPS, 10), {}),
    "float64": (lambda: wide(), lambda: (X, Y, 10), {}),
}


def stream_model():
    model = recurra.Sequential([recurra.LSTM(4, return_sequences=True), recurra.Dense(1)])
    model.compile("adam", "mse")
    return model


def scheduled():
    return optimizers.Adam(optimizers.schedules.ExponentialDecay(0.01, 3, 0.9))


def wide():
    model = recurra.Sequential([recurra.RNN(4, dtype="float64"), recurra.Dense(1, dtype="float64")])
    model.compile(optimizers.Nadam(0.01), "mae")
    return model


def train(case, folder, *callbacks, interrupted=None):
    """Train, and return what must be the same; ``interrupted``: the step in which Ctrl-C comes."""
    make, source, options = CASES[case]
    recurra.set_random_seed(8)
    model = make()
    if interrupted is not None:
        interrupt(model.optimizer, interrupted)
    x, *rest = source()
    resume = None if folder is None else recurra.callbacks.BackupAndRestore(folder, 2, delete_checkpoint=False)
    history = model.fit(x, *rest, epochs=4, verbose=0, seed=5, callbacks=callbacks, resume=resume, **options)
    return {
        "parameters": model.flat_parameters.copy(),
        "slots": model.optimizer.slots,
        "optimizer": model.optimizer.get_state(),
        "history": history.history,
    }


def interrupt(optimizer, at):
    step, numbers = optimizer.step, itertools.count(1)

    def interrupted(model):
        if next(numbers) == at:
            raise KeyboardInterrupt
        step(model)

    optimizer.step = interrupted


@pytest.mark.parametrize("case", CASES)
def test_a_run_on_any_data_goes_on_bit_for_bit(case, tmp_path):
    whole = train(case, None)
    assert len(whole["history"]["loss"]) == 4
    for batch, error in ((2, ValueError("stop")), (1, KeyboardInterrupt())):
        folder = tmp_path / f"{batch}"
        with pytest.raises(type(error)):
            train(case, folder, Stops(error, "train_batch_end", 1, batch))
        np.testing.assert_equal(train(case, folder), whole)


@pytest.mark.parametrize("case", CASES)
def test_a_run_interrupted_within_any_step_goes_on_bit_for_bit(case, tmp_path):
    """With truncated backpropagation that is also between two steps of a batch."""
    whole = train(case, None)
    for step in (5, 9, 16):
        folder = tmp_path / f"{step}"
        with pytest.raises(KeyboardInterrupt):
            train(case, folder, interrupted=step)
        np.testing.assert_equal(train(case, folder), whole)
