"""What every layer of a model puts out for an input."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from recurra import _errors
from recurra.layers.recurrent import Recurrent
from recurra.layers.trace import traced
from recurra.models.functional import Functional
from recurra.models.sequential import Sequential

if TYPE_CHECKING:
    from recurra._typing import Array
    from recurra.layers.base import Layer
    from recurra.training.runnable import Runnable


def trace_model(model: Runnable, x: Any, lengths: Any = None) -> dict[str, Any]:
    """Return the outputs of all layers by name; see `recurra.training.runnable.Runnable.trace`."""
    from recurra.training import checking

    if not isinstance(model, Sequential | Functional):
        hint = "trace its layers"
        raise _errors.bad_value("model", "a Sequential or a Model(inputs, outputs)", f"{model.name!r}", hint)
    given = checking.samples(model, x, None, lengths)
    found: dict[str, Any] = {}
    _run(model, given.x, given.lengths, found, "")
    return found


def _run(
    model: Sequential | Functional, inputs: list[Array], lengths: list[Any], found: dict[str, Any], prefix: str
) -> tuple[list[Array], list[Any]]:
    """Run a model layer by layer, putting down what each puts out; return its outputs with their lengths."""
    arrays, steps = list(inputs), list(lengths)
    for layer, places in calls(model):
        given, counts = [arrays[place] for place in places], [steps[place] for place in places]
        name, number = f"{prefix}{layer.name}", 0
        while name in found:  # a shared layer
            number += 1
            name = f"{prefix}{layer.name}_{number}"
        if isinstance(layer, Sequential | Functional):
            outputs, after = _run(layer, given, counts, found, f"{name}.")
            found[name] = outputs[0] if len(outputs) == 1 else outputs
        else:
            after = layer._node_lengths(given, counts)
            found[name], outputs = _call(layer, given, counts)
        arrays += outputs
        steps += after
    results = [len(arrays) - 1] if isinstance(model, Sequential) else model._results
    return [arrays[place] for place in results], [steps[place] for place in results]


def calls(model: Sequential | Functional) -> list[tuple[Layer, list[int]]]:
    """Return the calls of layers in order, with the numbers of the arrays that each reads: inputs, then outputs."""
    if isinstance(model, Sequential):
        return [(layer, [index]) for index, layer in enumerate(model.layers)]
    return [(layer, places) for layer, places, _, _ in model._steps]


def _call(layer: Layer, inputs: list[Array], lengths: list[Any]) -> tuple[Any, list[Array]]:
    if not isinstance(layer, Recurrent):
        outputs = layer._apply_node(inputs, lengths, False, 0)
        return outputs[0] if len(outputs) == 1 else outputs, outputs
    trace, hn, cn = traced(layer, inputs[0], *layer._node_start(inputs), lengths[0])
    return trace, [trace.outputs, *layer._states(hn, cn)] if layer.return_state else [trace.outputs]
