"""Copies and files of models hold all that training goes on from: what is frozen, statistics, the optimizer's state."""

import copy
import pickle

import numpy as np
import pytest

import recurra
from recurra import layers, optimizers

RNG = np.random.default_rng(0)
TOKENS = RNG.integers(0, 9, (8, 4, 3))
TARGETS = RNG.normal(size=(8, 4, 3, 1))


def through_file(model, path):
    model.save(path / "model.safetensors")
    return recurra.load_model(path / "model.safetensors")


WAYS = {
    "file": through_file,
    "pickle": lambda model, path: pickle.loads(pickle.dumps(model)),
    "deepcopy": lambda model, path: copy.deepcopy(model),
    "clone": lambda model, path: model.clone(),
}
GOING_ON = ["file", "pickle", "deepcopy"]  # a clone is not compiled


def nested():
    """Every kind of layer that holds others."""
    x = recurra.Input((None, 3))
    chain = recurra.Sequential([recurra.Dense(3), layers.BatchNormalization(), recurra.Sequential([recurra.Dense(3)])])
    cells = layers.RNN([layers.LSTMCell(3), layers.GRUCell(3)], return_sequences=True)
    timed = layers.TimeDistributed(recurra.Dense(3))
    both = recurra.Bidirectional(recurra.LSTM(2, return_sequences=True))
    return recurra.Model(x, recurra.Dense(1)(both(timed(cells(chain(x))))))


def moving(model):
    return [weight.name for weight in model.weights_declared if weight.moves]


@pytest.mark.parametrize("way", WAYS)
def test_what_is_frozen_stays_frozen_and_nothing_else(way, tmp_path):
    model = nested()
    chain, cells, timed, both, head = model.layers
    for choose in (
        lambda: [setattr(chain.layers[0], "trainable", False), setattr(timed.layer, "trainable", False)],
        lambda: [setattr(both, "trainable", False), setattr(chain.layers[2].layers[0], "trainable", False)],
        lambda: [setattr(model, "trainable", False), setattr(chain.layers[0], "trainable", True)],
        lambda: [setattr(model, "trainable", True), setattr(cells.layers[0], "trainable", False)],
        lambda: [setattr(model, "trainable", False), setattr(head, "trainable", True)],
        lambda: setattr(model, "trainable", True),
    ):
        choose()
        assert moving(WAYS[way](model, tmp_path)) == moving(model)


@pytest.mark.parametrize("way", ["pickle", "deepcopy", "clone"])
@pytest.mark.parametrize("make", [lambda: recurra.Dense(2), lambda: recurra.LSTM(2),
                                  lambda: layers.TimeDistributed(recurra.Dense(2)),
                                  lambda: layers.RNN([layers.LSTMCell(2), layers.GRUCell(2)])])  # fmt: skip
@pytest.mark.parametrize("built", [False, True])
def test_a_frozen_layer_alone_stays_frozen(way, make, built):
    layer = make()
    layer.trainable = False
    if built:
        layer(np.zeros((1, 2, 3), np.float32))
    made = WAYS[way](layer, None)
    made(np.zeros((1, 2, 3), np.float32))
    assert not made.trainable
    assert moving(made) == []


def words(optimizer):
    model = recurra.Sequential([
        recurra.Embedding(9, 2, seed=1, embeddings_constraint="non_neg"), layers.BatchNormalization(),
        recurra.LSTM(3, return_sequences=True, seed=2),
        recurra.Dense(1, seed=3, kernel_regularizer="l2"),
    ])  # fmt: skip
    model.compile(optimizer, "mse")
    return model


def excluding():
    optimizer = optimizers.AdamW(0.01, weight_decay=0.5)
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    return optimizer


OPTIMIZERS = {
    "accumulating": lambda: optimizers.Adam(0.01, gradient_accumulation_steps=3),
    "averaging": lambda: optimizers.SGD(0.1, momentum=0.9, use_ema=True, ema_overwrite_frequency=3),
    "excluding": excluding,
    "scheduled": lambda: optimizers.Adam(optimizers.schedules.ExponentialDecay(0.1, 2, 0.5), amsgrad=True),
    "clipping": lambda: optimizers.RMSprop(0.01, global_clipnorm=0.1),
}


@pytest.mark.parametrize("way", GOING_ON)
@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_a_copy_goes_on_bit_for_bit(kind, way, tmp_path):
    """After four batches, so that one waits for others where gradients are accumulated."""
    model = words(OPTIMIZERS[kind]())
    for x, y in zip(TOKENS[:4], TARGETS[:4], strict=True):
        model.train_on_batch(x, y)
    other = WAYS[way](model, tmp_path)
    for x, y in zip(TOKENS[4:], TARGETS[4:], strict=True):
        assert model.train_on_batch(x, y) == other.train_on_batch(x, y)
    np.testing.assert_array_equal(model.flat_parameters, other.flat_parameters)
    for name, slot in model.optimizer.slots.items():
        np.testing.assert_array_equal(slot, other.optimizer.slots[name])


@pytest.mark.parametrize("frozen", [0, 2, 3])
def test_gradients_of_what_is_frozen_before_their_move_are_forgotten(frozen):
    """Frozen after the first of two batches and thawed after their move, it moves by the two batches that follow."""
    model = words(optimizers.SGD(0.1, gradient_accumulation_steps=2))
    model.train_on_batch(TOKENS[0], TARGETS[0])
    model.layers[frozen].trainable = False
    before = model.layers[frozen].flat_parameters.copy()
    model.train_on_batch(TOKENS[1], TARGETS[1])
    np.testing.assert_array_equal(model.layers[frozen].flat_parameters, before)
    assert not model.optimizer.slots["accumulated_gradients"].any()


class Custom(recurra.metrics.Metric):
    name = "custom"

    def update_state(self, y_true, y_pred, sample_weight=None):
        pass

    def result(self):
        return 0.0

    def reset_state(self):
        pass


@pytest.mark.parametrize("metrics", [{"p": Custom(), "q": "mae"}, [["mae", Custom()], None], [None, ["mae"]],
                                     ["mae", Custom()]])  # fmt: skip
def test_a_file_keeps_the_metrics_that_have_a_name(metrics, tmp_path):
    x = recurra.Input((2,))
    model = recurra.Model(x, {"p": recurra.Dense(2)(x), "q": recurra.Dense(1)(x)})
    model.compile("adam", ["mse", "mae"], metrics=metrics, loss_weights={"p": 2.0})
    x, y = np.ones((3, 2)), {"p": np.ones((3, 2)), "q": np.ones((3, 1))}
    found = model.evaluate(x, y, return_dict=True, verbose=0)
    again = through_file(model, tmp_path).evaluate(x, y, return_dict=True, verbose=0)
    assert again == {name: value for name, value in found.items() if "custom" not in name}


def test_a_copy_of_a_model_of_ones_own_is_compiled_as_it_was():
    model = Own(3)
    model.compile(optimizers.Adam(0.1), "mse")
    x = RNG.normal(size=(4, 3))
    model.train_on_batch(x, x)
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert other.train_on_batch(x, x) == model.evaluate(x, x, verbose=0)
        assert other.optimizer.iterations == 2


class Own(recurra.Model):
    """A model of one's own around a dense layer."""

    def __init__(self, units):
        super().__init__()
        self.units, self.inner = units, recurra.Dense(units)

    def get_config(self):
        return {"units": self.units}

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.units)

    def __call__(self, x):
        return self.inner(x)

    def vjp(self, x):
        return self.inner.vjp(x)
