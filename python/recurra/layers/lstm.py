"""The long short-term memory layer."""

from __future__ import annotations

from typing import Any

from recurra.layers.recurrent import Recurrent


class LSTM(Recurrent):
    """Long short-term memory (Hochreiter & Schmidhuber 1997; forget gate: Gers et al. 2000).

    With s = ``recurrent_activation``, f = ``activation`` and k = ``output_activation``::

        i, f, o = s(W x + b + U h + c)        gates, each with its own W, b, U, c
        g       = f(W x + b + U h + c)
        c'      = f * c + i * g
        h'      = o * k(c')

    Parameters
    ----------
    units : int
        Size of the cell state of one direction of one layer.
    activation : str, tuple or Activation, default "tanh"
        See `recurra.activations`.
    recurrent_activation : str, tuple or Activation, default "sigmoid"
        Of the gates.
    use_bias : bool, default True
        Have b and c.
    kernel_initializer, recurrent_initializer, bias_initializer : str or callable
        Of W (and the projection), of U, and of b; see `recurra.initializers`. c starts at 0 but for
        "pytorch_uniform", peepholes at 0, gains at 1.
    unit_forget_bias : bool, default True
        Start the forget gate's b at 1 (Jozefowicz et al. 2015).
    kernel_regularizer, recurrent_regularizer, bias_regularizer : str or object, optional
        Penalties on W (and the projection), on U, and on b and c, each; see `recurra.regularizers`.
    activity_regularizer : None
        In Keras's place: outputs cannot be penalised here.
    kernel_constraint, recurrent_constraint, bias_constraint : str or object, optional
        Of the same; see `recurra.constraints`.
    dropout : float, default 0.0
        Rate of dropout on the inputs of every layer, one mask for all steps of a sequence (Gal & Ghahramani 2016).
    recurrent_dropout : float, default 0.0
        The same on the h that enters U h.
    return_sequences : bool, default False
        Return h of all steps rather than of the last one.
    return_state : bool, default False
        Return the final states too, as a list ``[outputs, h, c]``.
    go_backwards : bool, default False
        Read the input from its end; outputs come in that order.
    num_layers : int, default 1
        Layers in one call, each reading the one below.
    bidirectional : bool, default False
        Each layer reads both ways; the backward one starts at the end of each sample.
    merge_mode : {"concat", "sum", "mul", "ave"}, default "concat"
        How both directions' outputs become one.
    proj_size : int, default 0
        If positive, h' = P (o * k(c')) with this many rows in P (Sak et al. 2014).
    use_peepholes : bool, default False
        i and f also see c, and o sees c', each weighted per unit (Gers & Schmidhuber 2000).
    clip : float, optional
        Bound on what enters the gates' activations (ONNX's ``clip``).
    cell_clip : float, optional
        Bound on c'.
    input_forget : bool, default False
        f = 1 - i (Greff et al. 2017); three gates then.
    layer_norm : bool, default False
        Normalise W x, U h and what enters k, each with learned gains (Ba et al. 2016).
    zoneout : float or (float, float), default 0.0
        Rate at which units of (h, c) keep their value in training; its expectation is used at inference (Krueger
        et al. 2017).
    interlayer_dropout : float, default 0.0
        Rate of dropout between layers, new for each step (PyTorch's ``dropout``).
    output_activation : str, tuple or Activation, optional
        By default ``activation``.
    trainable_initial_state : bool, default False
        Learn the states before the first step: parameters ``h0`` and ``c0``.
    seed : int, optional
        For initial values and masks.
    dtype : {"float32", "float64"}, default "float32"
        Of parameters, inputs and outputs.
    name : str, optional
        Unique within a model.

    Attributes
    ----------
    parameters, gradients : dict of str to numpy.ndarray
        Under PyTorch's names: ``weight_ih_l0`` (4 units, features), ``weight_hh_l0`` (4 units, outputs),
        ``bias_ih_l0``, ``bias_hh_l0`` (4 units), gates in the order i, f, g, o; ``_l1`` for the second layer,
        ``_reverse`` for the backward direction; ``weight_hr_l0`` (proj_size, units), ``weight_ph_l0`` (3 units: i, f,
        o), ``weight_ln_ih_l0``, ``weight_ln_hh_l0`` (4 units), ``weight_ln_c_l0``, ``bias_ln_c_l0`` (units).

    Raises
    ------
    TypeError, ValueError
        On wrong arguments, as ``argument: expected X, got Y``.

    Notes
    -----
    Calls from several threads are safe. Computes what `torch.nn.LSTM` and `keras.layers.LSTM` compute where they have
    the option.

    Examples
    --------
    >>> import numpy as np, recurra
    >>> layer = recurra.LSTM(20, return_sequences=True, seed=0)
    >>> x = np.zeros((8, 30, 10), np.float32)
    >>> layer(x, lengths=[30, 7, 0, 1, 2, 3, 4, 5]).shape
    (8, 30, 20)
    >>> y, pullback = layer.vjp(x)
    >>> pullback(np.ones_like(y)).shape
    (8, 30, 10)
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
        unit_forget_bias: bool = True,
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
        *,
        num_layers: int = 1,
        bidirectional: bool = False,
        merge_mode: str = "concat",
        proj_size: int = 0,
        use_peepholes: bool = False,
        clip: float | None = None,
        cell_clip: float | None = None,
        input_forget: bool = False,
        layer_norm: bool = False,
        zoneout: float | tuple[float, float] = 0.0,
        interlayer_dropout: float = 0.0,
        output_activation: Any = None,
        trainable_initial_state: bool = False,
        dtype: Any = "float32",
        name: str | None = None,
    ) -> None:
        super().__init__("lstm", locals())
