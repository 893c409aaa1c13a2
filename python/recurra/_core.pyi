# Stub of the compiled module, checked against it by stubtest.
from typing import Any, final

from numpy.typing import NDArray

_Array = NDArray[Any]
_Triple = tuple[str, float, float]

@final
class Recurrent:
    def __init__(
        self,
        cell: str,
        input_size: int,
        hidden_size: int,
        *,
        dtype: str,
        num_layers: int = 1,
        bidirectional: bool = False,
        merge_mode: str = "concat",
        go_backwards: bool = False,
        use_bias: bool = True,
        proj_size: int = 0,
        use_peepholes: bool = False,
        input_forget: bool = False,
        reset_after: bool = True,
        layer_norm: bool = False,
        activation: _Triple = ...,
        recurrent_activation: _Triple = ...,
        output_activation: _Triple = ...,
        clip: float = 0.0,
        cell_clip: float = 0.0,
        dropout: float = 0.0,
        interlayer_dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        zoneout: tuple[float, float] = (0.0, 0.0),
    ) -> None: ...
    @property
    def layout(self) -> list[tuple[str, tuple[int, ...], int]]: ...
    @property
    def size(self) -> int: ...
    @property
    def output_size(self) -> int: ...
    @property
    def state_size(self) -> int: ...
    def forward(
        self,
        weights: _Array,
        x: _Array,
        h0: _Array | None = None,
        c0: _Array | None = None,
        lengths: _Array | None = None,
        *,
        sequences: bool = True,
        training: bool = False,
        seed: int = 0,
        unchanged: bool = False,
        time_major: bool = False,
    ) -> tuple[_Array, _Array, _Array | None]: ...
    def vjp(
        self,
        weights: _Array,
        x: _Array,
        h0: _Array | None = None,
        c0: _Array | None = None,
        lengths: _Array | None = None,
        *,
        sequences: bool = True,
        training: bool = False,
        seed: int = 0,
        unchanged: bool = False,
        time_major: bool = False,
    ) -> tuple[_Array, _Array, _Array | None, Tape]: ...

@final
class Stream:
    def __init__(self, layer: Recurrent, weights: _Array, batch_size: int) -> None: ...
    def step(self, x: _Array, out: _Array | None = None) -> _Array: ...
    def advance(self, x: _Array, h: _Array | None, c: _Array | None) -> tuple[_Array, _Array, _Array | None]: ...
    def get(self) -> tuple[_Array, _Array | None]: ...
    def set(self, h: _Array | None, c: _Array | None) -> None: ...

@final
class Tape:
    def backward(
        self,
        dy: _Array | None,
        dhn: _Array | None,
        dcn: _Array | None,
        gradients: _Array | None,
        *,
        need_dx: bool = True,
        keep: bool = False,
        dh: _Array | None = None,
    ) -> tuple[_Array | None, _Array, _Array | None]: ...
    @property
    def state_shape(self) -> tuple[int, int, int, int]: ...
    def trace(self, h: _Array, c: _Array | None, gates: _Array) -> None: ...

@final
class Linear:
    def __init__(self, weight: _Array, bias: _Array | None = None) -> None: ...
    def __call__(self, x: _Array) -> _Array: ...

def linear(weight: _Array, bias: _Array | None, x: _Array) -> _Array: ...
def linear_backward(
    weight: _Array,
    x: _Array,
    dy: _Array,
    dweight: _Array,
    dbias: _Array | None,
    need_dx: bool = True,
) -> _Array | None: ...
def activation(name: str, alpha: float, beta: float, x: _Array) -> _Array: ...
def activation_backward(name: str, alpha: float, beta: float, y: _Array, dy: _Array) -> _Array: ...
def softmax(x: _Array) -> _Array: ...
def softmax_backward(y: _Array, dy: _Array) -> _Array: ...
def embedding(table: _Array, indices: _Array) -> _Array: ...
def embedding_backward(indices: _Array, dy: _Array, dtable: _Array) -> None: ...
def dropout(x: _Array, rate: float, seed: int, stream: int) -> _Array: ...
def mse(y: _Array, target: _Array) -> tuple[float, _Array]: ...
def categorical_crossentropy(
    y: _Array, target: _Array, *, from_logits: bool, by_row: bool = False
) -> tuple[Any, _Array]: ...
def sparse_categorical_crossentropy(
    y: _Array, labels: _Array, *, from_logits: bool, by_row: bool = False
) -> tuple[Any, _Array]: ...
def ctc_loss(
    logits: _Array, labels: _Array, label_lengths: _Array, lengths: _Array, *, blank: int
) -> tuple[_Array, _Array]: ...
def ctc_search(logits: _Array, lengths: _Array, *, blank: int, width: int, paths: int) -> tuple[_Array, _Array]: ...
def crf_loss(potentials: _Array, path: _Array, lengths: _Array) -> tuple[_Array, _Array]: ...
def crf_search(potentials: _Array, lengths: _Array) -> tuple[_Array, _Array]: ...
def update(
    rule: str,
    params: _Array,
    grads: _Array,
    slots: list[_Array],
    numbers: tuple[float, ...],
    scale: float = 1.0,
    limit: float = ...,
    decay: float = 1.0,
    rows: _Array | None = None,
) -> None: ...
def sum_of_squares(x: _Array, rows: _Array | None = None) -> float: ...
def random_words(seed: int, purpose: int, layer: int, direction: int, step: int, row: int, count: int) -> _Array: ...
def random_uniform(seed: int, stream: int, count: int) -> _Array: ...
def random_normal(seed: int, stream: int, count: int) -> _Array: ...
def set_num_threads(n: int) -> None: ...
def get_num_threads() -> int: ...
def isa() -> str: ...
def probe_multiply_adds(threads: int) -> float: ...
def probe_product(threads: int) -> float: ...
def probe_reads(threads: int, bytes: int) -> float: ...
def fused_on(name: str, a: float, b: float, c: float) -> float: ...
def math(name: str, x: _Array) -> _Array: ...
def config() -> dict[str, Any]: ...
