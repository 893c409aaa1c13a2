"""The contract of every layer: three verbs, and parameters that are views into one flat buffer."""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING, Any

import numpy as np

from recurra import _errors
from recurra.layers._copies import particulars, take_on
from recurra.layers.exchange import Exchanged
from recurra.layers.parameters import building
from recurra.layers.symbolic import SymbolicTensor, connect, is_symbolic

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Self

    from recurra._typing import Array, Pullback, Shape
    from recurra.streaming import Stepper, Stream


class Layer(Exchanged):
    """Base of all layers.

    A layer has three verbs::

        y = layer(x)                    inference: pure, thread-safe, saves nothing in the layer
        y, pullback = layer.vjp(x)      training: dx = pullback(dy) also adds into layer.gradients
        layer.build(input_shape)        declares the parameters; calling a layer builds it

    A subclass overrides ``__call__`` and ``vjp``, and ``build`` if it has parameters: call ``super().build`` first,
    then ``add_weight`` for each. A pullback takes ``dy`` and the keyword ``need_dx``.

    Parameters
    ----------
    dtype : {"float32", "float64"}, default "float32"
        Of parameters, inputs and outputs.
    name : str, optional
        Unique within a model; by default made from the class's name.
    seed : int, optional
        For initial values and masks; by default taken from the global seed (`recurra.set_random_seed`) when needed.

    Attributes
    ----------
    parameters, gradients : dict of str to numpy.ndarray
        Views into one flat buffer each (`flat_parameters`, `flat_gradients`). Write into them, never replace them.
    built : bool
        Whether the layer knows its input.

    Raises
    ------
    TypeError, ValueError
        On wrong arguments; the layer stays as it was.

    Notes
    -----
    Calls on one layer from several threads are safe, also with ``vjp``; pullbacks of one layer add into the same
    gradients, so run those from one thread.

    Examples
    --------
    A layer of one's own, a learned scale for each feature:

    >>> import numpy as np
    >>> from recurra.layers import Layer
    >>> class Scale(Layer):
    ...     def build(self, input_shape):
    ...         super().build(input_shape)
    ...         self.add_weight("scale", (input_shape[-1],), "ones")
    ...     def __call__(self, x):
    ...         self.ensure_built(x.shape)
    ...         return x * self.parameters["scale"]
    ...     def vjp(self, x):
    ...         def pullback(dy, *, need_dx=True):
    ...             self.gradients["scale"] += (x * dy).sum(axis=tuple(range(x.ndim - 1)))
    ...             return dy * self.parameters["scale"]
    ...         return self(x), pullback
    >>> Scale()(np.ones((2, 3), np.float32)).shape
    (2, 3)
    """

    # Whether a step's output depends on that step's input alone, so that the layer can stand in a stream as it is.
    pointwise: bool = False
    # Names of the input's axes, or None where any number will do.
    input_axes: tuple[str, ...] | None = None
    # Whether x is integers, as an Embedding reads.
    integer_input: bool = False
    # Whether x is a list of arrays, as Add takes; lengths, input shapes and gradients are lists then too.
    merges: bool = False
    # Whether it must know the sizes of all axes but the batch, as Flatten does, and not just the features.
    sized: bool = False
    # Whether compute_lengths reads the values of x, as Masking does, and not just its shape.
    makes_lengths: bool = False
    # Whether it has states that truncated backpropagation carries from one stretch of a sequence to the next:
    # `_apply_carried` and `_differentiate_carried` take them (None: start anew) and return the next ones last.
    carries: bool = False
    # How many seeds one call consumes: a layer's number in a model, added to the call's seed, makes its own.
    leaves: int = 1

    def __init__(self, *, dtype: Any = "float32", name: str | None = None, seed: int | None = None) -> None:
        if name is not None and (not isinstance(name, str) or not name or set(name) & set("./")):
            raise _errors.bad_value("name", "a text without dots and slashes", repr(name))
        super().__init__(np.dtype(_errors.check_dtype("dtype", dtype)), seed)
        self.name = name if name is not None else _snake(type(self).__name__)
        self.named = name is not None
        self.input_shape: Shape | None = None
        self.owner: Layer | None = None

    # The verbs

    def build(self, input_shape: Any) -> None:
        """Declare the parameters for inputs of this shape; values are made when first needed.

        Parameters
        ----------
        input_shape : tuple of (int or None), or a list of such where the layer takes several inputs
            As of the array that the layer is called on, batch axis first; None where any size will do.

        Raises
        ------
        ValueError
            If the layer is built already for another number of features, or the shape does not suit it.
        """
        shape: Any = _check_input_shapes(input_shape, self) if self.merges else None
        shape = shape or _check_input_shape(input_shape, self.input_axes, self.integer_input)
        if self.built and self._features not in (None, shape[-1]):
            known = f"{self._features} features, as layer {self.name!r} was built"
            raise _errors.bad_value("input_shape", known, f"{shape[-1]}", "make a new layer")
        if not self.built:
            self._weights_declared.clear()
            self._inner.clear()
        self.input_shape = shape
        self.built = True

    def __call__(self, x: Any) -> Any:
        """Return the layer's outputs for ``x``, for inference."""
        raise NotImplementedError(f"{type(self).__name__} defines no __call__")

    def vjp(self, x: Any) -> tuple[Any, Pullback]:
        """Return the layer's outputs for ``x`` and the function that backpropagates through this call."""
        raise NotImplementedError(f"{type(self).__name__} defines no vjp")

    def stream(self, batch_size: int = 1) -> Stream:
        """Return the layer as a stream, to be fed one time step at a time; see `recurra.Stream`.

        Parameters
        ----------
        batch_size : int, default 1
            Rows of every step.

        Returns
        -------
        Stream
            With states of its own, starting anew.

        Raises
        ------
        TypeError, ValueError
            If the layer is not built or cannot run step by step.
        """
        from recurra.streaming import Stream

        return Stream(self, batch_size)

    def _steppers(self, batch_size: int) -> Iterable[Stepper]:
        """Return the parts of a stream."""
        from recurra.streaming import PointwiseStepper

        if not self.pointwise:
            hint = "a class of your own may set pointwise = True"
            raise _errors.bad_value("layer", "one that can run step by step", f"{self.name!r}", hint)
        return [PointwiseStepper(self)]

    def __init_subclass__(cls, **options: Any) -> None:
        """Let calls on placeholders draw a graph."""
        super().__init_subclass__(**options)
        if "__call__" in cls.__dict__:
            cls.__call__ = _drawing(cls.__dict__["__call__"])  # type: ignore[method-assign]

    # What a model calls: the same verbs on checked input, with everything a layer may want. Merging layers take lists
    # of arrays and of lengths.

    def _apply(self, x: Any, lengths: Any, training: bool, seed: int) -> Array:
        y: Array = self(x)
        return y

    def _differentiate(self, x: Any, lengths: Any, training: bool, seed: int) -> tuple[Array, Pullback]:
        return self.vjp(x)

    def compute_output_shape(self, input_shape: Any) -> Shape:
        """Return the shape of the output for inputs of a shape (None: any size); by default the same."""
        shape: Shape = input_shape
        return shape

    def compute_lengths(self, x: Any, lengths: Any) -> Array | None:
        """Return the lengths that count on the output's time axis (None: all); by default those of the input.

        A layer without a time axis in its output returns None.
        """
        return lengths if not self.merges else next((some for some in lengths if some is not None), None)

    def _apply_carried(self, x: Any, lengths: Any, training: bool, seed: int, states: Any) -> tuple[Array, Any]:
        raise NotImplementedError

    def _differentiate_carried(
        self, x: Any, lengths: Any, training: bool, seed: int, states: Any
    ) -> tuple[Array, Pullback, Any]:
        raise NotImplementedError

    # The same for a graph, where a call may have several inputs and outputs.

    def _more_inputs(self) -> list[SymbolicTensor]:
        """Return the placeholders among the further arguments of a call."""
        return []

    def _output_shapes(self, input_shape: Any) -> list[Shape]:
        return [self.compute_output_shape(input_shape)]

    def _apply_node(self, inputs: list[Array], lengths: list[Any], training: bool, seed: int) -> list[Array]:
        if self.merges:
            return [self._apply(inputs, lengths, training, seed)]
        return [self._apply(inputs[0], lengths[0], training, seed)]

    def _differentiate_node(
        self, inputs: list[Array], lengths: list[Any], training: bool, seed: int
    ) -> tuple[list[Array], Pullback]:
        """Return the outputs, and the function from their gradients (a list) to those of the inputs (a list)."""
        if self.merges:
            y, pullback = self._differentiate(inputs, lengths, training, seed)
            return [y], lambda dys, *, need_dx=True: pullback(dys[0], need_dx=need_dx)
        y, pullback = self._differentiate(inputs[0], lengths[0], training, seed)
        return [y], lambda dys, *, need_dx=True: [pullback(dys[0], need_dx=need_dx)]

    def _node_lengths(self, inputs: list[Array], lengths: list[Any]) -> list[Any]:
        """Return the lengths of each output."""
        return [self.compute_lengths(inputs, lengths) if self.merges else self.compute_lengths(inputs[0], lengths[0])]

    def check_input(self, x: Any, argument: str = "x") -> None:
        """Check an array that the layer is called on, and build the layer if it is not.

        Parameters
        ----------
        x : numpy.ndarray, or a list of such where the layer takes several inputs
            Must have the layer's dtype, axes and number of features.
        argument : str, default "x"
            What a message calls it.

        Raises
        ------
        TypeError, ValueError
            If it does not fit.
        """
        if self.merges or self.integer_input:
            self._check_unusual_input(x, argument)
            return
        axes = self.input_axes
        if (
            self._theta is not None
            and axes is not None
            and isinstance(x, np.ndarray)
            and x.ndim == len(axes)
            and x.dtype == self.dtype
            and self._features in (None, x.shape[-1])
        ):
            return  # what nearly every call brings, without the words for the others
        if axes is None:
            count = max(2, x.ndim if isinstance(x, np.ndarray) else 2)
            axes = ("batch", *("time", "axis 2", "axis 3")[: count - 2], "features")[:count]
            axes += ("axis",) * (count - len(axes))
        _errors.check_array(argument, x, self.dtype, axes, (*(None,) * (len(axes) - 1), self._features))
        self.ensure_built(x.shape)

    def _check_unusual_input(self, x: Any, argument: str) -> None:
        """Check integers, or a list of inputs; and build the layer if it is not."""
        if not self.merges:
            _errors.check_integers(argument, x)
            self.ensure_built(x.shape)
            return
        if not isinstance(x, list | tuple) or not x:
            raise _errors.bad_type(argument, f"a list of arrays for {self.name!r}", x)
        for index, part in enumerate(x):
            axes = ("batch", *("axis",) * (np.ndim(part) - 1))
            _errors.check_array(f"{argument}[{index}]", part, self.dtype, axes, (len(x[0]), *(None,) * (len(axes) - 1)))
        self.ensure_built([part.shape for part in x])

    def ensure_built(self, shape: Any) -> None:
        """Build the layer for an input of this shape unless it is built, and make its parameters."""
        if self._theta is None:
            with building:
                if not self.built:
                    opened = [_open(part, self.sized) for part in (shape if self.merges else [shape])]
                    self.build(opened if self.merges else opened[0])
                self._allocate()

    @property
    def _features(self) -> int | None:
        """The size of the input's last axis, if the layer is tied to one."""
        if self.input_shape is None or self.merges or self.integer_input or not self._weights_declared:
            return None
        return self.input_shape[-1]

    # Copies and files

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, as far as they can be written as JSON; subclasses add theirs."""
        return {"dtype": self.dtype.name, "name": self.name if self.named else None, "seed": self.seed}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Return a new layer made with the arguments that `get_config` returned."""
        return cls(**config)

    def clone(self, dtype: Any = None) -> Self:
        """Return an independent copy with the same parameters, in another dtype if one is given."""
        copy = self._like(self.dtype.name if dtype is None else _errors.check_dtype("dtype", dtype))
        copy.name = self.name
        if self.built and self.input_shape is not None:
            copy.build(self.input_shape)
            self._allocate()
            assert self._theta is not None
            copy._attach(self._theta.astype(copy.dtype), np.zeros(copy.size, copy.dtype))
        copy._set_flags(self._flags())
        return copy

    def _like(self, dtype: str) -> Self:
        """Return a new layer with the same arguments but dtype."""
        try:
            return self.from_config({**self.get_config(), "dtype": dtype})
        except TypeError as error:
            hint = f"give {type(self).__name__} a get_config that returns its constructor's arguments, dtype among them"
            raise _errors.bad_type("layer", "one that can be made anew in another dtype", str(error), hint) from error

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore, (type(self), self.get_config(), *particulars(self)), self._state()

    def _state(self) -> dict[str, Any]:
        """Return what a copy takes on once it is made."""
        return {"flags": self._flags()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._set_flags(state["flags"])
        self.__dict__.update({key: value for key, value in state.items() if key != "flags"})

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r}>"


def _restore(cls: type[Layer], config: dict[str, Any], *rest: Any) -> Layer:
    return take_on(cls.from_config(config), *rest)


def _drawing(call: Any) -> Any:
    """Return a layer's ``__call__`` that also takes placeholders."""

    @functools.wraps(call)
    def either(self: Layer, x: Any, *arguments: Any, **options: Any) -> Any:
        if type(x) is np.ndarray or not is_symbolic(x):
            return call(self, x, *arguments, **options)
        return connect(self, x, *arguments, **options)

    return either


def _snake(name: str) -> str:
    """Return ``SimpleRNN`` as ``simple_rnn``."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def _open(shape: tuple[int, ...], sized: bool) -> Shape:
    """Return a shape with nothing but the number of features fixed, or with all but the batch."""
    return (None, *shape[1:]) if sized else (None,) * (len(shape) - 1) + shape[-1:]


def _check_input_shapes(shapes: object, layer: Layer) -> list[Shape]:
    if not isinstance(shapes, list | tuple) or not shapes or not isinstance(shapes[0], list | tuple):
        raise _errors.bad_type("input_shape", "a list of shapes, one for each input", shapes)
    kinds = getattr(layer, "_integer_inputs", [False] * len(shapes))
    return [_check_input_shape(shape, None, kind) for shape, kind in zip(shapes, kinds, strict=False)]


def _check_input_shape(shape: object, axes: tuple[str, ...] | None, integers: bool = False) -> Shape:
    if not isinstance(shape, tuple | list) or not shape:
        raise _errors.bad_type("input_shape", "a tuple such as (batch, time, features)", shape)
    if axes is not None and len(shape) != len(axes):
        hint = "the batch axis comes first; None where any size will do"
        raise _errors.bad_value("input_shape", f"{len(axes)} axes ({', '.join(axes)})", f"{tuple(shape)}", hint)
    sizes = [None if size is None else _errors.check_integer("input_shape", size, 0) for size in shape]
    if not integers and (sizes[-1] is None or sizes[-1] < 1):
        hint = "the last axis is the number of features"
        raise _errors.bad_value("input_shape", "a last axis of at least 1", f"{tuple(shape)}", hint)
    return tuple(sizes)
