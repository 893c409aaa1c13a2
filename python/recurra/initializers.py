"""Initial values of parameters. Draws come from the engine's counter-based generator and repeat for a seed.

Wherever a layer takes an initializer it accepts a name from ``INITIALIZERS``, an object of a class here (Keras's names
and arguments), or a function ``f(shape, seed, stream) -> array``. Shapes are PyTorch's, (outputs, inputs); a recurrent
layer's matrix holds all its gates, and is initialised as a whole, as in Keras. An object with a ``seed`` of its own
draws the same values wherever it is used.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from recurra import _errors, _objects
from recurra._draws import TRUNCATED, fans, normal, truncated, uniform

if TYPE_CHECKING:
    from collections.abc import Callable

    from recurra._typing import Array

    Function = Callable[[tuple[int, ...], int, int], Array]


class Initializer:
    """Base of all initializers: a subclass supplies ``__call__`` and, if it has arguments, ``get_config``.

    Examples
    --------
    >>> import numpy as np, recurra
    >>> class Halves(recurra.initializers.Initializer):
    ...     def __call__(self, shape, seed, stream):
    ...         return np.full(shape, 0.5)
    >>> layer = recurra.Dense(2, kernel_initializer=Halves())
    >>> layer(np.ones((1, 4), np.float32)).tolist()
    [[2.0, 2.0]]
    """

    def __call__(self, shape: tuple[int, ...], seed: int, stream: int) -> Array:
        """Return the values of weight number ``stream`` of a layer with this seed, in float64."""
        raise NotImplementedError(f"{type(self).__name__} defines no __call__")

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {}


class Zeros(Initializer):
    """All 0."""

    def __call__(self, shape: tuple[int, ...], seed: int, stream: int) -> Array:
        """Return zeros."""
        return np.zeros(shape)


class Ones(Initializer):
    """All 1."""

    def __call__(self, shape: tuple[int, ...], seed: int, stream: int) -> Array:
        """Return ones."""
        return np.ones(shape)


class Constant(Initializer):
    """All ``value``.

    Parameters
    ----------
    value : float, default 0.0
        Finite.
    """

    def __init__(self, value: float = 0.0) -> None:
        self.value = _errors.check_number("value", value, -1e30, 1e30, "a finite number")

    def __call__(self, shape: tuple[int, ...], seed: int, stream: int) -> Array:
        """Return the value everywhere."""
        return np.full(shape, self.value)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {"value": self.value}


class Identity(Initializer):
    """``gain`` on the diagonal of a matrix, else 0.

    Parameters
    ----------
    gain : float, default 1.0
        Finite.
    """

    def __init__(self, gain: float = 1.0) -> None:
        self.gain = _errors.check_number("gain", gain, -1e30, 1e30, "a finite number")

    def __call__(self, shape: tuple[int, ...], seed: int, stream: int) -> Array:
        """Return a part of the unit matrix, scaled."""
        if len(shape) != 2:
            raise _errors.bad_value("shape", "a matrix for the identity", f"{shape}")
        return self.gain * np.eye(*shape)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {"gain": self.gain}


class _Drawn(Initializer):
    """An initializer with random values, which a seed of its own makes the same wherever it is used."""

    def __init__(self, seed: int | None) -> None:
        self.seed = None if seed is None else _errors.check_seed("seed", seed)

    def __call__(self, shape: tuple[int, ...], seed: int, stream: int) -> Array:
        """Return the values drawn."""
        return self.draw(shape, seed, stream) if self.seed is None else self.draw(shape, self.seed, 0)

    def draw(self, shape: tuple[int, ...], seed: int, stream: int) -> Array:
        """Return the values of one stream of one seed."""
        raise NotImplementedError(f"{type(self).__name__} defines no draw")

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {"seed": self.seed}


class RandomUniform(_Drawn):
    """U(minval, maxval).

    Parameters
    ----------
    minval, maxval : float, default -0.05 and 0.05
        The bounds.
    seed : int, optional
        By default the layer's.
    """

    def __init__(self, minval: float = -0.05, maxval: float = 0.05, seed: int | None = None) -> None:
        super().__init__(seed)
        self.minval = _errors.check_number("minval", minval, -1e30, 1e30, "a finite number")
        self.maxval = _errors.check_number("maxval", maxval, self.minval, 1e30, f"a number from minval = {minval}")

    def draw(self, shape: tuple[int, ...], seed: int, stream: int) -> Array:
        """Return uniform draws."""
        values: Array = self.minval + (self.maxval - self.minval) * uniform(shape, seed, stream)
        return values

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {"minval": self.minval, "maxval": self.maxval, **super().get_config()}


class RandomNormal(_Drawn):
    """Normal with a mean and a standard deviation.

    Parameters
    ----------
    mean : float, default 0.0
        Of the draws.
    stddev : float, default 0.05
        Their standard deviation, from 0.
    seed : int, optional
        By default the layer's.
    """

    def __init__(self, mean: float = 0.0, stddev: float = 0.05, seed: int | None = None) -> None:
        super().__init__(seed)
        self.mean = _errors.check_number("mean", mean, -1e30, 1e30, "a finite number")
        self.stddev = _errors.check_number("stddev", stddev, 0.0, 1e30, "a number from 0")

    def draw(self, shape: tuple[int, ...], seed: int, stream: int) -> Array:
        """Return normal draws."""
        values: Array = self.mean + self.stddev * normal(shape, seed, stream)
        return values

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {"mean": self.mean, "stddev": self.stddev, **super().get_config()}


class TruncatedNormal(RandomNormal):
    """As `RandomNormal`, but values further than two standard deviations from the mean are drawn again."""

    def draw(self, shape: tuple[int, ...], seed: int, stream: int) -> Array:
        """Return draws within two standard deviations."""
        values: Array = self.mean + self.stddev * truncated(shape, seed, stream)
        return values


class VarianceScaling(_Drawn):
    """Mean 0 and variance ``scale / n``, n counted from the weight's shape.

    Parameters
    ----------
    scale : float, default 1.0
        Above 0.
    mode : {"fan_in", "fan_out", "fan_avg"}, default "fan_in"
        n: the weight's inputs, its outputs, or their mean.
    distribution : {"truncated_normal", "untruncated_normal", "uniform"}, default "truncated_normal"
        Of the draws.
    seed : int, optional
        By default the layer's.
    """

    def __init__(
        self,
        scale: float = 1.0,
        mode: str = "fan_in",
        distribution: str = "truncated_normal",
        seed: int | None = None,
    ) -> None:
        super().__init__(seed)
        self.scale = _errors.check_number("scale", scale, 1e-30, 1e30, "a number above 0")
        self.mode = _errors.check_choice("mode", mode, ["fan_in", "fan_out", "fan_avg"])
        self.distribution = _errors.check_choice(
            "distribution", distribution, ["truncated_normal", "untruncated_normal", "uniform"]
        )

    def draw(self, shape: tuple[int, ...], seed: int, stream: int) -> Array:
        """Return draws of the variance that the shape asks for."""
        inputs, outputs = fans(shape)
        fan = {"fan_in": inputs, "fan_out": outputs, "fan_avg": (inputs + outputs) / 2.0}[self.mode]
        deviation = math.sqrt(self.scale / max(1.0, fan))
        values: Array
        if self.distribution == "uniform":
            values = (2.0 * uniform(shape, seed, stream) - 1.0) * (math.sqrt(3.0) * deviation)
        elif self.distribution == "untruncated_normal":
            values = deviation * normal(shape, seed, stream)
        else:
            values = deviation / TRUNCATED * truncated(shape, seed, stream)
        return values

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        own = {"scale": self.scale, "mode": self.mode, "distribution": self.distribution}
        return {**own, **super().get_config()}


class _Named(VarianceScaling):
    """A `VarianceScaling` whose arguments have a name."""

    arguments: tuple[float, str, str]

    def __init__(self, seed: int | None = None) -> None:
        super().__init__(*self.arguments, seed)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {"seed": self.seed}


class GlorotUniform(_Named):
    """U(-a, a) with a = sqrt(6 / (inputs + outputs)) (Glorot & Bengio 2010)."""

    arguments = (1.0, "fan_avg", "uniform")


class GlorotNormal(_Named):
    """Normal with variance 2 / (inputs + outputs), cut at two deviations as in Keras (Glorot & Bengio 2010)."""

    arguments = (1.0, "fan_avg", "truncated_normal")


class HeUniform(_Named):
    """U(-a, a) with a = sqrt(6 / inputs) (He et al. 2015)."""

    arguments = (2.0, "fan_in", "uniform")


class HeNormal(_Named):
    """Normal with variance 2 / inputs, cut at two deviations as in Keras (He et al. 2015)."""

    arguments = (2.0, "fan_in", "truncated_normal")


class LecunUniform(_Named):
    """U(-a, a) with a = sqrt(3 / inputs) (LeCun et al. 1998)."""

    arguments = (1.0, "fan_in", "uniform")


class LecunNormal(_Named):
    """Normal with variance 1 / inputs, cut at two deviations as in Keras (LeCun et al. 1998)."""

    arguments = (1.0, "fan_in", "truncated_normal")


class Orthogonal(_Drawn):
    """Orthonormal columns, or rows where these are fewer, from the QR of a normal draw (Saxe et al. 2014).

    Parameters
    ----------
    gain : float, default 1.0
        What they are multiplied by.
    seed : int, optional
        By default the layer's.
    """

    def __init__(self, gain: float = 1.0, seed: int | None = None) -> None:
        super().__init__(seed)
        self.gain = _errors.check_number("gain", gain, -1e30, 1e30, "a finite number")

    def draw(self, shape: tuple[int, ...], seed: int, stream: int) -> Array:
        """Return a draw made orthonormal."""
        rows, columns = shape if len(shape) == 2 else (shape[0], math.prod(shape[1:]))
        draw = normal((max(rows, columns), min(rows, columns)), seed, stream)
        q, r = np.linalg.qr(draw)
        q = q * np.where(np.diag(r) < 0.0, -1.0, 1.0)  # makes the result unique, and uniform over the group
        values: Array = self.gain * (q if rows >= columns else q.T).reshape(shape)
        return values

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {"gain": self.gain, **super().get_config()}


# PyTorch's default for its recurrent and linear layers. The bound belongs to the layer, not to the shape, so the
# layer hands it to `resolve`.
PYTORCH_UNIFORM = "pytorch_uniform"

INITIALIZERS: dict[str, type[Initializer]] = {
    "zeros": Zeros,
    "ones": Ones,
    "constant": Constant,
    "identity": Identity,
    "uniform": RandomUniform,
    "random_uniform": RandomUniform,
    "normal": RandomNormal,
    "random_normal": RandomNormal,
    "truncated_normal": TruncatedNormal,
    "variance_scaling": VarianceScaling,
    "glorot_uniform": GlorotUniform,
    "glorot_normal": GlorotNormal,
    "he_uniform": HeUniform,
    "he_normal": HeNormal,
    "lecun_uniform": LecunUniform,
    "lecun_normal": LecunNormal,
    "orthogonal": Orthogonal,
}


def check(argument: str, value: object) -> Any:
    """Return a name or a function as it is, and a description or a class as the object that it means."""
    if isinstance(value, str):
        return _errors.check_choice(argument, value, [*INITIALIZERS, PYTORCH_UNIFORM])
    found = _objects.restore(argument, value, INITIALIZERS.values())
    if not callable(found):
        raise _errors.bad_type(argument, "a name such as 'glorot_uniform', an initializer or a function", value)
    return found


def serialize(value: Any) -> Any:
    """Return an object of a class here by class and arguments; a name, or one of your own, as it is."""
    return _objects.serialize(value, INITIALIZERS.values())


def resolve(value: Any, width: int) -> Function:
    """Return the function of a checked initializer.

    Parameters
    ----------
    value : str or callable
        A name or a function.
    width : int
        PyTorch's uniform draws from U(-1/sqrt(width), 1/sqrt(width)): hidden units of a recurrent layer, inputs of a
        dense one.
    """
    if callable(value):
        function: Function = value
        return function
    if value == PYTORCH_UNIFORM:
        limit = 1.0 / math.sqrt(max(1, width))
        return RandomUniform(-limit, limit)
    return INITIALIZERS[value]()
