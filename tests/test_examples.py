"""The examples run from the command line and keep what they say."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.slow
def test_sunspots_prints_three_scores_and_draws(tmp_path):
    pytest.importorskip("statsmodels")
    pytest.importorskip("matplotlib")
    picture = tmp_path / "sunspots.png"
    command = [sys.executable, str(ROOT / "examples" / "sunspots.py"), "--output", str(picture)]
    printed = subprocess.run(command, check=True, capture_output=True, text=True, timeout=300).stdout
    scores = {name: float(score) for name, score in re.findall(r"^  (\S+) +(\d+\.\d)$", printed, re.MULTILINE)}
    assert scores["persistence"] == 30.4
    assert scores["AR(9)"] == 17.4
    assert scores["LSTM"] == pytest.approx(18.3, abs=0.5)  # the autoregression wins, and the example says so
    assert picture.read_bytes().startswith(b"\x89PNG")
