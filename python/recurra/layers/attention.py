"""Attention: weighted means of values, weighted by how well their keys fit a query."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from recurra import _core, _errors
from recurra.layers._scores import additive, kept, seen_keys, silence, softmax
from recurra.layers.base import Layer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from recurra._typing import Array, Pullback, Shape

    # gradient of the scores to those of query and key
    ScorePullback = Callable[[Array], tuple[Array, Array]]

SCORE_MODES = ("dot", "concat")


class Attention(Layer):
    """Attention of queries q over values v with keys k, which are the values unless given (Luong et al. 2015)::

        y[i] = sum over j of a[i, j] v[j]        a[i] = softmax over j of s(q[i], k[j])
        s(q, k) = scale * q . k                  score_mode="dot"
        s(q, k) = weight * sum(tanh(scale * (q + k)))         score_mode="concat"

    Takes a list of arrays: ``[query, value]`` or ``[query, value, key]``.

    Parameters
    ----------
    use_scale : bool, default False
        Learn ``scale``; otherwise it is 1.
    score_mode : {"dot", "concat"}, default "dot"
        Which s.
    dropout : float, default 0.0
        Rate of dropout on the weights a.
    seed : int, optional
        Of the masks.
    dtype : {"float32", "float64"}, default "float32"
        Of inputs and outputs.
    name : str, optional
        Unique within a model.

    Attributes
    ----------
    parameters, gradients : dict of str to numpy.ndarray
        ``scale`` () with ``use_scale``, ``concat_score_weight`` () with "concat".

    Raises
    ------
    TypeError, ValueError
        On wrong arguments, as ``argument: expected X, got Y``.

    Notes
    -----
    Values beyond a sample's length weigh exactly 0, and outputs of queries beyond theirs are 0; a sample without any
    value gets 0. Calls from several threads are safe. Computes what `keras.layers.Attention` computes.

    Examples
    --------
    >>> import numpy as np, recurra
    >>> query, value = np.zeros((8, 5, 16), np.float32), np.zeros((8, 30, 16), np.float32)
    >>> y, weights = recurra.Attention()([query, value], return_attention_scores=True)
    >>> y.shape, weights.shape
    ((8, 5, 16), (8, 5, 30))
    """

    merges = True

    def __init__(
        self,
        use_scale: bool = False,
        score_mode: str = "dot",
        dropout: float = 0.0,
        seed: int | None = None,
        *,
        dtype: Any = "float32",
        name: str | None = None,
    ) -> None:
        super().__init__(dtype=dtype, name=name, seed=seed)
        self.use_scale = _errors.check_flag("use_scale", use_scale)
        self.score_mode = _errors.check_choice("score_mode", score_mode, SCORE_MODES)
        self.dropout = _errors.check_rate("dropout", dropout)
        self.random = self.dropout > 0.0

    # Shapes

    def build(self, input_shape: Any) -> None:
        """Declare the parameters for inputs [(batch, queries, features), (batch, values, features), ...]."""
        was_built = self.built
        super().build(input_shape)
        shapes: Any = self.input_shape
        try:
            _check_shapes("input_shape", shapes)
        except ValueError:
            self.built = was_built
            raise
        self._declare(shapes[0][-1])

    def _declare(self, features: int) -> None:
        if self.use_scale:
            self.add_weight("scale", (), "ones")
        if self.score_mode == "concat":
            self.add_weight("concat_score_weight", (), "ones")

    def compute_output_shape(self, input_shape: Any) -> Shape:
        """Return (batch, queries, features of a value)."""
        return (*input_shape[0][:-1], input_shape[1][-1])

    def compute_lengths(self, x: Any, lengths: Any) -> Array | None:
        """Return the queries' lengths."""
        found: Array | None = lengths[0]
        return found

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        own = {"use_scale": self.use_scale, "score_mode": self.score_mode, "dropout": self.dropout}
        return {**super().get_config(), **own}

    # The verbs

    def __call__(
        self,
        inputs: Sequence[Array],
        lengths: Any = None,
        mask: Any = None,
        training: bool = False,
        return_attention_scores: bool = False,
        use_causal_mask: bool = False,
        seed: int | None = None,
    ) -> Any:
        """Return the outputs of all queries.

        Parameters
        ----------
        inputs : list of numpy.ndarray
            Query (batch, queries, features), value (batch, values, any) and, optionally, key (batch, values, features).
        lengths : list of (array of int or None), optional
            Queries and values that count in each sample, each (batch,).
        mask : list of (array of bool or None), optional
            The same by steps: (batch, queries) and (batch, values).
        training : bool, default False
            Draw the masks of dropout.
        return_attention_scores : bool, default False
            Return a too, as ``(outputs, weights)``.
        use_causal_mask : bool, default False
            Let query i see values 0 to i alone.
        seed : int, optional
            Of the masks of dropout; by default each call draws new ones.

        Returns
        -------
        numpy.ndarray, shape (batch, queries, features of a value)
            The outputs; with ``return_attention_scores`` the pair of them and a (batch, queries, values), where queries
            that do not count weigh as zeros would.

        Raises
        ------
        TypeError, ValueError
            If an argument does not fit.
        """
        inputs, steps = self._checked(inputs, lengths, mask)
        y, weights, _ = self._attend(inputs, steps, training, self._call_seed(seed, training), use_causal_mask)
        return (y, weights) if return_attention_scores else y

    def vjp(
        self,
        inputs: Sequence[Array],
        lengths: Any = None,
        mask: Any = None,
        training: bool = True,
        use_causal_mask: bool = False,
        seed: int | None = None,
    ) -> tuple[Array, Pullback]:
        """Return the outputs and the function that backpropagates through this call.

        Parameters
        ----------
        inputs, lengths, mask, training, use_causal_mask, seed
            As in a call.

        Returns
        -------
        outputs : numpy.ndarray
            As from a call.
        pullback : callable
            ``pullback(dy)`` returns the list of the inputs' gradients and adds into `gradients`.
        """
        inputs, steps = self._checked(inputs, lengths, mask)
        y, _, pullback = self._attend(inputs, steps, training, self._call_seed(seed, training), use_causal_mask)
        return y, pullback

    def _apply(self, x: Any, lengths: Any, training: bool, seed: int) -> Array:
        return self._attend(x, lengths, training, seed)[0]

    def _differentiate(self, x: Any, lengths: Any, training: bool, seed: int) -> tuple[Array, Pullback]:
        y, _, pullback = self._attend(x, lengths, training, seed)
        return y, pullback

    def _checked(self, inputs: Any, lengths: Any, mask: Any) -> tuple[list[Array], list[Any]]:
        """Return the inputs and the lengths of each, having checked them and built the layer."""
        self.check_input(inputs, "inputs")
        _check_shapes("inputs", [x.shape for x in inputs])
        found: list[Any] = [None] * len(inputs)
        for index, axis in enumerate(("queries", "values")):
            steps, seen = (
                None if part is None else _listed(name, part)[index]
                for name, part in (("lengths", lengths), ("mask", mask))
            )
            try:
                found[index] = _errors.resolve_lengths(steps, seen, *inputs[index].shape[:2])
            except (TypeError, ValueError) as error:
                raise type(error)(f"{axis}: {error}") from error
        return list(inputs), found

    # The computation

    def _attend(
        self, inputs: list[Array], lengths: Sequence[Array | None], training: bool, seed: int, causal: bool = False
    ) -> tuple[Array, Array, Pullback]:
        """Return the outputs, the weights and the pullback."""
        query, value = kept(inputs[0], lengths[0]), kept(inputs[1], lengths[1])
        key = kept(inputs[2], lengths[1]) if len(inputs) > 2 else value
        scores, score_pullback = self._scores(query, key)
        seen = seen_keys(scores.shape, lengths[1], causal)
        weights = softmax(scores, seen)
        drop = self._dropped(training, seed)
        used = drop(weights)
        y = _core.products(used, value)
        silence(y, lengths[0])

        def pullback(dy: Array, *, need_dx: bool = True) -> list[Array] | None:
            _errors.check_array("dy", dy, self.dtype, ("batch", "time", "outputs"), y.shape)
            dy = kept(dy, lengths[0])
            if not (need_dx or self._weights_declared):
                return None
            dweights = drop(dy @ value.swapaxes(1, 2))
            dscores = _core.softmax_backward(weights, dweights)  # 0 where the weight is
            dquery, dkey = score_pullback(dscores)
            dvalue = used.swapaxes(1, 2) @ dy
            return [dquery, dvalue, dkey] if len(inputs) > 2 else [dquery, dvalue + dkey]

        return y, weights, pullback

    def _dropped(self, training: bool, seed: int) -> Callable[[Array], Array]:
        """Return the function that multiplies by the mask of this call."""
        if not (training and self.random):
            return lambda weights: weights
        return lambda weights: _core.dropout(weights.reshape(len(weights), -1), self.dropout, seed, 0).reshape(
            weights.shape
        )

    def _scores(self, query: Array, key: Array) -> tuple[Array, ScorePullback]:
        """Return s of every query and key, (batch, queries, keys), and its pullback."""
        views, gradients = self._views
        scale = views["scale"] if self.use_scale else self.dtype.type(1.0)
        if self.score_mode == "dot":
            plain = _core.products(query, key, transposed=True)

            def dot_pullback(dscores: Array) -> tuple[Array, Array]:
                if self.use_scale:
                    gradients["scale"] += np.vdot(dscores, plain)
                    dscores = dscores * scale
                return dscores @ key, dscores.swapaxes(1, 2) @ query

            return (plain * scale if self.use_scale else plain), dot_pullback
        weight = views["concat_score_weight"]
        ones = np.ones(query.shape[-1], self.dtype)
        sums, inner = additive(query * scale, key * scale, ones)

        def concat_pullback(dscores: Array) -> tuple[Array, Array]:
            gradients["concat_score_weight"] += np.vdot(dscores, sums)
            dquery, dkey, _ = inner(dscores * weight)
            if self.use_scale:
                gradients["scale"] += np.vdot(dquery, query) + np.vdot(dkey, key)
            return dquery * scale, dkey * scale

        return sums * weight, concat_pullback


class AdditiveAttention(Attention):
    """Additive attention (Bahdanau et al. 2015): `Attention` with s(q, k) = sum(scale * tanh(q + k)).

    Parameters
    ----------
    use_scale : bool, default True
        Learn ``scale``, one number for each feature; otherwise it is 1.
    dropout, seed, dtype, name
        As in `Attention`.

    Attributes
    ----------
    parameters, gradients : dict of str to numpy.ndarray
        ``scale`` (features) with ``use_scale``.

    Raises
    ------
    TypeError, ValueError
        On wrong arguments, as ``argument: expected X, got Y``.

    Notes
    -----
    The sums q + k of a few queries at a time are held, not all of them. Computes what `keras.layers.AdditiveAttention`
    computes; Bahdanau's matrices before the sum are Dense layers in front of it.

    Examples
    --------
    >>> import numpy as np, recurra
    >>> query, value = np.zeros((8, 5, 16), np.float32), np.zeros((8, 30, 16), np.float32)
    >>> recurra.AdditiveAttention()([query, value], lengths=[None, [30, 7, 0, 1, 2, 3, 4, 5]]).shape
    (8, 5, 16)
    """

    def __init__(
        self,
        use_scale: bool = True,
        dropout: float = 0.0,
        seed: int | None = None,
        *,
        dtype: Any = "float32",
        name: str | None = None,
    ) -> None:
        super().__init__(use_scale, "concat", dropout, seed, dtype=dtype, name=name)

    def _declare(self, features: int) -> None:
        if self.use_scale:
            self.add_weight("scale", (features,), "glorot_uniform")

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        config = super().get_config()
        del config["score_mode"]
        return config

    def _scores(self, query: Array, key: Array) -> tuple[Array, ScorePullback]:
        scale = self._views[0]["scale"] if self.use_scale else np.ones(query.shape[-1], self.dtype)
        scores, inner = additive(query, key, scale)

        def pullback(dscores: Array) -> tuple[Array, Array]:
            dquery, dkey, dscale = inner(dscores)
            if self.use_scale:
                self._views[1]["scale"] += dscale
            return dquery, dkey

        return scores, pullback


def _listed(argument: str, value: Any) -> Any:
    """Return lengths or masks as given for each input."""
    if not isinstance(value, list | tuple) or len(value) not in (2, 3):
        raise _errors.bad_type(argument, "a list, one entry for query and value each", value, "None for all steps")
    return value


def _check_shapes(argument: str, shapes: Sequence[Shape]) -> None:
    """Raise unless the shapes are those of query, value and perhaps key."""
    if len(shapes) not in (2, 3):
        hint = "[query, value] or [query, value, key]"
        raise _errors.bad_value(argument, "two or three inputs", f"{len(shapes)}", hint)
    for index, shape in enumerate(shapes):
        if len(shape) != 3:
            axes = "(batch, time, features)"
            raise _errors.bad_value(f"{argument}[{index}]", f"three axes {axes}", f"{tuple(shape)}")
    key = len(shapes) - 1
    if shapes[0][2] != shapes[key][2]:
        what = f"{shapes[0][2]} features, as the query"
        raise _errors.bad_value(f"{argument}[{key}]", what, f"{shapes[key][2]}", "a Dense layer can change them")
    if None not in (shapes[1][1], shapes[key][1]) and shapes[1][1] != shapes[key][1]:
        raise _errors.bad_value(f"{argument}[2]", f"{shapes[1][1]} steps, as the value", f"{shapes[key][1]}")
