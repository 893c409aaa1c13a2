"""The classifier."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.metrics import accuracy_score
from sklearn.utils import assert_all_finite, column_or_1d, compute_sample_weight
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted

from recurra import _errors
from recurra.losses import SparseCategoricalCrossentropy
from recurra.sklearn.base import RecurrentEstimator, makes_passes, split

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

    from recurra._typing import Array
    from recurra.losses import Loss
    from recurra.sklearn.inputs import Sequences


class RNNClassifier(ClassifierMixin, RecurrentEstimator):
    """Recurrent network that classifies sequences.

    One or more recurrent layers read a sequence; a dense layer makes logits z of the last step's output; the class is
    the largest of p = softmax(z). The loss is the mean of -log p[y].

    ``X`` comes in one of three forms, and keeps the form of ``fit``:

    - (samples, columns): each row is a sequence, its columns the steps of one variable; with ``n_steps`` a row holds
      the features of step 1, then those of step 2, and so on;
    - (samples, time, features), as in Keras; ``predict`` may bring another number of steps;
    - a list, or an array of objects, of arrays (time, features) or (time,), whose lengths may differ.

    Columns are used as they come: put a ``StandardScaler`` before, or scale the sequences.

    Parameters
    ----------
    cell : {"lstm", "gru", "rnn"}, default "lstm"
        Kind of the recurrent layers.
    hidden_layer_sizes : int or sequence of int, default (32,)
        Units of each recurrent layer, the first one reading the input.
    bidirectional : bool, default False
        Each layer reads both ways.
    dropout : float, default 0.0
        Rate of dropout on the output of each recurrent layer.
    n_steps : int, optional
        Steps in a row of a matrix, a divisor of the number of columns; by default every column is a step.
    solver : str or Optimizer, default "adam"
        A name from `recurra.optimizers`, or an object, of which ``fit`` uses a new copy; say
        ``Adam(1e-3, clipnorm=1.0)``.
    learning_rate_init : float, default 0.001
        Used with a name.
    batch_size : int, default 32
        Samples of a step.
    max_iter : int, default 200
        Largest number of epochs.
    shuffle : bool, default True
        Draw a new order of the samples for each epoch.
    random_state : int, RandomState or None, default None
        Of initial weights, order, dropout and held-out samples. An int makes ``fit`` repeatable, for any number of
        threads.
    tol : float, default 1e-4
        Improvement of the loss, or of the score with ``early_stopping``, that counts as one.
    verbose : bool or int, default False
        True or 1: a progress bar on a terminal, else a line per epoch; 2 and more: a line per epoch.
    warm_start : bool, default False
        ``fit`` goes on with the network there is, whatever the arguments that shape one, and a new optimizer.
    early_stopping : bool, default False
        Hold ``validation_fraction`` of the samples back, score them after each epoch, and keep the best weights.
    validation_fraction : float, default 0.1
        Used with ``early_stopping``; stratified by class.
    n_iter_no_change : int or inf, default 10
        Training ends after more than so many epochs in a row without an improvement by ``tol``.
    dtype : {"float32", "float64"}, default "float32"
        Of the network.
    class_weight : dict, "balanced" or None, default None
        Weight of each class, which multiplies ``sample_weight``; "balanced" weighs a class by n_samples / (n_classes *
        samples in it).

    Attributes
    ----------
    classes_ : numpy.ndarray, shape (n_classes,)
        Sorted.
    model_ : recurra.Sequential
        The network; its outputs are logits.
    loss_curve_ : list of float
        Mean training loss of each epoch, over all calls of ``partial_fit`` and warm starts.
    loss_ : float
        The last of them.
    n_iter_ : int
        Epochs of the last ``fit``, and of ``partial_fit`` since.
    n_outputs_ : int
        Outputs of the network.
    n_features_in_ : int
        Columns of ``X``, or features of a step if ``X`` was sequences.
    feature_names_in_ : numpy.ndarray of str
        Of the columns, if ``X`` had names.
    validation_scores_, best_validation_score_ : list of float, float
        Accuracy on the held-out samples, with ``early_stopping``.

    Raises
    ------
    TypeError, ValueError
        By ``fit``, on wrong arguments.

    Warns
    -----
    ConvergenceWarning
        If ``max_iter`` ended training.

    See Also
    --------
    RNNRegressor, RNNForecaster

    Notes
    -----
    Arguments and attributes are named as in `sklearn.neural_network.MLPClassifier`. Samples of weight 0 are left out;
    weights are scaled to a mean of 1 by ``fit``, so that they do not change the step size. Predictions are safe from
    several threads.

    Examples
    --------
    >>> import numpy as np
    >>> from recurra.sklearn import RNNClassifier
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(64, 12, 2))
    >>> y = np.where(X[:, :, 0].sum(axis=1) > 0, "up", "down")
    >>> classifier = RNNClassifier("gru", 8, learning_rate_init=0.02, random_state=0, tol=0.01)
    >>> classifier = classifier.fit(X, y)
    >>> classifier.score(X, y) > 0.9, classifier.predict_proba(X).shape
    (True, (64, 2))
    """

    def __init__(
        self,
        cell: str = "lstm",
        hidden_layer_sizes: Any = (32,),
        *,
        bidirectional: bool = False,
        dropout: float = 0.0,
        n_steps: int | None = None,
        solver: Any = "adam",
        learning_rate_init: float = 0.001,
        batch_size: int = 32,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: Any = None,
        tol: float = 1e-4,
        verbose: Any = False,
        warm_start: bool = False,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 10,
        dtype: str = "float32",
        class_weight: Any = None,
    ) -> None:
        super().__init__(
            cell=cell,
            hidden_layer_sizes=hidden_layer_sizes,
            bidirectional=bidirectional,
            dropout=dropout,
            solver=solver,
            learning_rate_init=learning_rate_init,
            batch_size=batch_size,
            max_iter=max_iter,
            shuffle=shuffle,
            random_state=random_state,
            tol=tol,
            verbose=verbose,
            warm_start=warm_start,
            early_stopping=early_stopping,
            validation_fraction=validation_fraction,
            n_iter_no_change=n_iter_no_change,
            dtype=dtype,
        )
        self.n_steps = n_steps
        self.class_weight = class_weight

    def __sklearn_tags__(self) -> Any:
        """Return scikit-learn's description of the estimator."""
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        return tags

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train on sequences and their classes.

        Parameters
        ----------
        X : array_like or list of arrays
            Sequences in one of the forms above.
        y : array_like, shape (samples,)
            Classes: integers, texts, booleans.
        sample_weight : array_like, shape (samples,), optional
            At least 0.

        Returns
        -------
        RNNClassifier
            Itself.

        Raises
        ------
        TypeError, ValueError
            On wrong arguments.
        """
        return self._fit(X, y, sample_weight)

    @available_if(makes_passes)
    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> Self:
        """Make one pass over samples, going on from the weights and the optimizer's state there are.

        Parameters
        ----------
        X, y, sample_weight
            As in `fit`.
        classes : array_like, optional
            All classes there will be; needed by the first call, and the same in later ones if given.

        Returns
        -------
        RNNClassifier
            Itself.

        Raises
        ------
        TypeError, ValueError
            On wrong arguments, or with ``class_weight="balanced"``, which needs all samples.
        AttributeError
            With ``early_stopping``, which needs them too.
        """
        if isinstance(self.class_weight, str):
            hint = "give weights as a dict, or sample_weight"
            raise _errors.bad_value("class_weight", "a dict or None for partial_fit", repr(self.class_weight), hint)
        if classes is None and not hasattr(self, "classes_"):
            raise _errors.bad_value("classes", "all classes in the first call of partial_fit", "None")
        return self._fit(X, y, sample_weight, incremental=True, classes=classes)

    def decision_function(self, X: Any) -> Array:
        """Return logits, or for two classes the log-odds of the second one.

        Parameters
        ----------
        X : array_like or list of arrays
            As in `fit`.

        Returns
        -------
        numpy.ndarray, shape (samples, n_classes), or (samples,) for two classes
            float64.
        """
        check_is_fitted(self, "model_")
        logits = self._outputs(X)
        difference: Array = logits[:, 1] - logits[:, 0] if len(self.classes_) == 2 else logits
        return difference

    def predict_proba(self, X: Any) -> Array:
        """Return the probability of each class, in the order of ``classes_``.

        Parameters
        ----------
        X : array_like or list of arrays
            As in `fit`.

        Returns
        -------
        numpy.ndarray, shape (samples, n_classes)
            float64.
        """
        return np.exp(self.predict_log_proba(X))

    def predict_log_proba(self, X: Any) -> Array:
        """Return the logarithms of `predict_proba`, finite also where that is 0."""
        check_is_fitted(self, "model_")
        logits = self._outputs(X)
        logits -= logits.max(axis=1, keepdims=True)
        logarithms: Array = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
        return logarithms

    def predict(self, X: Any) -> Array:
        """Return the most probable class of each sample.

        Parameters
        ----------
        X : array_like or list of arrays
            As in `fit`.

        Returns
        -------
        numpy.ndarray, shape (samples,)
            Members of ``classes_``.
        """
        check_is_fitted(self, "model_")
        classes: Array = self.classes_[self._outputs(X).argmax(axis=1)]
        return classes

    # What the base asks for

    def _loss(self) -> Loss:
        return SparseCategoricalCrossentropy(from_logits=True)

    def _check_y(self, y: Any) -> Array:
        labels: Array = column_or_1d(y, warn=True)
        if labels.dtype.kind == "f":
            assert_all_finite(labels, input_name="y")
        check_classification_targets(labels)
        return labels

    def _learn_targets(self, y: Array, weight: Array | None, classes: Any, fresh: bool) -> Array | None:
        known = np.unique(y if classes is None else np.asarray(classes))
        if fresh:
            self.classes_, self.n_outputs_ = known, len(known)
        elif classes is not None and not np.array_equal(known, self.classes_):
            raise _errors.bad_value("classes", f"{self.classes_}, as in the first call", f"{known}")
        unknown = np.setdiff1d(y, self.classes_)
        if len(unknown):
            raise _errors.bad_value("y", f"classes among {self.classes_}", f"{unknown}")
        if self.class_weight is not None:
            by_class = compute_sample_weight(self.class_weight, y)
            weight = by_class if weight is None else weight * by_class
        return weight

    def _targets(self, y: Array) -> Array:
        return np.searchsorted(self.classes_, y)

    def _split(self, y: Array) -> tuple[Array, Array]:
        return split(y, self.validation_fraction, self._random, y)

    def _scorer(self, data: Sequences, y: Array, weight: Array | None) -> Callable[[], float]:
        targets = self._targets(y)

        def score() -> float:
            found = self.model_.predict(data.x, lengths=data.lengths).argmax(axis=1)
            return float(accuracy_score(targets, found, sample_weight=weight))

        return score
