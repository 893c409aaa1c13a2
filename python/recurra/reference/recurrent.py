"""The reference under the interface of the compiled engine: flat weights in, arrays out."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from . import stack
from ._types import Array, Parameters
from .options import Options


class Recurrent:
    """RNN, LSTM or GRU of any number of layers and directions, written as in the papers, in NumPy.

    It is the oracle of the tests and the baseline of the benchmarks: clear before fast, though vectorised over the
    batch. Arrays and arithmetic are all of ``dtype``. The compiled engine has the same interface.

    Dimension letters: N batch, T time steps, I input, H hidden units, R width of the hidden state (``proj_size`` or
    H), G gates, L layers, D directions, O output: ``D * R`` with ``merge_mode="concat"``, else R.

    Parameters
    ----------
    cell : {"rnn", "lstm", "gru"}
        Formulas: :class:`recurra.reference.cells.RNN`, :class:`~recurra.reference.cells.LSTM`,
        :class:`~recurra.reference.cells.GRU`.
    input_size, hidden_size : int
        I and H.
    dtype : numpy dtype, default float64
    num_layers : int, default 1
    bidirectional : bool, default False
        The second direction reads each sample from its own end; its outputs are put at their own time.
    merge_mode : {"concat", "sum", "mul", "ave"}, default "concat"
        How each layer merges its directions.
    go_backwards : bool, default False
        The first layer reads each sample from its own end; outputs stay in the order of processing (Keras).
    use_bias : bool, default True
        Have ``bias_ih`` and ``bias_hh``. (With layer normalisation they are its biases; ``bias_ln_c`` stays.)
    proj_size : int, default 0
        LSTM: R, the width of the projected state; 0: no projection.
    use_peepholes : bool, default False
        LSTM: gates i and f see c, gate o sees c'.
    input_forget : bool, default False
        LSTM: coupled gates ``f = 1 - i``.
    reset_after : bool, default True
        GRU: reset gate after the recurrent product (PyTorch) or before (Cho et al.).
    layer_norm : bool, default False
        Normalise each product, and the LSTM's cell state on its way out (Ba, Kiros & Hinton 2016).
    activation, recurrent_activation, output_activation : str or (str, float, float)
        Of the candidate, of the gates, of the LSTM's cell state: name, or name, alpha and beta; see
        :class:`recurra.reference.Activation`. Default tanh, sigmoid, tanh.
    clip : float, default 0
        Clamp each gate's pre-activation to [-clip, clip] (ONNX); 0: do not.
    cell_clip : float, default 0
        LSTM: clamp the new cell state; 0: do not.
    dropout : float, default 0
        On the input of every layer, one mask for the whole sequence (Gal & Ghahramani 2016).
    interlayer_dropout : float, default 0
        On the input of every layer but the first, a fresh mask each time step (PyTorch).
    recurrent_dropout : float, default 0
        On the h that enters the recurrent products, one mask for the whole sequence (Gal & Ghahramani 2016).
    zoneout : (float, float), default (0, 0)
        Rates at which units of h and of c keep their old value (Krueger et al. 2017); in inference the expectation.

    Raises
    ------
    ValueError
        For an unknown name, a rate out of range, arrays of the wrong shape.

    Examples
    --------
    >>> import numpy as np
    >>> from recurra import reference
    >>> lstm = reference.Recurrent("lstm", 3, 4)
    >>> y, hn, cn = lstm.forward(np.full(lstm.size, 0.1), np.ones((2, 5, 3)))
    >>> y.shape, hn.shape, cn.shape
    ((2, 5, 4), (1, 2, 4), (1, 2, 4))
    """

    def __init__(
        self, cell: str, input_size: int, hidden_size: int, *, dtype: DTypeLike = np.float64, **options: Any
    ) -> None:
        self.options = Options(cell, input_size, hidden_size, **options)
        self.dtype = np.dtype(dtype)
        self.layout = self.options.layout()
        _, shape, offset = self.layout[-1]
        self.size = offset + prod(shape)
        self.output_size = self.options.output_size
        self.state_size = self.options.state_size

    def parameters(self, flat: Array) -> list[Parameters]:
        """View a flat vector (size,) as arrays: one dictionary per layer and direction, names without suffix."""
        views: list[Parameters] = [{} for _ in range(self.options.num_layers * self.options.directions)]
        position = iter(self.layout)
        for index, view in enumerate(views):
            for name in self.options.parameter_shapes(index // self.options.directions):
                _, shape, offset = next(position)
                view[name] = flat[offset : offset + prod(shape)].reshape(shape)
        return views

    def forward(
        self,
        weights: ArrayLike,
        x: ArrayLike,
        h0: ArrayLike | None = None,
        c0: ArrayLike | None = None,
        lengths: ArrayLike | None = None,
        *,
        sequences: bool = True,
        training: bool = False,
        seed: int = 0,
    ) -> tuple[Array, Array, Array | None]:
        """Run the layer.

        Parameters
        ----------
        weights : ndarray (size,)
            All parameters, as ``layout`` tells.
        x : ndarray (N, T, I)
        h0 : ndarray (L*D, N, R), optional
            Initial hidden states, by ``l * D + d``; None: 0.
        c0 : ndarray (L*D, N, H), optional
            Initial cell states, LSTM only; None: 0.
        lengths : ndarray of int (N,), optional
            Steps of each sample; None: T. Steps beyond are neither read nor counted; their outputs are 0.
        sequences : bool, default True
            Return the outputs of all steps, or the merged final h of the last layer.
        training : bool, default False
            Draw the masks of dropout and zoneout.
        seed : int, default 0
            Of these masks; see :func:`recurra.reference.random_words`.

        Returns
        -------
        y : ndarray (N, T, O), or (N, O) without ``sequences``
        hn : ndarray (L*D, N, R)
            Final hidden states.
        cn : ndarray (L*D, N, H), or None unless LSTM
            Final cell states.
        """
        y, hn, cn, _ = self._run(weights, x, h0, c0, lengths, sequences, stack.Draw(training, seed), save=False)
        return y, hn, cn

    def vjp(
        self,
        weights: ArrayLike,
        x: ArrayLike,
        h0: ArrayLike | None = None,
        c0: ArrayLike | None = None,
        lengths: ArrayLike | None = None,
        *,
        sequences: bool = True,
        training: bool = False,
        seed: int = 0,
    ) -> tuple[Array, Array, Array | None, Tape]:
        """Do as forward() does, and also return the :class:`Tape` that propagates gradients back."""
        y, hn, cn, saved = self._run(weights, x, h0, c0, lengths, sequences, stack.Draw(training, seed), save=True)
        return y, hn, cn, Tape(self, saved, y.shape, hn.shape, None if cn is None else cn.shape)

    def _run(
        self,
        weights: ArrayLike,
        x: ArrayLike,
        h0: ArrayLike | None,
        c0: ArrayLike | None,
        lengths: ArrayLike | None,
        sequences: bool,
        draw: stack.Draw,
        *,
        save: bool,
    ) -> tuple[Array, Array, Array | None, stack.Saved]:
        options = self.options
        x = np.asarray(x, self.dtype)
        if x.ndim != 3 or x.shape[2] != options.input_size:
            raise ValueError(f"x: expected shape (batch, time, {options.input_size}), got {x.shape}")
        rows, steps = x.shape[:2]
        states = options.num_layers * options.directions
        weights = self._array("weights", weights, (self.size,))
        h0 = self._array("h0", h0, (states, rows, options.state_size))
        if options.cell == "lstm":
            c0 = self._array("c0", c0, (states, rows, options.hidden_size))
        elif c0 is not None:
            raise ValueError(f"c0: expected None, got an array; only an LSTM has a cell state, not {options.cell!r}")
        if lengths is not None:
            lengths = np.asarray(lengths)
            if lengths.shape != (rows,) or (lengths < 0).any() or (lengths > steps).any():
                raise ValueError(f"lengths: expected {rows} integers from 0 to {steps}, got {lengths.tolist()}")
        y, hn, cn, top, saved = stack.forward(
            options, self.parameters(weights), x.transpose(1, 0, 2), h0, c0, lengths, draw, save=save
        )
        output = y.transpose(1, 0, 2) if sequences else stack.merge(top, options.merge_mode)
        return np.ascontiguousarray(output), np.stack(hn), np.stack(cn) if cn else None, saved

    def _array(self, name: str, value: ArrayLike | None, shape: tuple[int, ...]) -> Array:
        if value is None:
            return np.zeros(shape, self.dtype)
        array = np.asarray(value, self.dtype)
        if array.shape != shape:
            raise ValueError(f"{name}: expected shape {shape}, got {array.shape}")
        return array


class Tape:
    """What one call of :meth:`Recurrent.vjp` saved; it can be propagated back any number of times."""

    def __init__(
        self,
        plan: Recurrent,
        saved: stack.Saved,
        y_shape: tuple[int, ...],
        hn_shape: tuple[int, ...],
        cn_shape: tuple[int, ...] | None,
    ) -> None:
        self._plan, self._saved = plan, saved
        self._y_shape, self._hn_shape, self._cn_shape = y_shape, hn_shape, cn_shape

    def backward(
        self,
        dy: ArrayLike | None,
        dhn: ArrayLike | None,
        dcn: ArrayLike | None,
        gradients: Array,
        *,
        need_dx: bool = True,
    ) -> tuple[Array | None, Array, Array | None]:
        """Backpropagate through time.

        Parameters
        ----------
        dy, dhn, dcn : ndarray or None
            Gradients of vjp()'s results, of their shapes; None: 0.
        gradients : ndarray (size,)
            The gradient of the parameters is added into it.
        need_dx : bool, default True

        Returns
        -------
        dx : ndarray (N, T, I), or None if not needed
        dh0 : ndarray (L*D, N, R)
        dc0 : ndarray (L*D, N, H), or None unless LSTM
        """
        plan, options = self._plan, self._plan.options
        dhs = list(plan._array("dhn", dhn, self._hn_shape).copy())
        dcs = None if self._cn_shape is None else list(plan._array("dcn", dcn, self._cn_shape))
        if dy is not None:
            dy = plan._array("dy", dy, self._y_shape)
            if dy.ndim == 2:  # the merged final h of the last layer
                parts = stack.merge_backward(dy, self._saved.final, options.merge_mode)
                for direction, part in enumerate(parts, start=-options.directions):
                    dhs[direction] = dhs[direction] + part
                dy = None
            else:
                dy = dy.transpose(1, 0, 2)
        if gradients.shape != (plan.size,) or gradients.dtype != plan.dtype:
            raise ValueError(
                f"gradients: expected {plan.dtype} of shape {(plan.size,)}, got {gradients.dtype} of {gradients.shape}"
            )
        dx, dh0, dc0 = stack.backward(options, self._saved, dy, dhs, dcs, plan.parameters(gradients), need_dx=need_dx)
        if dx is not None:
            dx = np.ascontiguousarray(dx.transpose(1, 0, 2))
        return dx, np.stack(dh0), np.stack(dc0) if dc0 else None
