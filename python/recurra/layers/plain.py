"""What layers without a recurrence share: the verbs around one method that a subclass supplies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from recurra import _errors
from recurra.layers.base import Layer

if TYPE_CHECKING:
    from recurra._typing import Array, Pullback


class PlainLayer(Layer):
    """Base of layers without a recurrence: a subclass supplies ``_differentiate``, perhaps a cheaper ``_apply`` too.

    Parameters
    ----------
    dtype : {"float32", "float64"}, default "float32"
        Of parameters, inputs and outputs.
    name : str, optional
        Unique within a model.
    seed : int, optional
        For initial values and masks.

    Notes
    -----
    ``_differentiate`` gets checked input and lengths, and returns a pullback that may trust its ``dy``.
    """

    def __call__(
        self, x: Any, lengths: Any = None, mask: Any = None, training: bool = False, seed: int | None = None
    ) -> Any:
        """Return the layer's outputs.

        Parameters
        ----------
        x : numpy.ndarray, or a list of such for a merging layer
            The input(s), of the layer's dtype.
        lengths : array of int, shape (batch,), optional
            Steps that count of each sample; for a merging layer a list with such or None for each input.
        mask : array of bool, shape (batch, time), optional
            The same said by steps, which must come first; for a layer of one input.
        training : bool, default False
            Behave as in training.
        seed : int, optional
            Of masks, if the layer draws any; by default each call draws new ones.

        Returns
        -------
        numpy.ndarray
            The outputs.

        Raises
        ------
        TypeError, ValueError
            If an argument does not fit.
        """
        self.check_input(x)
        return self._apply(x, self._steps(x, lengths, mask), training, self._call_seed(seed, training))

    def vjp(
        self, x: Any, lengths: Any = None, mask: Any = None, training: bool = True, seed: int | None = None
    ) -> tuple[Any, Pullback]:
        """Return the outputs, as a call does, and the function that backpropagates through this call.

        Parameters
        ----------
        x, lengths, mask, training, seed
            As in a call.

        Returns
        -------
        outputs : numpy.ndarray
            As from a call.
        pullback : callable
            ``dx = pullback(dy)`` adds into `gradients`; with ``need_dx=False`` it may return None.
        """
        self.check_input(x)
        steps = self._steps(x, lengths, mask)
        y, pullback = self._differentiate(x, steps, training, self._call_seed(seed, training))
        axes = ("batch", *("axis",) * (y.ndim - 1))

        def checked(dy: Array, *, need_dx: bool = True) -> Any:
            return pullback(_errors.check_array("dy", dy, self.dtype, axes, y.shape), need_dx=need_dx)

        return y, checked

    def _steps(self, x: Any, lengths: Any, mask: Any) -> Any:
        """Return checked lengths: of each input for a merging layer."""
        if self.merges:
            return self._all_steps(x, lengths, mask)
        if lengths is None and mask is None:
            return None
        if x.ndim < (2 if self.integer_input else 3):
            raise _errors.bad_value("lengths", "an input with a time axis", f"shape {x.shape}")
        return _errors.resolve_lengths(lengths, mask, x.shape[0], x.shape[1])

    def _all_steps(self, x: Any, lengths: Any, mask: Any) -> list[Array | None]:
        if mask is not None:
            raise _errors.bad_value("mask", "None where there are several inputs", "a mask", "give lengths, a list")
        if lengths is None:
            return [None] * len(x)
        if not isinstance(lengths, list | tuple) or len(lengths) != len(x):
            raise _errors.bad_type("lengths", f"a list of {len(x)}, None for an input without", lengths)
        return [
            None if some is None else _errors.resolve_lengths(some, None, part.shape[0], part.shape[1])
            for part, some in zip(x, lengths, strict=True)
        ]

    def _apply(self, x: Any, lengths: Any, training: bool, seed: int) -> Array:
        return self._differentiate(x, lengths, training, seed)[0]

    def _differentiate(self, x: Any, lengths: Any, training: bool, seed: int) -> tuple[Array, Pullback]:
        raise NotImplementedError(f"{type(self).__name__} defines no _differentiate")
