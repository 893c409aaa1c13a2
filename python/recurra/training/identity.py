"""What must be the same for a saved run to go on: model, optimizer, loss, data."""

from __future__ import annotations

import json
import warnings
from typing import TYPE_CHECKING, Any

from recurra import _errors

if TYPE_CHECKING:
    from recurra.optimizers import Optimizer
    from recurra.training.trainer import Trainer


def describe(model: Trainer, data: dict[str, Any]) -> dict[str, Any]:
    """Return names and values of what a run depends on, in the order in which they are compared."""
    optimizer, objective = model._optimizer, model._objective
    config = dict(optimizer.get_config())
    config.pop("learning_rate", None) if not isinstance(config.get("learning_rate"), dict) else None
    found: dict[str, Any] = {
        "dtype": model.dtype.name,
        "layers": [type(layer).__name__ for layer in getattr(model, "layers", ())],
        "parameters": {weight.name: list(weight.shape) for weight in model.weights_declared} if model.built else None,
        "model": _config(model),
        "optimizer": type(optimizer).__name__,
        "optimizer's argument": config,
        "losses": [type(loss).__name__ for loss in objective.losses],
        "metrics": [metric.name for metric in objective.every_metric],
        **data,
    }
    return {name: _plain(value) for name, value in found.items()}


def _config(model: Trainer) -> Any:
    """Return a model's configuration without what does not matter; None if JSON cannot say it."""
    try:
        return _essence(_plain(model.get_config()))
    except (TypeError, ValueError, NotImplementedError):
        return None


def _plain(value: Any) -> Any:
    """Return a value as JSON gives it back."""
    return json.loads(json.dumps(value, default=lambda found: found.item()))


def _essence(value: Any) -> Any:
    """Return a configuration without seeds and the modules of one's own classes (``__main__`` when run as a script)."""
    if isinstance(value, dict):
        beside = {"seed", "module"} if "class_name" in value else {"seed"}
        return {key: _essence(part) for key, part in value.items() if key not in beside}
    return [_essence(part) for part in value] if isinstance(value, list) else value


def compare(saved: dict[str, Any], now: dict[str, Any], folder: str) -> None:
    """Raise ValueError, naming the first thing that differs, unless a saved run can go on."""
    for name, value in saved.items():
        if name in now and None not in (value, now[name]):
            difference = _difference(value, now[name], name)
            if difference is not None:
                place, was, found = difference
                hint = "take another folder for another run"
                expected = f"{place} {was}, as in the run in {folder!r}"
                raise _errors.bad_value("resume", expected, f"{found}", hint)


def _difference(saved: Any, now: Any, place: str) -> tuple[str, str, str] | None:
    """Return where two values differ, and how."""
    if saved == now:
        return None
    if isinstance(saved, dict) and isinstance(now, dict):
        for key in [*saved, *now]:
            if key not in saved or key not in now:
                was, found = (_text(part[key]) if key in part else "nothing" for part in (saved, now))
                return f"{place} {key!r}", was, found
            found_below = _difference(saved[key], now[key], f"{place} {key!r}")
            if found_below is not None:
                return found_below
    if isinstance(saved, list) and isinstance(now, list) and len(saved) == len(now) and place.startswith("model"):
        for index, pair in enumerate(zip(saved, now, strict=True)):
            found_below = _difference(*pair, f"{place} {index}")
            if found_below is not None:
                return found_below
    return place, _text(saved), _text(now)


def _text(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 200 else text[:200] + "..."


def optimizer_state(optimizer: Optimizer) -> dict[str, Any]:
    """Return what an optimizer remembers besides its slots; its learning rate, if that is a number."""
    rate = optimizer.get_config().get("learning_rate")
    return {"state": optimizer.get_state(), "learning_rate": None if isinstance(rate, dict) else rate}


def first_rate(state: dict[str, Any] | None, optimizer: Optimizer, folder: str) -> float | None:
    """Return the learning rate with which a run began, None for a schedule; warn if another is given to go on with."""
    rate: float | None = optimizer_state(optimizer)["learning_rate"]
    if state is None:
        return rate
    first: float | None = state.get("first_rate")
    last = state["optimizer"]["learning_rate"]
    if None not in (rate, first) and rate not in (first, last):  # the optimizer that was interrupted has the last
        hint = f"it goes on with {last}; take another folder for another run"
        expected = f"learning_rate {first}, as in the run in {folder!r}"
        warnings.warn(_errors.message("resume", expected, f"{rate}", hint), stacklevel=4)
    return first


def set_optimizer_state(optimizer: Optimizer, state: dict[str, Any]) -> None:
    """Take on what `optimizer_state` returned."""
    optimizer.set_state(state["state"])
    if state["learning_rate"] is not None:
        optimizer.learning_rate = state["learning_rate"]
