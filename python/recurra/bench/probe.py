"""The ceilings of the machine, measured in the run that quotes them."""

from __future__ import annotations

from recurra import _core

# Bytes that all threads together read again and again: within the first, the second, the third level of caches.
SIZES = {"read_16k": 1 << 14, "read_512k": 1 << 19, "read_4m": 1 << 22, "read_16m": 1 << 24}


def measure(threads: int) -> dict[str, float]:
    """Return what ``threads`` threads reach.

    Returns
    -------
    dict of str to float
        ``fma_gflops``: multiply-adds from registers; ``product_gflops``: a product within the first-level cache, the
        ceiling that shares are taken of; ``product_gflops_1``: on one thread; ``read_*``: GB/s of reading this much;
        ``round_trip_ns``: nanoseconds of a word from one thread to another and back.
    """
    rates = {
        "fma_gflops": _core.probe_multiply_adds(threads),
        "product_gflops": _core.probe_product(threads),
        "product_gflops_1": _core.probe_product(1),
        "round_trip_ns": _core.round_trip(threads),
    }
    return rates | {name: _core.probe_reads(threads, size) for name, size in SIZES.items()}
