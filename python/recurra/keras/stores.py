"""The two layouts of weights in Keras's files, as walks over a model's `Holder`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from recurra import _errors
from recurra.keras.variables import numbered

if TYPE_CHECKING:
    from collections.abc import Sequence

    from recurra._typing import Array
    from recurra.keras.hdf5 import Group
    from recurra.keras.variables import Holder, Values

_CHILDREN = ("layers", "_layer_checkpoint_dependencies")  # the second in files of 2.12
_IDLE = ("seed_generator", "_seed_generators", "quantizer")  # states of random draws


def _named(child: Any) -> list[tuple[str, Holder]]:
    """Return what stands in an attribute, with the parts of its path; a list's members are numbered by class."""
    if not isinstance(child, list):
        return [("", child)]
    return list(zip(numbered([one.kind for one in child]), child, strict=True))


# By path: .keras and .weights.h5


def from_paths(holder: Holder, group: Group, path: str) -> Values:
    """Return our arrays from a file whose variables stand under ``layers/lstm/cell/vars/0``.

    Raises
    ------
    ValueError
        If the file has not just the variables of these layers.
    """
    values: Values = {}
    used: set[int] = set()
    _from_paths(holder, group, "", values, used, path)
    left = _left(group, "", used)
    if left:
        kinds = ", ".join(one.kind for one in holder.inside())
        raise ValueError(f"{path}: expected weights of {kinds[:200]} alone, got others: {', '.join(left[:5])}")
    return values


def _from_paths(holder: Holder, group: Group, place: str, values: Values, used: set[int], path: str) -> None:
    own = group.groups.get("vars")
    arrays = {} if own is None else own.arrays
    names = [str(index) for index in range(len(holder.names))]
    if set(arrays) != set(names) and not (holder.kind == "Normalization" and len(arrays) == 3):
        expected = f"{len(names)} arrays ({', '.join(holder.names)}) for {holder.layer.name!r}"
        raise ValueError(f"{path}: expected {expected} under '{place}/vars', got {len(arrays)}")
    used.update(id(array) for array in arrays.values())
    values.update(holder.native([arrays[name] for name in names]))
    for attribute, child in holder.children:
        inner = group.groups.get(attribute)
        if inner is None and attribute == _CHILDREN[0]:
            inner = group.groups.get(_CHILDREN[1])
        if inner is None and any(one.names for one in _all(child)):
            found = ", ".join(group.groups)
            raise ValueError(f"{path}: expected a group '{place}/{attribute}' for {holder.kind}, got {found}")
        if inner is None:
            continue
        for name, one in _named(child):
            under = inner if not name else inner.groups.get(name)
            if under is None:
                if not any(part.names for part in one.inside()):
                    continue
                found = ", ".join(sorted(inner.groups))
                raise ValueError(f"{path}: expected '{place}/{attribute}/{name}' for {one.layer.name!r}, got {found}")
            _from_paths(one, under, f"{place}/{attribute}/{name}".rstrip("/"), values, used, path)


def _all(child: Any) -> list[Holder]:
    return [part for one in (child if isinstance(child, list) else [child]) for part in one.inside()]


def _left(group: Group, place: str, used: set[int]) -> list[str]:
    """Return the paths of arrays that nothing has used."""
    found = [f"{place}/{name}" for name, array in group.arrays.items() if id(array) not in used]
    for name, inner in group.groups.items():
        if name not in _IDLE:
            found += _left(inner, f"{place}/{name}", used)
    return found


def to_paths(holder: Holder) -> dict[str, Any]:
    """Return the tree that `from_paths` reads, for `hdf5.write`."""
    tree: dict[str, Any] = {"vars": {str(index): array for index, array in enumerate(holder.arrays())}}
    tree["vars"]["@name"] = holder.layer.name
    for attribute, child in holder.children:
        parts = {name: to_paths(one) for name, one in _named(child)}
        tree[attribute] = parts.get("", parts)
    return tree


# As flat lists: .h5


def listed(group: Group, name: str) -> list[str] | None:
    """Return an attribute of several texts, which Keras may have cut into pieces; None where there is none."""
    if name in group.attributes:
        found = group.attributes[name]
        return found if isinstance(found, list) else [found]
    pieces: list[str] = []
    number = 0
    while f"{name}{number}" in group.attributes:
        more = group.attributes[f"{name}{number}"]
        pieces += more if isinstance(more, list) else [more]
        number += 1
    return pieces if number else None


def lists_of(group: Group, path: str) -> dict[str, list[Array]]:
    """Return the arrays of each layer of a ``.h5`` file's group of weights, in order.

    Raises
    ------
    ValueError
        If it is no such group, or names arrays that it does not hold.
    """
    names = listed(group, "layer_names")
    if names is None:
        if group.groups:
            raise ValueError(f"{path}: expected the attribute layer_names, got none; it is no file of Keras's weights")
        names = []
    found: dict[str, list[Array]] = {}
    for name in names:
        inner = group.groups.get(name) if "/" not in name else group.find(name)
        if inner is None or name in found:
            got = "none" if inner is None else "two"
            raise ValueError(f"{path}: expected a group for layer {name!r}, got {got}")
        found[name] = []
        for weight in listed(inner, "weight_names") or []:
            array = inner.array(weight)
            if array is None:
                raise ValueError(f"{path}: expected weights {weight!r} of layer {name!r}, got none")
            found[name].append(array)
    if len(group.groups.get("top_level_model_weights", group).arrays):
        raise ValueError(f"{path}: expected weights of layers alone, got some of the model itself")
    return found


def from_list(holder: Holder, arrays: Sequence[Array]) -> Values:
    """Return our arrays from the flat list of a layer's variables."""
    places = holder.flat()
    spare = holder.kind == "Normalization" and len(arrays) == len(places) + 1  # Keras 2 counts the samples seen
    if len(arrays) != len(places) + spare:
        names = ", ".join(one.names[index] for one, index in places) or "no weights"
        raise _errors.bad_value(f"layer {holder.layer.name!r}", f"{len(places)} arrays ({names})", f"{len(arrays)}")
    by_holder: dict[int, list[Any]] = {id(one): [None] * len(one.names) for one in holder.inside()}
    for (one, index), array in zip(places, arrays, strict=False):
        by_holder[id(one)][index] = array
    values: Values = {}
    for one in holder.inside():
        values.update(one.native(by_holder[id(one)]))
    return values
