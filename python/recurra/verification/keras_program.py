"""The program that runs a Keras model: ``python keras_program.py MODEL INPUTS.npz OUTPUTS.npz``.

It imports nothing of recurra, so that it runs by its path wherever Keras is installed.
"""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from recurra._typing import Array


def main(path: str, given: str, made: str) -> None:
    """Load a model, run it on the inputs of an archive, write the outputs to another."""
    import keras

    model = keras.saving.load_model(path, compile=False)
    names = list(getattr(model, "output_names", []))
    arrays: dict[str, Array] = {}
    with np.load(given) as found:
        batches: dict[int, list[Array]] = {}
        for key in sorted(found.files, key=lambda key: [int(part) for part in key.split("/")]):
            batches.setdefault(int(key.split("/")[0]), []).append(found[key])
    times: list[float] = []
    for number, inputs in batches.items():
        passed = inputs if len(inputs) > 1 else inputs[0]
        outputs = model(passed, training=False)
        listed = list(outputs) if isinstance(outputs, list | tuple) else [outputs]
        for place, output in enumerate(listed):
            name = names[place] if len(names) == len(listed) else f"output {place}"
            arrays[f"{number}/{place}/{name}"] = keras.ops.convert_to_numpy(output)
        times = []
        for _ in range(3):
            start = time.perf_counter()
            model(passed, training=False)
            times.append(time.perf_counter() - start)
    np.savez(made, seconds=np.array(sorted(times)[1]), **arrays)  # type: ignore[arg-type]


if __name__ == "__main__":
    main(*sys.argv[1:])
