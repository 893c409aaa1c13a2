"""silero-vad (Silero Team 2024) in recurra: where somebody speaks in a recording, an ONNX graph with an LSTM.

    python examples/models/silero_vad.py                      compare with ONNX Runtime
    python examples/models/silero_vad.py recording.wav ...    print when somebody speaks

The package's file has a graph for each of two sampling rates: a Fourier transform and four more convolutions, an LSTM
of 128 units, a probability. It is fed chunk by chunk, 32 ms each behind the last 4 of the chunk before, with the state
that the chunk before left. `recurra.load` runs the file as it is.
"""

from __future__ import annotations

import argparse
import wave
from pathlib import Path

import numpy as np
from contest import OURS, Report, in_turn
from fetch import debian, package, pypi

import recurra

RATES = (16000, 8000)
UNITS = 128
# The package's own settings: speech begins at one probability and ends below the other, for 100 ms at least.
BEGIN, END, PAUSE, SHORTEST = 0.5, 0.35, 0.1, 0.25


def path() -> str:
    """Return the package's file."""
    return str(pypi("silero-vad") / "silero_vad" / "data" / "silero_vad.onnx")


def read(file: Path, rate: int) -> np.ndarray:
    """Return a recording of 16-bit numbers at a rate of `RATES`, channels averaged."""
    with wave.open(str(file)) as sound:
        own, channels, width = sound.getframerate(), sound.getnchannels(), sound.getsampwidth()
        frames = sound.readframes(sound.getnframes())
    if width != 2 or own % rate:
        raise ValueError(f"{file}: expected 16 bits and a multiple of {rate} Hz, got {8 * width} bits and {own} Hz")
    samples = np.frombuffer(frames, "<i2").reshape(-1, channels).mean(1) / 32768
    return thinned(samples, own // rate).astype(np.float32)


def thinned(samples: np.ndarray, factor: int) -> np.ndarray:
    """Return every so-and-so-many-th sample, what lies above the new half rate filtered out before."""
    if factor == 1:
        return samples
    places = np.arange(-16 * factor, 16 * factor + 1)
    taps = np.sinc(places / factor) * np.hanning(len(places))
    return np.convolve(samples, taps / taps.sum(), "same")[::factor]


def speech(rate: int) -> np.ndarray:
    """Return Debian's sounds of alsa-utils one behind another: eight short phrases, and noise."""
    folder = debian("alsa-utils") / "usr" / "share" / "sounds" / "alsa"
    pause = np.zeros(rate // 2, np.float32)
    return np.concatenate([part for file in sorted(folder.glob("*.wav")) for part in (read(file, rate), pause)])


def chunks(samples: np.ndarray, rate: int) -> np.ndarray:
    """Return (chunks, 1, 576 or 288): each chunk behind the end of the one before."""
    size, before = 512 * rate // 16000, 64 * rate // 16000
    count = -(-len(samples) // size)
    padded = np.pad(samples, (before, count * size - len(samples)))
    return np.stack([padded[size * k : size * (k + 1) + before] for k in range(count)])[:, None]


def probabilities(run, samples: np.ndarray, rate: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the probability that each chunk is speech, and the states behind the chunks."""
    state, found, states = np.zeros((2, 1, UNITS), np.float32), [], []
    for chunk in chunks(samples, rate):
        probability, state = run(None, {"input": chunk, "state": state, "sr": np.array(rate)})
        found.append(probability[0, 0])
        states.append(state)
    return np.array(found), np.array(states)


def apart(model, samples: np.ndarray, rate: int, states: np.ndarray) -> float:
    """Return how far a model's states behind each chunk are from given ones if it starts from those each time."""
    worst = 0.0
    for chunk, before, after in zip(chunks(samples, rate)[1:], states, states[1:], strict=False):
        _, state = model.run(None, {"input": chunk, "state": before, "sr": np.array(rate)})
        worst = max(worst, float((np.abs(state - after) / np.maximum(1, np.abs(after))).max()))
    return worst


def segments(found: np.ndarray, seconds: float = 0.032) -> list[tuple[float, float]]:
    """Return when speech begins and ends, in seconds."""
    result, begun, quiet = [], None, None
    for place, probability in enumerate([*found, 0.0]):
        now = place * seconds
        if probability >= BEGIN:
            begun, quiet = now if begun is None else begun, None
        elif probability < END and begun is not None:
            quiet = now if quiet is None else quiet
            if now - quiet >= PAUSE or place == len(found):
                if quiet - begun > SHORTEST:
                    result.append((round(begun, 3), round(quiet, 3)))
                begun = quiet = None
    return result


def session(model, threads: int):
    """Return ONNX Runtime's session of a model."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = threads
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def recurrent_part() -> bytes:
    """Return an ONNX model of the 16 kHz graph's LSTM alone: x, h, c -> hn, cn."""
    from onnx import TensorProto, helper, numpy_helper

    import recurra.onnx

    held = {
        node.outputs[0].rsplit(".", 1)[-1]: node.attributes["value"]
        for node in recurra.onnx.read_graph(path()).walk()
        if node.op_type == "Constant" and "then_branch" in node.outputs[0] and "decoder.rnn." in node.outputs[0]
    }

    def ordered(array: np.ndarray) -> np.ndarray:
        i, f, g, o = np.split(array, 4)  # of PyTorch
        return np.concatenate([i, o, f, g])[None]

    biases = [ordered(held[name]) for name in ("bias_ih", "bias_hh")]
    weights = {
        "W": ordered(held["weight_ih"]),
        "R": ordered(held["weight_hh"]),
        "B": np.concatenate(biases, 1),
    }
    node = helper.make_node("LSTM", ["x", *weights, "", "h", "c"], ["", "hn", "cn"], hidden_size=UNITS)
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 1, UNITS]) for name in ("x", "h", "c")]
    results = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 1, UNITS]) for name in ("hn", "cn")]
    arrays = [numpy_helper.from_array(array, name) for name, array in weights.items()]
    graph = helper.make_graph([node], "recurrent part", values, results, arrays)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 16)], ir_version=8)
    return model.SerializeToString()


def compare(turns: int = 15) -> Report:
    """Listen to the recording at both rates with both; time a chunk, and the LSTM of one."""
    figures: dict[str, float] = {}
    model, other = recurra.load(path()), session(path(), 1)
    heard = []
    for rate in RATES:
        samples = speech(rate)
        (ours, _), (theirs, states) = (probabilities(one.run, samples, rate) for one in (model, other))
        figures[f"difference at {rate}"] = float(np.abs(ours - theirs).max())
        figures[f"states at {rate}"] = apart(model, samples, rate, states)
        figures[f"chunks at {rate}"] = len(ours)
        figures[f"segments at {rate}"] = len(segments(ours))
        figures[f"same at {rate}"] = float(segments(ours) == segments(theirs))
        heard.append(f"{rate} Hz: " + ", ".join(f"{a:.2f}-{b:.2f}" for a, b in segments(ours)))
    worst = max(figures[f"difference at {rate}"] for rate in RATES)
    print("speech in seconds, by recurra:", *heard, sep="\n  ")
    return Report(
        "silero-vad",
        package("silero-vad"),
        "voice activity, an ONNX graph of convolutions and an LSTM, 128 units",
        "ONNX Runtime",
        f"probabilities within {worst:.1e}, the same segments: {all(figures[f'same at {rate}'] for rate in RATES)}",
        figures,
        timings(turns),
    )


def timings(turns: int) -> list:
    """Time one chunk: the LSTM alone, then the whole graph at both rates."""
    part, rng = recurrent_part(), np.random.default_rng(0)
    feeds = {name: rng.standard_normal((1, 1, UNITS), np.float32) for name in ("x", "h", "c")}
    rows = [one_chunk("the LSTM of a chunk", part, feeds, turns)]
    for rate in RATES:
        samples, state = chunks(speech(rate), rate), np.zeros((2, 1, UNITS), np.float32)
        feeds = {"input": samples[len(samples) // 2], "state": state, "sr": np.array(rate)}
        rows.append(one_chunk(f"a whole chunk at {rate} Hz", Path(path()).read_bytes(), feeds, turns))
    return rows


def one_chunk(what: str, model: bytes, feeds: dict, turns: int):
    """Time one call of a model with both."""
    from recurra.onnx import OnnxModel, read_graph

    ours, one, two = OnnxModel(read_graph(model)), session(model, 1), session(model, 2)
    sides = {
        "ONNX Runtime, 1 thread": lambda: one.run(None, feeds),
        "2 threads": lambda: two.run(None, feeds),
        OURS: lambda: ours.run(None, feeds),
    }
    return in_turn(what, sides, turns=turns)


def main() -> None:
    """Compare, or listen to recordings."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("recordings", nargs="*", type=Path, help="WAV files; none: compare with ONNX Runtime")
    options = parser.parse_args()
    if not options.recordings:
        print(compare())
        return
    model = recurra.load(path())
    for file in options.recordings:
        found, _ = probabilities(model.run, read(file, 16000), 16000)
        print(file, *(f"{begin:.2f}-{end:.2f}" for begin, end in segments(found)))


if __name__ == "__main__":
    main()
