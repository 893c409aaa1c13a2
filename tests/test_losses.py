"""Losses of rows: formulas, gradients by finite differences in float64, reductions, weights, lengths, messages."""

import json

import numpy as np
import pytest

from loss_cases import (
    CASES,
    IGNORED,
    LABELS,
    LENGTHS,
    REAL,
    REDUCTIONS,
    SHARES,
    TARGET,
    WEIGHTS,
    K,
    N,
    T,
    picked,
    softmax,
)
from recurra import losses
from recurra.losses import LOSSES, ElementLoss, Loss


def reduced(values, reduction, weights, lengths):
    """The loss by the definitions in the documentation of `Loss`, in loops."""
    w = np.broadcast_to(1.0 if weights is None else weights if weights.ndim == 2 else weights[:, None], values.shape)
    counts = np.full(len(values), T) if lengths is None else lengths
    rows = [(n, t) for n in range(len(values)) for t in range(counts[n])]
    total = sum(w[row] * values[row] for row in rows)
    if reduction == "sum":
        return total
    if reduction == "mean_with_sample_weight":
        return total / sum(w[row] for row in rows)
    if reduction == "mean_per_sequence":
        return np.mean([np.mean([w[n, t] * values[n, t] for t in range(c)]) for n, c in enumerate(counts) if c])
    return total / len(rows)


def differences(call, y, step=1e-6):
    """Central differences of a number with respect to every element of y."""
    result = np.zeros_like(y)
    for index in np.ndindex(y.shape):
        up, down = y.copy(), y.copy()
        up[index] += step
        down[index] -= step
        result[index] = (call(up) - call(down)) / (2 * step)
    return result


def test_every_loss_of_the_list_has_a_case():
    known = {type(loss) for loss, *_ in CASES.values()} | {losses.CTC, losses.LinearChainCRF}
    assert set(LOSSES.values()) == known
    exported = {getattr(losses, name) for name in losses.__all__ if isinstance(getattr(losses, name), type)}
    assert {cls for cls in exported if issubclass(cls, Loss)} - {Loss, ElementLoss, losses.FunctionLoss} == known


@pytest.mark.parametrize("name", CASES)
def test_values_are_those_of_the_formula_to_1e_12(name):
    loss, y, p, formula = CASES[name]
    values = formula(y, p)
    np.testing.assert_allclose(loss(y, p), values.mean(), rtol=1e-12)
    rows = type(loss).from_config({**loss.get_config(), "reduction": None})(y, p)
    np.testing.assert_allclose(rows, values, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("name", CASES)
def test_float32_agrees_with_float64_to_2e_5_and_stays_float32(name):
    loss, y, p, _ = CASES[name]
    single = loss.vjp(y, p.astype(np.float32))
    double = loss.vjp(y, p)
    assert single[1].dtype == np.float32
    assert double[1].dtype == np.float64
    np.testing.assert_allclose(single[0], double[0], rtol=2e-5)
    np.testing.assert_allclose(single[1], double[1], rtol=1e-4, atol=2e-6)


@pytest.mark.parametrize("name", CASES)
def test_gradients_are_the_differences_of_the_loss_to_1e_6(name):
    loss, y, p, _ = CASES[name]
    np.testing.assert_allclose(loss.vjp(y, p)[1], differences(lambda q: loss(y, q), p), rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("weights", WEIGHTS)
@pytest.mark.parametrize("name", CASES)
def test_weights_lengths_and_reductions_follow_their_definitions_to_1e_11(name, weights, reduction):
    loss, y, p, formula = CASES[name]
    loss = type(loss).from_config({**loss.get_config(), "reduction": reduction})
    w, values = WEIGHTS[weights], formula(y, p)
    direction = np.random.default_rng(3).normal(size=p.shape)
    for lengths in (None, LENGTHS):
        value, dy = loss.vjp(y, p, w, lengths)
        np.testing.assert_allclose(value, reduced(values, reduction, w, lengths), rtol=1e-11)
        h = 1e-6  # the gradient along one direction: the elements are the affair of the test above
        slope = (loss(y, p + h * direction, w, lengths) - loss(y, p - h * direction, w, lengths)) / (2 * h)
        np.testing.assert_allclose((dy * direction).sum(), slope, rtol=1e-6, atol=1e-8)
        if lengths is not None:
            assert not dy[np.arange(T) >= lengths[:, None]].any()


@pytest.mark.parametrize("name", CASES)
def test_rows_that_do_not_count_are_not_looked_at(name):
    """NaN in the padding, whether lengths or weights of 0 say that it is padding, changes nothing."""
    loss, y, p, _ = CASES[name]
    padding = np.arange(T) >= LENGTHS[:, None]
    bad_y, bad_p = y.copy(), p.copy()
    bad_p[padding] = np.nan
    if y.dtype.kind == "f":
        bad_y[padding] = np.nan
    for keywords in ({"lengths": LENGTHS}, {"sample_weight": (~padding).astype(float)}):
        value, dy = loss.vjp(bad_y, bad_p, **keywords)
        expected, d = loss.vjp(y, p, **keywords)
        assert value == expected
        np.testing.assert_array_equal(dy, d)


@pytest.mark.parametrize("name", CASES)
def test_nothing_that_counts_makes_a_loss_of_0(name):
    loss, y, p, _ = CASES[name]
    for keywords in ({"lengths": np.zeros(N, int)}, {"sample_weight": np.zeros(N)}):
        value, dy = loss.vjp(y, p, **keywords)
        assert value == 0.0
        assert dy.shape == p.shape
        assert not dy.any()


@pytest.mark.parametrize("name", CASES)
def test_configurations_survive_json_and_make_the_same_loss(name):
    loss, y, p, _ = CASES[name]
    copy = losses.deserialize(json.loads(json.dumps(losses.serialize(loss))))
    assert type(copy) is type(loss)
    assert copy.get_config() == loss.get_config()
    assert copy(y, p) == loss(y, p)


@pytest.mark.parametrize("name", LOSSES)
def test_names_in_any_case_and_class_names_make_losses(name):
    cls = LOSSES[name]
    for spelling in (name, name.upper(), cls.__name__):
        assert type(losses.get(spelling)) is cls


def test_ignored_classes_do_not_count():
    loss = losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=-1)
    kept = IGNORED >= 0
    value, dy = loss.vjp(IGNORED, REAL)
    np.testing.assert_allclose(value, picked(LABELS, softmax(REAL))[kept].mean(), rtol=1e-12)
    assert not dy[~kept].any()
    weighted = loss(IGNORED, REAL, sample_weight=np.array([1.0, 2.0, 0.5, 0.0]), lengths=LENGTHS)
    mask = kept & (np.arange(T) < LENGTHS[:, None])
    values = picked(LABELS, softmax(REAL)) * np.array([[1.0], [2.0], [0.5], [0.0]])
    np.testing.assert_allclose(weighted, values[mask].sum() / mask.sum(), rtol=1e-12)


@pytest.mark.parametrize("name", ["mse", "mae", "huber", "log_cosh", "kl_divergence"])
def test_a_perfect_forecast_costs_nothing(name):
    loss, y, p, _ = CASES[name]
    y = p if name == "kl_divergence" else y
    np.testing.assert_allclose(loss(y, y), 0.0, atol=1e-15)


@pytest.mark.parametrize("extreme", [1e4, -1e4, 0.0])
@pytest.mark.parametrize("name", ["bce of logits, smoothed", "crossentropy of logits, smoothed", "log_cosh", "huber"])
def test_extreme_outputs_neither_overflow_nor_become_nan(name, extreme):
    loss, y, _, _ = CASES[name]
    value, dy = loss.vjp(y, np.full_like(y, extreme, dtype=np.float32))
    assert np.isfinite(value)
    assert np.isfinite(dy).all()


@pytest.mark.parametrize(
    "name", ["binary_crossentropy", "categorical_crossentropy", "kl_divergence", "poisson", "msle"]
)
def test_outputs_of_0_and_1_stay_finite(name):
    loss, y, _, _ = CASES[name]
    for edge in (0.0, 1.0):
        p = np.full((N, T, K), edge)
        p[..., 0] = 0.5
        assert np.isfinite(loss.vjp(y, p)[0])
        assert np.isfinite(loss.vjp(y, p)[1]).all()


def test_a_variance_below_the_least_one_gets_its_gradient_there():
    loss = losses.GaussianNLL(eps=0.01)
    value, dy = loss.vjp([[0.5]], [[0.0, -20.0]])
    np.testing.assert_allclose(value, 0.5 * (np.log(0.01) + 0.25 / 0.01))
    np.testing.assert_allclose(dy, [[-0.5 / 0.01 * -1 * -1, 0.5 - 0.5 * 0.25 / 0.01]])


def test_vectors_of_zeros_have_no_direction():
    value, dy = losses.CosineSimilarity().vjp(np.ones((2, 3)), np.zeros((2, 3)))
    assert value == 0.0
    assert np.isfinite(dy).all()


def test_one_axis_is_that_of_the_samples():
    value, dy = losses.MeanAbsoluteError().vjp([1.0, 2.0], [0.0, 2.0], sample_weight=[4.0, 1.0])
    assert value == 2.0
    np.testing.assert_array_equal(dy, [-2.0, 0.0])


@pytest.mark.parametrize("lengths", [None, LENGTHS])
@pytest.mark.parametrize("weighted", [False, True])
def test_functions_are_losses(weighted, lengths):
    """A function that returns the losses of rows takes everything; one that returns a mean takes no weights."""
    weights = WEIGHTS["steps"] if weighted else None

    def rows(y_true, y_pred):
        return ((y_pred - y_true) ** 2).mean(-1), 2 * (y_pred - y_true) / y_pred.shape[-1]

    def mean(y_true, y_pred):
        return ((y_pred - y_true) ** 2).mean(), 2 * (y_pred - y_true) / y_pred.size

    value, dy = losses.get(rows).vjp(TARGET, REAL, weights, lengths)
    expected, d = losses.MeanSquaredError().vjp(TARGET, REAL, weights, lengths)
    np.testing.assert_allclose(value, expected, rtol=1e-13)
    np.testing.assert_allclose(dy, d, rtol=1e-12, atol=1e-16)
    if weighted:
        with pytest.raises(ValueError, match=r"^loss: expected values of shape .*; with sample weights"):
            losses.get(mean).vjp(TARGET, REAL, weights, lengths)
    else:
        np.testing.assert_allclose(losses.get(mean).vjp(TARGET, REAL, None, lengths)[1], d, rtol=1e-12, atol=1e-16)


MISTAKES = [
    (lambda: losses.get("mean_square_error"), ValueError, "loss: expected one of 'mean_squared_error'"),
    (lambda: losses.get(3), TypeError, "loss: expected a name such as 'mse'"),
    (lambda: losses.get(losses.Huber), TypeError, "loss: expected a name such as 'mse'"),
    (lambda: losses.get({"class_name": "Hubber", "config": {}}), ValueError, "loss: expected one of"),
    (lambda: losses.MeanSquaredError(reduction="avg"), ValueError, "reduction: expected one of 'sum_over_batch_size'"),
    (lambda: losses.MeanSquaredError(None).vjp(REAL, REAL), ValueError, "reduction: expected one that makes a number"),
    (lambda: losses.MeanSquaredError(name=""), TypeError, "name: expected a text"),
    (lambda: losses.Huber(0.0), ValueError, "delta: expected a number above 0, got 0.0"),
    (lambda: losses.Quantile([]), TypeError, "quantiles: expected a list of numbers between 0 and 1"),
    (lambda: losses.Quantile([0.5, 1.0]), ValueError, "quantiles: expected numbers between 0 and 1, got 1.0"),
    (lambda: losses.Quantile([0.1, 0.9])(REAL, REAL), ValueError, "y_pred: expected a multiple of 2 outputs, got 3"),
    (lambda: losses.GaussianNLL()(REAL, REAL), ValueError, "y_pred: expected an even number of outputs, got 3"),
    (lambda: losses.GaussianNLL()(REAL[..., :2], REAL[..., :2]), ValueError, "y: expected shape (4, 5, 1), got"),
    (lambda: losses.CategoricalCrossentropy(label_smoothing=2), ValueError, "label_smoothing: expected a number from"),
    (lambda: losses.CategoricalCrossentropy(axis=1), ValueError, "axis: expected -1, as the classes come last, got 1"),
    (
        lambda: losses.SparseCategoricalCrossentropy()(IGNORED, SHARES),
        ValueError,
        "y: expected labels from 0 to 2, got -1; the model has 3 outputs; ignore_class",
    ),
    (lambda: losses.MeanSquaredError()(REAL[:2], REAL), ValueError, "y: expected shape (4, 5, 3), got (2, 5, 3); axis"),
    (lambda: losses.MeanSquaredError()(REAL, 1.0), ValueError, "y_pred: expected an array of outputs"),
    (lambda: losses.MeanSquaredError()(["a"], [1.0]), TypeError, "y: expected real numbers"),
    (
        lambda: losses.MeanSquaredError()(REAL, REAL, np.ones(3)),
        ValueError,
        "sample_weight: expected one per sample, (4",
    ),
    (
        lambda: losses.MeanSquaredError()(REAL, REAL, [1, 1, np.nan, 1]),
        ValueError,
        "sample_weight: expected finite numbers, got NaN or infinity",
    ),
    (
        lambda: losses.MeanSquaredError()(REAL, REAL, lengths=[1, 2, -3, 4]),
        ValueError,
        "lengths: expected values from 0 to 5, got -3 in sample 2",
    ),
    (lambda: losses.MeanSquaredError()(REAL, REAL, lengths=[6, 1, 1, 1]), ValueError, "lengths: expected values from"),
    (
        lambda: losses.MeanSquaredError()(REAL[:, 0], REAL[:, 0], lengths=[1] * 4),
        ValueError,
        "lengths: expected outputs with a time axis, got one row per sample",
    ),
]


@pytest.mark.parametrize(("call", "kind", "message"), MISTAKES, ids=[message for *_, message in MISTAKES])
def test_a_mistake_is_explained(call, kind, message):
    with pytest.raises(kind) as caught:
        call()
    assert str(caught.value).startswith(message)
