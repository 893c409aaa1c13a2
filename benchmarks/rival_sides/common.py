"""What the rivals' sides share: weights under PyTorch's names, orders of gates and axes."""

import os
import sys
from contextlib import contextmanager

import numpy as np

from recurra.bench.cases import Case
from recurra.bench.sides import STREAM_STEPS, Prepared


def threads() -> int:
    """Threads that this process was given."""
    return int(os.environ["OMP_NUM_THREADS"])


def use_only_these_cpus() -> None:
    """Keep libraries that count CPUs themselves to the threads that this process was given."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: threads()])


@contextmanager
def silenced():
    """Send the greetings that a library's C++ writes to standard error nowhere; exceptions are raised as ever."""
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def parameters(case: Case) -> dict[str, np.ndarray]:
    """The case's weights under PyTorch's names."""
    weights = case.data().weights
    return {name: weights[at : at + np.prod(shape)].reshape(shape) for name, shape, at in case.reference().layout}


def flat(case: Case, named: dict[str, np.ndarray]) -> np.ndarray:
    """Gradients under PyTorch's names, as one vector in the order of the weights."""
    return np.concatenate([np.asarray(named[name]).ravel() for name, _, _ in case.reference().layout])


def suffixes(case: Case) -> list[list[str]]:
    """Layer by layer, the endings of the names of each direction's parameters."""
    ways = ["", "_reverse"] if case.bidirectional else [""]
    return [[f"_l{layer}{way}" for way in ways] for layer in range(case.layers)]


def time_major(array: np.ndarray) -> np.ndarray:
    """(N, T, F) as a contiguous (T, N, F), or back."""
    return np.ascontiguousarray(array.transpose(1, 0, 2))


def reordered(array: np.ndarray, order: tuple[int, ...]) -> np.ndarray:
    """The blocks of gates along the first axis in another order."""
    blocks = np.split(array, len(order))
    return np.concatenate([blocks[gate] for gate in order])


def valid(case: Case) -> np.ndarray | None:
    """(N, T, 1): which steps count, None when all do."""
    lengths = case.data().lengths
    return None if lengths is None else (np.arange(case.steps) < lengths[:, None])[..., None]


def stepping(step, reset) -> Prepared:
    """A stream: ``step()`` returns the output (N, O) of one more time step, ``reset()`` starts anew."""

    def outputs():
        reset()
        for _ in range(STREAM_STEPS):
            y = step()
        return (np.array(y),)

    reset()
    return Prepared(step, outputs)
