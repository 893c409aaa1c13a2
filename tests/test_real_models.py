"""Published models give what their own code gives. Each is fetched from PyPI when its test runs; none is in this tree.

A test whose package cannot be fetched is skipped and says why. Times are printed, not judged: others may be at work.
"""

import importlib
from pathlib import Path

import numpy as np
import pytest

import recurra

pytestmark = pytest.mark.slow
EXAMPLES = Path(__file__).resolve().parents[1] / "examples" / "models"


@pytest.fixture
def example(monkeypatch):
    """Loads one of examples/models."""
    monkeypatch.syspath_prepend(str(EXAMPLES))
    return importlib.import_module


def report_of(call, **options):
    """What an example's `compare` says, or a skip."""
    fetch = importlib.import_module("fetch")
    try:
        report = call(**options)
    except fetch.Unreachable as error:
        pytest.skip(f"cannot be fetched here: {error}")
    print(report)
    return report.figures


def test_g2p_en_says_every_word_as_its_own_code_does(example):
    """Exactly: 1,500 words of a dictionary, 1,500 of random letters."""
    figures = report_of(example("g2p_en").compare, count=1500, turns=1)
    assert figures["words"] == 3000
    assert figures["different"] == 0


def test_textgenrnn_reads_english_as_its_equations_do(example):
    """Within 1e-5 of float64; 1.3 bits per character, where a wrong order of weights gives 10 and more."""
    pytest.importorskip("h5py")
    figures = report_of(example("textgenrnn").compare, turns=1)
    assert figures["difference"] <= 1e-5
    assert figures["bits"] == pytest.approx(figures["reference bits"], abs=1e-5)
    assert figures["bits"] < 1.4
    assert min(figures["kernels unturned"], figures["all unturned"]) > 8
    assert figures.get("keras", 0.0) <= 2e-5


def test_the_attention_of_textgenrnn_has_exact_gradients(example):
    """In float64, within 1e-7 of finite differences."""
    layer = example("textgenrnn").AttentionWeightedAverage(dtype="float64")
    assert recurra.gradcheck(layer, np.random.default_rng(0).standard_normal((3, 5, 4))).passed
