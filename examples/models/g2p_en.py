"""g2p-en (Park & Kim 2019) in recurra: how English words are spoken, by a GRU sequence-to-sequence model.

    python examples/models/g2p_en.py                    compare with the package's own NumPy code
    python examples/models/g2p_en.py word another ...   say words

The package says words that its dictionary lacks: a GRU reads the letters, another writes phonemes, each the most
probable one after those before. `load` makes a `recurra.Seq2Seq` of its weights; nothing but their names is new.
"""

from __future__ import annotations

import argparse
import importlib.util
import random
import sys
import types
import warnings
from contextlib import contextmanager

import numpy as np
from contest import OURS, Report, in_turn
from fetch import debian, package, pypi

import recurra

MOST = 20  # phonemes of a word, as in the package
# Ours by theirs: both are PyTorch's arrays.
WEIGHTS = {
    "source_embedding.embeddings": "enc_emb",
    "encoder.weight_ih_l0": "enc_w_ih",
    "encoder.weight_hh_l0": "enc_w_hh",
    "encoder.bias_ih_l0": "enc_b_ih",
    "encoder.bias_hh_l0": "enc_b_hh",
    "target_embedding.embeddings": "dec_emb",
    "decoder.weight_ih_l0": "dec_w_ih",
    "decoder.weight_hh_l0": "dec_w_hh",
    "decoder.bias_ih_l0": "dec_b_ih",
    "decoder.bias_hh_l0": "dec_b_hh",
    "head.weight": "fc_w",
    "head.bias": "fc_b",
}


def load() -> recurra.Seq2Seq:
    """Return the model with the package's weights."""
    with np.load(pypi("g2p-en") / "g2p_en" / "checkpoint20.npz") as file:
        weights = {name: file[name] for name in WEIGHTS.values()}
    letters, width = weights["enc_emb"].shape
    phonemes, units = weights["fc_w"].shape
    model = recurra.Seq2Seq(
        recurra.GRU(units, return_sequences=True, return_state=True, name="encoder"),
        recurra.GRU(units, return_sequences=True, name="decoder"),
        recurra.Dense(phonemes, name="head"),
        recurra.Embedding(letters, width, name="source_embedding"),
        recurra.Embedding(phonemes, width, name="target_embedding"),
        start_token=2,
        end_token=3,
        pad_token=0,
    )
    model.build([(None, None), (None, None)])
    model.load_state_dict({ours: weights[theirs] for ours, theirs in WEIGHTS.items()})
    return model


def original():
    """Return the package's own predictor, without the tagger and the dictionary that it downloads."""
    with _without_nltk(), warnings.catch_warnings(action="ignore"):
        path = pypi("g2p-en") / "g2p_en" / "g2p.py"
        spec = importlib.util.spec_from_file_location("g2p_en_original.g2p", path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module.G2p()


@contextmanager
def _without_nltk():
    """Stand in for what the package imports but its model does not use."""
    nltk, corpus, tokenize = (types.ModuleType(name) for name in ("nltk", "nltk.corpus", "nltk.tokenize"))
    nltk.pos_tag = nltk.data = types.SimpleNamespace(find=lambda name: name)
    corpus.cmudict = types.SimpleNamespace(dict=dict)
    tokenize.TweetTokenizer = lambda: types.SimpleNamespace(tokenize=str.split)
    expand = types.ModuleType("g2p_en_original.expand")
    expand.normalize_numbers = str
    package = types.ModuleType("g2p_en_original")
    package.__path__ = []
    stand_ins = {module.__name__: module for module in (nltk, corpus, tokenize, expand, package)}
    before = {name: sys.modules.get(name) for name in stand_ins}
    sys.modules.update(stand_ins)
    try:
        yield
    finally:
        for name, module in before.items():
            if module is None:
                del sys.modules[name]
            else:
                sys.modules[name] = module


def letters(words: list[str], known: dict[str, int]) -> list[np.ndarray]:
    """Return the letters of words as numbers, as the package encodes them."""
    return [np.array([known.get(letter, known["<unk>"]) for letter in [*word, "</s>"]]) for word in words]


def say(model: recurra.Seq2Seq, words: list[str], theirs) -> list[list[str]]:
    """Return the phonemes of words."""
    found = model.translate(letters(words, theirs.g2idx), max_length=MOST)
    return [[theirs.phonemes[number] for number in row] for row in found]


def vocabulary(count: int) -> list[str]:
    """Return words from Debian's dictionary, and as many of random letters, some not of the alphabet."""
    lines = (debian("wamerican") / "usr" / "share" / "dict" / "american-english").read_text().split()
    rng = random.Random(0)
    words = rng.sample(sorted({line.lower() for line in lines}), count)
    alphabet = "abcdefghijklmnopqrstuvwxyz'é"
    return words + ["".join(rng.choices(alphabet, k=rng.randint(1, 30))) for _ in range(count)]


def compare(count: int = 2000, turns: int = 15) -> Report:
    """Say dictionary words and made-up ones with both; time the recurrent part and whole words."""
    model, theirs = load(), original()
    words = vocabulary(count)
    ours, reference = say(model, words, theirs), [theirs.predict(word) for word in words]
    different = sum(a != b for a, b in zip(ours, reference, strict=True))
    return Report(
        "g2p-en",
        package("g2p-en"),
        "grapheme to phoneme, GRU encoder and decoder, 256 units",
        "its own NumPy code",
        f"phonemes of {len(words) - different} of {len(words)} words equal",
        {"words": len(words), "different": different},
        timings(model, theirs, words[:100], turns),
    )


def timings(model: recurra.Seq2Seq, theirs, words: list[str], turns: int) -> list:
    """Time the recurrent part, word by word: the encoder over the letters, the decoder phoneme by phoneme."""
    sources = letters(words, theirs.g2idx)
    vectors = [np.take(theirs.enc_emb, row[None], axis=0) for row in sources]
    spoken = [[2, *row] for row in model.translate(sources, max_length=MOST)]
    targets = [np.take(theirs.dec_emb, row, axis=0)[:, None] for row in spoken]
    encoder, stream = model.encoder, model.decoder.stream()

    def ours():
        for x, steps in zip(vectors, targets, strict=True):
            _, h = encoder(x)
            stream.set_state([h])
            for step in steps:
                stream.step(step)

    def numpy_code():
        for x, steps in zip(vectors, targets, strict=True):
            h = theirs.gru(x, x.shape[1], theirs.enc_w_ih, theirs.enc_w_hh, theirs.enc_b_ih, theirs.enc_b_hh)[:, -1]
            for step in steps:
                h = theirs.grucell(step, h, theirs.dec_w_ih, theirs.dec_w_hh, theirs.dec_b_ih, theirs.dec_b_hh)

    def words_ours():
        model.translate(sources, max_length=MOST)

    def words_theirs():
        for word in words:
            theirs.predict(word)

    recurrent = in_turn(
        f"recurrent part, {len(words)} words one by one", {"NumPy": numpy_code, OURS: ours}, turns=turns
    )
    whole = in_turn(f"{len(words)} words, ours 64 at a time", {"NumPy": words_theirs, OURS: words_ours}, turns=turns)
    return [recurrent, whole]


def main() -> None:
    """Compare, or say words."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("words", nargs="*", help="words to say; none: compare with the package's own code")
    options = parser.parse_args()
    if options.words:
        for word, phonemes in zip(options.words, say(load(), options.words, original()), strict=True):
            print(f"{word}: {' '.join(phonemes)}")
    else:
        print(compare())


if __name__ == "__main__":
    main()
