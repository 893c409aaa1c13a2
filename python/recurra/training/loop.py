"""The training loop: batches in, optimizer steps out, callbacks around them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from recurra import _errors, _random
from recurra.callbacks import CallbackList, ProgressBar
from recurra.models.carry import Carry
from recurra.training.interrupt import Guard
from recurra.training.objective import RunningLogs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from recurra._typing import Array
    from recurra.training.data import Batch
    from recurra.training.sources import Source
    from recurra.training.trainer import Trainer


class Plan(NamedTuple):
    """What ``fit`` was asked for.

    Attributes
    ----------
    epochs : range
        Numbers of the epochs.
    seed : int
        With the epoch and the batch it decides the masks, and in the source the order of samples.
    tbptt : int
        Steps of a stretch of truncated backpropagation through time; 0: whole sequences.
    validation_freq : int
        Epochs from one validation to the next.
    """

    epochs: range
    seed: int
    tbptt: int
    validation_freq: int


def train_step(
    model: Trainer,
    batch: Batch,
    seed: int,
    logs: RunningLogs,
    guard: Guard,
    place: tuple[int, int] = (0, 0),
    carry: Carry | None = None,
) -> None:
    """Move the model by one batch; on any error or interrupt it stays as it was.

    ``place`` is (epoch, batch), counted from 0, for the message about a loss that is not finite.
    """
    outputs, lengths, pullback = model._taped(batch.x, batch.lengths, True, seed, carry)
    if not _counts(outputs, lengths):
        return
    objective = logs.objective
    values, dys = objective.vjp(batch, outputs, lengths)
    total = objective.total(values)
    if not math.isfinite(total):
        raise _errors.not_finite(total, place[0] + 1, place[1] + 1, _suspect(batch))
    model.zero_gradients()
    pullback(dys, need_dx=False)
    guard.hold()
    if model._penalised:
        total += model._regularize()
    model._optimizer.step(model)
    if model._penalised:
        model._constrain()
    logs.add(total, values, batch, outputs, lengths)
    guard.release()


def _counts(outputs: list[Array], lengths: list[Array | None]) -> bool:
    """Return whether any row of an output counts."""
    return any(
        y.size and (steps is None or y.ndim < 3 or bool(steps.any())) for y, steps in zip(outputs, lengths, strict=True)
    )


def _suspect(batch: Batch) -> str:
    """Return where the first value of the batch is that is not finite."""
    named = [("x", a) for a in batch.x] + [("y", a) for a in batch.y]
    named += [("sample_weight", a) for a in batch.weights if a is not None]
    return next((where for name, a in named if (where := _errors.first_not_finite(name, a))), "")


def evaluate(model: Trainer, source: Source, logs: RunningLogs) -> dict[str, float]:
    """Return loss and metrics over an epoch of a source, without changing the model."""
    logs.reset()
    objective, carry = logs.objective, Carry() if source.carries else None
    for batch in source.epoch(0):
        if carry is not None:
            carry.reset(batch.resets)
        outputs, lengths = model._outputs(batch.x, batch.lengths, False, 0, carry)
        if _counts(outputs, lengths):
            values = objective.values(batch, outputs, lengths)
            logs.add(objective.total(values) + model._penalty(), values, batch, outputs, lengths)
    return dict(logs)


def run(model: Trainer, source: Source, validation: Source | None, callbacks: CallbackList, plan: Plan) -> None:
    """Train for some epochs; seed, epoch and batch alone decide the order of samples and the masks."""
    logs, validation_logs = RunningLogs(model._objective), RunningLogs(model._objective.fresh())
    model.stop_training = False
    try:
        with Guard() as guard:
            callbacks.call("on_train_begin")
            results: Mapping[str, float] = {}
            for epoch in plan.epochs:
                callbacks.call("on_epoch_begin", epoch)
                logs.reset()
                _run_epoch(model, source, callbacks, logs, guard, plan, epoch)
                results = dict(logs)
                if validation is not None and (epoch + 1) % plan.validation_freq == 0:
                    measured = evaluate(model, validation, validation_logs)
                    results = {**results, **{f"val_{name}": value for name, value in measured.items()}}
                callbacks.call("on_epoch_end", epoch, results)
                if model.stop_training:
                    break
            callbacks.call("on_train_end", results)
    finally:
        for callback in callbacks.callbacks:
            if isinstance(callback, ProgressBar):
                callback.close()


def _run_epoch(
    model: Trainer,
    source: Source,
    callbacks: CallbackList,
    logs: RunningLogs,
    guard: Guard,
    plan: Plan,
    epoch: int,
) -> None:
    seeds = _step_seeds(model, plan, epoch)
    carry = Carry() if plan.tbptt or source.carries else None
    for number, batch in enumerate(source.epoch(epoch)):
        for hook in callbacks.batch_begin:
            hook(number, logs)
        if carry is None:
            train_step(model, batch, next(seeds), logs, guard, (epoch, number))
        else:
            carry.reset(batch.resets)
            for stretch in batch.stretches(plan.tbptt) if plan.tbptt else (batch,):
                train_step(model, stretch, next(seeds), logs, guard, (epoch, number), carry)
        for hook in callbacks.batch_end:
            hook(number, logs)
        if model.stop_training:
            break


def _step_seeds(model: Trainer, plan: Plan, epoch: int) -> Iterator[int]:
    """Yield the seeds of an epoch's steps; zeros where nothing is random."""
    if not model.random:
        while True:
            yield 0
    yield from _random.step_seeds(_random.derive(plan.seed, _random.STREAM_STEP, epoch))


def predict(model: Trainer, source: Source) -> list[Array]:
    """Return the outputs for an epoch of a source, one array for each output of the model."""
    carry, parts = Carry() if source.carries else None, []
    for batch in source.epoch(0):
        if carry is not None:
            carry.reset(batch.resets)
        parts.append(model._outputs(batch.x, batch.lengths, False, 0, carry)[0])
    if len(parts) == 1:
        return parts[0]
    return [_joined(list(output)) for output in zip(*parts, strict=True)]


def _joined(parts: list[Array]) -> Array:
    """Return batches as one array; where their numbers of steps differ, padded with 0."""
    time = {part.shape[1] for part in parts if part.ndim >= 3}
    if len(time) > 1:
        most = max(time)
        parts = [np.pad(p, [(0, 0), (0, most - p.shape[1])] + [(0, 0)] * (p.ndim - 2)) for p in parts]
    return np.concatenate(parts)
