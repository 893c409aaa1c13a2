"""Several callbacks as one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from recurra import _errors
from recurra.callbacks.base import Callback

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from recurra.training.trainer import Trainer

BatchHook: TypeAlias = "Callable[[int, Mapping[str, Any]], None]"

_ALIASES = {"on_train_batch_begin": "on_batch_begin", "on_train_batch_end": "on_batch_end"}


class CallbackList:
    """Callbacks as one; hooks of batches that nobody overrides cost nothing.

    Parameters
    ----------
    callbacks : iterable of Callback
        Called in this order.
    model : Trainer
        What they learn by `Callback.set_model`.
    params : dict
        What they learn by `Callback.set_params`.

    Attributes
    ----------
    callbacks : list of Callback
        As given.
    ends_at_nan : bool
        Whether a loss that is not finite ends the training in order.
    complete : bool
        Whether the last hook was called for all of them, raised or not; False after an interrupt.
    last : str or None
        The last hook that was.

    Raises
    ------
    TypeError
        If an object is no callback.
    """

    def __init__(self, callbacks: Iterable[Callback], model: Trainer, params: dict[str, Any]) -> None:
        self.callbacks = self.as_list(callbacks)
        for callback in self.callbacks:
            if not isinstance(callback, Callback):
                raise _errors.bad_type("callbacks", "Callback objects", callback)
        for callback in self.callbacks:
            callback.set_model(model)
            callback.set_params(params)
        self.complete = True
        self.last: str | None = None
        from recurra.callbacks.various import TerminateOnNaN

        self.ends_at_nan = any(isinstance(callback, TerminateOnNaN) for callback in self.callbacks)
        self._wanting: dict[str, list[Callback]] = {}

    @staticmethod
    def as_list(callbacks: Any) -> list[Callback]:
        """Return callbacks as a list; one alone is a list of itself."""
        if isinstance(callbacks, Callback):
            return [callbacks]
        if callbacks is not None and not hasattr(callbacks, "__iter__"):
            raise _errors.bad_type("callbacks", "a list of Callback objects", callbacks)
        return list(callbacks or ())

    def wanting(self, hook: str) -> list[Callback]:
        """Return the callbacks that override a hook."""
        if hook not in self._wanting:
            self._wanting[hook] = [callback for callback in self.callbacks if overrides(callback, hook)]
        return self._wanting[hook]

    def batch_hook(self, hook: str) -> BatchHook | None:
        """Return a function that calls a hook of batches, or None if nobody overrides it."""
        if not self.wanting(hook):
            return None

        def call(batch: int, logs: Mapping[str, Any]) -> None:
            self.call(hook, batch, logs)

        return call

    def call(self, hook: str, *arguments: Any) -> None:
        """Call a hook of all callbacks that override it, in order.

        If one raises an exception the others still have their turn, so that all of them have seen as much; then the
        first exception is raised, with a note that names its callback. An interrupt is raised at once.
        """
        first: Exception | None = None
        self.complete = False
        for callback in self.wanting(hook):
            try:
                getattr(callback, hook)(*arguments)
            except Exception as error:
                note = f"raised by {hook} of the callback {type(callback).__name__}"
                if first is None:
                    first = error
                    error.add_note(note)
                else:
                    first.add_note(f"then {type(error).__name__}: {error}; {note}")
        self.complete, self.last = True, hook
        if first is not None:
            raise first

    def release(self) -> None:
        """Let the callbacks give back what they hold, after the last hook or an error."""
        for callback in self.callbacks:
            callback._release()


def overrides(callback: Callback, hook: str) -> bool:
    """Return whether a callback has a hook of its own, or the older name of it."""
    if hook in vars(callback) or getattr(type(callback), hook) is not getattr(Callback, hook):
        return True
    return hook in _ALIASES and overrides(callback, _ALIASES[hook])
