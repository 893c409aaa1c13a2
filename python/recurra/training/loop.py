"""The training loop: batches in, optimizer steps out, callbacks around them."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from recurra import _errors, _random
from recurra.models.carry import Carry
from recurra.training.interrupt import Guard
from recurra.training.objective import RunningLogs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from recurra._typing import Array
    from recurra.callbacks import CallbackList
    from recurra.callbacks.dispatch import BatchHook
    from recurra.training.data import Batch
    from recurra.training.resume import Run
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
    validation_freq : int
        Epochs from one validation to the next.
    """

    epochs: range
    seed: int
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

    Interrupts are held back at its end, so that the caller can note what was done before it releases them. ``place`` is
    (epoch, batch), counted from 0, for the message about a loss that is not finite.
    """
    outputs, lengths, pullback = model._taped(batch.x, batch.lengths, True, seed, carry)
    if not _counts(outputs, lengths):
        guard.hold()
        return
    objective = logs.objective
    values, dys = objective.vjp(batch, outputs, lengths)
    total = objective.total(values)
    if not math.isfinite(total):
        raise _errors.NotFiniteError(total, place[0] + 1, place[1] + 1, _suspect(batch))
    model.zero_gradients()
    statistics = model._statistics()
    try:
        pullback(dys, need_dx=False)
        guard.hold()
        if model._penalised:
            total += model._regularize()
        model._optimizer.step(model)
    except BaseException:
        model._restore_statistics(statistics)
        raise
    if model._penalised:
        model._constrain()
    logs.add(total, values, batch, outputs, lengths)


def _counts(outputs: list[Array], lengths: list[Array | None]) -> bool:
    """Return whether any row of an output counts."""
    for y, steps in zip(outputs, lengths, strict=True):
        if y.size and (steps is None or y.ndim < 3 or bool(steps.any())):
            return True
    return False


def _suspect(batch: Batch) -> str:
    """Return where the first value of the batch is that is not finite."""
    named = [("x", a) for a in batch.x] + [("y", a) for a in batch.y]
    named += [("sample_weight", a) for a in batch.weights if a is not None]
    return next((where for name, a in named if (where := _errors.first_not_finite(name, a))), "")


def evaluate(
    model: Trainer, source: Source, logs: RunningLogs, callbacks: CallbackList | None = None
) -> dict[str, float]:
    """Return loss and metrics over an epoch of a source, without changing the model."""
    logs.reset()
    objective, carry = logs.objective, Carry() if source.carries else None
    begin, end = _hooks(callbacks, "test")
    if callbacks is not None:
        callbacks.call("on_test_begin", {})
    for number, batch in enumerate(source.epoch(0)):
        if begin is not None:
            begin(number, logs)
        if carry is not None:
            carry.begin(batch.rows, batch.resets)
        outputs, lengths = model._outputs(batch.x, batch.lengths, False, 0, carry)
        if _counts(outputs, lengths):
            values = objective.values(batch, outputs, lengths)
            logs.add(objective.total(values) + model._penalty(), values, batch, outputs, lengths)
        if end is not None:
            end(number, logs)
    results = dict(logs)
    if callbacks is not None:
        callbacks.call("on_test_end", results)
    return results


def _hooks(callbacks: CallbackList | None, kind: str) -> tuple[BatchHook | None, BatchHook | None]:
    """Return what to call before and after each batch of training, test or prediction; None: nobody wants it."""
    if callbacks is None:
        return None, None
    return callbacks.batch_hook(f"on_{kind}_batch_begin"), callbacks.batch_hook(f"on_{kind}_batch_end")


def run(course: Run, source: Source, validation: Source | None) -> None:
    """Train for some epochs; seed, epoch and batch alone decide the order of samples and the masks."""
    model, callbacks, plan = course.model, course.callbacks, course.plan
    logs, validation_logs = course.logs, RunningLogs(model._objective.fresh())
    model.stop_training = False
    try:
        with Guard() as guard:
            callbacks.call("on_train_begin", {})
            course.restore()
            while course.epoch < plan.epochs.stop and (course.begun or not model.stop_training):
                if not course.begun:
                    logs.reset()
                    course.epoch_began()
                    callbacks.call("on_epoch_begin", course.epoch, {})
                    course.owed = None
                _run_epoch(course, source, guard)
                results = dict(logs)
                if validation is not None and (course.epoch + 1) % plan.validation_freq == 0:
                    measured = evaluate(model, validation, validation_logs, callbacks)
                    results.update({f"val_{name}": value for name, value in measured.items()})
                course.epoch_done(results)
                callbacks.call("on_epoch_end", course.epoch - 1, results)
                course.settle()
            course.end()
            guard.hold()  # all averages are put in place, or none
            model._optimizer.finalize_variable_values(model)
            guard.release()
            callbacks.call("on_train_end", course.results)
            course.finish()
    except BaseException as error:
        course.rescue(error)
        raise
    finally:
        callbacks.release()


def _run_epoch(course: Run, source: Source, guard: Guard) -> None:
    """Train for an epoch, or for what is left of it."""
    model, callbacks, plan, logs = course.model, course.callbacks, course.plan, course.logs
    seeds = itertools.islice(_step_seeds(model, plan, course.epoch), course.batch, None)
    carry = course.carry_on(Carry() if source.carries else None)
    begin, end = _hooks(callbacks, "train")
    if course.batch and model.stop_training:
        return
    for number, batch in enumerate(source.epoch(course.epoch, course.batch), course.batch):
        if begin is not None:
            begin(number, logs)
        if carry is not None:
            course.owed = "the rest of the batch"  # states are carried on before the step is taken
            carry.begin(batch.rows, batch.resets)
        guard.release()
        try:
            train_step(model, batch, next(seeds), logs, guard, (course.epoch, number), carry)
        except _errors.NotFiniteError as error:
            guard.hold()
            if not callbacks.ends_at_nan:
                raise
            logs.fail(error.loss)
        except Exception as error:
            _errors.note_batch(error, number, course.epoch)
            raise
        course.step_done(number, None if end is None else "on_train_batch_end")
        guard.release()
        if end is not None:
            end(number, logs)
        course.batch_done()
        if model.stop_training:
            break


def _step_seeds(model: Trainer, plan: Plan, epoch: int) -> Iterator[int]:
    """Yield the seeds of an epoch's steps; zeros where nothing is random."""
    if not model.random:
        while True:
            yield 0
    yield from _random.step_seeds(_random.derive(plan.seed, _random.STREAM_STEP, epoch))


def predict(model: Trainer, source: Source, callbacks: CallbackList | None = None) -> list[Array]:
    """Return the outputs for an epoch of a source, one array for each output of the model."""
    carry, parts = Carry() if source.carries else None, []
    begin, end = _hooks(callbacks, "predict")
    if callbacks is not None:
        callbacks.call("on_predict_begin", {})
    for number, batch in enumerate(source.epoch(0)):
        if begin is not None:
            begin(number, {})
        if carry is not None:
            carry.begin(batch.rows, batch.resets)
        parts.append(model._outputs(batch.x, batch.lengths, False, 0, carry)[0])
        if end is not None:
            end(number, {"outputs": parts[-1][0] if len(parts[-1]) == 1 else parts[-1]})
    if callbacks is not None:
        callbacks.call("on_predict_end", {})
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
