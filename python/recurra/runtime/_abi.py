"""The functions and structs of ``recurra.h`` for ctypes."""

from __future__ import annotations

import ctypes
from ctypes import POINTER, c_char_p, c_int32, c_int64, c_size_t, c_uint32, c_void_p
from typing import Any

from recurra import _core

ABI_VERSION = (1 << 16) | 0

OK, BAD_ARGUMENT, NO_MEMORY, NO_FILE, BAD_FILE, NEWER_FILE, UNSUPPORTED, WRONG_STATE, CANNOT_STEP = range(9)

ALLOCATE = ctypes.CFUNCTYPE(c_void_p, c_void_p, c_size_t, c_size_t)
RELEASE = ctypes.CFUNCTYPE(None, c_void_p, c_void_p, c_size_t)


class Allocator(ctypes.Structure):
    """``recurra_allocator``."""

    _fields_ = (("allocate", ALLOCATE), ("release", RELEASE), ("user", c_void_p))


class Options(ctypes.Structure):
    """``recurra_options``."""

    _fields_ = (
        ("struct_size", c_size_t),
        ("abi_version", c_uint32),
        ("threads", c_uint32),
        ("isa", c_char_p),
        ("allocator", Allocator),
    )

    def __init__(self, isa: str | None = None, threads: int = 1) -> None:
        name = None if isa is None else isa.encode()
        super().__init__(ctypes.sizeof(Options), ABI_VERSION, threads, name, Allocator())


class _Sized(ctypes.Structure):
    def __init__(self) -> None:
        super().__init__(ctypes.sizeof(type(self)))


class ModelInfo(_Sized):
    """``recurra_model_info``."""

    _fields_ = (
        ("struct_size", c_size_t),
        ("input_dtype", c_int32),
        ("dtype", c_int32),
        ("inputs", c_size_t),
        ("outputs", c_size_t),
        ("layers", c_size_t),
        ("states", c_size_t),
        ("state_numbers", c_size_t),
        ("parameters", c_size_t),
        ("can_step", c_int32),
        ("gives_sequence", c_int32),
        ("threads", c_uint32),
        ("reserved", c_uint32),
        ("isa", c_char_p),
        ("memory", c_size_t),
    )


class LayerInfo(_Sized):
    """``recurra_layer_info``."""

    _fields_ = (
        ("struct_size", c_size_t),
        ("class_name", c_char_p),
        ("name", c_char_p),
        ("inputs", c_size_t),
        ("outputs", c_size_t),
    )


class StateInfo(_Sized):
    """``recurra_state_info``."""

    _fields_ = (("struct_size", c_size_t), ("layer", c_size_t), ("name", c_char_p), ("numbers", c_size_t))


# By name: what a function returns, and takes.
_SIGNATURES: dict[str, tuple[Any, ...]] = {
    "recurra_abi_version": (c_uint32,),
    "recurra_version": (c_char_p,),
    "recurra_status_text": (c_char_p, c_int32),
    "recurra_last_error": (c_char_p,),
    "recurra_isa": (c_char_p, c_size_t),
    "recurra_model_load": (c_int32, c_char_p, POINTER(Options), POINTER(c_void_p)),
    "recurra_model_load_memory": (c_int32, c_char_p, c_size_t, POINTER(Options), POINTER(c_void_p)),
    "recurra_model_free": (None, c_void_p),
    "recurra_model_get_info": (c_int32, c_void_p, POINTER(ModelInfo)),
    "recurra_model_get_layer": (c_int32, c_void_p, c_size_t, POINTER(LayerInfo)),
    "recurra_model_get_state": (c_int32, c_void_p, c_size_t, POINTER(StateInfo)),
    "recurra_model_text": (c_char_p, c_void_p),
    "recurra_state_size": (c_int32, c_void_p, c_size_t, POINTER(c_size_t), POINTER(c_size_t)),
    "recurra_state_init": (c_int32, c_void_p, c_size_t, c_void_p, c_size_t, POINTER(c_void_p)),
    "recurra_state_reset": (c_int32, c_void_p, c_void_p),
    "recurra_state_reset_rows": (c_int32, c_void_p, c_void_p, POINTER(c_size_t), c_size_t),
    "recurra_state_get": (c_int32, c_void_p, c_void_p, c_void_p, c_size_t),
    "recurra_state_set": (c_int32, c_void_p, c_void_p, c_void_p, c_size_t),
    "recurra_state_copy": (c_int32, c_void_p, c_void_p, c_void_p),
    "recurra_step": (c_int32, c_void_p, c_void_p, c_void_p, c_size_t, c_void_p, c_size_t),
    "recurra_run": (c_int32, c_void_p, c_void_p, c_size_t, c_void_p, c_size_t, POINTER(c_int64), c_void_p, c_size_t),
}

# By name without its beginning: "step" is recurra_step. A call lets other Python threads run.
FUNCTIONS: dict[str, Any] = {
    name.removeprefix("recurra_"): ctypes.CFUNCTYPE(*_SIGNATURES[name])(address)
    for name, address in _core.runtime_functions().items()
}

_ERRORS: dict[int, type[Exception]] = {NO_MEMORY: MemoryError, NO_FILE: OSError}


def call(name: str, *arguments: Any) -> None:
    """Call a function that returns a status; raise what its failure means.

    Parameters
    ----------
    name : str
        Without ``recurra_``.
    *arguments
        As the header says.

    Raises
    ------
    ValueError, MemoryError, OSError
        With the library's sentence.
    """
    status = FUNCTIONS[name](*arguments)
    if status != OK:
        raise _ERRORS.get(status, ValueError)(FUNCTIONS["last_error"]().decode(errors="replace"))
