"""How the training loop runs a model: lists of arrays, one for each input or output."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from recurra import _errors
from recurra.layers.base import Layer
from recurra.layers.weights import inside

if TYPE_CHECKING:
    from recurra._typing import Array, Pullback
    from recurra.models.carry import Carry


class Runnable(Layer):
    """Base of `Trainer`: by default a model runs as the layer that it is.

    Attributes
    ----------
    input_names, output_names : list of str
        Keys of data that comes as a dictionary.
    """

    def __init__(self, *, dtype: Any = "float32", name: str | None = None) -> None:
        super().__init__(dtype=dtype, name=name)
        self.input_names, self.output_names = ["input"], ["output"]
        self._unmoved: list[slice] | None = None

    def _settle(self) -> None:
        """Build the model if it can be already."""

    def get_layer(self, name: str | None = None, index: int | None = None) -> Layer:
        """Return a layer by its name or its number in ``layers``.

        Raises
        ------
        TypeError, ValueError
            If there is none, or neither or both are given.
        """
        layers: list[Layer] = getattr(self, "layers", [])
        if (name is None) == (index is None):
            raise _errors.bad_value("name", "a name or an index", "both" if index is not None else "neither")
        if name is None:
            return layers[_errors.check_integer("index", index, -len(layers), len(layers) - 1)]
        known = {layer.name: layer for layer in layers}
        return known[_errors.check_choice("name", name, known)]

    @property
    def output_shape(self) -> Any:
        """The shape of the output, or the list of shapes of the outputs; None where any size will do."""
        self._settle()
        self._require_built()
        shapes = self._output_shapes(self.input_shape)
        return shapes[0] if len(shapes) == 1 else shapes

    def trace(self, x: Any, lengths: Any = None) -> dict[str, Any]:
        """Return what every layer puts out for inference, recurrent layers with states and gates of every step.

        Parameters
        ----------
        x, lengths
            As in `predict`.

        Returns
        -------
        dict of str to (numpy.ndarray, list of numpy.ndarray, or Trace)
            By name, in the order of computing; inner models' layers as ``"model.layer"``; further calls of a shared
            layer with a number. Recurrent layers have a `recurra.layers.Trace`.

        Raises
        ------
        TypeError, ValueError
            On wrong arguments, or for a model with a ``__call__`` of its own.

        Examples
        --------
        >>> import numpy as np, recurra
        >>> model = recurra.Sequential([recurra.LSTM(20), recurra.Dense(5)])
        >>> trace = model.trace(np.zeros((8, 30, 10)))
        >>> trace["lstm"].h.shape, trace["dense"].shape
        ((8, 30, 20), (8, 5))
        """
        from recurra.models.tracing import trace_model

        return trace_model(self, x, lengths)

    def _examples(self, x: Any, y: Any, lengths: Any) -> tuple[Any, Any, Any]:
        """Return inputs, targets and lengths made of those that a user passes."""
        return x, y, lengths

    @property
    def _integer_inputs(self) -> list[bool]:
        return [self.integer_input]

    def _statistics(self) -> list[tuple[slice, Array]]:
        """Return places and copies of the parameters that pullbacks change themselves, such as moving averages."""
        if self._unmoved is None:
            known = self.weights_declared
            self._unmoved = [slice(w.offset, w.offset + w.size) for w in known if not w.trainable]
        assert self._theta is not None
        return [(place, self._theta[place].copy()) for place in self._unmoved]

    def _restore_statistics(self, statistics: list[tuple[slice, Array]]) -> None:
        """Undo what a pullback changed, if no step followed."""
        assert self._theta is not None
        for place, values in statistics:
            self._theta[place] = values
        self._version.number += 1

    def _outputs(
        self, inputs: list[Array], lengths: list[Any], training: bool, seed: int, carry: Carry | None = None
    ) -> tuple[list[Array], list[Any]]:
        """Return the outputs, and the lengths that count in each."""
        self._check_carried(carry)
        x, steps = (inputs, lengths) if self.merges else (inputs[0], lengths[0])
        return self._listed(self._apply(x, steps, training, seed), x, steps)

    def _taped(
        self, inputs: list[Array], lengths: list[Any], training: bool, seed: int, carry: Carry | None = None
    ) -> tuple[list[Array], list[Any], Pullback]:
        """Return the outputs, the lengths that count in each, and the function from lists to lists of gradients."""
        self._check_carried(carry)
        x, steps = (inputs, lengths) if self.merges else (inputs[0], lengths[0])
        y, pullback = self._differentiate(x, steps, training, seed)
        single = not isinstance(y, list | tuple)

        def backward(dys: list[Array], *, need_dx: bool = True) -> list[Array | None]:
            dx = pullback(dys[0] if single else dys, need_dx=need_dx)
            return dx if self.merges else [dx]

        return *self._listed(y, x, steps), backward

    def _check_carried(self, carry: Carry | None) -> None:
        """Raise if states are to be carried by layers that this model calls itself."""
        if carry is not None and any(getattr(layer, "carries", False) for layer in inside(self)):
            hint = "made by Sequential, or by Model(inputs, outputs)"
            raise _errors.bad_value("model", "a chain or graph, where states are carried", f"{self.name!r}", hint)

    def _listed(self, y: Any, x: Any, lengths: Any) -> tuple[list[Array], list[Any]]:
        outputs = list(y) if isinstance(y, list | tuple) else [y]
        steps = self.compute_lengths(x, lengths)
        return outputs, [steps if output.ndim >= 3 else None for output in outputs]

    def _target_shapes(self, inputs: list[Array]) -> list[tuple[int, ...]]:
        """Return the shapes of the outputs for these inputs."""
        shapes = [array.shape for array in inputs]
        found = self._output_shapes(shapes if self.merges else shapes[0])
        return [tuple(size or 0 for size in shape) for shape in found]
