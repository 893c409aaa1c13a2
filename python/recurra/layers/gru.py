"""The gated recurrent unit layer."""

from __future__ import annotations

from typing import Any

from recurra.layers.recurrent import Recurrent


class GRU(Recurrent):
    """Gated recurrent unit (Cho et al. 2014).

    With s = ``recurrent_activation`` and f = ``activation``::

        r, z = s(W x + b + U h + c)              each with its own W, b, U, c
        n    = f(W x + b + r * (U h + c))        reset_after=True: PyTorch, cuDNN, Keras
        n    = f(W x + b + U (r * h) + c)        reset_after=False: the paper, ONNX's default
        h'   = (1 - z) * n + z * h

    Parameters
    ----------
    units : int
        Size of the state of one direction of one layer.
    activation, recurrent_activation : str, tuple or Activation, default "tanh" and "sigmoid"
        See `recurra.activations`.
    use_bias, kernel_initializer, recurrent_initializer, bias_initializer
        As in `LSTM`; with ``reset_after`` c starts as b does.
    kernel_regularizer, recurrent_regularizer, bias_regularizer : str or object, optional
        As in `LSTM`.
    activity_regularizer, kernel_constraint, recurrent_constraint, bias_constraint
        As in `LSTM`.
    dropout, recurrent_dropout : float, default 0.0
        As in `LSTM`; the h of z * h is never dropped.
    return_sequences, return_state, go_backwards : bool, default False
        As in `LSTM`; the state is h alone.
    reset_after : bool, default True
        Which of the two formulas for n.
    num_layers, bidirectional, merge_mode, clip, layer_norm, interlayer_dropout
        As in `LSTM`.
    zoneout : float, default 0.0
        As in `LSTM`, of h.
    trainable_initial_state : bool, default False
        Learn the state before the first step: the parameter ``h0``.
    seed, dtype, name
        As in `LSTM`.

    Attributes
    ----------
    parameters, gradients : dict of str to numpy.ndarray
        ``weight_ih_l0`` (3 units, features), ``weight_hh_l0`` (3 units, units), ``bias_ih_l0``, ``bias_hh_l0``
        (3 units), gates in the order r, z, n; further layers and directions as in `LSTM`.

    Raises
    ------
    TypeError, ValueError
        On wrong arguments, as ``argument: expected X, got Y``.

    Notes
    -----
    Calls from several threads are safe. Computes what `torch.nn.GRU` and `keras.layers.GRU` compute.

    Examples
    --------
    >>> import numpy as np, recurra
    >>> outputs, h = recurra.GRU(20, return_state=True)(np.zeros((8, 30, 10), np.float32))
    >>> outputs.shape, h.shape
    ((8, 20), (8, 20))
    """

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        recurrent_activation: Any = "sigmoid",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: None = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: int | None = None,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        reset_after: bool = True,
        *,
        num_layers: int = 1,
        bidirectional: bool = False,
        merge_mode: str = "concat",
        clip: float | None = None,
        layer_norm: bool = False,
        zoneout: float = 0.0,
        interlayer_dropout: float = 0.0,
        trainable_initial_state: bool = False,
        dtype: Any = "float32",
        name: str | None = None,
    ) -> None:
        super().__init__("gru", locals())
