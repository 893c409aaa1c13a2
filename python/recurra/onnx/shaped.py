"""A plan for inputs of given shapes: what follows from shapes alone is computed, the branches of If are chosen.

Models that are fed piece by piece get arrays of the same few shapes again and again. For these, Shape and all that is
computed from it is constant, an If on it is one of its graphs, and operators that change nothing fall away.
"""

from __future__ import annotations

from dataclasses import replace
from operator import methodcaller
from typing import TYPE_CHECKING, Any

import numpy as np

from recurra import _core
from recurra.onnx import folding
from recurra.onnx.operators import MANY, control, elementwise, products, reductions, reference
from recurra.onnx.plan import Plan, named
from recurra.onnx.site import Site
from recurra.onnx.written import WrittenPlan

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from recurra._typing import Array
    from recurra.onnx.graph import Graph
    from recurra.onnx.plan import Bound

# Inputs whose values an output's shape depends on, for operators whose outputs' shapes depend on nothing else but
# shapes; of the others nothing is known.
DECISIVE: dict[str, tuple[int, ...]] = {
    **dict.fromkeys((*elementwise.BUILDERS, *products.BUILDERS), ()),
    **dict.fromkeys(("AveragePool", "Conv", "GlobalAveragePool", "GlobalMaxPool", "MaxPool"), ()),
    **dict.fromkeys(("ArgMax", "ArgMin", "CumSum", "Gather", "GatherElements", "ReverseSequence"), ()),
    **dict.fromkeys(("BatchNormalization", "InstanceNormalization", "LayerNormalization"), ()),
    **dict.fromkeys(("LogSoftmax", "Softmax", "Concat", "Flatten", "Transpose", "Shape", "Size"), ()),
    **dict.fromkeys(("GRU", "LSTM", "RNN"), ()),
    **dict.fromkeys(("Expand", "Reshape", "Split", "Squeeze", "Tile", "Unsqueeze", *reductions.REDUCTIONS), (1,)),
    "ConstantOfShape": (0,),
    "Pad": (1, 3),
    "Range": (0, 1, 2),
    "Slice": (1, 2, 3, 4),
}
# Operators that keep the order of the numbers: many in a row are one.
RESHAPES = {"Flatten", "Reshape", "Squeeze", "Unsqueeze"}
# Operators whose result may be their first input as it is.
KEEPERS = {*RESHAPES, "Cast", "CastLike", "Expand", "Identity", "Slice"}
# Reductions that change no number where the axes have one place.
IDLE = {"ReduceMax", "ReduceMean", "ReduceMin", "ReduceProd", "ReduceSum"}

# Operators that pack what comes second: not worth memory for each plan unless that is constant for its shapes alone.
PACKERS = {"Conv", "GRU", "Gemm", "LSTM", "MatMul", "RNN"}

MOST_SHAPES = 32  # for which plans are kept
MOST_NUMBERS = 2**18  # of all values of a call: larger ones take far longer than what a plan of their own would save
UNKNOWN, SHAPED, FIXED = range(3)  # what is known of a value: nothing, its shape and type, its numbers


class Shaped:
    """Chooses the plan for a call.

    Parameters
    ----------
    plan : Plan
        The plan for inputs of any shape.
    graph : Graph
        What it runs.
    """

    def __init__(self, plan: Plan, graph: Graph) -> None:
        self.plan = plan
        self.deciding = _deciding(graph)
        self.dtypes = [value.dtype for value in graph.inputs]
        self.feeds = _core.Feeds([value.name for value in graph.inputs], self.dtypes, self.deciding)
        self.plans: dict[bytes, Plan | None] = {}

    def ready(self, feeds: Mapping[str, Any]) -> tuple[Plan | None, list[Array]]:
        """Return the plan for these inputs, and them in their order; None unless they are the very arrays it is for."""
        taken = self.feeds.take(feeds)
        return (None, []) if taken is None else (self.plans.get(taken[0]), taken[1])

    def choose(self, given: Sequence[Any]) -> Plan:
        """Return the plan for these inputs: one of their own from the second call with such ones on."""
        key = self.feeds.key(given)
        plan = self.plans.get(key)
        if plan is not None:
            return plan
        if key in self.plans:
            with np.errstate(all="ignore"):
                plan = self.plans[key] = _Trace(self.plan, given, self.deciding).plan()
            return plan
        if len(self.plans) < MOST_SHAPES and None not in self.dtypes:
            self.plans[key] = None
        return self.plan


def _deciding(graph: Graph) -> list[int]:
    """Return which inputs of integers or truth values an If or the shape of something may depend on."""
    maker = {name: node for node in graph.walk() for name in node.outputs}
    waiting = []
    for node in graph.walk():
        places = (0,) if node.op_type == "If" else DECISIVE.get(node.op_type, ())
        waiting += [node.inputs[place] for place in places if node.has(place)]
    seen = set()
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        if name in maker and maker[name].op_type not in ("Shape", "Size"):
            waiting += maker[name].inputs
    whole = [value.dtype is not None and value.dtype.kind in "iub" for value in graph.inputs]
    return [place for place, value in enumerate(graph.inputs) if whole[place] and value.name in seen]


class TooLarge(Exception):
    """A call whose values are not worth a plan of their own."""


class _Trace:
    """One call, watched: which values follow from what is known of the inputs, and which nodes remain."""

    def __init__(self, plan: Plan, given: Sequence[Any], deciding: list[int]) -> None:
        self.origin, self.given, self.deciding = plan, given, deciding
        self.values: list[Any] = [None]
        self.known = [FIXED]
        self.nodes: list[Bound] = []
        self.source: dict[int, int] = {}  # what a value is but for its shape
        self.numbers = 0

    def plan(self) -> Plan:
        """Return the plan, or the one for any shapes where it is not worth it."""
        count = len(self.given)
        try:
            for place, one in enumerate(self.given):
                self.add(one, FIXED if place in self.deciding and one.size == 1 else SHAPED)
            results = self.walk(self.origin, list(range(1, 1 + count)))
        except TooLarge:
            return self.origin
        kept = [value if level == FIXED else None for value, level in zip(self.values, self.known, strict=True)]
        kept[1 : 1 + count] = [None] * count
        plan = WrittenPlan(self.nodes, kept, count, results)
        plan.write(count)
        plan.exact = not any(plan.shared) and all(type(self.values[index]) is np.ndarray for index in results)
        return plan

    def add(self, value: Any, known: int) -> int:
        """Give a value its place."""
        self.numbers += value.size if value is not None else 0
        if self.numbers > MOST_NUMBERS:
            raise TooLarge
        self.values.append(value)
        self.known.append(known)
        return len(self.values) - 1

    def walk(self, plan: Plan, given: list[int]) -> list[int]:
        """Run a plan; return where its outputs lie."""
        places = dict(enumerate([0, *given]))

        def place(index: int) -> int:
            if index not in places:
                self.values.append(plan.values[index])  # constants count as nothing: they are there in any case
                self.known.append(FIXED)
                places[index] = len(self.values) - 1
            return places[index]

        for one in plan.nodes:
            inputs = tuple(map(place, one.inputs))
            if isinstance(one.call, control.Condition) and self.known[inputs[0]] == FIXED:
                branch, around = one.call.choice(self.values[inputs[0]])
                found = self.walk(branch, [inputs[1 + index] for index in around])
            else:
                constant = [index < len(plan.values) and plan.values[index] is not None for index in one.inputs]
                found = self.node(one, inputs, constant)
            places.update(zip(one.outputs, found, strict=False))
            places[0] = 0
        return [place(index) for index in plan.results]

    def node(self, one: Bound, inputs: tuple[int, ...], constant: list[bool]) -> list[int]:
        """Run a node; return where its outputs lie, and note it down unless its results are known."""
        given = [self.values[index] for index in inputs]
        try:
            made = one.call(*given)
        except Exception as error:
            raise named(error, one.where) from error
        results = list(made) if one.node.op_type in MANY else [made]
        levels = [self.known[index] for index in inputs]
        known = self.follows(one, levels)
        if known == FIXED:
            return [self.add(None if value is None else _frozen(value), FIXED) for value in results]
        if known == SHAPED and self.same(one, inputs, results[0]):
            return [inputs[0]]
        outputs = tuple(self.add(value, known) for value in results)
        call = one.call
        if known == SHAPED and self.reshapes(one, inputs, results[0]):
            source = self.source.get(inputs[0], inputs[0])
            self.source[outputs[0]] = source
            if results[0].shape == self.values[source].shape:
                return [source]
            one = one._replace(node=replace(one.node, op_type="Reshape"))
            inputs, call = (source,), methodcaller("reshape", results[0].shape)
        else:
            fresh = [level == FIXED and not was for level, was in zip(levels, constant, strict=True)]
            if any(fresh) and (one.node.op_type not in PACKERS or fresh[1]):
                call = self.again(one, inputs, levels)
            if known == SHAPED and hasattr(call, "for_shapes"):
                made = call.for_shapes(given)
                if made is not None:
                    call, inputs = made[0], tuple(inputs[at] if at < len(inputs) else 0 for at in made[1])
        self.nodes.append(one._replace(call=call, inputs=inputs, outputs=outputs))
        return list(outputs)

    def follows(self, one: Bound, levels: list[int]) -> int:
        """Return what is known of a node's results by what is known of its inputs."""
        kind = one.node.op_type
        if kind in control.BUILDERS:
            return UNKNOWN
        if all(level == FIXED for level in levels):
            return FIXED
        if kind not in DECISIVE or min(levels) == UNKNOWN:
            return UNKNOWN
        if kind in ("Shape", "Size"):
            return FIXED
        return SHAPED if all(levels[place] == FIXED for place in DECISIVE[kind] if place < len(levels)) else UNKNOWN

    def same(self, one: Bound, inputs: tuple[int, ...], result: Any) -> bool:
        """Whether a node hands its first input on as it is."""
        kind = one.node.op_type
        if kind not in KEEPERS:
            return False
        x = self.values[inputs[0]]
        if x.shape != result.shape or x.dtype != result.dtype:
            return False
        if kind in ("Cast", "CastLike", "Identity"):
            return True
        if not isinstance(x, np.ndarray) or not isinstance(result, np.ndarray):
            return False
        return x.strides == result.strides and x.ctypes.data == result.ctypes.data

    def reshapes(self, one: Bound, inputs: tuple[int, ...], result: Any) -> bool:
        """Whether a node keeps all numbers in their order."""
        kind = one.node.op_type
        if kind not in IDLE:
            return kind in RESHAPES
        x = self.values[inputs[0]]
        return bool(x.size == result.size and x.size and x.dtype == result.dtype)

    def again(self, one: Bound, inputs: tuple[int, ...], levels: list[int]) -> Any:
        """Bind a node anew to inputs that are known to be constant."""
        if one.node.op_type in control.BUILDERS or one.node.op_type in reference.BUILDERS:
            return one.call
        fixed = [self.values[index] if level == FIXED else None for index, level in zip(inputs, levels, strict=True)]
        return folding.build(Site(one.node, tuple(fixed), one.where, one.opset, None))


def _frozen(value: Any) -> Any:
    array = np.array(value)
    array.setflags(write=False)
    return array
