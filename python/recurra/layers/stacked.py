"""Several cells as one layer: what `recurra.RNN` makes of cells, and how layers stand on each other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from recurra import _errors, _random
from recurra.layers.cell_rnn import CellRNN
from recurra.layers.cells import Cell, FusedCell
from recurra.layers.recurrent import Recurrent
from recurra.layers.stateful import Stateful

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Self

    from recurra._typing import Array, Shape
    from recurra.layers.base import Layer
    from recurra.layers.stateful import Backward
    from recurra.streaming import Stepper


def of_cells(
    cell: Any, return_sequences: bool = False, return_state: bool = False, go_backwards: bool = False, **options: Any
) -> Any:
    """Return the layer of one cell or several; see `recurra.RNN`.

    Parameters
    ----------
    cell : Cell, list of Cell or StackedRNNCells
        Not built yet; they stay untouched, but for cells of one's own, which become the layer's.
    return_sequences, return_state, go_backwards : bool, default False
        As in `LSTM`.
    **options
        ``name``; for a single built-in cell any argument of its layer. Keras's ``unroll`` says nothing here.
    """
    options.pop("unroll", None)
    cells = check_cells("cell", cell)
    for one in cells:
        if one.built or one.owner is not None:
            hint = "a layer has weights of its own"
            raise _errors.bad_value("cell", "a cell not built yet", f"{one.name!r}, which is built", hint)
    flags = {"return_sequences": return_sequences, "return_state": return_state, "go_backwards": go_backwards}
    if len(cells) == 1:
        return _layer(cells[0], {**flags, **options})
    layers = [_layer(one, {"return_sequences": True, "return_state": True}) for one in cells[1:-1]]
    first = _layer(cells[0], {"return_sequences": True, "return_state": True, "go_backwards": go_backwards})
    last = _layer(cells[-1], {"return_sequences": return_sequences, "return_state": True})
    return RecurrentStack([first, *layers, last], return_state, **options)


def _layer(cell: Cell, options: dict[str, Any]) -> Any:
    return cell.layer(**options) if isinstance(cell, FusedCell) else CellRNN(cell, **options)


def check_cells(argument: str, cells: Any) -> Sequence[Cell]:
    """Return one cell, a list of cells or `StackedRNNCells` as a list of cells, none of them built."""
    if isinstance(cells, StackedRNNCells):
        return cells.cells
    listed = list(cells) if isinstance(cells, list | tuple) else [cells]
    if not listed:
        raise _errors.bad_value(argument, "at least one cell", "none")
    flat: list[Cell] = []
    for cell in listed:
        if isinstance(cell, StackedRNNCells):
            flat += cell.cells
        elif isinstance(cell, Cell):
            flat.append(cell)
        else:
            raise _errors.bad_type(argument, "a cell such as LSTMCell(20), or a class derived from Cell", repr(cell))
    return flat


class RecurrentStack(Stateful):
    """Recurrent layers on each other, as one layer: what ``recurra.RNN([cell, cell])`` returns.

    Each layer is a fused one of the engine, or a loop over a cell of one's own.

    Parameters
    ----------
    layers : list of Layer
        Not built; they become this layer's. All return states, and all but the last return sequences. The last one's
        ``return_sequences`` is the stack's; only the first may go backwards.
    return_state : bool, default False
        As in `LSTM`; states come layer by layer in one flat list.
    name : str, optional
        Unique within a model.

    Attributes
    ----------
    parameters, gradients : dict of str to numpy.ndarray
        Those of layer number k under ``"k."``.

    Raises
    ------
    TypeError, ValueError
        On wrong arguments.

    Notes
    -----
    Calls from several threads are safe.

    Examples
    --------
    >>> import numpy as np, recurra
    >>> layer = recurra.RNN([recurra.LSTMCell(20), recurra.GRUCell(8)], return_sequences=True)
    >>> layer(np.zeros((4, 30, 10), np.float32)).shape
    (4, 30, 8)
    """

    def __init__(
        self,
        layers: Sequence[Layer],
        return_state: bool = False,
        name: str | None = None,
    ) -> None:
        self.layers: list[Any] = _checked(layers)
        first, last = self.layers[0], self.layers[-1]
        backwards = first.go_backwards if isinstance(first, Stateful) else first.options["go_backwards"]
        super().__init__(last.return_sequences, return_state, backwards, dtype=first.dtype, name=name)
        self.random = any(layer.random for layer in self.layers)
        self.leaves = sum(layer.leaves for layer in self.layers)

    @property
    def _counts(self) -> list[list[int]]:
        """The columns of each state of each layer."""
        return [[shape[-1] or 0 for shape in layer._output_shapes((None, None, 1))[1:]] for layer in self.layers]

    @property
    def state_sizes(self) -> list[int]:  # type: ignore[override]
        """The columns of each state."""
        return [size for sizes in self._counts for size in sizes]

    @property
    def output_size(self) -> int:  # type: ignore[override]
        """The columns of the outputs."""
        return self.layers[-1].output_size  # type: ignore[no-any-return]

    def build(self, input_shape: Shape) -> None:
        """Build all layers; see `Layer.build`."""
        was_built = self.built
        super().build(input_shape)
        if was_built:
            return
        shape = self.input_shape
        for index, layer in enumerate(self.layers):
            layer.build(shape)
            self._adopt(layer, str(index))
            shape = layer.compute_output_shape(shape)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, the layers by class and arguments."""
        from recurra.layers import serialize

        return {**self._own_config(), "layers": [serialize(layer) for layer in self.layers]}

    def _own_config(self) -> dict[str, Any]:
        return {"return_state": self.return_state, "name": self.name if self.named else None}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: dict[str, type[Layer]] | None = None) -> Self:
        """Return a new layer made with the arguments that `get_config` returned."""
        from recurra.layers import deserialize

        return cls(**{**config, "layers": [deserialize(layer, custom_objects) for layer in config["layers"]]})

    def _like(self, dtype: str) -> Self:
        return type(self)([layer._like(dtype) for layer in self.layers], **self._own_config())

    def __reduce__(self) -> tuple[Any, ...]:
        layers = [layer._like(self.dtype.name) for layer in self.layers]
        return self._reduced(layers, self._own_config())

    def _held(self) -> Sequence[Layer]:
        return self.layers

    def _split(self, states: Any) -> list[list[Any]]:
        """Return a flat list of states as one list for each layer; nothing for None."""
        parts = []
        for sizes in self._counts:
            parts.append(list(states[: len(sizes)]) if states else [])
            states = states[len(sizes) :] if states else states
        return parts

    def _run(
        self, x: Array, states: Any, lengths: Array | None, training: bool, seed: int
    ) -> tuple[Array, list[Array]]:
        final: list[Array] = []
        for index, (layer, own) in enumerate(zip(self.layers, self._split(states), strict=True)):
            x, *new = layer._apply_node([x, *own], [lengths], training, _random.shifted(seed, index))
            final += new
        return x, final

    def _tape(
        self, x: Array, states: Any, lengths: Array | None, training: bool, seed: int
    ) -> tuple[Array, list[Array], Backward]:
        final, pullbacks = [], []
        for index, (layer, own) in enumerate(zip(self.layers, self._split(states), strict=True)):
            (x, *new), pullback = layer._differentiate_node(
                [x, *own], [lengths], training, _random.shifted(seed, index)
            )
            final += new
            pullbacks.append(pullback)

        def backward(dys: Sequence[Array | None], need_dx: bool) -> tuple[Array | None, list[Array]]:
            dy = dys[0]
            dinitial: list[Array] = []
            for index, own in reversed(list(enumerate(self._split(list(dys[1:]))))):
                needed = need_dx or index > 0
                dy, *dold = pullbacks[index]([dy, *own], need_dx=needed)
                dinitial = dold + dinitial
            return dy, dinitial

        return x, final, backward

    def _steppers(self, batch_size: int) -> Iterable[Stepper]:
        return [part for layer in self.layers for part in layer._steppers(batch_size)]


def _checked(layers: Sequence[Any]) -> list[Any]:
    """Return the layers of a stack."""
    if not layers:
        raise _errors.bad_value("layers", "at least one layer", "none")
    for index, layer in enumerate(layers):
        if not isinstance(layer, Recurrent | Stateful):
            raise _errors.bad_type(f"layers[{index}]", "a recurrent layer", layer)
        if not layer.return_state or not (layer.return_sequences or index == len(layers) - 1):
            hint = "make it with return_state=True, and all but the last with return_sequences=True"
            raise _errors.bad_value(
                f"layers[{index}]", "a layer that returns what the next one reads", repr(layer), hint
            )
        if layer.dtype != layers[0].dtype:
            raise _errors.bad_value(f"layers[{index}]", f"dtype {layers[0].dtype.name}", layer.dtype.name)
    return list(layers)


class StackedRNNCells:
    """Several cells, each reading the output of the one before, to be run by ``recurra.RNN``.

    Parameters
    ----------
    cells : list of Cell
        Built-in ones, ones of one's own, or both.

    Raises
    ------
    TypeError, ValueError
        If there is none, or something else is among them.

    Examples
    --------
    >>> import numpy as np, recurra
    >>> layer = recurra.RNN(recurra.StackedRNNCells([recurra.LSTMCell(20), recurra.GRUCell(8)]), return_state=True)
    >>> [part.shape for part in layer(np.zeros((4, 30, 10), np.float32))]  # outputs, then h, c and h
    [(4, 8), (4, 20), (4, 20), (4, 8)]
    """

    def __init__(self, cells: Sequence[Cell]) -> None:
        self.cells = check_cells("cells", list(cells))

    @property
    def state_size(self) -> list[Any]:
        """The states' sizes of each cell."""
        return [cell.state_size for cell in self.cells]

    @property
    def output_size(self) -> int:
        """The columns of the last cell's output."""
        return self.cells[-1].output_size

    def get_initial_state(self, batch_size: int) -> list[list[Array]]:
        """Return states of zeros for each cell."""
        return [cell.get_initial_state(batch_size) for cell in self.cells]

    def __call__(self, x: Array, states: Any, training: bool = False) -> tuple[Array, list[Any]]:
        """Return the last cell's output for one step, and the new states of each cell."""
        if len(states) != len(self.cells):
            raise _errors.bad_value("states", f"{len(self.cells)} lists, one for each cell", f"{len(states)}")
        new = []
        for cell, own in zip(self.cells, states, strict=True):
            x, changed = cell(x, own, training)
            new.append(changed)
        return x, new
