"""Budgets of size: a reader's time is limited. They look at the source tree alone, never at a build."""

import ast
import statistics
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("benchmarks", "csrc", "examples", "python", "tests", "tools")
SUFFIXES = {".py", ".pyi", ".h", ".cc", ".inc"}

MOST_LINES = 400
MEDIAN_LINES = 150
MOST_FUNCTION_LINES = 60  # the aim is about 40; docstrings do not count
LIBRARY = ROOT / "python" / "recurra"


def sources() -> dict[str, int]:
    return {
        str(path.relative_to(ROOT)): len(path.read_text().splitlines())
        for folder in FOLDERS
        for path in sorted((ROOT / folder).rglob("*"))
        if path.suffix in SUFFIXES
    }


def function_lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of a function's body without its docstring."""
    body = node.body[1:] if ast.get_docstring(node) is not None else node.body
    return body[-1].end_lineno - body[0].lineno + 1 if body else 0


def test_no_source_file_is_longer_than_the_limit():
    long = {name: lines for name, lines in sources().items() if lines > MOST_LINES}
    assert not long, f"split these, they exceed {MOST_LINES} lines: {long}"


def test_the_median_source_file_is_short():
    assert statistics.median(sources().values()) <= MEDIAN_LINES


def test_python_functions_are_short():
    long = {}
    for path in sorted(LIBRARY.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and function_lines(node) > MOST_FUNCTION_LINES:
                long[f"{path.relative_to(ROOT)}:{node.name}"] = function_lines(node)
    assert not long, f"split these, they exceed {MOST_FUNCTION_LINES} lines: {long}"
