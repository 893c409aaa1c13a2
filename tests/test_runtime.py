"""The C ABI against the layers themselves: the same bits, whole and step by step. Called through ctypes."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import recurra
import runtime_graphs as graphs
import runtime_models as models
from recurra import _core, layers
from recurra.runtime import Model, _abi
from runtime_models import compare, saved

ROOT = Path(__file__).resolve().parents[1]
HEADER = ROOT / "csrc/runtime/include/recurra.h"


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", models.RECURRENT)
def test_recurrent_layers_give_the_same_bits(name, dtype, tmp_path):
    rng = np.random.default_rng(0)
    make = models.RECURRENT[name]
    chain = [make(return_sequences=True, dtype=dtype), make(dtype=dtype), recurra.Dense(2, dtype=dtype)]
    compare(models.randomized(recurra.Sequential(chain), 5, rng), 5, tmp_path, rng)


@pytest.mark.parametrize("name", [*models.STREAMING, *models.WHOLE])
def test_other_layers_give_the_same_bits(name, tmp_path):
    rng = np.random.default_rng(1)
    make = (models.STREAMING | models.WHOLE)[name]
    chain = [recurra.Dense(8), make(), recurra.Dense(3)]
    compare(models.randomized(recurra.Sequential(chain), 5, rng), 5, tmp_path, rng)


@pytest.mark.parametrize("width", [1, 7, 8, 9, 127, 128, 129, 300])
def test_layer_normalization_sums_in_numpys_order(width, tmp_path):
    rng = np.random.default_rng(width)
    chain = [recurra.Dense(width), recurra.LayerNormalization()]
    compare(models.randomized(recurra.Sequential(chain), 3, rng), 3, tmp_path, rng)


@pytest.mark.parametrize("batch", [1, 2, 13])
@pytest.mark.parametrize("units", [1, 8, 16, 17, 40, 64, 200])
@pytest.mark.parametrize("cell", models.CELLS)
def test_sizes_and_batches_give_the_same_bits(cell, units, batch, tmp_path):
    rng = np.random.default_rng(units)
    chain = [models.CELLS[cell](units, return_sequences=True), recurra.Dense(1)]
    compare(models.randomized(recurra.Sequential(chain), 1, rng), 1, tmp_path, rng, batch, 4)


def test_padding_of_masks_leaves_the_same_lengths(tmp_path):
    rng = np.random.default_rng(2)
    x = rng.standard_normal((3, 6, 2)).astype(np.float32)
    x[0, 4:] = x[1, 1:] = 0.5
    for value in (0.5, 0.0):
        model = models.randomized(recurra.Sequential([recurra.Masking(value), recurra.LSTM(4)]), 2, rng)
        np.testing.assert_array_equal(Model(saved(tmp_path, model))(x), model(x))
    model = models.randomized(recurra.Sequential([recurra.Embedding(9, 3, mask_zero=True), recurra.GRU(4)]), None, rng)
    words = np.array([[3, 4, 0, 0], [1, 2, 8, 5], [0, 0, 0, 0]])
    loaded = Model(saved(tmp_path, model))
    np.testing.assert_array_equal(loaded(words), model(words))
    np.testing.assert_array_equal(loaded(words, [1, 4, 4]), model(words, lengths=[1, 4, 4]))
    with pytest.raises(ValueError, match="expected padding after all other steps, got some before step 2 of row 0"):
        loaded(np.array([[3, 0, 4]]))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(200))
def test_random_models_give_the_same_bits(seed, tmp_path):
    rng = np.random.default_rng(seed)
    model, features = models.random_chain(rng) if seed % 2 else graphs.random_graph(rng)
    compare(models.randomized(model, features, rng), features, tmp_path, rng, int(rng.integers(1, 5)), 7)


@pytest.mark.parametrize("isa", _core.config()["cpu_isas"])
def test_every_instruction_set_serves(isa, tmp_path):
    """Tolerance 2e-6: others round differently."""
    rng = np.random.default_rng(3)
    chain = [recurra.LSTM(20, return_sequences=True), recurra.GRU(5, layer_norm=True), recurra.Dense(4)]
    model = models.randomized(recurra.Sequential(chain), 3, rng)
    loaded = Model(saved(tmp_path, model), isa=isa)
    x = models.inputs(rng, 3, 2, 9)
    assert loaded.isa == isa
    np.testing.assert_allclose(loaded(x), model(x), rtol=0, atol=2e-6)


def test_threads_share_the_rows_and_change_no_bit(tmp_path):
    rng = np.random.default_rng(4)
    chain = [
        recurra.Bidirectional(recurra.GRU(9, return_sequences=True)),
        recurra.LayerNormalization(),
        recurra.LSTM(5),
    ]
    for some in (chain, [recurra.LSTM(6, return_sequences=True), recurra.Conv1D(3, 2, padding="causal")]):
        path = saved(tmp_path, models.randomized(recurra.Sequential(some), 3, rng))
        x, lengths = models.inputs(rng, 3, 7, 20), rng.integers(0, 21, 7)
        alone = Model(path)(x, lengths)
        for threads in (2, 3, 16):
            np.testing.assert_array_equal(Model(path, threads=threads)(x, lengths), alone)


def test_rows_are_reset_alone_and_states_are_replaced(tmp_path):
    rng = np.random.default_rng(5)
    layer = recurra.LSTM(4, num_layers=2, trainable_initial_state=True, return_sequences=True)
    stream = Model(saved(tmp_path, models.randomized(recurra.Sequential([layer]), 2, rng))).stream(3)
    start = stream.get_state()
    assert [state.shape for state in start] == [(3, 4)] * 4
    assert np.abs(start[0]).min() > 0
    stream.run(models.inputs(rng, 2, 3, 5))
    after = stream.get_state()
    stream.reset([0, 2])
    for now, old, first in zip(stream.get_state(), after, start, strict=True):
        np.testing.assert_array_equal(now, [first[0], old[1], first[2]])
    stream.set_state(after)
    x = models.inputs(rng, 2, 3, 1)[:, 0]
    y = stream.step(x)
    stream.set_state(after)
    np.testing.assert_array_equal(stream.step(x), y)
    stream.reset()
    np.testing.assert_array_equal(stream.get_state(), start)


def test_every_layer_is_served_or_refused_by_name(tmp_path):
    made = {type(part()).__name__ for part in (models.STREAMING | models.WHOLE).values()}
    served = made | {*graphs.JOINS, "Attention", "AdditiveAttention"} | {"LSTM", "GRU", "RNN", "Embedding", "Masking"}
    assert served - {"Sequential"} | models.REFUSED == set(layers.LAYERS)
    for make in (recurra.GlobalAveragePooling1D, lambda: recurra.Conv1D(3, 2, padding="same")):
        model = recurra.Sequential([recurra.Dense(4), make()])
        model.build((None, 5, 3))
        with pytest.raises(ValueError, match=f"got .*{type(make()).__name__}"):
            Model(saved(tmp_path, model))


def test_a_model_of_another_class_is_refused_by_name(tmp_path):
    model = recurra.Sequential([recurra.LSTM(2)])
    model.build((None, None, 3))
    data = saved(tmp_path, model).read_bytes().replace(b'"Sequential', b'"Bilateral_')
    with pytest.raises(ValueError, match=r'expected a Sequential or a Model\(inputs, outputs\), got "Bilateral_"'):
        Model(data.replace(b'\\"Sequential', b'\\"Bilateral_'))


def test_a_model_tells_what_it_is(tmp_path):
    model = recurra.Sequential([recurra.Embedding(9, 4), recurra.LSTM(3, name="höhe"), recurra.Dense(2)])
    model.build((None, None))
    model.compile("adam", "mse")
    model.train_on_batch(np.ones((2, 3), int), np.ones((2, 2), np.float32))
    loaded = Model(saved(tmp_path, model))
    assert (loaded.inputs, loaded.outputs, loaded.parameters) == (1, 2, model.size)
    assert (loaded.input_dtype, loaded.dtype) == (np.int64, np.float32)
    assert loaded.layers == [("Embedding", "embedding"), ("LSTM", "höhe"), ("Dense", "dense")]
    assert repr(loaded) == "embedding (Embedding): 1 -> 4\nhöhe (LSTM): 4 -> 3\ndense (Dense): 3 -> 2"
    assert (loaded.can_step, loaded.gives_sequence) == (True, False)


def test_the_header_and_python_list_the_same_functions():
    declared = set(re.findall(r"RECURRA_API [^;]*?\b(recurra_\w+)\(", HEADER.read_text()))
    assert declared == {f"recurra_{name}" for name in _abi.FUNCTIONS} == set(_abi._SIGNATURES)
    assert _abi.FUNCTIONS["abi_version"]() == _abi.ABI_VERSION
    assert _abi.FUNCTIONS["version"]().decode() == recurra.__version__


def test_a_model_of_words_that_was_built_by_a_call_reads_any_number_of_steps(tmp_path):
    model = recurra.Sequential([recurra.Embedding(11, 6), recurra.GRU(8, return_sequences=True)])
    words = np.random.default_rng(6).integers(0, 11, (3, 7))
    model(words)
    loaded = Model(saved(tmp_path, model))
    assert loaded.inputs == 1
    for some in (words, words[:, :4]):
        np.testing.assert_array_equal(loaded(some), model(some))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_runs_on_several_threads(tmp_path):
    path = saved(tmp_path, models.randomized(recurra.Sequential([recurra.LSTM(6)]), 3, np.random.default_rng(7)))
    program = (
        "import os, sys, numpy as np, recurra\n"
        f"model, x = recurra.runtime.Model({os.fspath(path)!r}, threads=2), np.ones((4, 5, 3), np.float32)\n"
        "y, child = model(x), os.fork()\n"
        "if child == 0: os._exit(0 if (model(x) == y).all() else 1)\n"
        "sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))\n"
    )
    assert subprocess.run([sys.executable, "-c", program], timeout=60, check=False).returncode == 0
