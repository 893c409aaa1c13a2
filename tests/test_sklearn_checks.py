"""scikit-learn's own checks of an estimator, and the names it shares with scikit-learn's perceptrons."""

import inspect

import pytest

pytest.importorskip("sklearn")

from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.utils import estimator_checks

from recurra.sklearn import RNNClassifier, RNNForecaster, RNNRegressor

# Checks that fail for good reason: (name, reason).
EXPECTED = {
    "check_sample_weight_equivalence_on_dense_data": (
        "a sample repeated k times meets other neighbours in its minibatches than one of weight k; samples of weight 0 "
        "are left out exactly, see test_sklearn_weights.py"
    ),
}

ESTIMATORS = [
    RNNClassifier(),
    RNNRegressor(),
    RNNClassifier("gru", (8, 8), bidirectional=True, n_steps=1, solver="adam", learning_rate_init=0.01),
    RNNRegressor("rnn", 16, dtype="float64", learning_rate_init=0.01, early_stopping=True, validation_fraction=0.2),
]

# What a forecaster, whose X is a series, can be asked: everything about arguments, copies and tags.
OF_ARGUMENTS = [
    estimator_checks.check_estimator_cloneable,
    estimator_checks.check_estimator_repr,
    estimator_checks.check_parameters_default_constructible,
    estimator_checks.check_no_attributes_set_in_init,
    estimator_checks.check_do_not_raise_errors_in_init_or_set_params,
    estimator_checks.check_get_params_invariance,
    estimator_checks.check_set_params,
    estimator_checks.check_mixin_order,
    estimator_checks.check_valid_tag_types,
    estimator_checks.check_estimator_tags_renamed,
]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@estimator_checks.parametrize_with_checks(ESTIMATORS, expected_failed_checks=lambda estimator: EXPECTED)
def test_estimators_pass_the_checks_of_scikit_learn(estimator, check):
    check(estimator)


@pytest.mark.parametrize("check", OF_ARGUMENTS, ids=lambda check: check.__name__)
def test_the_forecaster_passes_the_checks_of_arguments(check):
    check("RNNForecaster", RNNForecaster())


OWN = {
    "cell": "recurrent layers have kinds",
    "bidirectional": "sequences have directions",
    "dropout": "Keras's name",
    "n_steps": "rows hold sequences",
    "dtype": "recurra's layers have it",
    "class_weight": "as in LogisticRegression",
    "normalize_y": "as in GaussianProcessRegressor",
    "window_length": "as in sktime",
}
NEWER = {"loss"}  # of MLPRegressor since scikit-learn 1.7
OTHER_DEFAULTS = {"hidden_layer_sizes", "batch_size"}  # recurrent units do more; "auto" means 200 there


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [(RNNClassifier, MLPClassifier), (RNNRegressor, MLPRegressor), (RNNForecaster, MLPRegressor)],
    ids=lambda cls: cls.__name__,
)
def test_arguments_are_those_of_a_perceptron_where_it_has_them(ours, theirs):
    theirs = inspect.signature(theirs).parameters
    for name, parameter in inspect.signature(ours).parameters.items():
        assert (name in theirs or name in NEWER) != (name in OWN), name
        if name in theirs and name not in OTHER_DEFAULTS:
            assert parameter.default == theirs[name].default, name


@pytest.mark.parametrize("cls", [RNNClassifier, RNNRegressor, RNNForecaster])
def test_every_argument_is_documented(cls):
    for name in inspect.signature(cls).parameters:
        assert f"{name} :" in cls.__doc__ or f"{name}," in cls.__doc__ or f", {name}\n" in cls.__doc__, name
