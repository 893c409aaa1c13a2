"""Rates along a cosine: one fall, falls with restarts, one cycle up and down."""

from __future__ import annotations

import math

from recurra import _errors
from recurra.optimizers.schedules.base import LearningRateSchedule, check_rate, check_steps


class CosineDecay(LearningRateSchedule):
    """Half a cosine (Loshchilov & Hutter 2017), after a line upward if there is a ``warmup_target``::

        rate * ((1 - alpha) * (1 + cos(pi * s / decay_steps)) / 2 + alpha)

    Without warmup, rate is ``initial_learning_rate`` and s is ``min(step, decay_steps)``. With it, the line goes from
    there to ``warmup_target`` in ``warmup_steps``; then rate is the target, and s counts from the line's end.

    Parameters
    ----------
    initial_learning_rate : float
        At least 0.
    decay_steps : int
        Above 0.
    alpha : float, default 0.0
        What remains at last, from 0 to 1, as a share of the rate.
    name : str, default "CosineDecay"
        Has no effect.
    warmup_target : float, optional
        At least 0.
    warmup_steps : int, default 0
        At least 0.

    Raises
    ------
    TypeError, ValueError
        On wrong arguments.

    Examples
    --------
    >>> import recurra
    >>> schedule = recurra.optimizers.schedules.CosineDecay(0.0, 100, warmup_target=0.5, warmup_steps=10)
    >>> schedule(5), schedule(10), schedule(60), schedule(110)
    (0.25, 0.5, 0.25, 0.0)
    """

    _arguments = ("initial_learning_rate", "decay_steps", "alpha", "name", "warmup_target", "warmup_steps")

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: float,
        alpha: float = 0.0,
        name: str = "CosineDecay",
        warmup_target: float | None = None,
        warmup_steps: int = 0,
    ) -> None:
        self.initial_learning_rate = check_rate("initial_learning_rate", initial_learning_rate)
        self.decay_steps = check_steps("decay_steps", decay_steps)
        self.alpha = _errors.check_number("alpha", alpha, 0.0, 1.0, "a number from 0 to 1")
        self.name = name
        self.warmup_target = None if warmup_target is None else check_rate("warmup_target", warmup_target)
        self.warmup_steps = _errors.check_integer("warmup_steps", warmup_steps, 0)

    def __call__(self, step: int) -> float:
        """Return the learning rate after ``step`` batches."""
        rate, after = self.initial_learning_rate, step
        if self.warmup_target is not None:
            if step < self.warmup_steps:
                return rate + (self.warmup_target - rate) * (step / self.warmup_steps)
            rate, after = self.warmup_target, step - self.warmup_steps
        return rate * ((1.0 - self.alpha) * _half_cosine(min(after / self.decay_steps, 1.0)) + self.alpha)


class CosineDecayRestarts(LearningRateSchedule):
    """Half cosines one after the other (SGDR, Loshchilov & Hutter 2017); in the i-th, counted from 0::

        initial_learning_rate * ((1 - alpha) * m_mul^i * (1 + cos(pi * s / (first_decay_steps * t_mul^i))) / 2 + alpha)

    s counts from its start.

    Parameters
    ----------
    initial_learning_rate : float
        At least 0.
    first_decay_steps : int
        Above 0: the length of the first.
    t_mul : float, default 2.0
        At least 1: each is so many times as long as the one before.
    m_mul : float, default 1.0
        At least 0: each starts at so many times the rate of the one before.
    alpha : float, default 0.0
        What remains at the end of each, from 0 to 1, as a share of ``initial_learning_rate``.
    name : str, default "SGDRDecay"
        Has no effect.

    Raises
    ------
    TypeError, ValueError
        On wrong arguments.

    Examples
    --------
    >>> import recurra
    >>> schedule = recurra.optimizers.schedules.CosineDecayRestarts(1.0, 100, m_mul=0.5)
    >>> schedule(0), schedule(50), schedule(100), schedule(200)
    (1.0, 0.5, 0.5, 0.25)
    """

    _arguments = ("initial_learning_rate", "first_decay_steps", "t_mul", "m_mul", "alpha", "name")

    def __init__(
        self,
        initial_learning_rate: float,
        first_decay_steps: float,
        t_mul: float = 2.0,
        m_mul: float = 1.0,
        alpha: float = 0.0,
        name: str = "SGDRDecay",
    ) -> None:
        self.initial_learning_rate = check_rate("initial_learning_rate", initial_learning_rate)
        self.first_decay_steps = check_steps("first_decay_steps", first_decay_steps)
        self.t_mul = _errors.check_number("t_mul", t_mul, 1.0, 1e30, "a number of at least 1")
        self.m_mul = check_rate("m_mul", m_mul)
        self.alpha = _errors.check_number("alpha", alpha, 0.0, 1.0, "a number from 0 to 1")
        self.name = name

    def __call__(self, step: int) -> float:
        """Return the learning rate after ``step`` batches."""
        place, t = step / self.first_decay_steps, self.t_mul
        if t == 1.0:
            i = math.floor(place)
            fraction = place - i
        else:
            # The margin takes a logarithm just below a whole number for it, or a restart would come a step late.
            i = math.floor(math.log(1.0 + place * (t - 1.0)) / math.log(t) + 1e-9)
            fraction = max(0.0, (place - (t**i - 1.0) / (t - 1.0)) / t**i)
        cosine = (1.0 - self.alpha) * self.m_mul**i * _half_cosine(fraction)
        return float(self.initial_learning_rate * (cosine + self.alpha))


class OneCycleLR(LearningRateSchedule):
    """One cycle (Smith & Topin 2018), in PyTorch's form: up to ``max_lr``, down to nearly nothing.

    The rate goes from ``max_lr / div_factor`` up to ``max_lr``, at step ``pct_start * total_steps - 1``, and from there
    down to ``max_lr / div_factor / final_div_factor``, at step ``total_steps - 1``, where it stays.

    Parameters
    ----------
    max_lr : float
        At least 0.
    total_steps : int, optional
        By default ``epochs * steps_per_epoch``.
    epochs, steps_per_epoch : int, optional
        Needed without ``total_steps``.
    pct_start : float, default 0.3
        The share of the steps that goes up, from 0 to 1.
    anneal_strategy : {"cos", "linear"}, default "cos"
        The form of both ways.
    div_factor : float, default 25.0
        Above 0.
    final_div_factor : float, default 1e4
        Above 0.
    three_phase : bool, default False
        Down to the first rate as fast as up, and then to the last.

    Raises
    ------
    TypeError, ValueError
        On wrong arguments.

    Notes
    -----
    PyTorch's cycles momentum too, unless ``cycle_momentum=False``; this one moves the learning rate alone.

    Examples
    --------
    >>> import recurra
    >>> schedule = recurra.optimizers.schedules.OneCycleLR(0.5, total_steps=100)
    >>> schedule(29), schedule(99) < 1e-5
    (0.5, True)
    """

    _arguments = ("max_lr", "total_steps", "pct_start", "anneal_strategy", "div_factor", "final_div_factor",
                  "three_phase")  # fmt: skip

    def __init__(
        self,
        max_lr: float,
        total_steps: int | None = None,
        epochs: int | None = None,
        steps_per_epoch: int | None = None,
        pct_start: float = 0.3,
        anneal_strategy: str = "cos",
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        three_phase: bool = False,
    ) -> None:
        self.max_lr = check_rate("max_lr", max_lr)
        if total_steps is None:
            if epochs is None or steps_per_epoch is None:
                hint = "or both epochs and steps_per_epoch"
                raise _errors.bad_value("total_steps", "an integer from 1", "None", hint)
            total_steps = _errors.check_integer("epochs", epochs, 1) * _errors.check_integer(
                "steps_per_epoch", steps_per_epoch, 1
            )
        self.total_steps = _errors.check_integer("total_steps", total_steps, 1, 2**62)
        self.pct_start = _errors.check_number("pct_start", pct_start, 0.0, 1.0, "a number from 0 to 1")
        self.anneal_strategy = _errors.check_choice("anneal_strategy", anneal_strategy, ("cos", "linear"))
        self.div_factor = check_steps("div_factor", div_factor)
        self.final_div_factor = check_steps("final_div_factor", final_div_factor)
        self.three_phase = _errors.check_flag("three_phase", three_phase)

    def __call__(self, step: int) -> float:
        """Return the learning rate after ``step`` batches."""
        start, begin = 0.0, self.max_lr / self.div_factor
        last = float(self.total_steps - 1)
        phases: list[tuple[float, float]] = [(self.pct_start * self.total_steps - 1.0, self.max_lr)]
        if self.three_phase:
            phases.append((2.0 * self.pct_start * self.total_steps - 2.0, begin))
        phases.append((last, begin / self.final_div_factor))
        rate, place = begin, min(float(step), last)
        for number, (end, target) in enumerate(phases, 1):
            if place <= end or number == len(phases):
                share = (place - start) / (end - start) if end != start else 1.0
                return self._between(rate, target, share)
            start, rate = end, target
        raise AssertionError("the last phase returns")

    def _between(self, start: float, end: float, share: float) -> float:
        if self.anneal_strategy == "linear":
            return start + (end - start) * share
        return end + (start - end) * _half_cosine(share)


def _half_cosine(share: float) -> float:
    """Return a fall from 1 to 0 while ``share`` goes from 0 to 1."""
    return 0.5 * (1.0 + math.cos(math.pi * share))
