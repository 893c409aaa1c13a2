"""Batches prepared by a thread while the model trains on the one before."""

from __future__ import annotations

import os
import threading
import weakref
from collections import deque
from typing import TYPE_CHECKING, Any

from recurra import _errors
from recurra.data.dataset import Dataset, check_index

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Self

    from recurra._typing import Array


class Prefetch(Dataset):
    """Another data set, whose batches are prepared ahead by a thread.

    Batches and their order are those of the other data set; nothing but the time of their making differs. The thread
    starts when a batch is read, and reads on from there.

    Parameters
    ----------
    dataset : Dataset
        Or another object with ``__len__`` and ``__getitem__``, as Keras's PyDataset; its batches are made in one
        thread.
    size : int, default 2
        Most batches that are ready and not taken.

    Raises
    ------
    TypeError, ValueError
        On wrong arguments. An error in the making of a batch is raised where that batch is read.

    Notes
    -----
    The thread ends with the epoch, with an error or interrupt while a batch is waited for, with `close`, with the
    object, and with the process; in a ``with`` statement at its end at the latest. What ends it waits for the batch in
    the making.

    Examples
    --------
    >>> import numpy as np
    >>> from recurra.data import ArrayDataset, Prefetch
    >>> with Prefetch(ArrayDataset(np.arange(6), batch_size=2)) as batches:
    ...     [x.tolist() for (x,) in batches]
    [[0, 1], [2, 3], [4, 5]]
    """

    def __init__(self, dataset: Any, size: int = 2) -> None:
        if not (hasattr(dataset, "__len__") and hasattr(dataset, "__getitem__")) or isinstance(dataset, str | dict):
            raise _errors.bad_type("dataset", "a Dataset: batches by number", dataset)
        self.dataset = dataset
        self.size = _errors.check_integer("size", size, 1)
        self.stateful = bool(getattr(dataset, "stateful", False))
        self.epoch = int(getattr(dataset, "epoch", 0))
        self._lock = threading.RLock()
        self._ahead: _Ahead | None = None
        self._end: Any = None

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> Any:
        number = check_index(index, len(self))
        with self._lock:
            ahead = self._ahead
            if ahead is None or ahead.next != number or ahead.process != os.getpid():
                self.close()
                ahead = self._ahead = _Ahead(self.dataset, number, len(self), self.size)
                self._end = weakref.finalize(self, ahead.close)
            try:
                batch = ahead.take()
            except BaseException:
                self.close()
                raise
            if ahead.next == len(self):
                self.close()
            return batch

    def __iter__(self) -> Iterator[Any]:
        try:
            for index in range(len(self)):
                yield self[index]
        finally:
            self.close()

    def set_epoch(self, epoch: int) -> None:
        """Go to an epoch; see `Dataset.set_epoch`."""
        with self._lock:
            super().set_epoch(epoch)
            if getattr(self.dataset, "epoch", None) != self.epoch:
                self.close()  # what lies ready is another epoch's
                if hasattr(self.dataset, "set_epoch"):
                    self.dataset.set_epoch(epoch)

    def on_epoch_begin(self) -> None:
        """Run before an epoch: the other data set's own."""
        if hasattr(self.dataset, "on_epoch_begin"):
            self.dataset.on_epoch_begin()

    def on_epoch_end(self) -> None:
        """Run after an epoch: ends the thread, then the other data set's own."""
        with self._lock:
            self.close()
            if hasattr(self.dataset, "on_epoch_end"):
                self.dataset.on_epoch_end()
            self.epoch = int(getattr(self.dataset, "epoch", self.epoch + 1))

    def resets(self, index: int) -> Array | None:
        """Return which rows of a batch begin anew; see `Dataset.resets`."""
        found: Array | None = self.dataset.resets(index) if hasattr(self.dataset, "resets") else None
        return found

    def close(self) -> None:
        """End the thread and drop what lies ready; the next batch that is read starts it again."""
        with self._lock:
            ahead, self._ahead = self._ahead, None
            if ahead is not None:
                ahead.close()
                self._end.detach()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


class _Ahead:
    """A thread that makes batches from one number on, and a queue of at most ``size`` of them.

    The thread never holds the lock while it makes a batch, and waits for one thing alone: room in the queue, which
    ``take`` makes and ``close`` makes needless. A batch or an error is put for every number, so ``take`` never waits
    for what will not come.
    """

    def __init__(self, dataset: Any, first: int, stop: int, size: int) -> None:
        self.next = first
        self.process = os.getpid()  # a forked child has no such thread
        self._numbers, self._size = range(first, stop), size
        self._ready: deque[tuple[Any, BaseException | None]] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._run, args=(dataset,), name="recurra-prefetch", daemon=True)
        self._started = False

    def _run(self, dataset: Any) -> None:
        for number in self._numbers:
            made: tuple[Any, BaseException | None]
            try:
                made = dataset[number], None
            except BaseException as error:
                made = None, error
            with self._changed:
                while len(self._ready) >= self._size and not self._closed:
                    self._changed.wait()
                if self._closed:
                    return
                self._ready.append(made)
                self._changed.notify_all()
            if made[1] is not None:
                return

    def take(self) -> Any:
        """Return the next batch, or raise the error of its making; the first call starts the thread."""
        if not self._started:
            self._started = True  # before the start: an interrupt within it leaves a thread to be ended
            self._thread.start()
        with self._changed:
            while not self._ready:
                self._changed.wait()
            batch, error = self._ready.popleft()
            self._changed.notify_all()
        if error is not None:
            raise error
        self.next += 1
        return batch

    def close(self) -> None:
        """End the thread."""
        if self.process != os.getpid():
            return
        with self._changed:
            self._closed = True
            self._ready.clear()
            self._changed.notify_all()
        # not alive: never started, or interrupted in its start, when it ends by itself
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join()
