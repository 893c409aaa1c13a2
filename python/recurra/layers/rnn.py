"""The plain recurrent layer."""

from __future__ import annotations

from typing import Any

from recurra.layers.recurrent import Recurrent


class _OfCells(type):
    """Lets ``RNN(cell, ...)`` return the layer of that cell."""

    @property
    def __signature__(cls) -> Any:
        from inspect import signature

        whole = signature(cls.__init__)  # type: ignore[misc]  # the class's own is meant
        return whole.replace(parameters=list(whole.parameters.values())[1:])

    def __call__(cls, *arguments: Any, **options: Any) -> Any:
        first = arguments[0] if arguments else options.get("cell")
        if cls is not RNN or first is None or hasattr(first, "__index__"):
            return super().__call__(*arguments, **options)
        from recurra.layers.stacked import of_cells

        return of_cells(*arguments, **options)


class RNN(Recurrent, metaclass=_OfCells):
    """Plain recurrent network (Elman 1990), with f = ``activation``::

        h' = f(W x + b + U h + c)

    Keras calls it ``SimpleRNN``, which is an alias here. As Keras's ``RNN`` it also takes cells in place of ``units``:
    ``RNN(LSTMCell(20))`` is ``LSTM(20)``, a list of cells is a `RecurrentStack`, and a cell of one's own (see
    `recurra.layers.Cell`) is run step by step; arguments are then ``return_sequences``, ``return_state`` and
    ``go_backwards``.

    Parameters
    ----------
    units : int
        Size of the state of one direction of one layer.
    activation : str, tuple or Activation, default "tanh"
        See `recurra.activations`.
    use_bias, kernel_initializer, recurrent_initializer, bias_initializer, dropout, recurrent_dropout
        As in `LSTM`.
    kernel_regularizer, recurrent_regularizer, bias_regularizer : str or object, optional
        As in `LSTM`.
    activity_regularizer, kernel_constraint, recurrent_constraint, bias_constraint
        As in `LSTM`.
    return_sequences, return_state, go_backwards : bool, default False
        As in `LSTM`; the state is h alone.
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
        ``weight_ih_l0`` (units, features), ``weight_hh_l0`` (units, units), ``bias_ih_l0``, ``bias_hh_l0`` (units);
        further layers and directions as in `LSTM`.

    Raises
    ------
    TypeError, ValueError
        On wrong arguments, as ``argument: expected X, got Y``.

    Notes
    -----
    Calls from several threads are safe. Computes what `torch.nn.RNN` and `keras.layers.SimpleRNN` compute.

    Examples
    --------
    >>> import numpy as np, recurra
    >>> recurra.RNN(20, activation="relu")(np.zeros((8, 30, 10), np.float32)).shape
    (8, 20)
    """

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
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
        super().__init__("rnn", locals())
