"""What all optimizers share: decay, clipping, averages, accumulation, learning rates, state, messages."""

import json

import numpy as np
import pytest

from optimizer_cases import Bag, bag, gradients
from recurra import optimizers
from recurra.optimizers import schedules


def layers():
    """Two weights and a bias, of 12, 6 and 3 elements."""
    return Bag({"kernel": ((3, 4), {}), "kernel_2": ((2, 3), {}), "bias": ((3,), {})})


def moved(model, optimizer, g):
    """Return by how much a step moves the parameters."""
    before = model.flat_parameters.copy()
    model.put(g)
    optimizer.step(model)
    return model.flat_parameters - before


# Weight decay


def test_weights_decay_by_the_rate_times_the_decay_and_excluded_ones_do_not():
    model = layers()
    optimizer = optimizers.SGD(0.5, weight_decay=0.1)
    optimizer.exclude_from_weight_decay(var_names=["bias", "_2$"])
    expected = -0.05 * model.flat_parameters
    expected[12:] = 0.0
    np.testing.assert_allclose(moved(model, optimizer, 0.0), expected, rtol=1e-13, atol=1e-16)
    with pytest.raises(ValueError, match="var_names: expected to be excluded before the first step, got 1 steps"):
        optimizer.exclude_from_weight_decay(var_names=["kernel"])


def test_decay_follows_a_schedule_of_the_rate():
    model = layers()
    optimizer = optimizers.SGD(schedules.PiecewiseConstantDecay([0], [0.5, 0.1]), weight_decay=0.1)
    for rate in (0.5, 0.1):
        expected = -0.1 * rate * model.flat_parameters
        np.testing.assert_allclose(moved(model, optimizer, 0.0), expected, rtol=1e-12)


# Clipping


def test_clipvalue_clips_each_element():
    g = gradients(0, 21)
    np.testing.assert_allclose(
        moved(layers(), optimizers.SGD(1.0, clipvalue=0.3), g), -np.clip(g, -0.3, 0.3), atol=1e-15
    )


def test_clipnorm_scales_each_parameter_whose_norm_is_larger():
    g = np.concatenate([np.full(12, 2.0), np.full(6, 0.1), np.full(3, -5.0)])
    expected = g.copy()
    for place in (slice(0, 12), slice(12, 18), slice(18, 21)):
        expected[place] *= min(1.0, 1.5 / np.sqrt((g[place] ** 2).sum()))
    assert (expected[12:18] == g[12:18]).all()
    np.testing.assert_allclose(moved(layers(), optimizers.SGD(1.0, clipnorm=1.5), g), -expected, rtol=1e-12)


@pytest.mark.parametrize("limit", [1.5, 1e6])
def test_global_clipnorm_scales_all_if_their_norm_is_larger(limit):
    g = gradients(0, 21)
    expected = g * min(1.0, limit / np.sqrt((g**2).sum()))
    np.testing.assert_allclose(
        moved(layers(), optimizers.SGD(1.0, global_clipnorm=limit), g), -expected, rtol=1e-12, atol=1e-15
    )


def test_the_global_norm_is_that_of_the_parameters_that_move():
    model = Bag({"a": ((4,), {}), "still": ((5,), {"trainable": False}), "b": ((3,), {})})
    step = moved(model, optimizers.SGD(1.0, global_clipnorm=1.0), np.r_[np.ones(4), np.full(5, 1e9), np.ones(3)])
    np.testing.assert_allclose(step[[0, -1]], -1 / np.sqrt(7), rtol=1e-13)


def test_clipnorm_and_decay_find_their_parameters_between_frozen_ones_and_tables():
    still = {"trainable": False}
    model = Bag(
        {"s": ((5,), still), "a": ((4,), {}), "t": ((3, 2), {"sparse": True}), "s2": ((2,), still), "b": ((3,), {})}
    )
    optimizer = optimizers.SGD(1.0, clipnorm=1.0, weight_decay=0.5)
    optimizer.exclude_from_weight_decay(var_names=["^a$"])
    model._touch("t", [2])
    before = model.flat_parameters.copy()
    norms = np.repeat([4.0, 2.0, 3.0], [4, 2, 3]) ** 0.5
    step = moved(model, optimizer, 2.0)
    moves = np.r_[5:9, 13:15, 17:20]
    expected = -1 / norms - 0.5 * before[moves] * np.repeat([0, 1, 1], [4, 2, 3])
    np.testing.assert_allclose(step[moves], expected, rtol=1e-12)
    assert not np.delete(step, moves).any()


@pytest.mark.parametrize("option", ["clipnorm", "global_clipnorm"])
def test_norms_of_large_float32_gradients_do_not_overflow(option):
    model = bag(4, "float32")
    step = moved(model, optimizers.SGD(1.0, **{option: 2.0}), 1e30)
    np.testing.assert_allclose(step, -1.0, rtol=1e-6)


def test_a_global_norm_that_is_infinite_shows_in_all_parameters():
    model = layers()
    moved(model, optimizers.SGD(1.0, global_clipnorm=1.0), np.r_[np.inf, np.ones(20)])
    assert np.isnan(model.flat_parameters).all()


# Averages


def test_averages_are_those_of_the_formula_and_take_the_place_of_the_parameters_when_told():
    model, optimizer = layers(), optimizers.SGD(0.1, use_ema=True, ema_momentum=0.8)
    average = None
    for t in range(5):
        moved(model, optimizer, gradients(t, 21))
        w = model.flat_parameters
        average = w.copy() if average is None else 0.8 * average + 0.2 * w
    np.testing.assert_allclose(optimizer.slots["average"], average, rtol=1e-13)
    version = model._version.number
    optimizer.finalize_variable_values(model)
    np.testing.assert_allclose(model.flat_parameters, average, rtol=1e-13)
    assert model._version.number > version


def test_averages_overwrite_the_parameters_now_and_then():
    model, optimizer = layers(), optimizers.SGD(0.1, use_ema=True, ema_momentum=0.8, ema_overwrite_frequency=2)
    w = average = model.flat_parameters.copy()
    for t in range(5):
        moved(model, optimizer, gradients(t, 21))
        w = w - 0.1 * gradients(t, 21)
        average = w if t == 0 else 0.8 * average + 0.2 * w
        w = average if t % 2 else w
        np.testing.assert_allclose(model.flat_parameters, w, rtol=1e-12)


def test_averages_leave_frozen_parameters_alone_and_are_theirs_when_they_thaw():
    model = Bag({"a": ((4,), {}), "still": ((5,), {"trainable": False})})
    before, optimizer = model.flat_parameters.copy(), optimizers.SGD(0.1, use_ema=True)
    moved(model, optimizer, 1.0)
    np.testing.assert_array_equal(optimizer.slots["average"][4:], before[4:])
    model.parameters["still"][...] = 7.0
    optimizer.finalize_variable_values(model)
    assert (model.flat_parameters[4:] == 7.0).all()


def test_without_averages_finalizing_changes_nothing():
    model, optimizer = layers(), optimizers.Adam()
    moved(model, optimizer, 1.0)
    before = model.flat_parameters.copy()
    optimizer.finalize_variable_values(model)
    np.testing.assert_array_equal(model.flat_parameters, before)


# Accumulation


@pytest.mark.parametrize(
    "options", [{}, {"clipnorm": 0.5, "weight_decay": 0.1}, {"global_clipnorm": 0.5}, {"use_ema": True}]
)
def test_three_accumulated_batches_are_one_of_their_mean(options):
    one, other = layers(), layers()
    small = optimizers.Adam(0.1, gradient_accumulation_steps=3, **options)
    large = optimizers.Adam(0.1, **options)
    for t in range(4):
        parts = [gradients(3 * t + k, 21) for k in range(3)]
        for k, g in enumerate(parts):
            assert small.iterations == t
            step = moved(one, small, g)
            assert (k == 2) == bool(np.any(step))
        moved(other, large, np.mean(parts, axis=0))
    np.testing.assert_allclose(one.flat_parameters, other.flat_parameters, rtol=1e-12)
    assert not small.slots["accumulated_gradients"].any()
    for name, slot in large.slots.items():
        np.testing.assert_allclose(small.slots[name], slot, rtol=1e-12)


def table():
    return Bag({"a": ((4,), {}), "table": ((20, 5), {"sparse": True}), "b": ((3,), {})})


def batch(model, rows, t):
    """Set the gradients of a batch that touches these rows."""
    model.zero_gradients()
    model._touch("table", rows)
    some = np.r_[:4, [4 + 5 * r + c for r in rows for c in range(5)], model.size - 3 : model.size]
    model.flat_gradients[some] = gradients(t, len(some))


def test_accumulated_batches_move_the_rows_that_any_of_them_touched():
    one, other = table(), table()
    small, large = optimizers.Adam(0.1, gradient_accumulation_steps=2), optimizers.Adam(0.1)
    for t in range(3):
        total = np.zeros(one.size)
        for k, rows in enumerate(([1, 2], [2, 7 + t])):
            batch(one, rows, 2 * t + k)
            total += one.flat_gradients
            small.step(one)
        other.zero_gradients()
        other._touch("table", [1, 2, 7 + t])
        other.flat_gradients[...] = total / 2
        large.step(other)
    np.testing.assert_allclose(one.flat_parameters, other.flat_parameters, rtol=1e-12)
    assert not small.slots["accumulated_gradients"].any()


def test_an_optimizer_that_takes_on_the_state_of_another_goes_on_like_it():
    one, options = table(), {"gradient_accumulation_steps": 3, "weight_decay": 0.1, "use_ema": True}
    first = optimizers.Nadam(0.1, **options)
    first.exclude_from_weight_decay(var_names=["b"])
    for t in range(5):  # two of three batches wait
        batch(one, [t, t + 3], t)
        first.step(one)
    other = table()
    other.fill(one.flat_parameters)
    second = optimizers.Nadam(0.1, **options)
    second.slots = {name: first.slots[name].copy() for name in reversed(first.slots)}
    second.set_state(json.loads(json.dumps(first.get_state())))
    assert second.iterations == first.iterations == 1
    for t in range(5, 9):
        for model, optimizer in ((one, first), (other, second)):
            batch(model, [t, t + 3], t)
            optimizer.step(model)
    np.testing.assert_array_equal(one.flat_parameters, other.flat_parameters)
    assert second.get_state() == first.get_state()


def test_slots_are_known_by_name_in_whatever_order_a_file_has_them():
    models, made = (bag(), bag()), (optimizers.Adam(), optimizers.Adam())
    for model, optimizer in zip(models, made, strict=True):
        moved(model, optimizer, gradients(0, model.size))
    made[1].slots = dict(reversed(made[1].slots.items()))
    for model, optimizer in zip(models, made, strict=True):
        moved(model, optimizer, gradients(1, model.size))
    np.testing.assert_array_equal(models[0].flat_parameters, models[1].flat_parameters)


@pytest.mark.parametrize("name", optimizers.OPTIMIZERS)
def test_an_optimizer_set_back_to_its_start_begins_anew(name):
    model, optimizer = bag(), optimizers.get(name)
    start, ends = model.flat_parameters.copy(), []
    for _ in range(2):
        model.fill(start)
        optimizer.slots, optimizer.iterations = {}, 0
        for t in range(3):
            moved(model, optimizer, gradients(t, model.size))
        ends.append(model.flat_parameters.copy())
    np.testing.assert_array_equal(ends[0], ends[1])


def test_averages_that_begin_late_begin_with_the_parameters():
    model, optimizer = layers(), optimizers.SGD(0.5, use_ema=True, ema_momentum=0.8)
    optimizer.iterations = 7
    expected = model.flat_parameters - 0.2 * 0.5
    moved(model, optimizer, 1.0)
    np.testing.assert_allclose(optimizer.slots["average"], expected, rtol=1e-13)


def test_the_state_of_a_plain_optimizer_is_its_number_of_moves():
    optimizer = optimizers.Adam()
    moved(bag(), optimizer, 1.0)
    assert optimizer.get_state() == {"iterations": 1}


# Learning rates


def test_a_rate_can_be_set_between_steps():
    model, optimizer = layers(), optimizers.SGD(0.5)
    optimizer.learning_rate = 0.25
    np.testing.assert_allclose(moved(model, optimizer, 1.0), -0.25, rtol=1e-14)
    assert optimizer.get_config()["learning_rate"] == 0.25


def test_a_schedule_is_asked_with_the_number_of_batches_and_is_not_overwritten():
    schedule = schedules.InverseTimeDecay(1.0, 1, 1.0)
    model, optimizer = layers(), optimizers.SGD(schedule)
    for t in range(4):
        assert optimizer.learning_rate == schedule(t)
        np.testing.assert_allclose(moved(model, optimizer, 1.0), -1 / (1 + t), rtol=1e-13)
    with pytest.raises(
        TypeError, match=r"learning_rate: expected a schedule, as the optimizer has one, got 0\.1; make"
    ):
        optimizer.learning_rate = 0.1
    optimizer.learning_rate = schedules.ExponentialDecay(3.0, 1, 1.0)
    assert optimizer.learning_rate == 3.0


def test_with_accumulation_a_schedule_counts_batches_as_in_keras():
    asked = []

    class Asked(schedules.LearningRateSchedule):
        def __call__(self, step):
            asked.append(step)
            return 0.1

    model, optimizer = layers(), optimizers.SGD(Asked(), gradient_accumulation_steps=2)
    for _ in range(4):
        moved(model, optimizer, 1.0)
    assert asked == [1, 3]


def test_a_schedule_of_ones_own_without_a_configuration_cannot_be_saved():
    class Own(schedules.LearningRateSchedule):
        def __call__(self, step):
            return 0.1

    with pytest.raises(NotImplementedError, match="Own defines no get_config, so it cannot be saved"):
        optimizers.SGD(Own()).get_config()
