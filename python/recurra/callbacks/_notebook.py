"""Progress in a notebook: one display, updated in place, by IPython where the program runs in it already."""

from __future__ import annotations

import html
import sys
from typing import Any

_SHOWN = 200  # lines of finished epochs
_STYLE = "max-height:20em;overflow-y:auto;font-family:monospace;white-space:pre"


class Display:
    """A bar, the line of the epoch that runs, and lines of finished epochs.

    Parameters
    ----------
    show : callable
        IPython's ``display``.
    """

    def __init__(self, show: Any) -> None:
        self._show = show
        self._handle: Any = None
        self._finished: list[str] = []
        self._share: float | None = None
        self._line = ""

    def update(self, share: float | None, line: str) -> None:
        """Show the epoch that runs; ``share``: how much of it is done, if known."""
        self._share, self._line = share, line
        self._draw()

    def finish(self, line: str) -> None:
        """Show an epoch as finished."""
        self._finished.append(line)
        self.update(None, "")

    def close(self) -> None:
        """Show an unfinished epoch without a bar; a next training gets a display of its own."""
        if self._line:
            self.finish(self._line)
        self._handle, self._finished = None, []

    def _draw(self) -> None:
        # a display takes what shows itself: this object, in HTML or as text
        if self._handle is None:
            self._handle = self._show(self, display_id=True)
        else:
            self._handle.update(self)

    def _lines(self) -> list[str]:
        return [*self._finished[-_SHOWN:], *([self._line] if self._line else [])]

    def __repr__(self) -> str:
        return "\n".join(self._lines())

    def _repr_html_(self) -> str:
        bar = ""
        if self._line:
            value = "" if self._share is None else f' value="{self._share:.3f}"'
            bar = f'<progress style="width:20em"{value}></progress>'
        return f'<div style="{_STYLE}">{html.escape(repr(self))}</div>{bar}'


def display() -> Display | None:
    """Return a display if the program runs in a notebook; IPython is not imported for that."""
    ipython = sys.modules.get("IPython")
    shell = getattr(ipython, "get_ipython", lambda: None)()
    if shell is None or not hasattr(shell, "kernel"):  # a shell in a terminal has none
        return None
    from IPython.display import display as show

    return Display(show)
