"""Models that Keras itself made and saved, loaded and compared; and ours, loaded by Keras."""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import recurra

pytestmark = pytest.mark.slow

MODELS = 100
TOLERANCE = 2e-5  # of the largest output, at least of 1
ZOO = Path(__file__).with_name("keras_zoo.py")


def run(*arguments):
    done = subprocess.run([sys.executable, ZOO, *map(str, arguments)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]


def made(tmp_path_factory, module, count):
    if importlib.util.find_spec(module) is None or importlib.util.find_spec("tensorflow") is None:
        pytest.skip(f"{module} with TensorFlow is not installed")
    folder = tmp_path_factory.mktemp(module)
    run(module, folder, 0, count)
    paths = sorted(folder.glob("m*.npz"), key=lambda path: int(re.findall(r"\d+", path.stem)[0]))
    assert len(paths) == count
    return [path.with_suffix("") for path in paths]


@pytest.fixture(scope="module")
def keras_3(tmp_path_factory):
    return made(tmp_path_factory, "keras", MODELS)


@pytest.fixture(scope="module")
def keras_2(tmp_path_factory):
    return made(tmp_path_factory, "tf_keras", MODELS // 2)


def listed(value):
    return value if isinstance(value, list) else [value]


def compare(model, base, expected=None):
    """Assert that a model's outputs are those of a file, at the steps that count."""
    data = np.load(f"{base}.npz")
    inputs = [data[key] for key in sorted(data) if key.startswith("x")]
    outputs = model.predict(inputs if len(inputs) > 1 else inputs[0])
    counts = np.arange(inputs[0].shape[1]) < data["lengths"][:, None]
    compare_outputs(base, listed(outputs), data if expected is None else expected, counts, bool(data["masked"]))


def compare_outputs(base, outputs, data, counts, masked):
    for index, y in enumerate(outputs):
        expected = data[f"y{index}"]
        assert y.shape == expected.shape, base
        if masked and y.ndim == 3:
            y, expected = y[counts], expected[counts]
        scale = max(1.0, float(np.abs(expected).max()))
        assert np.abs(y - expected).max() <= TOLERANCE * scale, f"{base}, output {index}"


@pytest.mark.parametrize("ending", [".keras", ".h5"])
def test_random_models_of_keras_3_compute_what_keras_computes(keras_3, ending):
    for base in keras_3:
        compare(recurra.load(f"{base}{ending}"), base)


@pytest.mark.parametrize("ending", [".keras", ".h5"])
def test_random_models_of_keras_2_compute_what_keras_computes(keras_2, ending):
    for base in keras_2:
        compare(recurra.load(f"{base}{ending}"), base)


@pytest.mark.parametrize("zoo", ["keras_3", "keras_2"])
def test_weights_alone_go_into_the_same_model(request, zoo):
    for base in request.getfixturevalue(zoo):
        for ending in (".weights.h5", *(["-weights.h5"] if zoo == "keras_2" else [])):
            model = recurra.load(f"{base}.keras")
            model.set_weights([np.zeros_like(values) for values in model.get_weights()])
            model.load_weights(f"{base}{ending}")
            compare(model, base)


def test_what_is_written_for_keras_computes_the_same_there(keras_3):
    for base in keras_3:
        model = recurra.load(f"{base}.keras")
        model.save(f"{base}.out.keras")
        model.save_weights(f"{base}.out.weights.h5")
        compare(recurra.load(f"{base}.out.keras"), base)
    run("keras", keras_3[0].parent, "check")
    for base in keras_3:
        data = np.load(f"{base}.npz")
        found = np.load(f"{base}.back.npz")
        counts = np.arange(data["x0"].shape[1]) < data["lengths"][:, None]
        compare_outputs(base, [found[key] for key in sorted(found)], data, counts, bool(data["masked"]))
