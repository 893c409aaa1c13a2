"""Times a step of the C library: LSTM + Dense(1), one input, one row, beside one-file C and ONNX Runtime's C API.

    python benchmarks/runtime.py
    python benchmarks/runtime.py --units 8 40 --seconds 0.2
    python benchmarks/runtime.py --streams 1000

Each side is a C program of its own that carries the states from step to step; what it computes is compared with Python
before it is timed. Sides take turns; a number is the median of the turns' medians, in nanoseconds of one step. ONNX
Runtime (one thread, states bound in place) is the library inside its wheel, called without Python. `--streams N` serves
N streams with two threads and tells the latency of a step.
"""

import argparse
import contextlib
import io
import os
import statistics
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

import recurra
from recurra.embed import LIBRARIES

HERE = Path(__file__).resolve().parent
UNITS = (8, 16, 32, 40, 64, 256)
CHECKED = 50  # steps compared with Python
CC = [os.environ.get("CC", "cc"), "-std=gnu11", "-O3", "-march=native"]
CXX = [os.environ.get("CXX", "c++"), "-std=c++17", "-O2", "-pthread"]
LINKED = [f"-I{recurra.get_include()}", f"-L{recurra.get_library_dir()}", *LIBRARIES, "-ldl"]


def make_model(units: int) -> recurra.Sequential:
    """The model of a case."""
    recurra.set_random_seed(units)
    model = recurra.Sequential([recurra.LSTM(units, return_sequences=True), recurra.Dense(1)])
    model.build((None, None, 1))
    return model


def signal(steps: int) -> np.ndarray:
    """What the programs feed: see benchmarks/runtime/timer.h."""
    return np.float32(0.5) - (np.arange(steps) * 37 % 256).astype(np.float32) / np.float32(256)


def write_onnx(model: recurra.Sequential, path: Path) -> None:
    """One step of the model with its states as inputs and outputs."""
    import onnx
    from onnx import TensorProto, helper

    lstm, dense = model.layers
    assert isinstance(lstm, recurra.LSTM)
    units = lstm.units
    order = np.concatenate([np.arange(units) + gate * units for gate in (0, 3, 1, 2)])  # i f g o -> i o f c
    p = lstm.parameters
    arrays = {
        "W": p["weight_ih_l0"][order][None],
        "R": p["weight_hh_l0"][order][None],
        "B": np.concatenate([p["bias_ih_l0"][order], p["bias_hh_l0"][order]])[None],
        "weight": dense.parameters["weight"].T,
        "bias": dense.parameters["bias"],
        "flat": np.array([1, units]),
    }
    state = [1, 1, units]
    graph = helper.make_graph(
        [
            helper.make_node("LSTM", ["x", "W", "R", "B", "", "h", "c"], ["", "h_new", "c_new"], hidden_size=units),
            helper.make_node("Reshape", ["h_new", "flat"], ["row"]),
            helper.make_node("Gemm", ["row", "weight", "bias"], ["y"]),
        ],
        "step",
        [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
            for name, shape in (("x", [1, 1, 1]), ("h", state), ("c", state))
        ],
        [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
            for name, shape in (("y", [1, 1]), ("h_new", state), ("c_new", state))
        ],
        [onnx.numpy_helper.from_array(np.ascontiguousarray(value), name) for name, value in arrays.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)


def onnxruntime_library() -> Path | None:
    """The C library in ONNX Runtime's wheel, None without."""
    try:
        import onnx  # noqa: F401
        import onnxruntime
    except ImportError:
        return None
    found = sorted(Path(onnxruntime.__file__).parent.glob("capi/libonnxruntime.so*"))
    return found[0] if found else None


def build(source: str, program: Path) -> list[str]:
    """Compile benchmarks/runtime/<source>; returns the command."""
    files = [str(HERE / "runtime" / source), f"-I{program.parent}", *LINKED, "-o", str(program)]
    subprocess.run([*CC, *files], check=True)
    return [str(program)]


def sides(units: int, folder: Path) -> dict[str, list[str]]:
    """The programs of a case, by name."""
    model = make_model(units)
    model.save(folder / "model.safetensors")
    with contextlib.redirect_stdout(io.StringIO()):  # the report of the accuracy
        model.export_c(folder / "model.c")
    library = build("recurra.c", folder / "recurra")
    found = {}
    for isa in recurra.show_config("dict")["cpu_isas"]:
        found[isa] = [*library, str(folder / "model.safetensors"), isa]
    found["one-file C"] = build("onefile.c", folder / "onefile")
    runtime = onnxruntime_library()
    if runtime:
        write_onnx(model, folder / "model.onnx")
        command = build("onnxruntime.c", folder / "onnxruntime")
        found["ONNX Runtime"] = [*command, str(runtime), str(folder / "model.onnx"), str(units)]
    stream = model.stream(1)
    expected = np.array([stream.step(x.reshape(1, 1)).item() for x in signal(CHECKED)], np.float32)
    for name, command in found.items():
        got = np.array(run(command, CHECKED, 0), np.float32)
        same_kernel = name == recurra.show_config("dict")["isa"]
        if not np.allclose(got, expected, rtol=0, atol=0 if same_kernel else 1e-5):
            raise SystemExit(f"{name}, {units} units: differs from Python by {np.abs(got - expected).max():.1e}")
    return found


def run(command: list[str], checked: int, seconds: float) -> list[float]:
    """The outputs of the first `checked` steps, or, of 0, the median nanoseconds of a step."""
    done = subprocess.run([*command, str(checked), str(seconds)], check=True, capture_output=True, text=True)
    return [float(word) for word in done.stdout.split()]


def measure(units: int, turns: int, seconds: float) -> dict[str, float]:
    """Nanoseconds of a step, by side."""
    with tempfile.TemporaryDirectory() as folder:
        programs = sides(units, Path(folder))
        times: dict[str, list[float]] = {name: [] for name in programs}
        for _ in range(turns):
            for name, command in programs.items():
                times[name] += run(command, 0, seconds / turns)
    return {name: statistics.median(of) for name, of in times.items()}


def serve(streams: int, seconds: float) -> None:
    """Print the latency of a step where two threads serve many streams."""
    with tempfile.TemporaryDirectory() as folder:
        model, program = Path(folder) / "model.safetensors", Path(folder) / "streams"
        make_model(40).save(model)
        source = HERE.parent / "tests" / "cpp" / "streams.cc"
        subprocess.run([*CXX, str(source), *LINKED, "-o", program], check=True)
        subprocess.run([program, model, str(seconds), str(streams)], check=True)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--units", nargs="+", type=int, default=list(UNITS))
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1, help="for each number")
    parser.add_argument("--streams", type=int, help="serve this many streams instead")
    arguments = parser.parse_args()
    if arguments.streams:
        serve(arguments.streams, arguments.seconds)
        return
    heading: Callable[[str], str] = "{:>14}".format
    for i, units in enumerate(arguments.units):
        times = measure(units, arguments.turns, arguments.seconds)
        if i == 0:
            print("ns a step of LSTM + Dense(1), one core")
            print("units".ljust(7) + "".join(map(heading, times)))
        print(str(units).ljust(7) + "".join(f"{time:14,.0f}" for time in times.values()), flush=True)


if __name__ == "__main__":
    main()
