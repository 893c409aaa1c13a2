"""A run that can go on after a crash: where it is, what it saves, what it is compared with.

The order of samples and the masks are functions of seed, epoch and batch, so a state is small: parameters, the
optimizer's slots, the place, running means, and what callbacks remember.
"""

from __future__ import annotations

import os
import time
import warnings
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from recurra import _errors
from recurra.callbacks.backup_and_restore import BackupAndRestore
from recurra.callbacks.progress import say
from recurra.training import identity, snapshot
from recurra.training.objective import RunningLogs

if TYPE_CHECKING:
    from collections.abc import Iterable

    from recurra.callbacks import Callback, CallbackList
    from recurra.models.carry import Carry
    from recurra.training.loop import Plan
    from recurra.training.trainer import Trainer


def backup_of(resume: Any, callbacks: Iterable[Callback]) -> BackupAndRestore | None:
    """Return what ``fit``'s argument ``resume``, or one of its callbacks, says about saving the run."""
    if resume is None:
        return next((callback for callback in callbacks if isinstance(callback, BackupAndRestore)), None)
    if isinstance(resume, BackupAndRestore):
        return resume
    if isinstance(resume, bool) or not isinstance(resume, str | os.PathLike):
        raise _errors.bad_type("resume", "the name of a folder, or a BackupAndRestore", resume)
    return BackupAndRestore(resume, double_checkpoint=True, delete_checkpoint=False)


def saved_states(backup: BackupAndRestore | None) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
    """Return the last state of a run and that after its end, where there are such.

    Raises
    ------
    ValueError
        If both the last state and the one before are damaged.
    """
    if backup is None:
        return None, None
    folder = backup.backup_dir
    snapshot.clean(folder)
    try:
        state = snapshot.read(folder, snapshot.STATE)
    except ValueError as error:
        state = _state_before(folder, error)
    try:
        final = snapshot.read(folder, snapshot.FINAL)
    except ValueError as error:  # the state before the end is there, and the end can be run again
        warnings.warn(str(error), stacklevel=4)
        final = None
    return state, final


def _state_before(folder: str, error: ValueError) -> dict[str, Any]:
    hint = f"delete {folder!r} to start anew"
    try:
        state = snapshot.read(folder, snapshot.PREVIOUS)
    except ValueError as second:
        raise _errors.bad_value("resume", "a whole state", f"two damaged ones ({error}; {second})", hint) from None
    if state is None:
        raise _errors.bad_value("resume", "a whole state", f"a damaged one ({error})", hint) from None
    warnings.warn(f"{error}; going on from the state before", stacklevel=5)
    return state


def choose_seed(states: tuple[dict[str, Any] | None, ...], drawn: int, given: Any) -> int:
    """Return the seed given, else that of a saved run, else the one drawn."""
    if given is not None:
        return _errors.check_seed("seed", given)
    return next((int(state["seed"]) for state in states if state is not None), drawn)


class Run:
    """A training: where it is, and how it is saved and gone on with.

    Parameters
    ----------
    model : Trainer
        What trains.
    callbacks : CallbackList
        Around it.
    plan : Plan
        What was asked for.
    data : dict
        What decides the batches besides the plan, for comparison with a saved run: JSON-able values by name.
    backup : BackupAndRestore or None
        Where and how often to save; None: never.
    states : (dict or None, dict or None)
        From `saved_states`.

    Attributes
    ----------
    epoch, batch : int
        The place: complete epochs, and complete batches of the epoch that runs.
    begun : bool
        Whether ``on_epoch_begin`` was called for it.
    owed : str or None
        The hook that is still to be called for this place, or whatever else makes it no place to save at.
    logs : RunningLogs
        Of the epoch that runs.
    results : dict
        Logs of the last complete epoch.

    Raises
    ------
    ValueError
        If the saved run is that of another model, optimizer or data; nothing is changed.
    """

    def __init__(
        self,
        model: Trainer,
        callbacks: CallbackList,
        plan: Plan,
        data: dict[str, Any],
        backup: BackupAndRestore | None,
        states: tuple[dict[str, Any] | None, dict[str, Any] | None],
    ) -> None:
        self.model, self.callbacks, self.plan, self.backup = model, callbacks, plan, backup
        self.epoch, self.batch, self.begun = plan.epochs.start, 0, False
        self.owed: str | None = None
        self.results: dict[str, float] = {}
        self.logs = RunningLogs(model._objective)
        self.carry: Carry | None = None
        self._active = False  # between the restoration and on_train_end
        self._unsaved, self._saved_at = 0, time.monotonic()
        self._saved: tuple[int, int] | None = None  # epochs and batches of the state in the folder
        self._first_rate: float | None = None
        self._state, final = states
        self._data: dict[str, Any] = {}
        self._identity: dict[str, Any] | None = None  # made once the model is built
        if backup is None:
            return
        last = self._state or final
        for state in states:
            if state is not None:
                identity.compare(state["identity"], identity.describe(model, data), backup.backup_dir)
        if last is not None and not model.built:
            model.build(last["input_shape"])
            identity.compare(last["identity"], identity.describe(model, data), backup.backup_dir)
        self._data = data
        self._first_rate = identity.first_rate(last, model._optimizer, backup.backup_dir)
        ended = final is not None and (final["stop_training"] or plan.epochs.stop <= final["epochs"])
        self._final = final if ended else None
        if last is not None and self._final is None:
            self._state = last

    def adopt_final(self, talks: bool = False) -> bool:
        """Take on the end of a run that is finished, and return whether it is."""
        if self.backup is None or self._final is None:
            return False
        self._apply(self._final)
        if talks:
            place = f"finished after epoch {self.epoch} of {self.plan.epochs.stop}"
            say(f"{self.backup.backup_dir}: {place}, nothing left to train")
        return True

    # What the loop tells

    def restore(self) -> None:
        """Go on from the saved state, after ``on_train_begin``."""
        if self._state is not None:
            if self._state["begun"]:
                self.callbacks.call("on_epoch_begin", self._state["epoch"], {})
            self._apply(self._state)
            self._state = None
        self._active = self.backup is not None

    def epoch_began(self) -> None:
        """Note that ``on_epoch_begin`` is to be called now."""
        self.begun, self.owed, self.callbacks.last = True, "on_epoch_begin", None

    def step_done(self, batch: int, owed: str | None) -> None:
        """Note a batch as complete, but for a hook."""
        self.callbacks.last = None
        self.batch, self.owed = batch + 1, owed
        self._unsaved += 1

    def batch_done(self) -> None:
        """Save, if it is time."""
        self.owed = None
        if self._active and self._due():
            self.save()

    def epoch_done(self, results: dict[str, float]) -> None:
        """Note an epoch as complete, but for ``on_epoch_end``."""
        self.results, self.callbacks.last = results, None
        self.epoch, self.batch, self.begun, self.owed = self.epoch + 1, 0, False, "on_epoch_end"

    def settle(self) -> None:
        """Note that the hook that was owed has been called; after an epoch, save."""
        self.owed = None
        if self._active and not self.begun:
            self.save()

    def end(self) -> None:
        """Note that what is left is ``on_train_end``, which may change the model."""
        self._active = False

    def finish(self) -> None:
        """Save the end, or delete the states."""
        if self.backup is None:
            return
        if self.backup.delete_checkpoint:
            snapshot.delete(self.backup.backup_dir)
        else:
            snapshot.write(self.backup.backup_dir, snapshot.FINAL, self._describe(), False)

    def rescue(self, error: BaseException) -> None:
        """Save before an error or interrupt goes to the caller, unless it fell where no run can go on from."""
        if not self._active:
            return
        # a hook that raised was called for the other callbacks as well; one that was interrupted was not
        called = self.callbacks.complete and self.owed == self.callbacks.last
        try:
            if self.owed is None or called:
                self.save()
        except (OSError, TypeError) as second:
            error.add_note(f"and the run could not be saved: {second}")
            return
        if isinstance(error, KeyboardInterrupt) and self._saved is not None and self.backup is not None:
            epoch, batch = self._saved
            place = f"{epoch} epochs" + (f" and {batch} batches" if batch else "")
            error.add_note(
                f"{self.backup.backup_dir}: the run is saved after {place}; the same call goes on from there"
            )

    # Saving

    def _due(self) -> bool:
        assert self.backup is not None
        freq = self.backup.save_freq
        if isinstance(freq, timedelta):
            return time.monotonic() - self._saved_at >= freq.total_seconds()
        return isinstance(freq, int) and self._unsaved >= freq

    def save(self) -> None:
        """Write the state."""
        assert self.backup is not None
        snapshot.write(self.backup.backup_dir, snapshot.STATE, self._describe(), self.backup.double_checkpoint)
        self._unsaved, self._saved_at = 0, time.monotonic()
        self._saved = self.epoch, self.batch

    def _describe(self) -> dict[str, Any]:
        """Return the state, see `snapshot.pack`."""
        model, optimizer = self.model, self.model._optimizer
        within = self.batch > 0
        self._identity = self._identity or identity.describe(model, self._data)
        return {
            "version": snapshot.VERSION,
            "identity": self._identity,
            "input_shape": model.input_shape,
            "seed": self.plan.seed,
            "epochs": self.plan.epochs.stop,
            "epoch": self.epoch,
            "batch": self.batch,
            "begun": self.begun,
            "stop_training": model.stop_training,
            "results": self.results,
            "parameters": model._theta,
            "slots": dict(optimizer.slots),
            "optimizer": identity.optimizer_state(optimizer),
            "first_rate": self._first_rate,
            "logs": self.logs.get_state() if within else None,
            "carry": self.carry.get_state() if within and self.carry is not None else None,
            "callbacks": [[type(one).__name__, one.get_state()] for one in self.callbacks.callbacks],
        }

    def _apply(self, state: dict[str, Any]) -> None:
        """Take on a state."""
        model, optimizer = self.model, self.model._optimizer
        model._allocate()
        assert model._theta is not None
        model._theta[...] = state["parameters"]
        model._version.number += 1
        optimizer.slots = state["slots"]
        identity.set_optimizer_state(optimizer, state["optimizer"])
        self.epoch, self.batch, self.begun = (state[k] for k in ("epoch", "batch", "begun"))
        self.results = state["results"]
        model.stop_training = state["stop_training"]
        if state["logs"] is not None:
            self.logs.set_state(state["logs"])
        self._carried = state["carry"]
        saved: dict[str, list[Any]] = {}
        for name, remembered in state["callbacks"]:
            saved.setdefault(name, []).append(remembered)
        for callback in self.callbacks.callbacks:
            if saved.get(type(callback).__name__):
                callback.set_state(saved[type(callback).__name__].pop(0))

    _carried: list[Any] | None = None

    def carry_on(self, carry: Carry | None) -> Carry | None:
        """Give an epoch's carried states those of the saved run, if it was saved within this epoch."""
        self.carry = carry
        if carry is not None and self._carried is not None:
            carry.set_state(self._carried)
        self._carried = None
        return carry
