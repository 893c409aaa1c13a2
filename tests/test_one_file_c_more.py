"""One-file C, the longer tests: 200 random models; other compilers, 32 bits, ARM; sanitizers."""

import subprocess
from pathlib import Path

import numpy as np
import pytest

import c_random
import recurra
from c_files import Job, assert_close, has, run_all
from cases import CASES
from layer_examples import EXAMPLES
from recurra.cexport.storage import rounded
from recurra.layers import LAYERS
from test_one_file_c import REFUSED, jobs

CLANG = next((name for name in ("clang-22", "clang-21", "clang-20", "clang-19") if has(name)), "clang")

pytestmark = pytest.mark.slow

BOUND = 1e-5
MODELS, AT_ONCE = 200, 25


def job(seed: int) -> Job:
    model, inputs = c_random.graph(seed) if seed % 5 == 4 else c_random.chain(seed)
    return Job(model, inputs, ("float32", "float32", "int8", "float32", "float16")[seed // 5 % 5])


def check(folder: Path, given: list[Job], *arguments, **options) -> None:
    ran = run_all(folder, given, *arguments, **options)
    for number, (one, found) in enumerate(zip(given, ran, strict=True)):
        try:
            assert_close(one, found, BOUND, rounded(one.model, one.weights))
        except AssertionError as error:
            error.add_note(f"model {number}: {[layer.get_config() for layer in one.model.layers]}")
            raise


@pytest.mark.skipif(not has("gcc"), reason="no C compiler here")
@pytest.mark.parametrize("first", range(0, MODELS, AT_ONCE))
def test_random_saved_models_compute_what_python_does_within_1e_5(first, tmp_path):
    """Saved and loaded, exported, step by step and whole: each output within 1e-5 of the largest, or of 1."""
    given = []
    for seed in range(first, first + AT_ONCE):
        one = job(seed)
        one.model.save(tmp_path / "saved.safetensors")
        given.append(one._replace(model=recurra.load_model(tmp_path / "saved.safetensors")))
    check(tmp_path, given)


def variants() -> list[Job]:
    """Every variant of every cell, and every example of a layer that a C file can hold."""
    rng, kinds = np.random.default_rng(0), {"rnn": recurra.RNN, "lstm": recurra.LSTM, "gru": recurra.GRU}
    found = []
    for number, options in enumerate(CASES.values()):
        own = {**options, "return_sequences": number % 3 > 0, "seed": number}
        cell = own.pop("cell")
        if cell != "lstm" and "zoneout" in own:
            own["zoneout"] = own["zoneout"][0]
        model = recurra.Sequential([kinds[cell](5, **own), recurra.Dense(2)])
        model.build((None, None, 3))
        weights = ("float32", "int8", "float16")[number % 3]
        found.append(Job(c_random.randomised(model, number), [rng.standard_normal((6, 3)).astype(np.float32)], weights))
    for example in EXAMPLES:
        if example.name in REFUSED or any(len(shape) > 3 for shape in example.shapes):
            continue
        layer, x = example.make(), example.inputs("float32")
        kind = "int64" if example.integers else None
        placeholders = [recurra.Input(shape[1:], dtype=kind) for shape in example.shapes]
        merges = LAYERS[example.name].merges
        model = recurra.Model(placeholders, layer(placeholders if merges else placeholders[0]))
        found.append(Job(c_random.randomised(model, 3), [part[0] for part in x] if merges else [x[0]]))
    return found


@pytest.mark.skipif(not has("gcc"), reason="no C compiler here")
@pytest.mark.parametrize("flags", [("-O1",), ("-O3", "-march=native")], ids=["plain", "native"])
def test_all_variants_of_cells_and_all_examples_of_layers_agree_within_1e_5(flags, tmp_path):
    given = variants()
    assert len(given) > 200
    check(tmp_path, given, flags=flags)


@pytest.mark.parametrize(
    ("compiler", "flags", "runner"),
    [
        ("gcc", ("-O1", "-m32", "-msse2", "-mfpmath=sse"), ()),
        ("gcc", ("-O3", "-march=native", "-ffp-contract=fast"), ()),
        ("gcc", ("-O2", "-ffast-math"), ()),
        ("gcc", ("-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"), ()),
        (CLANG, ("-O3", "-march=native"), ()),
        (CLANG, ("-O1", "-fsanitize=undefined,float-cast-overflow,integer", "-fno-sanitize-recover=all"), ()),
        ("arm-linux-gnueabihf-gcc", ("-O2", "-static"), ("qemu-arm",)),
        ("aarch64-linux-gnu-gcc", ("-O2", "-static"), ("qemu-aarch64",)),
    ],
    ids=["32-bit", "native", "fast-math", "sanitizers", "clang", "clang-integers", "armhf", "aarch64"],
)
def test_other_compilers_machines_and_sanitizers_agree_within_1e_5(compiler, flags, runner, tmp_path):
    if not all(has(program) for program in (compiler, *runner)):
        pytest.skip(f"no {compiler} here")
    if not links(compiler, flags, tmp_path):
        pytest.skip(f"{compiler} cannot make a program with {flags} here")
    check(tmp_path, [*jobs(), *(job(seed) for seed in range(900, 915))], compiler, flags, runner)


def links(compiler: str, flags: tuple[str, ...], folder: Path) -> bool:
    """Whether the libraries for these flags are installed."""
    (folder / "empty.c").write_text("#include <stdio.h>\nint main(void) { return 0; }\n")
    command = [compiler, *flags, str(folder / "empty.c"), "-o", str(folder / "empty")]
    return subprocess.run(command, capture_output=True).returncode == 0
