"""The C library built, installed and linked as users do it: without Python, by gcc and Clang, from C and C++."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import embedded_models
import recurra
from embedded_programs import PROGRAMS, ROOT, build_library, compile_program, flags_of, run, tool

pytestmark = pytest.mark.slow

EXAMPLES = ROOT / "examples" / "embed"
KILOBYTE = 1000

# What the library may take from elsewhere: the C library's, nothing of C++'s; no environment, no output, no end.
FROM_ELSEWHERE = {
    *("memcpy", "memmove", "memset", "memcmp", "strcmp", "strlen", "strncmp", "strchr"),
    *("malloc", "calloc", "aligned_alloc", "posix_memalign", "free"),
    *("fopen", "fclose", "fread", "fseek", "ftell", "vsnprintf", "snprintf", "strtod"),
    *("__stack_chk_fail", "__tls_get_addr", "_GLOBAL_OFFSET_TABLE_", "__cpu_model", "__cpu_indicator_init"),
    "clock_gettime",  # as a model is loaded: which width of vectors is faster
    "__udivmodti4",  # of the compiler's own library: a division of 128 bits
    *("__memcpy_chk", "__memset_chk", "__snprintf_chk", "__vsnprintf_chk"),
}


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    """All instruction sets, built with no Python to be found."""
    folder = tmp_path_factory.mktemp("all")
    nowhere = {f"CMAKE_DISABLE_FIND_PACKAGE_{name}": "ON" for name in ("Python", "pybind11")}
    return build_library(folder, RECURRA_WARNINGS_AS_ERRORS="ON", **nowhere)


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    return [embedded_models.save_model(name, folder) for name in embedded_models.MODELS]


@pytest.fixture(scope="module")
def sine(tmp_path_factory):
    path = tmp_path_factory.mktemp("sine") / "sine.safetensors"
    run(sys.executable, EXAMPLES / "plain_c" / "train.py", path)
    return path


def symbols(archive: Path) -> list[tuple[str, str, str]]:
    """Binding, visibility and name of each global symbol that an archive defines or wants (UND)."""
    lines = run("readelf", "-sW", archive).stdout.splitlines()
    rows = [line.split() for line in lines if re.match(r" *\d+: ", line)]
    return [(row[5], row[6], row[7]) for row in rows if len(row) > 7 and row[4] in ("GLOBAL", "WEAK", "UNIQUE")]


def test_only_recurra_functions_and_hidden_internals_are_defined(library):
    (archive,) = library.glob("lib*/librecurra.a")
    defined = [(visibility, name) for visibility, place, name in symbols(archive) if place != "UND"]
    header = (library / "include" / "recurra.h").read_text()
    public = set(re.findall(r"\b(recurra_[a-z_]+)\(", header))
    assert public <= {name for _, name in defined}
    stray = [name for _, name in defined if name not in public and not re.match(r"_Z\w*7recurra", name)]
    assert not stray
    assert {visibility for visibility, _ in defined} == {"HIDDEN"}


def test_the_library_needs_nothing_but_the_c_library(library):
    (archive,) = library.glob("lib*/librecurra.a")
    rows = symbols(archive)
    defined = {name for _, place, name in rows if place != "UND"}
    wanted = {name for _, place, name in rows if place == "UND"}
    assert wanted - defined <= FROM_ELSEWHERE


def test_a_shared_library_that_links_it_exports_none_of_it(library, tmp_path):
    source, shared = tmp_path / "plugin.c", tmp_path / "plugin.so"
    source.write_text("#include <recurra.h>\nconst char *plugin(void) { return recurra_version(); }\n")
    run(tool("gcc"), "-shared", "-fPIC", source, *flags_of(library), "-o", shared)
    exported = run("nm", "-D", "--defined-only", shared).stdout
    assert "plugin" in exported
    assert "recurra" not in exported


def test_pkg_config_says_what_a_c_compiler_needs(library, sine, tmp_path):
    (folder,) = library.glob("lib*/pkgconfig")
    environment = {**os.environ, "PKG_CONFIG_PATH": str(folder)}
    flags = run(tool("pkg-config"), "--cflags", "--libs", "recurra", env=environment).stdout.split()
    run(tool("gcc"), EXAMPLES / "plain_c" / "main.c", *flags, "-o", tmp_path / "sine")
    run(tmp_path / "sine", sine)
    assert run("pkg-config", "--modversion", "recurra", env=environment).stdout.strip() == recurra.__version__


@pytest.mark.parametrize("languages", ["C", "CXX", "C CXX"])
def test_cmake_finds_the_package_from_projects_of_either_language(languages, library, sine, tmp_path):
    for name in ("info.c", "CMakeLists.txt"):
        shutil.copy(EXAMPLES / "cmake_consumer" / name, tmp_path)
    text = (tmp_path / "CMakeLists.txt").read_text().replace("LANGUAGES C CXX", f"LANGUAGES {languages}")
    text = text[: text.index("add_executable(whole")]
    if languages == "CXX":
        (tmp_path / "info.c").write_text("#include <recurra.h>\nint main() { return !recurra_abi_version(); }\n")
        (tmp_path / "info.c").rename(tmp_path / "info.cc")
        text = text.replace("info.c)", "info.cc)").replace("c_std_11", "cxx_std_17")
    (tmp_path / "CMakeLists.txt").write_text(text)
    run(tool("cmake"), "-S", tmp_path, "-B", tmp_path / "build", f"-DCMAKE_PREFIX_PATH={library}")
    run("cmake", "--build", tmp_path / "build")
    run(tmp_path / "build" / "info", sine)


def test_cmake_refuses_another_version(library, tmp_path):
    (tmp_path / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.18)\nproject(p LANGUAGES C)\nfind_package(recurra 99.0 CONFIG REQUIRED)\n"
    )
    done = run(tool("cmake"), "-S", tmp_path, "-B", tmp_path / "b", f"-DCMAKE_PREFIX_PATH={library}", expect=None)
    assert done.returncode != 0
    assert "99.0" in done.stderr


@pytest.mark.parametrize("compiler", [("gcc",), ("clang-19", "clang", "clang-22", "clang-14")], ids=["gcc", "clang"])
def test_saved_models_give_the_numbers_of_python_to_the_bit(compiler, library, models, tmp_path):
    program = compile_program(tool(*compiler), PROGRAMS / "model_outputs.c", tmp_path / "outputs", library)
    said = run(program, "0", recurra.show_config("dict")["isa"], *models).stdout
    assert len(said.splitlines()) == len(models)


@pytest.mark.parametrize("isa", recurra.show_config("dict")["cpu_isas"])
def test_saved_models_agree_on_every_instruction_set(isa, library, models, tmp_path):
    """Within 1e-5: instruction sets round differently."""
    program = compile_program(tool("gcc"), PROGRAMS / "model_outputs.c", tmp_path / "outputs", library)
    assert f" {isa} " in run(program, "1e-5", isa, *models).stdout


def test_the_size_of_a_program_is_bounded(library, tmp_path):
    """Stripped: 400 kB with one instruction set, 1.5 MB with all."""
    one = build_library(tmp_path / "one", RECURRA_ISAS="baseline")
    for prefix, most in ((one, 400 * KILOBYTE), (library, 1500 * KILOBYTE)):
        program = tmp_path / f"main{most}"
        run(
            tool("gcc"),
            "-O2",
            EXAMPLES / "plain_c" / "main.c",
            *flags_of(prefix),
            "-s",
            "-Wl,--gc-sections",
            "-o",
            program,
        )
        print(program.stat().st_size)
        assert program.stat().st_size <= most


@pytest.mark.parametrize("compiler", [("g++",), ("clang++-19", "clang++", "clang++-22")], ids=["gcc", "clang"])
def test_cxx_without_exceptions_gets_statuses(compiler, library, sine, tmp_path):
    source = tmp_path / "quiet.cc"
    source.write_text("""
#include <recurra.hpp>
int main(int, char** argv) {
  recurra::Model model;
  recurra::State state;
  float x = 0, y[2];
  if (model.load("/nowhere") != RECURRA_NO_FILE) return 1;
  if (model.load(argv[1]) || state.init(model)) return 2;
  if (state.step(recurra::span<const float>(&x, 1), y) != RECURRA_BAD_ARGUMENT) return 3;
  double wrong[1] = {0};
  if (state.step(wrong, wrong) != RECURRA_BAD_ARGUMENT) return 4;
  return state.step(recurra::span<const float>(&x, 1), recurra::span<float>(y, 1));
}
""")
    flags = ("-fno-exceptions", "-fno-rtti", "-Wall", "-Wextra", "-Werror")
    run(compile_program(tool(*compiler), source, tmp_path / "quiet", library, *flags), sine)


def test_cxx_with_exceptions_throws_status_and_sentence(library, sine, tmp_path):
    source = tmp_path / "loud.cc"
    source.write_text("""
#include <cstring>
#include <recurra.hpp>
#include <vector>
int main(int, char** argv) {
  try {
    recurra::Model model("/nowhere");
    return 1;
  } catch (const recurra::Error& error) {
    if (error.status() != RECURRA_NO_FILE || !std::strstr(error.what(), "/nowhere")) return 2;
  }
  recurra::Model model(argv[1]);
  recurra::Model moved(std::move(model));
  recurra::State state(moved), other(moved);
  std::vector<float> x(1), y(1), z(1), numbers(state.numbers());
  state.step(x, y);
  state.save(numbers);
  state.step(x, y);
  other.restore(numbers);
  other.step(x, z);
  if (y != z) return 3;
  other.reset();
  other.copy_from(state);
  state.step(x, y);
  other.step(x, z);
  try {
    std::vector<double> wrong(1);
    state.step(wrong, wrong);
    return 4;
  } catch (const recurra::Error& error) {
    return y == z && !model && moved ? 0 : 5;
  }
}
""")
    run(compile_program(tool("g++"), source, tmp_path / "loud", library, "-fsanitize=address,undefined"), sine)


def test_the_examples_build_and_run_against_the_installed_package(tmp_path):
    tool("cmake")
    command = [sys.executable, str(EXAMPLES / "run_all.py"), "--folder", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert "the same as Python's" in done.stdout
    assert "0 wrong" in done.stdout
    assert "share of the real-time budget" in done.stdout
    assert "one thread and two agree" in done.stdout
