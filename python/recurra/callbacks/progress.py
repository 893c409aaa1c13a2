"""What fit shows: one updating line per epoch on a terminal, plain lines in a log."""

from __future__ import annotations

import shutil
import sys
import time
from typing import Any, TextIO

from recurra.callbacks.base import Callback, Logs

_BAR = 24  # characters
_REFRESH = 0.1  # seconds between two updates of the line


class ProgressBar(Callback):
    """Progress of ``fit``.

    Parameters
    ----------
    live : bool, optional
        One updating line per epoch, with bar, steps, loss, metrics, speed and remaining time; else one plain line
        after each epoch. By default whether the stream is a terminal.
    stream : text file, optional
        By default standard output.

    Examples
    --------
    A plain line reads ``Epoch 3/10  loss 0.1234  val_loss 0.1301  2.1 ms/step  0.07 s``.
    """

    def __init__(self, live: bool | None = None, stream: TextIO | None = None) -> None:
        super().__init__()
        self.stream = sys.stdout if stream is None else stream
        terminal = getattr(self.stream, "isatty", lambda: False)()
        self.live = bool(terminal) if live is None else live and bool(terminal)
        self._open = 0  # characters of the unfinished line
        self._epoch = self._step = 0
        self._start = self._next = 0.0

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Start the epoch's line."""
        self._epoch, self._step = epoch + 1, 0
        self._start = time.perf_counter()
        self._next = self._start + _REFRESH if self.live else float("inf")

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Update the line, at most ten times a second."""
        self._step += 1
        now = time.perf_counter()
        if now >= self._next:
            self._next = now + _REFRESH
            elapsed = now - self._start
            left = elapsed / self._step * (self.params["steps"] - self._step)
            self._rewrite([self._bar(), *_numbers(logs), self._speed(elapsed), f"{_clock(left)} left"])

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Finish the epoch's line."""
        elapsed = time.perf_counter() - self._start
        parts = [*_numbers(logs), self._speed(elapsed), _duration(elapsed)]
        if self.live:
            self._rewrite([self._bar(), *parts])
            self.close()
        else:
            self._write(f"{self._title()}  " + "  ".join(parts) + "\n")

    def close(self) -> None:
        """End an unfinished line."""
        if self._open:
            self._open = 0
            self._write("\n")

    def _title(self) -> str:
        epochs = self.params["epochs"]
        return f"Epoch {self._epoch:{len(str(epochs))}}/{epochs}"

    def _bar(self) -> str:
        steps = max(1, self.params["steps"])
        full, rest = _glyphs(self.stream)
        done = min(_BAR, _BAR * self._step // steps)
        return f"{full * done}{rest * (_BAR - done)} {self._step:{len(str(steps))}}/{steps}"

    def _speed(self, elapsed: float) -> str:
        return f"{_duration(elapsed / max(1, self._step))}/step"

    def _rewrite(self, parts: list[str]) -> None:
        line = f"{self._title()} " + "  ".join(parts)
        line = line[: shutil.get_terminal_size().columns - 1]  # a wrapped line could not be rewritten
        self._write("\r" + line.ljust(self._open))
        self._open = len(line)

    def _write(self, text: str) -> None:
        self.stream.write(text)
        self.stream.flush()


def _glyphs(stream: TextIO) -> tuple[str, str]:
    """Return the bar's two characters: thin and thick lines where the stream can write them."""
    try:
        "━╌".encode(getattr(stream, "encoding", None) or "ascii")
    except (UnicodeEncodeError, LookupError):
        return "=", "."
    return "━", "╌"


def _numbers(logs: Logs | None) -> list[str]:
    return [f"{name} {value:.4g}" for name, value in (logs or {}).items()]


def _duration(seconds: float) -> str:
    if seconds < 1e-3:
        return f"{seconds * 1e6:.0f} us"
    if seconds < 1.0:
        return f"{seconds * 1e3:.3g} ms"
    return f"{seconds:.3g} s" if seconds < 100.0 else _clock(seconds)


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def show_results(logs: Logs) -> None:
    """Print loss and metrics on one line."""
    print("  ".join(_numbers(logs)))


def for_verbose(verbose: Any) -> ProgressBar | None:
    """Return what ``verbose`` asks for: 0 nothing, 1 or "auto" a live line on a terminal, 2 plain lines."""
    from recurra import _errors

    if verbose in (0, 1, 2, "auto") and not isinstance(verbose, float):
        return None if verbose == 0 else ProgressBar(live=False if verbose == 2 else None)
    raise _errors.bad_value("verbose", "0, 1, 2 or 'auto'", repr(verbose))
