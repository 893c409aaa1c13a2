"""The values of a layer's parameters, in order, by name, and under PyTorch's names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from recurra import _errors
from recurra.layers.parameters import Parameterized

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence

    from recurra._typing import Array
    from recurra.io.state_dicts import IncompatibleKeys


class Exchanged(Parameterized):
    """What takes its parameters' values from others, and gives copies away; `Layer` is the class to derive from."""

    def get_weights(self) -> list[Array]:
        """Return copies of the parameters, in the order of `parameters`."""
        self._allocate()
        return [view.copy() for view in self._views[0].values()]

    def set_weights(self, weights: Sequence[Array]) -> None:
        """Copy values into the parameters.

        Parameters
        ----------
        weights : sequence of array_like
            As returned by `get_weights`: one for each parameter, in order and in its shape.

        Raises
        ------
        TypeError, ValueError
            If their number or a shape does not fit; the parameters stay as they were.

        Examples
        --------
        >>> import numpy as np, recurra
        >>> first, second = recurra.Dense(2), recurra.Dense(2)
        >>> x = np.ones((1, 3), np.float32)
        >>> y = first(x)
        >>> second.build((None, 3))
        >>> second.set_weights(first.get_weights())
        >>> bool((second(x) == y).all())
        True
        """
        self._allocate()
        views = self._views[0]
        if len(weights) != len(views):
            raise _errors.bad_value("weights", f"{len(views)} arrays", f"{len(weights)}", f"{', '.join(views)}")
        arrays = [np.asarray(values, self.dtype) for values in weights]
        for (name, view), values in zip(views.items(), arrays, strict=True):
            if values.shape != view.shape:
                raise _errors.bad_value("weights", f"shape {view.shape} for {name!r}", f"{values.shape}")
        try:
            for view, values in zip(views.values(), arrays, strict=True):
                view[...] = values
        finally:
            self._version.number += 1

    def state_dict(self) -> dict[str, Array]:
        """Return copies of the parameters by name."""
        self._allocate()
        return {name: view.copy() for name, view in self._views[0].items()}

    def load_state_dict(self, state_dict: Mapping[str, Array]) -> None:
        """Copy values into the parameters by name.

        Parameters
        ----------
        state_dict : mapping of str to array_like
            As returned by `state_dict`: each parameter's name once, in its shape.

        Raises
        ------
        TypeError, ValueError
            If names are missing or unknown, or a shape does not fit; the parameters stay as they were.
        """
        self._allocate()
        odd = sorted(set(state_dict) ^ set(self._views[0]))
        if odd:
            missing = [name for name in odd if name in self._views[0]]
            got = f"none for {missing[0]!r}" if missing else f"an unknown {odd[0]!r}"
            raise _errors.bad_value("state_dict", "an array for each parameter", got, ", ".join(self._views[0]))
        self.set_weights([state_dict[name] for name in self._views[0]])

    def load_torch(
        self,
        state_dict: Mapping[str, Any] | str | os.PathLike[str],
        prefix: str | Mapping[str, str | None] = "",
        strict: bool = True,
    ) -> IncompatibleKeys:
        """Copy the weights of a PyTorch module into the parameters, by PyTorch's names.

        Parameters
        ----------
        state_dict : mapping of str to (array or tensor), or path
            ``module.state_dict()``, NumPy arrays under such names, or a safetensors file. float16 and bfloat16 become
            float32 exactly; all are cast to the layer's dtype. PyTorch is not imported, and pickles (``.pt``) are not
            read.
        prefix : str, or mapping of str to (str or None), default ""
            What stands before the layer's names: "encoder.rnn". For a model each layer's prefix by the layer's name
            (``{"lstm": "encoder.rnn", "dense": "head"}``), by default that name; None leaves a layer as it is.
        strict : bool, default True
            Raise if an array is missing, or if one is left over: under the prefix, or with a mapping at all.

        Returns
        -------
        IncompatibleKeys
            ``(missing_keys, unexpected_keys)``, both empty with ``strict``.

        Raises
        ------
        TypeError, ValueError
            If names, shapes or kinds of numbers do not fit, a weight is stored as a parametrization of it, the layer
            computes what no module of `torch.nn` does, or the file is damaged; the parameters stay as they were.
        OSError
            If the file cannot be read.

        Notes
        -----
        Dense is `torch.nn.Linear`; RNN, LSTM, GRU, Embedding, Conv1D, LayerNormalization and BatchNormalization are
        their namesakes, the epsilon of the last two being no weight: PyTorch's is 1e-5. The names of cells
        (``weight_ih``) serve recurrent layers of one layer and direction. A layer that is not built is built for the
        features that the weights tell.

        Examples
        --------
        >>> import numpy as np, recurra
        >>> layer = recurra.Dense(2)
        >>> layer.load_torch({"head.weight": np.ones((2, 3)), "head.bias": np.zeros(2)}, prefix="head")
        IncompatibleKeys(missing_keys=[], unexpected_keys=[])
        >>> layer(np.ones((1, 3), np.float32))
        array([[3., 3.]], dtype=float32)
        """
        from recurra.io import state_dicts

        return state_dicts.load(self, state_dict, prefix, strict)  # type: ignore[arg-type]

    def to_torch(self, prefix: str | Mapping[str, str | None] = "") -> dict[str, Array]:
        """Return copies of the parameters under the names of PyTorch's module; the inverse of `load_torch`.

        Parameters
        ----------
        prefix : str, or mapping of str to (str or None), default ""
            As in `load_torch`.

        Returns
        -------
        dict of str to numpy.ndarray
            ``module.load_state_dict({name: torch.from_numpy(array) for name, array in ...items()})`` takes it in, and
            `recurra.io.safetensors.write` writes it.

        Raises
        ------
        TypeError, ValueError
            If the layer is not built, or computes what no module of `torch.nn` does.

        Examples
        --------
        >>> import numpy as np, recurra
        >>> model = recurra.Sequential([recurra.LSTM(4), recurra.Dense(1)])
        >>> model.build((None, None, 3))
        >>> sorted(model.to_torch({"lstm": "rnn"}))[:3]
        ['dense.bias', 'dense.weight', 'rnn.bias_hh_l0']
        """
        from recurra.io import state_dicts

        return state_dicts.dump(self, prefix)  # type: ignore[arg-type]
