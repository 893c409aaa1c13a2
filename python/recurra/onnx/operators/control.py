"""If, Loop and Scan: graphs inside of nodes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from recurra import _errors

if TYPE_CHECKING:
    from recurra._typing import Array
    from recurra.onnx.site import Call, Site

MOST_ROUNDS = 10_000_000  # of a loop: more are taken as one that never ends


def _truth(value: Any) -> bool:
    return bool(np.asarray(value).reshape(-1)[0])


class Condition:
    """If: one of two graphs.

    Attributes
    ----------
    branches : list of GraphPlan
        The graph for a true condition and that for a false one.
    places : list of list of int
        For each the values that it reads from around, by their places among the node's.
    """

    def __init__(self, site: Site) -> None:
        self.branches = [site.inner(name) for name in ("then_branch", "else_branch")]
        for branch in self.branches:
            if len(branch.outputs) != len(site.node.outputs):
                raise site.refuse(f"branches of {len(site.node.outputs)} outputs", f"{len(branch.outputs)}")
        self.places = [[site.node.captured.index(name) for name in branch.captured] for branch in self.branches]

    def __call__(self, chosen: Any, *around: Any) -> tuple[Any, ...]:
        """Return the outputs of the graph that the condition chooses."""
        branch, places = self.choice(chosen)
        return tuple(branch.run([around[place] for place in places]))

    def choice(self, chosen: Any) -> tuple[Any, list[int]]:
        """Return the graph that a condition chooses, and the places of what it reads from around."""
        which = 0 if _truth(chosen) else 1
        return self.branches[which], self.places[which]


def loop(site: Site) -> Call:
    """Bind Loop: the body gets the round, the condition and the carried values."""
    body = site.inner("body")
    inputs, count = len(site.node.inputs), len(site.node.outputs)
    carried = inputs - 2
    places = [site.node.captured.index(name) for name in body.captured]
    if len(body.inputs) != carried + 2 or len(body.outputs) != count + 1 or count < carried:
        got = f"{len(body.inputs)} inputs and {len(body.outputs)} outputs"
        raise site.refuse(f"a body of {carried + 2} inputs and {count + 1} outputs", got)

    def run(*given: Any) -> tuple[Any, ...]:
        rounds, go_on, values = given[0], given[1], list(given[2:inputs])
        around = [given[inputs + place] for place in places]
        limit = MOST_ROUNDS + 1 if rounds is None else int(np.asarray(rounds).reshape(-1)[0])
        going = go_on is None or _truth(go_on)
        kept: list[list[Any]] = [[] for _ in range(count - carried)]
        number = 0
        while going and number < limit:
            if number == MOST_ROUNDS:
                raise _errors.bad_value("loop", f"at most {MOST_ROUNDS} rounds", "more")
            flag, *made = body.run([np.array(number, np.int64), np.array(True), *values, *around])
            going, values = _truth(flag), made[:carried]
            for one, value in zip(kept, made[carried:], strict=True):
                one.append(value)
            number += 1
        return (*values, *(_stacked(one) for one in kept))

    return run


def _stacked(values: list[Any]) -> Array:
    return np.stack(values) if values else np.zeros((0,), np.float32)


def scan(site: Site) -> Call:
    """Bind Scan (since version 9): a body over slices of its inputs, with carried states."""
    if site.node.version < 9:
        raise site.refuse("Scan of version 9 or later", "version 8", "export it anew")
    body = site.inner("body")
    scanned = site.attribute("num_scan_inputs")
    inputs, count = len(site.node.inputs), len(site.node.outputs)
    states = inputs - scanned
    if not 0 <= states <= count or len(body.inputs) != inputs or len(body.outputs) != count:
        raise site.refuse(f"a body of {inputs} inputs and {count} outputs", f"{len(body.inputs)}, {len(body.outputs)}")
    zeros_in, zeros_out = (0,) * scanned, (0,) * (count - states)
    axes_in = site.attribute("scan_input_axes") or zeros_in
    axes_out = site.attribute("scan_output_axes") or zeros_out
    ways_in = site.attribute("scan_input_directions") or zeros_in
    ways_out = site.attribute("scan_output_directions") or zeros_out
    places = [site.node.captured.index(name) for name in body.captured]

    def run(*given: Any) -> tuple[Any, ...]:
        values = list(given[:states])
        around = [given[inputs + place] for place in places]
        moved = [np.moveaxis(x, axis, 0) for x, axis in zip(given[states:inputs], axes_in, strict=True)]
        turned = [x[::-1] if way else x for x, way in zip(moved, ways_in, strict=True)]
        kept: list[list[Any]] = [[] for _ in zeros_out]
        for parts in zip(*turned, strict=True):
            made = body.run([*values, *(np.asarray(part) for part in parts), *around])
            values = made[:states]
            for one, value in zip(kept, made[states:], strict=True):
                one.append(value)
        rows = zip(kept, ways_out, axes_out, strict=True)
        return (*values, *(np.moveaxis(_stacked(one[::-1] if way else one), 0, axis) for one, way, axis in rows))

    return run


BUILDERS: dict[str, Any] = {"If": Condition, "Loop": loop, "Scan": scan}
