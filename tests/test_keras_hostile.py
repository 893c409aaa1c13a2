"""Damaged and hostile files of Keras: ValueError with the file's name, nothing run, no memory beyond the file's."""

import io
import json
import tracemalloc
import zipfile
import zlib

import numpy as np
import pytest

import recurra
from keras_configs import (
    DENSE,
    LSTM,
    archive_of,
    cell_tree,
    functional,
    layer,
    node,
    random_lstm,
    ref,
    sequential,
    start,
)
from keras_files import legacy, random
from recurra.keras import archive, hdf5

h5py = pytest.importorskip("h5py")

FLIPS = 2000  # in each of: the archive, its weights, its configuration, a .h5 file
MOST_BYTES = 64 << 20  # the files are of a few thousand


def attempt(path):
    """Load a file; return whether it was taken. Any error must be a ValueError that names the file."""
    tracemalloc.start()
    try:
        recurra.load(path)
    except ValueError as error:
        said = str(error)
    else:
        said = None
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < MOST_BYTES
    assert said is None or path.name in said
    return said is None


def flipped(data, generator):
    """Return bytes of which one bit is another."""
    damaged = bytearray(data)
    damaged[generator.integers(len(damaged))] ^= 1 << generator.integers(8)
    return bytes(damaged)


def packed(path, **parts):
    """Write an archive of these files, checksums and all."""
    with zipfile.ZipFile(path, "w") as file:
        for name, data in parts.items():
            file.writestr(name.replace("_", ".", 2 if name.startswith("model") else 1), data)
    return path


@pytest.fixture
def generator():
    return np.random.default_rng(0)


@pytest.fixture
def parts(tmp_path):
    """The three files of an archive with several kinds of layers."""
    x, tokens = recurra.Input((None, 3)), recurra.Input((None,))
    y = recurra.Embedding(9, 3, mask_zero=True)(tokens)
    h, *states = recurra.LSTM(4, return_sequences=True, return_state=True)(y)
    z = recurra.Bidirectional(recurra.GRU(2))(recurra.LSTM(4, return_sequences=True)(x, initial_state=states))
    recurra.Model([x, tokens], [recurra.Dense(2)(z), h]).save(tmp_path / "m.keras")
    with zipfile.ZipFile(tmp_path / "m.keras") as file:
        return {name.replace(".", "_"): file.read(name) for name in file.namelist()}


@pytest.fixture
def legacy_file(tmp_path, generator):
    arrays = dict(zip("kub", random_lstm(generator, 3, 4), strict=True))
    config = {"class_name": "Sequential", "config": {"name": "m", "layers": [
        layer("LSTM", "lstm", {**LSTM, "batch_input_shape": [None, None, 3]})]}}  # fmt: skip
    text = {"model_config": json.dumps(config), "keras_version": "2.4.0"}
    legacy(h5py, tmp_path / "m.h5", {"lstm": arrays}, under="model_weights", **text)
    return tmp_path / "m.h5"


def test_the_files_themselves_are_taken(tmp_path, parts, legacy_file):
    assert attempt(packed(tmp_path / "m.keras", **parts))
    assert attempt(legacy_file)


@pytest.mark.parametrize("name", ["m.keras", "m.h5"])
def test_files_that_end_early_are_refused(tmp_path, parts, legacy_file, name):
    packed(tmp_path / "m.keras", **parts)
    data = (tmp_path / name).read_bytes()
    for stop in range(0, len(data), 97):
        (tmp_path / f"cut.{name}").write_bytes(data[:stop])
        assert not attempt(tmp_path / f"cut.{name}"), stop


@pytest.mark.parametrize("part", ["archive", "config_json", "model_weights_h5", "legacy"])
@pytest.mark.parametrize("flips", [60, pytest.param(FLIPS, marks=pytest.mark.slow)])
def test_flipped_bits_raise_value_errors_at_most(tmp_path, parts, legacy_file, generator, part, flips):
    path = tmp_path / ("m.h5" if part == "legacy" else "m.keras")
    whole = packed(tmp_path / "m.keras", **parts).read_bytes() if part != "legacy" else legacy_file.read_bytes()
    refused = 0
    for _ in range(flips):
        if part in parts:
            packed(path, **{**parts, part: flipped(parts[part], generator)})
        else:
            path.write_bytes(flipped(whole, generator))
        refused += not attempt(path)
    assert refused > flips // 20


# Archives


def test_bombs_are_not_unpacked(tmp_path, parts):
    for name, size in (("model.weights.h5", 200 << 20), ("config.json", 100 << 20)):
        path = packed(tmp_path / "m.keras", **{k: v for k, v in parts.items() if k != name.replace(".", "_")})
        with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as file, file.open(name, "w") as entry:
            for _ in range(size >> 20):
                entry.write(bytes(1 << 20))
        with pytest.raises(ValueError, match=rf"m\.keras: .*'{name}' of {size} bytes, unpacked"):
            recurra.load(path)


def test_a_size_that_lies_is_found_out(tmp_path, parts):
    data = bytearray(packed(tmp_path / "m.keras", **parts).read_bytes())
    place = data.rfind(b"PK\x01\x02")  # the last entry of the directory, the weights
    data[place + 24 : place + 28] = (1 << 20).to_bytes(4, "little")
    (tmp_path / "m.keras").write_bytes(data)
    assert not attempt(tmp_path / "m.keras")


@pytest.mark.parametrize("name", ["../../config.json", "/config.json", "./config.json", "CONFIG.JSON"])
def test_odd_paths_are_no_configuration(tmp_path, parts, name):
    with zipfile.ZipFile(tmp_path / "m.keras", "w") as file:
        for key, data in parts.items():
            file.writestr(name if key == "config_json" else key.replace("_", "."), data)
    with pytest.raises(ValueError, match=r"m\.keras: .*0 files 'config\.json'"):
        recurra.load(tmp_path / "m.keras")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m.keras"]


def test_two_configurations_are_none(tmp_path, parts):
    path = packed(tmp_path / "m.keras", **parts)
    with pytest.warns(UserWarning, match="Duplicate name"), zipfile.ZipFile(path, "a") as file:
        file.writestr("config.json", parts["config_json"])
    with pytest.raises(ValueError, match=r"2 files 'config\.json'"):
        recurra.load(path)


# Configurations


@pytest.mark.parametrize(
    "config",
    [
        sequential(start([None, 3]), layer("LSTM", "huge", {**LSTM, "units": 10**8})),
        sequential(start([3]), layer("Dense", "huge", {**DENSE, "units": 2**62})),
        sequential(start([None], dtype="int32"), layer("Embedding", "huge", {"input_dim": 2**40, "output_dim": 2**20})),
        sequential(start([3]), layer("Dense", "huge", {**DENSE, "units": 10**400})),
        sequential(start([2**61, 2**61]), layer("Flatten", "huge", {}), layer("Dense", "d", DENSE)),
        sequential(start([None, 3]), layer("LSTM", "odd", {**LSTM, "dropout": float("nan")})),
        sequential(start([None, 3]), *[layer("Activation", f"a{i}", {"activation": "tanh"}) for i in range(20_000)]),
        functional([(start([3], "a"), []), (layer("Dense", "d", DENSE), [node(ref("a"))] * 20_001)], ["a"], ["d"]),
    ],
    ids=["units", "width", "table", "number", "shape", "rate", "layers", "calls"],
)
def test_absurd_sizes_are_refused_before_memory_is_asked_for(tmp_path, config):
    assert not attempt(archive_of(tmp_path / "m.keras", config))


def test_circles_are_refused(tmp_path):
    one, two = (layer("Dense", name, {**DENSE, "units": 3}) for name in "xy")
    config = functional([(start([3], "a"), []), (one, [node(ref("y"))]), (two, [node(ref("x"))])], ["a"], ["y"])
    with pytest.raises(ValueError, match=r"m\.keras: config: .*'[xy]' reads output 0 of '[xy]', got a circle"):
        recurra.load(archive_of(tmp_path / "m.keras", config))


def test_depth_is_bounded(tmp_path):
    inner = layer("Dense", "d", DENSE)
    for index in range(100):
        inner = layer("TimeDistributed", f"t{index}", {"layer": inner})
    with pytest.raises(ValueError, match=r"m\.keras: config: expected layers at most 32 deep"):
        recurra.load(archive_of(tmp_path / "m.keras", sequential(start([2] * 3), inner)))
    path = archive_of(tmp_path / "m.keras", {})
    packed(path, metadata_json=b"{}", config_json=b'{"a":' * 100_000, model_weights_h5=b"")
    assert not attempt(path)


OTHER_FORMS = [
    {},
    {"class_name": "Sequential"},
    {"class_name": []},
    {"class_name": "Own", "config": {}},
    {"class_name": "Sequential", "config": {"layers": 3}},
    {"class_name": "Functional", "config": {"layers": [None]}},
    sequential(start([None, 3]), {"class_name": "LSTM", "config": None}),
    sequential(start("ab"), layer("Dense", "d", DENSE)),
    sequential(layer("Dense", "d", DENSE)),
    sequential(),
]


@pytest.mark.parametrize("config", OTHER_FORMS)
def test_configurations_of_other_forms_are_refused(tmp_path, config):
    assert not attempt(archive_of(tmp_path / "m.keras", config))


# HDF5


def stored(tmp_path, write):
    """Load weights from a file that ``write`` makes; return what the error says."""
    with h5py.File(tmp_path / "w.weights.h5", "w") as file:
        write(file)
    model = recurra.Sequential([recurra.Input((3,)), recurra.Dense(2)])
    with pytest.raises(ValueError, match=r"w\.weights\.h5: ") as caught:
        model.load_weights(tmp_path / "w.weights.h5")
    return str(caught.value)


def test_links_to_elsewhere_are_refused(tmp_path):
    kernel = np.zeros((3, 2), np.float32)
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["secret"] = kernel

    def external(file):
        file["layers/dense/vars/0"] = h5py.ExternalLink(str(tmp_path / "other.h5"), "secret")

    def soft(file):
        file["kernel"] = kernel
        file["layers/dense/vars/0"] = h5py.SoftLink("/kernel")

    def virtual(file):
        layout = h5py.VirtualLayout((3, 2), "f4")
        layout[:] = h5py.VirtualSource(str(tmp_path / "other.h5"), "secret", (3, 2))
        file.create_virtual_dataset("layers/dense/vars/0", layout)

    def outside(file):
        file.create_dataset("layers/dense/vars/0", (3, 2), "f4", external=[(str(tmp_path / "raw"), 0, 24)])

    for write in (external, soft, virtual, outside):
        assert "expected an HDF5 file as Keras writes them" in stored(tmp_path, write), write


def test_arrays_larger_than_the_file_are_refused(tmp_path):
    shape = 1 << 20, 1 << 20
    for options in ({}, {"chunks": (1 << 20, 1)}, {"chunks": (1 << 10, 1 << 10), "compression": "gzip"}):
        said = stored(tmp_path, lambda file, more=options: file.create_dataset("a", shape, "f4", **more))
        assert "got more than a file of its size holds" in said or "bytes at" in said


def test_groups_in_themselves_end(tmp_path):
    def circle(file):
        file.create_group("a")["b"] = file["/"]

    def doubled(file):
        inner = file.create_group("g0")
        for index in range(40):  # 2**40 paths
            outer = file.create_group(f"g{index + 1}")
            outer["x"] = outer["y"] = inner
            inner = outer

    assert "groups more than 64 deep" in stored(tmp_path, circle)
    assert "more than a file of its size holds" in stored(tmp_path, doubled)


def test_one_text_named_many_times_is_not_many_texts(tmp_path):
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        file.attrs["a"] = ["x" * 60_000]
        file.attrs["b"] = ["y"] * 4000
    data = bytearray(buffer.getvalue())
    long = data.find((60_000).to_bytes(4, "little"))  # a text's length, the address of a heap, its number there
    short = next(
        p for p in range(len(data)) if all(data[p + 16 * i : p + 16 * i + 4] == b"\1\0\0\0" for i in range(99))
    )
    assert len(hdf5.read(bytes(data), "a.h5").attributes["b"]) == 4000
    data[short : short + 16 * 4000] = data[long : long + 16] * 4000
    with pytest.raises(ValueError, match="more than a file of its size holds"):
        hdf5.read(bytes(data), "a.h5")


def test_chunks_that_unpack_to_more_than_they_say_are_refused():
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        made = file.create_dataset("a", (1024,), "f4", chunks=(1024,), compression="gzip")
        made.id.write_direct_chunk((0,), zlib.compress(bytes(1 << 24)))
    with pytest.raises(ValueError, match="a chunk that is larger than it says"):
        hdf5.read(buffer.getvalue(), "a.h5")


def test_newer_layouts_of_the_format_are_named(tmp_path):
    with h5py.File(tmp_path / "w.weights.h5", "w", libver="latest") as file:
        for index in range(20):
            file[f"layers/l{index}/vars/0"] = np.zeros(3)
    model = recurra.Sequential([recurra.Input((3,)), recurra.Dense(2)])
    with pytest.raises(ValueError, match="newer layout than Keras writes; copy it with h5py's default settings"):
        model.load_weights(tmp_path / "w.weights.h5")


def test_weights_of_other_shapes_are_refused_with_both(tmp_path, generator):
    config = sequential(start([None, 3]), layer("LSTM", "lstm", LSTM))
    for features, units in ((2, 4), (3, 5)):
        weights = {"layers": {"lstm": cell_tree(*random_lstm(generator, features, units))}}
        with pytest.raises(ValueError, match=r"m\.keras: .*expected .*shape .*got"):
            recurra.load(archive_of(tmp_path / "m.keras", config, weights))
    weights["layers"]["more"] = {"vars": {"0": random(generator, 3)}}
    arrays = cell_tree(*random_lstm(generator, 3, 4))
    with pytest.raises(ValueError, match="alone, got others: /layers/more/vars/0"):
        recurra.load(archive_of(tmp_path / "m.keras", config, {"layers": {**weights["layers"], "lstm": arrays}}))
    assert archive.parsed(b"{}", "x") == {}
