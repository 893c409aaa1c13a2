"""The arrows of the architecture: a floor of csrc/ includes itself and lower floors; only bindings see Python."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
CSRC = ROOT / "csrc"

# Bottom to top. Each floor may include itself, and every floor below it unless it is listed in ONLY.
FLOORS = ("base", "simd", "cells", "kernels", "nn", "runtime", "bindings")
ONLY = {"base": {"base"}, "simd": {"simd"}, "cells": {"cells", "simd", "base"}}  # base: the names of the activations

# Compiled with the flags of one instruction set: an inline function of any other standard header could become the
# program's only copy, and trap on a CPU without that set.
PER_TARGET_HEADERS = {"cstddef", "cstdint", "immintrin.h", "arm_neon.h"}

INCLUDE = re.compile(r'^\s*#\s*include\s+(?:"([^"]+)"|<([^>]+)>)', re.MULTILINE)
COMMENT_OR_STRING = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"', re.DOTALL)

SOURCES = sorted(path for path in CSRC.rglob("*") if path.suffix in {".h", ".cc", ".inc"})


def includes(path: Path) -> tuple[list[str], list[str]]:
    """The project's own headers and the system headers that a file names."""
    found = INCLUDE.findall(path.read_text())
    return [own for own, _ in found if own], [system for _, system in found if system]


def floor(path: Path) -> str:
    return path.relative_to(CSRC).parts[0]


def resolve(path: Path, own: str) -> Path:
    """An include as the compiler finds it: beside the file, else from csrc/."""
    beside = path.parent / own
    return (beside if beside.exists() else CSRC / own).resolve()


def closure(path: Path) -> set[Path]:
    """A file and every own header it reaches."""
    seen: set[Path] = set()
    waiting = [path]
    while waiting:
        current = waiting.pop()
        if current not in seen:
            seen.add(current)
            waiting += [resolve(current, own) for own in includes(current)[0]]
    return seen


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_every_source_lies_on_a_known_floor():
    assert SOURCES, "csrc/ has no sources"
    assert {floor(path) for path in SOURCES} == set(FLOORS)


@pytest.mark.parametrize("path", SOURCES, ids=name)
def test_includes_point_downward(path):
    here = floor(path)
    allowed = ONLY.get(here, set(FLOORS[: FLOORS.index(here) + 1]))
    for own in includes(path)[0]:
        target = resolve(path, own)
        assert target.exists(), f"{name(path)} includes {own}, which does not exist"
        assert floor(target) in allowed, f"{name(path)} on floor {here} must not include {own}"


@pytest.mark.parametrize("path", [path for path in SOURCES if floor(path) != "bindings"], ids=name)
def test_python_stays_in_the_bindings(path):
    text = path.read_text()
    for word in ("Python.h", "pybind11", "PyObject", "PyErr_"):
        assert word not in text, f"{name(path)} mentions {word}"


@pytest.mark.parametrize("path", sorted(CSRC.glob("kernels/target_*.cc")), ids=name)
def test_what_is_compiled_per_target_takes_no_standard_header(path):
    for reached in sorted(closure(path)):
        extra = set(includes(reached)[1]) - PER_TARGET_HEADERS
        assert not extra, f"{name(path)} reaches {name(reached)}, which includes {sorted(extra)}"


@pytest.mark.parametrize("path", SOURCES, ids=name)
def test_the_library_neither_prints_nor_ends_the_process(path):
    code = COMMENT_OR_STRING.sub("", path.read_text())
    found = re.findall(r"\b(?:f?printf|puts|std::cout|std::cerr|abort|_?exit|assert)\s*(?=\(|<<)", code)
    assert not found, f"{name(path)} calls {found}"


def test_shipped_flags_are_portable_and_keep_ieee_arithmetic():
    files = [ROOT / "CMakeLists.txt", *(ROOT / "cmake").glob("*.cmake")]
    text = re.sub(r"#[^\n]*", "", "".join(path.read_text() for path in files))
    for flag in ("-march=native", "-ffast-math", "-Ofast", "-funsafe-math-optimizations"):
        assert flag not in text
