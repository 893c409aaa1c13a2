"""Where fit's batches come from: arrays, data sets and iterables."""

from __future__ import annotations

import itertools
from collections.abc import Sized
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from recurra import _errors, _random
from recurra.training import checking
from recurra.training.data import INFERENCE_BATCH

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from recurra.training.data import Batch, Samples
    from recurra.training.trainer import Trainer


_END = object()


class Source(Protocol):
    """What the loop draws batches from; which ones it yields is decided by the number of the epoch alone.

    Attributes
    ----------
    steps : int or None
        Batches of an epoch, if that is known.
    count : int or None
        Samples of an epoch, if that is known.
    carries : bool
        Whether a batch continues the one before, so that states are carried over.
    """

    steps: int | None
    count: int | None
    carries: bool

    def epoch(self, epoch: int, first: int = 0) -> Iterator[Batch]:
        """Yield the batches of an epoch, from number ``first`` on."""


@contextmanager
def _noted(number: int, epoch: int) -> Iterator[None]:
    """Let an exception say which batch it came from."""
    try:
        yield
    except Exception as error:
        _errors.note_batch(error, number, epoch)
        raise


def _continued(batch: Batch) -> Batch:
    """Return a batch whose rows all go on from those of the batch before."""
    return batch._replace(resets=np.zeros(batch.rows, bool))


def _resets(given: Any, rows: int) -> Any:
    """Return which rows of a batch begin anew as an array, None for all."""
    if given is None:
        return None
    array = np.asarray(given)
    if array.dtype != bool or array.shape != (rows,):
        got = f"{array.dtype.name} of shape {array.shape}"
        raise _errors.bad_value("resets", f"a truth value for each of {rows} samples, or None", got)
    return array


class ArraySource:
    """Samples in memory, each once an epoch."""

    carries = False

    def __init__(self, samples: Samples, batch_size: int, shuffle: bool, seed: int) -> None:
        self.samples, self.size, self.shuffle, self.seed = samples, batch_size, shuffle, seed
        self.count: int | None = samples.count
        self.steps: int | None = -(-samples.count // batch_size)

    def epoch(self, epoch: int, first: int = 0) -> Iterator[Batch]:
        """Yield the batches of an epoch; see `Source.epoch`."""
        order = _random.permutation(self.seed, epoch, self.samples.count) if self.shuffle else None
        return self.samples.batches(self.size, order, first)


class DatasetSource:
    """A data set of batches by number, as `recurra.data.Dataset` and Keras's PyDataset."""

    def __init__(self, dataset: Any, check: Callable[[Any], Batch]) -> None:
        self.dataset, self.check = dataset, check
        self.steps: int | None = len(dataset)
        self.count: int | None = None
        self.carries = bool(getattr(dataset, "stateful", False))

    def epoch(self, epoch: int, first: int = 0) -> Iterator[Batch]:
        """Yield the batches of an epoch; see `Source.epoch`."""
        if hasattr(self.dataset, "set_epoch"):
            self.dataset.set_epoch(epoch)
        count = len(self.dataset)
        if not count:
            raise _errors.bad_value("x", "at least one batch", "an empty data set")
        for number in range(first, count):
            with _noted(number, epoch):
                batch = self.check(self.dataset[number])
                if self.carries and hasattr(self.dataset, "resets"):
                    batch = batch._replace(resets=_resets(self.dataset.resets(number), batch.rows))
                elif self.carries and number:
                    batch = _continued(batch)
            yield batch
        if hasattr(self.dataset, "on_epoch_end"):
            self.dataset.on_epoch_end()


class IterableSource:
    """Batches one after the other; an iterable that can be read once only needs ``steps_per_epoch`` for more epochs."""

    count: int | None = None

    def __init__(self, batches: Iterable[Any], check: Callable[[Any], Batch]) -> None:
        self.batches, self.check = batches, check
        self.steps: int | None = len(batches) if isinstance(batches, Sized) else None
        self.carries = bool(getattr(batches, "stateful", False))

    def epoch(self, epoch: int, first: int = 0) -> Iterator[Batch]:
        """Yield the batches of an epoch; see `Source.epoch`."""
        if hasattr(self.batches, "set_epoch"):
            self.batches.set_epoch(epoch)
        batches = itertools.islice(self.batches, first, None)
        for number in itertools.count(first):
            with _noted(number, epoch):
                given = next(batches, _END)
                batch = None if given is _END else self.check(given)
            if batch is None:
                break
            yield _continued(batch) if self.carries and number else batch
        if not number:
            hint = "a generator is used up after one epoch: pass steps_per_epoch, or an object that can be read again"
            raise _errors.bad_value("x", f"batches for epoch {epoch + 1}", "none", hint)


class LimitedSource:
    """Another source, so many batches an epoch; where it has fewer, it starts again."""

    def __init__(self, source: Source, steps: int) -> None:
        self.source = source
        self.steps: int | None = steps
        self.count: int | None = None
        self.carries = source.carries
        self._endless: Iterator[Batch] | None = None

    def epoch(self, epoch: int, first: int = 0) -> Iterator[Batch]:
        """Yield the batches of an epoch; see `Source.epoch`."""
        assert self.steps is not None
        if self._endless is None:
            self._endless = self._all(epoch * self.steps + first)
        return itertools.islice(self._endless, self.steps - first)

    def _all(self, skipped: int) -> Iterator[Batch]:
        for round_ in itertools.count():
            first = 0
            if self.source.steps is not None and skipped:
                if skipped >= self.source.steps:
                    skipped -= self.source.steps
                    continue
                first, skipped = skipped, 0
            batches = self.source.epoch(round_, first)
            yield from itertools.islice(batches, skipped, None)
            skipped = 0


class StretchedSource:
    """Another source, each batch cut into stretches of time that are batches of their own, states carried between.

    Parameters
    ----------
    source : Source
        Of whole sequences.
    length : int
        Time steps of a stretch.
    time : int or None
        Time steps of all sequences, if that is known.
    """

    carries = True

    def __init__(self, source: Source, length: int, time: int | None) -> None:
        self.source, self.length = source, length
        self.count = source.count
        self.pieces = None if time is None else -(-time // length)
        self.steps = None if source.steps is None or self.pieces is None else source.steps * self.pieces

    def epoch(self, epoch: int, first: int = 0) -> Iterator[Batch]:
        """Yield the batches of an epoch; see `Source.epoch`."""
        skipped, first = (0, first) if self.pieces is None else divmod(first, self.pieces)
        cut = (batch.stretches(self.length) for batch in self.source.epoch(epoch, skipped))
        return itertools.islice(itertools.chain.from_iterable(cut), first, None)


class Request:
    """What fit, evaluate and predict ask for, and the sources that give it.

    Parameters
    ----------
    model : Trainer
        What the batches are for.
    batch_size : int or None
        Samples of a batch; None: ``default_size``.
    shuffle, seed
        Whether and how to order samples.
    class_weight : dict or None
        See `Trainer.fit`.
    """

    def __init__(
        self, model: Trainer, batch_size: Any, shuffle: bool, seed: int, class_weight: Any, default_size: int = 32
    ) -> None:
        self.model, self.given_size, self.class_weight = model, batch_size, class_weight
        self.size = _errors.check_integer("batch_size", default_size if batch_size is None else batch_size, 1)
        self.shuffle, self.seed = shuffle, seed

    def training(
        self, x: Any, y: Any, lengths: Any, sample_weight: Any, validation_split: float
    ) -> tuple[Source, Source | None]:
        """Return the source to train on, and that of the share to validate on."""
        share = _errors.check_rate("validation_split", validation_split)
        batches = y is None and self.batches(x, True)
        if batches:
            for name, value in (("lengths", lengths), ("sample_weight", sample_weight), ("validation_split", share)):
                if value is not None and value != 0:
                    raise _errors.bad_value(name, "none with batches", "one", "they are the batches' own affair")
            return batches, None
        if y is not None and self.batches(x, True):
            raise _errors.bad_value("y", "none with batches", y, "they are (x, y) or (x, y, sample_weight) themselves")
        if y is None:
            raise _errors.bad_value("y", "targets", "none", "batches come as a Dataset or another iterable of (x, y)")
        samples = checking.samples(self.model, x, y, lengths, sample_weight)
        samples, held_out = samples.split(share) if share else (samples, None)
        samples = checking.weighed(self.model, samples, self.class_weight)  # what is held out is not weighed
        validation = None if held_out is None else ArraySource(held_out, INFERENCE_BATCH, False, 0)
        return ArraySource(samples, self.size, self.shuffle, self.seed), validation

    def stretched(self, source: Source, length: int) -> Source:
        """Return a source for truncated backpropagation; ``length`` 0: the source itself."""
        if not length:
            return source
        for loss in self.model._objective.losses:
            if loss.sequences:
                raise _errors.bad_value("tbptt", f"none with {loss.name}", f"{length}", "it looks at whole sequences")
        time = None
        if isinstance(source, ArraySource):
            inputs = source.samples.x
            time = max(a.shape[1] if a.ndim > 1 else 0 for a in inputs)
            if any(len(shape) < 3 or shape[1] != time for shape in self.model._target_shapes(inputs)):
                hint = "return_sequences=True in all recurrent layers, and targets per step"
                raise _errors.bad_value("tbptt", "a model with outputs per time step", "other outputs", hint)
        return StretchedSource(source, length, time)

    def validation(self, data: Any, batch_size: int | None) -> Source:
        """Return the source of samples given to validate on."""
        size = INFERENCE_BATCH if batch_size is None else _errors.check_integer("validation_batch_size", batch_size, 1)
        if isinstance(data, tuple | list):
            if len(data) not in (2, 3):
                hint = "x may be the pair (x, lengths)"
                raise _errors.bad_type("validation_data", "the pair (x, y), or (x, y, sample_weight)", data, hint)
            x, y, weight = (*data, None)[:3]
            samples = checking.samples(self.model, x, y, None, weight, None, "validation ")
            return ArraySource(samples, size, False, 0)
        batches = self.batches(data, True, "validation ")
        if not batches:
            hint = "x may be the pair (x, lengths)"
            raise _errors.bad_type("validation_data", "the pair (x, y), or batches", data, hint)
        return batches

    def prediction(self, x: Any, lengths: Any) -> Source:
        """Return the source of inputs alone."""
        batches = lengths is None and self.batches(x, False)
        return batches or ArraySource(checking.samples(self.model, x, None, lengths), self.size, False, 0)

    def batches(self, x: Any, targets: bool, prefix: str = "") -> Source | None:
        """Return the source of what yields batches itself; None for samples."""

        def check(given: Any) -> Batch:
            return checking.batch(self.model, given, None if prefix else self.class_weight, targets, prefix)

        array = hasattr(x, "__array__") or hasattr(x, "__dlpack__") or hasattr(x, "columns")
        iterable = hasattr(x, "__iter__") or hasattr(x, "__getitem__")
        if array or not iterable or isinstance(x, list | tuple | dict):
            return None
        if self.given_size is not None and targets:
            raise _errors.bad_value("batch_size", "none with batches", f"{self.given_size}", "they have their own size")
        if hasattr(x, "__len__") and hasattr(x, "__getitem__"):
            return DatasetSource(x, check)
        return IterableSource(x, check)
