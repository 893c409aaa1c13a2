"""What all pictures share: matplotlib when it is there, axes, colours, ticks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from recurra import _errors

if TYPE_CHECKING:
    from collections.abc import Sequence

    from recurra._typing import Array

# Okabe & Ito (2008), told apart with any kind of colour blindness; their yellow is too light for a line on white.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
GREY = "#666666"
GRID = "#DDDDDD"
SHARES = "viridis"  # of values from 0 to 1
SIGNED = "PuOr_r"  # of values around 0

MOST_LABELS = 64  # more would overlap


def matplotlib() -> Any:
    """Return matplotlib, or raise ImportError that says how to get it."""
    try:
        import matplotlib as found
        import matplotlib.figure
    except ImportError as error:
        hint = "pip install 'recurra[plot]'"
        raise ImportError(_errors.message("plot", "matplotlib", "no such package", hint)) from error
    return found


def check_axes(argument: str, ax: object) -> Any:
    """Return ``ax``, which must be a matplotlib Axes."""
    matplotlib()
    from matplotlib.axes import Axes

    if not isinstance(ax, Axes):
        raise _errors.bad_type(argument, "a matplotlib Axes or None", type(ax).__name__)
    return ax


def axes(ax: Any, width: float = 6.4, height: float = 3.6) -> Any:
    """Return the Axes given, or one on a new Figure of this size in inches."""
    if ax is not None:
        return check_axes("ax", ax)
    return matplotlib().figure.Figure(figsize=(width, height), dpi=150, layout="constrained").add_subplot()


def panels(ax: Any, heights: Sequence[float], width: float = 7.0, height: float = 1.1) -> list[Any]:
    """Return Axes below each other: those given, or new ones sharing the x axis."""
    count = len(heights)
    if ax is None:
        size = (width, height * sum(heights) + 0.9)
        figure = matplotlib().figure.Figure(figsize=size, dpi=150, layout="constrained")
        made = figure.subplots(count, 1, sharex=True, squeeze=False, gridspec_kw={"height_ratios": list(heights)})
        return list(made[:, 0])
    given = [ax] if not hasattr(ax, "__len__") else list(getattr(ax, "flat", ax))
    if len(given) != count:
        raise _errors.bad_value("ax", f"{count} Axes, one for each panel", f"{len(given)}")
    return [check_axes("ax", one) for one in given]


def plain(ax: Any, grid: str | None = "both") -> None:
    """Take away the frame's upper and right side; put a light grid behind the data."""
    ax.spines[["top", "right"]].set_visible(False)
    if grid:
        ax.grid(axis=grid, color=GRID, linewidth=0.6)
        ax.set_axisbelow(True)


def heading(ax: Any, title: str | None) -> None:
    """Put the title and, where there are labels, a legend outside the axes: it hides no data, whatever the data."""
    labels = ax.get_legend_handles_labels()[1]
    row = 0 < len(labels) <= 5 and sum(map(len, labels)) <= 60
    if title:
        ax.set_title(title, loc="left", pad=22 if row else 6)
    if row:
        place = {"loc": "lower left", "bbox_to_anchor": (0.0, 1.0), "ncols": len(labels), "borderaxespad": 0.2}
        ax.legend(frameon=False, fontsize="small", columnspacing=1.4, handlelength=1.6, borderpad=0.1, **place)
    elif labels:
        ax.legend(frameon=False, fontsize="small", loc="upper left", bbox_to_anchor=(1.0, 1.0))


def token_ticks(axis: Any, tokens: Sequence[Any] | None, count: int, rotation: float = 0) -> None:
    """Label every position of an axis with its token, or leave numbers where there are none or too many."""
    if tokens is None or count > MOST_LABELS:
        from matplotlib.ticker import MaxNLocator

        axis.set_major_locator(MaxNLocator(integer=True, nbins=10))
        return
    axis.set_ticks(range(count), [str(token) for token in tokens], rotation=rotation)


def check_tokens(argument: str, tokens: Any, count: int, what: str) -> Sequence[Any] | None:
    """Return labels, one for each of ``count`` positions, or None."""
    if tokens is None:
        return None
    listed = list(tokens)
    if len(listed) != count:
        raise _errors.bad_value(argument, f"{count} labels, one for each {what}", f"{len(listed)}")
    return listed


def heat_map(ax: Any, values: Array, colours: str, limits: tuple[float, float]) -> Any:
    """Draw an array (rows, columns) with cells of no fixed shape; return the image."""
    image = ax.imshow(
        values, cmap=colours, vmin=limits[0], vmax=limits[1], aspect="auto", interpolation="nearest", origin="upper"
    )
    ax.spines[:].set_visible(False)
    ax.tick_params(length=2, labelsize="small")
    return image


def series(argument: str, values: Any) -> Array:
    """Return numbers as an array of one axis; (steps, 1) will do too."""
    import numpy as np

    array = _errors.as_real(argument, values, np.dtype(np.float64))
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    _errors.check_shape(argument, array.shape, ("time",), (None,))
    return array
