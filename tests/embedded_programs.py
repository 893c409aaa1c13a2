"""Builds of the C library, and of programs with it, for the tests of embedding."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PROGRAMS = ROOT / "tests" / "cpp"
# How long fuzzing and soaking go on, each. CI has more patience than a developer; 600 is a thorough look.
SECONDS = float(os.environ.get("RECURRA_EMBED_SECONDS", "5"))


def tool(*names: str) -> str:
    """The first of some programs that is here; without one, the test is skipped."""
    for name in names:
        if shutil.which(name):
            return name
    return pytest.skip(f"no {' or '.join(names)} here")


def run(*command: object, expect: int | None = 0, **keywords) -> subprocess.CompletedProcess[str]:
    """Run a command; its status must be as expected (None: any)."""
    words = [str(word) for word in command]
    done = subprocess.run(words, capture_output=True, text=True, **keywords)
    if expect is not None and done.returncode != expect:
        pytest.fail(f"{' '.join(words)}\nended with {done.returncode}\n{done.stdout[-3000:]}\n{done.stderr[-6000:]}")
    return done


def build_library(folder: Path, **options: str) -> Path:
    """Build this tree with CMake, without Python, and install it; return where. Options are CMake's."""
    cmake = tool("cmake")
    build, prefix = folder / "build", folder / "installed"
    defines = [f"-D{name}={value}" for name, value in options.items()]
    if shutil.which("ccache"):
        defines.append("-DCMAKE_CXX_COMPILER_LAUNCHER=ccache")
    run(cmake, "-S", ROOT, "-B", build, *defines)
    run(cmake, "--build", build, "--parallel", "2", "--target", "all")
    run(cmake, "--install", build, "--prefix", prefix)
    return prefix


def flags_of(prefix: Path) -> list[str]:
    """What a compiler needs to hear of an installed library."""
    (library,) = prefix.glob("lib*/librecurra.a")
    return [f"-I{prefix / 'include'}", str(library), "-lm"]


def compile_program(compiler: str, source: Path, program: Path, prefix: Path, *flags: str) -> Path:
    """Compile one file with an installed library."""
    language = "-std=c11" if source.suffix == ".c" else "-std=c++17"
    run(compiler, language, "-O1", *flags, source, *flags_of(prefix), "-pthread", "-o", program)
    return program
