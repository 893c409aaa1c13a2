"""Parameters and gradients of a layer: declared by name, kept as views into two flat buffers."""

from __future__ import annotations

import itertools
import math
import threading
from typing import TYPE_CHECKING, Any

import numpy as np

from recurra import _errors, _random, initializers

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from recurra._typing import Array

building = threading.RLock()  # lazy building and allocation happen once, whichever thread comes first


class Weight:
    """A parameter as a layer declares it: name, shape, place in the flat buffer, how it starts."""

    __slots__ = ("initializer", "name", "offset", "shape", "size")

    def __init__(self, name: str, shape: tuple[int, ...], offset: int, initializer: Callable[..., Array]) -> None:
        self.name, self.shape, self.offset, self.initializer = name, shape, offset, initializer
        self.size = math.prod(shape)


class Version:
    """How often the values of a flat buffer were changed by the library; shared by all whose parameters lie in it."""

    __slots__ = ("number",)

    def __init__(self) -> None:
        self.number = 0


class Parameterized:
    """What a layer is as the owner of parameters; `Layer` is the class to derive from.

    Parameters
    ----------
    dtype : numpy.dtype
        Of parameters and gradients.
    seed : int, optional
        See `Layer`.
    """

    # Whether calls with training=True draw random masks; set on instances.
    random: bool = False

    def __init__(self, dtype: np.dtype[Any], seed: int | None) -> None:
        self.dtype = dtype
        self.name = ""
        self.built = False
        self.seed = None if seed is None else _errors.check_seed("seed", seed)
        self._drawn_seed: int | None = self.seed
        self._calls = itertools.count()
        self._weights_declared: list[Weight] = []
        self._theta: Array | None = None
        self._grad: Array | None = None
        self._views: tuple[dict[str, Array], dict[str, Array]] = ({}, {})
        self._version = Version()
        self._handed_out = False  # whether someone else may hold, and change, the parameters

    def add_weight(self, name: str, shape: tuple[int, ...], initializer: Any = "zeros", *, width: int = 1) -> None:
        """Declare a parameter; to be called from ``build``. Declaring it again changes nothing.

        Parameters
        ----------
        name : str
            Key in `parameters` and `gradients`.
        shape : tuple of int
            Of the parameter.
        initializer : str or callable, default "zeros"
            A name from `recurra.initializers`, or ``f(shape, seed, stream) -> array``.
        width : int, default 1
            What "pytorch_uniform" derives its bound from.
        """
        shape = tuple(shape)
        for weight in self._weights_declared:
            if weight.name == name:
                if weight.shape != shape:
                    raise _errors.bad_value("shape", f"{weight.shape} for {name!r}", f"{shape}")
                return
        function = initializers.resolve(initializers.check("initializer", initializer), width)
        self._weights_declared.append(Weight(name, shape, self.size, function))

    @property
    def weights_declared(self) -> list[Weight]:
        """The parameters in the order of the flat buffer; known once the layer is built."""
        self._require_built()
        return self._weights_declared

    @property
    def size(self) -> int:
        """The number of parameters, in elements."""
        last = self._weights_declared[-1] if self._weights_declared else None
        return 0 if last is None else last.offset + last.size

    @property
    def parameters(self) -> dict[str, Array]:
        """Name to parameter, as views into `flat_parameters`."""
        self._allocate()
        self._hand_out()
        return self._views[0]

    @property
    def gradients(self) -> dict[str, Array]:
        """Name to gradient, as views into `flat_gradients`; pullbacks add into them."""
        self._allocate()
        return self._views[1]

    @property
    def flat_parameters(self) -> Array:
        """All parameters as one contiguous vector."""
        self._allocate()
        self._hand_out()
        assert self._theta is not None
        return self._theta

    @property
    def flat_gradients(self) -> Array:
        """All gradients as one contiguous vector, laid out as `flat_parameters`."""
        self._allocate()
        assert self._grad is not None
        return self._grad

    def get_weights(self) -> list[Array]:
        """Return copies of the parameters, in the order of `parameters`."""
        self._allocate()
        return [view.copy() for view in self._views[0].values()]

    def set_weights(self, weights: Sequence[Array]) -> None:
        """Copy values into the parameters.

        Parameters
        ----------
        weights : sequence of array_like
            As returned by `get_weights`: one for each parameter, in order and in its shape.

        Raises
        ------
        TypeError, ValueError
            If their number or a shape does not fit; the parameters stay as they were.

        Examples
        --------
        >>> import numpy as np, recurra
        >>> first, second = recurra.Dense(2), recurra.Dense(2)
        >>> x = np.ones((1, 3), np.float32)
        >>> y = first(x)
        >>> second.build((None, 3))
        >>> second.set_weights(first.get_weights())
        >>> bool((second(x) == y).all())
        True
        """
        self._allocate()
        views = self._views[0]
        if len(weights) != len(views):
            raise _errors.bad_value("weights", f"{len(views)} arrays", f"{len(weights)}", f"{', '.join(views)}")
        arrays = [np.asarray(values, self.dtype) for values in weights]
        for (name, view), values in zip(views.items(), arrays, strict=True):
            if values.shape != view.shape:
                raise _errors.bad_value("weights", f"shape {view.shape} for {name!r}", f"{values.shape}")
        try:
            for view, values in zip(views.values(), arrays, strict=True):
                view[...] = values
        finally:
            self._version.number += 1

    def _hand_out(self) -> None:
        """Note that the parameters can change at any time from now on: they are compared before every use."""
        self._handed_out = True

    def zero_gradients(self) -> None:
        """Set all gradients to zero."""
        self.flat_gradients.fill(0.0)

    def bind(self, parameters: Array, gradients: Array) -> None:
        """Move the parameters and gradients into two buffers of someone else; current values move along.

        Parameters
        ----------
        parameters, gradients : numpy.ndarray
            Contiguous, writeable, of the layer's dtype and `size`.

        Raises
        ------
        TypeError, ValueError
            If a buffer is read-only, or has another dtype or size.
        """
        self._require_built()
        for argument, buffer in (("parameters", parameters), ("gradients", gradients)):
            _errors.check_array(argument, buffer, self.dtype, ("elements",), (self.size,))
            _errors.check_writeable(argument, buffer)
            if not buffer.flags.c_contiguous:
                raise _errors.bad_value(argument, "a contiguous array", "a strided one")
        self._move(parameters, gradients)
        self._hand_out()

    def _move(self, parameters: Array, gradients: Array) -> None:
        """Fill the buffers with the current values and use them."""
        if self._theta is None or self._grad is None:
            self._initialize(parameters)
            gradients.fill(0.0)
        else:
            parameters[...], gradients[...] = self._theta, self._grad
        self._attach(parameters, gradients)

    def _attach(self, parameters: Array, gradients: Array, version: Version | None = None) -> None:
        """Use the buffers as they are; ``version``: that of the model whose buffers they are parts of."""
        views: tuple[dict[str, Array], dict[str, Array]] = ({}, {})
        for weight in self._weights_declared:
            place = slice(weight.offset, weight.offset + weight.size)
            views[0][weight.name] = parameters[place].reshape(weight.shape)
            views[1][weight.name] = gradients[place].reshape(weight.shape)
        self._views, self._grad = views, gradients
        self._version, self._handed_out = version or Version(), False
        self._theta = parameters  # last: it tells other threads that the rest is there

    def _initialize(self, parameters: Array) -> None:
        """Fill a buffer with initial values."""
        for stream, weight in enumerate(self._weights_declared):
            values = weight.initializer(weight.shape, self._seed(), stream)
            parameters[weight.offset : weight.offset + weight.size] = np.asarray(values).reshape(-1)

    def _allocate(self) -> None:
        if self._theta is None:
            with building:
                if self._theta is None:
                    self._require_built()
                    self._move(np.empty(self.size, self.dtype), np.empty(self.size, self.dtype))

    def _require_built(self) -> None:
        if not self.built:
            raise _errors.not_built(self.name)

    # Seeds

    def _seed(self) -> int:
        if self._drawn_seed is None:
            self._drawn_seed = _random.next_seed()
        return self._drawn_seed

    def _call_seed(self, seed: int | None, training: bool) -> int:
        """Return the seed of the masks of one call."""
        if seed is not None:
            return _errors.check_seed("seed", seed)
        if not (training and self.random):
            return 0
        return _random.derive(self._seed(), _random.STREAM_CALL, next(self._calls))
