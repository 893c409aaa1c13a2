"""What a benchmark prints and stores: the machine, a table, a JSON file."""

from __future__ import annotations

import json
import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from recurra import config


def cpu_name() -> str:
    """Return the processor's name as the system tells it."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def machine(*packages: str) -> dict[str, Any]:
    """Return the processor, how busy it is, this library's configuration and the versions of packages."""
    facts = config.show_config("dict")
    assert facts is not None
    versions = {}
    for package in packages:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = "not installed"
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None  # Windows tells none
    return {"cpu": cpu_name(), "cpus": os.cpu_count(), "load": load, **facts, "versions": versions}


def header(first: str, rivals: list[str]) -> str:
    """Return the heading of the table."""
    columns = "".join(f" {name + ' us':>16} {'ratio':>7}" for name in rivals)
    return f"{'case':<30} {first + ' us':>12} {'GFLOP/s':>8}{columns}"


def row(result: dict[str, Any], first: str, rivals: list[str]) -> str:
    """Return one result as a line of the table."""
    sides = result["sides"]
    columns = "".join(
        f" {sides[name]['microseconds']:16.1f} {sides[name]['ratio']:7.2f}" if name in sides else f" {'-':>16} {'-':>7}"
        for name in rivals
    )
    own = sides[first]
    return f"{result['case']:<30} {own['microseconds']:12.1f} {own['gflops']:8.1f}{columns}"


def write(path: Path, facts: dict[str, Any], results: list[dict[str, Any]]) -> None:
    """Store machine and results as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"machine": facts, "results": results}, indent=1) + "\n")
