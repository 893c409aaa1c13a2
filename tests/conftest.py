"""What all tests share."""

import os

import pytest

os.environ.setdefault("KERAS_BACKEND", "torch")  # one process can have one; the comparisons need PyTorch's gradients


@pytest.fixture(scope="session", autouse=True)
def near_cores():
    """Take the machine's cores for near each other: where they are far apart, small work stays on one thread."""
    from recurra import _core

    _core.assume_round_trip(80)
    yield
    _core.assume_round_trip(0)


@pytest.fixture
def threads():
    """Put the number of threads back after the test."""
    from recurra import _core

    before = _core.get_num_threads()
    yield
    _core.set_num_threads(before)


@pytest.fixture
def cells_on_the_engine(monkeypatch):
    """Let recurra.torch's cells call the engine also where PyTorch's own code is faster, so that it is tested."""
    from recurra.torch import cells

    monkeypatch.setattr(cells._Cell, "_pays", lambda self, x: True)


@pytest.fixture(scope="session")
def keras():
    """Keras on PyTorch."""
    pytest.importorskip("torch")
    found = pytest.importorskip("keras")
    if found.backend.backend() != "torch":
        pytest.skip("keras is there with another backend")
    return found
