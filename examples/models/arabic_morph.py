"""arabic-morph-segmenter (2026) in recurra: prefix, stem and suffix of Arabic words, by a BiLSTM with a CRF.

    python examples/models/arabic_morph.py                   compare with the package's own code on PyTorch
    python examples/models/arabic_morph.py word another ...  take words apart

Two bidirectional LSTMs of 256 units read a word's letters; a linear-chain CRF labels each as part of the prefix, the
stem or the suffix. `load` reads the package's PyTorch file; the CRF's scores are those of the package pytorch-crf.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys

import numpy as np
from contest import OURS, Report, in_turn
from fetch import debian, package, pypi

import recurra

NAME = "arabic_morph_segmenter"


def original():
    """Return the package's own segmenter, on PyTorch."""
    folder = pypi("arabic-morph-segmenter") / NAME
    if "torchcrf" not in sys.modules:
        sys.path.append(str(pypi("pytorch-crf")))
    spec = importlib.util.spec_from_file_location(NAME, folder / "segmenter.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.ArabicMorphSegmenter(folder / "assets" / "arabic_morph_segmenter_bilstm_crf.pt")


def load(state) -> recurra.Sequential:
    """Return recurra's model of a PyTorch state dict."""
    letters, width = state["embedding.weight"].shape
    labels, units = state["classifier.weight"].shape
    model = recurra.Sequential(
        [
            recurra.Embedding(letters, width, name="embedding"),
            recurra.LSTM(units // 2, num_layers=2, bidirectional=True, return_sequences=True, name="lstm"),
            recurra.Dense(labels, name="classifier"),
            recurra.layers.CRF(labels, name="crf"),
        ]
    )
    model.build((None, None))
    model.load_torch({key: value for key, value in state.items() if not key.startswith("crf.")}, {"crf": None})
    crf = model.layers[-1].parameters
    for name, theirs in (("start", "start_transitions"), ("end", "end_transitions"), ("transitions", "transitions")):
        crf[name][...] = state[f"crf.{theirs}"].cpu().numpy()
    return model


def labels(model: recurra.Sequential, numbers: list[list[int]], together: int = 256) -> list[list[int]]:
    """Return the labels of words of any lengths, so many at a time."""
    found: list[list[int]] = []
    for first in range(0, len(numbers), together):
        some = numbers[first : first + together]
        lengths = np.array([len(word) for word in some])
        padded = np.zeros((len(some), lengths.max()), np.int64)
        for row, word in zip(padded, some, strict=True):
            row[: len(word)] = word
        paths, _ = recurra.crf_decode(model(padded, lengths=lengths), lengths)
        found += [path[:length].tolist() for path, length in zip(paths, lengths, strict=True)]
    return found


def words(count: int) -> list[str]:
    """Return words of Debian's dictionary, by chance."""
    lines = (debian("hunspell-ar") / "usr" / "share" / "hunspell" / "ar.dic").read_text("utf-8").splitlines()[1:]
    known = sorted({line.split("/")[0].strip() for line in lines} - {""})
    return [str(word) for word in np.random.default_rng(0).choice(known, count, replace=False)]


def compare(count: int = 2000, turns: int = 9) -> Report:
    """Label words with both; time the LSTMs, one word, and many at a time."""
    theirs = original()
    model = load(theirs.model.state_dict())
    some = words(count)
    unknown = theirs.char2id["<UNK>"]
    numbers = [[theirs.char2id.get(letter, unknown) for letter in word] for word in some]
    ours = [[theirs.id2label[label] for label in path] for path in labels(model, numbers)]
    different = sum(mine != theirs.segment_word(word)["labels"] for mine, word in zip(ours, some, strict=True))
    return Report(
        "arabic-morph-segmenter",
        package("arabic-morph-segmenter"),
        "prefix, stem and suffix of words: two bidirectional LSTMs of 256 units and a CRF, from a PyTorch file",
        "its own code on PyTorch",
        f"labels of {len(some) - different} of {len(some)} words equal",
        {"words": len(some), "different": different, "parts": len({label for path in ours for label in path})},
        timings(model, theirs, some, numbers, turns),
    )


def timings(model: recurra.Sequential, theirs, some: list[str], numbers: list[list[int]], turns: int) -> list:
    """Time the LSTMs on one word, and words with everything around."""
    import torch

    x = model.layers[0](np.array(numbers[:1]))
    tensor, layer = torch.from_numpy(x), theirs.model.lstm

    def of_torch():
        with torch.inference_mode():
            return layer(tensor)

    def by_one():
        return [labels(model, [word]) for word in numbers[:20]]

    def by_one_theirs():
        return [theirs.segment_word(word) for word in some[:20]]

    lstm = {"PyTorch": of_torch, OURS: lambda: model.layers[1](x)}
    return [
        in_turn(f"the LSTMs, {x.shape[1]} letters", lstm, turns=turns),
        in_turn("20 words one by one", {"PyTorch": by_one_theirs, OURS: by_one}, turns=turns),
        in_turn(
            "20 words, ours at a time",
            {"PyTorch": by_one_theirs, OURS: lambda: labels(model, numbers[:20])},
            turns=turns,
        ),
    ]


def main() -> None:
    """Compare, or take words apart."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("words", nargs="*", help="Arabic words; none: compare with the package's own code")
    options = parser.parse_args()
    if not options.words:
        print(compare())
        return
    theirs = original()
    model, unknown = load(theirs.model.state_dict()), theirs.char2id["<UNK>"]
    numbers = [[theirs.char2id.get(letter, unknown) for letter in word] for word in options.words]
    for word, path in zip(options.words, labels(model, numbers), strict=True):
        print(word, "".join(theirs.id2label[label] for label in path))


if __name__ == "__main__":
    main()
