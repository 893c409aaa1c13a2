"""Decisions of callbacks beside Keras's on random sequences of losses, driven by hand on both sides."""

import os
from types import SimpleNamespace

import numpy as np
import pytest

from recurra import callbacks as ours

pytestmark = pytest.mark.slow

SEQUENCES = 200


@pytest.fixture(scope="module")
def theirs():
    pytest.importorskip("torch")
    return pytest.importorskip("keras").callbacks


def random_case(seed, arguments):
    """Return a sequence of values with ties, NaN and holes, and random arguments among those given."""
    rng = np.random.default_rng(seed)
    values = [float(v) for v in rng.integers(0, 12, size=25) / 8]
    for place in rng.integers(0, 25, size=rng.integers(0, 3)):
        values[place] = float("nan")
    return values, {name: choices[rng.integers(len(choices))] for name, choices in arguments.items()}


def driven(callback, values, monitor):
    """Return what a callback does to a model: learning rate, end and weights after each epoch."""
    seen = []
    model = SimpleNamespace(stop_training=False, metrics=[], get_weights=lambda: [len(seen)])
    model.optimizer = SimpleNamespace(learning_rate=0.5)
    model.set_weights = lambda weights: seen.append(("restored", weights))
    callback.set_model(model)
    callback.set_params({"epochs": len(values)})
    callback.on_train_begin()
    for epoch, value in enumerate(values):
        callback.on_epoch_begin(epoch)
        logs = {monitor: value}
        callback.on_epoch_end(epoch, logs)
        seen.append((model.optimizer.learning_rate, logs.get("learning_rate"), model.stop_training))
        if model.stop_training:
            break
    callback.on_train_end()
    return seen


def test_early_stopping_decides_as_keras_does(theirs):
    arguments = {
        "monitor": ["val_loss"],
        "min_delta": [0, 0.25, -0.25],
        "patience": [0, 1, 2, 5],
        "mode": ["auto", "min", "max"],
        "baseline": [None, 0.5],
        "restore_best_weights": [False, True],
        "start_from_epoch": [0, 3],
    }
    ends = set()
    for seed in range(SEQUENCES):
        values, options = random_case(seed, arguments)
        found, expected = (driven(side.EarlyStopping(**options), values, "val_loss") for side in (ours, theirs))
        assert found == expected, (seed, options)
        ends.add(len(found))
    assert len(ends) > 8  # the sequences end at all sorts of moments


def test_the_learning_rate_is_reduced_as_by_keras(theirs):
    arguments = {
        "monitor": ["val_loss"],
        "factor": [0.5, 0.25],
        "patience": [0, 1, 3],
        "mode": ["auto", "min", "max"],
        "min_delta": [1e-4, 0.25],
        "cooldown": [0, 2],
        "min_lr": [0.0, 0.125],
    }
    for seed in range(SEQUENCES):
        values, options = random_case(seed, arguments)
        found, expected = (driven(side.ReduceLROnPlateau(**options), values, "val_loss") for side in (ours, theirs))
        assert found == expected, (seed, options)


def test_schedules_set_the_rates_of_keras(theirs):
    for schedule in (lambda epoch: 0.5 / (epoch + 1), lambda epoch, rate: rate * 0.5):
        found, expected = (
            driven(side.LearningRateScheduler(schedule), [1.0] * 5, "val_loss") for side in (ours, theirs)
        )
        assert found == expected


def test_checkpoints_are_saved_when_keras_saves_them(theirs, tmp_path):
    arguments = {
        "monitor": ["val_loss"],
        "save_best_only": [False, True],
        "mode": ["auto", "min", "max"],
        "save_freq": ["epoch", 3, 7],
        "initial_value_threshold": [None, 0.75],
    }
    for seed in range(SEQUENCES):
        values, options = random_case(seed, arguments)
        if options["save_best_only"]:
            options["save_freq"] = "epoch"  # with batches Keras 3.15 fails: it learns the direction after an epoch
        saved = []
        for side, ending in ((ours, "safetensors"), (theirs, "keras")):
            names = []
            model = SimpleNamespace(
                metrics=[], save=lambda path, names=names, **options: names.append(os.path.splitext(path)[0])
            )
            callback = side.ModelCheckpoint(str(tmp_path / f"{{epoch:02d}}-{{val_loss:.2f}}.{ending}"), **options)
            callback.set_model(model)
            callback.on_train_begin()
            for epoch, value in enumerate(values):
                callback.on_epoch_begin(epoch)
                for batch in range(4):
                    callback.on_train_batch_end(batch, {"val_loss": value})
                callback.on_epoch_end(epoch, {"val_loss": value})
            saved.append(names)
        assert saved[0] == saved[1], (seed, options)


def test_csv_files_are_keras_files(theirs, tmp_path):
    texts = []
    for side in (ours, theirs):
        for append in (False, True):
            callback = side.CSVLogger(str(tmp_path / f"{side.__name__}.csv"), ";", append=append)
            callback.set_model(SimpleNamespace())
            callback.on_train_begin()
            for epoch in range(3):
                callback.on_epoch_end(epoch, {"loss": 0.1 * epoch, "accuracy": 1.0 - epoch})
            callback.on_train_end()
        texts.append((tmp_path / f"{side.__name__}.csv").read_bytes())
    assert texts[0] == texts[1]


def test_arguments_and_hooks_have_keras_names_order_and_defaults(theirs):
    from inspect import signature

    own = {"TensorBoard": {"write_graph"}, "Callback": set()}  # defaults that differ, as its docstring says
    for kind in (*ours.CALLBACKS, ours.Callback):
        other = getattr(theirs, kind.__name__, None)
        if other is None:
            continue
        known = [p for p in signature(other).parameters.values() if p.kind is not p.VAR_KEYWORD]
        found = [p for p in signature(kind).parameters.values() if p.kind is not p.VAR_KEYWORD]
        assert [p.name for p in found] == [p.name for p in known], kind
        for mine, theirs_ in zip(found, known, strict=True):
            if mine.name not in own.get(kind.__name__, ()):
                assert mine.default == theirs_.default, (kind, mine)
    hooks = {name for name in vars(theirs.Callback) if name.startswith("on_")}
    assert hooks == {name for name in vars(ours.Callback) if name.startswith("on_")}
