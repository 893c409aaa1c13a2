"""The regressor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.metrics import r2_score
from sklearn.utils import check_array
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from recurra import _errors
from recurra.sklearn.base import RecurrentEstimator, makes_passes, regression_loss, split

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

    from recurra._typing import Array
    from recurra.losses import Loss
    from recurra.sklearn.inputs import Sequences


class RNNRegressor(RegressorMixin, RecurrentEstimator):
    """Recurrent network that predicts one or more numbers from a sequence.

    One or more recurrent layers read a sequence; a dense layer makes the predictions of the last step's output. The
    loss is the mean of (y_pred - y)^2, or another one.

    Parameters
    ----------
    cell, hidden_layer_sizes, bidirectional, dropout, n_steps, solver, learning_rate_init, batch_size, max_iter, \
shuffle, random_state, tol, verbose, warm_start, early_stopping, validation_fraction, n_iter_no_change, dtype
        As of `RNNClassifier`, with the same defaults; so is ``X``. Held-out samples are scored by R^2.
    loss : str or Loss, default "squared_error"
        "squared_error", a name from `recurra.losses`, or an object. It sees targets as ``normalize_y`` makes them.
    normalize_y : bool, default True
        Train on (y - mean) / deviation, taken from the targets of ``fit`` or of the first ``partial_fit`` and undone
        by ``predict``: a network starts near 0 and moves by small steps, so that targets such as house prices would
        otherwise take very many of them.

    Attributes
    ----------
    model_ : recurra.Sequential
        The network; it predicts normalised targets.
    y_mean_, y_scale_ : numpy.ndarray, shape (n_outputs_,)
        Undo the normalisation: predictions are ``outputs * y_scale_ + y_mean_``.
    loss_curve_, loss_, n_iter_, n_outputs_, n_features_in_, feature_names_in_
        As of `RNNClassifier`; losses are of normalised targets.
    validation_scores_, best_validation_score_ : list of float, float
        R^2 on the held-out samples, with ``early_stopping``.

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
    RNNClassifier, RNNForecaster

    Notes
    -----
    Samples of weight 0 are left out; weights are scaled to a mean of 1 by ``fit``. Predictions are safe from several
    threads.

    Examples
    --------
    >>> import numpy as np
    >>> from recurra.sklearn import RNNRegressor
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(64, 12, 2))
    >>> y = 100.0 + X[:, -3:, 1].sum(axis=1)
    >>> regressor = RNNRegressor(hidden_layer_sizes=8, learning_rate_init=0.02, random_state=0, tol=0.01)
    >>> regressor.fit(X, y).score(X, y) > 0.9
    True
    """

    def __init__(
        self,
        cell: str = "lstm",
        hidden_layer_sizes: Any = (32,),
        *,
        loss: Any = "squared_error",
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
        normalize_y: bool = True,
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
        self.loss = loss
        self.normalize_y = normalize_y

    def __sklearn_tags__(self) -> Any:
        """Return scikit-learn's description of the estimator."""
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.target_tags.multi_output = True
        return tags

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train on sequences and their targets.

        Parameters
        ----------
        X : array_like or list of arrays
            Sequences in one of the forms that `RNNClassifier` lists.
        y : array_like, shape (samples,) or (samples, outputs)
            Targets.
        sample_weight : array_like, shape (samples,), optional
            At least 0.

        Returns
        -------
        RNNRegressor
            Itself.

        Raises
        ------
        TypeError, ValueError
            On wrong arguments.
        """
        return self._fit(X, y, sample_weight)

    @available_if(makes_passes)
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Make one pass over samples, going on from the weights and the optimizer's state there are.

        Parameters
        ----------
        X, y, sample_weight
            As in `fit`. The first call's ``y`` decides the normalisation.

        Returns
        -------
        RNNRegressor
            Itself.

        Raises
        ------
        TypeError, ValueError
            On wrong arguments.
        AttributeError
            With ``early_stopping``, which needs all samples.
        """
        return self._fit(X, y, sample_weight, incremental=True)

    def predict(self, X: Any) -> Array:
        """Return predictions.

        Parameters
        ----------
        X : array_like or list of arrays
            As in `fit`.

        Returns
        -------
        numpy.ndarray, shape (samples,) or (samples, outputs)
            float64, of as many axes as ``y``.
        """
        check_is_fitted(self, "model_")
        predictions: Array = self._outputs(X) * self.y_scale_ + self.y_mean_
        return predictions[:, 0] if self._flat else predictions

    # What the base asks for

    def _check_arguments(self) -> None:
        super()._check_arguments()
        _errors.check_flag("normalize_y", self.normalize_y)
        self._loss()

    def _loss(self) -> Loss:
        return regression_loss(self.loss)

    def _check_y(self, y: Any) -> Array:
        targets: Array = check_array(y, dtype=np.float64, ensure_2d=False, input_name="y", estimator=self)
        axes = ("samples", "outputs")[: max(1, targets.ndim)]
        _errors.check_shape("y", targets.shape, axes, (None,) * len(axes))
        return targets

    def _learn_targets(self, y: Array, weight: Array | None, classes: Any, fresh: bool) -> Array | None:
        columns = y[:, None] if y.ndim == 1 else y
        if fresh:
            self._flat, self.n_outputs_ = y.ndim == 1, columns.shape[1]
            self.y_mean_, self.y_scale_ = np.zeros(self.n_outputs_), np.ones(self.n_outputs_)
            if self.normalize_y:
                self.y_mean_ = np.average(columns, axis=0, weights=weight)
                deviation = np.sqrt(np.average((columns - self.y_mean_) ** 2, axis=0, weights=weight))
                self.y_scale_ = np.where(deviation > 0.0, deviation, 1.0)
        elif columns.shape[1] != self.n_outputs_:
            raise _errors.bad_value("y", f"{self.n_outputs_} outputs, as fitted", str(columns.shape[1]))
        return weight

    def _targets(self, y: Array) -> Array:
        targets: Array = (y.reshape(len(y), -1) - self.y_mean_) / self.y_scale_
        return targets

    def _split(self, y: Array) -> tuple[Array, Array]:
        return split(y, self.validation_fraction, self._random, None)

    def _scorer(self, data: Sequences, y: Array, weight: Array | None) -> Callable[[], float]:
        targets = self._targets(y)

        def score() -> float:
            found = self.model_.predict(data.x, lengths=data.lengths)
            return float(r2_score(targets, found, sample_weight=weight))

        return score
