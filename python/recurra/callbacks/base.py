"""The contract of every callback: Keras's names and hooks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from recurra import _errors

if TYPE_CHECKING:
    from recurra.training.trainer import Trainer

Logs = Mapping[str, float]


class Callback:
    """Base of the callbacks; a subclass overrides the hooks it wants.

    Logs are a mapping of names to numbers. That of a batch is live: it shows the means over the epoch so far at the
    moment it is read; copy it with ``dict(logs)`` to keep it.

    Attributes
    ----------
    model : Trainer
        The model that trains; set ``model.stop_training = True`` to end after the current epoch.
    params : dict
        ``epochs``, ``steps`` (batches of an epoch), ``samples``, ``verbose``.
    """

    def __init__(self) -> None:
        self.model: Any = None
        self.params: dict[str, Any] = {}

    def set_model(self, model: Trainer) -> None:
        """Learn which model trains."""
        self.model = model

    def set_params(self, params: dict[str, Any]) -> None:
        """Learn how it trains."""
        self.params = params

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Run before the first epoch."""

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Run after the last epoch; not after an error or an interrupt."""

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Run before an epoch; the first is 0."""

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Run after an epoch and its validation, whose logs start with ``val_``."""

    def on_train_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Run before a batch; the first of an epoch is 0."""

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Run after a batch and its optimizer step."""


class CallbackList:
    """Callbacks as one; batch hooks that nobody overrides cost nothing."""

    def __init__(self, callbacks: Iterable[Callback], model: Trainer, params: dict[str, Any]) -> None:
        self.callbacks = list(callbacks)
        for callback in self.callbacks:
            if not isinstance(callback, Callback):
                raise _errors.bad_type("callbacks", "Callback objects", callback)
            callback.set_model(model)
            callback.set_params(params)
        self.batch_begin = self._overriding("on_train_batch_begin")
        self.batch_end = self._overriding("on_train_batch_end")

    def _overriding(self, hook: str) -> list[Any]:
        wanted = [c for c in self.callbacks if getattr(type(c), hook) is not getattr(Callback, hook)]
        return [getattr(callback, hook) for callback in wanted]

    def call(self, hook: str, *arguments: Any) -> None:
        """Call a hook of all callbacks in order."""
        for callback in self.callbacks:
            getattr(callback, hook)(*arguments)
