"""Programs with the C library under Clang's sanitizers and on other machines.

RECURRA_EMBED_SECONDS says how long fuzzing and soaking go on, each.
"""

import platform

import pytest

import embedded_models
from embedded_programs import PROGRAMS, SECONDS, build_library, compile_program, run, tool

pytestmark = pytest.mark.slow

CLANGXX = ("clang++-22", "clang++-21", "clang++-20", "clang++-19", "clang++")
WITH_REALTIME = CLANGXX[:3]  # RealtimeSanitizer came with 20


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    return {name: embedded_models.save_model(name, folder) for name in embedded_models.MODELS}


def sanitized(folder, compiler, sanitizers, **options):
    return build_library(
        folder, CMAKE_CXX_COMPILER=compiler, RECURRA_SANITIZE=sanitizers, RECURRA_OPENMP="OFF", **options
    )


def test_no_bytes_bring_the_loader_down(models, tmp_path):
    compiler = tool(*CLANGXX)
    library = sanitized(tmp_path, compiler, "fuzzer-no-link,address,undefined", RECURRA_ISAS=one_isa())
    flags = ("-g", "-fsanitize=fuzzer,address,undefined", "-fno-sanitize-recover=all")
    program = compile_program(compiler, PROGRAMS / "fuzz_load.cc", tmp_path / "fuzz_load", library, *flags)
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    for path in models.values():
        for last in (255, 3, 9):  # no allocation fails, or an early one
            (corpus / f"{path.stem}-{last}").write_bytes(path.read_bytes() + bytes([last]))
    options = (
        f"-max_total_time={SECONDS:.0f}",
        "-max_len=40000",
        "-timeout=120",  # of the clock: others may have the processors for a while
        "-rss_limit_mb=2000",
        "-print_final_stats=1",
    )
    done = run(program, f"-dict={PROGRAMS / 'model.dict'}", *options, corpus, cwd=tmp_path)
    print(done.stderr[-1500:])
    assert "stat::number_of_executed_units" in done.stderr


def one_isa() -> str:
    return "avx2" if platform.machine() == "x86_64" else "neon"


def test_a_thousand_streams_of_one_model_race_for_nothing(models, tmp_path):
    compiler = tool(*CLANGXX)
    library = sanitized(tmp_path, compiler, "thread", RECURRA_ISAS=one_isa())
    program = compile_program(
        compiler, PROGRAMS / "streams.cc", tmp_path / "streams", library, "-g", "-fsanitize=thread"
    )
    done = run(program, models["lstm"], SECONDS, 1000)
    print(done.stdout)
    assert " 0 wrong" in done.stdout


def test_thread_sanitizer_sees_a_shared_state(models, tmp_path):
    """The mistake that the test above would miss if nothing watched."""
    compiler = tool(*CLANGXX)
    source = tmp_path / "shared.cc"
    source.write_text("""
#include <recurra.hpp>
#include <thread>
int main(int, char** argv) {
  recurra::Model model(argv[1]);
  recurra::State state(model);
  const auto step = [&] {
    float x = 0, y;
    for (int i = 0; i < 1000; ++i) recurra_step(model.get(), state.get(), &x, 1, &y, 1);
  };
  std::thread other(step);
  step();
  other.join();
}
""")
    library = sanitized(tmp_path, compiler, "thread", RECURRA_ISAS=one_isa())
    program = compile_program(compiler, source, tmp_path / "shared", library, "-g", "-fsanitize=thread")
    done = run(program, models["lstm"], expect=None)
    assert "data race" in done.stderr
    assert done.returncode != 0


def test_nothing_blocks_while_a_stream_runs(models, tmp_path):
    compiler = tool(*WITH_REALTIME)
    library = build_library(tmp_path, CMAKE_CXX_COMPILER=compiler, RECURRA_ISAS=one_isa(), RECURRA_OPENMP="OFF")
    program = compile_program(
        compiler, PROGRAMS / "realtime.cc", tmp_path / "realtime", library, "-g", "-fsanitize=realtime"
    )
    for name, path in models.items():
        if name not in embedded_models.WHOLE:  # which take memory, as recurra.h says
            assert "nothing blocks" in run(program, path).stdout
    stopped = run(program, models["lstm"], "allocate", expect=None)
    assert stopped.returncode != 0
    assert "RealtimeSanitizer: unsafe-library-call" in stopped.stderr


def test_models_agree_on_emulated_neon(models, tmp_path):
    """Cross-built for AArch64, within 1e-5 of this machine's instruction set."""
    compiler, emulator = tool("aarch64-linux-gnu-g++"), tool("qemu-aarch64")
    c_compiler = tool("aarch64-linux-gnu-gcc")
    library = build_library(
        tmp_path, CMAKE_SYSTEM_NAME="Linux", CMAKE_SYSTEM_PROCESSOR="aarch64", CMAKE_CXX_COMPILER=compiler
    )
    program = compile_program(c_compiler, PROGRAMS / "model_outputs.c", tmp_path / "outputs", library, "-static")
    said = run(emulator, program, "1e-5", "best", *models.values()).stdout
    assert said.count(" neon ") == len(models)
