"""Encoder and decoder: sequences in, sequences of tokens out; teacher forcing in training, a search afterwards."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from recurra import _errors
from recurra.layers._copies import particulars, take_on
from recurra.models.bridge import Bridge, start_groups
from recurra.models.model import Model
from recurra.models.translation import Translation, check_pair, check_tokens

if TYPE_CHECKING:
    from typing import Self

    from recurra._typing import Array, Pullback, Shape
    from recurra.layers.base import Layer

_PARTS = ("encoder", "decoder", "head", "source_embedding", "target_embedding")


class Seq2Seq(Translation, Model):
    """An encoder whose final states start a decoder (Sutskever et al. 2014), with attention if wanted::

        e, s = encoder(source)                        outputs and final states
        h    = decoder(previous tokens, start=s)      the tokens before each: teacher forcing in training
        a    = attention(query=h, value=e)            where asked for; then h = tanh(W [a; h] + b)
        y    = head(h)                                probabilities (or logits) of the next token

    Trained by ``fit(source, target)``, where targets are integers that end in ``end_token``; the decoder reads them
    behind ``start_token``, and steps after the first ``end_token`` do not count. `generate` searches for targets.

    Parameters
    ----------
    encoder : Layer
        Recurrent, with ``return_sequences=True`` and ``return_state=True``; it may have several layers, read both ways,
        or be made of cells.
    decoder : Layer
        Recurrent, forward in time, with ``return_sequences=True``. Where its states fit the encoder's (for one that
        reads both ways: both directions' side by side) these are its start, otherwise dense layers (tanh) make it.
    head : Dense
        With a unit for each token, and ``activation="softmax"`` or none.
    source_embedding, target_embedding : Embedding, optional
        Vectors of the tokens of source and target. Without the first the source is numbers (batch, time, features);
        without the second targets enter one-hot.
    attention : {"dot", "additive"} or Attention, optional
        None by default. "dot": Luong et al. 2015, with a matrix in between where encoder and decoder differ in size;
        "additive": Bahdanau et al. 2015, scores from the decoder's new states.
    start_token, end_token, pad_token : int, default 1, 2 and 0
        What begins and ends a target, and stands after its end.
    name : str, optional
        As in `Model`.

    Attributes
    ----------
    parameters, gradients : dict of str to numpy.ndarray
        Under ``"encoder."``, ``"decoder."``, ``"head."`` and so on.

    Raises
    ------
    TypeError, ValueError
        On wrong arguments, as ``argument: expected X, got Y``.

    Notes
    -----
    Takes ``[source, target]``, both as data, when called; ``fit`` and ``evaluate`` make the second from the targets.
    Calls and searches are safe from several threads.

    Examples
    --------
    Numbers read aloud in reverse:

    >>> import numpy as np, recurra
    >>> model = recurra.Seq2Seq(
    ...     recurra.GRU(16, return_sequences=True, return_state=True),
    ...     recurra.GRU(16, return_sequences=True),
    ...     recurra.Dense(6, activation="softmax"),
    ...     attention="dot",
    ... )
    >>> tokens = np.random.default_rng(0).integers(3, 6, (64, 4))
    >>> source = np.eye(6)[tokens]
    >>> target = np.concatenate([tokens[:, ::-1], np.full((64, 1), 2)], axis=1)
    >>> model.compile("adam")
    >>> history = model.fit(source, target, epochs=2, verbose=0)
    >>> model.generate(source, num_beams=3, max_length=6).tokens.shape[0]
    64
    """

    merges = True
    encoder: Any
    decoder: Any
    head: Any
    source_embedding: Any
    target_embedding: Any
    attention: Any = None
    keys: Any = None
    queries: Any = None
    combine: Any = None
    start_token: int
    end_token: int
    pad_token: int

    def __new__(cls, *arguments: Any, **options: Any) -> Self:
        """Make the model; `Model` would take the first arguments for placeholders."""
        return object.__new__(cls)

    def __init__(
        self,
        encoder: Layer,
        decoder: Layer,
        head: Layer,
        source_embedding: Layer | None = None,
        target_embedding: Layer | None = None,
        attention: Any = None,
        *,
        start_token: int = 1,
        end_token: int = 2,
        pad_token: int = 0,
        name: str | None = None,
    ) -> None:
        super().__init__(name=name)
        self.name = "seq2seq" if name is None else name
        self.dtype = encoder.dtype
        self.input_names = ["source", "target"]
        self._asked = (attention,)  # in a tuple: an attribute that is a layer would become the model's
        for part, layer in zip(_PARTS, (encoder, decoder, head, source_embedding, target_embedding), strict=True):
            _check_part(part, layer, self.dtype)
            if layer is not None and layer in self.layers:
                raise _errors.bad_value(part, "a layer of its own", f"{layer.name!r} twice")
            setattr(self, part, layer)
        self.vocabulary: int = head.units  # type: ignore[attr-defined]
        tokens = {"start_token": start_token, "end_token": end_token, "pad_token": pad_token}
        for token, value in tokens.items():
            setattr(self, token, _errors.check_integer(token, value, 0, self.vocabulary - 1))
        self._attach_attention(attention)

    def _attach_attention(self, attention: Any) -> None:
        from recurra.layers.attention import AdditiveAttention, Attention
        from recurra.layers.dense import Dense

        if attention is None:
            return
        if isinstance(attention, Attention):
            self.attention = attention._like(self.dtype.name)
        elif _errors.check_choice("attention", attention, ("dot", "additive")) == "dot":
            self.attention = Attention(dtype=self.dtype)
        else:
            self.attention = AdditiveAttention(dtype=self.dtype)
        width = self.decoder.output_size
        additive = isinstance(self.attention, AdditiveAttention)
        if additive:
            self.queries = Dense(width, use_bias=False, dtype=self.dtype)
        if additive or self.encoder.output_size != width:
            self.keys = Dense(width, use_bias=additive, dtype=self.dtype)
        self.combine = Dense(width, activation="tanh", dtype=self.dtype)

    # Building

    def build(self, input_shape: Any) -> None:
        """Build all layers for inputs [(batch, time(, features)), (batch, time)]; see `Layer.build`."""
        if self.built:
            return
        if not isinstance(input_shape, list | tuple) or len(input_shape) != 2:
            raise _errors.bad_value("input_shape", "two shapes, of source and target", input_shape)
        source, target = (tuple(shape) for shape in input_shape)
        shape: Shape = source
        if self.source_embedding is not None:
            self.source_embedding.build(source)
            shape = (*source[:2], self.source_embedding.output_dim)
        self.encoder.build(shape)
        width = self.vocabulary
        if self.target_embedding is not None:
            self.target_embedding.build(target)
            width = self.target_embedding.output_dim
        self.decoder.build((*target[:2], width))
        sizes = [[part[-1] for part in self._states_of(layer, shape)] for layer in (self.encoder, self.decoder)]
        self.bridge = Bridge(sizes[1], start_groups(self.encoder, *sizes), dtype=self.dtype)
        self.bridge.build([(None, size) for size in sizes[0]])
        self._build_attention()
        self.head.build((None, None, self.decoder.output_size))
        self.random = any(layer.random for layer in self.layers)
        self._places, place = {}, 0
        for layer in self.layers:
            self._places[layer.name] = place
            place += layer.leaves
            self._adopt(layer, layer.name)
        self.input_shape = (source, target)  # type: ignore[assignment]
        self.built = True

    def _build_attention(self) -> None:
        if self.attention is None:
            return
        width, values = self.decoder.output_size, self.encoder.output_size
        if self.queries is not None:
            self.queries.build((None, None, width))
        if self.keys is not None:
            self.keys.build((None, None, values))
        self.attention.build([(None, None, width), (None, None, values), (None, None, width)])
        self.combine.build((None, None, width + values))

    @staticmethod
    def _states_of(layer: Any, shape: Shape) -> list[Any]:
        """Return the shapes of a recurrent layer's states."""
        returned, layer.return_state = layer.return_state, True
        try:
            return layer._output_shapes(shape)[1:]  # type: ignore[no-any-return]
        finally:
            layer.return_state = returned

    def compute_output_shape(self, input_shape: Any) -> Shape:
        """Return (batch, time, tokens)."""
        return (*input_shape[1], self.vocabulary)

    def compute_lengths(self, x: Any, lengths: Any) -> Array | None:
        """Return the targets' lengths."""
        found: Array | None = lengths[1]
        return found

    # The verbs

    def __call__(self, x: Any, lengths: Any = None, training: bool = False, seed: int | None = None) -> Array:
        """Return the outputs for sources and the tokens before each output.

        Parameters
        ----------
        x : list of numpy.ndarray
            Source, (batch, time, features) or integers (batch, time), and target, integers (batch, time).
        lengths : list of (array of int or None), optional
            Of both.
        training : bool, default False
            Draw the masks of dropout.
        seed : int, optional
            Of those masks.

        Returns
        -------
        numpy.ndarray, shape (batch, time of the target, tokens)
            Of the head.
        """
        self.check_input(x)
        return self._differentiate(x, self._both(x, lengths), training, self._call_seed(seed, training))[0]

    def vjp(
        self, x: Any, lengths: Any = None, training: bool = True, seed: int | None = None
    ) -> tuple[Array, Pullback]:
        """Return the outputs and the function that backpropagates; its result is a list, None for integers."""
        self.check_input(x)
        return self._differentiate(x, self._both(x, lengths), training, self._call_seed(seed, training))

    def check_input(self, x: Any, argument: str = "x") -> None:
        """Check source and target, and build the model if it is not."""
        if not isinstance(x, list | tuple) or len(x) != 2:
            raise _errors.bad_type(argument, "a list of source and target", x)
        source, target = x
        self._check_source(source, f"{argument}[0]")
        check_tokens(f"{argument}[1]", target, self.vocabulary)
        if len(source) != len(target):
            raise _errors.bad_value(f"{argument}[1]", f"{len(source)} samples, as the source has", f"{len(target)}")
        self.ensure_built([source.shape, target.shape])

    def _check_source(self, source: Any, argument: str) -> None:
        if self.source_embedding is not None:
            check_tokens(argument, source, self.source_embedding.input_dim)
        else:
            _errors.check_array(argument, source, self.dtype, ("batch", "time", "features"), (None,) * 3)

    def ensure_built(self, shape: Any) -> None:
        """Build the model for inputs of these shapes unless it is built, and make its parameters."""
        if self._theta is None:
            source, _ = shape
            self.build([(None, None, *source[2:]), (None, None)])
            self._allocate()

    @property
    def _integer_inputs(self) -> list[bool]:
        return [self.source_embedding is not None, True]

    def _both(self, x: Any, lengths: Any) -> list[Array | None]:
        given = lengths if lengths is not None else (None, None)
        return [None if n is None else _errors.check_lengths(n, *a.shape[:2]) for a, n in zip(x, given, strict=True)]

    def _apply(self, x: Any, lengths: Any, training: bool, seed: int) -> Array:
        return self._differentiate(x, lengths, training, seed)[0]

    # Training: the targets are inputs too

    def compile(self, optimizer: Any = "adam", loss: Any = None, *arguments: Any, **options: Any) -> None:
        """Choose optimizer, loss and metrics; see `Trainer.compile`.

        The loss is ``SparseCategoricalCrossentropy`` by default, from logits if the head has no softmax.
        """
        from recurra.losses import SparseCategoricalCrossentropy

        if loss is None:
            loss = SparseCategoricalCrossentropy(from_logits=self.head.activation.name != "softmax")
        super().compile(optimizer, loss, *arguments, **options)

    def _examples(self, x: Any, y: Any, lengths: Any) -> tuple[Any, Any, Any]:
        """Return source and the decoder's input as the inputs, and the targets."""
        from recurra.data import pad
        from recurra.training.data import is_ragged

        if isinstance(x, dict):
            return x, y, lengths
        if y is None:
            hint = "model.generate(x) finds the targets of sources"
            raise _errors.bad_value("x", "a dictionary of source and target", "sources alone", hint)
        own = None
        if is_ragged(y):
            y, own = pad(y, argument="y")
        y = np.asarray(y)
        check_pair(x, y, self.end_token, self.vocabulary)
        ends = y == self.end_token
        counted = np.where(ends.any(axis=1), ends.argmax(axis=1) + 1, y.shape[1])
        before = np.full_like(y, self.start_token)
        before[:, 1:] = y[:, :-1]
        source = x if lengths is None else (x, lengths)
        return {"source": source, "target": (before, counted if own is None else np.minimum(counted, own))}, y, None

    # Copies and files

    def _own_config(self) -> dict[str, Any]:
        tokens = ("start_token", "end_token", "pad_token")
        return {**{token: getattr(self, token) for token in tokens}, "name": self.name if self.named else None}

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, layers by class and arguments."""
        from recurra.layers import serialize

        parts = {part: None if (layer := getattr(self, part)) is None else serialize(layer) for part in _PARTS}
        (asked,) = self._asked
        attention = asked if isinstance(asked, str | None) else serialize(asked)
        return {**parts, "attention": attention, **self._own_config()}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: dict[str, type[Layer]] | None = None) -> Self:
        """Return a new model from what `get_config` returned."""
        from recurra.layers import deserialize

        made = dict(config)
        for part in (*_PARTS, "attention"):
            if isinstance(config[part], dict):
                made[part] = deserialize(config[part], custom_objects)
        return cls(**made)

    def _like(self, dtype: str) -> Self:
        return type(self)(**self._copies(dtype), **self._own_config())

    def _copies(self, dtype: str) -> dict[str, Any]:
        parts = {part: getattr(self, part) for part in _PARTS}
        copies = {part: None if layer is None else layer._like(dtype) for part, layer in parts.items()}
        (asked,) = self._asked
        return {**copies, "attention": asked if isinstance(asked, str | None) else asked._like(dtype)}

    def __reduce__(self) -> tuple[Any, ...]:
        _, *built = particulars(self)
        return _restore, (type(self), self._copies(self.dtype.name), self._own_config(), *built), self._state()


def _restore(cls: type[Seq2Seq], parts: dict[str, Any], config: dict[str, Any], *built: Any) -> Seq2Seq:
    model = cls(**parts, **config)
    return take_on(model, model.name, *built)


def _check_part(part: str, layer: Any, dtype: np.dtype[Any]) -> None:
    """Raise unless a layer can be this part."""
    if layer is None and part.endswith("embedding"):
        return
    needs = {"encoder": ("return_sequences", "return_state"), "decoder": ("return_sequences",)}.get(part, ())
    for flag in needs:
        if not getattr(layer, flag, False):
            raise _errors.bad_value(part, f"a recurrent layer with {flag}=True", repr(layer))
    if part == "head" and getattr(getattr(layer, "activation", None), "name", "") not in ("softmax", "identity"):
        raise _errors.bad_value(part, "a Dense layer with softmax or no activation", repr(layer))
    if part.endswith("embedding") and not getattr(layer, "integer_input", False):
        raise _errors.bad_type(part, "an Embedding or None", layer)
    if layer.dtype != dtype:
        raise _errors.bad_value(part, f"dtype {dtype.name}, as the encoder", layer.dtype.name)
