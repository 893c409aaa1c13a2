"""Tasks with published answers are learned as published; the table in docs/tasks.md has what each run gave."""

import importlib
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
TASKS = Path(__file__).resolve().parents[1] / "examples" / "tasks"


@pytest.fixture
def task(monkeypatch):
    monkeypatch.syspath_prepend(str(TASKS))

    def load(name):
        sys.modules.pop(name, None)
        return importlib.import_module(name)

    return load


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_gated_cells_add_over_200_steps(task, cell):
    assert task("adding").train(cell, 200, 4000) < 0.01


def test_a_tanh_rnn_does_not_add_over_600_steps(task):
    """It answers about 1 whatever it read: 1/6, the variance of the sum."""
    assert task("adding").train("rnn", 600, 500) > 0.15


def test_a_gru_copies_over_a_pause(task):
    """Below a third of the cross-entropy of who remembers nothing."""
    entropy, right = task("copying").train("gru", 20, 3000)
    assert entropy < 10 * 2.0794 / 40 / 3
    assert right > 0.75


def test_an_lstm_learns_the_embedded_reber_grammar(task):
    assert task("reber").train("lstm", 30) > 0.99


def test_two_digits_are_added_character_by_character(task):
    """The share of right characters, as Keras's example counts it."""
    assert task("addition").train(100)[0] > 0.99


def test_digits_are_read_pixel_by_pixel(task):
    pytest.importorskip("sklearn")
    assert task("digits").train(100) >= 0.97


def test_speakers_are_told_apart_by_their_vowels(task):
    pytest.importorskip("aeon")
    assert task("vowels").train(40) >= 0.95


def test_a_model_of_characters_beats_counting(task):
    """Bits per character on text never seen; needs Debian's packages of the King James text."""
    module = task("characters")
    try:
        text = module.debian_text()
    except (OSError, module.subprocess.CalledProcessError) as error:
        pytest.skip(f"no text: {error}")
    bits, counted, _ = module.train(text, 2)
    assert bits < counted
