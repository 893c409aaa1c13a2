"""What tokenizers of other libraries return, as lists of integers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence


def is_tokenizer(value: Any) -> bool:
    """Return whether an object turns text into integers itself: Hugging Face's, tiktoken's, sentencepiece's do."""
    return not isinstance(value, str) and (hasattr(value, "encode_batch") or hasattr(value, "encode"))


def encode(tokenizer: Any, texts: Sequence[str]) -> list[list[int]]:
    """Return the integers of each text."""
    if hasattr(tokenizer, "encode_batch"):
        results = tokenizer.encode_batch(list(texts))
    else:
        results = [tokenizer.encode(text) for text in texts]
    return [list(result) if (found := ids_of(result)) is None else found for result in results]


def ids_of(result: Any) -> list[int] | None:
    """Return the integers in a tokenizer's result; None if it holds none."""
    if isinstance(result, Mapping) and "input_ids" in result:
        result = result["input_ids"]
    for name in ("ids", "input_ids"):
        result = getattr(result, name, result)
    if isinstance(result, np.ndarray):
        result = result.tolist()
    found = list(result)
    if len(found) == 1 and isinstance(found[0], list):  # a batch of one
        found = found[0]
    if not found or not all(isinstance(part, int | np.integer) for part in found):
        return None
    return [int(part) for part in found]


def padding_of(tokenizer: Any) -> int:
    """Return the integer that a tokenizer pads with, 0 if it names none."""
    padding = getattr(tokenizer, "padding", None)
    found = padding.get("pad_id") if isinstance(padding, Mapping) else getattr(tokenizer, "pad_token_id", None)
    return int(found) if found is not None else 0


def to_text(tokenizer: Any) -> str | None:
    """Return a tokenizer of the library tokenizers as JSON; None for others, which have files of their own."""
    return str(tokenizer.to_str()) if hasattr(tokenizer, "to_str") else None


def from_text(text: str) -> Any:
    """Return the tokenizer that `to_text` wrote; needs the library tokenizers."""
    from tokenizers import Tokenizer

    return Tokenizer.from_str(text)
