"""The forecaster."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.metrics import r2_score
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from recurra import _errors
from recurra.sklearn import series
from recurra.sklearn.base import RecurrentEstimator, regression_loss
from recurra.sklearn.inputs import Sequences

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

    from recurra._typing import Array
    from recurra.losses import Loss


class RNNForecaster(RecurrentEstimator):
    """Recurrent network that forecasts one or more time series.

    A network learns to predict a step from the ``window_length`` steps before it; forecasts further ahead take the
    earlier forecasts for observations (the recursive strategy). Each variable is standardised by its mean and
    deviation in ``fit``, so a series may come on any scale; a trend should be taken out first, for example by
    differences, since a network does not leave the range it has seen.

    Parameters
    ----------
    cell, hidden_layer_sizes, bidirectional, dropout, solver, learning_rate_init, batch_size, max_iter, shuffle, \
random_state, tol, verbose, warm_start, early_stopping, validation_fraction, n_iter_no_change, dtype
        As of `RNNClassifier`, with the same defaults. ``early_stopping`` holds back the last windows of each series
        and scores them by R^2.
    window_length : int, default 10
        Steps that the network sees.
    loss : str or Loss, default "squared_error"
        As of `RNNRegressor`; it sees standardised values.

    Attributes
    ----------
    model_ : recurra.Sequential
        The network, from standardised windows (samples, window_length, variables + exogenous variables) to the
        standardised next step.
    mean_, scale_ : numpy.ndarray, shape (n_features_in_,)
        Of the standardisation.
    n_features_in_ : int
        Variables of a series.
    loss_curve_, loss_, n_iter_, n_outputs_
        As of `RNNRegressor`.
    validation_scores_, best_validation_score_ : list of float, float
        R^2 of forecasts one step ahead on the held-out windows, with ``early_stopping``.

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
    RNNRegressor

    Notes
    -----
    Forecasts are safe from several threads.

    Examples
    --------
    >>> import numpy as np
    >>> from recurra.sklearn import RNNForecaster
    >>> wave = 50.0 + 3.0 * np.sin(np.arange(240) / 4)
    >>> forecaster = RNNForecaster(window_length=12, learning_rate_init=0.01, random_state=0).fit(wave[:200])
    >>> ahead = forecaster.predict(horizon=10)
    >>> ahead.shape, bool(np.abs(ahead - wave[200:210]).max() < 1.0)
    ((10,), True)
    """

    def __init__(
        self,
        cell: str = "lstm",
        hidden_layer_sizes: Any = (32,),
        *,
        window_length: int = 10,
        loss: Any = "squared_error",
        bidirectional: bool = False,
        dropout: float = 0.0,
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
        self.window_length = window_length
        self.loss = loss

    def fit(self, X: Any, y: Any = None, *, exog: Any = None) -> Self:
        """Train on time series.

        Parameters
        ----------
        X : array_like, shape (time,) or (time, variables), or list of such arrays
            One series, or several of the same variables; each longer than ``window_length``.
        y : None
            Ignored; there for scikit-learn's sake.
        exog : array_like, shape (time,) or (time, k), or list of such arrays, optional
            Exogenous variables, known ahead: the forecast of a step sees their values at that step too.

        Returns
        -------
        RNNForecaster
            Itself.

        Raises
        ------
        TypeError, ValueError
            On wrong arguments.
        """
        self._check_arguments()
        given = series.read("X", X)
        covariates = series.read_exog(exog, [len(values) for values in given.values])
        fresh = not (self.warm_start and hasattr(self, "model_"))
        if fresh:
            self.n_features_in_ = self.n_outputs_ = given.values[0].shape[1]
            self.mean_, self.scale_ = series.moments(given.values)
            self._exog_moments = series.moments(covariates)
        windows, targets = self._windows(given.values, covariates)
        self._random = check_random_state(self.random_state)
        if fresh:
            self.model_ = self._new_model(self.n_outputs_)
            self.loss_curve_: list[float] = []
        self.n_iter_ = 0
        self.model_.compile(self._new_solver(), self._loss())
        self._counts = [len(part) for part in targets]
        self._form = given.form
        self._tails = [values[-self.window_length :] for values in given.values]
        self._exog_tails = [values[len(values) - self.window_length + 1 :] for values in covariates]
        self._fit_whole(Sequences(np.concatenate(windows), None), np.concatenate(targets), None)
        return self

    def predict(self, horizon: int = 1, X: Any = None, *, exog: Any = None) -> Array:
        """Return forecasts of the steps after a series.

        Parameters
        ----------
        horizon : int, default 1
            Number of steps.
        X : array_like or list of arrays, optional
            Series to forecast, as in `fit`, at least ``window_length`` long; by default those of ``fit``.
        exog : array_like, shape (horizon, k), or list of such arrays
            The exogenous variables of the steps to forecast, if there were some in ``fit``; with ``X`` they cover the
            series as well, (time + horizon, k).

        Returns
        -------
        numpy.ndarray
            float64: (horizon,) or (horizon, variables), as the series is; for a list of series, (series, horizon) or
            (series, horizon, variables).

        Raises
        ------
        TypeError, ValueError
            On wrong arguments.
        """
        check_is_fitted(self, "model_")
        horizon = _errors.check_integer("horizon", horizon, 1)
        length, form, tails = self.window_length, self._form, self._tails
        if X is None:
            future = series.read_exog(exog, [horizon] * len(tails))
            self._check_exog(future)
            covariates = [np.concatenate(pair) for pair in zip(self._exog_tails, future, strict=True)]
        else:
            given = series.read("X", X)
            form, tails = given.form, given.values
            self._check_series(tails, length)
            covariates = series.read_exog(exog, [len(values) + horizon for values in tails])
            self._check_exog(covariates)
            covariates = [values[len(values) - horizon - length + 1 :] for values in covariates]
            tails = [values[-length:] for values in tails]
        forecasts = self._recurse(np.stack(tails), np.stack(covariates), horizon) * self.scale_ + self.mean_
        return series.shaped(forecasts, form)

    def score(self, X: Any, y: Any = None, *, exog: Any = None) -> float:
        """Return R^2 of forecasts one step ahead, of all steps of ``X`` but the first ``window_length``.

        Parameters
        ----------
        X, exog
            As in `fit`.
        y : None
            Ignored.

        Returns
        -------
        float
            At most 1, the mean over variables.
        """
        check_is_fitted(self, "model_")
        given = series.read("X", X)
        covariates = series.read_exog(exog, [len(values) for values in given.values])
        windows, targets = self._windows(given.values, covariates)
        return float(r2_score(np.concatenate(targets), self.model_.predict(np.concatenate(windows))))

    # From series to windows, and back

    def _windows(self, values: list[Array], covariates: list[Array]) -> tuple[list[Array], list[Array]]:
        """Return each series' windows (samples, window_length, inputs) and the steps after them, standardised."""
        self._check_series(values, self.window_length + 1)
        self._check_exog(covariates)
        windows, targets = [], []
        for steps, known in zip(values, covariates, strict=True):
            scaled = (steps - self.mean_) / self.scale_
            seen = np.concatenate([scaled[:-1], self._scaled_exog(known)[1:]], axis=1)
            view = np.lib.stride_tricks.sliding_window_view(seen, self.window_length, axis=0)
            windows.append(view.transpose(0, 2, 1).astype(self.dtype))
            targets.append(scaled[self.window_length :])
        return windows, targets

    def _recurse(self, tails: Array, covariates: Array, horizon: int) -> Array:
        """Return standardised forecasts (series, horizon, variables), each step's taken for observed by the next."""
        length = self.window_length
        steps = np.empty((len(tails), length + horizon, self.n_features_in_))
        steps[:, :length] = (tails - self.mean_) / self.scale_
        known = self._scaled_exog(covariates)
        for step in range(horizon):
            places = slice(step, step + length)
            window = np.concatenate([steps[:, places], known[:, places]], axis=2)
            steps[:, length + step] = self.model_.predict(window)
        return steps[:, length:]

    def _scaled_exog(self, values: Array) -> Array:
        mean, scale = self._exog_moments
        scaled: Array = (values - mean) / scale
        return scaled

    def _check_series(self, values: list[Array], steps: int) -> None:
        """Raise unless each series has the variables of ``fit`` and at least so many steps."""
        for steps_of in values:
            axes, shape = ("time", "variables"), (None, self.n_features_in_)
            _errors.check_shape("X", steps_of.shape, axes, shape)
            if len(steps_of) < steps:
                hint = f"window_length is {self.window_length}"
                raise _errors.bad_value("X", f"at least {steps} steps", str(len(steps_of)), hint)

    def _check_exog(self, covariates: list[Array]) -> None:
        """Raise unless there are as many exogenous variables as in ``fit``."""
        count = len(self._exog_moments[0])
        for known in covariates:
            if known.shape[1] != count:
                raise _errors.bad_value("exog", f"{count} exogenous variables, as fitted", str(known.shape[1]))

    # What the base asks for

    def _check_arguments(self) -> None:
        super()._check_arguments()
        _errors.check_integer("window_length", self.window_length, 1)
        self._loss()

    def _loss(self) -> Loss:
        return regression_loss(self.loss)

    def _targets(self, y: Array) -> Array:
        return y

    def _split(self, y: Array) -> tuple[Array, Array]:
        """Return the rows of all but the last windows of each series, and of those."""
        rows, held, start = [], [], 0
        for count in self._counts:
            at = start + count - max(1, round(count * self.validation_fraction))
            rows.append(np.arange(start, at))
            held.append(np.arange(at, start + count))
            start += count
        train, scored = np.concatenate(rows), np.concatenate(held)
        if len(scored) < 2 or not len(train):
            hint = f"there are {len(y)} windows"
            got = f"{len(train)} and {len(scored)}"
            raise _errors.bad_value("validation_fraction", "windows to train on, and two to score on", got, hint)
        return train, scored

    def _scorer(self, data: Sequences, y: Array, weight: Array | None) -> Callable[[], float]:
        return lambda: float(r2_score(y, self.model_.predict(data.x)))
