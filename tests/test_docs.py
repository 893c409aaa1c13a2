"""What the documents claim: their Python runs and prints what they say, and .ci/run runs their commands."""

import contextlib
import doctest
import importlib
import io
import pkgutil
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)

# Commands that .ci/run cannot run as they stand, and why.
NOT_IN_CI = {
    "pip install -e '.[test,lint]'": "an editable install, for people; .ci/run installs the same extras",
    ".ci/run": "itself",
}

# Pages and modules whose examples need a package of an extra.
NEEDS = {
    "docs/sklearn.md": "sklearn",
    "recurra.sklearn": "sklearn",
    "docs/torch.md": "torch",
    "recurra.torch": "torch",
    "docs/keras-files.md": "h5py",
    "docs/onnx.md": "onnx",
    "recurra.onnx": "onnx",
    "recurra.verification": "torch",
}

# Pages whose programs take seconds.
LONG = {"docs/tutorial.md"}


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def blocks(path: Path) -> list[tuple[str, str]]:
    """Language and text of each fenced block of a page."""
    return BLOCK.findall(path.read_text())


def commands(path: Path) -> list[str]:
    """The shell commands of a page, one by one, without comments."""
    lines = [line for language, text in blocks(path) if language == "sh" for line in text.splitlines()]
    parts = [part.split("  #")[0].strip() for line in lines for part in line.split("&&")]
    return [part for part in parts if part and not part.startswith("#")]


def quick_start() -> list[str]:
    """The lines of the first sh block under "Quick start" in the README."""
    section = (ROOT / "README.md").read_text().partition("Quick start\n")[2]
    return next(text for language, text in BLOCK.findall(section) if language == "sh").splitlines()


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(page, marks=pytest.mark.slow if name(page) in LONG else ())
        for page in PAGES
        if any(kind == "python" for kind, _ in blocks(page))
    ],
    ids=name,
)
def test_python_of_a_page_runs_and_prints_what_the_page_says(page, tmp_path, monkeypatch):
    """Blocks of a page share their names; a block followed by a text block must print that text."""
    if name(page) in NEEDS:
        pytest.importorskip(NEEDS[name(page)])
    monkeypatch.chdir(tmp_path)
    found = blocks(page)
    names: dict[str, object] = {"__name__": "__page__"}
    for (kind, text), (next_kind, expected) in zip(found, [*found[1:], ("", "")], strict=True):
        if kind != "python":
            continue
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(text, name(page), "exec"), names)
        if next_kind == "text":
            assert printed.getvalue() == expected


def test_quick_start_has_two_lines():
    assert quick_start() == [
        "pip install '.[examples]' && python examples/sunspots.py",
        "pip install '.[test]' && pytest",
    ]


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_commands_of_a_page_run_in_ci(page):
    ci = (ROOT / ".ci" / "run").read_text()
    known = {part.strip() for line in quick_start() for part in line.split("&&")}
    for command in commands(page):
        assert command in ci or command in known or command in NOT_IN_CI, f"{name(page)}: {command}"


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_inside_the_repository_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text()):
        if not target.startswith(("http://", "https://", "mailto:")):
            assert (page.parent / target).exists(), f"{name(page)} links to {target}"


def test_each_page_can_be_reached_from_the_readme():
    reached, waiting = set(), [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        reached.add(page)
        linked = re.findall(r"\]\(([^)#\s:]+\.md)", page.read_text())
        waiting += {(page.parent / target).resolve() for target in linked} - reached
    assert set((ROOT / "docs").rglob("*.md")) <= reached


def test_each_promise_names_a_test_that_exists():
    rows = [line for line in (ROOT / "docs" / "testing.md").read_text().splitlines() if line.startswith("| ")][1:]
    assert rows
    for row in rows:
        named = re.findall(r"`((?:tests/|\.ci/)[^`: ]+)`", row)
        assert named, f"no test named: {row}"
        assert all((ROOT / path).exists() for path in named), row


def modules() -> list[str]:
    import recurra

    found = pkgutil.walk_packages(recurra.__path__, "recurra.")
    return ["recurra", *(info.name for info in found if not info.name.endswith(("._core", ".__main__")))]


@pytest.mark.parametrize("module", modules())
def test_examples_in_docstrings_run(module, tmp_path, monkeypatch):
    import recurra

    package = ".".join(module.split(".")[:2])
    if package in NEEDS:
        pytest.importorskip(NEEDS[package])
    monkeypatch.chdir(tmp_path)
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    threads = recurra.get_num_threads()
    try:
        assert doctest.testmod(importlib.import_module(module), optionflags=flags).failed == 0
    finally:
        recurra.set_num_threads(threads)
