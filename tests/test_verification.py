"""recurra.verify: what it draws, how it measures, what it says, without the runtimes themselves."""

import importlib.util
import sys
import types

import numpy as np
import pytest

import recurra
from recurra.verification import Verification, verify
from recurra.verification.inputs import Spec, draw, given
from recurra.verification.report import difference, worst

F = 4


def model(**options):
    """A small model with fixed weights."""
    made = recurra.Sequential([recurra.GRU(3, return_sequences=True, seed=1), recurra.Dense(2, seed=2)], **options)
    made.build((None, None, F))
    return made


# Differences


def test_differences_are_the_largest_ones_and_relative_to_the_largest_element():
    """Exactly, on numbers that binary fractions hold."""
    theirs = np.array([[1.0, -4.0], [0.5, 0.0]], np.float32)
    found = difference("y", theirs + np.array([[0.0, 0.5], [0.25, 0.0]], np.float32), theirs)
    assert (found.absolute, found.relative, found.shape, found.dtype) == (0.5, 0.125, (2, 2), "float32")
    assert not found.agrees
    assert difference("y", theirs * (1 + 1e-5), theirs).agrees
    assert not difference("y", theirs.astype(np.float64) * (1 + 1e-5), theirs.astype(np.float64)).agrees
    zeros = np.zeros(3, np.float32)
    assert difference("y", zeros + 0.5, zeros).relative == 0.5
    assert difference("y", zeros[:0], zeros[:0]).agrees


def test_integers_and_booleans_must_be_equal():
    numbers = np.arange(1000)
    assert difference("y", numbers, numbers).agrees
    assert not difference("y", numbers + (numbers == 3), numbers).agrees
    assert not difference("y", numbers > 2, numbers > 3).agrees


@pytest.mark.parametrize("odd", [np.nan, np.inf, -np.inf])
def test_a_number_that_is_not_finite_must_be_on_both_sides(odd):
    one, other = np.ones(3, np.float32), np.ones(3, np.float32)
    one[1] = odd
    found = difference("y", one, other)
    assert found.absolute == np.inf
    assert not found.agrees
    assert "at (1,)" in found.note
    other[1] = odd
    assert difference("y", one, other).absolute == 0.0


def test_shapes_that_differ_are_told_with_both():
    found = difference("y", np.ones((2, 3)), np.ones((3, 2)))
    assert (found.shape, found.note, found.relative) == ((3, 2), "recurra's is of shape (2, 3)", np.inf)


def test_over_several_batches_the_worst_difference_counts():
    theirs = np.ones(2, np.float32)
    each = [difference("y", theirs + delta, theirs) for delta in (0.0, 0.5, 0.25)]
    assert worst(each).absolute == 0.5
    assert worst(each).relative == 0.5


# Inputs


def test_drawn_inputs_have_the_shapes_kinds_and_bounds_that_a_model_says():
    specs = [
        Spec("x", ("time", "batch", 5), "float32"),
        Spec("h", (2, "batch", 3), "float64"),
        Spec("words", (None, None), "int64", 1, 7, True),
        Spec("flag", (), "bool"),
    ]
    drawn = draw(specs, 4, 0)
    assert drawn["x"].shape[1:] == (4, 5)
    assert drawn["x"].dtype == np.float32
    assert drawn["h"].shape == (2, 4, 3)
    assert drawn["words"].shape[0] == 4
    assert drawn["words"].max() < 7
    nonzero = drawn["words"] > 0
    assert (np.sort(~nonzero, axis=1) == ~nonzero).all()  # zeros at the end alone
    assert nonzero[0].all()
    assert drawn["flag"].shape == ()
    again = draw(specs, 4, 0)
    assert all(np.array_equal(drawn[name], again[name]) for name in drawn)
    assert not np.array_equal(draw(specs, 4, 1)["x"], drawn["x"])


def test_inputs_of_ones_own_come_as_an_array_a_list_or_a_dictionary():
    specs = [Spec("a", (None, 2), "float32"), Spec("b", (None, 3), "float32")]
    a, b = np.ones((1, 2)), np.ones((1, 3))
    for inputs in ([a, b], (a, b), {"b": b, "a": a}):
        assert [value.shape for value in given(inputs, specs).values()] == [(1, 2), (1, 3)]
    assert list(given(a, None)) == ["input 0"]
    with pytest.raises(ValueError, match=r"inputs: expected 2 arrays \(a, b\), got 1"):
        given(a, specs)
    with pytest.raises(ValueError, match="inputs: expected arrays for 'a', 'b', got 'a', 'c'"):
        given({"a": a, "c": b}, specs)


# A runtime in place of ONNX Runtime, which is not needed for these


@pytest.fixture
def runtime(monkeypatch):
    """Makes ``import onnxruntime`` give a runtime that computes ``model()``, with whatever error is put in."""
    state = types.SimpleNamespace(error=0.0, model=model(), calls=0)

    class Session:
        def __init__(self, path, options, providers):
            if "broken" in str(path):
                raise RuntimeError("INVALID_PROTOBUF")

        def get_inputs(self):
            return [types.SimpleNamespace(name="x", shape=["batch", "time", F], type="tensor(float)")]

        def get_outputs(self):
            return [types.SimpleNamespace(name="probabilities")]

        def run(self, names, feeds):
            state.calls += 1
            return [state.model(feeds["x"]) + np.float32(state.error)]

    fake = types.ModuleType("onnxruntime")
    fake.InferenceSession, fake.SessionOptions, fake.__version__ = Session, types.SimpleNamespace, "9.9"
    monkeypatch.setitem(sys.modules, "onnxruntime", fake)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    return state


def test_a_model_and_the_file_it_was_exported_to_are_compared_and_the_table_says_so(runtime, capsys):
    found = verify(model(), reference="m.onnx", batches=(2, 5), seed=3)
    assert isinstance(found, Verification)
    assert found.agrees
    assert (found.absolute, found.relative) == (0.0, 0.0)
    assert runtime.calls >= 3
    assert 0.0 < found.seconds < 10.0
    assert 0.0 < found.runtime_seconds < 10.0
    printed = capsys.readouterr().out
    assert printed == f"{found}\n"
    for words in ("sequential: recurra beside onnxruntime 9.9", "inputs input (2, ", "(5, ", "probabilities", "0.0e+00",
                  "one call: recurra ", "onnxruntime 9.9 ", "outputs agree within 2e-05"):  # fmt: skip
        assert words in printed, words


def test_outputs_that_differ_are_said_to_differ(runtime, capsys):
    runtime.error = 0.25
    found = verify(model(), reference="m.onnx")
    assert not found.agrees
    assert found.absolute == pytest.approx(0.25, rel=1e-6)
    assert "outputs DIFFER by more than 2e-05" in capsys.readouterr().out


def test_inputs_of_ones_own_are_the_one_batch(runtime):
    printed = []
    found = verify(model(), np.zeros((7, 2, F)), reference="m.onnx", print_fn=printed.append)
    assert found.batches == ["input (7, 2, 4) float32"]
    assert printed == [str(found)]


def test_a_file_that_the_runtime_does_not_take_is_named(runtime):
    with pytest.raises(ValueError, match=r"broken\.onnx: expected a file that ONNX Runtime takes.*INVALID_PROTOBUF"):
        verify(model(), reference="broken.onnx")


@pytest.mark.parametrize(("path", "package"), [("m.onnx", "onnxruntime"), ("m.keras", "keras"), ("m.h5", "keras")])
def test_a_runtime_that_is_not_installed_is_named_and_nothing_agrees(path, package, monkeypatch, capsys):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    found = verify(model(), reference=path)
    assert not found.agrees
    assert found.runtime is None
    assert np.isnan(found.absolute)
    printed = capsys.readouterr().out
    assert f"is not installed, so nothing was compared; pip install {package}" in printed
    assert "one call: recurra " in printed
    assert "agree" not in printed


def test_wrong_arguments_are_named(monkeypatch):
    with pytest.raises(ValueError, match="reference: expected what the model comes from"):
        verify(model())
    with pytest.raises(ValueError, match=r"expected a name ending in \.onnx, \.keras, \.h5 or \.hdf5, got 'm\.txt'"):
        verify(model(), reference="m.txt")
    with pytest.raises(ValueError, match="batches: expected at least one size, got none"):
        verify(model(), reference="m.onnx", batches=())
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    with pytest.raises(TypeError, match=r"what: expected a path, a model of recurra, or a torch\.nn\.Module, got 3"):
        verify(3)
