"""Callbacks: what happens around batches and epochs."""

from __future__ import annotations

from recurra.callbacks.base import Callback, CallbackList
from recurra.callbacks.history import History
from recurra.callbacks.progress import ProgressBar

# Every callback; tests go through the list.
CALLBACKS: tuple[type[Callback], ...] = (History, ProgressBar)

__all__ = ["CALLBACKS", "Callback", "CallbackList", "History", "ProgressBar"]
