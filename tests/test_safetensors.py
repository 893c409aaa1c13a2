"""The native file: literal bytes, round trips, hostile files."""

import json
import struct

import numpy as np
import pytest

import recurra


@pytest.fixture
def saved(tmp_path):
    model = recurra.Sequential([recurra.LSTM(3), recurra.Dense(2)])
    model.build((None, None, 2))
    path = tmp_path / "model.safetensors"
    model.save(path)
    return model, path


def test_the_bytes_are_those_of_the_format(saved):
    model, path = saved
    raw = path.read_bytes()
    (size,) = struct.unpack("<Q", raw[:8])
    header = json.loads(raw[8 : 8 + size])
    assert (8 + size) % 64 == 0, "data starts aligned"
    metadata = header.pop("__metadata__")
    assert all(isinstance(value, str) for value in metadata.values())
    assert (
        sum(end - start for start, end in (entry["data_offsets"] for entry in header.values())) == len(raw) - 8 - size
    )
    for name, value in model.parameters.items():
        entry = header[name]
        start, end = entry["data_offsets"]
        assert (entry["dtype"], entry["shape"]) == ("F32", list(value.shape))
        assert raw[8 + size + start : 8 + size + end] == value.tobytes()


def test_a_loaded_model_is_the_saved_one(saved):
    model, path = saved
    again = recurra.load_model(path)
    for name, value in model.parameters.items():
        np.testing.assert_array_equal(again.parameters[name], value)
    x = np.ones((4, 5, 2), np.float32)
    np.testing.assert_array_equal(again.predict(x), model.predict(x))


def test_a_file_cut_anywhere_is_refused(saved, tmp_path):
    raw = saved[1].read_bytes()
    cut = tmp_path / "cut.safetensors"
    for length in range(len(raw)):
        cut.write_bytes(raw[:length])
        with pytest.raises((ValueError, TypeError)):
            recurra.load_model(cut)


def test_flipped_bits_give_a_model_or_an_error_and_never_a_crash(saved, tmp_path):
    raw = bytearray(saved[1].read_bytes())
    (size,) = struct.unpack("<Q", raw[:8])
    flipped = tmp_path / "flipped.safetensors"
    rng = np.random.default_rng(0)
    for position in rng.integers(0, 8 + size, 400):
        damaged = raw.copy()
        damaged[position] ^= 1 << int(rng.integers(8))
        flipped.write_bytes(damaged)
        try:
            recurra.load_model(flipped)
        except (ValueError, TypeError, KeyError):
            continue


def test_a_failed_save_leaves_the_old_file_and_no_other(saved, tmp_path, monkeypatch):
    model, path = saved
    before = path.read_bytes()

    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr("os.replace", fail)
    with pytest.raises(OSError, match="disk full"):
        model.save(path)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_the_official_library_reads_and_writes_the_same(saved, tmp_path):
    safetensors = pytest.importorskip("safetensors.numpy")
    model, path = saved
    theirs = safetensors.load_file(path)
    assert theirs.keys() == model.parameters.keys()
    for name, value in model.parameters.items():
        np.testing.assert_array_equal(theirs[name], value)
