"""Keras's spelling of a recurrent layer that reads both ways."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from recurra import _errors
from recurra.layers.recurrent import Recurrent

if TYPE_CHECKING:
    from typing import Self


class Bidirectional(Recurrent):
    """A recurrent layer that reads each sequence both ways (Schuster & Paliwal 1997).

    The same as the layer with ``bidirectional=True``: one call of the engine does both directions, the backward one
    starting at the end of each sample, its outputs put at their own time.

    Parameters
    ----------
    layer : RNN, LSTM or GRU
        A layer not built yet, as a pattern; it stays untouched.
    merge_mode : {"concat", "sum", "mul", "ave"}, default "concat"
        How both directions' outputs become one.
    name : str, optional
        Unique within a model.

    Attributes
    ----------
    parameters, gradients : dict of str to numpy.ndarray
        The backward direction's names end in ``_reverse``.

    Raises
    ------
    TypeError, ValueError
        If ``layer`` is no recurrent layer, is built, or reads backwards or both ways already.

    Notes
    -----
    With ``return_state`` the states come as forward h (, c), then backward h (, c), as in Keras. Calls from several
    threads are safe.

    Examples
    --------
    >>> import numpy as np, recurra
    >>> layer = recurra.Bidirectional(recurra.LSTM(20, return_sequences=True))
    >>> layer(np.zeros((8, 30, 10), np.float32)).shape
    (8, 30, 40)
    """

    def __init__(self, layer: Recurrent, merge_mode: str = "concat", name: str | None = None) -> None:
        if not isinstance(layer, Recurrent):
            raise _errors.bad_type("layer", "a recurrent layer such as LSTM(20)", layer)
        if layer.built:
            raise _errors.bad_value("layer", "a layer not built yet", "a built one", "pass a new layer")
        if layer.directions == 2:
            raise _errors.bad_value("layer", "a layer that reads one way", "a bidirectional one")
        if layer.options["go_backwards"]:
            hint = "a bidirectional layer reads both ways already"
            raise _errors.bad_value("layer", "a layer with go_backwards=False", "go_backwards=True", hint)
        self.pattern = layer
        changes = {"bidirectional": True, "merge_mode": merge_mode, "name": name}
        super().__init__(layer.cell, {**layer.arguments, **changes})

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, the wrapped layer by its class and arguments."""
        from recurra.layers import serialize

        merge_mode, name = self.arguments["merge_mode"], self.arguments["name"]
        return {"layer": serialize(self.pattern), "merge_mode": merge_mode, "name": name}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Return a new layer made with the arguments that `get_config` returned."""
        from recurra.layers import deserialize

        return cls(**{**config, "layer": deserialize(config["layer"])})

    def _like(self, dtype: str) -> Self:
        pattern = self.pattern._like(dtype)
        return type(self)(pattern, self.arguments["merge_mode"], self.arguments["name"])
