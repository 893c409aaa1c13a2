"""Callbacks that watch one number of the logs."""

from __future__ import annotations

import warnings
from typing import Any

from recurra import _errors
from recurra.callbacks.base import Logs, StatefulCallback

# Parts of names of metrics, for mode="auto"; a metric may say more by an attribute `direction`, "up" or "down".
_UP = ("acc", "precision", "recall", "auc", "f1", "fbeta", "r2", "iou", "similarity", "bleu", "specificity")
_DOWN = ("loss", "error", "entropy", "perplexity", "bits_per", "divergence", "distance", "hinge", "poisson", "cosh",
         "mse", "mae", "mape", "msle", "huber", "pinball", "quantile", "negatives", "wer", "cer")  # fmt: skip


class MonitorCallback(StatefulCallback):
    """Base of the callbacks that look for an improvement of one number of the logs.

    Parameters
    ----------
    monitor : str, default "val_loss"
        Its name.
    mode : {"auto", "min", "max"}, default "auto"
        Whether less or more is better; "auto" knows it from the name.
    baseline : float, optional
        What the first value must beat.
    min_delta : float, default 0
        What an improvement must exceed.

    Raises
    ------
    TypeError, ValueError
        On wrong arguments.
    """

    def __init__(
        self, monitor: str = "val_loss", mode: str = "auto", baseline: float | None = None, min_delta: float = 0.0
    ) -> None:
        super().__init__()
        if not isinstance(monitor, str):
            raise _errors.bad_type("monitor", "the name of a loss or metric", monitor)
        self.monitor = monitor
        self.mode = _errors.check_choice("mode", mode, ("auto", "min", "max"))
        self.best: float | None = None if baseline is None else check_finite("baseline", baseline)
        self.min_delta = abs(check_finite("min_delta", min_delta))
        self._warned = False

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Find out whether less or more is better."""
        self._warned = False
        self._upward()

    def _upward(self) -> bool:
        """Return whether more is better."""
        if self.mode != "auto":
            return self.mode == "max"
        name = self.monitor.removeprefix("val_")
        for metric in getattr(self.model, "metrics", None) or ():
            if metric.name == name and hasattr(metric, "direction"):
                return bool(metric.direction == "up")
        if any(part in name for part in _DOWN):
            return False
        if any(part in name for part in _UP):
            return True
        hint = f"less or more {self.monitor} could be better"
        raise _errors.bad_value("mode", "'min' or 'max'", "'auto'", hint)

    def _improves(self, value: float, reference: float | None) -> bool:
        """Return whether a value beats another by more than ``min_delta``."""
        if reference is None:
            return True
        return value - self.min_delta > reference if self._upward() else value + self.min_delta < reference

    def _value(self, logs: Logs | None, what: str) -> float | None:
        """Return the number watched, or None after a warning, given once, that names those there are."""
        found: Any = (logs or {}).get(self.monitor)
        if found is None and not self._warned:
            self._warned = True
            names = ",".join(logs or {})
            text = f"{what} metric `{self.monitor}` which is not available. Available metrics are: {names}"
            warnings.warn(text, stacklevel=2)
        return None if found is None else float(found)


def check_finite(argument: str, value: object) -> float:
    """Return a number of either sign."""
    return _errors.check_number(argument, value, -1e300, 1e300, "a number")


def check_verbose(value: object) -> int:
    """Return 0 or 1, Keras's levels; False and True are taken for them."""
    if isinstance(value, bool):
        return int(value)
    return _errors.check_integer("verbose", value, 0, 2)
