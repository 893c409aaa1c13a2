"""A model that is a directed graph of layers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from recurra import _errors, _random
from recurra.models import graph
from recurra.models.carry import run, tape
from recurra.models.model import Model

if TYPE_CHECKING:
    from typing import Self

    from recurra._typing import Array, Pullback, Shape
    from recurra.layers.base import Layer
    from recurra.layers.symbolic import Node
    from recurra.models.carry import Carry


class Functional(Model):
    """What ``Model(inputs, outputs)`` returns; see `Model`.

    Attributes
    ----------
    nodes : list of Node
        The calls of layers, in the order in which they compute.
    inputs, outputs : list of SymbolicTensor
        As given.
    """

    _collects = False
    borrows = False

    def __init__(self, inputs: Any = None, outputs: Any = None, *, name: str | None = None) -> None:
        super().__init__(name=name)
        self.inputs, self.input_names = graph.listed("inputs", inputs)
        self.outputs, names = graph.listed("outputs", outputs)
        self.nodes: list[Node] = graph.sorted_nodes(self.inputs, self.outputs)
        graph.check_dtypes(self.nodes)
        self._claim(list(dict.fromkeys(node.layer for node in self.nodes)))
        made_by = [tensor.node.layer.name if tensor.node else tensor.name for tensor in self.outputs]
        self.output_names = graph.distinct(names or made_by)
        self.input_names = graph.distinct(self.input_names or [tensor.name or "input" for tensor in self.inputs])
        self.dtype = self.layers[0].dtype
        self.merges = len(self.inputs) > 1
        self.integer_input = not self.merges and self.inputs[0].dtype.kind in "iu"
        self._wire()
        self.build([tensor.shape for tensor in self.inputs] if self.merges else self.inputs[0].shape)

    def _claim(self, layers: list[Layer]) -> None:
        if all(layer.owner in (None, self) for layer in layers):
            super()._claim(layers)
        else:
            self.borrows, self.layers = True, layers

    def _allocate(self) -> None:
        for layer in self.layers if self.borrows else ():
            layer._allocate()
        super()._allocate()

    @property
    def parameters(self) -> dict[str, Array]:
        """Name to parameter; those of borrowed layers lie in their owner's buffer."""
        if not self.borrows:
            return super().parameters
        return {f"{layer.name}.{name}": view for layer in self.layers for name, view in layer.parameters.items()}

    def _require_own(self, what: str) -> None:
        if self.borrows:
            owner = next(layer.owner for layer in self.layers if layer.owner is not None)
            hint = f"{what} that model, or draw the graph with copies: layer.clone()"
            raise _errors.bad_value("model", "one whose layers are its own", f"layers of {owner.name!r}", hint)

    def _require_compiled(self) -> None:
        self._require_own("train")
        super()._require_compiled()

    def _wire(self) -> None:
        """Number all arrays of a run: inputs first, then each node's outputs."""
        slots = {id(tensor): index for index, tensor in enumerate(self.inputs)}
        self.leaves = 1  # as in a chain, the first call's number is 1; a layer called twice draws twice
        self._steps: list[tuple[Layer, list[int], int, int]] = []  # layer, places of its inputs, of its outputs, seed
        for node in self.nodes:
            first = len(slots)
            slots.update({id(tensor): first + index for index, tensor in enumerate(node.outputs)})
            places = [slots[id(tensor)] for tensor in node.inputs]
            self._steps.append((node.layer, places, first, self.leaves))
            self.leaves += node.layer.leaves
        self._places = len(slots)
        self._results = [slots[id(tensor)] for tensor in self.outputs]

    @property
    def _integer_inputs(self) -> list[bool]:
        return [tensor.dtype.kind in "iu" for tensor in self.inputs]

    def compute_output_shape(self, input_shape: Any) -> Shape:
        """Return the shape of the (first) output for inputs of a shape."""
        return self._all_output_shapes(input_shape)[0]

    def _output_shapes(self, input_shape: Any) -> list[Shape]:
        return self._all_output_shapes(input_shape)

    def _all_output_shapes(self, input_shape: Any) -> list[Shape]:
        shapes: list[Any] = list(input_shape) if self.merges else [input_shape]
        for layer, places, _, _ in self._steps:
            given = [shapes[place] for place in places]
            shapes += layer._output_shapes(given if layer.merges else given[0])
        return [shapes[place] for place in self._results]

    # The verbs

    def __call__(
        self, x: Any, lengths: Any = None, mask: Any = None, training: bool = False, seed: int | None = None
    ) -> Any:
        """Return the output, or the list of outputs.

        Parameters
        ----------
        x : numpy.ndarray, or list of such
            One for each input, of the input's dtype; `predict` converts, this does not.
        lengths : array of int, or list of (array or None), optional
            Steps that count of each sample; a list for several inputs.
        mask : array of bool, optional
            The same by steps, for one input.
        training : bool, default False
            Draw the masks of dropout and zoneout.
        seed : int, optional
            Of those masks; by default each call draws new ones.

        Returns
        -------
        numpy.ndarray or list of numpy.ndarray
            The outputs.

        Raises
        ------
        TypeError, ValueError
            If an argument does not fit.
        """
        inputs, steps = self._arguments(x, lengths, mask)
        outputs, _ = self._outputs(inputs, steps, training, self._call_seed(seed, training))
        return outputs[0] if len(outputs) == 1 else outputs

    def vjp(
        self, x: Any, lengths: Any = None, mask: Any = None, training: bool = True, seed: int | None = None
    ) -> tuple[Any, Pullback]:
        """Return the output(s) and the function that backpropagates through this call.

        Parameters
        ----------
        x, lengths, mask, training, seed
            As in a call.

        Returns
        -------
        outputs : numpy.ndarray or list of numpy.ndarray
            As from a call.
        pullback : callable
            ``dx = pullback(dy)`` adds into `gradients`; lists where there are several inputs or outputs.
        """
        inputs, steps = self._arguments(x, lengths, mask)
        outputs, _, pullback = self._taped(inputs, steps, training, self._call_seed(seed, training))
        if len(outputs) == 1 and not self.merges:
            return outputs[0], lambda dy, *, need_dx=True: pullback([dy], need_dx=need_dx)[0]
        if len(outputs) == 1:
            return outputs[0], lambda dy, *, need_dx=True: pullback([dy], need_dx=need_dx)
        if not self.merges:
            return outputs, lambda dys, *, need_dx=True: pullback(dys, need_dx=need_dx)[0]
        return outputs, pullback

    def check_input(self, x: Any, argument: str = "x") -> None:
        """Check arrays against the placeholders of the inputs; see `Layer.check_input`."""
        if self.merges and (not isinstance(x, list | tuple) or len(x) != len(self.inputs)):
            hint = ", ".join(self.input_names)
            got = f"{len(x)} of them" if isinstance(x, list | tuple) else _errors.describe(x)
            raise _errors.bad_type(argument, f"a list of {len(self.inputs)} inputs", got, hint)
        given = list(x) if self.merges else [x]
        for name, tensor, array in zip(self.input_names, self.inputs, given, strict=True):
            graph.check_array(f"{argument}[{name!r}]" if self.merges else argument, array, tensor, given[0])
        self._allocate()

    def _arguments(self, x: Any, lengths: Any, mask: Any) -> tuple[list[Array], list[Array | None]]:
        """Return checked inputs and the lengths of each."""
        self.check_input(x)
        inputs = list(x) if self.merges else [x]
        given = lengths if isinstance(lengths, list) and self.merges else [lengths, *(None,) * (len(inputs) - 1)]
        if len(given) != len(inputs):
            raise _errors.bad_value("lengths", f"{len(inputs)} entries", f"{len(given)}", "None where all steps count")
        steps = []
        for array, some in zip(inputs, given, strict=True):
            masked = mask if array is inputs[0] else None
            both = some is None and masked is None
            steps.append(None if both else _errors.resolve_lengths(some, masked, len(array), array.shape[1]))
        return inputs, steps

    def _outputs(
        self, inputs: list[Array], lengths: list[Any], training: bool, seed: int, carry: Carry | None = None
    ) -> tuple[list[Array], list[Any]]:
        arrays, steps = list(inputs), list(lengths)
        for layer, places, first, offset in self._steps:
            given, counts = [arrays[place] for place in places], [steps[place] for place in places]
            outputs, after = run(layer, given, counts, training, _random.shifted(seed, offset), carry, first)
            arrays += outputs
            steps += after
        return [arrays[place] for place in self._results], [steps[place] for place in self._results]

    def _taped(
        self, inputs: list[Array], lengths: list[Any], training: bool, seed: int, carry: Carry | None = None
    ) -> tuple[list[Array], list[Any], Pullback]:
        arrays, steps, pullbacks = list(inputs), list(lengths), []
        for layer, places, first, offset in self._steps:
            given, counts = [arrays[place] for place in places], [steps[place] for place in places]
            drawn = _random.shifted(seed, offset)
            outputs, after, pullback = tape(layer, given, counts, training, drawn, carry, first)
            arrays += outputs
            steps += after
            pullbacks.append(pullback)

        def backward(dys: list[Array | None], *, need_dx: bool = True) -> list[Array | None]:
            return self._pull(pullbacks, dys, need_dx)

        return [arrays[place] for place in self._results], [steps[place] for place in self._results], backward

    def _pull(self, pullbacks: list[Pullback], dys: list[Array | None], need_dx: bool) -> list[Array | None]:
        """Run the pullbacks in reverse, adding up the gradients of each array."""
        gradients: list[Array | None] = [None] * self._places
        for place, dy in zip(self._results, dys, strict=True):
            gradients[place] = graph.add(gradients[place], dy)
        count = len(self.inputs)
        for (_, places, first, _), node, pullback in zip(
            reversed(self._steps), reversed(self.nodes), reversed(pullbacks), strict=True
        ):
            mine = gradients[first : first + len(node.outputs)]
            if all(dy is None for dy in mine):
                continue
            needed = need_dx or any(place >= count for place in places)
            for place, dx in zip(places, pullback(mine, need_dx=needed), strict=True):
                gradients[place] = graph.add(gradients[place], dx)
        return gradients[:count]

    def _apply(self, x: Any, lengths: Any, training: bool, seed: int) -> Array:
        return self._outputs(*self._as_lists(x, lengths), training, seed)[0][0]

    def _differentiate(self, x: Any, lengths: Any, training: bool, seed: int) -> tuple[Array, Pullback]:
        outputs, _, pullback = self._taped(*self._as_lists(x, lengths), training, seed)
        if self.merges:
            return outputs[0], lambda dy, *, need_dx=True: pullback([dy], need_dx=need_dx)
        return outputs[0], lambda dy, *, need_dx=True: pullback([dy], need_dx=need_dx)[0]

    def _as_lists(self, x: Any, lengths: Any) -> tuple[list[Array], list[Any]]:
        return (list(x), list(lengths)) if self.merges else ([x], [lengths])

    def _apply_node(self, inputs: list[Array], lengths: list[Any], training: bool, seed: int) -> list[Array]:
        return self._outputs(inputs, lengths, training, seed)[0]

    def _differentiate_node(
        self, inputs: list[Array], lengths: list[Any], training: bool, seed: int
    ) -> tuple[list[Array], Pullback]:
        outputs, _, pullback = self._taped(inputs, lengths, training, seed)
        return outputs, pullback

    def _node_lengths(self, inputs: list[Array], lengths: list[Any]) -> list[Any]:
        return self._outputs(inputs, lengths, False, 0)[1]

    # Copies and files

    def get_config(self) -> dict[str, Any]:
        """Return the name, the layers by class and arguments, and the calls that connect them."""
        self._require_own("save")
        return {"name": self.name if self.named else None, **graph.to_config(self)}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: dict[str, type[Layer]] | None = None) -> Self:
        """Return a new model from what `get_config` returned."""
        inputs, outputs = graph.from_config(config, custom_objects)
        return cls(inputs, outputs, name=config.get("name"))

    def _like(self, dtype: str) -> Self:
        config = self.get_config()
        inputs, outputs = graph.from_config(config, None, [layer._like(dtype) for layer in self.layers], dtype)
        return type(self)(inputs, outputs, name=config["name"])

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore, (type(self), self.get_config(), self.layers), self._state()


def _restore(cls: type[Functional], config: dict[str, Any], layers: list[Layer]) -> Functional:
    inputs, outputs = graph.from_config(config, None, layers)
    return cls(inputs, outputs, name=config["name"])
