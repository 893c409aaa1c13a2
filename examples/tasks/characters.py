"""A model of characters (after Graves 2013; Karpathy 2015) against counting: bits per character on text never seen.

Text: Genesis to Deuteronomy, and Psalms, in the King James version, from Debian's packages bible-kjv and
bible-kjv-text; or any file of yours. The last tenth is held out. The model reads the text as continuing rows, by
truncated backpropagation through time; the counts are those of up to four characters in a row, smoothed by
interpolation (Witten & Bell 1991).
"""

from __future__ import annotations

import argparse
import math
import subprocess
import tempfile
from pathlib import Path

import numpy as np

import recurra

STEPS, ROWS = 64, 32


def debian_text() -> str:
    """Return the five books of Moses and the Psalms, from packages fetched for it."""
    with tempfile.TemporaryDirectory() as folder:
        fetch = ["apt-get", "download", "-qq", "-o", "APT::Sandbox::User=root", "bible-kjv", "bible-kjv-text"]
        subprocess.run(fetch, cwd=folder, check=True, capture_output=True)
        for package in Path(folder).glob("*.deb"):
            subprocess.run(["dpkg", "-x", package, folder], check=True)
        program = [Path(folder) / "usr" / "bin" / "bible", "-p", Path(folder) / "usr" / "lib", "-f"]
        books = subprocess.run([*program, "gen1:1-deu34:12", "psa1:1-psa150:6"], check=True, capture_output=True)
    return "\n".join(line.partition(" ")[2] for line in books.stdout.decode("latin-1").splitlines() if line)


def counted_bits(train: np.ndarray, test: np.ndarray, characters: int, order: int = 4) -> float:
    """Return the bits per character of interpolated counts of up to ``order`` characters, the last one included.

    Weights of the orders are Witten and Bell's (1991): the share of a context's counts that were not new.
    """
    total = np.full(len(test), 1.0 / characters)
    for length in range(1, order + 1):
        contexts, follow = _codes(train, length - 1, characters), train[length - 1 :]
        pairs, pair_counts = np.unique(contexts * characters + follow, return_counts=True)
        seen, seen_counts = np.unique(contexts, return_counts=True)
        kinds = np.unique(pairs // characters, return_counts=True)[1]
        asked = np.concatenate([np.full(length - 1, -1), _codes(test, length - 1, characters)])
        place, known = _find(seen, asked)
        pair_place, pair_known = _find(pairs, asked * characters + test)
        count = np.where(pair_known, pair_counts[pair_place], 0)
        mixed = (count + kinds[place] * total) / (seen_counts[place] + kinds[place])
        total = np.where(known, mixed, total)
    return float(-np.log2(total).mean())


def _codes(text: np.ndarray, length: int, characters: int) -> np.ndarray:
    """Return a number for the characters before each position from ``length`` on."""
    count = len(text) - length
    codes = np.zeros(count, np.int64)
    for offset in range(length):
        codes = codes * characters + text[offset : offset + count]
    return codes


def _find(sorted_values: np.ndarray, wanted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    place = np.searchsorted(sorted_values, wanted).clip(max=len(sorted_values) - 1)
    return place, sorted_values[place] == wanted


def rows(codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the text as (ROWS, steps) of characters to read and of those that follow."""
    steps = (len(codes) - 1) // ROWS
    used = codes[: ROWS * steps + 1]
    return used[:-1].reshape(ROWS, steps), used[1:].reshape(ROWS, steps)


def train(text: str, epochs: int, seed: int = 0, verbose: int = 0) -> tuple[float, float, str]:
    """Return the model's bits per character on the held-out tenth, those of counting, and a sample."""
    recurra.set_random_seed(seed)
    alphabet = sorted(set(text))
    codes = np.array([alphabet.index(character) for character in text])
    cut = len(codes) * 9 // 10
    model = recurra.Sequential(
        [
            recurra.Embedding(len(alphabet), 32),
            recurra.LSTM(256, return_sequences=True),
            recurra.Dense(len(alphabet)),
        ]
    )
    loss = recurra.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(recurra.optimizers.Adam(3e-3, global_clipnorm=1.0), loss)
    model.fit(*rows(codes[:cut]), batch_size=ROWS, epochs=epochs, tbptt=STEPS, shuffle=False, verbose=verbose)
    bits = model.evaluate(*rows(codes[cut:]), batch_size=ROWS, verbose=0) / math.log(2)
    return bits, counted_bits(codes[:cut], codes[cut:], len(alphabet)), sample(model, alphabet, 300)


def sample(model: recurra.Sequential, alphabet: list[str], length: int, temperature: float = 0.7) -> str:
    """Return text that the model goes on with, one character at a time."""
    rng, stream, text = np.random.default_rng(0), model.stream(), "And "
    for position in range(length):
        x = np.array([alphabet.index(text[position])])
        logits = stream.step(x)[0] / temperature
        if position + 1 == len(text):
            chances = np.exp(logits - logits.max())
            text += alphabet[rng.choice(len(alphabet), p=chances / chances.sum())]
    return text


def main() -> None:
    """Train, and print both figures and a sample."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--text", type=Path, help="a file to learn; by default the King James text from Debian")
    parser.add_argument("--epochs", type=int, default=3, help="passes over the text")
    parser.add_argument("--verbose", type=int, default=1, help="progress: 0 none, 1 a bar")
    options = parser.parse_args()
    text = options.text.read_text() if options.text else debian_text()
    bits, counted, said = train(text, options.epochs, verbose=options.verbose)
    print(f"{len(text):,} characters: {bits:.3f} bits per character, 4-gram counts {counted:.3f}")
    print(said)


if __name__ == "__main__":
    main()
