"""Text to integers and back, by Keras's rules."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recurra.data import TextVectorization, pad

TEXTS = ["foo bar", "bar baz", "baz bada boom"]


def adapted(texts=TEXTS, **options):
    vectorize = TextVectorization(**options)
    vectorize.adapt(texts)
    return vectorize


def test_the_most_frequent_tokens_come_first_and_ties_in_descending_order():
    """The example in Keras's documentation."""
    vectorize = adapted()
    assert vectorize.get_vocabulary() == ["", "[UNK]", "baz", "bar", "foo", "boom", "bada"]
    assert vectorize.get_vocabulary(include_special_tokens=False) == ["baz", "bar", "foo", "boom", "bada"]
    assert vectorize.vocabulary_size() == 7
    ids = vectorize([["foo qux bar"], ["qux baz"]])
    assert ids.dtype == np.int64
    assert ids.tolist() == [[4, 1, 3], [1, 2, 0]]


def test_max_tokens_counts_padding_and_the_unknown_token():
    assert adapted(max_tokens=4).get_vocabulary() == ["", "[UNK]", "baz", "bar"]


@pytest.mark.parametrize(
    ("standardize", "tokens"),
    [
        ("lower_and_strip_punctuation", {"its", "éa"}),
        ("lower", {"it's", "éa!"}),
        ("strip_punctuation", {"Its", "ÉA"}),
        (None, {"It's", "ÉA!"}),
        (lambda text: text.replace("!", "?"), {"It's", "ÉA?"}),
    ],
)
def test_texts_are_standardized_first(standardize, tokens):
    assert set(adapted(["It's  ÉA!"], standardize=standardize).get_vocabulary(False)) == tokens


@pytest.mark.parametrize(
    ("split", "tokens"), [("whitespace", {"a", "bc"}), ("character", {"a", "b", "c", " "}), (str.split, {"a", "bc"})]
)
def test_texts_are_split_as_asked(split, tokens):
    assert set(adapted(["a bc"], split=split).get_vocabulary(False)) == tokens


@settings(max_examples=40, deadline=None)
@given(st.lists(st.text("ab cß€", min_size=1, max_size=9), min_size=1, max_size=5))
def test_characters_that_were_seen_come_back(texts):
    vectorize = adapted(texts, standardize=None, split="character")
    assert vectorize.decode(vectorize(texts)) == texts
    assert [vectorize.decode(vectorize(text)) for text in texts] == texts


@pytest.mark.parametrize("length", [None, 2, 5])
def test_ids_are_padded_or_ragged(length):
    padded = adapted(output_sequence_length=length)(TEXTS)
    ragged = adapted(output_sequence_length=length, ragged=True)(TEXTS)
    assert padded.shape == (3, length or 3)
    array, lengths = pad(ragged)
    assert lengths.tolist() == [min(n, length or n) for n in (2, 2, 3)]
    assert np.array_equal(padded[:, : array.shape[1]], array)
    assert not padded[:, array.shape[1] :].any()


def test_texts_come_as_arrays_generators_and_batches():
    expected = adapted().get_vocabulary()
    for texts in (np.array(TEXTS), np.array(TEXTS)[:, None], (text for text in TEXTS), [TEXTS[:2], TEXTS[2:]]):
        assert adapted(texts).get_vocabulary() == expected


def test_a_vocabulary_can_be_given_as_list_or_file(tmp_path):
    path = tmp_path / "words.txt"
    path.write_text("wörd\nand\n", encoding="utf-8")
    for vocabulary in (["wörd", "and"], ["", "[UNK]", "wörd", "and"], np.array(["wörd", "and"]), path, str(path)):
        vectorize = TextVectorization(vocabulary=vocabulary)
        assert vectorize.get_vocabulary() == ["", "[UNK]", "wörd", "and"]
        assert vectorize("and more wörd").tolist() == [3, 1, 2]


@pytest.mark.parametrize("options", [{}, {"split": "character", "standardize": None, "max_tokens": 5, "ragged": True}])
def test_everything_is_in_the_config_and_the_config_is_json(options):
    vectorize = adapted(**options)
    copy = TextVectorization.from_config(json.loads(json.dumps(vectorize.get_config())))
    assert copy.get_config() == vectorize.get_config()
    assert [row.tolist() for row in copy(TEXTS)] == [row.tolist() for row in vectorize(TEXTS)]


# Tokenizers of other libraries, by what they return.


class Encoding:
    def __init__(self, ids):
        self.ids = ids


class Batching:
    """As tokenizers.Tokenizer."""

    padding = {"pad_id": 9}  # noqa: RUF012

    def encode_batch(self, texts):
        return [Encoding([len(word) for word in text.split()]) for text in texts]

    def decode(self, ids):
        return " ".join("x" * number for number in ids)

    def get_vocab_size(self):
        return 77


class Single:
    """As sentencepiece, or a tokenizer of transformers."""

    pad_token_id = 9
    vocab_size = 77

    def encode(self, text):
        return [len(word) for word in text.split()]

    decode = Batching.decode


@pytest.mark.parametrize("tokenizer", [Batching(), Single()])
def test_a_tokenizer_gives_its_own_integers_and_padding(tokenizer):
    vectorize = TextVectorization(split=tokenizer)
    assert vectorize(["It's me", "Yes"]).tolist() == [[4, 2], [3, 9]]
    assert vectorize.decode([4, 2]) == "xxxx xx"
    assert vectorize.vocabulary_size() == 77
    with pytest.raises(ValueError, match="vocabulary: expected none for a tokenizer"):
        vectorize.adapt(TEXTS)


@pytest.mark.parametrize(
    "result",
    [
        lambda ids: ids,
        lambda ids: {"input_ids": ids},
        lambda ids: {"input_ids": [ids]},
        Encoding,
        lambda ids: np.array(ids),
    ],
)
def test_a_callable_may_return_integers(result):
    vectorize = TextVectorization(standardize=None, split=lambda text: result([len(word) for word in text.split()]))
    assert vectorize(["It's me", "Yes"]).tolist() == [[4, 2], [3, 0]]


def test_a_hugging_face_tokenizer_is_saved_with_its_vocabulary():
    tokenizers = pytest.importorskip("tokenizers")
    words = tokenizers.Tokenizer(tokenizers.models.WordLevel({"[UNK]": 0, "foo": 1, "bar": 2}, "[UNK]"))
    words.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    vectorize = TextVectorization(split=words, ragged=True)
    copy = TextVectorization.from_config(json.loads(json.dumps(vectorize.get_config())))
    for made in (vectorize, copy):
        assert [row.tolist() for row in made(["bar foo", "qux"])] == [[2, 1], [0]]
        assert made.vocabulary_size() == 3
        assert made.decode([[2, 1]]) == ["bar foo"]


@pytest.mark.slow
def test_ids_equal_those_of_keras():
    keras = pytest.importorskip("keras")
    pytest.importorskip("tensorflow")
    texts = ["The cat; the DOG!", "a dog (and a cat)", "it's  the end_of_it", "x"]
    for split in ("whitespace", "character"):
        for options in ({}, {"max_tokens": 6}, {"output_sequence_length": 3}):
            ours = adapted(texts, split=split, **options)
            theirs = keras.layers.TextVectorization(split=split, **options)
            theirs.adapt(texts)
            assert ours.get_vocabulary() == [str(token) for token in theirs.get_vocabulary()]
            assert np.array_equal(ours(texts), np.asarray(theirs(texts)))
