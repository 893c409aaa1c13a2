"""A class of one's own is never taken for recurra's of the same name, nor the other way round."""

import json

import numpy as np
import pytest

import recurra
from recurra import layers, losses, metrics, optimizers
from recurra.io import safetensors
from recurra.optimizers import schedules

X, Y = np.ones((4, 5, 2), np.float32), np.ones((4, 3), np.float32)


class Dense(layers.Dense):
    def _apply(self, x, lengths, training, seed):
        return 2 * super()._apply(x, lengths, training, seed)


class Sequential(recurra.Sequential):
    pass


class Huber(losses.Huber):
    pass


class Precision(metrics.Precision):
    pass


class SGD(optimizers.SGD):
    pass


class CosineDecay(schedules.CosineDecay):
    pass


MADE = [
    (layers, lambda: Dense(3), "class_name: expected a class of recurra, got 'Dense' of the module"),
    (losses, lambda: Huber(0.5), "loss: expected a class of recurra, got 'Huber' of the module"),
    (metrics, lambda: Precision(), "metrics: expected a class of recurra, got 'Precision' of the module"),
    (optimizers, lambda: SGD(0.5), "optimizer: expected a class of recurra, got 'SGD' of the module"),
    (schedules, lambda: CosineDecay(0.1, 10), "learning_rate: expected a class of recurra, got 'CosineDecay' of the"),
]


@pytest.mark.parametrize(("family", "make", "message"), MADE, ids=[family.__name__ for family, *_ in MADE])
def test_a_description_names_the_module_of_a_class_of_ones_own(family, make, message):
    own = make()
    described = json.loads(json.dumps(family.serialize(own)))
    with pytest.raises(ValueError, match=message) as caught:
        family.deserialize(described)
    assert f"custom_objects={{'{type(own).__name__}': ...}}" in str(caught.value)
    assert type(family.deserialize(described, {type(own).__name__: type(own)})) is type(own)
    del described["module"]  # as it was written before modules were
    parent = type(own).__mro__[1]
    assert type(family.deserialize(described)) is parent
    known = parent.from_config(own.get_config())
    assert "module" not in family.serialize(known)
    assert type(family.deserialize({**family.serialize(known), "module": "keras.losses"})) is parent


def test_a_saved_model_names_the_module_of_a_layer_of_ones_own(tmp_path):
    model = recurra.Sequential([recurra.GRU(4), Dense(3)])
    y = model(X)
    model.save(tmp_path / "m.safetensors")
    with pytest.raises(ValueError, match="expected a class of recurra, got 'Dense' of the module"):
        recurra.load_model(tmp_path / "m.safetensors")
    again = recurra.load_model(tmp_path / "m.safetensors", {"Dense": Dense})
    np.testing.assert_array_equal(again(X), y)
    with pytest.raises(ValueError, match="a layer of recurra, got a"):
        recurra.runtime.Model(tmp_path / "m.safetensors")


def test_a_saved_model_names_the_module_of_a_model_of_ones_own(tmp_path):
    model = Sequential([recurra.GRU(4)])
    model(X)
    model.save(tmp_path / "m.safetensors")
    with pytest.raises(ValueError, match="expected a class of recurra, got 'Sequential' of the module"):
        recurra.load_model(tmp_path / "m.safetensors")
    with pytest.raises(ValueError, match="expected a model of recurra, got a class of one's own"):
        recurra.runtime.Model(tmp_path / "m.safetensors")


def named(description):
    """What compile was given as files described it at first: losses and metrics by their names in the tables."""
    if isinstance(description, list):
        return [named(one) for one in description]
    if not isinstance(description, dict):
        return description
    if "class_name" not in description:
        return {"each": {key: named(one) for key, one in description["each"].items()}}
    tables = {**losses.LOSSES, **metrics.METRICS}
    name = next(name for name, cls in tables.items() if cls.__name__ == description["class_name"])
    return {"name": name, "config": description["config"]}


def one_output():
    model = recurra.Sequential([recurra.LSTM(4), recurra.Dense(3)])
    chosen = ["mae", metrics.RootMeanSquaredError()]
    model.compile("adam", losses.Huber(delta=0.5), metrics=chosen, weighted_metrics=[metrics.MeanSquaredError()])
    return model, Y


def two_outputs():
    x = recurra.Input((5, 2))
    h = recurra.LSTM(4)(x)
    model = recurra.Model(x, [recurra.Dense(3, name="a")(h), recurra.Dense(3, name="b")(h)])
    model.compile("sgd", {"a": "mse", "b": losses.MeanAbsoluteError("sum")}, metrics=[[], ["mae"]])
    return model, [Y, Y]


@pytest.mark.parametrize("made", [one_output, two_outputs], ids=lambda made: made.__name__)
def test_files_that_name_losses_by_the_table_can_be_read(made, tmp_path):
    model, y = made()
    model.fit(X, y, verbose=0)
    expected = model.evaluate(X, y, verbose=0, return_dict=True)
    model.save(tmp_path / "new.safetensors")
    arrays, metadata = safetensors.read(tmp_path / "new.safetensors")
    config = json.loads(metadata["model"])
    for part in ("loss", "metrics", "weighted_metrics"):
        config["compile"][part] = named(config["compile"][part])
    assert '"name": "' in json.dumps(config["compile"]["loss"])
    safetensors.write(tmp_path / "old.safetensors", arrays, {**metadata, "model": json.dumps(config)})
    for name in ("new", "old"):
        again = recurra.load_model(tmp_path / f"{name}.safetensors")
        assert again.evaluate(X, y, verbose=0, return_dict=True) == expected


def test_a_run_goes_on_where_a_class_of_ones_own_has_moved(tmp_path, monkeypatch):
    def fit(epochs):
        model = recurra.Sequential([recurra.GRU(4), Dense(3)])
        model.compile("sgd", "mse")
        return model.fit(X, Y, epochs=epochs, resume=str(tmp_path / "run"), verbose=0)

    fit(1)
    monkeypatch.setattr(Dense, "__module__", "__main__")
    assert len(fit(2).history["loss"]) == 2
