"""Every optimizer against its formula, on whole models and on parts, tables, threads."""

import json

import numpy as np
import pytest

import recurra
from optimizer_cases import CASES, IDS, RULES, Bag, bag, gradients
from recurra import _core, optimizers
from recurra.optimizers import OPTIMIZERS

TOLERANCE = {"float32": {"rtol": 2e-5, "atol": 2e-6}, "float64": {"rtol": 1e-12, "atol": 1e-13}}


def test_every_optimizer_has_a_formula_here():
    assert set(RULES) == set(OPTIMIZERS)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("name", "options"), CASES, ids=IDS)
def test_eight_steps_are_those_of_the_formula(name, options, dtype):
    model, optimizer, memory = bag(dtype=dtype), OPTIMIZERS[name](0.01, **options), {}
    expected = model.flat_parameters.astype(np.float64)
    for t in range(1, 9):
        g = gradients(t, model.size).astype(dtype)
        model.put(g)
        optimizer.step(model)
        expected = RULES[name][0](expected, g.astype(np.float64), memory, t, 0.01, **options)
        np.testing.assert_array_equal(model.flat_gradients, g)
    np.testing.assert_allclose(model.flat_parameters, expected, **TOLERANCE[dtype])
    assert optimizer.iterations == 8


@pytest.mark.parametrize("name", RULES)
def test_defaults_are_those_of_the_formula_and_of_keras(name):
    optimizer = OPTIMIZERS[name]()
    assert optimizer.learning_rate == (0.01 if name == "sgd" else 0.001)
    assert optimizer.name == {"amsgrad": "adam"}.get(name, name)
    assert optimizer.slots == {}


@pytest.mark.parametrize(("name", "options"), CASES, ids=IDS)
def test_an_optimizer_is_rebuilt_from_its_configuration(name, options):
    optimizer = OPTIMIZERS[name](0.02, use_ema=True, clipnorm=2.0, gradient_accumulation_steps=3, **options)
    config = json.loads(json.dumps(optimizer.get_config()))
    again = type(optimizer).from_config(config)
    assert again.get_config() == config
    assert optimizers.get(json.loads(json.dumps(optimizers.serialize(optimizer)))).get_config() == config
    assert again.slot_names == optimizer.slot_names


def test_names_are_found_in_any_case_and_objects_are_kept():
    assert isinstance(optimizers.get("AdamW"), optimizers.AdamW)
    assert optimizers.get("amsgrad").amsgrad
    made = optimizers.SGD()
    assert optimizers.get(made) is made


# Parts: what is frozen, what is sparse


def frozen_bag(dtype="float64"):
    return Bag(
        {
            "a": ((3, 7), {}),
            "still": ((5,), {"trainable": False}),
            "b": ((11,), {}),
            "c": ((2, 2), {}),
            "also still": ((9,), {"trainable": False}),
        },
        dtype,
    )


@pytest.mark.parametrize(("name", "options"), CASES, ids=IDS)
def test_frozen_parameters_and_their_slots_stay_and_the_others_move_as_if_alone(name, options):
    model, whole = frozen_bag(), bag(50)
    whole.fill(model.flat_parameters)
    before, moves = model.flat_parameters.copy(), np.ones(50, bool)
    moves[21:26] = moves[41:] = False
    one, other = OPTIMIZERS[name](**options), OPTIMIZERS[name](**options)
    start = None
    for t in range(3):
        for m, optimizer in ((model, one), (whole, other)):
            m.put(gradients(t, 50))
            optimizer.step(m)
        start = start or {key: slot[~moves].copy() for key, slot in one.slots.items()}
    np.testing.assert_array_equal(model.flat_parameters[~moves], before[~moves])
    np.testing.assert_array_equal(model.flat_parameters[moves], whole.flat_parameters[moves])
    for key, slot in one.slots.items():
        np.testing.assert_array_equal(slot[~moves], start[key])
        np.testing.assert_array_equal(slot[moves], other.slots[key][moves])


def test_nothing_moves_in_a_frozen_layer_and_thawing_it_lets_it_move():
    model, optimizer = bag(), optimizers.Adam()
    before = model.flat_parameters.copy()
    model.trainable = False
    model.put(1.0)
    optimizer.step(model)
    np.testing.assert_array_equal(model.flat_parameters, before)
    model.trainable = True
    optimizer.step(model)
    assert (model.flat_parameters != before).all()


def table_bag(width=5, dtype="float64"):
    return Bag({"a": ((4,), {}), "table": ((20, width), {"sparse": True}), "b": ((3,), {})}, dtype)


@pytest.mark.parametrize("width", [1, 5, 16])
@pytest.mark.parametrize(("name", "options"), CASES, ids=IDS)
def test_of_a_table_the_touched_rows_move_as_a_dense_update_of_them_and_no_others(name, options, width):
    """The dense twin has the touched rows alone, so its slots are those of rows that are touched each time."""
    model, rows = table_bag(width), np.array([3, 4, 11, 19])
    twin = bag(4 * width + 7)
    inside = np.concatenate([np.arange(4), (4 + rows[:, None] * width + np.arange(width)).ravel(), [-3, -2, -1]])
    twin.fill(model.flat_parameters[inside])
    before = model.flat_parameters.copy()
    options = {"weight_decay": 0.1, **options}
    one, other = OPTIMIZERS[name](**options), OPTIMIZERS[name](**options)
    for t in range(4):
        model.zero_gradients()
        model._touch("table", rows[::-1].repeat(2))
        model.flat_gradients[inside] = gradients(t, len(inside))
        twin.put(gradients(t, len(inside)))
        one.step(model)
        other.step(twin)
    np.testing.assert_array_equal(model.flat_parameters[inside], twin.flat_parameters)
    outside = np.setdiff1d(np.arange(model.size), np.arange(model.size)[inside])
    np.testing.assert_array_equal(model.flat_parameters[outside], before[outside])
    for key, slot in one.slots.items():
        np.testing.assert_array_equal(slot[inside], other.slots[key])


def test_momentum_neither_moves_nor_fades_in_rows_that_are_not_touched():
    model, optimizer = table_bag(), optimizers.SGD(0.1, momentum=0.9)
    model._touch("table", [2])
    model.put(1.0)
    optimizer.step(model)
    row, velocity = model.parameters["table"][2].copy(), optimizer.slots["velocity"].copy()
    model.zero_gradients()
    optimizer.step(model)
    np.testing.assert_array_equal(model.parameters["table"][2], row)
    np.testing.assert_array_equal(optimizer.slots["velocity"][4:-3], velocity[4:-3])


class Halving(optimizers.Optimizer):
    """A rule of one's own, in NumPy."""

    rule_slots = ("seen",)

    def update(self, parameters, gradients, slots):
        assert parameters.shape == gradients.shape == slots["seen"].shape
        slots["seen"] += 1
        parameters -= self.learning_rate * gradients / slots["seen"]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"clipvalue": 0.01, "weight_decay": 0.1},
        {"clipnorm": 0.5},
        {"global_clipnorm": 0.5, "weight_decay": 0.1, "use_ema": True},
        {"gradient_accumulation_steps": 2, "clipnorm": 0.5},
    ],
    ids=lambda options: "-".join(options) or "plain",
)
def test_a_rule_of_ones_own_gets_what_comes_before_a_rule_and_rows_of_tables(options):
    class Own(optimizers.Optimizer):
        def update(self, parameters, gradients, slots):
            assert set(slots) == set()
            parameters -= self.learning_rate * gradients

    one, other = table_bag(), table_bag()
    own, built_in = Own(0.5, **options), optimizers.SGD(0.5, **options)
    for t in range(4):
        for model, optimizer in ((one, own), (other, built_in)):
            model.zero_gradients()
            model._touch("table", [1, 2 + t, 19])
            some = np.r_[:4, [4 + 5 * r + c for r in (1, 2 + t, 19) for c in range(5)], model.size - 3 : model.size]
            model.flat_gradients[some] = gradients(t, len(some))
            optimizer.step(model)
    np.testing.assert_allclose(one.flat_parameters, other.flat_parameters, rtol=1e-13, atol=1e-14)


def test_the_slots_of_a_rule_of_ones_own_are_written_back_into_a_table():
    model, optimizer = table_bag(), Halving(0.5)
    for rows in ([1, 2], [2]):
        model.zero_gradients()
        model._touch("table", rows)
        optimizer.step(model)
    seen = optimizer.slots["seen"][4:-3].reshape(20, 5)
    np.testing.assert_array_equal(seen[:4, 0], [0, 1, 2, 0])
    np.testing.assert_array_equal(optimizer.slots["seen"][:4], 2)


def test_a_rule_that_calls_a_built_in_one_gets_the_same_on_tables():
    class Loud(optimizers.Adam):
        def update(self, parameters, gradients, slots):
            super().update(parameters, gradients, slots)

    one, other = table_bag(), table_bag()
    for model, optimizer in ((one, Loud(clipnorm=0.1)), (other, optimizers.Adam(clipnorm=0.1))):
        for t in range(3):
            model.zero_gradients()
            model._touch("table", [1, 7])
            model.put(gradients(t, model.size))
            optimizer.step(model)
    np.testing.assert_allclose(one.flat_parameters, other.flat_parameters, rtol=1e-13, atol=1e-14)


def test_a_rule_of_ones_own_may_derive_from_a_built_in_optimizer():
    class Own(optimizers.Adam):
        def update(self, parameters, gradients, slots):
            parameters -= self.learning_rate * gradients

    one, other = table_bag(), table_bag()
    for model, optimizer in ((one, Own(0.1, clipvalue=0.2)), (other, optimizers.SGD(0.1, clipvalue=0.2))):
        model._touch("table", [1, 7])
        model.put(gradients(0, model.size))
        optimizer.step(model)
    np.testing.assert_allclose(one.flat_parameters, other.flat_parameters, rtol=1e-13, atol=1e-14)


# Bits


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("name", "options"), CASES, ids=IDS)
def test_threads_and_places_in_the_buffer_change_no_bit(name, options, dtype, threads):
    size, results = 70_001, []
    for count in (1, 2, 3):
        _core.set_num_threads(count)
        model, optimizer = bag(size, dtype), OPTIMIZERS[name](global_clipnorm=3.0, **options)
        for t in range(2):
            model.put(gradients(t, size))
            optimizer.step(model)
        results.append(model.flat_parameters)
    np.testing.assert_array_equal(results[1], results[0])
    np.testing.assert_array_equal(results[2], results[0])


def test_threads_change_no_bit_of_tables(threads):
    rows, results = np.arange(0, 3000, 2), []
    for count in (1, 2, 3):
        _core.set_num_threads(count)
        model = Bag({"table": ((3000, 45), {"sparse": True})}, "float32")
        optimizer = optimizers.Adam(global_clipnorm=3.0, gradient_accumulation_steps=2)
        for t in range(2):
            model._touch("table", rows)
            model.put(gradients(t, model.size))
            optimizer.step(model)
        results.append(model.flat_parameters)
    np.testing.assert_array_equal(results[1], results[0])
    np.testing.assert_array_equal(results[2], results[0])


@pytest.mark.parametrize(("name", "options"), CASES, ids=IDS)
def test_however_the_buffer_is_cut_into_parts_the_bits_are_the_same(name, options):
    whole = bag(300, "float32")
    cut = Bag({f"w{k}": ((size,), {}) for k, size in enumerate((1, 16, 90, 7, 31, 155))}, "float32")
    cut.fill(whole.flat_parameters)
    for model in (whole, cut):
        optimizer = OPTIMIZERS[name](**{"weight_decay": 0.1, **options})
        optimizer.exclude_from_weight_decay(var_names=["none of them"])  # so that each parameter is a part
        for t in range(3):
            model.put(gradients(t, 300))
            optimizer.step(model)
    np.testing.assert_array_equal(cut.flat_parameters, whole.flat_parameters)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", [(0,), (1,), (5,), (16,), (70_001,), (30, 7)])
def test_sums_of_squares_are_exact_to_float64_and_the_same_for_any_number_of_threads(shape, dtype, threads):
    x = (np.random.default_rng(1).normal(size=shape) * 1e15).astype(dtype)
    sums = []
    for count in (1, 2, 3):
        _core.set_num_threads(count)
        sums.append(_core.sum_of_squares(x))
    assert sums[1:] == sums[:1] * 2
    np.testing.assert_allclose(sums[0], (x.astype(np.longdouble) ** 2).sum(), rtol=1e-14)
    if len(shape) == 2:
        rows = np.array([0, 4, 29])
        np.testing.assert_allclose(_core.sum_of_squares(x, rows), (x[rows].astype(float) ** 2).sum(), rtol=1e-14)


@pytest.mark.parametrize("name", ["adam", "lion", "adamax", "amsgrad", "rmsprop"])
def test_a_gradient_that_is_no_number_shows_in_its_parameter_alone(name):
    model, optimizer = bag(), OPTIMIZERS[name](clipvalue=1.0)
    g = gradients(0, model.size)
    g[7] = np.nan
    model.put(g)
    optimizer.step(model)
    assert np.flatnonzero(np.isnan(model.flat_parameters)).tolist() == [7]


def test_a_model_of_another_size_is_refused_and_a_failure_does_not_count():
    model, optimizer = bag(), optimizers.Adam()
    optimizer.step(model)
    with pytest.raises(
        ValueError, match=r"optimizer: expected the model of its first step \(37 parameters\), got anot"
    ):
        optimizer.step(bag(38))
    assert optimizer.iterations == 1

    class Failing(optimizers.Optimizer):
        def update(self, parameters, gradients, slots):
            raise RuntimeError("half way")

    failing = Failing(1.0)
    with pytest.raises(RuntimeError, match="half way"):
        failing.step(model)
    assert failing.iterations == 0


def test_a_saved_model_goes_on_with_the_same_bits(tmp_path):
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(8, 5, 3)).astype(np.float32), rng.normal(size=(8, 1)).astype(np.float32)
    schedule = optimizers.schedules.CosineDecay(0.1, 20)
    model = recurra.Sequential([recurra.LSTM(4, seed=1), recurra.Dense(1, seed=2)])
    model.compile(optimizers.Nadam(schedule, weight_decay=0.01, use_ema=True), "mse")
    for _ in range(3):
        model.train_on_batch(x, y)
    model.save(tmp_path / "model.safetensors")
    again = recurra.load_model(tmp_path / "model.safetensors")
    for m in (model, again):
        m.train_on_batch(x, y)
    np.testing.assert_array_equal(again.flat_parameters, model.flat_parameters)
    np.testing.assert_array_equal(again.optimizer.slots["average"], model.optimizer.slots["average"])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda p, g, s: _core.update("adm", p, g, [], ()), "rule: expected one of sgd, momentum, .*, got adm"),
        (lambda p, g, s: _core.update("sgd", p, g, [s], (0.1,)), "slots: expected 0 arrays, got 1"),
        (lambda p, g, s: _core.update("sgd", p, g, [], ()), "numbers: expected 1 numbers, got 0"),
        (lambda p, g, s: _core.update("sgd", p, g[1:], [], (0.1,)), r"grads: expected shape \(6,\), got \(5,\)"),
        (lambda p, g, s: _core.update("sgd", p, g.astype("f4"), [], (0.1,)), "grads: expected float64, got float32"),
        (lambda p, g, s: _core.update("sgd", p[::2], g[:3], [], (0.1,)), "params: expected a C-contiguous array"),
        (lambda p, g, s: _core.update("sgd", p, p, [], (0.1,)), "grads: expected memory apart from params"),
        (lambda p, g, s: _core.update("momentum", p, g, [p], (0.1, 0.9)), "slots: expected memory apart from params"),
        (lambda p, g, s: _core.update("sgd", p, g, [], ("a",)), "must be real number"),
        (lambda p, g, s: _core.update("sgd", p, g, [], (0.1,), rows=np.array([0])), "params: expected two axes"),
        (
            lambda p, g, s: _core.update("sgd", p.reshape(3, 2), g.reshape(3, 2), [], (0.1,), rows=np.array([0, 3])),
            "rows: expected ascending integers from 0 to 2, got 3",
        ),
        (
            lambda p, g, s: _core.update("sgd", p.reshape(3, 2), g.reshape(3, 2), [], (0.1,), rows=np.array([1, 1])),
            "rows: expected ascending integers from 0 to 2, got 1",
        ),
        (
            lambda p, g, s: _core.update("sgd", p.reshape(3, 2), g.reshape(3, 2), [], (0.1,), rows=np.array([-1])),
            "rows: expected ascending integers from 0 to 2, got -1",
        ),
    ],
)
def test_the_engine_refuses_what_is_not_safe(call, message):
    p, g, s = np.ones(6), np.ones(6), np.ones(6)
    with pytest.raises((ValueError, TypeError), match=message):
        call(p, g, s)
    np.testing.assert_array_equal(p, 1.0)


def test_strided_gradients_are_copied():
    p, g = np.ones(4), np.arange(8.0)
    _core.update("sgd", p, g[::2], [], (1.0,))
    np.testing.assert_array_equal(p, 1.0 - np.arange(0.0, 8.0, 2.0))
