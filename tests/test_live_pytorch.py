"""The engine beside PyTorch itself, at random sizes up to 300."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import golden_vectors
from cases import assert_agree, run

torch = pytest.importorskip("torch")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN:UserWarning"),
]

TOLERANCES = {"float32": {"forward": 2e-5, "backward": 1e-4}, "float64": {"forward": 1e-12, "backward": 1e-12}}


def load_generator() -> Any:
    """Load golden/generate.py, which knows how to ask PyTorch."""
    specification = importlib.util.spec_from_file_location("generate", Path(__file__).parent / "golden" / "generate.py")
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


generate = load_generator()


def random_network(seed: int) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Return random options and inputs; sizes are spread evenly over the logarithm from 1 to 300."""
    rng = np.random.default_rng(seed)
    rows, steps, width, units = (int(np.exp(rng.uniform(0, np.log(top + 0.99)))) for top in (40, 60, 300, 300))
    options: dict[str, Any] = {"cell": ["lstm", "gru", "rnn", "rnn"][seed % 4]}
    if seed % 4 == 3:
        options["activation"] = generate.RELU
    options["num_layers"] = int(rng.integers(1, 4))
    options["bidirectional"] = bool(rng.integers(2))
    options["use_bias"] = bool(rng.integers(4))
    if options["cell"] == "lstm" and units > 1 and rng.integers(2):
        options["proj_size"] = int(rng.integers(1, units))
    inputs = generate.random_inputs(options, rng, (rows, steps, width, units), states=bool(rng.integers(3)))
    if rng.integers(2):
        inputs["lengths"] = rng.integers(1, steps + 1, rows)
    if options["cell"] == "rnn":  # keeps relu from exploding over many steps
        inputs["weights"] *= np.float32(0.4)
    return options, inputs


def compare(make: Any, options: dict[str, Any], inputs: dict[str, np.ndarray], dtype: str) -> None:
    """Compare an implementation with PyTorch: forward, and all gradients."""
    results = generate.evaluate(options, inputs, getattr(torch, dtype))
    given, expected = golden_vectors.as_problem(options, inputs, results, dtype)
    actual = run(make, given)
    assert_agree({part: actual[part] for part in expected}, expected, **TOLERANCES[dtype])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("seed", range(60))
def test_the_engine_agrees_with_pytorch_at_random_sizes(seed, dtype):
    core = pytest.importorskip("recurra._core")
    compare(core.Recurrent, *random_network(seed), dtype)


@pytest.mark.parametrize("seed", range(0, 60, 5))
def test_the_reference_agrees_with_pytorch_at_random_sizes(seed):
    from recurra import reference

    compare(reference.Recurrent, *random_network(seed), "float64")


@pytest.mark.parametrize("name", golden_vectors.NAMES)
def test_the_golden_vectors_are_what_the_generator_makes(name):
    made = generate.make(name)
    with np.load(golden_vectors.FOLDER / f"{name}.npz") as stored:
        assert made.keys() == set(stored.files)
        for part, value in stored.items():
            if value.dtype == np.float64:
                np.testing.assert_allclose(made[part], value, rtol=1e-12, atol=1e-12, err_msg=part)
            elif "/" in part:
                np.testing.assert_allclose(made[part], value, rtol=1e-4, atol=1e-5, err_msg=part)
            else:
                assert (made[part] == value).all(), part
