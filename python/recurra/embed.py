"""Where this installation keeps the library for C and C++ programs, and what to tell a compiler.

The command ``recurra-config`` prints the same:

    cc main.c $(recurra-config --cflags --libs) -o main
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.metadata
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import recurra
from recurra import _errors

if TYPE_CHECKING:
    from collections.abc import Sequence

LIBRARIES = ("-lrecurra", "-lm")


def _root() -> Path:
    """The folder that holds include/ and lib/: the package, or what an editable install keeps apart from it."""
    places = [Path(place) for place in recurra.__path__]
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):  # a source tree on the path
        places.append(Path(str(importlib.metadata.distribution("recurra").locate_file("recurra"))))
    for place in places:
        if (place / "include" / "recurra.h").is_file():
            return place
    raise FileNotFoundError(
        _errors.message(
            "recurra",
            "an installation with include/recurra.h",
            f"none in {', '.join(map(str, places))}",
            "install it with pip, or build the library alone with CMake",
        )
    )


def get_include() -> str:
    """Return the folder of ``recurra.h`` and ``recurra.hpp``.

    Returns
    -------
    str
        An absolute path, right in editable installs too.

    Raises
    ------
    FileNotFoundError
        If this is a source tree that was not installed.

    Examples
    --------
    >>> import pathlib, recurra
    >>> sorted(path.name for path in pathlib.Path(recurra.get_include()).glob("recurra.*"))
    ['recurra.h', 'recurra.hpp']
    """
    return str(_root() / "include")


def get_library_dir() -> str:
    """Return the folder of ``librecurra.a``; its ``pkgconfig`` folder is for pkg-config.

    Returns
    -------
    str
        An absolute path, right in editable installs too.

    Raises
    ------
    FileNotFoundError
        If this is a source tree that was not installed.
    """
    return str(_root() / "lib")


def get_cmake_dir() -> str:
    """Return the folder of ``recurraConfig.cmake``, for ``cmake -Drecurra_DIR=...``.

    Builds by scikit-build-core find it by themselves, through the entry point ``cmake.root``.

    Returns
    -------
    str
        An absolute path, right in editable installs too.

    Raises
    ------
    FileNotFoundError
        If this is a source tree that was not installed.
    """
    return str(_root() / "lib" / "cmake" / "recurra")


def _flags(asked: argparse.Namespace) -> list[str]:
    """What a compiler wants to hear, in the order in which it wants it."""
    flags = [f"-I{get_include()}"] if asked.cflags else []
    if asked.libs:
        library_dir = Path(get_library_dir())
        team = library_dir / "recurra_openmp.o"
        if asked.openmp and not team.is_file():
            raise FileNotFoundError(
                _errors.message("--openmp", "a library that was built with OpenMP", f"none in {library_dir}")
            )
        flags += [str(team)] if asked.openmp else []
        flags += [f"-L{library_dir}", *LIBRARIES, *(["-fopenmp"] if asked.openmp else [])]
    return flags


def _answers(asked: argparse.Namespace) -> list[str]:
    """The lines to print."""
    lines = [" ".join(_flags(asked))] if asked.cflags or asked.libs else []
    lines += [get_include()] if asked.includedir else []
    lines += [get_library_dir()] if asked.libdir else []
    lines += [get_cmake_dir()] if asked.cmakedir else []
    lines += [recurra.__version__] if asked.version else []
    return lines


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command ``recurra-config``; return its exit status.

    Parameters
    ----------
    arguments : sequence of str, optional
        Those of the command line if not given.

    Returns
    -------
    int
        0, or 1 if there is no library, or 2 if nothing was asked.
    """
    parser = argparse.ArgumentParser(
        prog="recurra-config", description="What to tell a compiler that builds a program with recurra's C library."
    )
    for option, text in (
        ("cflags", "print the compiler's flags"),
        ("libs", "print the linker's flags"),
        ("openmp", "with --libs: those for several threads in one call"),
        ("includedir", "print the folder of recurra.h"),
        ("libdir", "print the folder of librecurra.a"),
        ("cmakedir", "print the folder of recurraConfig.cmake"),
        ("version", "print the version"),
    ):
        parser.add_argument(f"--{option}", action="store_true", help=text)
    try:
        lines = _answers(parser.parse_args(arguments))
    except FileNotFoundError as error:
        print(error, file=sys.stderr)
        return 1
    if not lines:
        parser.print_usage(sys.stderr)
        return 2
    print("\n".join(lines))
    return 0
