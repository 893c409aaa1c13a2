"""Where weights stand in Keras's files, which call a number means, and options as older files leave them out."""

import json
import zipfile

import numpy as np
import pytest

import recurra
from keras_configs import DENSE, GRU, archive_of, layer, sequential, start
from keras_files import legacy, random
from recurra.keras import hdf5
from recurra.keras.order import keras_order
from test_keras_weights import keras_gru

h5py = pytest.importorskip("h5py")


@pytest.fixture
def generator():
    return np.random.default_rng(0)


def branches():
    """A short branch before a long one: Keras lists by depth, we in the order of computing."""
    a, b = recurra.Input((3,), name="a"), recurra.Input((4,), name="b")
    short, first, last = (recurra.Dense(2, name=name) for name in ("short", "first", "last"))
    return recurra.Model([a, b], recurra.layers.Concatenate(name="join")([short(a), last(first(b))]))


def test_layers_are_numbered_as_keras_lists_them(tmp_path):
    model = branches()
    assert [one.name for one in model.layers] == ["short", "first", "last", "join"]
    assert [one.name for one in keras_order(model)] == ["first", "short", "last", "join"]
    model.save_weights(tmp_path / "m.weights.h5")
    tree = hdf5.read(tmp_path / "m.weights.h5", "m.weights.h5")
    shapes = [tree.array(f"layers/{name}/vars/0").shape for name in ("dense", "dense_1", "dense_2")]
    assert shapes == [(4, 2), (3, 2), (2, 2)]


def test_a_shared_layer_counts_at_its_deepest_call():
    x, y, z = (recurra.Input((2,), name=name) for name in "xyz")
    shared, first, after = (recurra.Dense(2, name=name) for name in ("shared", "first", "after"))
    model = recurra.Model([x, y, z], recurra.layers.Add(name="sum")([first(x), shared(y), after(shared(z))]))
    assert [one.name for one in keras_order(model)] == ["shared", "first", "after", "sum"]


def test_names_of_weights_do_not_matter_but_their_layers_do(tmp_path, generator):
    model, arrays = branches(), {}
    for name, size in (("first", 4), ("short", 3), ("last", 2)):
        arrays[name] = {"k": random(generator, size, 2), "b": random(generator, 2)}
    legacy(h5py, tmp_path / "m.h5", {"a": {}, **arrays})
    model.load_weights(tmp_path / "m.h5")
    x = [random(generator, 2, 3), random(generator, 2, 4)]
    y = x[1] @ arrays["first"]["k"] + arrays["first"]["b"]
    expected = [x[0] @ arrays["short"]["k"] + arrays["short"]["b"], y @ arrays["last"]["k"] + arrays["last"]["b"]]
    assert np.abs(model(x) - np.concatenate(expected, axis=1)).max() < 1e-6


@pytest.mark.parametrize("first", [0, 1])
def test_calls_of_models_may_be_counted_from_one(tmp_path, generator, first):
    """Keras 2 counts the call that made the model."""
    dense = layer("Dense", "d", {**DENSE, "batch_input_shape": [None, 3]})
    inner = {"class_name": "Sequential", "name": "inner", "config": {"name": "inner", "layers": [dense]}}
    inner["inbound_nodes"] = [[["a", 0, 0, {}]], [["b", 0, 0, {}]]]
    starts = [
        {**layer("InputLayer", name, {"batch_input_shape": [None, 3]}), "name": name, "inbound_nodes": []}
        for name in "ab"
    ]
    joined = {**layer("Subtract", "join", {}), "name": "join"}
    joined["inbound_nodes"] = [[["inner", first, 0, {}], ["inner", first + 1, 0, {}]]]
    ends = {"input_layers": [["a", 0, 0], ["b", 0, 0]], "output_layers": [["join", 0, 0]]}
    config = {"class_name": "Model", "config": {"name": "m", "layers": [*starts, inner, joined], **ends}}
    kernel, bias = random(generator, 3, 2), random(generator, 2)
    text = {"model_config": json.dumps(config), "keras_version": "2.4.0"}
    legacy(h5py, tmp_path / "m.h5", {"inner": {"k": kernel, "b": bias}}, under="model_weights", **text)
    a, b = random(generator, 2, 3), random(generator, 2, 3)
    assert np.abs(recurra.load(tmp_path / "m.h5")([a, b]) - (a - b) @ kernel).max() < 1e-6


def test_a_gru_from_before_reset_after_resets_before(tmp_path, generator):
    options = {key: value for key, value in GRU.items() if key != "reset_after"}
    first = layer("GRU", "gru", {**options, "batch_input_shape": [None, None, 3], "implementation": 1})
    config = {"class_name": "Sequential", "config": [first]}  # a list, as in Keras until 2.2
    arrays = [random(generator, *shape) for shape in ((3, 12), (4, 12), (12,))]
    text = {"model_config": json.dumps(config), "keras_version": "2.1.2"}
    legacy(h5py, tmp_path / "m.h5", {"gru": dict(zip("kub", arrays, strict=True))}, under="model_weights", **text)
    x = random(generator, 2, 5, 3)
    assert np.abs(recurra.load(tmp_path / "m.h5")(x) - keras_gru(x, *arrays, False)).max() < 1e-6


def test_files_of_keras_2_12_have_their_layers_under_another_name(tmp_path, generator):
    kernel, bias = random(generator, 3, 2), random(generator, 2)
    tree = {"_layer_checkpoint_dependencies": {"dense": {"vars": {"0": kernel, "1": bias}}}}
    config = sequential(start([3]), layer("Dense", "d", DENSE))
    model = recurra.load(archive_of(tmp_path / "m.keras", config, tree, version="2.12.0"))
    x = random(generator, 2, 3)
    assert np.abs(model(x) - (x @ kernel + bias)).max() < 1e-6


def test_files_of_keras_1_and_weights_alone_are_named(tmp_path, generator):
    config = sequential(start([3]), layer("Dense", "d", DENSE))
    with pytest.raises(ValueError, match=r"m\.keras: expected a file of Keras 2 or 3, got one of 1\.2\.2"):
        recurra.load(archive_of(tmp_path / "m.keras", config, version="1.2.2"))
    legacy(h5py, tmp_path / "m.h5", {"d": {"k": random(generator, 3, 2)}})
    with pytest.raises(
        ValueError, match=r"m\.h5: expected a model's configuration, got weights alone; build the model"
    ):
        recurra.load(tmp_path / "m.h5")


def test_what_is_written_holds_nothing_but_what_keras_writes(tmp_path):
    branches().save(tmp_path / "m.keras")
    with zipfile.ZipFile(tmp_path / "m.keras") as file:
        assert sorted(file.namelist()) == ["config.json", "metadata.json", "model.weights.h5"]
        config = json.loads(file.read("config.json"))
    assert config["class_name"] == "Functional"
    assert [part["name"] for part in config["config"]["layers"]] == ["a", "b", "first", "short", "last", "join"]
    assert config["config"]["output_layers"] == ["join", 0, 0]
