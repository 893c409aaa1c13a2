"""Keras's layers that hold others: Bidirectional, TimeDistributed, and RNN around cells."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from recurra import layers
from recurra.keras.options import Options
from recurra.keras.rows import CELLS, ROWS

if TYPE_CHECKING:
    from collections.abc import Callable

    from recurra.keras.loader import Loader
    from recurra.layers.base import Layer

_RUN = ("unroll", "stateful", "zero_output_for_mask", "input_dim", "input_length")
# What both directions of a Bidirectional must agree in, so that one call of the engine is both.
_OWN = ("name", "go_backwards", "kernel_initializer", "recurrent_initializer", "bias_initializer", "dtype",
        "zero_output_for_mask", "trainable", "seed")  # fmt: skip
_RECURRENT = ("SimpleRNN", "LSTM", "GRU", "CuDNNLSTM", "CuDNNGRU", "RNN")


def _inner(options: Options, key: str) -> tuple[str, dict[str, Any], dict[str, Any]]:
    """Return class, configuration and description of what a wrapper holds."""
    description = options.take(key)
    kind = description.get("class_name") if isinstance(description, dict) else None
    config = description.get("config") if isinstance(description, dict) else None
    if not isinstance(kind, str) or not isinstance(config, dict):
        raise options.wrong(f"a layer as {key!r}", repr(description)[:100])
    return kind, config, description


def _bare(value: Any) -> Any:
    """Return an option without the marks of objects that several layers share."""
    if isinstance(value, dict):
        return {key: _bare(part) for key, part in value.items() if key not in ("shared_object_id", "build_config")}
    return [_bare(part) for part in value] if isinstance(value, list) else value


def _bidirectional(loader: Loader, options: Options) -> Layer:
    kind, config, description = _inner(options, "layer")
    if kind not in _RECURRENT:
        raise options.wrong(f"one of {', '.join(_RECURRENT)} in it", repr(kind)[:100])
    if config.get("go_backwards"):
        raise options.wrong("an inner layer that reads forwards", "go_backwards=True")
    if options.config.get("backward_layer") is not None:
        other, theirs, _ = _inner(options, "backward_layer")
        keys = {*config, *theirs} - set(_OWN)
        odd = [key for key in sorted(keys) if _bare(config.get(key)) != _bare(theirs.get(key))]
        if other != kind or odd or theirs.get("go_backwards") is not True:
            got = f"{odd[0]!r} differing" if odd else f"{other!r}"[:100]
            raise options.wrong("directions of the same options, the backward one reading backwards", got)
    options.idle("backward_layer")
    mode = options.take("merge_mode", "concat")
    if mode is None:
        raise options.wrong("merge_mode 'concat', 'sum', 'mul' or 'ave'", "None", "its outputs would be two arrays")
    options.idle("stateful", "return_sequences", "return_state")
    options.finish()
    pattern = loader.layer(description)
    if not isinstance(pattern, layers.Recurrent):
        raise options.wrong("one cell in it", "several")
    made = layers.Bidirectional(pattern, merge_mode=mode)
    loader.inner_kinds[id(made)] = kind
    return made


def _time_distributed(loader: Loader, options: Options) -> Layer:
    _, _, description = _inner(options, "layer")
    options.finish()
    return layers.TimeDistributed(loader.layer(description))


def _rnn(loader: Loader, options: Options) -> Layer:
    cell = options.take("cell")
    described = cell if isinstance(cell, list) else [cell]
    flags = {key: options.take(key, False) for key in ("return_sequences", "return_state", "go_backwards")}
    options.only("time_major", False)
    options.only("constants", None)
    options.only("num_constants", None, 0)
    options.idle(*_RUN)
    options.finish()
    cells: list[Any] = []
    for one in described:
        cells += _cells(options, one)
    return layers.RNN(cells[0] if len(cells) == 1 else cells, **flags)  # type: ignore[arg-type]  # of cells


def _cells(options: Options, description: Any) -> list[Any]:
    """Return the cells of a description, which may be of several."""
    kind = description.get("class_name") if isinstance(description, dict) else None
    config = description.get("config") if isinstance(description, dict) else None
    if kind == "StackedRNNCells" and isinstance(config, dict) and isinstance(config.get("cells"), list):
        inner = Options(kind, config, options.generation)
        inner.only("reverse_state_order", False)
        inner.idle("cells")
        inner.finish()
        made = [cell for one in config["cells"] for cell in _cells(options, one)]
        if made:
            return made
    if kind not in CELLS:
        raise options.wrong(f"cells of {', '.join(CELLS)}, StackedRNNCells", repr(kind)[:100])
    return [CELLS[kind].layer(Options(kind, config, options.generation))]


WRAPPERS: dict[str, Callable[[Loader, Options], Layer]] = {
    "Bidirectional": _bidirectional,
    "TimeDistributed": _time_distributed,
    "RNN": _rnn,
}
assert not set(WRAPPERS) & set(ROWS)
