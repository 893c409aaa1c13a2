"""The pullback of a recurrent layer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from recurra import _core, _errors

if TYPE_CHECKING:
    from recurra._typing import Array
    from recurra.layers.recurrent import Recurrent


class RecurrentPullback:
    """Backpropagation through time for one call of a recurrent layer; used up by its first call unless told otherwise.

    Notes
    -----
    Adds into the layer's gradients, so pullbacks of one layer belong to one thread. Uses the parameters of the call,
    so use it before they change.
    """

    __slots__ = ("_layer", "_learned", "_shape", "_tape", "_used")

    def __init__(self, layer: Recurrent, tape: _core.Tape, shape: tuple[int, ...], learned: bool) -> None:
        self._layer, self._tape, self._shape, self._learned = layer, tape, shape, learned
        self._used = False

    def __call__(
        self, dy: Array | None, dstates: Any = None, *, need_dx: bool = True, retain_graph: bool = False
    ) -> Array | None:
        """Return the gradient of the input, having added those of the parameters.

        Parameters
        ----------
        dy : numpy.ndarray or None
            Gradient of the outputs, in their shape; None for zero.
        dstates : list of (numpy.ndarray or None), optional
            Gradients of the final states, in the order in which ``return_state`` lists them.
        need_dx : bool, default True
            False saves the work and returns None.
        retain_graph : bool, default False
            True keeps what the call saved for another use (PyTorch's word), at the cost of a copy; otherwise it is
            overwritten in place.

        Returns
        -------
        numpy.ndarray or None
            In the shape of the input, contiguous.

        Raises
        ------
        ValueError
            If it was used before without ``retain_graph=True``.
        """
        return self._run(dy, dstates, need_dx, retain_graph)[0]

    def with_states(
        self, dy: Array | None, dstates: Any = None, *, need_dx: bool = True, retain_graph: bool = False
    ) -> tuple[Array | None, list[Array]]:
        """Return the gradient of the input and those of the initial states, listed as ``initial_state`` is.

        Parameters and effects as in a plain call.
        """
        dx, dh0, dc0 = self._run(dy, dstates, need_dx, retain_graph)
        return dx, self._layer._states(dh0, dc0)

    def _run(
        self, dy: Array | None, dstates: Any, need_dx: bool, retain_graph: bool
    ) -> tuple[Array | None, Array, Array | None]:
        layer = self._layer
        if self._used:
            raise _errors.bad_value(
                "pullback", "one that was not used yet", "a used one", "pass retain_graph=True before"
            )
        if dy is not None:
            axes = ("batch", "time", "outputs") if len(self._shape) == 3 else ("batch", "outputs")
            _errors.check_array("dy", dy, layer.dtype, axes, self._shape)
        dh, dc = (None, None) if dstates is None else layer._stacked("dstates", dstates, self._shape[0])
        dx, dh0, dc0 = self._tape.backward(dy, dh, dc, layer._engine_gradients, need_dx=need_dx, keep=retain_graph)
        self._used = not retain_graph
        if self._learned:
            layer.gradients["h0"] += dh0.sum(axis=1)
            if dc0 is not None:
                layer.gradients["c0"] += dc0.sum(axis=1)
        return dx, dh0, dc0
