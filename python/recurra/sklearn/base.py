"""What the estimators share: their arguments, the network they build, and how they train it."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_consistent_length, check_random_state

import recurra
from recurra import _errors, layers, losses, optimizers
from recurra.sklearn import inputs
from recurra.sklearn.convergence import Convergence

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

    from recurra._typing import Array
    from recurra.losses import Loss
    from recurra.optimizers import Optimizer
    from recurra.sklearn.inputs import Sequences

CELLS = {"lstm": layers.LSTM, "gru": layers.GRU, "rnn": layers.SimpleRNN}

_LARGEST = float(np.finfo(np.float64).max)


class RecurrentEstimator(BaseEstimator):
    """Base of the estimators; `RNNClassifier` documents the arguments.

    The constructor stores its arguments as they are; ``fit`` checks them.
    """

    def __init__(
        self,
        cell: str = "lstm",
        hidden_layer_sizes: Any = (32,),
        *,
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
        self.cell = cell
        self.hidden_layer_sizes = hidden_layer_sizes
        self.bidirectional = bidirectional
        self.dropout = dropout
        self.solver = solver
        self.learning_rate_init = learning_rate_init
        self.batch_size = batch_size
        self.max_iter = max_iter
        self.shuffle = shuffle
        self.random_state = random_state
        self.tol = tol
        self.verbose = verbose
        self.warm_start = warm_start
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.dtype = dtype

    # Arguments

    def _check_arguments(self) -> None:
        """Raise unless the constructor's arguments make sense."""
        _errors.check_choice("cell", self.cell, CELLS)
        self._sizes()
        self._new_solver()
        _errors.check_dtype("dtype", self.dtype)
        for name in ("bidirectional", "shuffle", "warm_start", "early_stopping"):
            _errors.check_flag(name, getattr(self, name))
        _errors.check_rate("dropout", self.dropout)
        if not isinstance(self.verbose, bool | np.bool_):
            _errors.check_integer("verbose", self.verbose, 0)
        _errors.check_integer("batch_size", self.batch_size, 1)
        _errors.check_integer("max_iter", self.max_iter, 1)
        _errors.check_number("tol", self.tol, 0.0, _LARGEST, "a number of at least 0")
        if self.n_iter_no_change != np.inf:
            _errors.check_integer("n_iter_no_change", self.n_iter_no_change, 1)
        if _errors.check_rate("validation_fraction", self.validation_fraction) == 0.0 and self.early_stopping:
            raise _errors.bad_value("validation_fraction", "more than 0 with early_stopping=True", "0")

    def _sizes(self) -> list[int]:
        """Return the units of each recurrent layer."""
        given = self.hidden_layer_sizes
        sizes = list(given) if np.iterable(given) and not isinstance(given, str) else [given]
        if not sizes:
            raise _errors.bad_value("hidden_layer_sizes", "at least one layer", "none")
        return [_errors.check_integer("hidden_layer_sizes", size, 1) for size in sizes]

    def _new_solver(self) -> Optimizer:
        """Return a new optimizer: of the name, or like the object, which stays as it is."""
        if isinstance(self.solver, optimizers.Optimizer):
            return type(self.solver)(**self.solver.get_config())
        rate = _errors.check_number("learning_rate_init", self.learning_rate_init, 0.0, _LARGEST, "a positive number")
        if rate == 0.0:
            raise _errors.bad_value("learning_rate_init", "a positive number", "0")
        return optimizers.OPTIMIZERS[_errors.check_choice("solver", self.solver, optimizers.OPTIMIZERS)](
            learning_rate=rate
        )

    # The network

    def _new_model(self, outputs: int) -> recurra.Sequential:
        """Return a network with initial weights drawn from ``random_state``."""

        def seed() -> int:
            return int(self._random.randint(np.iinfo(np.int32).max))

        sizes = self._sizes()
        model = recurra.Sequential()
        for number, units in enumerate(sizes, start=1):
            last = number == len(sizes)
            model.add(
                CELLS[self.cell](
                    units,
                    bidirectional=self.bidirectional,
                    return_sequences=not last,
                    dtype=self.dtype,
                    seed=seed(),
                )
            )
            if self.dropout:
                model.add(layers.Dropout(self.dropout, dtype=self.dtype))
        model.add(layers.Dense(outputs, dtype=self.dtype, seed=seed()))
        return model

    # Training

    def _fit(
        self, X: Any, y: Any, sample_weight: Any = None, *, incremental: bool = False, classes: Any = None
    ) -> Self:
        """Fit from anew, go on from the weights there are (``warm_start``), or make one pass (``incremental``)."""
        self._check_arguments()
        fitted = hasattr(self, "model_")
        fresh = not (fitted and (incremental or self.warm_start))
        if y is None:
            name = type(self).__name__
            raise _errors.bad_value("y", "targets", "None", f"{name} requires y to be passed, but the target y is None")
        data = inputs.read(self, X, reset=fresh)
        y = self._check_y(y)
        check_consistent_length(data.x, y)
        weight = inputs.read_weight(sample_weight, len(y))
        if weight is not None and not weight.all():  # a weight of 0 and absence are to be the same
            counted = np.flatnonzero(weight)
            data, y, weight = data.take(counted), y[counted], weight[counted]
        if fresh or not incremental:
            self._random = check_random_state(self.random_state)
        weight = self._learn_targets(y, weight, classes, fresh)
        if weight is not None and not incremental:  # the step size is to be that of a fit without weights
            weight = weight / weight.mean()
        if fresh:
            self.model_ = self._new_model(self.n_outputs_)
            self.loss_curve_: list[float] = []
        if fresh or not incremental:
            self.n_iter_ = 0
            self.model_.compile(self._new_solver(), self._loss())
        if incremental:
            self._train(data, self._targets(y), weight, Convergence(self.tol, np.inf), epochs=1)
        else:
            self._fit_whole(data, y, weight)
        return self

    def _fit_whole(self, data: Sequences, y: Array, weight: Array | None) -> None:
        """Train until loss or score stop improving, or ``max_iter`` epochs are over."""
        targets = self._targets(y)
        if not self.early_stopping:
            stop = Convergence(self.tol, self.n_iter_no_change)
            self._train(data, targets, weight, stop, epochs=self.max_iter)
        else:
            rows, held = self._split(y)
            seen, kept = data.take(held), None if weight is None else weight[held]
            score = self._scorer(seen, y[held], kept)
            stop = Convergence(self.tol, self.n_iter_no_change, score)
            weight = None if weight is None else weight[rows]
            self._train(data.take(rows), targets[rows], weight, stop, epochs=self.max_iter)
            self.validation_scores_ = stop.scores
            self.best_validation_score_ = -stop.best
        if not stop.converged:
            hint = "raise max_iter, learning_rate_init or tol"
            expected = f"convergence within {self.max_iter} epochs"
            text = _errors.message("max_iter", expected, "a loss or score that still improves", hint)
            warnings.warn(text, ConvergenceWarning, stacklevel=4)

    def _train(self, data: Sequences, targets: Array, weight: Array | None, stop: Convergence, *, epochs: int) -> None:
        """Train the network; what was learned stays also if it is interrupted."""
        weighted: dict[str, Any] = {} if weight is None else {"sample_weight": weight}
        try:
            self.model_.fit(
                data.x,
                targets,
                batch_size=self.batch_size,
                epochs=epochs,
                verbose=(0, "auto", 2)[min(int(self.verbose), 2)],
                callbacks=[stop],
                shuffle=self.shuffle,
                lengths=data.lengths,
                seed=int(self._random.randint(np.iinfo(np.int32).max)),
                **weighted,
            )
        finally:
            stop.restore()
            self.n_iter_ += len(stop.losses)
            self.loss_curve_.extend(stop.losses)
            if stop.losses:
                self.loss_ = stop.losses[-1]

    def _outputs(self, X: Any) -> Array:
        """Return the network's outputs for ``X`` as float64."""
        data = inputs.read(self, X, reset=False)
        outputs: Array = self.model_.predict(data.x, lengths=data.lengths).astype(np.float64)
        return outputs

    # What an estimator supplies

    def _loss(self) -> Loss:
        """Return the loss of the network's outputs."""
        raise NotImplementedError

    def _check_y(self, y: Any) -> Array:
        """Return targets as an array, checked."""
        raise NotImplementedError

    def _learn_targets(self, y: Array, weight: Array | None, classes: Any, fresh: bool) -> Array | None:
        """Set what targets decide, ``n_outputs_`` among it, and return the weights that the loss is to use."""
        raise NotImplementedError

    def _targets(self, y: Array) -> Array:
        """Return targets as the network's loss takes them."""
        raise NotImplementedError

    def _split(self, y: Array) -> tuple[Array, Array]:
        """Return the rows to train on and those to score on."""
        raise NotImplementedError

    def _scorer(self, data: Sequences, y: Array, weight: Array | None) -> Callable[[], float]:
        """Return the function that scores the network on held-out samples; larger is better."""
        raise NotImplementedError


def makes_passes(estimator: RecurrentEstimator) -> bool:
    """Return True where ``partial_fit`` makes sense, or raise AttributeError, on which scikit-learn hides it."""
    if estimator.early_stopping:
        raise AttributeError(_errors.message("early_stopping", "False for partial_fit", "True"))
    return True


def regression_loss(loss: Any) -> Loss:
    """Return the loss of a name or object; scikit-learn's name is known too."""
    return losses.get("mse" if isinstance(loss, str) and loss == "squared_error" else loss)


def split(y: Array, fraction: float, random: Any, stratify: Array | None) -> tuple[Array, Array]:
    """Return a random partition of the rows of ``y``, the second part being the fraction to score on."""
    from sklearn.model_selection import train_test_split

    rows, held = train_test_split(np.arange(len(y)), test_size=fraction, random_state=random, stratify=stratify)
    if len(held) < 2:
        hint = f"there are {len(y)} samples"
        raise _errors.bad_value("validation_fraction", "two samples or more to score on", f"{len(held)}", hint)
    return np.sort(rows), np.sort(held)
