"""Reads the golden vectors in golden/, which golden/generate.py made with PyTorch."""

from __future__ import annotations

import json
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from cases import Problem
from recurra import reference

FOLDER = Path(__file__).parent / "golden"
NAMES = sorted(path.stem for path in FOLDER.glob("*.npz"))

Arrays = dict[str, np.ndarray]


def load(name: str, dtype: str) -> tuple[Problem, Arrays]:
    """Return a problem in a precision, and what cases.run() has to give for it."""
    with np.load(FOLDER / f"{name}.npz") as stored:
        contents = dict(stored)
    options = json.loads(contents.pop("options").item())
    if "activation" in options:
        options["activation"] = tuple(options["activation"])
    results = {part.removeprefix(f"{dtype}/"): contents[part] for part in contents if part.startswith(f"{dtype}/")}
    return as_problem(options, contents, results, dtype)


def as_problem(options: dict[str, Any], inputs: Arrays, results: Arrays, dtype: str) -> tuple[Problem, Arrays]:
    """Return inputs and results of golden/generate.py as a problem, and what cases.run() has to give for it."""
    options = {**options, "input_size": inputs["x"].shape[2], "hidden_size": inputs["units"].item()}
    parts = ("weights", "x", "h0", "c0", "dy", "dhn", "dcn")
    given = {part: inputs[part].astype(dtype) if part in inputs else None for part in parts}
    call = {"sequences": True, "training": False, "seed": 0}
    expected = {part: value for part, value in results.items() if part != "dweights"}
    for part, shape, offset in reference.Recurrent(**options).layout:
        expected[f"d{part}"] = results["dweights"][offset : offset + prod(shape)].reshape(shape)
    return Problem(options=options, lengths=inputs.get("lengths"), call=call, **given), expected
