"""A saved model, loaded by the C ABI."""

from __future__ import annotations

import ctypes
import os
import weakref
from typing import TYPE_CHECKING, Any

import numpy as np

from recurra import _core, _errors
from recurra.runtime import _abi

if TYPE_CHECKING:
    from recurra._typing import Array
    from recurra.runtime.stream import Stream

DTYPES: dict[int, np.dtype[Any]] = {1: np.dtype(np.float32), 2: np.dtype(np.float64), 3: np.dtype(np.int64)}


class Model:
    """A model that runs and cannot be trained.

    Parameters
    ----------
    source : path or bytes
        The file that ``model.save`` wrote, or its bytes.
    isa : str, optional
        Instruction set, one of ``recurra.show_config()``'s; by default the one that the layers use.
    threads : int, default 1
        Most threads of one call; they share the rows of a batch.

    Attributes
    ----------
    inputs, outputs : int
        Numbers of one row and step; ``inputs`` is 1 where the input is integers.
    input_dtype, dtype : numpy.dtype
        Of inputs, and of outputs and states.
    can_step : bool
        Whether `stream` works, which bidirectional layers do not.
    gives_sequence : bool
        Whether a call returns the outputs of every step or of the last one.
    layers : list of (str, str)
        Class and name of each layer.
    parameters, memory : int
        Number of weights, and bytes held.
    isa : str
        The instruction set in use.

    Raises
    ------
    ValueError
        If the file is damaged, newer than the library, or holds a layer that the runtime does not have.
    OSError
        If it cannot be read.

    Notes
    -----
    Calls from several threads are safe and share the weights. Outputs are those of the model that was saved, bit for
    bit on the same instruction set.

    Examples
    --------
    >>> import numpy as np, recurra, tempfile, os
    >>> model = recurra.Sequential([recurra.LSTM(8, return_sequences=True), recurra.Dense(1)])
    >>> model.build((None, None, 2))
    >>> path = os.path.join(tempfile.mkdtemp(), "model.safetensors")
    >>> model.save(path)
    >>> x = np.random.default_rng(0).standard_normal((3, 5, 2)).astype(np.float32)
    >>> bool((recurra.runtime.Model(path)(x) == model(x)).all())
    True
    """

    def __init__(self, source: str | os.PathLike[str] | bytes, *, isa: str | None = None, threads: int = 1) -> None:
        options = _abi.Options(isa or _core.isa(), _errors.check_integer("threads", threads, 1, 1024))
        _core.get_num_threads()  # the first call sees to it that children forked later can use threads
        self._handle = ctypes.c_void_p()
        made = ctypes.byref(self._handle)
        if isinstance(source, bytes):
            _abi.call("model_load_memory", source, len(source), options, made)
        else:
            _abi.call("model_load", os.fsencode(source), options, made)
        weakref.finalize(self, _abi.FUNCTIONS["model_free"], ctypes.c_void_p(self._handle.value))
        info = _abi.ModelInfo()
        _abi.call("model_get_info", self._handle, info)
        self.inputs, self.outputs = int(info.inputs), int(info.outputs)
        self.input_dtype, self.dtype = DTYPES[info.input_dtype], DTYPES[info.dtype]
        self.can_step, self.gives_sequence = bool(info.can_step), bool(info.gives_sequence)
        self.parameters, self.memory, self.isa = int(info.parameters), int(info.memory), info.isa.decode()
        self.layers = [self._layer(index) for index in range(info.layers)]
        self._states = [self._state(index) for index in range(info.states)]

    def _layer(self, index: int) -> tuple[str, str]:
        info = _abi.LayerInfo()
        _abi.call("model_get_layer", self._handle, index, info)
        return info.class_name.decode(), info.name.decode()

    def _state(self, index: int) -> int:
        info = _abi.StateInfo()
        _abi.call("model_get_state", self._handle, index, info)
        return int(info.numbers)

    def __repr__(self) -> str:
        return _abi.FUNCTIONS["model_text"](self._handle).decode().rstrip("\n")  # type: ignore[no-any-return]

    def stream(self, batch_size: int = 1) -> Stream:
        """Return a stream, to be fed one time step at a time.

        Parameters
        ----------
        batch_size : int, default 1
            Rows of every step.

        Returns
        -------
        Stream
            With states of its own, starting anew.
        """
        from recurra.runtime.stream import Stream

        return Stream(self, batch_size)

    def __call__(self, x: Array, lengths: Any = None) -> Array:
        """Return the outputs for a batch of sequences.

        Parameters
        ----------
        x : numpy.ndarray, shape (batch, time, features), or (batch, time) of integers
            Of `input_dtype`.
        lengths : array of int, shape (batch,), optional
            Steps that count of each sample.

        Returns
        -------
        numpy.ndarray, shape (batch, time, outputs) or (batch, outputs)
            The outputs.

        Raises
        ------
        TypeError, ValueError
            If an argument does not fit.
        """
        from recurra.runtime.stream import Stream

        return Stream(self, len(x)).run(x, lengths)
