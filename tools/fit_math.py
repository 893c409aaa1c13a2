"""Fit the coefficients of csrc/simd/math.h and print them as C++.

exp and log: interpolation at Chebyshev nodes in exact rational arithmetic,
which is within a few per cent of the best polynomial.
tanh: a rational function with the smallest largest relative error, by iteratively reweighted least squares.

Run it with ``python tools/fit_math.py``; it needs NumPy and takes a few seconds.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from decimal import Decimal, getcontext
from fractions import Fraction

import numpy as np

getcontext().prec = 60


def exp_remainder(r: Fraction) -> Fraction:
    """(exp(r) - 1 - r) / r^2, the part of exp that is fitted for |r| <= ln(2) / 2."""
    return sum((r**k / math.factorial(k + 2) for k in range(30)), Fraction(0))


def log_remainder(z: Fraction) -> Fraction:
    """(2 atanh(s) - 2 s) / s^3 at z = s^2; log(m) = 2 atanh(s) with s = (m - 1) / (m + 1)."""
    return sum((2 * z**k / (2 * k + 3) for k in range(40)), Fraction(0))


def chebyshev_nodes(low: float, high: float, count: int) -> list[Fraction]:
    """Chebyshev nodes of [low, high], as fractions."""
    middle, radius = (low + high) / 2, (high - low) / 2
    return [Fraction(middle + radius * math.cos(math.pi * (k + 0.5) / count)) for k in range(count)]


def interpolate(function: Callable[[Fraction], Fraction], nodes: list[Fraction]) -> list[Fraction]:
    """Return the coefficients (lowest first) of the polynomial through the values at the nodes (Newton's form)."""
    table = [function(x) for x in nodes]
    for level in range(1, len(nodes)):
        for k in range(len(nodes) - 1, level - 1, -1):
            table[k] = (table[k] - table[k - 1]) / (nodes[k] - nodes[k - level])
    coefficients = [Fraction(0)]
    for difference, node in zip(reversed(table), reversed(nodes), strict=True):
        shifted = [Fraction(0), *coefficients]
        for k, value in enumerate(coefficients):
            shifted[k] -= node * value
        shifted[0] += difference
        coefficients = shifted
    return coefficients[: len(nodes)]


def fit_tanh(numerator: int, denominator: int, limit: float) -> tuple[float, np.ndarray, np.ndarray]:
    """Fit tanh(x) = x P(u) / Q(u), u = x^2, |x| <= limit; return the relative error, P, Q (lowest first, Q[0] = 1)."""
    count = 4000
    x = limit * (1 - np.cos(np.pi * (np.arange(count) + 0.5) / count)) / 2
    target = np.tanh(x) / x
    s = x * x / limit**2
    powers = np.vander(s, max(numerator, denominator) + 1, increasing=True)
    matrix = np.hstack([powers[:, : numerator + 1], -target[:, None] * powers[:, 1 : denominator + 1]])
    weight, q = np.ones(count), np.ones(count)
    best = (math.inf, np.zeros(0))
    for _ in range(400):
        scale = np.sqrt(weight) / (target * q)
        solution = np.linalg.lstsq(matrix * scale[:, None], target * scale, rcond=None)[0]
        q = 1 + powers[:, 1 : denominator + 1] @ solution[numerator + 1 :]
        error = np.abs(powers[:, : numerator + 1] @ solution[: numerator + 1] / q / target - 1)
        if error.max() < best[0]:
            best = (error.max(), solution)
        weight *= error / error.max() + 1e-3
        weight = np.maximum(weight / weight.mean(), 1e-9)
    p = best[1][: numerator + 1] / limit ** (2 * np.arange(numerator + 1))
    q = np.append(1, best[1][numerator + 1 :] / limit ** (2 * np.arange(1, denominator + 1)))
    return best[0], p, q


def show(name: str, coefficients: list[float], digits: int, suffix: str) -> None:
    """Print one array, lowest power first."""
    print(f"{name}: " + ", ".join(f"{value:.{digits}e}{suffix}" for value in coefficients))


def main() -> None:
    """Print every array of the header."""
    half_ln2 = math.log(2) / 2
    largest_z = (math.sqrt(2) - 1) ** 4
    for digits, suffix, exp_count, log_count in ((9, "f", 5, 3), (17, "", 10, 7)):
        exp_fit = interpolate(exp_remainder, chebyshev_nodes(-half_ln2, half_ln2, exp_count))
        log_fit = interpolate(log_remainder, chebyshev_nodes(0, largest_z, log_count))
        show(f"exp{suffix}", [float(c) for c in exp_fit], digits, suffix)
        show(f"log{suffix}", [float(c) for c in log_fit], digits, suffix)
    ln2 = Decimal(2).ln()
    for name, bits in (("ln2f", 15), ("ln2", 32)):
        high = math.floor(ln2 * 2**bits) / 2**bits
        print(f"{name}: {high!r}, {float(ln2 - Decimal(high))!r}")
    error, p, q = fit_tanh(4, 4, 9.02)
    show("tanh p", list(p), 9, "f")
    show("tanh q", list(q), 9, "f")
    print(f"tanh relative error before rounding: {error:.2e}")


if __name__ == "__main__":
    main()
