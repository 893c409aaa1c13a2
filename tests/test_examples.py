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


def loss_printed_by(name):
    """The test loss that an example prints, and that of guessing."""
    command = [sys.executable, str(ROOT / "examples" / name)]
    printed = subprocess.run(command, check=True, capture_output=True, text=True, timeout=300).stdout
    losses = re.search(r"^Test loss: (\S+) \(guessing the mean: (\S+)\)$", printed, re.MULTILINE)
    return float(losses[1]), float(losses[2])


def test_the_first_examples_learn_and_the_lstm_does_ten_times_better():
    """About ten times, the texts say: the bounds leave a factor of two."""
    lstm, guess = loss_printed_by("article_lstm.py")
    rnn, same = loss_printed_by("article_rnn.py")
    assert guess == same == pytest.approx(1.0, abs=0.05)
    assert rnn <= 0.15
    assert 5.0 <= rnn / lstm <= 20.0
