"""Where Keras's masks go in a model, to find the layers for which ours would compute something else.

Keras carries a mask beside an array; here lengths are carried. Both leave the same steps out, but differ in two things:
Keras drops a mask at layers that do not know masks, which then read what padding holds; and padding holds, behind a
recurrent layer, its last output in Keras and 0 here. What depends on either is refused. `Flow` is the record of a
model's calls on which this is looked at.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from recurra import _errors, layers

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from recurra.layers.base import Layer


class Mask(NamedTuple):
    """The mask beside an array.

    Attributes
    ----------
    origin : frozenset
        The calls whose inputs it comes from; equal ones mean equal masks.
    padding : {"equal", "held", "other"}
        What padding holds: the same in Keras and here; in Keras the last step that counts, repeated; or neither.
    """

    origin: frozenset[Any]
    padding: str


class Step(NamedTuple):
    """A call of a layer.

    Attributes
    ----------
    kind, layer
        Keras's class, our layer.
    read, made : list of int
        Numbers of its inputs' and outputs' arrays.
    inner : Flow or None
        The record of a model that is called.
    told : frozenset of (int, value) or None
        What the mask given to the call is made of: arrays by number, and what they hold at padding. None for none.
    """

    kind: str
    layer: Layer
    read: list[int]
    made: list[int]
    inner: Flow | None = None
    told: frozenset[Any] | None = None


class Flow:
    """The calls of a model's layers, in order.

    Attributes
    ----------
    calls : list of Step
        In the order of computing.
    inputs, outputs : list of int
        Numbers of the model's own arrays.
    zeros : set of int
        Recurrent layers, by id, whose outputs at padding are 0 in Keras too.
    """

    def __init__(self, generation: int | None, zeros: set[int]) -> None:
        self.generation, self.zeros = generation, zeros
        self.calls: list[Step] = []
        self.inputs: list[int] = []
        self.outputs: list[int] = []

    def run(self, masks: Sequence[Mask | None], place: tuple[Any, ...] = ()) -> list[Mask | None]:
        """Return the masks of the outputs for those of the inputs; raise ValueError where ours cannot do the same."""
        known: dict[int, Mask | None] = dict(zip(self.inputs, masks, strict=True))
        for number, (kind, layer, read, made, inner, told) in enumerate(self.calls):
            given = [known.get(index) for index in read]
            if told is not None:
                _check_told(kind, layer, {(*place, *part) for part in told}, given)
            if inner is not None:
                found = inner.run(given, (*place, f"call {number}"))
            else:
                found = [self._after(kind, layer, given, (*place, read[0]))]
            known.update(zip(made, [*found, *(None,) * (len(made) - len(found))], strict=False))
        return [known.get(index) for index in self.outputs]

    def _after(self, kind: str, layer: Layer, given: list[Mask | None], source: Any) -> Mask | None:
        """Return the mask of a call's (first) output."""
        if kind == "Embedding":
            return Mask(frozenset([(*source, 0)]), "equal") if getattr(layer, "mask_zero", False) else None
        if kind == "Masking":
            if given[0] is not None:
                raise _errors.bad_value(_where(kind, layer), "an input without a mask", "one with a mask")
            return Mask(frozenset([(*source, getattr(layer, "mask_value", 0.0))]), "equal")
        if all(mask is None for mask in given):
            return None
        if kind in _MERGE:
            return _merged(kind, layer, given, self.generation)
        if kind in ("Attention", "AdditiveAttention"):
            return given[0] and Mask(given[0].origin, "equal")  # both set the outputs of queries that do not count to 0
        one = given[0]
        if one is None:
            return None  # initial states have none
        rule = _SINGLE.get(kind)
        if kind in _KEEP:
            return one
        if rule is None:
            hint = "Keras drops the mask here and reads the padding, which holds something else here"
            raise _errors.bad_value(_where(kind, layer), _READ, "one", hint)
        found = rule(kind, layer, one)
        zeros = rule is _recurrent and (kind == "Bidirectional" or id(layer) in self.zeros)
        if zeros and found is None and kind != "Bidirectional":
            hint = "Keras returns 0 for padded sequences then"
            expected = "zero_output_for_mask=False with a mask and without return_sequences"
            raise _errors.bad_value(_where(kind, layer), expected, "True", hint)
        return found._replace(padding="equal") if found is not None and zeros else found


# What each of Keras's layers does with the mask of its input.
_KEEP = {"Activation", "ReLU", "LeakyReLU", "ELU", "ThresholdedReLU", "Dropout", "SpatialDropout1D", "GaussianNoise",
         "GaussianDropout", "Dense", "BatchNormalization", "LayerNormalization", "Normalization", "Rescaling",
         "Identity"}  # fmt: skip
_MERGE = {"Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum", "Concatenate"}
_RESHAPE = {"Flatten", "Reshape"}  # drop the mask, read all steps, and ours do as well
_READ = "a mask that this layer reads as Keras does"


def _check_told(kind: str, layer: Layer, told: set[Any], given: list[Mask | None]) -> None:
    """Raise unless the mask that a call was given is the one that comes with its inputs anyway."""
    carried = {part for mask in given if mask is not None for part in mask.origin if isinstance(part, tuple)}
    if told != carried:
        hint = "it is passed on by itself; another one cannot be given"
        raise _errors.bad_value(_where(kind, layer), "the mask that comes with its input", "another one", hint)


def _where(kind: str, layer: Layer) -> str:
    return f"layer {layer.name!r} ({kind})"


def _merged(kind: str, layer: Layer, given: list[Mask | None], generation: int | None) -> Mask | None:
    there = [mask for mask in given if mask is not None]
    padding = there[0].padding if len({mask.padding for mask in there}) == 1 else "other"
    origin = frozenset().union(*(mask.origin for mask in there))
    if len(there) == len(given) and all(mask.origin == origin for mask in there):
        return Mask(origin, padding)
    along = kind == "Concatenate" and getattr(layer, "axis", -1) == 1
    if (generation == 3 or along) and padding == "equal":
        missing = len(there) < len(given)
        return None if missing and not along else Mask(origin | {id(layer)}, padding)
    got = "masks of different origin" if len(there) == len(given) else "a mask on some inputs alone"
    hint = "Keras then also reads the padding of some" if generation == 3 else "Keras 2 counts the steps that all have"
    raise _errors.bad_value(_where(kind, layer), "inputs of one and the same mask, or of none", got, hint)


def _recurrent(kind: str, layer: Layer, mask: Mask) -> Mask | None:
    if not getattr(layer, "return_sequences", False):
        return None
    options = getattr(layer, "options", {})
    if options.get("go_backwards") or getattr(layer, "go_backwards", False):
        hint = "Keras puts padding first there, but keeps the mask as it is"
        raise _errors.bad_value(
            _where(kind, layer), "go_backwards=False with a mask and return_sequences", "True", hint
        )
    return Mask(mask.origin, "held")


def _reshaped(kind: str, layer: Layer, mask: Mask) -> None:
    if mask.padding != "equal":
        hint = (
            "Keras reads the padding here: the last output repeated, which is 0 here; zero_output_for_mask=True agrees"
        )
        raise _errors.bad_value(_where(kind, layer), _READ, "one behind a recurrent layer", hint)


def _maximum(kind: str, layer: Layer, mask: Mask) -> None:
    if mask.padding != "held":  # the last output repeated changes no maximum
        hint = "Keras takes the padding into the maximum"
        raise _errors.bad_value(_where(kind, layer), _READ, "one", hint)


def _steps(kind: str, layer: Layer, mask: Mask) -> Mask:
    inner = getattr(layer, "layer", None)
    if not isinstance(inner, layers.Dense | layers.Activation | layers.Dropout | layers.LayerNormalization):
        hint = "Keras passes the mask of a step to it"
        raise _errors.bad_value(_where(kind, layer), "Dense, Activation or Dropout under a mask", f"{inner!r}", hint)
    return Mask(mask.origin, "other")


_SINGLE: dict[str, Callable[[str, Layer, Mask], Mask | None]] = {
    **dict.fromkeys(("SimpleRNN", "LSTM", "GRU", "CuDNNLSTM", "CuDNNGRU", "RNN", "Bidirectional"), _recurrent),
    **dict.fromkeys(_RESHAPE, _reshaped),
    "GlobalMaxPooling1D": _maximum,
    "GlobalAveragePooling1D": lambda kind, layer, mask: None,
    "TimeDistributed": _steps,
}
