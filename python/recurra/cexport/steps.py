"""Numbers of time steps as functions of the number of the input's steps: in C, and to be evaluated here."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable


class Steps(NamedTuple):
    """A number of time steps.

    Attributes
    ----------
    text : str
        C of the integer n, an operand without parentheses needed around it.
    count : callable
        The same in Python.
    fixed : int or None
        The number where it does not depend on n.
    """

    text: str
    count: Callable[[int], int]
    fixed: int | None = None

    def plus(self, more: int) -> Steps:
        """Return so many steps more, or less."""
        if more == 0 or self.fixed is not None:
            return self if more == 0 else constant((self.fixed or 0) + more)
        sign = "+" if more > 0 else "-"
        return Steps(f"({self.text} {sign} {abs(more)})", lambda n: self.count(n) + more)

    def times(self, factor: int) -> Steps:
        """Return so many times the steps."""
        if factor == 1 or self.fixed is not None:
            return self if factor == 1 else constant((self.fixed or 0) * factor)
        return Steps(f"({factor} * {self.text})", lambda n: self.count(n) * factor)

    def over(self, divisor: int) -> Steps:
        """Return the whole part of the quotient; callers see to it that there is no negative number."""
        if divisor == 1 or self.fixed is not None:
            return self if divisor == 1 else constant((self.fixed or 0) // divisor)
        return Steps(f"({self.text} / {divisor})", lambda n: self.count(n) // divisor)

    def windows(self, span: int, stride: int, padding: str) -> Steps:
        """Return how many windows there are: whole ones ("valid"), or as many as strides."""
        if padding == "valid":
            return self.plus(-span).over(stride).plus(1)
        return self.plus(stride - 1).over(stride)

    def with_(self, other: Steps) -> Steps:
        """Return the sum of two numbers of steps."""
        if other.fixed is not None:
            return self.plus(other.fixed)
        if self.fixed is not None:
            return other.plus(self.fixed)
        return Steps(f"({self.text} + {other.text})", lambda n: self.count(n) + other.count(n))


def constant(count: int) -> Steps:
    """Return a number of steps that does not depend on the input's."""
    return Steps(str(count), lambda n: count, count)


INPUT = Steps("(n)", lambda n: n)
"""The input's own steps; n is a macro's argument."""
