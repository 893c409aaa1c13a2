"""The classifier and the regressor: what they learn and keep, how they train, what they refuse."""

import pickle
import re

import numpy as np
import pytest

pytest.importorskip("sklearn")

from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import recurra
from recurra.sklearn import RNNClassifier, RNNRegressor
from recurra.sklearn.convergence import Convergence
from sequences import FIXED, ragged, sequences

QUICK = {"learning_rate_init": 0.02, "random_state": 0, "tol": 0.01}
ignore_convergence = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


# What they learn


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_a_classifier_learns_sequences(cell):
    X, y = sequences()
    classifier = RNNClassifier(cell, 8, **QUICK).fit(X, y)
    assert classifier.score(X, y) >= 0.95
    assert list(classifier.classes_) == ["down", "up"]
    assert classifier.n_features_in_ == 2
    assert classifier.n_iter_ == len(classifier.loss_curve_) < 200
    assert classifier.loss_ == classifier.loss_curve_[-1]


def test_a_classifier_learns_sequences_of_many_lengths():
    X, y = ragged()
    assert RNNClassifier("gru", 8, **QUICK).fit(X, y).score(X, y) >= 0.95


def test_a_regressor_learns_numbers_far_from_zero():
    X, _ = sequences()
    y = 5000.0 + 100.0 * X[:, -3:, 1].sum(axis=1)
    assert RNNRegressor("gru", 16, **QUICK).fit(X, y).score(X, y) >= 0.9


@ignore_convergence
def test_predictions_move_with_the_scale_of_the_targets():
    """Relative tolerance 1e-9 in float64: targets are normalised, so that training is the same."""
    X, _ = sequences()
    y = X[:, :, 0].sum(axis=1)
    settings = {**FIXED, "max_iter": 5, "dtype": "float64"}
    plain = RNNRegressor(hidden_layer_sizes=4, **settings).fit(X, y).predict(X)
    moved = RNNRegressor(hidden_layer_sizes=4, **settings).fit(X, 1000.0 * y + 7.0).predict(X)
    np.testing.assert_allclose(moved, 1000.0 * plain + 7.0, rtol=1e-9)
    raw = RNNRegressor(hidden_layer_sizes=4, normalize_y=False, **settings).fit(X, y + 7.0)
    np.testing.assert_array_equal(raw.predict(X), raw.model_.predict(X)[:, 0])


@ignore_convergence
def test_predictions_have_the_axes_of_the_targets():
    X, _ = sequences()
    y = X[:, -1, :]
    short = {**FIXED, "max_iter": 1}
    assert RNNRegressor(**short).fit(X, y).predict(X).shape == (60, 2)
    assert RNNRegressor(**short).fit(X, y[:, :1]).predict(X).shape == (60, 1)
    assert RNNRegressor(**short).fit(X, y[:, 0]).predict(X).shape == (60,)


@ignore_convergence
@pytest.mark.parametrize("classes", [2, 3])
def test_probabilities_are_the_softmax_of_the_networks_outputs(classes):
    """Absolute tolerance 1e-12: float64 in both."""
    X, _ = sequences()
    y = np.arange(60) % classes
    classifier = RNNClassifier(max_iter=2, **FIXED).fit(X, y)
    logits = classifier.model_.predict(X).astype(np.float64)
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(classifier.predict_proba(X), expected, atol=1e-12)
    np.testing.assert_allclose(classifier.predict_log_proba(X), np.log(expected), atol=1e-12)
    decision = logits[:, 1] - logits[:, 0] if classes == 2 else logits
    np.testing.assert_array_equal(classifier.decision_function(X), decision)
    np.testing.assert_array_equal(classifier.predict(X), logits.argmax(axis=1))


@ignore_convergence
def test_the_network_is_what_the_arguments_say():
    X, y = sequences()
    arguments = {"bidirectional": True, "dropout": 0.25, "dtype": "float64", "max_iter": 1}
    layers = RNNClassifier("gru", (8, 4), **arguments, **FIXED).fit(X, y).model_.layers
    assert [type(layer).__name__ for layer in layers] == ["GRU", "Dropout", "GRU", "Dropout", "Dense"]
    assert [layer.units for layer in layers if hasattr(layer, "units")] == [8, 4, 2]
    assert [layers[0].directions, layers[2].directions] == [2, 2]
    assert [layers[1].rate, layers[3].rate] == [0.25, 0.25]
    assert {layer.dtype.name for layer in layers} == {"float64"}


@ignore_convergence
def test_targets_that_never_change_are_learned_as_they_are():
    X, _ = sequences()
    regressor = RNNRegressor(max_iter=1, solver="sgd", **FIXED).fit(X, np.full(60, 7.0))
    assert np.abs(regressor.predict(X) - 7.0).max() <= 2.0  # the untrained network's outputs, around 7


@ignore_convergence
def test_an_estimator_trains_as_the_network_written_by_hand():
    X, y = sequences()
    classifier = RNNClassifier(hidden_layer_sizes=8, dropout=0.1, max_iter=3, **FIXED).fit(X, y)
    random = np.random.RandomState(0)
    first, last, fit = (random.randint(2**31 - 1) for _ in range(3))
    model = recurra.Sequential([recurra.LSTM(8, seed=first), recurra.Dropout(0.1), recurra.Dense(2, seed=last)])
    model.compile(recurra.optimizers.Adam(0.001), recurra.losses.SparseCategoricalCrossentropy(from_logits=True))
    history = model.fit(X, (y == "up").astype(int), batch_size=32, epochs=3, seed=fit, verbose=0)
    np.testing.assert_array_equal(classifier.model_.predict(X), model.predict(X))
    assert classifier.loss_curve_ == history.history["loss"]


@ignore_convergence
@pytest.mark.parametrize("solver", recurra.optimizers.OPTIMIZERS)
def test_every_optimizer_is_a_solver(solver):
    X, _ = sequences()
    regressor = RNNRegressor(hidden_layer_sizes=4, solver=solver, max_iter=2, learning_rate_init=0.0625, **FIXED)
    regressor.fit(X, X[:, -1, 0])
    assert regressor.model_.optimizer.get_config().keys() == recurra.optimizers.get(solver).get_config().keys()
    assert type(regressor.model_.optimizer) is type(recurra.optimizers.get(solver))
    assert float(regressor.model_.optimizer.learning_rate) == 0.0625
    assert len(set(regressor.loss_curve_)) == 2


@ignore_convergence
def test_the_loss_is_the_one_named():
    """A constant is learned: the mean, 1, for squares; the median, 0, for absolute values. Absolute tolerance 0.25."""
    X, y = np.zeros((60, 2, 1)), np.where(np.arange(60) % 3 == 0, 3.0, 0.0)  # mean 1, median 0
    learn = {"hidden_layer_sizes": 1, "max_iter": 150, "learning_rate_init": 0.02, "normalize_y": False}
    squares = RNNRegressor(**learn, **FIXED).fit(X, y)
    assert np.abs(squares.predict(X) - 1.0).max() <= 0.25
    mae = RNNRegressor(loss=_absolute, **learn, **FIXED).fit(X, y)
    assert np.abs(mae.predict(X)).max() <= 0.25


def _absolute(y_true, y_pred):
    difference = y_pred - y_true
    return np.abs(difference).mean(), np.sign(difference) / difference.size


# What scikit-learn does with them


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_search_over_units_in_a_pipeline_finds_the_larger_network():
    X, _ = sequences(time=4)
    y = X[:, :, 0].sum(axis=1)
    pipeline = make_pipeline(StandardScaler(), RNNRegressor(n_steps=4, max_iter=30, **QUICK))
    search = GridSearchCV(pipeline, {"rnnregressor__hidden_layer_sizes": [1, (16,)]}, cv=2)
    search.fit(1000.0 * X.reshape(60, 8), y)
    assert search.best_params_ == {"rnnregressor__hidden_layer_sizes": (16,)}
    assert search.predict(1000.0 * X.reshape(60, 8)).shape == (60,)


def test_folds_of_ragged_sequences_are_scored():
    X, y = ragged(90)
    scores = cross_val_score(RNNClassifier("gru", 8, **QUICK), X, y, cv=3)
    assert scores.mean() >= 0.8


@ignore_convergence
def test_a_clone_shares_no_state_and_the_solver_stays_untouched():
    X, y = sequences()
    solver = recurra.optimizers.Adam(0.01)
    classifier = RNNClassifier(solver=solver, max_iter=2, **FIXED).fit(X, y)
    assert classifier.solver is solver
    assert solver.iterations == 0
    assert classifier.model_.optimizer.iterations == 4
    copy = clone(classifier)
    assert not hasattr(copy, "model_")
    np.testing.assert_array_equal(copy.fit(X, y).predict_proba(X), classifier.predict_proba(X))
    by_name = RNNClassifier(learning_rate_init=0.01, max_iter=2, **FIXED).fit(X, y)
    np.testing.assert_array_equal(by_name.predict_proba(X), classifier.predict_proba(X))


@ignore_convergence
def test_a_pickle_predicts_and_goes_on_with_the_same_bits():
    X, y = sequences()
    classifier = RNNClassifier(dropout=0.2, max_iter=2, **FIXED).fit(X, y)
    again = pickle.loads(pickle.dumps(classifier))
    np.testing.assert_array_equal(again.predict_proba(X), classifier.predict_proba(X))
    np.testing.assert_array_equal(
        again.partial_fit(X, y).predict_proba(X), classifier.partial_fit(X, y).predict_proba(X)
    )


# Training


@ignore_convergence
def test_a_seed_repeats_for_any_number_of_threads():
    X, y = sequences(count=200, time=20)
    settings = {**FIXED, "max_iter": 3, "dropout": 0.2, "hidden_layer_sizes": (48, 48)}
    threads = recurra.get_num_threads()
    found = []
    try:
        for count in (1, 3, 1):
            recurra.set_num_threads(count)
            found.append(RNNClassifier(**settings).fit(X, y).decision_function(X))
    finally:
        recurra.set_num_threads(threads)
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[0], found[2])
    other = RNNClassifier(**{**settings, "random_state": 1}).fit(X, y).decision_function(X)
    assert not np.array_equal(found[0], other)


@ignore_convergence
def test_passes_one_by_one_are_a_fit_without_shuffling():
    X, y = sequences()
    fitted = RNNClassifier(shuffle=False, max_iter=3, **FIXED).fit(X, y)
    passes = RNNClassifier(shuffle=False, **FIXED)
    for _ in range(3):
        passes.partial_fit(X, y, classes=["up", "down"])
    np.testing.assert_array_equal(passes.predict_proba(X), fitted.predict_proba(X))
    assert passes.n_iter_ == fitted.n_iter_ == 3
    assert passes.loss_curve_ == fitted.loss_curve_


@ignore_convergence
def test_a_warm_start_goes_on_from_the_weights_there_are():
    X, _ = sequences()
    y = X[:, 0, 0]
    regressor = RNNRegressor(warm_start=True, max_iter=5, learning_rate_init=0.01, **FIXED).fit(X, y)
    first = regressor.loss_curve_[0]
    regressor.fit(X, y)
    assert len(regressor.loss_curve_) == 10
    assert regressor.n_iter_ == 5
    assert regressor.loss_curve_[5] < 0.9 * first
    assert regressor.set_params(warm_start=False).fit(X, y).loss_curve_[0] == first


@pytest.mark.parametrize("score", [False, True])
def test_training_ends_after_epochs_without_improvement(score):
    """The best value is of epoch 2; epochs 3 to 5 gain less than tol and are one more than the patience of 2."""
    values = [1.0, 0.5, 0.495, 0.6, 0.5]

    class Model:
        stop_training, epoch = False, 0

        def get_weights(self):
            return [np.full(1, self.epoch)]

        def set_weights(self, weights):
            self.weights = weights

    model = Model()
    scores = iter(values)
    stop = Convergence(0.01, 2, (lambda: -next(scores)) if score else None)
    stop.set_model(model)
    for model.epoch, value in enumerate(values, start=1):
        assert not model.stop_training
        stop.on_epoch_end(model.epoch, {"loss": 7.0 if score else value})
    assert model.stop_training
    assert stop.converged
    assert stop.best == 0.495
    stop.restore()
    assert getattr(model, "weights", None) == ([np.full(1, 3)] if score else None)  # the lowest, though by little


def test_early_stopping_keeps_the_best_scored_weights():
    X, y = sequences(200)
    settings = {"hidden_layer_sizes": 4, "early_stopping": True, "validation_fraction": 0.25, "random_state": 3}
    classifier = RNNClassifier(learning_rate_init=0.05, n_iter_no_change=4, **settings)
    held = []
    classifier._split = lambda y: held.append(RNNClassifier._split(classifier, y)) or held[-1]
    classifier.fit(X, y)
    rows, scored = held[0]
    assert len(scored) == 50
    assert sorted([*rows, *scored]) == list(range(200))
    assert classifier.score(X[scored], y[scored]) == classifier.best_validation_score_
    assert classifier.best_validation_score_ == max(classifier.validation_scores_) > classifier.validation_scores_[-1]
    assert len(classifier.validation_scores_) == classifier.n_iter_


def test_the_end_of_max_iter_is_a_warning():
    X, y = sequences()
    with pytest.warns(ConvergenceWarning, match=r"^max_iter: expected convergence within 2 epochs, got .*; raise"):
        RNNClassifier(max_iter=2, random_state=0).fit(X, y)


@ignore_convergence
def test_what_was_learned_before_an_interruption_stays():
    X, y = sequences()

    class Interrupted(recurra.optimizers.SGD):
        def update(self, *arguments):
            if self.iterations == 5:  # the second of two steps of epoch 3
                raise KeyboardInterrupt
            super().update(*arguments)

    classifier = RNNClassifier(solver=Interrupted(0.1), **FIXED)
    with pytest.raises(KeyboardInterrupt):
        classifier.fit(X, y)
    assert classifier.n_iter_ == len(classifier.loss_curve_) == 2
    assert classifier.model_.optimizer.iterations == 5
    assert classifier.predict(X).shape == (60,)


@ignore_convergence
@pytest.mark.parametrize(("verbose", "lines"), [(False, 0), (True, 2), (1, 2), (10, 2)])
def test_verbose_prints_a_line_per_epoch(verbose, lines, capsys):
    X, y = sequences()
    RNNClassifier(verbose=verbose, max_iter=2, **FIXED).fit(X, y)
    assert capsys.readouterr().out.count("Epoch ") == lines


# What they refuse


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"cell": "elman"}, "cell: expected one of 'lstm', 'gru', 'rnn', got 'elman'"),
        ({"hidden_layer_sizes": ()}, "hidden_layer_sizes: expected at least one layer, got none"),
        ({"hidden_layer_sizes": (8, 0)}, "hidden_layer_sizes: expected an integer from 1 to 2147483647, got 0"),
        ({"hidden_layer_sizes": "8"}, "hidden_layer_sizes: expected an integer, got '8'"),
        ({"solver": "lbfgs"}, "solver: expected one of "),
        ({"learning_rate_init": 0.0}, "learning_rate_init: expected a positive number, got 0"),
        ({"batch_size": 0}, "batch_size: expected an integer from 1"),
        ({"max_iter": 0}, "max_iter: expected an integer from 1"),
        ({"tol": -1.0}, "tol: expected a number of at least 0, got -1.0"),
        ({"n_iter_no_change": 0}, "n_iter_no_change: expected an integer from 1"),
        ({"validation_fraction": 1.0}, "validation_fraction: expected a rate from 0 to below 1"),
        ({"validation_fraction": 0.01, "early_stopping": True}, "validation_fraction: expected two samples or more"),
        ({"validation_fraction": 0.0, "early_stopping": True}, "validation_fraction: expected more than 0"),
        ({"dtype": "float16"}, "dtype: expected 'float32' or 'float64', got 'float16'"),
        ({"verbose": -1}, "verbose: expected an integer from 0"),
        ({"bidirectional": 1}, "bidirectional: expected True or False, got 1"),
        ({"n_steps": 3}, "n_steps: expected a divisor of the 8 columns of X, got 3"),
        ({"loss": "hinge of nothing"}, "loss: expected one of "),
        ({"normalize_y": None}, "normalize_y: expected True or False, got None"),
    ],
    ids=str,
)
def test_a_wrong_argument_is_named_by_fit(arguments, text):
    X, _ = sequences(features=1)
    with pytest.raises((TypeError, ValueError), match="^" + re.escape(text)):
        RNNRegressor(**arguments).fit(X[:, :, 0], X[:, 0, 0])


def test_passes_say_what_they_need():
    X, y = sequences()
    with pytest.raises(ValueError, match=r"^classes: expected all classes in the first call of partial_fit, got None"):
        RNNClassifier().partial_fit(X, y)
    with pytest.raises(ValueError, match=r"^y: expected classes among \['down'\], got \['up'\]"):
        RNNClassifier().partial_fit(X, y, classes=["down"])
    assert not hasattr(RNNRegressor(early_stopping=True), "partial_fit")
    with pytest.raises(AttributeError) as caught:
        RNNClassifier(early_stopping=True).partial_fit(X, y, classes=["up", "down"])
    assert str(caught.value.__cause__) == "early_stopping: expected False for partial_fit, got True"
    with pytest.raises(ValueError, match=r"^class_weight: expected a dict or None for partial_fit, got 'balanced'"):
        RNNClassifier(class_weight="balanced").partial_fit(X, y, classes=["up", "down"])
    regressor = RNNRegressor().partial_fit(X, X[:, 0, 0])
    with pytest.raises(ValueError, match=r"^y: expected 1 outputs, as fitted, got 2"):
        regressor.partial_fit(X, X[:, 0])
    with pytest.raises(NotFittedError):
        RNNRegressor().predict(X)
