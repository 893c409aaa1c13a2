"""Event files for TensorBoard: bytes, checksums, and what TensorBoard itself reads from them."""

import os
import struct

import numpy as np
import pytest

import recurra
from recurra.callbacks import LambdaCallback, TensorBoard
from recurra.callbacks._events import EventFile, histogram_event, masked_crc, record, scalar_event


@pytest.mark.parametrize(
    ("data", "crc"),
    [(b"", 0), (b"123456789", 0xE3069283), (bytes(32), 0x8A9136AA), (bytes(range(32)), 0x46DD794E)],
)
def test_the_checksum_is_crc32c_masked(data, crc):
    """Authority: RFC 3720, appendix B.4; the mask is that of TensorFlow's crc32c.h."""
    rotated = (crc >> 15 | crc << 17) & 0xFFFFFFFF
    assert masked_crc(data) == (rotated + 0xA282EAD8) % 2**32


def records(path):
    """Return the records of a file, having checked their framing."""
    data, found = path.read_bytes(), []
    while data:
        length, crc = struct.unpack("<QI", data[:12])
        assert crc == masked_crc(data[:8])
        assert struct.unpack("<I", data[12 + length : 16 + length])[0] == masked_crc(data[12 : 12 + length])
        found.append(data[12 : 12 + length])
        data = data[16 + length :]
    return found


def test_a_number_is_these_bytes():
    """Authority: the wire format, by hand: wall time (1, double), step (2), summary (5) of a value of tag and float."""
    event = scalar_event("a", 1.5, 300)
    assert event[:1] == b"\x09"
    assert event[9:] == b"\x10\xac\x02" + b"\x2a\x0a" + b"\x0a\x08" + b"\x0a\x01a" + b"\x15\x00\x00\xc0\x3f"
    assert record(b"ab")[:8] == b"\x02" + bytes(7)


def test_a_file_goes_on_where_its_state_was_taken(tmp_path):
    file = EventFile(str(tmp_path))
    file.write(b"first")
    state = file.state
    file.write(b"second")
    file.close()
    again = EventFile(str(tmp_path), state)
    again.write(b"third")
    again.close()
    (path,) = tmp_path.iterdir()
    assert records(path)[1:] == [b"first", b"third"]


def train(folder, **options):
    x = np.random.default_rng(0).normal(size=(48, 4, 2)).astype(np.float32)
    model = recurra.Sequential([recurra.LSTM(3, seed=1), recurra.Dense(1, seed=2)])
    model.compile("sgd", "mse", metrics=["mae"])
    batches = []
    watch = LambdaCallback(on_train_batch_end=lambda batch, logs: batches.append(dict(logs)))
    board = TensorBoard(folder, **options)
    history = model.fit(
        x, x.sum((1, 2))[:, None], 16, 3, verbose=0, validation_split=0.5, callbacks=[watch, board], seed=1
    )
    return model, history.history, batches


def test_files_hold_a_record_for_every_number(tmp_path):
    train(tmp_path)
    (path,) = (tmp_path / "train").iterdir()
    found = records(path)
    assert b"brain.Event:2" in found[0]
    for tag in (b"epoch_loss", b"epoch_mae", b"epoch_learning_rate"):
        assert sum(tag in one for one in found) == 3
    assert len(found) == 1 + 3 * 3
    (path,) = (tmp_path / "validation").iterdir()
    assert len(records(path)) == 1 + 3 * 4  # also the evaluation by optimizer step


@pytest.mark.parametrize("name", ["write_graph", "write_images", "profile_batch", "embeddings_freq"])
def test_what_is_not_supported_is_refused(name):
    with pytest.raises(ValueError, match=f"{name}: expected none, got True; recurra writes numbers"):
        TensorBoard(**{name: True})


@pytest.mark.slow
def test_tensorboard_reads_what_was_written(tmp_path):
    """Authority: tensorboard's own reader; float32, so 1e-6."""
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    options = {"histogram_freq": 2, "update_freq": "batch", "write_steps_per_second": True}
    model, history, batches = train(tmp_path, **options)
    found = {}
    for part in ("train", "validation"):
        accumulator = EventAccumulator(os.fspath(tmp_path / part), size_guidance={"histograms": 0})
        accumulator.Reload()
        for tag in accumulator.Tags()["scalars"]:
            found[part, tag] = [(event.step, event.value) for event in accumulator.Scalars(tag)]
        if part == "train":
            tags = accumulator.Tags()["histograms"]
            histograms = {tag: accumulator.Histograms(tag) for tag in tags}
    for name in ("loss", "mae"):
        np.testing.assert_allclose(found["train", f"epoch_{name}"], list(enumerate(history[name])), rtol=1e-6)
        expected = list(enumerate(history[f"val_{name}"]))
        np.testing.assert_allclose(found["validation", f"epoch_{name}"], expected, rtol=1e-6)
        expected = [(step, logs[name]) for step, logs in enumerate(batches, 1)]
        np.testing.assert_allclose(found["train", f"batch_{name}"], expected, rtol=1e-6)
        steps = [step for step, _ in found["validation", f"evaluation_{name}_vs_iterations"]]
        assert steps == [2, 4, 6]
    assert [value for _, value in found["train", "epoch_learning_rate"]] == pytest.approx([0.01] * 3)
    assert len(found["train", "epoch_steps_per_second"]) == 3
    assert sorted(histograms) == sorted(w.name.replace(".", "/") + "/histogram" for w in model.weights_declared)
    for weight, values in zip(model.weights_declared, model.get_weights(), strict=True):
        last = histograms[weight.name.replace(".", "/") + "/histogram"][-1]
        value = last.histogram_value
        assert last.step == 2
        np.testing.assert_allclose(
            [value.min, value.max, value.num, value.sum, value.sum_squares],
            [values.min(), values.max(), values.size, values.sum(dtype=float), np.square(values, dtype=float).sum()],
            rtol=1e-6,
            atol=1e-7,
        )
        assert sum(value.bucket) == values.size


def test_a_histogram_leaves_out_what_is_not_finite_and_takes_constants():
    for values in (np.zeros(3), np.array([np.nan, 1.0]), np.array([]), np.array([np.inf])):
        assert b"tag" in histogram_event("tag", values, 0)
