"""How large the gradients of each layer are."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from recurra import _errors
from recurra.callbacks.base import Logs, StatefulCallback

if TYPE_CHECKING:
    from recurra._typing import Array


class GradientMonitor(StatefulCallback):
    """Record the norm of the gradients of each layer while it trains.

    The norm of a batch is that of the gradients before clipping, in float64::

        |g| = (sum |g_i|^p)^(1/p)

    The means over an epoch are in its logs, as ``gradient_norm_<layer>``.

    Parameters
    ----------
    norm_type : float, default 2
        The exponent p, at least 1; infinity is the largest size (PyTorch's name).
    per_batch : bool, default False
        Also keep the norms of all batches.
    warn : bool, default False
        Warn, once for each layer, if the mean over an epoch is below ``vanishing`` or above ``exploding``.
    vanishing, exploding : float, default 1e-7 and 1e3
        These bounds.

    Attributes
    ----------
    norms : dict of str to list of float
        Of each layer, the mean over each epoch.
    batch_norms : dict of str to list of float
        Of each layer, the norm of each batch; empty unless ``per_batch``.

    Raises
    ------
    TypeError, ValueError
        On wrong arguments.

    Notes
    -----
    Serves one model, from one thread. A batch costs one pass over the gradients.

    Examples
    --------
    >>> import numpy as np, recurra
    >>> model = recurra.Sequential([recurra.LSTM(4), recurra.Dense(1)])
    >>> model.compile()
    >>> monitor = recurra.callbacks.GradientMonitor()
    >>> history = model.fit(np.ones((32, 5, 2)), np.ones((32, 1)), epochs=3, verbose=0, callbacks=[monitor])
    >>> {name: len(values) for name, values in monitor.norms.items()}
    {'lstm': 3, 'dense': 3}
    """

    state_names: ClassVar[tuple[str, ...]] = ("norms", "batch_norms", "_sums", "_batches", "_warned")

    def __init__(
        self,
        norm_type: float = 2.0,
        per_batch: bool = False,
        warn: bool = False,
        vanishing: float = 1e-7,
        exploding: float = 1e3,
    ) -> None:
        super().__init__()
        self.norm_type = _errors.check_number("norm_type", norm_type, 1.0, float("inf"), "a number of at least 1")
        self.per_batch = _errors.check_flag("per_batch", per_batch)
        self.warn = _errors.check_flag("warn", warn)
        self.vanishing = _errors.check_number("vanishing", vanishing, 0.0, 1e300, "a number of at least 0")
        self.exploding = _errors.check_number("exploding", exploding, 0.0, float("inf"), "a number of at least 0")
        self._start()

    def _start(self) -> None:
        self.norms: dict[str, list[float]] = {}
        self.batch_norms: dict[str, list[float]] = {}
        self._warned: list[str] = []
        self._forget()

    def _forget(self) -> None:
        self._sums: dict[str, float] = {}
        self._batches = 0

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Start anew."""
        self._start()

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Start the epoch's means."""
        self._forget()

    def on_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Take in the norms of a batch."""
        self._batches += 1
        for layer in self.model.layers:
            if not layer.size:
                continue
            norm = _norm(layer.flat_gradients, self.norm_type)
            self._sums[layer.name] = self._sums.get(layer.name, 0.0) + norm
            if self.per_batch:
                self.batch_norms.setdefault(layer.name, []).append(norm)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Record the means of the epoch."""
        for name, total in self._sums.items():
            mean = total / self._batches
            self.norms.setdefault(name, []).append(mean)
            if isinstance(logs, dict):
                logs[f"gradient_norm_{name}"] = mean
            if self.warn and name not in self._warned and not self.vanishing <= mean <= self.exploding:
                self._warned.append(name)
                kind = "vanishing" if mean < self.vanishing else "exploding"
                text = f"epoch {epoch + 1}: {kind} gradients in layer {name!r}, their norm is {mean:.3g} on average"
                warnings.warn(text, stacklevel=2)


def _norm(gradients: Array, exponent: float) -> float:
    sizes = np.abs(gradients.astype(np.float64))
    largest = float(sizes.max())
    if not 0.0 < largest < float("inf") or exponent == float("inf"):
        return largest
    if exponent == 2.0:
        return largest * float(np.sqrt(np.square(sizes / largest).sum()))
    return largest * float(((sizes / largest) ** exponent).sum() ** (1.0 / exponent))
