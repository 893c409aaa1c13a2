"""The training loop: batches in, optimizer steps out, callbacks around them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from recurra import _errors, _random
from recurra.callbacks import CallbackList, ProgressBar
from recurra.metrics.base import update_all
from recurra.training.data import INFERENCE_BATCH, Batch
from recurra.training.interrupt import Guard

if TYPE_CHECKING:
    from collections.abc import Sequence

    from recurra._typing import Array
    from recurra.losses import Loss
    from recurra.metrics import Metric
    from recurra.training.data import Samples
    from recurra.training.trainer import Trainer


class RunningLogs(Mapping[str, float]):
    """Mean loss and metrics so far: numbers are made when read, so that a batch costs two additions."""

    def __init__(self, metrics: Sequence[Metric]) -> None:
        self.metrics = metrics
        self.reset()

    def reset(self) -> None:
        """Forget all batches."""
        self.total, self.weight = 0.0, 0
        for metric in self.metrics:
            metric.reset_state()

    def add(self, loss: float, y_true: Array, y_pred: Array, lengths: Array | None = None) -> None:
        """Take in a batch's mean loss, targets and outputs."""
        weight = y_pred.size // y_pred.shape[-1] if lengths is None else int(lengths.sum())
        self.total += loss * weight
        self.weight += weight
        update_all(self.metrics, y_true, y_pred, None, lengths)

    def __getitem__(self, name: str) -> float:
        if name == "loss":
            return self.total / self.weight if self.weight else math.nan
        for metric in self.metrics:
            if metric.name == name:
                return float(metric.result())
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return iter(["loss", *(metric.name for metric in self.metrics)])

    def __len__(self) -> int:
        return 1 + len(self.metrics)


def train_step(
    model: Trainer, batch: Batch, seed: int, logs: RunningLogs, guard: Guard, place: tuple[int, int] = (0, 0)
) -> None:
    """Move the model by one batch; on any error or interrupt it stays as it was.

    ``place`` is (epoch, batch), counted from 0, for the message about a loss that is not finite.
    """
    outputs, pullback = model._differentiate(batch.x, batch.lengths, True, seed)
    assert batch.y is not None
    lengths = _output_lengths(model, batch)
    if lengths is not None and not lengths.any():
        return
    loss, dy = model._loss.vjp(batch.y, outputs, lengths=lengths)
    if not math.isfinite(loss):
        where = _errors.first_not_finite("x", batch.x) or _errors.first_not_finite("y", batch.y)
        raise _errors.not_finite(loss, place[0] + 1, place[1] + 1, where)
    model.flat_gradients.fill(0.0)
    pullback(dy, need_dx=False)
    guard.hold()
    model._optimizer.step(model)
    logs.add(loss, batch.y, outputs, lengths)
    guard.release()


def evaluate(model: Trainer, samples: Samples, batch_size: int, logs: RunningLogs) -> dict[str, float]:
    """Return loss and metrics over the samples, without changing the model."""
    logs.reset()
    loss: Loss = model._loss
    for batch in samples.batches(batch_size):
        assert batch.y is not None
        lengths = _output_lengths(model, batch)
        if lengths is None or lengths.any():
            outputs = model._apply(batch.x, batch.lengths, False, 0)
            logs.add(loss(batch.y, outputs, lengths=lengths), batch.y, outputs, lengths)
    return dict(logs)


def run(
    model: Trainer,
    samples: Samples,
    validation: Samples | None,
    callbacks: CallbackList,
    *,
    batch_size: int,
    epochs: range,
    shuffle: bool,
    seed: int,
) -> None:
    """Train for some epochs; seed, epoch and batch alone decide the order of samples and the masks."""
    logs, validation_logs = RunningLogs(model.metrics), RunningLogs(model._fresh_metrics())
    model.stop_training = False
    try:
        with Guard() as guard:
            callbacks.call("on_train_begin")
            results: Mapping[str, float] = {}
            for epoch in epochs:
                callbacks.call("on_epoch_begin", epoch)
                logs.reset()
                order = _random.permutation(seed, epoch, samples.count) if shuffle else None
                _run_epoch(model, samples.batches(batch_size, order), callbacks, logs, guard, (seed, epoch))
                results = dict(logs)
                if validation is not None:
                    measured = evaluate(model, validation, INFERENCE_BATCH, validation_logs)
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
    batches: Iterator[Batch],
    callbacks: CallbackList,
    logs: RunningLogs,
    guard: Guard,
    draw: tuple[int, int],
) -> None:
    seed, epoch = draw
    epoch_seed = _random.derive(seed, _random.STREAM_STEP, epoch) if model.random else 0
    seeds = _random.step_seeds(epoch_seed) if model.random else None
    for number, batch in enumerate(batches):
        for hook in callbacks.batch_begin:
            hook(number, logs)
        train_step(model, batch, 0 if seeds is None else next(seeds), logs, guard, (epoch, number))
        for hook in callbacks.batch_end:
            hook(number, logs)


def _output_lengths(model: Trainer, batch: Batch) -> Array | None:
    """Return the lengths of the outputs, None where all of them count."""
    return batch.lengths if model.output_has_time else None
