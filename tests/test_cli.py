"""The command line: every command through ``main``, some as processes; the examples of docs/cli.md as they stand."""

import doctest
import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import recurra
from recurra.cli import main
from recurra.cli.commands import COMMANDS
from recurra.io import safetensors

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "cli.md").read_text()
NAMES = [command.name for command in COMMANDS]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The working folder, with the files that the page makes."""
    monkeypatch.chdir(tmp_path)
    exec(re.search(r"^```python\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)[1], {})
    return tmp_path


def told(capsys, *arguments):
    """Run a command that succeeds; return what it printed."""
    assert main(arguments) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    return printed.out


def failed(capsys, *arguments):
    """Run a command that fails; return its line on the standard error."""
    assert main(arguments) == 1
    printed = capsys.readouterr()
    assert printed.err.startswith("recurra: ")
    assert printed.err.count("\n") == 1
    return printed.err


# Usage


@pytest.mark.parametrize("name", NAMES)
def test_every_command_has_a_help_text_and_a_row_in_the_page(name, capsys):
    with pytest.raises(SystemExit) as left:
        main([name, "--help"])
    assert left.value.code == 0
    assert "usage: " in capsys.readouterr().out
    assert f"| `recurra {name}" in PAGE


def test_the_list_of_commands_and_the_version(capsys):
    for arguments, words in ((["--help"], NAMES), (["--version"], [f"recurra {recurra.__version__}\n"])):
        with pytest.raises(SystemExit) as left:
            main(arguments)
        assert left.value.code == 0
        printed = capsys.readouterr().out
        assert all(word in printed for word in words)


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["frobnicate"],
        ["info"],
        ["run", "m", "x.npy"],
        ["info", "m", "--frob"],
        ["run", "m", "x.npy", "y.npy", "--batch-size", "few"],
    ],
)
def test_wrong_usage_is_status_2(arguments, capsys):
    with pytest.raises(SystemExit) as left:
        main(arguments)
    assert left.value.code == 2
    assert "usage: recurra" in capsys.readouterr().err


def test_an_error_is_status_1_and_one_line_unless_the_traceback_is_asked_for(capsys, folder):
    assert failed(capsys, "info", "none.safetensors") == "recurra: none.safetensors: No such file or directory\n"
    with pytest.raises(FileNotFoundError):
        main(["--traceback", "info", "none.safetensors"])


def test_a_message_of_several_lines_becomes_one(capsys, monkeypatch):
    from recurra.cli import info

    monkeypatch.setattr(info, "facts", lambda path: exec("raise KeyError('a\\nb')"))
    assert failed(capsys, "info", "x") == "recurra: 'a\\nb'\n"
    monkeypatch.setattr(info, "facts", lambda path: exec("raise ValueError('a\\n  b')"))
    assert failed(capsys, "info", "x") == "recurra: a b\n"
    monkeypatch.setattr(info, "facts", lambda path: exec("raise AssertionError"))
    assert failed(capsys, "info", "x") == "recurra: AssertionError\n"


def test_as_a_process_status_and_streams_are_the_same(folder):
    for arguments, status, out, err in (
        (["info", "tagger.safetensors"], 0, "class       Sequential", ""),
        (["info", "nothing.safetensors"], 1, "", "recurra: nothing.safetensors: No such file or directory"),
        (["frobnicate"], 2, "", "invalid choice: 'frobnicate'"),
    ):
        done = subprocess.run(
            [sys.executable, "-m", "recurra", *arguments], capture_output=True, text=True, timeout=120
        )
        assert done.returncode == status
        assert out in done.stdout
        assert err in done.stderr
        assert "Traceback" not in done.stderr


def test_a_reader_that_has_gone_ends_it_quietly(folder):
    command = f"{sys.executable} -m recurra info --json tagger.safetensors | true"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, timeout=120)
    assert (done.stdout, done.stderr) == ("", "")


# The page


def consoles(onnx):
    """Commands of the page and what it says they print, in order; those with ONNX files or the others."""
    for block in re.findall(r"^```console\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE):
        for command, expected in re.findall(r"^\$ recurra (.*)\n((?:(?!\$ ).*\n)*)", block, re.MULTILINE):
            if (".onnx" in command) == onnx:
                yield command, expected


def check_console(capsys, onnx):
    count = 0
    for command, expected in consoles(onnx):
        main(shlex.split(command))
        printed = capsys.readouterr()
        checker = doctest.OutputChecker()
        assert checker.check_output(expected, printed.out + printed.err, doctest.ELLIPSIS), (command, printed)
        count += 1
    assert count


def test_the_page_says_what_the_commands_print(folder, capsys):
    check_console(capsys, onnx=False)


@pytest.mark.slow
def test_the_page_says_what_the_commands_print_with_files_of_onnx(folder, capsys):
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    check_console(capsys, onnx=True)


# info


def test_info_as_json_has_layers_weights_inputs_and_outputs(folder, capsys):
    facts = json.loads(told(capsys, "info", "--json", "tagger.safetensors"))
    assert facts["bytes"] == (folder / "tagger.safetensors").stat().st_size
    assert facts["inputs"] == [{"name": "input", "shape": [None, None], "dtype": "int64"}]
    assert facts["outputs"] == [{"name": "output", "shape": [None, None, 5], "dtype": "float32"}]
    assert [layer["name"] for layer in facts["layers"]] == ["embed", "lstm", "tags"]
    assert facts["layers"][2]["weights"] == {"weight": [5, 64], "bias": [5]}
    assert sum(layer["parameters"] for layer in facts["layers"]) == facts["parameters"] == 13925
    assert facts["compiled"] == {"optimizer": "Adam", "loss": ["sparse_categorical_crossentropy"]}


def test_info_of_a_graph_shows_all_inputs_outputs_frozen_layers_and_statistics(tmp_path, capsys):
    a, b = recurra.Input((None, 3), name="a"), recurra.Input((None, 2), name="b")
    hidden = recurra.BatchNormalization()(recurra.Concatenate()([a, b]))
    y, h = recurra.GRU(4, return_sequences=True, return_state=True)(hidden)
    model = recurra.Model([a, b], [recurra.Dense(1)(y), recurra.Dense(2, name="head")(h)])
    model.get_layer("head").trainable = False
    model.save(tmp_path / "graph.safetensors")
    printed = told(capsys, "info", str(tmp_path / "graph.safetensors"))
    for words in (
        "inputs      a (*, *, 3) float32, b (*, *, 2) float32",
        "outputs     dense (*, *, 1) float32, head (*, 2) float32",
        "gru                  GRU                 (*, *, 4), (*, 4)  132",
        "head                 Dense               (*, 2)             10 (frozen)",
        "of these not trained 20",
    ):
        assert words in printed, words


# run


def test_run_writes_what_predict_returns_bit_for_bit(folder, capsys):
    told(capsys, "run", "tagger.safetensors", "words.npy", "tags.npy", "--batch-size", "1")
    model, words = recurra.load_model("tagger.safetensors"), np.load("words.npy")
    np.testing.assert_array_equal(np.load("tags.npy"), model.predict(words))
    np.save("lengths.npy", [6, 2])
    told(capsys, "run", "tagger.safetensors", "words.npy", "tags.npz", "--lengths", "lengths.npy")
    with np.load("tags.npz") as found:
        np.testing.assert_array_equal(found["output"], model.predict(words, lengths=[6, 2]))


def test_run_takes_and_gives_several_arrays_by_name(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    a, b = recurra.Input((3,), name="a"), recurra.Input((2,), name="b")
    model = recurra.Model([a, b], [recurra.Dense(1, name="first")(a), recurra.Dense(2, name="second")(b)])
    model.save("two.safetensors")
    inputs = {"b": np.ones((4, 2)), "a": np.ones((4, 3))}
    np.savez("x.npz", **inputs)
    told(capsys, "run", "two.safetensors", "x.npz", "y.npz")
    with np.load("y.npz") as found:
        for name, expected in zip(("first", "second"), model.predict(inputs), strict=True):
            np.testing.assert_array_equal(found[name], expected)
    assert "OUTPUT: expected a name ending in .npz for 'first', 'second'" in failed(
        capsys, "run", "two.safetensors", "x.npz", "y.npy"
    )
    assert not Path("y.npy").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["words.txt", "y.npy"], "INPUT: expected a name ending in .npy or .npz, got 'words.txt'"),
        (["words.npy", "y.txt"], "OUTPUT: expected a name ending in .npy or .npz, got 'y.txt'"),
        (["damaged.npy", "y.npy"], "damaged.npy: expected arrays that numpy.save or numpy.savez wrote"),
        (["damaged.npz", "y.npy"], "damaged.npz: expected arrays that numpy.save or numpy.savez wrote"),
        (["pickle.npy", "y.npy"], "Object arrays cannot be loaded when allow_pickle=False"),
        (["words.npy", "y.npy", "--lengths", "long"], "--lengths: expected numbers such as 5,3,8"),
        (["words.npy", "none/y.npy"], "none"),
    ],
)
def test_files_that_cannot_be_read_or_written_are_named(arguments, words, folder, capsys):
    Path("damaged.npy").write_bytes(b"\x93NUMPY\x01\x00garbage")
    Path("damaged.npz").write_bytes(b"PK\x03\x04garbage")
    np.save("pickle.npy", np.array([{}], object), allow_pickle=True)
    assert words in failed(capsys, "run", "tagger.safetensors", *arguments)
    assert not Path("y.npy").exists()


# export and convert


def test_export_calls_the_method_of_the_ending_with_the_options_given(folder, capsys, monkeypatch):
    calls = []

    def fake(self, path, **options):
        calls.append((type(self).__name__, path, options))
        Path(path).write_text("int x;")
        return "as fine as it gets"

    monkeypatch.setattr(recurra.Sequential, "export_c", fake, raising=False)
    monkeypatch.setattr(recurra.Sequential, "export_onnx", fake, raising=False)
    for command in ("export", "convert"):
        printed = told(
            capsys, command, "tagger.safetensors", "m.c", "--name", "net", "--weights", "int8", "--sample", "words.npy"
        )
        assert printed == "m.c: 6 bytes; as fine as it gets\n"
        told(capsys, command, "tagger.safetensors", "m.onnx", "--opset", "18", "--lengths")
        told(capsys, command, "tagger.safetensors", "m.onnx")
    assert [call[:2] for call in calls] == [
        ("Sequential", "m.c"),
        ("Sequential", "m.onnx"),
        ("Sequential", "m.onnx"),
    ] * 2
    assert calls[0][2].pop("sample").shape == (2, 6)
    assert calls[0][2] == {"name": "net", "weights": "int8"}
    assert [call[2] for call in calls[1:3]] == [{"opset": 18, "lengths": True}, {}]


def test_a_model_that_cannot_be_written_so_is_named(folder, capsys, monkeypatch):
    monkeypatch.setattr(recurra, "load", lambda path: object())
    said = failed(capsys, "export", "tagger.safetensors", "m.c")
    assert "tagger.safetensors: expected a model that can be written as .c, got object; it is run as a graph" in said


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["m.txt"], "OUT: expected a name ending in "),
        (["m.onnx", "--weights", "int8"], "--weights: expected a file .c, got one ending in .onnx"),
        (["m.c", "--opset", "17"], "--opset: expected a file .onnx, got one ending in .c"),
        (["tagger.safetensors"], "OUT: expected another file, got 'tagger.safetensors', which is read"),
    ],
)
def test_wrong_outputs_are_refused_before_anything_is_written(arguments, words, folder, capsys):
    before = Path("tagger.safetensors").read_bytes()
    assert words in failed(capsys, "export", "tagger.safetensors", *arguments)
    assert Path("tagger.safetensors").read_bytes() == before
    assert sorted(path.name for path in folder.iterdir()) == ["tagger.safetensors", "words.npy"]


def test_convert_to_recurras_own_format_keeps_every_bit(folder, capsys):
    told(capsys, "convert", "tagger.safetensors", "again.safetensors")
    one, other = recurra.load_model("tagger.safetensors"), recurra.load_model("again.safetensors")
    np.testing.assert_array_equal(one.flat_parameters, other.flat_parameters)


def test_convert_to_a_state_dict_has_pytorchs_names(folder, capsys):
    told(capsys, "convert", "tagger.safetensors", "weights.safetensors", "--torch")
    arrays, metadata = safetensors.read("weights.safetensors")
    expected = recurra.load_model("tagger.safetensors").to_torch()
    assert metadata == {"format": "pt"}
    assert set(arrays) == set(expected)
    assert all(np.array_equal(arrays[name], expected[name]) for name in expected)
    assert "ending in .safetensors" in failed(capsys, "convert", "tagger.safetensors", "w.pt", "--torch")


# verify, bench, config


@pytest.mark.parametrize(("agrees", "runtime", "status"), [(True, "r 1", 0), (False, "r 1", 1), (False, None, 1)])
def test_verify_passes_its_arguments_on_and_its_status_tells_the_verdict(
    agrees, runtime, status, folder, capsys, monkeypatch
):
    calls = []

    class Found:
        note = "r is not installed"

    def verify(what, inputs, **options):
        calls.append((what, inputs, options))
        Found.agrees, Found.runtime = agrees, runtime
        return Found

    monkeypatch.setattr(recurra, "verify", verify, raising=False)
    arguments = ["verify", "m.onnx", "--batches", "2", "5", "--seed", "7", "--inputs", "words.npy"]
    assert main(arguments) == status
    assert capsys.readouterr().err == ("" if runtime else "recurra: r is not installed\n")
    what, inputs, options = calls[0]
    assert (what, inputs.shape) == ("m.onnx", (2, 6))
    assert options == {"batches": [2, 5], "seed": 7, "reference": None}
    main(["verify", "tagger.safetensors", "--reference", "m.onnx"])
    assert isinstance(calls[1][0], recurra.Sequential)
    assert calls[1][2]["reference"] == "m.onnx"


def test_bench_gets_its_own_arguments(capsys, monkeypatch):
    from recurra.bench import __main__ as bench

    calls = []
    monkeypatch.setattr(bench, "main", calls.append)
    told(capsys, "bench", "--cases", "lstm", "--seconds", "0")
    assert calls == [["--cases", "lstm", "--seconds", "0"]]


def test_config_prints_what_show_config_says_and_the_folders(capsys):
    printed = told(capsys, "config")
    facts = json.loads(told(capsys, "config", "--json"))
    assert facts["recurra"] == recurra.__version__
    assert facts["isa"] == recurra.show_config("dict")["isa"]
    assert Path(facts["folder"]).samefile(Path(recurra.__file__).parent)
    assert {"include", "library_dir", "cmake_dir"} <= set(facts)
    assert all(name in printed for name in facts)
