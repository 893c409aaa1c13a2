"""Parameters and gradients of a layer: declared by name, kept as views into two flat buffers."""

from __future__ import annotations

import itertools
import threading
from typing import TYPE_CHECKING, Any

import numpy as np

from recurra import _errors, _random, initializers
from recurra.layers.weights import Part, Rows, Weight, inside, moving_parts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from recurra._typing import Array

building = threading.RLock()  # lazy building and allocation happen once, whichever thread comes first


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
    # Grows whenever a layer anywhere is frozen or thawed, so that what was derived from it is derived anew.
    _freezing = itertools.count()
    _frozen_at = next(_freezing)

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
        self._inner: list[tuple[Parameterized, slice]] = []  # layers whose parameters are parts of this one's
        self._trainable = True
        self._moving: tuple[int, list[Part], list[Rows | None]] | None = None
        self._penalised = False  # whether any parameter has a regularizer or a constraint
        self._sparse: list[tuple[Weight, Rows]] = []  # parameters with gradients in some rows only

    def add_weight(
        self,
        name: str,
        shape: tuple[int, ...],
        initializer: Any = "zeros",
        *,
        width: int = 1,
        trainable: bool = True,
        sparse: bool = False,
        regularizer: Any = None,
        constraint: Any = None,
    ) -> None:
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
        trainable : bool, default True
            False for statistics: kept and saved with the others, moved by no optimizer.
        sparse : bool, default False
            A table whose pullback touches few rows, and names them by `_touch`; a training step costs as much as
            these rows.
        regularizer, constraint : optional
            Objects from `recurra.regularizers` and `recurra.constraints`.
        """
        shape = tuple(shape)
        for weight in self._weights_declared:
            if weight.name == name:
                if weight.shape != shape:
                    raise _errors.bad_value("shape", f"{weight.shape} for {name!r}", f"{shape}")
                return
        function = initializers.resolve(initializers.check("initializer", initializer), width)
        weight = Weight(self, name, shape, self.size, function)
        weight.trainable, weight.rows = trainable, Rows() if sparse else None
        weight.regularizer, weight.constraint = regularizer, constraint
        self._weights_declared.append(weight)

    def _adopt(self, layer: Parameterized, prefix: str) -> None:
        """Declare the parameters of a built layer as this one's, their names after ``prefix`` and a dot."""
        start = self.size
        self._weights_declared += [weight.under(prefix, start) for weight in layer.weights_declared]
        self._inner.append((layer, slice(start, start + layer.size)))

    def _touch(self, name: str, rows: Array) -> None:
        """Note which rows of a sparse parameter a pullback has added gradients into."""
        for weight in self._weights_declared:
            if weight.name == name and weight.rows is not None:
                weight.rows.add(rows)

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
    def trainable(self) -> bool:
        """Whether optimizers move the parameters; setting it also sets it for all layers inside."""
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        self._trainable = _errors.check_flag("trainable", value)
        for layer in self._held():
            layer.trainable = value
        Parameterized._frozen_at = next(self._freezing)

    def _held(self) -> Sequence[Parameterized]:
        """Return the layers inside this one, also before it is built."""
        return [layer for layer, _ in self._inner]

    def count_params(self) -> int:
        """Return the number of parameters, those that are not trained included; known once the layer is built."""
        self._require_built()
        return self.size

    def _flags(self) -> list[bool]:
        """Return `trainable` of this layer and of all inside, for copies."""
        return [self._trainable, *(layer._trainable for layer in inside(self))]

    def _set_flags(self, flags: Sequence[bool]) -> None:
        for layer, flag in zip([self, *inside(self)], flags, strict=False):
            layer._trainable = _errors.check_flag("trainable", flag)
        Parameterized._frozen_at = next(self._freezing)

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

    def _hand_out(self) -> None:
        """Note that the parameters can change at any time from now on: they are compared before every use."""
        self._handed_out = True
        for layer, _ in self._inner:
            layer._hand_out()

    # What a training step does to the flat buffers

    def zero_gradients(self) -> None:
        """Set all gradients to zero."""
        gradients, start = self.flat_gradients if self._grad is None else self._grad, 0
        for weight, rows in self._sparse:
            gradients[start : weight.offset].fill(0.0)
            gradients[weight.place].reshape(weight.shape)[rows.touched()] = 0.0
            rows.clear()
            start = weight.offset + weight.size
        gradients[start:].fill(0.0)

    def _parts(self) -> list[Part]:
        """Return the stretches of the flat buffers that an optimizer moves now."""
        if self._moving is None or self._moving[0] != self._frozen_at:
            found = list(moving_parts(self.weights_declared))
            self._moving = self._frozen_at, [part for part, _ in found], [rows for _, rows in found]
        _, parts, touched = self._moving
        if not self._sparse:
            return parts
        return [p if rows is None else p._replace(rows=rows.touched()) for p, rows in zip(parts, touched, strict=True)]

    def _regularize(self) -> float:
        """Return the sum of all penalties, having added their gradients."""
        total = 0.0
        for weight in self._weights_declared:
            if weight.regularizer is not None and weight.moves:
                penalty, gradient = weight.regularizer.vjp(self._views[0][weight.name])
                self._views[1][weight.name] += gradient
                total += float(penalty)
                if weight.rows is not None:
                    weight.rows.add(np.arange(weight.shape[0]))
        return total

    def _penalty(self) -> float:
        """Return the sum of all penalties."""
        if not self._penalised:
            return 0.0
        regular = [w for w in self._weights_declared if w.regularizer is not None and w.moves]
        return float(sum(weight.regularizer.vjp(self._views[0][weight.name])[0] for weight in regular))

    def _constrain(self) -> None:
        """Project the parameters that have a constraint."""
        for weight in self._weights_declared:
            if weight.constraint is not None and weight.moves:
                view = self._views[0][weight.name]
                view[...] = weight.constraint(view)
                self._version.number += 1

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
            views[0][weight.name] = parameters[weight.place].reshape(weight.shape)
            views[1][weight.name] = gradients[weight.place].reshape(weight.shape)
        version = version or Version()
        for layer, place in self._inner:
            layer._attach(parameters[place], gradients[place], version)
        self._views, self._grad = views, gradients
        self._version, self._handed_out, self._moving = version, False, None
        self._sparse = [(weight, weight.rows) for weight in self._weights_declared if weight.rows is not None]
        self._penalised = any(w.regularizer is not None or w.constraint is not None for w in self._weights_declared)
        self._theta = parameters  # last: it tells other threads that the rest is there

    def _initialize(self, parameters: Array) -> None:
        """Fill a buffer with initial values."""
        for stream, weight in enumerate(self._weights_declared):
            if weight.layer is self:
                parameters[weight.place] = np.asarray(weight.initializer(weight.shape, self._seed(), stream)).reshape(
                    -1
                )
        for layer, place in self._inner:
            if layer._theta is None:
                layer._initialize(parameters[place])
            else:
                parameters[place] = layer._theta

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
