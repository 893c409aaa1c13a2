"""Operators that move values and read sizes: what they make of views, constants and sizes."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from recurra.onnx.native.values import (
    Call,
    Const,
    Data,
    Filled,
    Repeated,
    Sizes,
    Stacked,
    Unmatched,
    data,
    integers,
    product,
)

if TYPE_CHECKING:
    from recurra.onnx.graph import Node
    from recurra.onnx.native.reader import Reader
    from recurra.onnx.native.values import Atom, Axes, Meaning, Ref, Size

_FAR = 2**31 - 1  # an end beyond every axis
_MOST = 256  # sizes or states side by side


def axes_of(node: Node, values: list[Meaning], index: int = 1) -> list[int] | None:
    """Return the axes that a node is given as an attribute or, in later versions, as an input."""
    given = node.attributes.get("axes")
    if given is not None:
        return list(given)
    return integers(values[index]) if len(values) > index and values[index] is not None else None


def constant(node: Node, values: list[Meaning], reader: Reader) -> Meaning:
    """A constant."""
    kinds = {"value": None, "value_int": np.int64, "value_ints": np.int64, "value_float": np.float32}
    for name, dtype in {**kinds, "value_floats": np.float32}.items():
        given = node.attributes.get(name)
        if given is not None:
            return Const(np.asarray(given, dtype), node.outputs[0])
    raise Unmatched("a constant of text")


def identity(node: Node, values: list[Meaning], reader: Reader) -> Meaning:
    """The same again: Identity, and Dropout at inference."""
    if len([name for name in node.outputs if name]) > 1:
        raise Unmatched("a mask")
    if node.op_type == "Dropout" and len(values) > 2 and values[2] is not None:
        training = values[2]
        if not isinstance(training, Const) or training.array.any():
            raise Unmatched("dropout in training")
    return values[0]


def cast(node: Node, values: list[Meaning], reader: Reader) -> Meaning:
    """A cast that changes no number."""
    from onnx import helper

    x, dtype = values[0], helper.tensor_dtype_to_np_dtype(node.attributes["to"])
    if isinstance(x, Const):
        return Const(x.array.astype(dtype), x.name)
    if isinstance(x, Sizes | Filled) or (isinstance(x, Data) and x.ref.integers and dtype.kind == "i"):
        if isinstance(x, Data) and dtype.itemsize < 4:
            raise Unmatched("integers cut")
        return x
    if isinstance(x, Data) and not x.ref.integers and dtype == reader.dtype:
        return x
    raise Unmatched("a cast")


def transpose(node: Node, values: list[Meaning], reader: Reader) -> Meaning:
    """Axes in another order."""
    x, perm = values[0], node.attributes.get("perm")
    if isinstance(x, Const):
        return Const(x.array.transpose(perm), x.name)
    if isinstance(x, Filled):
        return x
    if not isinstance(x, Data):
        raise Unmatched("axes of a shape")
    order = list(perm) if perm is not None else list(range(len(x.axes)))[::-1]
    return x.viewed(tuple(x.axes[axis] for axis in order))


def squeeze(node: Node, values: list[Meaning], reader: Reader) -> Meaning:
    """Without axes of size 1."""
    x, axes = values[0], axes_of(node, values)
    if isinstance(x, Const):
        return Const(np.squeeze(x.array, None if axes is None else tuple(axes)), x.name)
    if isinstance(x, Sizes) and len(x.items) == 1:
        return Sizes(x.items, True)
    if isinstance(x, Filled):
        return x
    if isinstance(x, Stacked) and len(x.refs) == 1 and axes in ([0], [-3]):
        return data(x.refs[0])
    if not isinstance(x, Data) or axes is None:
        raise Unmatched("an axis of unknown size")
    places = {axis % len(x.axes) for axis in axes}
    if any(x.axes[place] for place in places):
        raise Unmatched("an axis that may hold more than one")
    return x.viewed(tuple(axis for place, axis in enumerate(x.axes) if place not in places))


def unsqueeze(node: Node, values: list[Meaning], reader: Reader) -> Meaning:
    """With more axes of size 1."""
    x, axes = values[0], axes_of(node, values)
    if axes is None:
        raise Unmatched("unknown axes")
    if isinstance(x, Const):
        return Const(np.expand_dims(x.array, tuple(axes)), x.name)
    if isinstance(x, Sizes) and x.scalar:
        return Sizes(x.items)
    if isinstance(x, Filled):
        return x
    if not isinstance(x, Data):
        raise Unmatched("axes of a shape")
    count = len(x.axes) + len(axes)
    places = {axis % count for axis in axes}
    old = iter(x.axes)
    return x.viewed(tuple(() if place in places else next(old) for place in range(count)))


def shape(node: Node, values: list[Meaning], reader: Reader) -> Meaning:
    """The sizes of an array."""
    x = values[0]
    if not isinstance(x, Data):
        raise Unmatched("the shape of something else")
    return Sizes(x.sizes[slice(node.attributes.get("start") or 0, node.attributes.get("end"))])


def gather(node: Node, values: list[Meaning], reader: Reader) -> Meaning:
    """A part along an axis, a size, a row of a table for each integer, the last step, a direction's state."""
    x, index, axis = values[0], values[1], int(node.attributes.get("axis") or 0)
    if isinstance(index, Data) and isinstance(x, Const):
        return _embedding(node, x, index, axis, reader)
    if isinstance(x, Const) and isinstance(index, Const):
        if x.array.size * index.array.size > x.array.shape[axis] * reader.most:
            raise Unmatched("more numbers than the file has")
        return Const(np.take(x.array, index.array, axis), x.name)
    places = integers(index)
    scalar = isinstance(index, Const) and not index.array.ndim
    if isinstance(x, Sizes):
        return Sizes(tuple(x.items[place] for place in places), scalar)
    if isinstance(x, Filled):
        return x
    if isinstance(x, Stacked) and axis == 0:
        chosen = Stacked(tuple(x.refs[place] for place in places))
        return data(chosen.refs[0]) if scalar else chosen
    if isinstance(x, Data) and scalar:
        return reader.step(x, axis, places[0])
    raise Unmatched("a part of an array")


def _embedding(node: Node, table: Const, index: Data, axis: int, reader: Reader) -> Data:
    if axis or table.array.ndim != 2 or not index.ref.integers or table.array.dtype != reader.dtype:
        raise Unmatched("a table of another form")
    from recurra.layers import Embedding

    rows, width = (int(size) for size in table.array.shape)
    call = Call(Embedding, [index.ref], {"embeddings": table.array}, reader.name(node, table.name))
    call.options = {"input_dim": rows, "output_dim": width}
    ref = reader.result(call, (*index.ref.sizes, width))
    return Data(ref, (*index.axes, (ref.rank - 1,)))


def slice_(node: Node, values: list[Meaning], reader: Reader) -> Meaning:
    """A part of sizes or states, the last step, or an array without some first and last steps."""
    starts, ends, axes, steps = _slice_arguments(node, values)
    x = values[0]
    if isinstance(x, Const):
        cuts = [slice(None)] * x.array.ndim
        for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
            cuts[axis] = slice(start, None if step < 0 and end < -x.array.shape[axis] else end, step)
        return Const(x.array[tuple(cuts)], x.name)
    if isinstance(x, Filled):
        return x
    if len(axes) != 1 or steps != [1]:
        raise Unmatched("a part along several axes")
    if isinstance(x, Sizes):
        return Sizes(x.items[starts[0] : ends[0]])
    if isinstance(x, Stacked) and axes[0] in (0, -3):
        return Stacked(x.refs[starts[0] : ends[0]])
    if isinstance(x, Data):
        return _cut(node, x, axes[0] % len(x.axes), starts[0], ends[0], reader)
    raise Unmatched("a part of something else")


def _slice_arguments(node: Node, values: list[Meaning]) -> tuple[list[int], list[int], list[int], list[int]]:
    if node.attributes.get("starts") is not None:
        starts, ends = list(node.attributes["starts"]), list(node.attributes["ends"])
        return starts, ends, list(node.attributes.get("axes") or range(len(starts))), [1] * len(starts)
    given = [None if value is None else integers(value) for value in (*values[1:], None, None)[:4]]
    starts, ends = given[0] or [], given[1] or []
    if len(starts) != len(ends) or not starts:
        raise Unmatched("a part of nothing")
    return starts, ends, given[2] or list(range(len(starts))), given[3] or [1] * len(starts)


def _cut(node: Node, x: Data, axis: int, start: int, end: int, reader: Reader) -> Data:
    """Return an array without some steps."""
    if start == 0 and end >= _FAR:
        return x
    if start == -1 and end >= _FAR:
        last = reader.step(x, axis, -1)
        return last.viewed((*last.axes[:axis], (), *last.axes[axis:]))
    time = x.ref.sizes[1] if x.ref.rank == 3 else ""
    if x.axes[axis] != (1,) or x.ref.rank != 3 or x.ref.integers or start < 0:
        raise Unmatched("a part of an array")
    if end > 0 and end < _FAR:
        if not isinstance(time, int) or end > time:
            raise Unmatched("an end counted from the start")
        end -= time
    from recurra.layers import Cropping1D

    end = 0 if end >= _FAR or end == 0 else -end
    if isinstance(time, int) and start + end >= time:
        raise Unmatched("no steps")
    call = Call(Cropping1D, [x.ref], name=reader.name(node), options={"cropping": [start, end]})
    left = time - start - end if isinstance(time, int) else reader.open("steps")
    return x.on(reader.result(call, (x.ref.sizes[0], left, x.ref.sizes[2])))


def concat(node: Node, values: list[Meaning], reader: Reader) -> Meaning:
    """Sizes, states or arrays side by side."""
    axis = int(node.attributes["axis"])
    if all(isinstance(value, Const) for value in values):
        return reader.numbers(np.concatenate([value.array for value in values if isinstance(value, Const)], axis))
    if all(isinstance(value, Filled) for value in values):
        numbers = {value.number for value in values if isinstance(value, Filled)}
        if len(numbers) == 1:
            return values[0]
        raise Unmatched("several numbers")
    if any(isinstance(value, Sizes) for value in values):
        return Sizes(_short(tuple(item for value in values for item in _items(value))))
    if axis in (0, -3) and all(_states(value) for value in values):
        return Stacked(_short(tuple(ref for value in values for ref in _states(value))))
    found = [value for value in values if isinstance(value, Data)]
    if len(found) < len(values):
        raise Unmatched("arrays beside something else")
    return reader.concatenated(node, found, axis % len(found[0].axes))


def _short(items: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return what is side by side; a file that doubles it again and again is no model."""
    if len(items) > _MOST:
        raise Unmatched("too many side by side")
    return items


def _items(value: Meaning) -> tuple[Size, ...]:
    if isinstance(value, Sizes) and not value.scalar:
        return value.items
    return tuple(integers(value))


def _states(value: Meaning) -> tuple[Ref, ...]:
    """Return the states of (count, batch, size), none if it is something else."""
    if isinstance(value, Stacked):
        return value.refs
    if isinstance(value, Data) and value.ref.rank == 2 and value.axes == ((), (0,), (1,)):
        return (value.ref,)
    return ()


def multiply_sizes(values: list[Meaning]) -> Sizes:
    """Return the product of two sizes."""
    pairs = [value for value in values if isinstance(value, Sizes)]
    scalar = all(value.scalar for value in pairs)
    items = [_items(value) if not (isinstance(value, Sizes) and value.scalar) else value.items for value in values]
    if any(len(part) != 1 for part in items):
        raise Unmatched("products of shapes")
    made = product(part[0] for part in items)
    return Sizes((_short(made) if isinstance(made, tuple) else made,), scalar)


def constant_of_shape(node: Node, values: list[Meaning], reader: Reader) -> Meaning:
    """One number everywhere."""
    given: Any = node.attributes.get("value")
    return Filled(0.0 if given is None else float(np.ravel(given)[0]))


def expand(node: Node, values: list[Meaning], reader: Reader) -> Meaning:
    """A number everywhere, or a state repeated for the batch."""
    x, sizes = values[0], values[1]
    if isinstance(x, Filled):
        return x
    if not isinstance(x, Const):
        raise Unmatched("an array repeated")
    if x.array.size and (x.array == x.array.flat[0]).all():
        return Filled(float(x.array.flat[0]))
    wanted = _items(sizes)
    if x.array.ndim == 3 and x.array.shape[1] == 1 and len(wanted) == 3 and wanted[1] == reader.batch:
        directions, _, width = x.array.shape
        if wanted[0] in (1, directions) and wanted[2] in (1, width):
            return Repeated(x.array)
    raise Unmatched("an array repeated")


def reshape(node: Node, values: list[Meaning], reader: Reader) -> Meaning:
    """Axes joined and split again; else a layer."""
    x = values[0]
    if isinstance(x, Filled):
        return x
    if isinstance(x, Const):
        return Const(x.array.reshape(_constant_target(x, integers(values[1]))), x.name)
    if isinstance(x, Sizes):
        if len(x.items) == 1 and isinstance(values[1], Const) and integers(values[1]) in ([-1], [1]):
            return Sizes(x.items)
        raise Unmatched("a shape of another form")
    if not isinstance(x, Data) or node.attributes.get("allowzero"):
        raise Unmatched("something else in another form")
    target = list(_items(values[1]))
    axes = _regrouped(x, target)
    return x.viewed(axes) if axes is not None else reader.reshaped(node, x, target)


def _constant_target(x: Const, target: list[int]) -> list[int]:
    return [x.array.shape[place] if size == 0 else size for place, size in enumerate(target)]


def flatten(node: Node, values: list[Meaning], reader: Reader) -> Meaning:
    """All axes but the first as one."""
    x = values[0]
    if not isinstance(x, Data) or node.attributes.get("axis", 1) != 1 or len(x.axes) < 2:
        raise Unmatched("axes joined otherwise")
    rest = tuple(atom for axis in x.axes[1:] for atom in axis)
    return x.viewed((x.axes[0], rest))


def _regrouped(x: Data, target: list[Size]) -> Axes | None:
    """Return the view of another shape that takes the parts of all axes in their order; None if sizes do not tell."""
    if target.count(-1) > 1:
        return None
    atoms: list[Atom] = [atom for axis in x.axes for atom in axis]
    cut = target.index(-1) if -1 in target else len(target)
    before, used = _taken(x, atoms, target[:cut], list(x.axes))
    if before is None:
        return None
    rest = atoms[used:]
    if cut == len(target):
        return tuple(before) if not rest else None
    backward, taken = _taken(x, rest[::-1], target[cut + 1 :][::-1], [])
    if backward is None:
        return None
    middle = tuple(rest[: len(rest) - taken])
    return (*before, middle, *(axis[::-1] for axis in backward[::-1]))


def _taken(x: Data, atoms: list[Atom], target: list[Size], copied: list[Any]) -> tuple[list[Any] | None, int]:
    """Return the axes that sizes make of the first atoms, and how many of these they take; None if they do not fit."""
    axes: list[tuple[Atom, ...]] = []
    used = 0
    for place, size in enumerate(target):
        wanted = size
        if size == 0:
            if place >= len(copied):
                return None, 0
            wanted = product(x.size(atom) for atom in copied[place])
        taken: list[Atom] = []
        while product(x.size(atom) for atom in taken) != wanted or _next_is_one(x, atoms, used, wanted, taken):
            if used == len(atoms):
                return None, 0
            taken.append(atoms[used])
            used += 1
            if isinstance(wanted, int) and math.prod(_numbers(x, taken)) > max(1, wanted):
                return None, 0
        axes.append(tuple(taken))
    return axes, used


def _next_is_one(x: Data, atoms: list[Atom], used: int, wanted: Size, taken: list[Atom]) -> bool:
    """Whether an axis of size 1 is to be made of a part of size 1, such as a batch of one, and not of nothing."""
    return wanted == 1 and not taken and used < len(atoms) and x.size(atoms[used]) == 1


def _numbers(x: Data, atoms: list[Atom]) -> list[int]:
    return [size for size in map(x.size, atoms) if isinstance(size, int)]
