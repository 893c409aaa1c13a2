"""What every optimizer is told and remembers besides its slots: arguments, learning rate, counters."""

from __future__ import annotations

import difflib
import inspect
import re
from typing import TYPE_CHECKING, Any, TypedDict

import numpy as np

from recurra import _errors
from recurra.optimizers.accumulation import Accumulator
from recurra.optimizers.schedules import LearningRateSchedule, deserialize, serialize

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Self

    from recurra._typing import Array

_LARGEST = float(np.finfo(np.float64).max)
_SMALLEST = float(np.finfo(np.float64).tiny)
_OTHER_NAMES = {"lr": "learning_rate", "eps": "epsilon", "betas": "beta_1", "decay": "weight_decay"}
AVERAGE, ACCUMULATED = "average", "accumulated_gradients"  # slots that are no rule's


class Options(TypedDict, total=False):
    """The keywords that every optimizer takes; see `Optimizer`."""

    name: str | None
    weight_decay: float | None
    clipnorm: float | None
    clipvalue: float | None
    global_clipnorm: float | None
    use_ema: bool
    ema_momentum: float
    ema_overwrite_frequency: int | None
    gradient_accumulation_steps: int | None


class Settings:
    """What an optimizer is but for the step; `Optimizer` is the class to derive from, and explains the arguments."""

    # What the rule remembers, by name.
    rule_slots: Sequence[str] = ()

    def __init__(
        self,
        learning_rate: float | LearningRateSchedule | dict[str, Any],
        *,
        name: str | None = None,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        use_ema: bool = False,
        ema_momentum: float = 0.99,
        ema_overwrite_frequency: int | None = None,
        gradient_accumulation_steps: int | None = None,
        **unknown: Any,
    ) -> None:
        if unknown:
            raise _unknown(type(self), next(iter(unknown)))
        self._schedule: LearningRateSchedule | None = None
        self._rate = 0.0
        self.learning_rate = deserialize(learning_rate) if isinstance(learning_rate, dict) else learning_rate
        if name is not None and not isinstance(name, str):
            raise _errors.bad_type("name", "a text", name)
        self.name = type(self).__name__.lower() if name is None else name
        self.weight_decay = _optional("weight_decay", weight_decay, 0.0)
        self.clipnorm = _optional("clipnorm", clipnorm, _SMALLEST)
        self.clipvalue = _optional("clipvalue", clipvalue, _SMALLEST)
        self.global_clipnorm = _optional("global_clipnorm", global_clipnorm, _SMALLEST)
        if 3 - (self.clipnorm, self.clipvalue, self.global_clipnorm).count(None) > 1:
            got = f"clipnorm={clipnorm}, clipvalue={clipvalue}, global_clipnorm={global_clipnorm}"
            raise _errors.bad_value("clipnorm", "one of clipnorm, clipvalue and global_clipnorm", got)
        self.use_ema = _errors.check_flag("use_ema", use_ema)
        self.ema_momentum = _errors.check_number("ema_momentum", ema_momentum, 0.0, 1.0, "a number from 0 to 1")
        if ema_overwrite_frequency is not None:
            ema_overwrite_frequency = _errors.check_integer("ema_overwrite_frequency", ema_overwrite_frequency, 1)
        self.ema_overwrite_frequency = ema_overwrite_frequency
        if gradient_accumulation_steps is not None:
            gradient_accumulation_steps = _errors.check_integer(
                "gradient_accumulation_steps", gradient_accumulation_steps, 2
            )
        self.gradient_accumulation_steps = gradient_accumulation_steps
        self._batches = 0
        self._excluded: re.Pattern[str] | None = None
        self._accumulator = Accumulator(gradient_accumulation_steps) if gradient_accumulation_steps else None
        self.slots: dict[str, Array] = {}

    @property
    def learning_rate(self) -> float:
        """The current learning rate."""
        return self._rate if self._schedule is None else self._schedule(self._batches)

    @learning_rate.setter
    def learning_rate(self, value: float | LearningRateSchedule) -> None:
        if isinstance(value, LearningRateSchedule):
            self._schedule = value
            return
        if self._schedule is not None:
            hint = "make the optimizer with a number to set its learning rate later"
            raise _errors.bad_type("learning_rate", "a schedule, as the optimizer has one", repr(value), hint)
        if not isinstance(value, int | float | np.integer | np.floating) or isinstance(value, bool):
            raise _errors.bad_type("learning_rate", "a number or a LearningRateSchedule", repr(value))
        self._rate = _errors.check_number("learning_rate", value, 0.0, _LARGEST, "a number of at least 0")

    @property
    def iterations(self) -> int:
        """Moves of the parameters so far; setting it also forgets a batch that waits for others."""
        return self._batches // (self.gradient_accumulation_steps or 1)

    @iterations.setter
    def iterations(self, value: int) -> None:
        value = _errors.check_integer("iterations", value, 0, 2**62)
        self._batches = value * (self.gradient_accumulation_steps or 1)

    @property
    def slot_names(self) -> tuple[str, ...]:
        """Everything that is remembered, by name: what the rule asks for, averages, accumulated gradients."""
        accumulated = () if self._accumulator is None else (ACCUMULATED,)
        return (*self.rule_slots, *((AVERAGE,) if self.use_ema else ()), *accumulated)

    def get_state(self) -> dict[str, Any]:
        """Return what is remembered besides the slots, as far as it differs from a new optimizer's, for JSON."""
        state: dict[str, Any] = {"iterations": self.iterations}
        if self._accumulator is not None:
            state["waiting"] = self._batches % self._accumulator.steps
            state["touched"] = self._accumulator.get_state()
        if self._excluded is not None:
            state["excluded"] = self._excluded.pattern
        return state

    def set_state(self, state: dict[str, Any]) -> None:
        """Take on what `get_state` returned.

        Parameters
        ----------
        state : dict
            From an optimizer with the same arguments.

        Raises
        ------
        TypeError, ValueError
            If it is none.
        """
        if not isinstance(state, dict) or "iterations" not in state:
            raise _errors.bad_type("state", "a dictionary with the key 'iterations'", state)
        self.iterations = state["iterations"]
        if self._accumulator is not None:
            self._batches += _errors.check_integer("waiting", state.get("waiting", 0), 0, self._accumulator.steps - 1)
            self._accumulator.set_state(state.get("touched", {}))
        if "excluded" in state:
            self._excluded = _pattern("excluded", state["excluded"])

    def exclude_from_weight_decay(self, *, var_names: Iterable[str]) -> None:
        """Keep parameters from decaying, before the first step.

        Parameters
        ----------
        var_names : sequence of str
            Regular expressions; a parameter is excluded if one is found in its name, as ``"bias"`` is in
            ``"lstm.bias_ih_l0"``.

        Raises
        ------
        TypeError, ValueError
            On wrong expressions, or after the first step.
        """
        if self._batches:
            raise _errors.bad_value("var_names", "to be excluded before the first step", f"{self._batches} steps")
        names = list(var_names)
        if isinstance(var_names, str) or not all(isinstance(name, str) for name in names):
            raise _errors.bad_type("var_names", "a list of texts", var_names)
        self._excluded = _pattern("var_names", "|".join(names)) if names else None

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, a schedule by class and arguments; subclasses add theirs."""
        return {
            "learning_rate": self._rate if self._schedule is None else serialize(self._schedule),
            "name": self.name,
            "weight_decay": self.weight_decay,
            "clipnorm": self.clipnorm,
            "clipvalue": self.clipvalue,
            "global_clipnorm": self.global_clipnorm,
            "use_ema": self.use_ema,
            "ema_momentum": self.ema_momentum,
            "ema_overwrite_frequency": self.ema_overwrite_frequency,
            "gradient_accumulation_steps": self.gradient_accumulation_steps,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Return a new optimizer made with the arguments that `get_config` returned."""
        return cls(**config)


def _unknown(optimizer: type[Any], argument: str) -> TypeError:
    """Return the error about an argument that an optimizer does not have."""
    known = [name for name in inspect.signature(optimizer).parameters if name != "options"]
    known += [name for name in Options.__annotations__ if name not in known]
    meant = _OTHER_NAMES.get(argument) or next(iter(difflib.get_close_matches(argument, known, 1)), "")
    hint = f"did you mean {meant}?" if meant in known else ""
    return _errors.bad_type(optimizer.__name__, f"arguments among {', '.join(known)}", f"{argument}=", hint)


def _optional(argument: str, value: float | None, low: float) -> float | None:
    """Return a number of at least, or above, 0, or None."""
    if value is None:
        return None
    expected = "a number of at least 0" if low == 0.0 else "a number above 0"
    return _errors.check_number(argument, value, low, _LARGEST, f"{expected}, or None")


def _pattern(argument: str, text: str) -> re.Pattern[str]:
    """Return a regular expression."""
    try:
        return re.compile(text)
    except (re.error, TypeError) as error:
        raise _errors.bad_value(argument, "regular expressions", repr(text), str(error)) from None


def check_epsilon(epsilon: float) -> float:
    """Return an epsilon."""
    return _errors.check_number("epsilon", epsilon, 0.0, 1e30, "a number of at least 0")
