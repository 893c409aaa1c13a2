"""From a graph to the calls of layers that it means, node by node in the order of computing."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np

from recurra.onnx.native.values import Call, Const, Data, Meaning, Ref, Unmatched, data, whole

if TYPE_CHECKING:
    from collections.abc import Callable

    from recurra._typing import Array
    from recurra.onnx.graph import Graph, Node, Value
    from recurra.onnx.native.values import Size

    Handler = Callable[[Node, list[Meaning], "Reader"], Any]


class Reader:
    """Reads one graph.

    Parameters
    ----------
    graph : Graph
        Its real numbers must all be of one dtype.
    handlers : dict of str to callable
        From (node, meanings of its inputs, reader) to the meaning of the output or the list of meanings, by operator.
    """

    def __init__(self, graph: Graph, handlers: dict[str, Handler]) -> None:
        self.graph, self.handlers = graph, handlers
        self.dtype = _dtype(graph)
        self.most = 1024 + 2 * sum(array.size for array in graph.initializers.values())
        self.batch: int | str = ""
        self.uses = Counter(name for node in graph.walk() for name in node.inputs)
        self.uses.update(value.name for value in graph.outputs)
        self.meanings: dict[str, Meaning] = {"": None}
        self.meanings.update({name: Const(array, name) for name, array in graph.initializers.items()})
        self.inputs = [self._input(value) for value in graph.inputs]
        self._opened = 0

    def read(self) -> list[Ref]:
        """Return the arrays that the graph's outputs are.

        Raises
        ------
        Unmatched
            If some node is not what a layer does.
        """
        for node in self.graph.nodes:
            if not any(self.uses[name] for name in node.outputs):
                continue
            handler = self.handlers.get(node.op_type)
            if handler is None:
                raise Unmatched(node.label)
            made = handler(node, [self.meanings[name] for name in node.inputs], self)
            for name, meaning in zip(node.outputs, made if isinstance(made, list) else [made], strict=False):
                if name:
                    self.meanings[name] = meaning
        return [self._output(self.meanings.get(value.name)) for value in self.graph.outputs]

    def _input(self, value: Value) -> Ref:
        if value.shape is None or value.dtype is None or not value.shape:
            raise Unmatched("an input of unknown form")
        integers = value.dtype in (np.dtype(np.int64), np.dtype(np.int32))
        if not integers and value.dtype != self.dtype:
            raise Unmatched("an input of another dtype")
        sizes = [size if isinstance(size, int) else f"{value.name}:{axis}" for axis, size in enumerate(value.shape)]
        first = sizes[0] if isinstance(sizes[0], int) else "batch"
        self.batch = self.batch or first
        if first != self.batch:
            raise Unmatched("inputs of other batches")
        ref = Ref((first, *sizes[1:]), integers=integers)
        self.meanings[value.name] = data(ref)
        return ref

    def _output(self, meaning: Meaning) -> Ref:
        """Return the array of an output, through a layer where its axes lie otherwise."""
        if not isinstance(meaning, Data):
            raise Unmatched("an output that is no array")
        meaning = self.settled(meaning)
        if meaning.plain:
            return meaning.ref
        if sorted(meaning.axes) == sorted(whole(meaning.ref.rank)) and meaning.axes[0] == (0,):
            return self._permuted(meaning.ref, [int(axis[0]) for axis in meaning.axes])
        raise Unmatched("an output whose axes lie otherwise")

    def numbers(self, array: Array, name: str = "") -> Const:
        """Return numbers that were moved; files do not grow by it."""
        if array.size > self.most:
            raise Unmatched("more numbers than the file has")
        return Const(array, name)

    # What handlers need

    def result(self, call: Call, sizes: tuple[int | str, ...], output: str = "") -> Ref:
        """Return an array that a call makes."""
        return Ref(sizes, call, output)

    def open(self, what: str) -> str:
        """Return a new size that is not known."""
        self._opened += 1
        return f"{what} {self._opened}"

    def name(self, node: Node, weight: str = "") -> str:
        """Return what a node's layer is called: as its weight or, without one, its node says; empty if neither does."""
        path = weight.rpartition(".")[0] or node.name.strip("/").rpartition("/")[0]
        parts = [part for part in path.replace(".", "/").replace(":", "/").split("/") if part]
        return "_".join(parts) if len(parts) < 9 else ""

    def once(self, node: Node, index: int) -> bool:
        """Whether an input of a node is read by that node alone."""
        return self.uses[node.inputs[index]] == 1

    def _permuted(self, ref: Ref, order: list[int]) -> Ref:
        from recurra.layers import Permute

        call = Call(Permute, [ref], options={"dims": order[1:]})
        return self.result(call, tuple(ref.sizes[axis] for axis in order))

    def with_last(self, x: Data, place: int) -> Data:
        """Return a view whose axis at ``place`` is its array's last, through a layer if it is another one."""
        x = self.settled(x)
        axis = x.axes[place]
        if len(axis) != 1 or not isinstance(axis[0], int) or x.split != 1:
            raise Unmatched("features that are no axis")
        moved, last = axis[0], x.ref.rank - 1
        if moved == last:
            return x
        if not moved or x.ref.integers:
            raise Unmatched("features along the batch axis")
        order = [number for number in range(x.ref.rank) if number != moved] + [moved]
        places = {number: place for place, number in enumerate(order)}
        axes = tuple(tuple(places[int(atom)] for atom in part) for part in x.axes)
        return Data(self._permuted(x.ref, order), axes)

    def settled(self, x: Data) -> Data:
        """Return a view whose axes are an array's, through a layer if some are made of several."""
        atoms = tuple(atom for axis in x.axes for atom in axis)
        if all(len(axis) == 1 for axis in x.axes) or x.axes[0] != (0,) or atoms != tuple(range(x.ref.rank)):
            return x
        sizes = x.sizes[1:]
        if x.ref.integers or not all(isinstance(size, int) for size in sizes):
            return x
        from recurra.layers import Flatten, Reshape

        call = Call(Flatten if len(sizes) == 1 else Reshape, [x.ref])
        call.options = {} if len(sizes) == 1 else {"target_shape": list(sizes)}
        return data(self.result(call, (x.ref.sizes[0], *(size for size in sizes if isinstance(size, int)))))

    def step(self, x: Data, axis: int, index: int) -> Data:
        """Return the last step that a recurrent layer computed, or an array without an axis of size 1."""
        ref, axis = x.ref, axis % len(x.axes)
        if x.axes[axis] == () and index in (0, -1):
            return x.viewed((*x.axes[:axis], *x.axes[axis + 1 :]))
        call = ref.call
        if call is None or call.kind != "recurrent" or x.axes[axis] != (1,) or ref.rank != 3:
            raise Unmatched("a step of an array")
        last = index == (0 if ref.output == "reversed" else -1)
        if not last or ref.output not in ("y", "reversed") or call.options["bidirectional"]:
            raise Unmatched("a step that is not the last one")
        new = self.result(call, (ref.sizes[0], ref.sizes[2]), "h0")
        return _without_time(x, new, axis, keep=False)

    def pooled(self, x: Data, axis: int, new: Ref, keep: bool) -> Data:
        """Return the view of an array (batch, features) in place of one with steps along ``axis``."""
        return _without_time(x, new, axis, keep)

    def concatenated(self, node: Node, parts: list[Data], axis: int) -> Data:
        """Return arrays side by side: both directions' final states, or a layer."""
        first = parts[0]
        refs = [part.ref for part in parts]
        if any(part.axes != first.axes or part.split != 1 for part in parts):
            raise Unmatched("arrays whose axes lie otherwise")
        place = first.axes[axis]
        if len(place) != 1 or place == (0,) or any(ref.integers for ref in refs):
            raise Unmatched("arrays along no axis of theirs")
        moved = int(place[0])
        calls = {id(ref.call) for ref in refs}
        if len(calls) == 1 and refs[0].call is not None and [ref.output for ref in refs] == ["h0", "h1"] and moved == 1:
            width = sum(size for ref in refs if isinstance(size := ref.sizes[1], int))
            return Data(self.result(refs[0].call, (refs[0].sizes[0], width), "last"), first.axes)
        from recurra.layers import Concatenate

        call = Call(Concatenate, refs, name=self.name(node), merges=True, options={"axis": moved})
        sizes = list(refs[0].sizes)
        along = [ref.sizes[moved] for ref in refs]
        numbers = [size for size in along if isinstance(size, int)]
        sizes[moved] = sum(numbers) if len(numbers) == len(along) else self.open("side")
        return Data(self.result(call, tuple(sizes)), first.axes)

    def reshaped(self, node: Node, x: Data, target: list[Size]) -> Data:
        """Return an array in another form, by a layer."""
        if not x.plain or x.ref.integers or not target or target[0] not in (0, self.batch, -1):
            raise Unmatched("an array in another form")
        rest = [x.ref.sizes[place] if size == 0 and place < x.ref.rank else size for place, size in enumerate(target)]
        own = [size for size in x.ref.sizes[1:] if isinstance(size, int)]
        fixed = [size for size in rest[1:] if isinstance(size, int)]
        if len(own) < x.ref.rank - 1 or len(fixed) < len(rest) - 1:
            raise Unmatched("an array in a form that depends on open sizes")
        total, made = int(np.prod(own)), int(np.prod([size for size in fixed if size != -1]))
        if target[0] == -1 and (-1 in fixed or made != total):
            raise Unmatched("samples made of others")
        if -1 in fixed:
            fixed[fixed.index(-1)] = total // max(1, made)
        from recurra.layers import Flatten, Reshape

        flat = len(fixed) == 1
        call = Call(Flatten if flat else Reshape, [x.ref], name=self.name(node))
        call.options = {} if flat else {"target_shape": fixed}
        return data(self.result(call, (x.ref.sizes[0], *fixed)))


def _without_time(x: Data, new: Ref, axis: int, keep: bool) -> Data:
    """Return the view of (batch, features) that is left of a view of (batch, time, features)."""
    places = {0: 0, 2: 1}
    axes: list[Any] = [tuple(places[int(atom)] for atom in part if atom != 1) for part in x.axes]
    if not keep:
        del axes[axis]
    return Data(new, tuple(axes))


def _dtype(graph: Graph) -> np.dtype[Any]:
    """Return the dtype of all real numbers."""
    arrays = [array.dtype for array in graph.initializers.values()]
    kinds = {dtype for dtype in arrays + [value.dtype for value in graph.inputs] if dtype and dtype.kind == "f"}
    if len(kinds) != 1 or not kinds <= {np.dtype(np.float32), np.dtype(np.float64)}:
        raise Unmatched("numbers of several dtypes")
    return kinds.pop()
