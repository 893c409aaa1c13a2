"""Where the boxes of a directed graph without cycles lie: in layers, few crossings, straight long edges.

After Sugiyama, Tagawa & Toda (1981): ranks by longest path, a dummy where an edge passes a rank, orders within ranks by
barycentres, then positions near the neighbours' mean. Deterministic; quick for hundreds of boxes.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

SWEEPS = 12
RANK_GAP = 30.0
BOX_GAP = 26.0


class Placed(NamedTuple):
    """A layout.

    Attributes
    ----------
    centres : list of (float, float)
        (across, along) of each box.
    routes : list of list of (float, float)
        For each edge the points (across, along) that it passes, from its source's end to its target's start; between
        two points of the same ``across`` it goes straight.
    width, height : float
        Across and along.
    """

    centres: list[tuple[float, float]]
    routes: list[list[tuple[float, float]]]
    width: float
    height: float


def place(sizes: list[tuple[float, float]], edges: list[tuple[int, int]]) -> Placed:
    """Lay out boxes of these sizes (across, along); edges lead from an earlier box to a later one."""
    ranks = rank(len(sizes), edges)
    widths, chains = [size[0] for size in sizes], []
    for source, target in edges:
        chain = [source]
        for between in range(ranks[source] + 1, ranks[target]):
            chain.append(len(ranks))
            ranks.append(between)
            widths.append(0.0)
        chains.append([*chain, target])
    rows = order(ranks, chains)
    across = positions(rows, widths, chains)
    left = min(x - w / 2 for x, w in zip(across, widths, strict=True))
    across = [x - left for x in across]
    thick = [max([sizes[box][1] for box in row if box < len(sizes)], default=0.0) for row in rows]
    starts = [sum(thick[:row]) + RANK_GAP * row for row in range(len(rows))]
    centres = [(across[box], starts[ranks[box]] + thick[ranks[box]] / 2) for box in range(len(sizes))]
    routes = []
    for chain in chains:
        source, target = chain[0], chain[-1]
        route = [(across[source], centres[source][1] + sizes[source][1] / 2)]
        for dummy in chain[1:-1]:
            start = starts[ranks[dummy]]
            route += [(across[dummy], start), (across[dummy], start + thick[ranks[dummy]])]
        routes.append([*route, (across[target], centres[target][1] - sizes[target][1] / 2)])
    width = max(x + w / 2 for x, w in zip(across, widths, strict=True))
    return Placed(centres, routes, width, sum(thick) + RANK_GAP * (len(thick) - 1))


def rank(count: int, edges: list[tuple[int, int]]) -> list[int]:
    """Return the longest way to each box from one without a predecessor; the latter lie just before what they feed."""
    ranks = [0] * count
    for source, target in sorted(edges, key=lambda edge: edge[1]):  # every source has its rank by then
        ranks[target] = max(ranks[target], ranks[source] + 1)
    fed = {target for _, target in edges}
    for box in range(count):
        after = [ranks[target] for source, target in edges if source == box]
        if box not in fed and after:
            ranks[box] = min(after) - 1
    return ranks


def order(ranks: list[int], chains: list[list[int]]) -> list[list[int]]:
    """Return the boxes of each rank from one side to the other, the best order of some sweeps."""
    rows: list[list[int]] = [[] for _ in range(max(ranks) + 1)]
    for box in _by_discovery(len(ranks), chains):
        rows[ranks[box]].append(box)
    above, below = neighbours(len(ranks), chains)
    best, fewest = rows, crossings(rows, below)
    for sweep in range(SWEEPS):
        rows = [list(row) for row in rows]
        numbers, looked_at = (range(1, len(rows)), above) if sweep % 2 == 0 else (range(len(rows) - 2, -1, -1), below)
        for number in numbers:
            at = {box: place for row in rows for place, box in enumerate(row)}

            def barycentre(box: int, at: dict[int, int] = at, looked_at: list[list[int]] = looked_at) -> float:
                near = looked_at[box]
                return sum(at[other] for other in near) / len(near) if near else at[box]

            rows[number].sort(key=barycentre)
        found = crossings(rows, below)
        if found < fewest:
            best, fewest = rows, found
    return best


def _by_discovery(count: int, chains: list[list[int]]) -> list[int]:
    """Return all boxes, those along the first chains first."""
    seen = dict.fromkeys(box for chain in chains for box in chain)
    return [*seen, *(box for box in range(count) if box not in seen)]


def neighbours(count: int, chains: list[list[int]]) -> tuple[list[list[int]], list[list[int]]]:
    """Return the boxes and dummies one rank before and one rank after each."""
    above: list[list[int]] = [[] for _ in range(count)]
    below: list[list[int]] = [[] for _ in range(count)]
    for chain in chains:
        for upper, lower in pairwise(chain):
            below[upper].append(lower)
            above[lower].append(upper)
    return above, below


def crossings(rows: list[list[int]], below: list[list[int]]) -> int:
    """Return how many pairs of edges cross."""
    count = 0
    for upper, lower in pairwise(rows):
        at = {box: place for place, box in enumerate(lower)}
        ends = [at[other] for box in upper for other in sorted(below[box], key=at.__getitem__)]
        count += sum(a > b for i, a in enumerate(ends) for b in ends[i + 1 :])
    return count


def positions(rows: list[list[int]], widths: list[float], chains: list[list[int]]) -> list[float]:
    """Return where each box lies across: near its neighbours' mean, apart from the others of its rank."""
    across = [0.0] * len(widths)
    for row in rows:
        _spread(row, [0.0] * len(row), across, widths)
    above, below = neighbours(len(widths), chains)
    for sweep in range(2 * SWEEPS):
        down = sweep % 2 == 0
        for row in rows if down else rows[::-1]:
            near = [(above if down else below)[box] or (below if down else above)[box] for box in row]
            wanted = [
                sum(across[other] for other in some) / len(some) if some else across[box]
                for box, some in zip(row, near, strict=True)
            ]
            _spread(row, wanted, across, widths)
    return across


def _spread(row: list[int], wanted: list[float], across: list[float], widths: list[float]) -> None:
    """Put a row where it is wanted, or as near as the gaps allow: blocks of touching boxes share their mean wish."""
    blocks: list[tuple[float, list[int], list[float]]] = []  # mean wish of the first box, boxes, their offsets
    for box, wish in zip(row, wanted, strict=True):
        start, boxes, offsets = wish, [box], [0.0]
        while blocks:
            before, those, their = blocks[-1]
            shift = their[-1] + (widths[those[-1]] + widths[boxes[0]]) / 2 + BOX_GAP
            if before + shift <= start:
                break
            blocks.pop()
            total = len(those) + len(boxes)
            start = (before * len(those) + (start - shift) * len(boxes)) / total
            boxes, offsets = those + boxes, their + [offset + shift for offset in offsets]
        blocks.append((start, boxes, offsets))
    for start, boxes, offsets in blocks:
        for box, offset in zip(boxes, offsets, strict=True):
            across[box] = start + offset
