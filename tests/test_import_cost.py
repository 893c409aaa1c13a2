"""`import recurra` is cheap: it loads nothing but NumPy and the standard library, and costs little more than NumPy."""

import statistics
import subprocess
import sys
import time

import pytest

MOST_TIMES_NUMPY = 1.3  # whole processes, the interpreter's own start included in both
PAIRS = 15


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=120)
    return done.stdout


def seconds(code: str) -> float:
    """Time of one whole process."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True)
    return time.perf_counter() - start


def test_import_loads_only_numpy_and_the_standard_library():
    code = """
import sys
import numpy
before = set(sys.modules)
import recurra
new = {name.partition(".")[0] for name in set(sys.modules) - before}
print(*sorted(new - set(sys.stdlib_module_names) - {"recurra"}))
"""
    extra = set(run(code).split()) - {"numpy"}
    assert not extra, f"import recurra also loads {sorted(extra)}"


def test_import_starts_no_threads_and_changes_no_environment():
    code = """
import os, pathlib, numpy
tasks = lambda: len(list(pathlib.Path("/proc/self/task").glob("*")))
before = dict(os.environ), tasks()
import recurra
print(before == (dict(os.environ), tasks()))
"""
    assert run(code) == "True\n"


def test_a_part_that_needs_an_extra_says_how_to_install_it():
    code = """
import sys
sys.modules["sklearn"] = None
try:
    import recurra.sklearn
except ModuleNotFoundError as error:
    print(error.name, error)
"""
    assert run(code) == "sklearn recurra.sklearn needs scikit-learn; pip install 'recurra[sklearn]'\n"


@pytest.mark.slow
def test_import_costs_little_more_than_numpy():
    seconds("import numpy, recurra")  # byte code and page cache warm
    pairs = [(seconds("import numpy"), seconds("import recurra")) for _ in range(PAIRS)]
    ratio = statistics.median(ours / numpy for numpy, ours in pairs)
    assert ratio <= MOST_TIMES_NUMPY, f"import recurra takes {ratio:.2f} times import numpy"
