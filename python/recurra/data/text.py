"""Text as integers: a vocabulary of words or characters, or the tokenizer of another library."""

from __future__ import annotations

import os
import string
from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np

from recurra import _errors
from recurra.data import tokenizers
from recurra.data.arrays import shown
from recurra.data.padding import filled

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from typing import Self

    from recurra._typing import Array

PADDING, UNKNOWN = "", "[UNK]"
_SPECIAL = [PADDING, UNKNOWN]
_PUNCTUATION = str.maketrans("", "", string.punctuation)

STANDARDIZATIONS: dict[str, Callable[[str], str]] = {
    "lower_and_strip_punctuation": lambda text: text.lower().translate(_PUNCTUATION),
    "lower": str.lower,
    "strip_punctuation": lambda text: text.translate(_PUNCTUATION),
}
# How to split a text, and what to put between tokens to make text of them again.
SPLITS: dict[str, tuple[Callable[[str], list[str]], str]] = {"whitespace": (str.split, " "), "character": (list, "")}


class TextVectorization:
    """Text to integers and back, as `keras.layers.TextVectorization`.

    Integer 0 is padding, 1 stands for every token that is not in the vocabulary, and the tokens follow from the most
    frequent one on; tokens of the same count come in descending order of their text.

    Parameters
    ----------
    max_tokens : int, optional
        Most entries of the vocabulary, padding and unknown token included.
    standardize : {"lower_and_strip_punctuation", "lower", "strip_punctuation"}, callable or None
        What is done to a text first, by default the first of these. A callable takes a text and returns one.
    split : {"whitespace", "character"}, callable or tokenizer, default "whitespace"
        How a text becomes tokens. A callable takes a text and returns a list of text. A tokenizer of another library,
        that is an object with ``encode_batch`` or ``encode`` or a callable that returns integers or ``input_ids``,
        gives the integers itself and is given texts as they are unless ``standardize`` is set; there is no vocabulary
        then.
    output_mode : {"int"}, default "int"
        Integers, one for each token.
    output_sequence_length : int, optional
        Cut or pad to so many tokens.
    ragged : bool, default False
        Return a list of arrays of different lengths, which `pad`, `BucketedDataset` and ``fit`` take.
    vocabulary : list of str or path, optional
        Tokens in order, or a file with one on each line; then there is nothing to adapt.

    Raises
    ------
    TypeError, ValueError
        On wrong arguments.

    Notes
    -----
    Calls from several threads are safe. Unlike Keras, lower case is made of all letters, not of ASCII ones alone.

    Examples
    --------
    >>> from recurra.data import TextVectorization
    >>> vectorize = TextVectorization()
    >>> vectorize.adapt(["foo bar", "bar baz", "baz bada boom"])
    >>> vectorize(["Foo qux bar!", "qux baz"])
    array([[4, 1, 3],
           [1, 2, 0]])
    >>> vectorize.decode([4, 1, 3])
    'foo [UNK] bar'
    """

    def __init__(
        self,
        max_tokens: int | None = None,
        standardize: Any = "lower_and_strip_punctuation",
        split: Any = "whitespace",
        *,
        output_mode: str = "int",
        output_sequence_length: int | None = None,
        ragged: bool = False,
        vocabulary: Any = None,
    ) -> None:
        self.max_tokens = None if max_tokens is None else _errors.check_integer("max_tokens", max_tokens, 3)
        self.tokenizes = tokenizers.is_tokenizer(split)
        named = isinstance(standardize, str) and standardize == "lower_and_strip_punctuation"
        self.standardize = None if self.tokenizes and named else _choice("standardize", standardize, STANDARDIZATIONS)
        self.split = split if self.tokenizes else _choice("split", split, SPLITS)
        if split is None:
            raise _errors.bad_value("split", "'whitespace', 'character' or a callable", "None")
        self.output_mode = _errors.check_choice("output_mode", output_mode, ("int",))
        length = output_sequence_length
        self.output_sequence_length = (
            None if length is None else _errors.check_integer("output_sequence_length", length, 1)
        )
        self.ragged = _errors.check_flag("ragged", ragged)
        self._tokens: list[str] = []
        self._ids: dict[str, int] = {}
        if vocabulary is not None:
            self.set_vocabulary(vocabulary)

    # The vocabulary

    def adapt(self, data: Any) -> None:
        """Make the vocabulary of the tokens in texts, replacing the one there was.

        Parameters
        ----------
        data : iterable of str
            Texts, or batches of texts; each is read once.

        Raises
        ------
        TypeError, ValueError
            If these are no texts, hold no token, or the tokenizer has its own vocabulary.
        """
        counts: Counter[str] = Counter()
        self._require_own_vocabulary()
        for text in _texts(data):
            counts.update(self._split(text))
        for token in _SPECIAL:
            counts.pop(token, None)
        if not counts:
            raise _errors.bad_value("data", "texts with at least one token", "none")
        ordered = sorted(counts, key=lambda token: (counts[token], token), reverse=True)
        self._set(ordered if self.max_tokens is None else ordered[: self.max_tokens - len(_SPECIAL)])

    def set_vocabulary(self, vocabulary: Any) -> None:
        """Take a vocabulary as given.

        Parameters
        ----------
        vocabulary : list of str or path
            Tokens in order, or a file in UTF-8 with one on each line; padding and unknown token may lead.

        Raises
        ------
        TypeError, ValueError
            If it is empty, has a token twice, or has more than ``max_tokens``; the old one stays.
        """
        self._require_own_vocabulary()
        if isinstance(vocabulary, str | os.PathLike):
            with open(vocabulary, encoding="utf-8") as file:
                vocabulary = file.read().split("\n")
            vocabulary = vocabulary[:-1] if vocabulary[-1] == "" else vocabulary
        tokens = [str(token) if isinstance(token, str) else token for token in vocabulary]
        if tokens[:2] == _SPECIAL:
            tokens = tokens[2:]
        seen: set[str] = set()
        for number, token in enumerate(tokens):
            if not isinstance(token, str):
                raise _errors.bad_type(f"vocabulary[{number}]", "a text", token)
            if token in _SPECIAL:
                hint = "padding and unknown token come first, in this order, or not at all"
                raise _errors.bad_value("vocabulary", "tokens", f"{token!r} at {number}", hint)
            if token in seen:
                raise _errors.bad_value("vocabulary", "each token once", f"{token!r} again at {number}")
            seen.add(token)
        most = None if self.max_tokens is None else self.max_tokens - len(_SPECIAL)
        if not tokens or (most is not None and len(tokens) > most):
            hint = "" if most is None else f"max_tokens={self.max_tokens} counts padding and unknown token"
            raise _errors.bad_value("vocabulary", f"1 to {most or 'any number of'} tokens", f"{len(tokens)}", hint)
        self._set(tokens)

    def _set(self, tokens: list[str]) -> None:
        self._tokens = tokens
        self._ids = {token: number for number, token in enumerate(tokens, len(_SPECIAL))}

    def get_vocabulary(self, include_special_tokens: bool = True) -> list[str]:
        """Return the tokens in order, by default with padding ``""`` and unknown ``"[UNK]"`` at the head."""
        return [*(_SPECIAL if include_special_tokens else ()), *self._tokens]

    def vocabulary_size(self) -> int:
        """Return the number of integers, padding and unknown token included: an Embedding's ``input_dim``."""
        if self.tokenizes:
            for name in ("get_vocab_size", "n_vocab", "vocab_size", "__len__"):
                size = getattr(self.split, name, None)
                if size is not None:
                    return int(size() if callable(size) else size)
        return len(_SPECIAL) + len(self._tokens)

    def _require_own_vocabulary(self) -> None:
        if self.tokenizes:
            raise _errors.bad_value("vocabulary", "none for a tokenizer", "one", "the tokenizer has its own")

    # Text to integers and back

    def __call__(self, texts: Any) -> Any:
        """Return the integers of texts.

        Parameters
        ----------
        texts : list of str, or str
            The texts.

        Returns
        -------
        numpy.ndarray of int64, shape (texts, tokens), or list of numpy.ndarray
            Padded at the end, or with ``ragged`` an array for each text; without the first axis for one text.

        Raises
        ------
        TypeError, ValueError
            If these are no texts, or there is no vocabulary.
        """
        if isinstance(texts, str):
            found: Array = self([texts])[0]
            return found
        rows = [np.array(row, np.int64) for row in self._encoded(list(_texts(texts)))]
        length = self.output_sequence_length
        if length is not None:
            rows = [row[:length] for row in rows]
        if self.ragged:
            return rows
        value = tokenizers.padding_of(self.split) if self.tokenizes else 0
        if not rows:
            return np.zeros((0, length or 0), np.int64)
        return filled(rows, length or max(map(len, rows)), (), value)

    def _encoded(self, texts: list[str]) -> Iterator[list[int]]:
        """Yield the integers of each text."""
        if self.tokenizes:
            yield from tokenizers.encode(self.split, [self._standardized(text) for text in texts])
            return
        own = not callable(self.split)
        for number, text in enumerate(texts):
            tokens = self._raw_split(text)
            ids = None if own else tokenizers.ids_of(tokens)
            if ids is None:
                if not self._ids:
                    raise _errors.bad_value(
                        "vocabulary", "one", "none", "call adapt(texts) or set_vocabulary(tokens) first"
                    )
                ids = [self._ids.get(token, 1) for token in _checked(tokens, number)]
            yield ids

    def _standardized(self, text: str) -> str:
        if self.standardize is None:
            return text
        if isinstance(self.standardize, str):
            return STANDARDIZATIONS[self.standardize](text)
        return str(self.standardize(text))

    def _raw_split(self, text: str) -> Any:
        text = self._standardized(text)
        return SPLITS[self.split][0](text) if isinstance(self.split, str) else self.split(text)

    def _split(self, text: str) -> list[str]:
        """Return the tokens of a text, which must be text."""
        tokens = self._raw_split(text)
        if not isinstance(self.split, str) and tokenizers.ids_of(tokens) is not None:
            raise _errors.bad_type("split", "a callable that returns text to adapt", "one that returns integers")
        return _checked(tokens, 0)

    def decode(self, ids: Any) -> Any:
        """Return the text of integers; padding is left out.

        Parameters
        ----------
        ids : array_like of int, shape (tokens,) or (texts, tokens), or list of such
            As `__call__` returns them.

        Returns
        -------
        str or list of str
            Tokens joined by a blank, characters by nothing.

        Raises
        ------
        TypeError, ValueError
            If there is no such token.
        """
        rows = list(ids)
        if any(np.ndim(row) for row in rows) or (np.ndim(ids) == 2 if isinstance(ids, np.ndarray) else False):
            return [self.decode(row) for row in rows]
        if self.tokenizes:
            return self.split.decode([int(i) for i in rows])
        known = self.get_vocabulary()
        numbers = [_errors.check_integer("ids", i, 0, len(known) - 1) for i in rows]
        between = SPLITS[self.split][1] if isinstance(self.split, str) else " "
        return between.join(known[number] for number in numbers if number)

    # Files

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, vocabulary included, to be written as JSON.

        Raises
        ------
        TypeError
            If ``standardize`` or ``split`` is a callable, which cannot be written. Tokenizers of the library
            tokenizers can.
        """
        split = self.split
        if self.tokenizes:
            written = tokenizers.to_text(split)
            split = split if written is None else {"tokenizer": written}
        for name, value in (("standardize", self.standardize), ("split", split)):
            if value is not None and not isinstance(value, str | dict):
                hint = "keep get_vocabulary() instead, and make the object anew with your callable"
                raise _errors.bad_type(name, "a name, to be written", value, hint)
        return {
            "max_tokens": self.max_tokens,
            "standardize": self.standardize,
            "split": split,
            "output_mode": self.output_mode,
            "output_sequence_length": self.output_sequence_length,
            "ragged": self.ragged,
            "vocabulary": list(self._tokens) or None,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Return a new object made with the arguments that `get_config` returned."""
        split = config.get("split", "whitespace")
        if isinstance(split, dict):
            split = tokenizers.from_text(split["tokenizer"])
        return cls(**{**config, "split": split})


def _choice(argument: str, value: Any, known: Iterable[str]) -> Any:
    """Return a name, a callable or None."""
    if value is None or callable(value):
        return value
    return _errors.check_choice(argument, value, known)


def _checked(tokens: Sequence[Any], number: int) -> list[str]:
    """Return tokens, which must be text."""
    for token in tokens:
        if not isinstance(token, str):
            raise _errors.bad_type("split", "a list of text", f"{token!r} in that of text {number}")
    return list(tokens)


def _texts(data: Any) -> Iterator[str]:
    """Yield the texts in an iterable of them or of batches of them."""
    if isinstance(data, str | bytes) or not hasattr(data, "__iter__"):
        raise _errors.bad_type("texts", "a list of texts", shown(data))
    for number, part in enumerate(data):
        if isinstance(part, str):
            yield part
        elif isinstance(part, list | tuple | np.ndarray):
            yield from _texts(part)
        else:
            raise _errors.bad_type(f"texts[{number}]", "a text", repr(part))
