"""The pullback of a recurrent layer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from recurra import _core, _errors
from recurra.layers import trace

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

    def with_hidden(
        self, dy: Array | None, dstates: Any = None, *, need_dx: bool = True, retain_graph: bool = False
    ) -> tuple[Array | None, dict[str, Array]]:
        """Return the gradient of the input and the whole gradient of the hidden state after every step.

        The whole: through the outputs and through all later steps. Its norm over time shows how far back a loss is
        felt (Bengio et al. 1994); see `recurra.plot.gradient_flow`.

        Parameters and effects as in a plain call.

        Returns
        -------
        dx : numpy.ndarray or None
            In the shape of the input.
        dh : dict of str to numpy.ndarray, shape (batch, time, outputs of a direction)
            By layer and direction, ``"l0"``, ``"l0_reverse"``, ``"l1"``, ...; 0 behind a sample's end.

        Examples
        --------
        >>> import numpy as np, recurra
        >>> layer = recurra.RNN(5)
        >>> y, pullback = layer.vjp(np.ones((2, 7, 3), np.float32))
        >>> dx, dh = pullback.with_hidden(np.ones_like(y))
        >>> dh["l0"].shape, bool((dh["l0"][:, -1] == 1).all())
        ((2, 7, 5), True)
        """
        with trace.hidden_gradients() as found:
            dx = self._run(dy, dstates, need_dx, retain_graph)[0]
        return dx, dict(zip(trace.suffixes(self._layer), found[0][1], strict=True))

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
        hidden = trace.wanted_buffer(layer, self._tape)
        dx, dh0, dc0 = self._tape.backward(dy, dh, dc, layer._engine_gradients, need_dx, retain_graph, hidden)
        self._used = not retain_graph
        if self._learned:
            layer.gradients["h0"] += dh0.sum(axis=1)
            if dc0 is not None:
                layer.gradients["c0"] += dc0.sum(axis=1)
        return dx, dh0, dc0
