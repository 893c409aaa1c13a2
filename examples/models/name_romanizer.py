"""arabic-name-romanizer (2026) in recurra: Arabic and Persian names in Latin letters, ONNX graphs of GRUs.

    python examples/models/name_romanizer.py                  compare with ONNX Runtime
    python examples/models/name_romanizer.py name another ... romanize names

The package reads a name's letters with a bidirectional GRU and writes Latin ones with two GRU cells that look back at
them, by a search with several beams. Its code stays as it is: where it holds two sessions of ONNX Runtime, `load` puts
two models of `recurra.load`, which are called alike.
"""

from __future__ import annotations

import argparse
import contextlib
import sqlite3
import sys

import numpy as np
from contest import OURS, Report, in_turn
from fetch import package, pypi

import recurra


def theirs(script: str = "", threads: int = 1):
    """Return the package's model, run by ONNX Runtime: of Arabic names, or with ``script="persian"`` of those."""
    folder = pypi("arabic-name-romanizer")
    if str(folder) not in sys.path:
        sys.path.append(str(folder))
    from arabic_name_romanizer.inference import OnnxModel

    return OnnxModel(folder / "arabic_name_romanizer" / "resources" / script, intra_op_threads=threads)


def load(script: str = ""):
    """Return the package's model, run by recurra."""
    model = theirs(script)
    for part in ("encoder", "decoder"):
        setattr(model.backend, part, recurra.load(model.model_dir / f"{part}.onnx"))
    return model


def names(count: int) -> list[str]:
    """Return names of the package's own dictionary, by chance."""
    path = pypi("arabic-name-romanizer") / "arabic_name_romanizer" / "resources" / "names.sqlite3"
    with contextlib.closing(sqlite3.connect(path)) as base:
        known = [row[0] for row in base.execute("SELECT DISTINCT arabic_key FROM units ORDER BY arabic_key")]
    return [str(name) for name in np.random.default_rng(0).choice(known, count, replace=False)]


def compare(count: int = 500, turns: int = 9) -> Report:
    """Romanize names with both, five spellings each; time the GRU that reads, and whole names."""
    figures = {"names": 0.0, "different": 0.0, "score": 0.0}
    for script in ("", "persian"):
        ours, reference = (model.transliterate_units(names(count), None, 5) for model in (load(script), theirs(script)))
        for mine, other in zip(ours, reference, strict=True):
            figures["names"] += 1
            figures["different"] += [text for text, _ in mine] != [text for text, _ in other]
            pairs = zip(mine, other, strict=False)
            figures["score"] = max([figures["score"], *(abs(a - b) for (_, a), (_, b) in pairs)])
    same = figures["names"] - figures["different"]
    return Report(
        "arabic-name-romanizer",
        package("arabic-name-romanizer"),
        "names in Latin letters, ONNX graphs: bidirectional GRU encoder, GRU decoder with attention, 256 units",
        "ONNX Runtime",
        f"spellings of {same:.0f} of {figures['names']:.0f} names equal, scores within {figures['score']:.1e}",
        figures,
        timings(turns),
    )


def timings(turns: int) -> list:
    """Time the encoder for one name, and 20 names one by one."""
    ours, one, two = load(), theirs(), theirs(threads=2)
    some = names(20)
    read = ours.vocab.encode(some[0], prefix_tokens=ours.vocab.source_prefix(None, None), eos=True)
    feeds = {"src": np.array([read]), "src_mask": np.zeros((1, len(read)), bool)}
    models = {"ONNX Runtime, 1 thread": one, "2 threads": two, OURS: ours}

    def encoder(model):
        return lambda: model.backend.encoder.run(None, feeds)

    def whole(model):
        return lambda: [model.transliterate_units([name], None, 1) for name in some]

    return [
        in_turn(what, {side: work(model) for side, model in models.items()}, turns=turns)
        for what, work in ((f"the encoder, {len(read)} letters", encoder), ("20 names one by one", whole))
    ]


def main() -> None:
    """Compare, or romanize names."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="Arabic names; none: compare with ONNX Runtime")
    options = parser.parse_args()
    if not options.names:
        print(compare())
        return
    for name, found in zip(options.names, load().transliterate_units(options.names, None, 3), strict=True):
        print(name, *(text for text, _ in found))


if __name__ == "__main__":
    main()
