"""Keras, in a process of its own, as the side that a Keras file is compared with."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np

from recurra.verification import keras_program
from recurra.verification.report import version
from recurra.verification.sides import Computed, Side

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from recurra._typing import Array

_PATIENCE = 600  # seconds


class KerasProcess(Side):
    """A model file, loaded and run by Keras elsewhere.

    Parameters
    ----------
    path : str
        The file.
    """

    def __init__(self, path: str) -> None:
        self.path, self.title = path, version("keras")

    def compute(self, batches: Sequence[Mapping[str, Array]]) -> Computed:
        """Return the outputs of all batches, and the time of the last.

        Raises
        ------
        ValueError
            If Keras does not read the file, or not run the model.
        """
        with tempfile.TemporaryDirectory() as folder:
            given, made = os.path.join(folder, "inputs.npz"), os.path.join(folder, "outputs.npz")
            arrays = {f"{b}/{i}": a for b, batch in enumerate(batches) for i, a in enumerate(batch.values())}
            np.savez(given, **arrays)  # type: ignore[arg-type]
            command = [sys.executable, "-P", keras_program.__file__, self.path, given, made]
            environment = {"TF_CPP_MIN_LOG_LEVEL": "3", **os.environ, "KERAS_BACKEND": _backend()}
            done = subprocess.run(command, capture_output=True, text=True, timeout=_PATIENCE, env=environment)
            if done.returncode != 0:
                last = done.stderr.strip().splitlines()[-1:] or ["no message"]
                raise ValueError(f"{self.path}: expected a model that Keras runs, got its error: {last[0]}")
            with np.load(made) as found:
                return Computed(_sorted(found, len(batches)), float(found["seconds"]))


def _backend() -> str:
    """Return the backend that the user chose, else one that is installed."""
    chosen = os.environ.get("KERAS_BACKEND")
    return chosen or next((name for name in ("tensorflow", "torch", "jax") if find_spec(name)), "tensorflow")


def _sorted(found: Any, batches: int) -> list[dict[str, Array]]:
    """Return the arrays of an archive, ``batch/place/name``, as one dictionary for each batch."""
    outputs: list[dict[str, Array]] = [{} for _ in range(batches)]
    for key in sorted(found.files, key=lambda key: [int(part) for part in key.split("/")[:2] if part.isdigit()]):
        if key != "seconds":
            batch, _, name = key.split("/", 2)
            outputs[int(batch)][name] = found[key]
    return outputs
