"""What this build and this machine are, and how many threads the engine may use."""

from __future__ import annotations

import recurra
from recurra import _core, _errors


def show_config(mode: str = "stdout") -> dict[str, object] | None:
    """Print version, instruction set, what the CPU has, threads, threading runtime and compiler.

    Parameters
    ----------
    mode : {"stdout", "dict"}, default "stdout"
        Print the facts, or return them as a dictionary.

    Returns
    -------
    dict or None
        The facts with ``mode="dict"``, else None.

    Raises
    ------
    ValueError
        If ``mode`` is neither.

    Examples
    --------
    >>> import recurra
    >>> recurra.show_config("dict")["recurra"] == recurra.__version__
    True
    """
    import platform
    import sys

    import numpy as np

    _errors.check_choice("mode", mode, ("stdout", "dict"))
    facts: dict[str, object] = {
        "recurra": recurra.__version__,
        "python": sys.version.split()[0],
        "numpy": np.__version__,
        "platform": platform.platform(),
        **_core.config(),
    }
    if mode == "dict":
        return facts
    width = max(map(len, facts))
    for name, value in facts.items():
        print(f"{name:{width}}  {', '.join(map(str, value)) if isinstance(value, list | tuple) else value}")
    return None


def set_num_threads(count: int) -> None:
    """Set how many threads a call into the engine may use.

    The start value comes from ``RECURRA_NUM_THREADS``, else ``OMP_NUM_THREADS``, else the CPUs that this process may
    run on. Small work uses fewer, the fewer the farther the cores lie from each other. Results do not depend on the
    number of threads.

    Parameters
    ----------
    count : int
        From 1 to 1024.

    Raises
    ------
    TypeError, ValueError
        If ``count`` is no integer or out of range.

    Examples
    --------
    >>> import recurra
    >>> recurra.set_num_threads(2)
    >>> recurra.get_num_threads()
    2
    """
    _core.set_num_threads(_errors.check_integer("count", count, 1, 1024))


def get_num_threads() -> int:
    """Return how many threads a call into the engine may use.

    Returns
    -------
    int
        At least 1.
    """
    return _core.get_num_threads()
