"""Weights of samples and of classes in the estimators for scikit-learn."""

import re

import numpy as np
import pytest

pytest.importorskip("sklearn")

from recurra.sklearn import RNNClassifier, RNNRegressor

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 6, 2))
CLASSES = RNG.integers(0, 3, 40)
NUMBERS = RNG.normal(size=40)
WEIGHT = RNG.integers(0, 4, 40)
SHORT = {"hidden_layer_sizes": 6, "max_iter": 4, "n_iter_no_change": np.inf, "random_state": 0}
BOTH = pytest.mark.parametrize(("cls", "y"), [(RNNClassifier, CLASSES), (RNNRegressor, NUMBERS)])
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def outputs(estimator):
    return estimator.model_.predict(X)


@BOTH
def test_a_sample_of_weight_zero_is_as_good_as_absent(cls, y):
    kept = WEIGHT > 0
    weighted = cls(**SHORT).fit(X, y, sample_weight=WEIGHT)
    without = cls(**SHORT).fit(X[kept], y[kept], sample_weight=WEIGHT[kept])
    assert 0 < kept.sum() < 40
    np.testing.assert_array_equal(outputs(weighted), outputs(without))
    np.testing.assert_array_equal(weighted.predict(X), without.predict(X))


@BOTH
def test_weights_are_repetitions_where_a_batch_holds_all_samples(cls, y):
    """Relative tolerance 1e-6 in float64: the sums have another order."""
    settings = {**SHORT, "batch_size": 1000, "dtype": "float64"}
    weighted = cls(**settings).fit(X, y, sample_weight=WEIGHT)
    repeated = cls(**settings).fit(X.repeat(WEIGHT, axis=0), y.repeat(WEIGHT))
    np.testing.assert_allclose(outputs(weighted), outputs(repeated), rtol=1e-6)
    if cls is RNNRegressor:
        np.testing.assert_allclose(weighted.y_scale_, repeated.y_scale_, rtol=1e-12)
    plain = cls(**settings).fit(X, y)
    assert np.abs(outputs(plain) - outputs(weighted)).max() > 1e-3


@BOTH
def test_weights_that_are_alike_change_nothing(cls, y):
    """Relative tolerance 1e-6 in float64: with weights the loss is summed by other code."""
    settings = {**SHORT, "dtype": "float64", "solver": "sgd", "learning_rate_init": 0.1}
    plain = cls(**settings).fit(X, y)
    weighted = cls(**settings).fit(X, y, sample_weight=np.full(40, 5.0))
    np.testing.assert_allclose(outputs(weighted), outputs(plain), rtol=1e-6)


def test_a_pass_takes_weights_as_they_are():
    """Relative tolerance 1e-6 in float64: with gradient descent, twice the weight is twice the step."""
    settings = {**SHORT, "dtype": "float64", "solver": "sgd", "batch_size": 1000, "normalize_y": False}
    double = RNNRegressor(learning_rate_init=0.1, **settings).partial_fit(X, NUMBERS, sample_weight=np.full(40, 2.0))
    faster = RNNRegressor(learning_rate_init=0.2, **settings).partial_fit(X, NUMBERS)
    np.testing.assert_allclose(outputs(double), outputs(faster), rtol=1e-6)


def test_the_heavier_of_two_opinions_wins():
    same = np.zeros((40, 3, 1))
    opinions = np.arange(40) % 2
    settings = {"hidden_layer_sizes": 2, "learning_rate_init": 0.05, "random_state": 0}
    for heavy in (0, 1):
        weight = np.where(opinions == heavy, 3.0, 1.0)
        classifier = RNNClassifier(**settings).fit(same, opinions, sample_weight=weight)
        assert classifier.predict(same[:1]) == [heavy]
        assert classifier.predict_proba(same[:1])[0, heavy] == pytest.approx(0.75, abs=0.05)


def test_weights_of_classes_multiply_those_of_samples():
    by_class = {0: 1.0, 1: 2.0, 2: 0.5}
    factors = np.array([1.0, 2.0, 0.5])[CLASSES]
    ours = RNNClassifier(class_weight=by_class, **SHORT).fit(X, CLASSES, sample_weight=WEIGHT)
    by_hand = RNNClassifier(**SHORT).fit(X, CLASSES, sample_weight=WEIGHT * factors)
    np.testing.assert_array_equal(outputs(ours), outputs(by_hand))
    balanced = RNNClassifier(class_weight="balanced", **SHORT).fit(X, CLASSES)
    counts = np.bincount(CLASSES)
    by_hand = RNNClassifier(**SHORT).fit(X, CLASSES, sample_weight=(40 / (3 * counts))[CLASSES])
    np.testing.assert_array_equal(outputs(balanced), outputs(by_hand))


def test_held_out_samples_are_scored_with_their_weights():
    classifier = RNNClassifier(**SHORT).fit(X, CLASSES)
    right = classifier.predict(X) == CLASSES
    weight = np.where(right, 3.0, 1.0)
    from recurra.sklearn.inputs import Sequences

    score = classifier._scorer(Sequences(X.astype(np.float32), None), CLASSES, weight)
    assert score() == pytest.approx(3 * right.sum() / (3 * right.sum() + (~right).sum()))


@pytest.mark.parametrize(
    ("weight", "text"),
    [
        (np.ones(39), "sample_weight: expected shape (40,), got (39,)"),
        (np.ones((40, 1)), "sample_weight: expected shape (40,), got (40, 1); 1 axis is needed, not 2"),
        (-np.ones(40), "sample_weight: expected weights of at least zero, got -1.0"),
        (np.zeros(40), "sample_weight: expected a weight above zero, got zero for all samples"),
        (np.full(40, np.nan), "Input sample_weight contains NaN"),
    ],
)
def test_wrong_weights_are_named(weight, text):
    with pytest.raises(ValueError, match="^" + re.escape(text)):
        RNNRegressor(**SHORT).fit(X, NUMBERS, sample_weight=weight)
