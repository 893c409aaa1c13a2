"""The contract of every optimizer: one pass over each stretch of a model's parameters and gradients."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from recurra import _core, _errors
from recurra.optimizers.settings import ACCUMULATED, AVERAGE, Settings

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from recurra._typing import Array
    from recurra.layers.base import Layer
    from recurra.layers.weights import Part
    from recurra.optimizers.accumulation import Accumulator

NOTHING: tuple[float, float, float, None] = (1.0, math.inf, 1.0, None)


class Optimizer(Settings):
    """Base of the optimizers; a subclass supplies its update rule, `update`, and the names of its slots, `rule_slots`.

    A step clips the gradients g, decays the parameters w (Loshchilov & Hutter 2019), applies the rule, and averages::

        g = g * min(1, clipnorm / |g|)       |g|: of one parameter;  global_clipnorm: of all;  clipvalue: clip(g)
        w = w - learning_rate * weight_decay * w
        w = rule(w, g)
        average = ema_momentum * average + (1 - ema_momentum) * w

    Parameters
    ----------
    learning_rate : float or LearningRateSchedule
        At least 0. A schedule is asked with the number of batches seen.
    name : str, optional
        By default the class's name in lower case.
    weight_decay : float, optional
        At least 0; see `exclude_from_weight_decay`.
    clipnorm, clipvalue, global_clipnorm : float, optional
        Above 0; at most one of them. Norms are computed in float64.
    use_ema : bool, default False
        Keep an exponential moving average of the parameters; `finalize_variable_values` puts it in their place.
    ema_momentum : float, default 0.99
        From 0 to 1.
    ema_overwrite_frequency : int, optional
        Also put the average in the place of the parameters every so many steps.
    gradient_accumulation_steps : int, optional
        At least 2: only every so many calls of `step` move the parameters, by the mean of the calls' gradients.

    Attributes
    ----------
    learning_rate : float
        The current one. May be set, to a number unless a schedule is set, or to a schedule.
    iterations : int
        Moves of the parameters so far.
    slots : dict of str to numpy.ndarray
        What is remembered from step to step, each laid out as the model's ``flat_parameters``.

    Raises
    ------
    TypeError, ValueError
        On wrong arguments.

    Notes
    -----
    An optimizer serves one model, from one thread.

    Of a table with sparse gradients (`Embedding`) only the rows that the batch touched are moved, decayed and measured,
    and their slots alone change, as in ``torch.optim.SparseAdam``: momentum neither moves nor fades in the others.

    With accumulation, averages and `iterations` count moves; Keras averages after every batch.

    Examples
    --------
    A rule of one's own:

    >>> import numpy as np, recurra
    >>> class SignDescent(recurra.optimizers.Optimizer):
    ...     def update(self, parameters, gradients, slots):
    ...         parameters -= self.learning_rate * np.sign(gradients)
    >>> layer = recurra.Dense(1)
    >>> y, pullback = layer.vjp(np.ones((2, 3), np.float32))
    >>> dx = pullback(np.ones_like(y))
    >>> before = layer.flat_parameters.copy()
    >>> SignDescent(0.5, clipvalue=1.0).step(layer)
    >>> np.round(layer.flat_parameters - before, 3).tolist()
    [-0.5, -0.5, -0.5, -0.5]
    """

    # Whether `update` itself does what comes before the rule: ``_before`` is (factor of the gradients, their largest
    # size, factor of the parameters, rows of a table).
    _fused: bool = False
    _before: tuple[float, float, float, Array | None] = NOTHING
    # The size of the model that the slots are known to suit.
    _served: int = -1

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "update" in cls.__dict__ and "_fused" not in cls.__dict__:
            cls._fused = False  # a rule of one's own, also where it calls that of its base

    def step(self, model: Layer) -> None:
        """Move the parameters of a model, or of a layer, by its gradients.

        Parameters
        ----------
        model : Layer
            Its gradients are read and stay as they are. What is frozen stays as it is.

        Raises
        ------
        ValueError
            If the optimizer has served a model of another size.
        """
        parameters, gradients = model._theta, model._grad
        if parameters is None or gradients is None:
            parameters, gradients = model.flat_parameters, model.flat_gradients
        if parameters.size != self._served or not self.slots:
            self._require_slots(parameters)
        try:
            if self._accumulator is None:
                self._move(model, model._parts(), parameters, gradients, 1.0)
                moved = True
            else:
                moved = self._move_now_and_then(model, parameters, gradients, self._accumulator)
            if self.use_ema and moved:
                self._average(model, parameters)
        finally:
            model._version.number += 1  # afterwards: a call meanwhile must not pass for one with the new values
        self._batches += 1

    def update(self, parameters: Array, gradients: Array, slots: dict[str, Array]) -> None:
        """Apply the rule to one stretch of the parameters, in place; ``iterations`` moves were made before.

        Parameters
        ----------
        parameters : numpy.ndarray
            To be changed.
        gradients : numpy.ndarray
            Of the same shape, clipped; not to be changed.
        slots : dict of str to numpy.ndarray
            The slots of the rule for this stretch, to be changed.
        """
        raise NotImplementedError(f"{type(self).__name__} defines no update")

    def finalize_variable_values(self, model: Layer) -> None:
        """Put the averages in the place of the parameters that move, if the optimizer keeps averages.

        Parameters
        ----------
        model : Layer
            As in `step`.
        """
        if not self.use_ema or AVERAGE not in self.slots:
            return
        try:
            for part in model._parts():
                place = slice(part.start, part.stop)
                assert model._theta is not None
                model._theta[place] = self.slots[AVERAGE][place]
        finally:
            model._version.number += 1

    # Inside a step

    def _initial_slot(self, name: str, parameters: Array) -> Array:
        """Return a slot before the first step."""
        return parameters.copy() if name == AVERAGE else np.zeros_like(parameters)

    def _require_slots(self, parameters: Array) -> None:
        """Make the slots, or see to it that they are for this model."""
        if not self.slots:
            self.slots = {name: self._initial_slot(name, parameters) for name in self.slot_names}
        for slot in self.slots.values():
            if slot.shape != parameters.shape:
                hint = "make a new optimizer for each model"
                expected = f"the model of its first step ({slot.size} parameters)"
                raise _errors.bad_value("optimizer", expected, f"another of {parameters.size}", hint)
        self._served = parameters.size

    def _move_now_and_then(self, model: Layer, parameters: Array, gradients: Array, accumulator: Accumulator) -> bool:
        """Add up gradients, and return whether they were enough for a move."""
        parts, sums = model._parts(), self.slots[ACCUMULATED]
        accumulator.add(parts, gradients, sums)
        if (self._batches + 1) % accumulator.steps:
            return False
        parts = accumulator.parts(parts)
        self._move(model, parts, parameters, sums, 1.0 / accumulator.steps)
        accumulator.clear(model.weights_declared, sums)
        return True

    def _average(self, model: Layer, parameters: Array) -> None:
        """Take the parameters into their averages, those that do not move as well: some day they may."""
        momentum = self.ema_momentum if self.iterations else 0.0
        _core.update("average", self.slots[AVERAGE], parameters, [], (momentum, 1.0 - momentum))
        if self.ema_overwrite_frequency and (self.iterations + 1) % self.ema_overwrite_frequency == 0:
            self.finalize_variable_values(model)

    def _move(self, model: Layer, parts: list[Part], parameters: Array, gradients: Array, scale: float) -> None:
        """Move all parts by ``scale`` times the gradients."""
        slots = self.slots
        if self.use_ema or self._accumulator is not None:
            slots = {name: slots[name] for name in self.rule_slots}
        if self.clipnorm is None and self.global_clipnorm is None and not self.weight_decay:
            for part in parts:
                self._move_part(part, parameters, gradients, slots, scale, 1.0)
            return
        if self.global_clipnorm is not None:
            scale *= _clipping(self.global_clipnorm, scale, (_squares(part, gradients) for part in parts))
        for part, decay in self._decayed(model, parts):
            factor = scale
            if self.clipnorm is not None:
                factor *= _clipping(self.clipnorm, scale, (_squares(part, gradients),))
            self._move_part(part, parameters, gradients, slots, factor, decay)

    def _decayed(self, model: Layer, parts: list[Part]) -> Iterator[tuple[Part, float]]:
        """Yield the parts and what their parameters are multiplied by, one parameter at a time where they differ."""
        decay = 1.0 - self.learning_rate * self.weight_decay if self.weight_decay else 1.0
        if self.clipnorm is None and (decay == 1.0 or self._excluded is None):
            yield from ((part, decay) for part in parts)
            return
        weights = iter(model.weights_declared)
        for part in parts:
            for weight in weights:
                if weight.offset < part.start or not weight.size:
                    continue
                kept = self._excluded is not None and self._excluded.search(weight.name) is not None
                stop = weight.offset + weight.size
                yield part._replace(start=weight.offset, stop=stop), 1.0 if kept else decay
                if stop == part.stop:
                    break

    def _move_part(
        self, part: Part, parameters: Array, gradients: Array, slots: dict[str, Array], scale: float, decay: float
    ) -> None:
        """Move one part."""
        start, stop, rows, width = part
        if stop - start != self._served:
            place = slice(start, stop)
            parameters, gradients = parameters[place], gradients[place]
            slots = {name: slot[place] for name, slot in slots.items()}
        if rows is not None:
            parameters, gradients = parameters.reshape(-1, width), gradients.reshape(-1, width)
            slots = {name: slot.reshape(-1, width) for name, slot in slots.items()}
        if self._fused:
            if rows is None and scale == 1.0 == decay and self.clipvalue is None:
                self._before = NOTHING
            else:
                self._before = (scale, math.inf if self.clipvalue is None else self.clipvalue, decay, rows)
            self.update(parameters, gradients, slots)
            return
        if rows is None:
            self._move_own(parameters, gradients, slots, scale, decay)
            return
        table, tables = parameters, slots
        parameters, slots = table[rows], {name: slot[rows] for name, slot in tables.items()}
        self._move_own(parameters, gradients[rows], slots, scale, decay)
        table[rows] = parameters
        for name, slot in slots.items():
            tables[name][rows] = slot

    def _move_own(
        self, parameters: Array, gradients: Array, slots: dict[str, Array], scale: float, decay: float
    ) -> None:
        """Do what comes before the rule, for a rule that does not."""
        if decay != 1.0:
            parameters *= decay
        if scale != 1.0:
            gradients = gradients * scale
        if self.clipvalue is not None:
            gradients = np.clip(gradients, -self.clipvalue, self.clipvalue)
        self._before = NOTHING
        self.update(parameters, gradients, slots)


def _squares(part: Part, gradients: Array) -> float:
    """Return the sum of the squares of a part's gradients."""
    some = gradients[part.start : part.stop]
    return _core.sum_of_squares(some if part.rows is None else some.reshape(-1, part.width), part.rows)


def _clipping(limit: float, scale: float, squares: Iterable[float]) -> float:
    """Return by what gradients are multiplied so that their norm, times ``scale``, is at most ``limit``."""
    norm = math.sqrt(math.fsum(squares)) * scale
    if not math.isfinite(norm):
        return math.nan  # as in Keras: the parameters show that something went wrong
    return limit / norm if norm > limit else 1.0
