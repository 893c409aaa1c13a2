"""Logs of each epoch as lines of a file."""

from __future__ import annotations

import json
import math
import os
from typing import IO, TYPE_CHECKING, Any

from recurra import _errors
from recurra.callbacks.base import Callback, Logs

if TYPE_CHECKING:
    from collections.abc import Iterable


class _Lines(Callback):
    """A file of lines that a resumed run goes on with exactly where its state was saved."""

    def __init__(self, filename: str | os.PathLike[str], append: bool) -> None:
        super().__init__()
        self.filename = os.fspath(filename)
        self.append = _errors.check_flag("append", append)
        self._file: IO[str] | None = None
        self._position: int | None = None  # where a resumed run goes on, in bytes

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Make sure that the file can be written; an old one is replaced at the first line."""
        self.close()
        self._position = None
        self._open("a").close()

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Close the file."""
        self._opened()
        self.close()

    def close(self) -> None:
        """Close the file; the next epoch opens it again."""
        if self._file is not None:
            self._file.close()
            self._file = None
            self._position = os.path.getsize(self.filename)

    _release = close

    def get_state(self) -> dict[str, Any]:
        """Return how far the file goes; see `Callback.get_state`."""
        if self._file is not None:
            return {"position": self._file.tell()}
        if self._position is None and self.append and os.path.exists(self.filename):
            return {"position": os.path.getsize(self.filename)}
        return {"position": self._position or 0}

    def set_state(self, state: dict[str, Any]) -> None:
        """Go on there: what was written later is cut off; see `Callback.set_state`."""
        self.close()
        self._position = int(state["position"])

    def _open(self, mode: str) -> IO[str]:
        return open(self.filename, mode, encoding="utf-8", newline="")

    def _opened(self) -> IO[str]:
        if self._file is None:
            self._file = self._open("a" if self.append or self._position is not None else "w")
            if self._position is not None and self._position < os.path.getsize(self.filename):
                self._file.truncate(self._position)
            self._file.seek(0, os.SEEK_END)
        return self._file

    def _write(self, lines: str) -> None:
        file = self._opened()
        file.write(lines)
        file.flush()


class CSVLogger(_Lines):
    """Write the logs of each epoch to a file of comma-separated values (`keras.callbacks.CSVLogger`).

    Columns are ``epoch`` (from 0) and the names of the first epoch's logs, sorted; with validation in some epochs only
    the others hold ``NA``.

    Parameters
    ----------
    filename : path
        The file.
    separator : str, default ","
        One character between two values.
    append : bool, default False
        Go on with a file that exists, instead of writing a new one.

    Raises
    ------
    TypeError, ValueError
        On wrong arguments.
    OSError
        From the training, if the file cannot be written.

    Notes
    -----
    Serves one training at a time. A run with ``resume`` goes on with its file, whatever ``append`` says.

    Examples
    --------
    >>> import os, pathlib, tempfile
    >>> from recurra.callbacks import CSVLogger
    >>> log = CSVLogger(os.path.join(tempfile.mkdtemp(), "log.csv"))
    >>> log.on_train_begin()
    >>> log.on_epoch_end(0, {"loss": 0.5, "accuracy": 0.75})
    >>> log.on_train_end()
    >>> print(pathlib.Path(log.filename).read_text(), end="")
    epoch,accuracy,loss,val_accuracy,val_loss
    0,0.75,0.5,NA,NA
    """

    def __init__(self, filename: str | os.PathLike[str], separator: str = ",", append: bool = False) -> None:
        super().__init__(filename, append)
        if not isinstance(separator, str) or len(separator) != 1:
            raise _errors.bad_value("separator", "one character", repr(separator))
        self.separator = separator
        self.keys: list[str] | None = None

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Start anew."""
        super().on_train_begin(logs)
        self.keys = None

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Write the epoch's line."""
        import csv

        logs = logs or {}
        file = self._opened()
        if self.keys is None:
            self.keys = sorted(logs)
            if not any(key.startswith("val_") for key in logs):
                self.keys += [f"val_{key}" for key in self.keys]
            if not file.tell():
                csv.writer(file, delimiter=self.separator).writerow(["epoch", *self.keys])
        csv.writer(file, delimiter=self.separator).writerow([epoch, *(logs.get(key, "NA") for key in self.keys)])
        file.flush()

    def get_state(self) -> dict[str, Any]:
        """Return columns and place; see `Callback.get_state`."""
        return {**super().get_state(), "keys": self.keys}

    def set_state(self, state: dict[str, Any]) -> None:
        """Go on there; see `Callback.set_state`."""
        super().set_state(state)
        self.keys = state["keys"]


class JSONLLogger(_Lines):
    """Write the logs of each epoch as one JSON object per line.

    Parameters
    ----------
    filename : path
        The file.
    append : bool, default False
        Go on with a file that exists, instead of writing a new one.

    Raises
    ------
    TypeError
        On wrong arguments.
    OSError
        From the training, if the file cannot be written.

    Notes
    -----
    Numbers that JSON cannot say (NaN, infinities) are null. Serves one training at a time. A run with ``resume`` goes
    on with its file, whatever ``append`` says.

    Examples
    --------
    >>> import os, pathlib, tempfile
    >>> from recurra.callbacks import JSONLLogger
    >>> log = JSONLLogger(os.path.join(tempfile.mkdtemp(), "log.jsonl"))
    >>> log.on_train_begin()
    >>> log.on_epoch_end(0, {"loss": 0.5})
    >>> log.on_train_end()
    >>> print(pathlib.Path(log.filename).read_text(), end="")
    {"epoch": 0, "loss": 0.5}
    """

    def __init__(self, filename: str | os.PathLike[str], append: bool = False) -> None:
        super().__init__(filename, append)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Write the epoch's line."""
        self._write(json.dumps({"epoch": epoch, **_finite((logs or {}).items())}) + "\n")


def _finite(items: Iterable[tuple[str, float]]) -> dict[str, float | None]:
    return {name: float(value) if math.isfinite(value) else None for name, value in items}
