"""A drawing of boxes and arrows, as SVG text in plain Python or on matplotlib's Axes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from recurra.plot import _axes
from recurra.plot.layout import Placed, place

MARGIN = 14.0
PAD = 14.0
LINE = 17.0
ARROW = 7.0
FONT = "Helvetica, Arial, 'DejaVu Sans', sans-serif"
TITLE_SIZE, TEXT_SIZE = 13.0, 11.0

# Fill and border by kind of box, after the colours of `_axes.COLOURS`.
FILLS = {
    "input": ("#F2F2F2", "#888888"),
    "recurrent": ("#DCEBF7", "#0072B2"),
    "merge": ("#FCEBD0", "#C98500"),
    "model": ("#F6E6EF", "#B0568A"),
    "other": ("#DDF1E8", "#009E73"),
}
EDGES = {"data": ("#444444", ""), "state": ("#D55E00", "5 3")}


@dataclass
class Box:
    """A layer: its title, further lines, and what kind of layer it is."""

    title: str
    lines: list[str]
    kind: str = "other"

    def size(self) -> tuple[float, float]:
        """Return width and height, letters being taken as wide as Helvetica's are on average, and a little more."""
        widths = [len(self.title) * TITLE_SIZE * 0.62, *(len(line) * TEXT_SIZE * 0.57 for line in self.lines)]
        return max(84.0, max(widths) + 2 * PAD), 16.0 + LINE * (1 + len(self.lines))


@dataclass
class Diagram:
    """Boxes and arrows, laid out; shows itself in notebooks.

    Parameters
    ----------
    name : str
        Title for readers that cannot see it.
    rankdir : {"TB", "BT", "LR", "RL"}
        Where arrows lead: to the bottom, the top, the right or the left.
    """

    name: str
    rankdir: str = "TB"
    boxes: list[Box] = field(default_factory=list)
    edges: list[tuple[int, int, str]] = field(default_factory=list)  # source, target, kind

    def _placed(self) -> Placed:
        sizes = [box.size() for box in self.boxes]
        if self.rankdir in ("LR", "RL"):
            sizes = [(height, width) for width, height in sizes]
        return place(sizes, [(source, target) for source, target, _ in self.edges])

    def geometry(self) -> tuple[tuple[float, float], list[tuple[float, float]], list[list[tuple[float, float]]]]:
        """Return the size of the drawing, the boxes' centres, and each edge's points; x to the right, y downward."""
        placed = self._placed()

        def turned(point: tuple[float, float]) -> tuple[float, float]:
            across, along = point
            if self.rankdir in ("BT", "RL"):
                along = placed.height - along
            x, y = (across, along) if self.rankdir in ("TB", "BT") else (along, across)
            return x + MARGIN, y + MARGIN

        size = (placed.width, placed.height) if self.rankdir in ("TB", "BT") else (placed.height, placed.width)
        total = (size[0] + 2 * MARGIN, size[1] + 2 * MARGIN)
        return total, [turned(c) for c in placed.centres], [[turned(p) for p in route] for route in placed.routes]

    def curve(self, route: list[tuple[float, float]]) -> list[tuple[float, ...]]:
        """Return an edge as pieces: (x, y) to start at, (x, y) for a line, six numbers for a cubic curve."""
        (x, y), pieces = route[0], [route[0]]
        end = self._before_arrow(route[-1])
        made: list[tuple[float, ...]] = list(pieces)
        for to_x, to_y in [*route[1:-1], end]:
            if abs(to_x - x) < 0.5 or abs(to_y - y) < 0.5:
                made.append((to_x, to_y))
            elif self.rankdir in ("TB", "BT"):
                middle = (y + to_y) / 2
                made.append((x, middle, to_x, middle, to_x, to_y))
            else:
                middle = (x + to_x) / 2
                made.append((middle, y, middle, to_y, to_x, to_y))
            x, y = to_x, to_y
        return made

    def _before_arrow(self, tip: tuple[float, float]) -> tuple[float, float]:
        dx, dy = {"TB": (0, -1), "BT": (0, 1), "LR": (-1, 0), "RL": (1, 0)}[self.rankdir]
        return tip[0] + dx * ARROW, tip[1] + dy * ARROW

    def arrow(self, tip: tuple[float, float]) -> list[tuple[float, float]]:
        """Return the corners of an arrow's head."""
        (x, y), (bx, by) = tip, self._before_arrow(tip)
        half = ARROW * 0.45
        if bx == x:
            return [(x, y), (bx - half, by), (bx + half, by)]
        return [(x, y), (bx, by - half), (bx, by + half)]

    # Output

    def svg(self) -> str:
        """Return the drawing as an SVG document."""
        (width, height), centres, routes = self.geometry()
        parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
            f'viewBox="0 0 {width:.1f} {height:.1f}" role="img" aria-label={quoteattr(self.name)} '
            f"font-family={quoteattr(FONT)}>",
            f"<title>{escape(self.name)}</title>",
            '<rect width="100%" height="100%" rx="8" fill="#FFFFFF"/>',
        ]
        for (_, _, kind), route in zip(self.edges, routes, strict=True):
            colour, dashes = EDGES[kind]
            dashed = f' stroke-dasharray="{dashes}"' if dashes else ""
            path = f'<path d="{_path(self.curve(route))}" fill="none" stroke="{colour}" stroke-width="1.4"{dashed}/>'
            corners = " ".join(f"{x:.1f},{y:.1f}" for x, y in self.arrow(route[-1]))
            parts += [path, f'<polygon points="{corners}" fill="{colour}"/>']
        for box, centre in zip(self.boxes, centres, strict=True):
            parts += _svg_box(box, *centre)
        return "\n".join([*parts, "</svg>", ""])

    def _repr_svg_(self) -> str:
        return self.svg()

    def figure(self, dpi: float = 200) -> Any:
        """Return the drawing as a matplotlib Figure."""
        (width, height), centres, routes = self.geometry()
        figure = _axes.matplotlib().figure.Figure(figsize=(width / 96, height / 96), dpi=dpi)
        ax = figure.add_axes((0.0, 0.0, 1.0, 1.0))
        ax.set(xlim=(0, width), ylim=(height, 0))
        ax.set_axis_off()
        from matplotlib.patches import FancyBboxPatch, PathPatch, Polygon
        from matplotlib.path import Path

        for (_, _, kind), route in zip(self.edges, routes, strict=True):
            colour, dashes = EDGES[kind]
            points, codes = [], []
            for number, piece in enumerate(self.curve(route)):
                points += list(zip(piece[::2], piece[1::2], strict=True))
                codes += [Path.MOVETO if number == 0 else Path.LINETO if len(piece) == 2 else Path.CURVE4] * (
                    len(piece) // 2
                )
            style = (0, tuple(map(float, dashes.split()))) if dashes else "-"
            ax.add_patch(PathPatch(Path(points, codes), fill=False, edgecolor=colour, linewidth=1.05, linestyle=style))
            ax.add_patch(Polygon(self.arrow(route[-1]), closed=True, facecolor=colour, linewidth=0))
        for box, (x, y) in zip(self.boxes, centres, strict=True):
            (wide, high), (fill, border) = box.size(), FILLS[box.kind]
            shape = FancyBboxPatch(
                (x - wide / 2, y - high / 2),
                wide,
                high,
                boxstyle="round,pad=0,rounding_size=6",
                facecolor=fill,
                edgecolor=border,
                linewidth=0.9,
            )
            ax.add_patch(shape)
            for number, (text, size, colour, weight) in enumerate(_texts(box)):
                ax.text(
                    x,
                    _baseline(box, y, number),
                    text,
                    size=size * 0.72,
                    color=colour,
                    weight=weight,
                    ha="center",
                    va="baseline",
                )
        return figure


def _texts(box: Box) -> list[tuple[str, float, str, str]]:
    """Return the lines of a box with size, colour and weight."""
    return [
        (box.title, TITLE_SIZE, "#1A1A1A", "bold"),
        *((line, TEXT_SIZE, "#444444", "normal") for line in box.lines),
    ]


def _baseline(box: Box, y: float, number: int) -> float:
    return y - box.size()[1] / 2 + 8.0 + LINE * number + 12.5


def _svg_box(box: Box, x: float, y: float) -> list[str]:
    (width, height), (fill, border) = box.size(), FILLS[box.kind]
    parts = [
        f'<rect x="{x - width / 2:.1f}" y="{y - height / 2:.1f}" width="{width:.1f}" height="{height:.1f}" rx="6" '
        f'fill="{fill}" stroke="{border}" stroke-width="1.2"/>'
    ]
    for number, (text, size, colour, weight) in enumerate(_texts(box)):
        parts.append(
            f'<text x="{x:.1f}" y="{_baseline(box, y, number):.1f}" font-size="{size:.0f}" font-weight="{weight}" '
            f'fill="{colour}" text-anchor="middle">{escape(text)}</text>'
        )
    return parts


def _path(pieces: list[tuple[float, ...]]) -> str:
    """Return an edge in SVG's words."""
    words = []
    for number, piece in enumerate(pieces):
        letter = "M" if number == 0 else "L" if len(piece) == 2 else "C"
        words.append(letter + " ".join(f"{value:.1f}" for value in piece))
    return " ".join(words)
