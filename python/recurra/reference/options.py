"""What can be chosen about a recurrent layer, and the parameters that follow from the choice."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import prod

from .activations import Activation, ActivationLike

EPSILON = 1e-5
"""Added to the variance in layer normalisation."""


@dataclass(frozen=True)
class Options:
    """One recurrent layer object: a stack of layers, each of one or two directions.

    The meaning of each field is told in :class:`recurra.reference.Recurrent`.
    """

    cell: str
    input_size: int
    hidden_size: int
    num_layers: int = field(default=1, kw_only=True)
    bidirectional: bool = field(default=False, kw_only=True)
    merge_mode: str = field(default="concat", kw_only=True)
    go_backwards: bool = field(default=False, kw_only=True)
    use_bias: bool = field(default=True, kw_only=True)
    proj_size: int = field(default=0, kw_only=True)
    use_peepholes: bool = field(default=False, kw_only=True)
    input_forget: bool = field(default=False, kw_only=True)
    reset_after: bool = field(default=True, kw_only=True)
    layer_norm: bool = field(default=False, kw_only=True)
    activation: ActivationLike = field(default="tanh", kw_only=True)
    recurrent_activation: ActivationLike = field(default="sigmoid", kw_only=True)
    output_activation: ActivationLike = field(default="tanh", kw_only=True)
    clip: float = field(default=0.0, kw_only=True)
    cell_clip: float = field(default=0.0, kw_only=True)
    dropout: float = field(default=0.0, kw_only=True)
    interlayer_dropout: float = field(default=0.0, kw_only=True)
    recurrent_dropout: float = field(default=0.0, kw_only=True)
    zoneout: tuple[float, float] = field(default=(0.0, 0.0), kw_only=True)

    def __post_init__(self) -> None:
        if self.cell not in ("rnn", "lstm", "gru"):
            raise ValueError(f"cell: expected one of rnn, lstm, gru, got {self.cell!r}")
        if self.merge_mode not in ("concat", "sum", "mul", "ave"):
            raise ValueError(f"merge_mode: expected one of concat, sum, mul, ave, got {self.merge_mode!r}")
        if self.bidirectional and self.go_backwards:
            raise ValueError("go_backwards: expected False, got True; a bidirectional layer reads both ways already")
        for name in ("activation", "recurrent_activation", "output_activation"):
            object.__setattr__(self, name, Activation.of(getattr(self, name)))
        for name in ("dropout", "interlayer_dropout", "recurrent_dropout"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name}: expected a rate in [0, 1), got {getattr(self, name)}")
        if not all(0 <= rate <= 1 for rate in self.zoneout):
            raise ValueError(f"zoneout: expected two rates in [0, 1], got {self.zoneout}")

    @property
    def gates(self) -> int:
        """G, the gates of the cell."""
        return {"rnn": 1, "gru": 3, "lstm": 3 if self.input_forget else 4}[self.cell]

    @property
    def directions(self) -> int:
        """D, 2 for a bidirectional layer."""
        return 2 if self.bidirectional else 1

    @property
    def state_size(self) -> int:
        """R, the width of the hidden state: that of the projection if there is one."""
        return self.proj_size or self.hidden_size

    @property
    def output_size(self) -> int:
        """O, the width of a layer's merged output."""
        return self.state_size * (self.directions if self.merge_mode == "concat" else 1)

    def parameter_shapes(self, layer: int) -> dict[str, tuple[int, ...]]:
        """Shapes of the parameters of one direction of a layer, in the order in which they are stored."""
        units, rows, width = self.hidden_size, self.gates * self.hidden_size, self.state_size
        lstm = self.cell == "lstm"
        shapes: dict[str, tuple[int, ...]] = {
            "weight_ih": (rows, self.output_size if layer else self.input_size),
            "weight_hh": (rows, width),
        }
        if self.use_bias:
            shapes |= {"bias_ih": (rows,), "bias_hh": (rows,)}
        if self.proj_size:
            shapes |= {"weight_hr": (width, units)}
        if self.use_peepholes:
            shapes |= {"weight_ph": ((2 if self.input_forget else 3) * units,)}
        if self.layer_norm:
            shapes |= {"weight_ln_ih": (rows,), "weight_ln_hh": (rows,)}
        if self.layer_norm and lstm:
            shapes |= {"weight_ln_c": (units,), "bias_ln_c": (units,)}
        return shapes

    def layout(self) -> list[tuple[str, tuple[int, ...], int]]:
        """Name, shape and offset of every parameter in the flat vector: by layer, by direction, in storage order."""
        entries, offset = [], 0
        for layer in range(self.num_layers):
            for direction in range(self.directions):
                for name, shape in self.parameter_shapes(layer).items():
                    entries.append((name + suffix(layer, direction), shape, offset))
                    offset += prod(shape)
        return entries


def suffix(layer: int, direction: int) -> str:
    """Return the ending of PyTorch's parameter names, such as ``_l0`` or ``_l1_reverse``."""
    return f"_l{layer}" + ("_reverse" if direction else "")
