"""Published models give what their own code gives. Each is fetched from PyPI when its test runs; none is in this tree.

A test whose package cannot be fetched is skipped and says why. Times are printed, not judged: others may be at work.
"""

import importlib
from pathlib import Path

import pytest

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
