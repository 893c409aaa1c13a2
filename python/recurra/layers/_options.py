"""Checks of the arguments of recurrent layers, and their translation into the engine's options."""

from __future__ import annotations

from typing import Any

from recurra import _errors, activations

MERGE_MODES = ("concat", "sum", "mul", "ave")

# Arguments with the engine's own name and meaning, by kind.
_FLAGS = ("use_bias", "bidirectional", "go_backwards", "use_peepholes", "input_forget", "reset_after", "layer_norm")
_RATES = ("dropout", "interlayer_dropout", "recurrent_dropout")
_CLIPS = ("clip", "cell_clip")


def engine_options(cell: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """Return the keyword arguments of ``_core.Recurrent`` that a layer's checked arguments mean."""
    options: dict[str, Any] = {name: _errors.check_flag(name, arguments[name]) for name in _FLAGS if name in arguments}
    options.update({name: _errors.check_rate(name, arguments[name]) for name in _RATES if name in arguments})
    options.update({name: _clip(name, arguments[name]) for name in _CLIPS if name in arguments})
    options["dtype"] = _errors.check_dtype("dtype", arguments["dtype"])
    options["num_layers"] = _errors.check_integer("num_layers", arguments["num_layers"], 1, 1024)
    options["merge_mode"] = _errors.check_choice("merge_mode", arguments["merge_mode"], MERGE_MODES)
    options["zoneout"] = _zoneout(cell, arguments["zoneout"])
    options.update(_activations(arguments))
    if cell == "lstm":
        options["proj_size"] = _errors.check_integer("proj_size", arguments["proj_size"], 0, arguments["units"])
    if options["bidirectional"] and options["go_backwards"]:
        hint = "a bidirectional layer reads both ways already"
        raise _errors.bad_value("go_backwards", "False with bidirectional=True", "True", hint)
    return options


def _activations(arguments: dict[str, Any]) -> dict[str, activations.Activation]:
    """Return the three activations; output_activation follows activation unless it is given."""
    names = ("activation", "recurrent_activation", "output_activation")
    given = {name: arguments[name] for name in names if name in arguments}
    if given.get("output_activation", 0) is None:
        given["output_activation"] = given["activation"]
    return {name: activations.resolve(name, value) for name, value in given.items()}


def _clip(name: str, value: object) -> float:
    """Return the engine's 0 for no clip."""
    if value is None:
        return 0.0
    bound = _errors.check_number(name, value, 0.0, 1e30, "a positive number or None")
    if bound == 0.0:
        raise _errors.bad_value(name, "a positive number or None", repr(value), "None means no clipping")
    return bound


def _zoneout(cell: str, value: Any) -> tuple[float, float]:
    """Return the rates of (h, c); one number serves both."""
    pair = value if isinstance(value, tuple | list) else (value, value if cell == "lstm" else 0.0)
    if len(pair) != 2:
        raise _errors.bad_value("zoneout", "a rate or (rate of h, rate of c)", value)
    if cell != "lstm" and pair[1] != 0.0:
        raise _errors.bad_value("zoneout", "one rate", value, f"a cell of kind {cell!r} has no cell state")
    what = "a rate from 0 to 1"
    h, c = (_errors.check_number("zoneout", rate, 0.0, 1.0, what) for rate in pair)
    return h, c
