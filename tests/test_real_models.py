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
    attention = example("textgenrnn").AttentionWeightedAverage
    for seed in range(20):
        x = np.random.default_rng(seed).standard_normal((3, 5, 4))
        assert recurra.gradcheck(attention(dtype="float64", seed=seed), x).passed


def test_silero_vad_hears_speech_where_onnx_runtime_does(example):
    """Probabilities within 1e-5 at both rates, and the same segments.

    States from the same ones within 3e-4: in near silence the convolutions enlarge how their sums are rounded.
    """
    pytest.importorskip("onnxruntime")
    figures = report_of(example("silero_vad").compare, turns=1)
    for rate, least in ((16000, 500), (8000, 500)):
        assert figures[f"chunks at {rate}"] >= least
        assert figures[f"difference at {rate}"] <= 1e-5
        assert figures[f"states at {rate}"] <= 3e-4
        assert figures[f"same at {rate}"] == 1
        assert 8 <= figures[f"segments at {rate}"] <= 20


def test_every_file_of_silero_vad_gives_what_onnx_runtime_gives(example):
    """Within 1e-5: an LSTM for each rate, for one, spelled out in operators, over a sequence, with half the bits."""
    onnxruntime = pytest.importorskip("onnxruntime")
    fetch = example("fetch")
    try:
        files = sorted((fetch.pypi("silero-vad") / "silero_vad" / "data").glob("*.onnx"))
    except fetch.Unreachable as error:
        pytest.skip(f"cannot be fetched here: {error}")
    assert len(files) == 6
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    rng = np.random.default_rng(0)
    for file in files:
        session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
        model = recurra.load(file)
        for rate, size in ((16000, 576), (8000, 288)):
            rates = "sr" in [value.name for value in model.inputs]
            if rate == 8000 and not (rates and "16k" not in file.name):
                continue
            feeds = {"sr": np.array(rate)} if rates else {}
            for value in model.inputs:
                if value.name != "sr":
                    shape = [length if isinstance(length, int) else 1 for length in value.shape]
                    shape = [3 if "sequence" in file.name else 1, size] if value.name == "input" else shape
                    feeds[value.name] = rng.standard_normal(shape, np.float32) * np.float32(0.1)
            for turn in range(3):
                ours, theirs = model.run(None, feeds), session.run(None, feeds)
                for a, b in zip(ours, theirs, strict=True):
                    np.testing.assert_allclose(a, b, rtol=0, atol=1e-5, err_msg=f"{file.name}, {rate} Hz, {turn}")


def test_a_package_of_onnx_graphs_romanizes_every_name_as_onnx_runtime_does(example):
    """Five spellings each of 400 names, by the package's own search; scores within 2e-5."""
    pytest.importorskip("onnxruntime")
    figures = report_of(example("name_romanizer").compare, count=200, turns=1)
    assert figures["names"] == 400
    assert figures["different"] == 0
    assert 0 < figures["score"] <= 2e-5


def test_arabic_morph_segmenter_labels_every_word_as_its_own_code_does(example):
    """Exactly: 600 words of a dictionary, with all three labels among them."""
    pytest.importorskip("torch")
    figures = report_of(example("arabic_morph").compare, count=600, turns=1)
    assert figures["words"] == 600
    assert figures["different"] == 0
    assert figures["parts"] == 3
