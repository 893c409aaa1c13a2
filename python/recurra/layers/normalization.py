"""Layer and batch normalization over the last axis."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from recurra import _errors
from recurra.layers import _arguments
from recurra.layers.plain import PlainLayer

if TYPE_CHECKING:
    from recurra._typing import Array, Pullback, Shape


class AffineNormalization(PlainLayer):
    """What both share: the learned scale gamma and shift beta of each feature.

    Parameters
    ----------
    arguments : dict
        The arguments of the subclass's constructor by name.
    """

    pointwise = True

    def __init__(self, arguments: dict[str, Any]) -> None:
        super().__init__(dtype=arguments["dtype"], name=arguments["name"], seed=arguments["seed"])
        self.axis = _last_axis(arguments["axis"])
        self.epsilon = _errors.check_number("epsilon", arguments["epsilon"], 0.0, 1e30, "a number from 0")
        self.center = _errors.check_flag("center", arguments["center"])
        self.scale = _errors.check_flag("scale", arguments["scale"])
        self.weight_options = _arguments.resolved(arguments)

    def build(self, input_shape: Shape) -> None:
        """Declare gamma and beta for inputs (batch, ..., features); see `Layer.build`."""
        super().build(input_shape)
        assert self.input_shape is not None
        if self.axis != -1 and self.axis != len(self.input_shape) - 1:
            raise _errors.bad_value("axis", "the last axis", f"{self.axis}", "bring the axis to the end with Permute")
        for name, wanted in (("gamma", self.scale), ("beta", self.center)):
            if wanted:
                kinds = _arguments.of_weight(self.weight_options, name)
                self.add_weight(name, (self._width,), self.weight_options[f"{name}_initializer"], **kinds)

    @property
    def _width(self) -> int:
        assert self.input_shape is not None
        return self.input_shape[-1] or 0

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        own = {"axis": self.axis, "epsilon": self.epsilon, "center": self.center, "scale": self.scale}
        return {**super().get_config(), **own, **_arguments.serialized(self.weight_options)}

    def _affine(self, unit: Array) -> Array:
        """Return gamma unit + beta."""
        weights = self._views[0]
        y = unit * weights["gamma"] if self.scale else unit
        return y + weights["beta"] if self.center else y

    def _affine_backward(self, unit: Array, dy: Array) -> Array:
        """Return the gradient of ``unit``, having added those of gamma and beta."""
        gradients, axes = self._views[1], tuple(range(dy.ndim - 1))
        if self.center:
            gradients["beta"] += dy.sum(axis=axes)
        if not self.scale:
            return dy
        gradients["gamma"] += (dy * unit).sum(axis=axes)
        return dy * self._views[0]["gamma"]


class LayerNormalization(AffineNormalization):
    """Mean 0 and variance 1 for each row: y = gamma (x - mean) / sqrt(variance + epsilon) + beta (Ba et al. 2016).

    Parameters
    ----------
    axis : int, default -1
        Must be the last one.
    epsilon : float, default 0.001
        Added to the variance.
    center, scale : bool, default True
        Have beta, have gamma.
    beta_initializer, gamma_initializer : str or callable, default "zeros" and "ones"
        See `recurra.initializers`.
    beta_regularizer, gamma_regularizer : str or object, optional
        See `recurra.regularizers`.
    beta_constraint, gamma_constraint : str or object, optional
        See `recurra.constraints`.
    seed, dtype, name
        As in `Dense`.

    Attributes
    ----------
    parameters, gradients : dict of str to numpy.ndarray
        ``gamma`` and ``beta`` (features).

    Raises
    ------
    TypeError, ValueError
        On wrong arguments, as ``argument: expected X, got Y``.

    Notes
    -----
    Calls from several threads are safe. Computes what `torch.nn.LayerNorm` (whose epsilon is 1e-5) and
    `keras.layers.LayerNormalization` compute.

    Examples
    --------
    >>> import numpy as np, recurra
    >>> recurra.LayerNormalization()(np.array([[1.0, 3.0]], np.float32)).round(2).tolist()
    [[-1.0, 1.0]]
    """

    def __init__(
        self,
        axis: int = -1,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        beta_constraint: Any = None,
        gamma_constraint: Any = None,
        *,
        seed: int | None = None,
        dtype: Any = "float32",
        name: str | None = None,
    ) -> None:
        super().__init__(locals())

    def _differentiate(self, x: Array, lengths: Array | None, training: bool, seed: int) -> tuple[Array, Pullback]:
        centred = x - x.mean(axis=-1, keepdims=True)
        inverse = 1.0 / np.sqrt(np.square(centred).mean(axis=-1, keepdims=True) + self.epsilon)
        unit = centred * inverse

        def pullback(dy: Array, *, need_dx: bool = True) -> Array | None:
            dunit = self._affine_backward(unit, dy)
            if not need_dx:
                return None
            share = dunit.mean(axis=-1, keepdims=True) + unit * (dunit * unit).mean(axis=-1, keepdims=True)
            dx: Array = (dunit - share) * inverse
            return dx

        return self._affine(unit), pullback


def _last_axis(axis: Any) -> int:
    """Return an axis, which Keras also takes as a list of one."""
    if isinstance(axis, list | tuple) and len(axis) == 1:
        axis = axis[0]
    number = _errors.check_integer("axis", axis, -8, 7)
    if number < 1 and number != -1:
        raise _errors.bad_value("axis", "the last axis, -1", f"{number}", "bring the axis to the end with Permute")
    return number
