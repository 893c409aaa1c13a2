"""Ctrl-C during training: at once while a step computes, but never halfway through its bookkeeping."""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from recurra import _errors

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType


class Guard:
    """Holds back KeyboardInterrupt between `hold` and `release`, or the end of the guard.

    Does nothing outside the main thread, or where the program handles SIGINT itself.
    """

    def __init__(self) -> None:
        self._held = self._pending = False
        self._before: Any = None  # the handler whose place this one takes

    def hold(self) -> None:
        """Keep an interrupt for later from here on."""
        self._held = True

    def release(self) -> None:
        """Raise KeyboardInterrupt if one was held back, and from here on at once."""
        self._held = False
        if self._pending:
            self._pending = False
            raise KeyboardInterrupt

    def _handle(self, number: int, frame: Any) -> None:
        if self._held:
            self._pending = True
            return
        if self._before is not None:  # now: what is raised may cut off the guard's end
            signal.signal(signal.SIGINT, self._before)
        raise KeyboardInterrupt

    def __enter__(self) -> Guard:
        if threading.current_thread() is threading.main_thread():
            before = signal.getsignal(signal.SIGINT)
            # another guard's: of a training that has called this one, or whose end an interrupt cut off
            if before is signal.default_int_handler or isinstance(getattr(before, "__self__", None), Guard):
                self._before = before
                signal.signal(signal.SIGINT, self._handle)
                outer = getattr(before, "__self__", None)
                if isinstance(outer, Guard) and outer._pending:  # what it held back is due here
                    outer._pending, self._pending = False, True
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)
        if self._pending:
            raise KeyboardInterrupt


@contextmanager
def exclusively(lock: threading.Lock) -> Iterator[None]:
    """Hold the lock of training, which must be free; interrupts wait, or one could leave the lock taken for good."""
    with Guard() as guard:
        guard.hold()
        if not lock.acquire(blocking=False):
            raise RuntimeError(_errors.message("model", "one training at a time", "a second, concurrent one"))
        try:
            yield
        finally:
            lock.release()
