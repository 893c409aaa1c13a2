"""Train the models of the examples, build every example against the installed library, run it, and check what it says.

    python examples/embed/run_all.py [--folder build/embed] [--only plain_c audio_callback cmake_consumer server]

Needs a C and a C++ compiler, and CMake for cmake_consumer.
"""

import argparse
import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

import recurra
from recurra.embed import LIBRARIES

HERE = Path(__file__).resolve().parent
WARNINGS = ("-O2", "-Wall", "-Wextra", "-pedantic", "-Werror")
C = (os.environ.get("CC", "cc"), "-std=c11", *WARNINGS)
CXX = (os.environ.get("CXX", "c++"), "-std=c++17", *WARNINGS)


def run(*command: object) -> str:
    """Run a command, show it and what it prints, and return its standard output."""
    words = [str(word) for word in command]
    print("$", shlex.join(words), flush=True)
    done = subprocess.run(words, stdout=subprocess.PIPE, text=True)
    print(done.stdout if len(done.stdout) < 2000 else f"({len(done.stdout.splitlines())} lines)\n", end="", flush=True)
    if done.returncode:
        sys.exit(f"{words[0]} ended with status {done.returncode}")
    return done.stdout


def build(compiler: tuple[str, ...], source: Path, program: Path) -> Path:
    """Compile one file with what `recurra-config --cflags --libs` prints."""
    flags = (f"-I{recurra.get_include()}", f"-L{recurra.get_library_dir()}", *LIBRARIES)
    run(*compiler, source, *flags, "-Wl,--gc-sections", "-o", program)
    return program


def plain_c(folder: Path, sine: Path) -> None:
    """A sine through an LSTM in C: the numbers are Python's, bit for bit."""
    said = run(build(C, HERE / "plain_c" / "main.c", folder / "sine"), sine).split()
    stream = recurra.load_model(str(sine)).stream(1)
    x = np.sin(0.5 + 0.3 * np.arange(len(said))).astype(np.float32)
    expected = [stream.step(x[t].reshape(1, 1)).item() for t in range(len(x))]
    if not np.array_equal(np.float32(said), np.float32(expected)):
        sys.exit("plain_c: other numbers than Python's")
    print(f"plain_c: {len(said)} numbers, the same as Python's")


def audio_callback(folder: Path, sine: Path) -> None:
    """An amplifier model in C++, 64 frames a block."""
    model = folder / "amplifier.safetensors"
    run(sys.executable, HERE / "audio_callback" / "train.py", model)
    run(build(CXX, HERE / "audio_callback" / "main.cc", folder / "amplifier"), model)


def cmake_consumer(folder: Path, sine: Path) -> None:
    """A project that finds the library with CMake."""
    build_folder = folder / "cmake_consumer"
    run("cmake", "-S", HERE / "cmake_consumer", "-B", build_folder, f"-Drecurra_DIR={recurra.get_cmake_dir()}")
    run("cmake", "--build", build_folder)
    run(build_folder / "info", sine)
    run(build_folder / "whole", sine)


def server(folder: Path, sine: Path) -> None:
    """A server on the loopback interface, and a load on it."""
    run(build(CXX, HERE / "server" / "main.cc", folder / "server"), sine, 64, 100, 2)


EXAMPLES: dict[str, Callable[[Path, Path], None]] = {
    "plain_c": plain_c,
    "audio_callback": audio_callback,
    "cmake_consumer": cmake_consumer,
    "server": server,
}


def main() -> None:
    """Run the examples that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--folder", type=Path, default=Path("build/embed"), help="where to train and build")
    parser.add_argument("--only", nargs="+", choices=EXAMPLES, default=list(EXAMPLES), help="some of the examples")
    asked = parser.parse_args()
    folder = asked.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    sine = folder / "sine.safetensors"
    run(sys.executable, HERE / "plain_c" / "train.py", sine)
    for name in asked.only:
        EXAMPLES[name](folder, sine)
    print(f"{len(asked.only)} examples, all well")


if __name__ == "__main__":
    main()
