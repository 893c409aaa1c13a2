"""What compile chose: a loss and metrics for each output, as one number to minimise and several to look at."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from recurra import _errors
from recurra.losses import Loss
from recurra.metrics.base import number_of, update_all

if TYPE_CHECKING:
    from collections.abc import Sequence

    from recurra._typing import Array
    from recurra.metrics import Metric
    from recurra.training.data import Batch


class Objective:
    """Losses and metrics of a model's outputs.

    Parameters
    ----------
    losses : list of Loss
        One for each output.
    weights : list of float
        Of the losses in their sum.
    metrics : list of list of Metric
        For each output.
    names : list of str
        Of the outputs; not shown if there is one.
    weighted : list of list of Metric
        For each output, metrics that get sample and class weights.
    """

    def __init__(
        self,
        losses: list[Loss],
        weights: list[float],
        metrics: list[list[Metric]],
        names: list[str],
        weighted: list[list[Metric]],
    ) -> None:
        self.losses, self.weights, self.metrics, self.names = losses, weights, metrics, names
        self.weighted = weighted
        # What `Loss.vjp` comes to for prepared targets without weights and lengths, its checks left out.
        self._direct = [loss._unweighted if _plain(loss) and loss.reduction is not None else None for loss in losses]

    @property
    def every_metric(self) -> list[Metric]:
        """All metrics in the order in which logs show them."""
        return [metric for metrics in (*self.metrics, *self.weighted) for metric in metrics]

    def vjp(self, batch: Batch, outputs: list[Array], lengths: list[Any]) -> tuple[list[float], list[Array]]:
        """Return the losses of the outputs, unweighted, and the gradients of their weighted sum."""
        if len(outputs) == 1:
            value, dy = self._vjp_of(0, batch.y[0], outputs[0], batch.weights[0], lengths[0])
            return [value], [dy]
        several = zip(range(len(self.losses)), batch.y, outputs, batch.weights, lengths, strict=True)
        pairs = [self._vjp_of(*one) for one in several]
        return [value for value, _ in pairs], [dy for _, dy in pairs]

    def _vjp_of(self, output: int, y: Array, y_pred: Array, weight: Any, steps: Any) -> tuple[float, Array]:
        """Return the loss of one output, unweighted, and the gradient of its share of the sum."""
        loss, direct, factor = self.losses[output], self._direct[output], self.weights[output]
        if weight is None and (steps is None or y_pred.ndim < 3):
            plain = "vjp" not in vars(loss) and y_pred.size and y_pred.flags.c_contiguous
            value, dy = direct(y, y_pred) if direct is not None and plain else loss.vjp(y, y_pred)
        else:
            value, dy = loss.vjp(y, y_pred, weight, steps if y_pred.ndim >= 3 else None)
        return value, dy if factor == 1.0 else dy * np.asarray(factor, dy.dtype)

    def values(self, batch: Batch, outputs: list[Array], lengths: list[Any]) -> list[float]:
        """Return the losses of the outputs, unweighted: the bits of `vjp`."""
        several = zip(range(len(self.losses)), batch.y, outputs, batch.weights, lengths, strict=True)
        return [self._value_of(*one) for one in several]

    def _value_of(self, output: int, y: Array, y_pred: Array, weight: Any, steps: Any) -> float:
        """Return the loss of one output, unweighted."""
        loss = self.losses[output]
        if loss.sequences and loss.reduction is not None:
            return float(loss(y, y_pred, weight, steps if y_pred.ndim >= 3 else None))
        return self._vjp_of(output, y, y_pred, weight, steps)[0]  # there the gradient is a by-product

    def total(self, values: Sequence[float]) -> float:
        """Return the weighted sum of the losses."""
        if len(values) == 1:
            return self.weights[0] * values[0]
        return math.fsum(factor * value for factor, value in zip(self.weights, values, strict=True))

    def fresh(self) -> Objective:
        """Return the same with metrics of their own."""
        from copy import deepcopy

        return Objective(self.losses, self.weights, deepcopy(self.metrics), self.names, deepcopy(self.weighted))


class Compiled:
    """What `compile` was given; the outputs it is for may not be known yet.

    Parameters
    ----------
    loss, loss_weights, metrics, weighted_metrics
        See `Trainer.compile`.
    """

    def __init__(self, loss: Any, loss_weights: Any, metrics: Any, weighted_metrics: Any) -> None:
        from recurra import losses
        from recurra.training.measures import checked

        self.loss = _mapped(losses.get, loss)
        self.loss_weights = loss_weights
        if isinstance(loss_weights, str) or (
            isinstance(loss_weights, list | tuple) and any(isinstance(one, str) for one in loss_weights)
        ):
            hint = f"metrics come by name: metrics={loss_weights!r}"
            raise _errors.bad_type("loss_weights", "numbers", repr(loss_weights), hint)
        self.metrics, self.weighted_metrics = (
            _mapped(checked, [given] if isinstance(given, str) else given or [])
            for given in (metrics, weighted_metrics)
        )
        self._objective: tuple[list[str], Objective] | None = None

    def objective(self, names: list[str]) -> Objective:
        """Return loss and metrics for outputs of these names."""
        if self._objective is None or self._objective[0] != names:
            losses = for_each("loss", _alone(self.loss, names), names)
            for name, loss in zip(names, losses, strict=True):
                if loss is None or isinstance(loss, list):
                    raise _errors.bad_value("loss", f"one for the output {name!r}", repr(loss), ", ".join(names))
            weights = for_each("loss_weights", _alone(self.loss_weights, names), names, 1.0)
            factors = [
                1.0 if w is None else _errors.check_number("loss_weights", w, 0.0, 1e30, "numbers") for w in weights
            ]
            metrics, weighted = (
                self._metrics(argument, given, names, losses)
                for argument, given in (("metrics", self.metrics), ("weighted_metrics", self.weighted_metrics))
            )
            self._objective = list(names), Objective(losses, factors, metrics, list(names), weighted)
        return self._objective[1]

    @staticmethod
    def _metrics(argument: str, given: Any, names: list[str], losses: list[Loss]) -> list[list[Metric]]:
        """Return the metrics of each output; a flat list is for all of them."""
        from recurra.training.measures import for_loss

        if isinstance(given, list) and given and isinstance(given[0], list):
            given = _alone(given, names)
        if isinstance(given, dict) or (len(names) > 1 and any(isinstance(one, list) for one in given)):
            chosen = for_each(argument, given, names)
        else:
            from copy import deepcopy

            chosen = [given if index == 0 else deepcopy(given) for index in range(len(names))]
        listed = [one if isinstance(one, list) else [] if one is None else [one] for one in chosen]
        return [[for_loss(one, loss) for one in ones] for ones, loss in zip(listed, losses, strict=True)]


def _plain(loss: Loss) -> bool:
    """Return whether all rows of a loss count, and ``vjp`` is that of the base."""
    return type(loss).vjp is Loss.vjp and type(loss).counted is Loss.counted


def _alone(given: Any, names: list[str]) -> Any:
    """Return what a list with one entry holds, for a model with one output."""
    return given[0] if isinstance(given, list | tuple) and len(given) == 1 == len(names) else given


def _mapped(resolve: Any, given: Any) -> Any:
    """Return a structure of names and objects with each name resolved."""
    if isinstance(given, dict):
        return {name: _mapped(resolve, value) for name, value in given.items()}
    if isinstance(given, list | tuple):
        return [_mapped(resolve, value) for value in given]
    return None if given is None else resolve(given)


def as_numbers(logs: Mapping[str, float], return_dict: bool) -> Any:
    """Return logs as Keras does: a dictionary, a list, or the loss where it is alone."""
    if return_dict:
        return dict(logs)
    values = list(logs.values())
    return values if len(values) > 1 else values[0]


class RunningLogs(Mapping[str, float]):
    """Mean losses and metrics so far: numbers are made when read, so that a batch costs a few additions."""

    def __init__(self, objective: Objective) -> None:
        self.objective = objective
        several = len(objective.names) > 1
        self._metrics: dict[str, Metric] = {}
        for kind, chosen in (("", objective.metrics), ("weighted_", objective.weighted)):
            for output, metrics in zip(objective.names, chosen, strict=True):
                before = f"{output}_" if several else ""
                for metric in metrics:
                    name = before + metric.name
                    if name in self._metrics:
                        name = before + kind + metric.name
                    while name in self._metrics:
                        name += "_1"
                    self._metrics[name] = metric
        self._losses = [f"{output}_loss" for output in objective.names] if several else []
        self.reset()

    def reset(self) -> None:
        """Forget all batches."""
        self.weight = 0
        self.totals = [0.0] * (1 + len(self._losses))
        self.rows = [0] * len(self._losses)
        for metric in self._metrics.values():
            metric.reset_state()

    def add(
        self, total: float, values: Sequence[float], batch: Batch, outputs: list[Array], lengths: list[Any]
    ) -> None:
        """Take in a batch: mean losses, targets and outputs."""
        weight = _row_count(self.objective.losses[0], outputs[0], lengths[0])
        self.weight += weight
        if self._losses:
            self._add_each(total, values, outputs, lengths)
        else:
            self.totals[0] += total * weight
        if not self._metrics:
            return
        for output, (plain, weighted) in enumerate(zip(self.objective.metrics, self.objective.weighted, strict=True)):
            for metrics, factors in ((plain, None), (weighted, batch.weights[output])):
                if metrics:
                    update_all(metrics, batch.y[output], outputs[output], factors, lengths[output])

    def _add_each(self, total: float, values: Sequence[float], outputs: list[Array], lengths: list[Any]) -> None:
        """Add up the losses of several outputs, each over its own rows, and what the total has beyond them."""
        for index, (loss, y, steps) in enumerate(zip(self.objective.losses, outputs, lengths, strict=True)):
            rows = _row_count(loss, y, steps)
            self.rows[index] += rows
            self.totals[index + 1] += values[index] * rows
        penalty = total - self.objective.total(values)
        if math.isfinite(penalty):
            self.totals[0] += penalty * _row_count(self.objective.losses[0], outputs[0], lengths[0])

    def fail(self, loss: float) -> None:
        """Show a loss that is not finite from now on."""
        self.totals[0], self.weight = loss, max(1, self.weight)

    def get_state(self) -> dict[str, Any]:
        """Return the sums so far, for a run that is saved within an epoch."""
        metrics = [_remembered(metric) for metric in self._metrics.values()]
        return {"weight": self.weight, "totals": self.totals, "rows": self.rows, "metrics": metrics}

    def set_state(self, state: dict[str, Any]) -> None:
        """Go on from what `get_state` returned."""
        self.weight, self.totals, self.rows = state["weight"], state["totals"], state["rows"]
        for metric, remembered in zip(self._metrics.values(), state["metrics"], strict=True):
            _remember(metric, remembered)

    def __getitem__(self, name: str) -> float:
        if name == "loss":
            means = [total / max(rows, 1) for total, rows in zip(self.totals[1:], self.rows, strict=True)]
            beyond = self.objective.total(means) if means else 0.0
            return self.totals[0] / max(self.weight, 1) + beyond if self.weight or any(self.rows) else math.nan
        if name in self._losses:
            index = self._losses.index(name)
            return self.totals[1 + index] / self.rows[index] if self.rows[index] else math.nan
        return number_of(self._metrics[name])

    def __iter__(self) -> Iterator[str]:
        return iter(["loss", *self._losses, *self._metrics])

    def __len__(self) -> int:
        return 1 + len(self._losses) + len(self._metrics)


def _remembered(metric: Any) -> dict[str, Any]:
    """Return a metric's attributes, those of metrics within it included, as far as they are data."""
    from recurra.training import snapshot

    found: dict[str, Any] = {}
    for name, value in vars(metric).items():
        if hasattr(value, "reset_state"):
            found[name] = _remembered(value)
        elif snapshot.packable(value):
            found[name] = value
    return found


def _remember(metric: Any, state: dict[str, Any]) -> None:
    """Set a metric's attributes as `_remembered` returned them."""
    for name, value in state.items():
        inner = getattr(metric, name, None)
        if hasattr(inner, "reset_state"):
            _remember(inner, value)
        else:
            setattr(metric, name, value)


def _row_count(loss: Loss, y_pred: Array, lengths: Array | None) -> int:
    """Return how many rows a mean loss is over: steps, or samples where the loss is of sequences."""
    if loss.sequences:
        return len(y_pred)
    if lengths is not None and y_pred.ndim >= 3:
        return int(lengths.sum())
    return y_pred.size // y_pred.shape[-1] if y_pred.size else 0


def for_each(argument: str, given: Any, names: Sequence[str], default: Any = None) -> list[Any]:
    """Return what is given for each output: alone (for all), as a list, or as a dictionary by name."""
    if isinstance(given, dict):
        for name in given:
            _errors.check_choice(argument, name, names)
        return [given.get(name, default) for name in names]
    if isinstance(given, list | tuple) and len(names) > 1:
        if len(given) != len(names):
            raise _errors.bad_value(argument, f"{len(names)} entries", f"{len(given)}", ", ".join(names))
        return list(given)
    return [given] * len(names)
