"""Regularizers, constraints and initializers: formulas, names, files, and which weights of a layer they reach."""

import json
import pickle

import numpy as np
import pytest

import recurra
from recurra import constraints, initializers, regularizers

RNG = np.random.default_rng(43)
W = RNG.standard_normal((5, 7))

NORMS = np.linalg.norm(W, axis=-1, keepdims=True)
COSINES = (W / NORMS) @ (W / NORMS).T
COLUMNS = (W / np.linalg.norm(W, axis=0)).T @ (W / np.linalg.norm(W, axis=0))


def mean_off_diagonal(cosines):
    count = len(cosines)
    return np.abs(cosines[~np.eye(count, dtype=bool)]).sum() / 2 / (count * (count - 1) / 2)


PENALTIES = [
    (regularizers.L1(0.3), 0.3 * np.abs(W).sum()),
    (regularizers.L2(0.3), 0.3 * (W**2).sum()),
    (regularizers.L1L2(0.1, 0.2), 0.1 * np.abs(W).sum() + 0.2 * (W**2).sum()),
    (regularizers.L1L2(), 0.0),
    (regularizers.OrthogonalRegularizer(0.5), 0.5 * mean_off_diagonal(COSINES)),
    (regularizers.OrthogonalRegularizer(0.5, "columns"), 0.5 * mean_off_diagonal(COLUMNS)),
]

PROJECTED = [
    (constraints.MaxNorm(1.5), W * np.minimum(NORMS, 1.5) / NORMS),
    (constraints.MinMaxNorm(2.0, 2.5, 0.4), W * (0.4 * np.clip(NORMS, 2.0, 2.5) + 0.6 * NORMS) / NORMS),
    (constraints.UnitNorm(), W / NORMS),
    (constraints.UnitNorm(axis=0), W / np.linalg.norm(W, axis=0)),
    (constraints.NonNeg(), np.where(W > 0, W, 0)),
]


def name(value):
    return type(value).__name__ if hasattr(value, "get_config") else ""


def test_every_regularizer_and_constraint_has_a_case():
    assert {type(case[0]) for case in PENALTIES} == set(regularizers.REGULARIZERS.values())
    assert {type(case[0]) for case in PROJECTED} == set(constraints.CONSTRAINTS.values())


@pytest.mark.parametrize(("regularizer", "expected"), PENALTIES, ids=name)
def test_a_penalty_is_its_formula_and_its_gradient_that_of_differences(regularizer, expected):
    penalty, gradient = regularizer.vjp(W)
    assert penalty == pytest.approx(expected, rel=1e-12)
    assert regularizer(W) == penalty
    for index in np.ndindex(W.shape):
        moved = [W.copy(), W.copy()]
        moved[0][index] += 1e-6
        moved[1][index] -= 1e-6
        assert gradient[index] == pytest.approx((regularizer(moved[0]) - regularizer(moved[1])) / 2e-6, abs=1e-7)
    penalty32, gradient32 = regularizer.vjp(W.astype(np.float32))
    assert gradient32.dtype == np.float32
    assert penalty32 == pytest.approx(penalty, rel=1e-5)


@pytest.mark.parametrize(("constraint", "expected"), PROJECTED, ids=name)
def test_a_constraint_is_its_formula(constraint, expected):
    np.testing.assert_allclose(constraint(W), expected, rtol=2e-7)
    assert constraint(W.astype(np.float32)).dtype == np.float32


@pytest.mark.parametrize(
    ("module", "table"),
    [(regularizers, regularizers.REGULARIZERS), (constraints, constraints.CONSTRAINTS)],
    ids=["regularizers", "constraints"],
)
def test_names_classes_and_descriptions_mean_objects(module, table):
    for key, cls in table.items():
        made = module.check("argument", key)
        assert type(made) is cls
        assert type(module.check("argument", cls)) is cls
        assert getattr(module, key) is cls
        again = module.check("argument", json.loads(json.dumps(module.serialize(made))))
        assert type(again) is cls
        assert again.get_config() == made.get_config()
    assert module.check("argument", None) is None
    with pytest.raises(ValueError, match=r"^argument: expected one of .*, got 'l3'"):
        module.check("argument", "l3")
    with pytest.raises(ValueError, match=r"^argument: expected arguments of "):
        module.check("argument", {"class_name": cls.__name__, "config": {"colour": 3}})
    with pytest.raises(TypeError, match=r"^argument: expected one of .* or an object with "):
        module.check("argument", 3)


@pytest.mark.parametrize("wrong", [-1.0, float("nan"), "much"])
def test_wrong_numbers_are_refused(wrong):
    for make in (regularizers.L1, regularizers.L2, constraints.MaxNorm, regularizers.OrthogonalRegularizer):
        with pytest.raises((ValueError, TypeError), match="expected a number from 0"):
            make(wrong)
    with pytest.raises(ValueError, match=r"^w: expected a matrix"):
        regularizers.OrthogonalRegularizer().vjp(np.ones(3))
    with pytest.raises(ValueError, match=r"^axis: expected an axis of a weight of shape"):
        constraints.UnitNorm(axis=1)(np.ones(3))
    with pytest.raises(ValueError, match=r"^max_value: expected at least min_value"):
        constraints.MinMaxNorm(2.0, 1.0)


# In layers


KINDS = {"weight_ih": "kernel", "weight_hr": "kernel", "weight_hh": "recurrent", "bias_ih": "bias", "bias_hh": "bias"}
OF_DENSE = {"weight": "kernel", "bias": "bias"}


@pytest.mark.parametrize("cls", [recurra.RNN, recurra.LSTM, recurra.GRU, recurra.Dense], ids=lambda cls: cls.__name__)
def test_each_argument_reaches_its_weights(cls):
    kinds = ("kernel", "bias") if cls is recurra.Dense else ("kernel", "recurrent", "bias")
    options = {f"{kind}_regularizer": regularizers.L2(number + 1.0) for number, kind in enumerate(kinds)}
    options |= {f"{kind}_constraint": constraints.MaxNorm(number + 1.0) for number, kind in enumerate(kinds)}
    more = {} if cls is recurra.Dense else {"bidirectional": True, "num_layers": 2, "layer_norm": True}
    more |= {"proj_size": 2} if cls is recurra.LSTM else {}
    layer = cls(4, **options, **more)
    layer.build((None, None, 3))
    for copy in (layer, cls.from_config(layer.get_config()), pickle.loads(pickle.dumps(layer))):
        copy.build((None, None, 3))
        for weight in copy.weights_declared:
            kind = OF_DENSE.get(weight.name, KINDS.get(weight.name.partition("_l")[0]))
            if kind is None:
                assert weight.regularizer is None
                assert weight.constraint is None
            else:
                assert weight.regularizer.l2 == kinds.index(kind) + 1.0
                assert weight.constraint.max_value == kinds.index(kind) + 1.0


def test_keras_puts_its_arguments_in_this_order():
    layer = recurra.LSTM(
        4, "tanh", "sigmoid", True, "zeros", "ones", "zeros", False, "l1", "l2", None, None, "unit_norm"
    )
    assert layer.arguments["kernel_regularizer"].get_config() == {"l1": 0.01}
    assert isinstance(layer.arguments["kernel_constraint"], constraints.UnitNorm)
    dense = recurra.Dense(4, None, True, "ones", "zeros", "l1", "l2", None, "max_norm", "non_neg")
    assert isinstance(dense.weight_options["bias_constraint"], constraints.NonNeg)


@pytest.mark.parametrize("cls", [recurra.RNN, recurra.LSTM, recurra.GRU, recurra.Dense], ids=lambda cls: cls.__name__)
def test_an_activity_regularizer_is_refused(cls):
    with pytest.raises(ValueError, match=r"^activity_regularizer: expected None: outputs are not penalised, got 'l2'"):
        cls(3, activity_regularizer="l2")


def test_a_penalty_counts_in_loss_and_gradient():
    x, y = RNG.standard_normal((6, 3)).astype(np.float32), RNG.standard_normal((6, 2)).astype(np.float32)
    model = recurra.Sequential([recurra.Dense(2, kernel_regularizer=regularizers.L2(0.5), seed=1)])
    model.compile(recurra.optimizers.SGD(0.1), "mse")
    model.build((None, 3))
    weight = model.parameters["dense.weight"].copy()
    error = x @ weight.T - y
    loss = model.fit(x, y, epochs=1, batch_size=6, verbose=0).history["loss"][0]
    assert loss == pytest.approx((error**2).mean() + 0.5 * (weight**2).sum(), rel=1e-5)
    moved = weight - 0.1 * (2 * error.T @ x / error.size + weight)
    np.testing.assert_allclose(model.parameters["dense.weight"], moved, rtol=1e-4, atol=1e-6)


def test_constraints_hold_after_training_and_in_a_file(tmp_path):
    options = {"kernel_constraint": "non_neg", "recurrent_constraint": constraints.MaxNorm(0.5)}
    model = recurra.Sequential([recurra.GRU(4, **options, seed=1), recurra.Dense(1, bias_constraint="non_neg")])
    model.compile(recurra.optimizers.SGD(0.5), "mse")
    x = RNG.standard_normal((16, 5, 3)).astype(np.float32)
    model.fit(x, np.full((16, 1), -1.0), epochs=4, verbose=0)
    model.save(tmp_path / "model.safetensors")
    for each in (model, recurra.load_model(tmp_path / "model.safetensors")):
        each.fit(x, np.full((16, 1), -1.0), epochs=1, verbose=0)
        assert each.parameters["gru.weight_ih_l0"].min() >= 0
        assert np.linalg.norm(each.parameters["gru.weight_hh_l0"], axis=1).max() <= 0.5 + 1e-6
        assert each.parameters["dense.bias"].min() >= 0


def test_objects_of_ones_own_serve_and_stay_in_copies():
    class Pulling(regularizers.Regularizer):
        def vjp(self, w):
            return float(w.sum()), np.ones_like(w)

    mine = Pulling()
    layer = recurra.Dense(2, kernel_regularizer=mine, kernel_constraint=np.abs, kernel_initializer=zeros_and_ones)
    layer.build((None, 3))
    assert layer.clone().weights_declared[0].regularizer is mine
    assert layer.weights_declared[0].constraint is np.abs


def zeros_and_ones(shape, seed, stream):
    return np.eye(*shape)


# Initializers

SHAPE = (200, 300)  # 60,000 draws: their deviation is known to about 0.3%


@pytest.mark.parametrize(
    ("initializer", "deviation", "bound"),
    [
        ("glorot_uniform", np.sqrt(2 / 500), np.sqrt(6 / 500)),
        ("glorot_normal", np.sqrt(2 / 500), 2 * np.sqrt(2 / 500) / 0.8796),
        ("he_uniform", np.sqrt(2 / 300), np.sqrt(6 / 300)),
        ("he_normal", np.sqrt(2 / 300), 2 * np.sqrt(2 / 300) / 0.8796),
        ("lecun_uniform", np.sqrt(1 / 300), np.sqrt(3 / 300)),
        ("lecun_normal", np.sqrt(1 / 300), 2 * np.sqrt(1 / 300) / 0.8796),
        ("uniform", 0.05 / np.sqrt(3), 0.05),
        ("random_uniform", 0.05 / np.sqrt(3), 0.05),
        ("normal", 0.05, 0.3),
        ("random_normal", 0.05, 0.3),
        ("truncated_normal", 0.05 * 0.8796, 0.1),
        ("variance_scaling", np.sqrt(1 / 300), 2 * np.sqrt(1 / 300) / 0.8796),
        (initializers.VarianceScaling(3.0, "fan_out", "uniform"), np.sqrt(3 / 200), np.sqrt(9 / 200)),
        (initializers.VarianceScaling(1.0, "fan_avg", "untruncated_normal"), np.sqrt(1 / 250), 0.4),
        ("pytorch_uniform", 0.25 / np.sqrt(3), 0.25),
    ],
    ids=str,
)
def test_draws_have_their_deviation_and_bound(initializer, deviation, bound):
    values = initializers.resolve(initializers.check("i", initializer), 16)(SHAPE, 5, 0)
    assert values.shape == SHAPE
    assert abs(values.mean()) < 0.02 * deviation
    assert values.std() == pytest.approx(deviation, rel=0.01)
    assert 0.9 * min(bound, 4 * deviation) < np.abs(values).max() <= bound


def test_what_is_not_drawn():
    make = initializers.INITIALIZERS
    assert (make["zeros"]()((2, 3), 0, 0) == 0).all()
    assert (make["ones"]()((2, 3), 0, 0) == 1).all()
    assert (initializers.Constant(2.5)((2, 3), 0, 0) == 2.5).all()
    np.testing.assert_array_equal(initializers.Identity(3.0)((2, 3), 0, 0), 3 * np.eye(2, 3))
    with pytest.raises(ValueError, match=r"^shape: expected a matrix"):
        initializers.Identity()((3,), 0, 0)
    q = initializers.Orthogonal(2.0)((6, 4), 0, 0)
    np.testing.assert_allclose(q.T @ q, 4 * np.eye(4), atol=1e-12)


def test_fans_of_a_filter_count_its_taps():
    values = initializers.HeUniform()((64, 8, 5), 1, 0)
    assert 0.95 * np.sqrt(6 / 40) < np.abs(values).max() <= np.sqrt(6 / 40)
    values = initializers.GlorotUniform()((64, 8, 5), 1, 0)
    assert 0.95 * np.sqrt(6 / 360) < np.abs(values).max() <= np.sqrt(6 / 360)


def test_a_seed_of_its_own_draws_the_same_everywhere_and_else_the_layer_decides():
    own, theirs = initializers.RandomNormal(seed=3), initializers.RandomNormal()
    np.testing.assert_array_equal(own(SHAPE, 1, 0), own(SHAPE, 2, 5))
    assert (theirs(SHAPE, 1, 0) != theirs(SHAPE, 2, 0)).any()
    assert (theirs(SHAPE, 1, 0) != theirs(SHAPE, 1, 1)).any()
    np.testing.assert_array_equal(theirs(SHAPE, 1, 0), theirs(SHAPE, 1, 0))


@pytest.mark.parametrize("cls", dict.fromkeys(initializers.INITIALIZERS.values()), ids=lambda cls: cls.__name__)
def test_initializers_survive_json(cls):
    layer = recurra.Dense(3, kernel_initializer=cls(), seed=1)
    copy = recurra.Dense.from_config(json.loads(json.dumps(layer.get_config())))
    for each in (layer, copy):
        each.build((None, 4))
    np.testing.assert_array_equal(layer.parameters["weight"], copy.parameters["weight"])
    assert type(copy.weight_options["kernel_initializer"]) is cls


def test_a_description_with_arguments_keeps_them():
    made = initializers.check("i", {"class_name": "RandomUniform", "config": {"minval": 1.0, "maxval": 2.0}})
    assert made.get_config() == {"minval": 1.0, "maxval": 2.0, "seed": None}
    for wrong in (3, "glorot"):
        with pytest.raises((TypeError, ValueError), match=r"^i: expected "):
            initializers.check("i", wrong)
