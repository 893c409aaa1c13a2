"""What fit shows: an updating line per epoch on a terminal, an updating display in a notebook, plain lines in a log."""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING, Any, TextIO

from recurra.callbacks.base import Callback, Logs

if TYPE_CHECKING:
    from recurra.callbacks._notebook import Display

_BAR, _SHORT_BAR = 24, 10  # characters
_REFRESH = 0.1  # seconds between two updates
_COLUMNS = 80  # where a terminal does not say its width

# The bars with an unfinished line, for messages that must not be written into it.
_open_bars: list[ProgressBar] = []


class ProgressBar(Callback):
    """Progress of ``fit``.

    Parameters
    ----------
    live : bool, optional
        One updating line per epoch, with bar, steps, loss, metrics, speed and remaining time; else one plain line
        after each epoch. By default whether the stream is a terminal or a notebook.
    stream : text file, optional
        By default standard output.

    Notes
    -----
    A line that is too long for the terminal loses first the bar's length, then the bar, the speed, metrics from the
    last on, and losses; an epoch's last line loses the count of steps and the time before any metric. Where the number
    of steps is not known the first epoch shows how many there were, and how long they took.

    Examples
    --------
    A plain line reads ``Epoch 3/10  loss 0.1234  val_loss 0.1301  2.1 ms/step  0.07 s``.
    """

    def __init__(self, live: bool | None = None, stream: TextIO | None = None) -> None:
        super().__init__()
        self.stream = sys.stdout if stream is None else stream
        terminal = getattr(self.stream, "isatty", lambda: False)()
        self.notebook: Display | None = None
        if live is not False and stream is None:
            from recurra.callbacks import _notebook

            self.notebook = _notebook.display()
        self.live = live is not False and (bool(terminal) or self.notebook is not None)
        self._line = ""  # unfinished
        self._epoch = self._step = self._first = 0
        self._steps: int | None = None
        self._start = self._next = 0.0

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Start anew."""
        self._steps = self.params.get("steps")

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Start the epoch's line."""
        self._epoch, self._step, self._first = epoch + 1, 0, -1
        self._start = time.perf_counter()
        self._next = self._start + _REFRESH if self.live else float("inf")

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Update the line, at most ten times a second."""
        if self._first < 0:
            self._first = batch  # above 0 in the first epoch of a resumed run
        self._step = batch + 1
        now = time.perf_counter()
        if now >= self._next:
            self._next = now + _REFRESH
            self._show(logs, now - self._start)

    def on_test_begin(self, logs: Logs | None = None) -> None:
        """Say that the epoch's validation runs, if that takes long enough to be seen."""
        if self._line:
            self._rewrite(self._fitting([_BAR, _SHORT_BAR, 0], [], ["validating"]))

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Finish the epoch's line."""
        elapsed = time.perf_counter() - self._start
        if self._steps is None:
            self._steps = self._step
        speed = f"{_duration(elapsed / max(1, self._step - max(0, self._first)))}/step"
        parts = [*_numbers(logs), speed, _duration(elapsed)]
        if self.notebook is not None:
            self.notebook.finish(self._title() + "  " + "  ".join(parts))
        elif self.live:
            self._rewrite(self._finished(_numbers(logs), parts[-2:]))
            self.close()
        else:
            self._write(f"{self._title()}  " + "  ".join(parts) + "\n")

    def close(self) -> None:
        """End an unfinished line."""
        if self._line:
            self._line = ""
            _open_bars.remove(self)
            self._write("\n")
        if self.notebook is not None:
            self.notebook.close()

    _release = close

    def clear(self) -> None:
        """Remove an unfinished line, until its next update."""
        if self._line:
            self._write("\r" + " " * len(self._line) + "\r")
            self._line = ""
            _open_bars.remove(self)

    def _show(self, logs: Logs | None, elapsed: float) -> None:
        done = self._step - max(0, self._first)
        times = [f"{_duration(elapsed / done)}/step"]
        if self._steps is None:
            times.append(_clock(elapsed))
        else:
            times.append(f"{_clock(elapsed / done * max(0, self._steps - self._step))} left")
        if self.notebook is not None:
            share = None if self._steps is None else self._step / max(1, self._steps)
            self.notebook.update(share, "  ".join([self._title(), self._bar(0), *_numbers(logs), *times]))
        else:
            self._rewrite(self._fitting([_BAR, _SHORT_BAR, 0], _numbers(logs), times))

    def _title(self) -> str:
        epochs = self.params["epochs"]
        return f"Epoch {self._epoch:{len(str(epochs))}}/{epochs}"

    def _bar(self, size: int) -> str:
        """Return a bar of so many characters and the count of steps."""
        if self._steps is None:
            return f"{self._step} steps"
        steps = max(1, self._steps)
        full, rest = _glyphs(self.stream)
        done = min(size, size * self._step // steps)
        bar = f"{full * done}{rest * (size - done)} " if size else ""
        return f"{bar}{self._step:{len(str(steps))}}/{steps}"

    def _fitting(self, sizes: list[int], numbers: list[str], times: list[str]) -> list[str]:
        """Return the parts of a line that fits: with a shorter bar, without one, the speed, the last metrics."""
        room = self._width() - len(self._title()) - 1
        for size in sizes:
            for kept in (times, times[1:]) if size == sizes[-1] else (times,):
                parts = [self._bar(size), *numbers, *kept]
                if len("  ".join(parts)) <= room:
                    return parts
        while numbers:
            numbers = _without_one(numbers)
            parts = [self._bar(0), *numbers, *times[1:]]
            if len("  ".join(parts)) <= room:
                return parts
        return [self._bar(0)]

    def _finished(self, numbers: list[str], times: list[str]) -> list[str]:
        """Return the parts of an epoch's last line: all the numbers, and of the rest what finds room."""
        room = self._width() - len(self._title()) - 1
        wanted = [[self._bar(size), *numbers, *times] for size in (_BAR, _SHORT_BAR, 0)]
        wanted += [[self._bar(0), *numbers, times[1]], [*numbers, times[1]], numbers]
        fitting = [parts for parts in wanted if parts and len("  ".join(parts)) <= room]
        while not fitting and len(numbers) > 1:
            numbers = _without_one(numbers)
            fitting = [parts for parts in ([*numbers, times[1]], numbers) if len("  ".join(parts)) <= room]
        return fitting[0] if fitting else [self._bar(0)]

    def _width(self) -> int:
        """Return how many characters fit in a line without the cursor's."""
        given = os.environ.get("COLUMNS", "")
        if given.isdecimal() and int(given):
            return int(given) - 1
        try:
            return (os.get_terminal_size(self.stream.fileno()).columns or _COLUMNS) - 1
        except (OSError, ValueError, AttributeError):
            return _COLUMNS - 1

    def _rewrite(self, parts: list[str]) -> None:
        """Write the line over the one before; a wrapped line could not be overwritten."""
        width = self._width()
        line = f"{self._title()} {'  '.join(parts)}"[:width]
        before = self._line
        if not before:
            _open_bars.append(self)
        self._line = line
        # the rest of the line before is overwritten with spaces, then the cursor goes back to the end of the new one
        rest = max(0, min(len(before), width) - len(line))
        self._write("\r" + line + " " * rest + "\b" * rest)

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


def _without_one(numbers: list[str]) -> list[str]:
    """Return the numbers but for the least wanted: the last metric, and losses after all metrics."""
    metrics = [index for index, text in enumerate(numbers) if not text.startswith(("loss ", "val_loss "))]
    dropped = metrics[-1] if metrics else len(numbers) - 1
    return numbers[:dropped] + numbers[dropped + 1 :]


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


def say(text: str) -> None:
    """Print a callback's message; an unfinished line of progress makes room for it."""
    for bar in list(_open_bars):
        bar.clear()
    print(text, flush=True)


def show_results(logs: Logs) -> None:
    """Print loss and metrics on one line."""
    print("  ".join(_numbers(logs)))


def for_verbose(verbose: Any) -> ProgressBar | None:
    """Return what ``verbose`` asks for: 0 nothing, 1 or "auto" a live line on a terminal, 2 plain lines."""
    from recurra import _errors

    if verbose in (0, 1, 2, "auto") and not isinstance(verbose, float):
        return None if verbose == 0 else ProgressBar(live=False if verbose == 2 else None)
    raise _errors.bad_value("verbose", "0, 1, 2 or 'auto'", repr(verbose))
