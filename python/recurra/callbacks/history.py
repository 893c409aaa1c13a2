"""The record of a training run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from recurra.callbacks.base import Logs, StatefulCallback

if TYPE_CHECKING:
    from collections.abc import Sequence


class History(StatefulCallback):
    """Loss and metrics of each epoch; ``fit`` returns one and keeps it as ``model.history``.

    Attributes
    ----------
    epoch : list of int
        Numbers of the complete epochs.
    history : dict of str to list of float
        Name to values, one per complete epoch: ``loss``, the metrics, both with ``val_`` before, and what callbacks
        added to the logs.

    Examples
    --------
    >>> from recurra.callbacks import History
    >>> history = History()
    >>> history.on_epoch_end(0, {"loss": 0.5})
    >>> history.history
    {'loss': [0.5]}
    """

    state_names: ClassVar[tuple[str, ...]] = ("epoch", "history")

    def __init__(self) -> None:
        super().__init__()
        self.epoch: list[int] = []
        self.history: dict[str, list[float]] = {}

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Append the epoch's logs."""
        self.epoch.append(epoch)
        for name, value in (logs or {}).items():
            self.history.setdefault(name, []).append(value)

    def plot(self, metrics: Sequence[str] | None = None, *, ax: Any = None) -> Any:
        """Draw loss and metrics over the epochs and return the matplotlib Figure; see `recurra.plot.history`."""
        from recurra.plot import history

        return history(self, metrics, ax=ax)
