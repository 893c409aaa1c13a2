"""The contract of every callback: Keras's names and hooks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from recurra.training.trainer import Trainer

Logs = Mapping[str, float]


class Callback:
    """Base of the callbacks; a subclass overrides the hooks it wants.

    Logs are a mapping of names to numbers. That of a batch is live: it shows the means over the epoch so far at the
    moment it is read; copy it with ``dict(logs)`` to keep it. That of ``on_epoch_end`` is a dictionary; what a callback
    adds to it is recorded in the history. Hooks that nobody overrides cost nothing.

    A hook that raises ends the training: the other callbacks still get the hook, a run with ``resume`` is saved, and
    the exception goes to the caller with a note that names the callback.

    Attributes
    ----------
    model : Trainer
        The model that trains; set ``model.stop_training = True`` to end after the current batch.
    params : dict
        ``epochs``, ``steps`` (batches of an epoch, None if unknown), ``samples``, ``verbose``.

    Notes
    -----
    Names and arguments are those of `keras.callbacks.Callback`; `get_state` and `set_state` are recurra's own.

    Examples
    --------
    >>> import numpy as np, recurra
    >>> class Losses(recurra.callbacks.Callback):
    ...     def on_train_begin(self, logs=None):
    ...         self.losses = []
    ...     def on_train_batch_end(self, batch, logs=None):
    ...         self.losses.append(logs["loss"])
    >>> model = recurra.Sequential([recurra.LSTM(4), recurra.Dense(1)])
    >>> model.compile()
    >>> losses = Losses()
    >>> history = model.fit(np.zeros((64, 5, 2)), np.zeros((64, 1)), verbose=0, callbacks=[losses])
    >>> len(losses.losses)
    2
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

    # Training

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
        self.on_batch_begin(batch, logs)

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Run after a batch and its optimizer step."""
        self.on_batch_end(batch, logs)

    def on_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Run before a batch: an older name of `on_train_batch_begin`."""

    def on_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Run after a batch: an older name of `on_train_batch_end`."""

    # Evaluation, also as the validation within ``fit``

    def on_test_begin(self, logs: Logs | None = None) -> None:
        """Run before an evaluation."""

    def on_test_end(self, logs: Logs | None = None) -> None:
        """Run after an evaluation, with its results."""

    def on_test_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Run before a batch of an evaluation."""

    def on_test_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Run after a batch of an evaluation."""

    # Prediction

    def on_predict_begin(self, logs: Logs | None = None) -> None:
        """Run before a prediction."""

    def on_predict_end(self, logs: Logs | None = None) -> None:
        """Run after a prediction."""

    def on_predict_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Run before a batch of a prediction."""

    def on_predict_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Run after a batch of a prediction."""

    def _release(self) -> None:
        """Give back what is held (files, a line of the terminal) however the training ends."""

    # Resuming

    def get_state(self) -> dict[str, Any]:
        """Return what a resumed run must know, for ``fit(..., resume=...)``.

        Returns
        -------
        dict
            Of None, booleans, numbers, texts, arrays, and lists, tuples and dictionaries of these.
        """
        return {}

    def set_state(self, state: dict[str, Any]) -> None:
        """Go on from what `get_state` returned; called after ``on_train_begin``."""


class StatefulCallback(Callback):
    """A callback whose state is some of its attributes; a subclass names them."""

    state_names: ClassVar[tuple[str, ...]] = ()

    def get_state(self) -> dict[str, Any]:
        """Return the attributes; see `Callback.get_state`."""
        return {name: getattr(self, name) for name in self.state_names}

    def set_state(self, state: dict[str, Any]) -> None:
        """Set the attributes; see `Callback.set_state`."""
        for name in self.state_names:
            setattr(self, name, state[name])
