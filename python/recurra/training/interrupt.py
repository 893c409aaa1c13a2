"""Ctrl-C during training: at once while a step computes, but never halfway through its bookkeeping."""

from __future__ import annotations

import signal
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import TracebackType


class Guard:
    """Holds back KeyboardInterrupt between `hold` and `release`.

    Does nothing outside the main thread, or where the program handles SIGINT itself.
    """

    def __init__(self) -> None:
        self._held = self._pending = self._installed = False

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
        if not self._held:
            raise KeyboardInterrupt
        self._pending = True

    def __enter__(self) -> Guard:
        ours = threading.current_thread() is threading.main_thread()
        if ours and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            signal.signal(signal.SIGINT, self._handle)
            self._installed = True
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._installed:
            signal.signal(signal.SIGINT, signal.default_int_handler)
