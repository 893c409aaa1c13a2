"""What the classifier and the regressor read: sequences, rows of a matrix, ragged lists; what they refuse of these."""

import re

import numpy as np
import pytest

pytest.importorskip("sklearn")

from recurra.sklearn import RNNClassifier
from sequences import FIXED, ragged, sequences

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def test_rows_of_a_matrix_are_sequences():
    X, y = sequences()
    settings = {**FIXED, "max_iter": 3}
    whole = RNNClassifier(**settings).fit(X, y)
    rows = RNNClassifier(n_steps=8, **settings).fit(X.reshape(60, 16), y)
    np.testing.assert_array_equal(rows.decision_function(X.reshape(60, 16)), whole.decision_function(X))
    assert rows.n_features_in_ == 16
    by_column = RNNClassifier(**settings).fit(X[:, :, 0], y)
    of_one_feature = RNNClassifier(**settings).fit(X[:, :, :1], y)
    np.testing.assert_array_equal(
        by_column.decision_function(X[:, :, 0]), of_one_feature.decision_function(X[:, :, :1])
    )
    np.testing.assert_array_equal(
        of_one_feature.decision_function(X[:, :, 0]), of_one_feature.decision_function(X[:, :, :1])
    )


def test_sequences_in_a_list_are_read_as_each_alone():
    X, y = ragged()
    classifier = RNNClassifier(bidirectional=True, max_iter=3, **FIXED).fit(X, y)
    together = classifier.decision_function(X)
    alone = [classifier.decision_function(x[None])[0] for x in X]
    np.testing.assert_array_equal(together, alone)
    objects = np.empty(60, object)
    objects[:] = X
    np.testing.assert_array_equal(classifier.decision_function(objects), together)
    np.testing.assert_array_equal(classifier.decision_function([x.tolist() for x in X]), together)


def test_sequences_of_one_variable_need_no_axis_of_features():
    X, y = ragged()
    settings = {**FIXED, "max_iter": 3}
    flat = RNNClassifier(**settings).fit([x[:, 0] for x in X], y)
    whole = RNNClassifier(**settings).fit([x[:, :1] for x in X], y)
    np.testing.assert_array_equal(
        flat.decision_function([x[:, 0] for x in X]), whole.decision_function([x[:, :1] for x in X])
    )
    of_one_length = [x[:3, 0] for x in X]  # a list that could be a matrix, but the fit decides
    np.testing.assert_array_equal(flat.predict(of_one_length), whole.predict([x[:3, :1] for x in X]))


def test_names_of_columns_are_kept_until_sequences_come():
    pandas = pytest.importorskip("pandas")
    X, y = sequences(time=3, features=1)
    frame = pandas.DataFrame(X[:, :, 0], columns=["first", "second", "third"])
    classifier = RNNClassifier(max_iter=1, **FIXED).fit(frame, y)
    assert list(classifier.feature_names_in_) == ["first", "second", "third"]
    assert not hasattr(classifier.fit(X, y), "feature_names_in_")


@pytest.mark.parametrize(
    ("X", "text"),
    [
        (np.zeros((2, 8, 3)), "X: expected 2 features, as fitted, got 3"),
        (np.zeros((2, 8)), "X: expected shape (samples, time, features), got (2, 8)"),
        ([np.zeros((2, 2)), np.zeros((3, 1))], "X: expected sequences of equally many features, got 1 and 2"),
        ([np.zeros((2, 2)), np.zeros((0, 2))], "X: expected at least one step in each sequence, got none in sample 1"),
        ([np.zeros((2, 2)), np.zeros(3)], "X: expected sequences (time, features), got some of 2 axes"),
        ([[[0, 0], [1]], [[0, 0]]], "X: expected sequences of numbers (time, features), got one with uneven steps"),
        ([np.zeros((2, 2)), np.full((1, 2), np.nan)], "Input X contains NaN"),
        (np.zeros((2, 0, 2)), "X: expected at least one step and one feature, got shape (2, 0, 2)"),
    ],
)
def test_input_that_does_not_suit_the_fit_is_named(X, text):
    data, y = sequences()
    classifier = RNNClassifier(max_iter=1, **FIXED).fit(data, y)
    with pytest.raises(ValueError, match="^" + re.escape(text)):
        classifier.predict(X)


def test_sequences_are_refused_after_a_fit_on_rows():
    X, y = sequences()
    classifier = RNNClassifier(max_iter=1, **FIXED).fit(X[:, :, 0], y)
    with pytest.raises(ValueError, match=r"^X: expected rows of 8 columns, as fitted, got sequences"):
        classifier.predict(X)
    with pytest.raises(ValueError, match="X has 7 features, but RNNClassifier is expecting 8"):
        classifier.predict(X[:, :7, 0])
