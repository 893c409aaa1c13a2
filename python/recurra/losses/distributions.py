"""Losses of distributions: forecasts that say how sure they are, counts, and whole distributions."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from recurra import _errors
from recurra.losses.base import ElementLoss, Loss
from recurra.losses.regression import EPSILON

if TYPE_CHECKING:
    from collections.abc import Sequence

    from recurra._typing import Array


class KLDivergence(Loss):
    """sum(y_true log(y_true / y_pred)) over the last axis, both clipped to [1e-7, 1] (Kullback & Leibler 1951).

    The gradient is 0 where the clip of y_pred acts.

    Parameters
    ----------
    reduction, name
        See `recurra.losses.Loss`.

    Notes
    -----
    Agrees with `keras.losses.KLDivergence`.

    Examples
    --------
    >>> import recurra
    >>> round(recurra.losses.KLDivergence()([[0.5, 0.5]], [[0.25, 0.75]]), 4)
    0.1438
    """

    name = "kl_divergence"

    def values(self, y_true: Array, y_pred: Array) -> tuple[Array, Array]:
        """Return each row's loss and gradient; see `Loss.values`."""
        target, p = np.clip(y_true, EPSILON, 1.0), np.clip(y_pred, EPSILON, 1.0)
        return (target * np.log(target / p)).sum(axis=-1), np.where(p == y_pred, -target / p, y_pred.dtype.type(0.0))


class Poisson(ElementLoss):
    """y_pred - y_true log(y_pred + 1e-7), mean over the outputs: counts with the rates y_pred, without the constant.

    Parameters
    ----------
    reduction, name
        See `recurra.losses.Loss`.

    Notes
    -----
    Agrees with `keras.losses.Poisson`, and with `torch.nn.PoissonNLLLoss(log_input=False, eps=1e-7)`.

    Examples
    --------
    >>> import recurra
    >>> round(recurra.losses.Poisson()([[2.0]], [[1.0]]), 4)
    1.0
    """

    name = "poisson"

    def elements(self, y_true: Array, y_pred: Array) -> tuple[Array, Array]:
        """Return each element's loss and derivative."""
        rate = y_pred + EPSILON
        return y_pred - y_true * np.log(rate), 1.0 - y_true / rate


class GaussianNLL(Loss):
    """Negative log-likelihood of normal distributions whose means and variances are the outputs (Nix & Weigend 1994).

    The last axis holds k means m, then k logarithms of variances s; k is the size of the targets' last axis. Mean
    over k of (s + (y_true - m)^2 exp(-s)) / 2, s being at least log eps.

    Parameters
    ----------
    full : bool, default False
        Add the constant log(2 pi) / 2.
    eps : float, default 1e-6
        Least variance. Below it the gradient is that at eps, as in PyTorch, so that a variance gets out again.
    reduction, name
        See `recurra.losses.Loss`.

    Notes
    -----
    Agrees with `torch.nn.GaussianNLLLoss` of m and exp(s).

    Examples
    --------
    >>> import recurra
    >>> recurra.losses.GaussianNLL()([[1.0]], [[0.0, 0.0]])
    0.5
    """

    name = "gaussian_nll"

    def __init__(
        self,
        full: bool = False,
        eps: float = 1e-6,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
    ) -> None:
        super().__init__(reduction, name)
        self.full = _errors.check_flag("full", full)
        self.eps = _errors.check_number("eps", eps, 1e-300, 1e300, "a number above 0")

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {"full": self.full, "eps": self.eps, **super().get_config()}

    def target_width(self, outputs: int) -> int:
        """Return half the number of outputs."""
        if outputs % 2:
            hint = "the last axis holds as many means, then as many logarithms of variances"
            raise _errors.bad_value("y_pred", "an even number of outputs", str(outputs), hint)
        return outputs // 2

    def values(self, y_true: Array, y_pred: Array) -> tuple[Array, Array]:
        """Return each row's loss and gradient; see `Loss.values`."""
        k = y_true.shape[-1]
        log_variance = np.maximum(y_pred[..., k:], math.log(self.eps))
        precision = np.exp(-log_variance)
        error = y_pred[..., :k] - y_true
        squared = np.square(error) * precision
        value = 0.5 * (log_variance + squared).mean(axis=-1) + (0.5 * math.log(2.0 * math.pi) if self.full else 0.0)
        dy = np.empty_like(y_pred)
        dy[..., :k] = error * precision * (1.0 / k)
        dy[..., k:] = (0.5 - 0.5 * squared) * (1.0 / k)
        return value, dy


class Quantile(ElementLoss):
    """Pinball loss of forecasts of quantiles (Koenker & Bassett 1978), mean over targets and quantiles.

    With e = y_true - y_pred: max(q e, (q - 1) e). The last axis of the outputs holds, for each target, its quantiles
    in the order given: one target of three quantiles has three outputs.

    Parameters
    ----------
    quantiles : sequence of float, default (0.1, 0.5, 0.9)
        q, each between 0 and 1.
    reduction, name
        See `recurra.losses.Loss`.

    Notes
    -----
    For one quantile it is `sklearn.metrics.mean_pinball_loss`.

    Examples
    --------
    >>> import recurra
    >>> round(recurra.losses.Quantile([0.1, 0.9])([[1.0]], [[0.0, 2.0]]), 4)
    0.1
    """

    name = "quantile"

    def __init__(
        self,
        quantiles: Sequence[float] = (0.1, 0.5, 0.9),
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
    ) -> None:
        super().__init__(reduction, name)
        if isinstance(quantiles, str) or not hasattr(quantiles, "__len__") or not len(quantiles):
            raise _errors.bad_type("quantiles", "a list of numbers between 0 and 1", repr(quantiles))
        low, high = math.ulp(0.0), math.nextafter(1.0, 0.0)
        expected = "numbers between 0 and 1"
        self.quantiles = [_errors.check_number("quantiles", q, low, high, expected) for q in quantiles]

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {"quantiles": self.quantiles, **super().get_config()}

    def target_width(self, outputs: int) -> int:
        """Return the number of targets."""
        count = len(self.quantiles)
        if outputs % count:
            hint = "each target has one output for each quantile"
            raise _errors.bad_value("y_pred", f"a multiple of {count} outputs", str(outputs), hint)
        return outputs // count

    def elements(self, y_true: Array, y_pred: Array) -> tuple[Array, Array]:
        """Return each element's loss and derivative."""
        q = np.asarray(self.quantiles, y_pred.dtype)
        error = y_true[..., None] - y_pred.reshape(*y_true.shape, len(q))
        slope = np.where(error > 0.0, -q, np.where(error < 0.0, 1.0 - q, y_pred.dtype.type(0.0)))
        return (-slope * error).reshape(y_pred.shape), slope.reshape(y_pred.shape)
