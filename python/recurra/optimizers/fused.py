"""Optimizers whose rule is one pass of the engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from recurra import _core
from recurra.optimizers.base import NOTHING, Optimizer

if TYPE_CHECKING:
    from recurra._typing import Array


class FusedOptimizer(Optimizer):
    """Base of the optimizers that are rules of the engine (``csrc/kernels/updates.h``), clipping and decay included."""

    _fused = True
    # The rule's name in the engine, and the slots it takes.
    rule: str = ""
    rule_slots: tuple[str, ...] = ()

    def _numbers(self) -> tuple[float, ...]:
        """Return the rule's numbers for this step, in the engine's order."""
        raise NotImplementedError(f"{type(self).__name__} defines no _numbers")

    def update(self, parameters: Array, gradients: Array, slots: dict[str, Array]) -> None:
        """Apply the rule to one stretch of the parameters; see `Optimizer.update`."""
        arrays = list(map(slots.__getitem__, self.rule_slots))
        if self._before is NOTHING:
            _core.update(self.rule, parameters, gradients, arrays, self._numbers())
        else:
            _core.update(self.rule, parameters, gradients, arrays, self._numbers(), *self._before)
