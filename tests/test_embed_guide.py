"""docs/embed.md is followed in a fresh folder, from its first line to its last."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import recurra
from embedded_programs import tool

ROOT = Path(__file__).resolve().parents[1]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
FILES = {"python": "train.py", "c": "main.c", "cpp": "main.cpp"}
INSTALLS = "pip install recurra"  # what runs is this installation


@pytest.mark.slow
def test_the_guide_leads_a_newcomer_to_a_running_program(tmp_path):
    tool("cc"), tool("c++")
    here = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    printed = {}
    for language, text in BLOCK.findall((ROOT / "docs" / "embed.md").read_text()):
        if language in FILES:
            (tmp_path / FILES[language]).write_text(text)
        for line in text.splitlines() if language == "bash" else []:
            if line != INSTALLS:
                command = ["bash", "-euo", "pipefail", "-c", line]
                done = subprocess.run(command, cwd=tmp_path, env=here, capture_output=True, text=True)
                assert done.returncode == 0, f"{line}\n{done.stderr}"
                printed[line] = done.stdout
    numbers = printed["./maincpp"].split()
    stream = recurra.load_model(str(tmp_path / "integrator.safetensors")).stream(1)
    expected = [f"{stream.step(np.ones((1, 1), np.float32)).item():.2f}" for _ in numbers]
    assert len(numbers) == 5
    assert numbers == expected
    assert printed["./main"].split()[-5:] == expected
    assert printed["recurra-config --version"].strip() == recurra.__version__


def test_the_guide_names_only_functions_that_the_header_has():
    header = "".join((ROOT / "csrc/runtime/include" / name).read_text() for name in ("recurra.h", "recurra.hpp"))
    named = set(re.findall(r"\b(recurra_[a-z_]+|RECURRA_[A-Z_]+)\b", (ROOT / "docs" / "embed.md").read_text()))
    options = set(re.findall(r"\bRECURRA_[A-Z_]+\b", (ROOT / "CMakeLists.txt").read_text()))
    missing = {name for name in named - options if name not in header}
    assert missing <= {"recurra_openmp"}
