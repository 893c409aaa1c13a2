"""The C library is installed with the package, and the package says where it is."""

import importlib.metadata
import importlib.resources
import os
import shutil
import subprocess
from pathlib import Path

import pytest

import recurra
from recurra import embed

ROOT = Path(__file__).resolve().parents[1]
FLAGS = {
    "gcc": ["-x", "c", "-std=c11", "-Wall", "-Wextra", "-pedantic", "-Werror"],
    "g++": ["-x", "c++", "-std=c++17", "-Wall", "-Wextra", "-pedantic", "-Werror"],
    "g++ without exceptions": [
        "-x",
        "c++",
        "-std=c++17",
        "-Wall",
        "-Wextra",
        "-Werror",
        "-fno-exceptions",
        "-fno-rtti",
    ],
}


def test_each_folder_holds_what_it_is_for():
    assert {"recurra.h", "recurra.hpp"} <= set(os.listdir(recurra.get_include()))
    assert "librecurra.a" in os.listdir(recurra.get_library_dir())
    assert "recurraConfig.cmake" in os.listdir(recurra.get_cmake_dir())
    assert (Path(recurra.get_library_dir()) / "pkgconfig" / "recurra.pc").is_file()


@pytest.mark.parametrize("name", ["recurra.h", "recurra.hpp"])
def test_the_installed_headers_are_those_of_the_tree(name):
    assert (Path(recurra.get_include()) / name).read_text() == (ROOT / "csrc/runtime/include" / name).read_text()


def test_the_command_prints_what_the_functions_return(capsys):
    assert embed.main(["--includedir", "--libdir", "--cmakedir", "--version"]) == 0
    expected = [recurra.get_include(), recurra.get_library_dir(), recurra.get_cmake_dir(), recurra.__version__]
    assert capsys.readouterr().out.splitlines() == expected
    assert embed.main(["--cflags", "--libs"]) == 0
    assert capsys.readouterr().out.split() == [
        f"-I{recurra.get_include()}", f"-L{recurra.get_library_dir()}", *embed.LIBRARIES
    ]  # fmt: skip


def test_the_command_asked_for_nothing_shows_how_to_ask(capsys):
    assert embed.main([]) == 2
    assert "--cflags" in capsys.readouterr().err


def test_a_source_tree_that_was_not_installed_says_so(monkeypatch, tmp_path, capsys):
    def none(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(recurra, "__path__", [str(tmp_path)])
    monkeypatch.setattr(importlib.metadata, "distribution", none)
    with pytest.raises(
        FileNotFoundError, match=r"recurra: expected an installation with include/recurra\.h, got none in"
    ):
        recurra.get_include()
    assert embed.main(["--libs"]) == 1
    assert "install it with pip" in capsys.readouterr().err


def test_a_library_without_openmp_refuses_its_flags(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(embed, "get_library_dir", lambda: str(tmp_path))
    assert embed.main(["--libs", "--openmp"]) == 1
    assert capsys.readouterr().err.startswith("--openmp: expected a library that was built with OpenMP, got none in")


def test_builds_by_scikit_build_core_find_the_package():
    if Path(recurra.get_include()).parent not in map(Path, recurra.__path__):
        pytest.skip("the sources shadow the installation")
    (entry,) = importlib.metadata.entry_points(group="cmake.root", name="recurra")
    folders = importlib.resources.files(entry.load())
    roots = getattr(folders, "_paths", [folders])  # several in an editable install
    assert Path(recurra.get_cmake_dir()) in [Path(str(root)) / "lib" / "cmake" / "recurra" for root in roots]


def test_the_console_script_is_there():
    (entry,) = importlib.metadata.entry_points(group="console_scripts", name="recurra-config")
    assert entry.load() is embed.main


@pytest.mark.parametrize("flags", FLAGS.values(), ids=FLAGS)
@pytest.mark.parametrize("header", ["recurra.h", "recurra.hpp"])
def test_each_header_compiles_alone_without_a_warning(header, flags, tmp_path):
    if header == "recurra.hpp" and "c" in flags:
        pytest.skip("C++ only")
    compiler = "gcc" if "c" in flags else "g++"
    if shutil.which(compiler) is None:
        pytest.skip(f"no {compiler} here")
    source = tmp_path / "source"
    source.write_text(f"#include <{header}>\n")
    command = [compiler, *flags, "-fsyntax-only", f"-I{recurra.get_include()}", str(source)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
