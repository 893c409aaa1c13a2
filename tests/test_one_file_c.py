"""One-file C: what a C compiler makes of an exported model computes what Python computes; refusals write nothing."""

import re
import subprocess
from pathlib import Path

import numpy as np
import pytest

import recurra
from c_files import C99, Job, assert_close, has, randomised, run_all, sequential
from recurra.cexport import maths
from recurra.cexport.lowering import LOWERINGS
from recurra.cexport.source import Source, array_text
from recurra.cexport.storage import rounded, store
from recurra.layers import LAYERS

compiles = pytest.mark.skipif(not has("gcc"), reason="no C compiler here")
RNG = np.random.default_rng(0)
X = RNG.standard_normal((7, 3)).astype(np.float32)
TOKENS = RNG.integers(0, 9, 7)
BOUND = 1e-5

# What LAYERS has and a C file cannot hold.
REFUSED = {"CellRNN", "Attention", "AdditiveAttention", "CRF", "Dot"}


def small():
    return randomised(sequential(recurra.LSTM(5, return_sequences=True), recurra.Dense(2), shape=(None, None, 3)), 1)


def two_branches():
    x = recurra.Input((None, 3), name="signal")
    state = recurra.Input((2,), name="settings")
    lstm = recurra.LSTM(4, return_sequences=True, return_state=True)
    y, h, _ = lstm(x)
    both = recurra.Concatenate()([y, recurra.Dense(4)(x)])
    gated = recurra.Multiply()([recurra.Dense(2)(both), state])
    return randomised(recurra.Model([x, state], [gated, recurra.Dense(3)(h)]), 5)


def autoencoder():
    layers = [recurra.LSTM(4), recurra.RepeatVector(6), recurra.GRU(4, return_sequences=True)]
    return randomised(sequential(*layers, recurra.TimeDistributed(recurra.Dense(2)), shape=(None, None, 3)), 6)


def jobs():
    """Models that between them use every way in which the generator writes code."""
    everything = {"use_peepholes": True, "layer_norm": True, "proj_size": 3, "clip": 0.8, "cell_clip": 0.9}
    chains = [
        [recurra.LSTM(5, zoneout=(0.1, 0.2), num_layers=2, **everything), recurra.Dense(2, activation="softmax")],
        [recurra.LSTM(4, input_forget=True, bidirectional=True, merge_mode="ave"), recurra.Dense(1)],
        [recurra.GRU(5, reset_after=False, layer_norm=True, return_sequences=True), recurra.LayerNormalization()],
        [recurra.GRU(5, trainable_initial_state=True), recurra.Dense(9, activation="elu")],
        [recurra.RNN(5, activation="relu", go_backwards=True, num_layers=2), recurra.BatchNormalization()],
        [recurra.Conv1D(4, 3, padding="causal", dilation_rate=2), recurra.GRU(3), recurra.ReLU(max_value=1.0)],
        [recurra.Conv1D(6, 2, strides=2, groups=3, padding="same"), recurra.MaxPooling1D(2), recurra.LSTM(2)],
        [recurra.Bidirectional(recurra.LSTM(4, return_sequences=True)), recurra.GlobalAveragePooling1D()],
    ]
    found = [Job(randomised(sequential(*chain, shape=(None, None, 3)), k), [X]) for k, chain in enumerate(chains)]
    words = sequential(recurra.Embedding(9, 4), recurra.LSTM(12), recurra.Dense(3), shape=(None, None))
    for kind in ("float32", "float16", "int8"):
        found += [Job(words, [TOKENS], kind), Job(chains_model(), [X], kind)]
    dense = sequential(recurra.Dense(4, activation="softplus"), recurra.Dense(2, activation="sigmoid"), shape=(None, 3))
    flat = sequential(recurra.Flatten(), recurra.Dense(2), shape=(None, 7, 3))
    found += [Job(dense, [X[0]]), Job(flat, [X]), Job(autoencoder(), [X]), Job(two_branches(), [X, X[0, :2]])]
    return found


def chains_model():
    """Products of all kinds that float16 and int8 store: convolution, cells, projection, many and few outputs."""
    first = recurra.Conv1D(4, 2, padding="causal", activation="tanh")
    layers = [first, recurra.LSTM(6, proj_size=4, return_sequences=True), recurra.GRU(12, reset_after=False)]
    return randomised(sequential(*layers, recurra.Dense(2), shape=(None, None, 3)), 3)


@compiles
def test_compiled_models_compute_what_python_does_step_by_step_and_whole_within_1e_5(tmp_path, capsys):
    """Of 18 models in one program, compiled with every warning an error, the worst output is within 1e-5."""
    given = jobs()
    ran = run_all(tmp_path, given)
    assert sum(one.steps is not None for one in ran) > len(given) / 2
    for job, one in zip(given, ran, strict=True):
        assert_close(job, one, BOUND, rounded(job.model, job.weights))
    assert capsys.readouterr().out.count("largest error") == 4  # those stored as float16 and int8


@compiles
def test_a_file_tests_itself_and_finds_a_changed_weight(tmp_path):
    path = tmp_path / "model.c"
    small().export_c(path, sample=np.stack([X, X]))

    def outcome():
        program = str(tmp_path / "model")
        subprocess.run(["gcc", *C99, "-DMODEL_TEST", str(path), "-o", program], check=True)
        return subprocess.run([program], capture_output=True, text=True)

    good = outcome()
    assert good.returncode == 0
    assert good.stdout.startswith("model: largest difference from Python ")
    text = path.read_text()
    name = "model_dense_bias[2] = {\n  "
    assert name in text
    path.write_text(text.replace(name, name + "0.01f + "))
    assert outcome().returncode == 1


@compiles
def test_a_file_makes_a_program_that_reads_steps_and_writes_outputs(tmp_path):
    model = small()
    model.export_c(tmp_path / "m.c", name="my_net")
    program = str(tmp_path / "net")
    subprocess.run(["gcc", *C99, "-DMY_NET_MAIN", str(tmp_path / "m.c"), "-o", program], check=True)
    out = subprocess.run([program], input="\n".join(map(str, X.ravel().tolist())), capture_output=True, text=True)
    found = np.array([[float(word) for word in line.split()] for line in out.stdout.splitlines()])
    np.testing.assert_allclose(found, model(X[None])[0], rtol=0, atol=BOUND)


@compiles
def test_other_files_include_the_declarations_alone_also_from_cplusplus(tmp_path):
    small().export_c(tmp_path / "model.c")
    use = '#define MODEL_INTERFACE\n#include "model.c"\n#include "model.c"\n'
    use += "int main() { static model_state s; float x[MODEL_INPUTS] = {0}, y[MODEL_OUTPUTS];\n"
    use += "  model_reset(&s); model_step(&s, x, y); return model_run(&s, x, 1, y) == MODEL_OUTPUT_ROWS(1) ? 0 : 1; }\n"
    (tmp_path / "use.cc").write_text(use)
    subprocess.run(["gcc", *C99, "-c", str(tmp_path / "model.c"), "-o", str(tmp_path / "model.o")], check=True)
    objects = [str(tmp_path / "use.cc"), "-x", "none", str(tmp_path / "model.o")]
    subprocess.run(["gcc", "-Wall", "-Werror", "-x", "c++", *objects, "-o", str(tmp_path / "use")], check=True)
    subprocess.run([str(tmp_path / "use")], check=True)


# Largest errors as the functions' comments say them: of the result, or relative to it.
MATHS = {
    "tanh": (np.tanh, (-12, 12), 5e-7, 0.0),
    "sigmoid": (lambda x: 1 / (1 + np.exp(-x)), (-25, 25), 3e-7, 0.0),
    "exp": (np.exp, (-86, 0), 0.0, 2e-7),
    "softplus": (lambda x: np.logaddexp(0, x), (-80, 80), 3e-7, 1e-7),
}


@compiles
def test_functions_are_as_exact_as_their_comments_say(tmp_path):
    source = Source("t", "float32")
    names = [source.helper(name) for name in MATHS]
    x = [np.linspace(*span, 100_001).astype(np.float32) for _, span, _, _ in MATHS.values()]
    body = "".join(f"  for (int k = 0; k < 100001; ++k) {{ one(&x); x = {name}(x); put(x); }}\n" for name in names)
    text = "#include <stdint.h>\n#include <stdio.h>\n" + "\n".join(source.helpers())
    text += "\nstatic void one(float *x) { if (fread(x, 4, 1, stdin) != 1) *x = 0; }\n"
    text += f"static void put(float x) {{ fwrite(&x, 4, 1, stdout); }}\nint main(void) {{\n  float x;\n{body}}}\n"
    (tmp_path / "t.c").write_text(text)
    subprocess.run(["gcc", *C99, "-O1", str(tmp_path / "t.c"), "-o", str(tmp_path / "t")], check=True)
    out = subprocess.run([str(tmp_path / "t")], input=b"".join(part.tobytes() for part in x), stdout=subprocess.PIPE)
    found = np.frombuffer(out.stdout, np.float32).reshape(len(MATHS), -1)
    for name, given, made in zip(MATHS, x, found, strict=True):
        function, _, absolute, relative = MATHS[name]
        exact = function(given.astype(float))
        worst = (np.abs(made - exact) - relative * np.abs(exact)).max()
        assert worst <= absolute, (name, worst)
        assert f"{absolute or relative:.0e}".replace("e-0", "e-") in maths.FUNCTIONS[name].text


@compiles
@pytest.mark.parametrize("flags", [(), ("-O3", "-ffast-math")], ids=["plain", "fast-math"])
def test_every_finite_float16_is_widened_exactly_also_where_subnormal_floats_are_off(flags, tmp_path):
    source = Source("t", "float16")
    name, codes = source.helper("half"), np.arange(65536, dtype=np.uint16)
    codes = codes[np.isfinite(codes.view(np.float16))]
    text = "#include <stdint.h>\n#include <stdio.h>\n" + "\n".join(source.helpers())
    text += "\nstatic uint16_t x[65536];\nstatic float y[65536];\nint main(void) {\n"
    text += f"  const int n = (int)fread(x, 2, 65536, stdin);\n  for (int k = 0; k < n; ++k) y[k] = {name}(x[k]);\n"
    text += "  return fwrite(y, 4, (size_t)n, stdout) != (size_t)n;\n}\n"
    (tmp_path / "t.c").write_text(text)
    subprocess.run(["gcc", *C99, *flags, str(tmp_path / "t.c"), "-o", str(tmp_path / "t")], check=True)
    out = subprocess.run([str(tmp_path / "t")], input=codes.tobytes(), stdout=subprocess.PIPE, check=True).stdout
    assert (np.frombuffer(out, np.float32) == codes.view(np.float16).astype(np.float32)).all()


def test_numbers_are_written_so_that_they_come_back_to_the_bit():
    values = np.array([0.1, -0.0, 1.0, 3e-45, 1.17549435e-38, 3.4028235e38, 16777217, 1 / 3], np.float32)
    values = np.concatenate([values, RNG.integers(0, 0x7F800000, 5000, np.uint32).view(np.float32)])
    text = array_text("a", values, "float", "")
    found = [np.float32(word.removesuffix("f")) for word in re.findall(r"-?[0-9][0-9.e+-]*f", text)]
    assert np.array(found, np.float32).tobytes() == values.tobytes()


@pytest.mark.parametrize("kind", ["float16", "int8"])
def test_stored_matrices_are_as_near_as_their_kind_allows(kind):
    matrix = np.concatenate([RNG.standard_normal((5, 7)), np.zeros((1, 7)), 1e-3 * RNG.standard_normal((2, 7))])
    codes, scales = stored = store(kind, matrix)
    error = np.abs(stored.values() - matrix)
    if kind == "int8":
        assert codes.dtype == np.int8
        assert np.abs(codes[:5]).max(axis=1).tolist() == [127] * 5
        assert (error <= 0.5001 * scales[:, None]).all()
    else:
        assert (error <= np.maximum(np.abs(matrix) * 2.0**-11, 2.0**-25)).all()


def test_the_report_is_that_of_the_stored_weights(tmp_path, capsys):
    model = chains_model()
    sample = RNG.standard_normal((4, 20, 3)).astype(np.float32)
    report = model.export_c(tmp_path / "model.c", weights="int8", sample=sample)
    error = np.abs(rounded(model, "int8")(sample) - model(sample))
    assert report.largest == pytest.approx(error.max(), rel=1e-6)
    assert 0 < report.relative < 0.2
    assert report.root_mean_square == pytest.approx(np.sqrt((error.astype(float) ** 2).mean()), rel=1e-6)
    exact = model.export_c(tmp_path / "exact.c")
    assert exact.largest == 0
    assert 0.25 < report.constants / exact.constants < 0.5
    assert capsys.readouterr().out == f"{report}\n"
    assert str(report) in (tmp_path / "model.c").read_text()


def test_every_layer_is_in_the_table_or_refused_by_a_test():
    assert set(LAYERS) == set(LOWERINGS) | REFUSED
    assert not set(LOWERINGS) & REFUSED


def attention():
    x = recurra.Input((None, 3))
    return recurra.Model(x, recurra.Attention()([x, x]))


class Own(recurra.layers.Layer):
    def __call__(self, x):
        return x


REFUSALS = [
    (attention, {}, ValueError, "model: expected layers that a C file can hold, got 'attention', a layer of class"),
    (lambda: sequential(Own(), shape=(None, 2)), {}, ValueError, "model: expected layers that a C file can hold, got"),
    (lambda: sequential(recurra.CRF(2), shape=(None, None, 2)), {}, ValueError, "got 'crf', a layer of class CRF"),
    (lambda: recurra.Sequential([recurra.LSTM(2)]), {}, ValueError, "input_shape: expected layer 'sequential' to know"),
    (small, {"name": "2nd"}, ValueError, "name: expected letters, digits and _, a letter first, and no word of C"),
    (small, {"name": "while"}, ValueError, "name: expected letters, digits"),
    (small, {"name": None}, TypeError, "name: expected a text, got None"),
    (small, {"weights": "int4"}, ValueError, "weights: expected one of 'float32', 'float16', 'int8', got 'int4'"),
    (small, {"sample": np.zeros((1, 5, 4), np.float32)}, ValueError, "sample: expected shape (batch, time, 3), got"),
    (
        small,
        {"sample": np.zeros((0, 5, 3), np.float32)},
        ValueError,
        "sample: expected at least one sequence, got none",
    ),
    (two_branches, {"sample": X}, TypeError, "sample: expected a list of 2 arrays, one for each input"),
]


@pytest.mark.parametrize(("make", "options", "error", "words"), REFUSALS)
def test_what_cannot_be_exported_is_refused_by_name_and_leaves_the_old_file(make, options, error, words, tmp_path):
    path = tmp_path / "model.c"
    path.write_text("old")
    with pytest.raises(error, match=re.escape(words)):
        make().export_c(path, **options)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_weights_that_are_no_numbers_are_refused(tmp_path):
    model = small()
    model.parameters["dense.weight"][0, 0] = np.nan
    with pytest.raises(ValueError, match="weights: expected finite float32 numbers, got NaN"):
        model.export_c(tmp_path / "model.c", sample=X[None])
    with pytest.raises(ValueError, match=re.escape("path: expected a name that ends in .c, got 'model.cc'")):
        small().export_c("model.cc")
    model.parameters["dense.weight"][0, 0] = 1e5
    with pytest.raises(ValueError, match="weights: expected numbers up to 65504 for float16, got larger ones"):
        model.export_c(tmp_path / "model.c", weights="float16")


@compiles
def test_names_of_layers_cannot_leave_their_comments(tmp_path):
    layers = [recurra.Dense(2, name="tanh"), recurra.Dense(2, name='a\\\nint x = "??'), recurra.Dense(2, name="test_x")]
    model = sequential(*layers, recurra.Dense(2, name="scratch"), recurra.LSTM(2, name="größe"), shape=(None, None, 3))
    assert_close(Job(model, [X]), run_all(tmp_path, [Job(model, [X])])[0], BOUND)


def test_the_state_and_the_constants_have_the_sizes_of_the_report(tmp_path):
    report = small().export_c(tmp_path / "model.c")
    text = (tmp_path / "model.c").read_text().partition("#ifdef MODEL_TEST")[0]
    arrays = [int(n) for n in re.findall(r"static const float \w+\[(\d+)\]", text)]
    members = [int(n) for n in re.findall(r"  float \w+\[(\d+)\];  //", text.partition("_state;")[0])]
    assert report.constants == 4 * sum(arrays) == 4 * (20 * 3 + 20 * 5 + 20 + 2 * 5 + 2)
    assert report.state == 4 * sum(members) == 4 * (5 + 5)


@compiles
def test_the_c_of_the_page_compiles_and_runs(tmp_path):
    page = (Path(__file__).parents[1] / "docs" / "one-file-c.md").read_text()
    streaming, whole = re.findall(r"^```c\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    includes, calls = streaming.split("\n\n")
    layers = recurra.LSTM(4, bidirectional=True, return_sequences=True), recurra.Dense(2)
    both_ways = sequential(*layers, shape=(None, None, 3))
    programs = {
        "stream": (small(), f"float x[3 * 8] = {{0}}, y[2 * 8]; int steps = 8;\n{calls}\nreturn !(y[15] == y[15]);"),
        "whole": (both_ways, f"float x[3 * 100] = {{0}}; model_state state;\n{whole}\nreturn rows != 100;"),
    }
    for name, (model, body) in programs.items():
        folder = tmp_path / name
        folder.mkdir()
        model.export_c(folder / "model.c")
        (folder / "main.c").write_text(f"{includes}\nint main(void) {{\n{body}\n}}\n")
        subprocess.run(["gcc", *C99, "model.c", "main.c", "-o", "main"], cwd=folder, check=True)
        subprocess.run([folder / "main"], check=True)
