"""Comparing a model with the runtime that it comes from."""

from __future__ import annotations

import importlib.util
import os
import sys
from typing import TYPE_CHECKING, Any

from recurra import _errors
from recurra.verification.inputs import draw, given, shapes
from recurra.verification.report import Difference, Verification, difference, worst
from recurra.verification.sides import OurGraph, OurModel, Side

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from recurra._typing import Array
    from recurra.verification.sides import Computed

__all__ = ["Difference", "Verification", "verify"]


def verify(
    what: Any,
    inputs: Any = None,
    *,
    reference: Any = None,
    batches: Sequence[int] = (1, 3),
    seed: int = 0,
    print_fn: Callable[[str], object] | None = None,
) -> Verification:
    """Run a model in its own runtime and in recurra on the same inputs, and print how far the outputs are apart.

    Parameters
    ----------
    what : path, torch.nn.Module or Layer
        An ``.onnx`` file (beside ONNX Runtime), a ``.keras`` or ``.h5`` file (beside Keras, in a process of its own), a
        PyTorch module (with and without recurra computing its recurrent layers), or a model of recurra with its
        ``reference``.
    inputs : array, list or dict of arrays, optional
        One batch. By default random ones are drawn: their shapes from the model, standard normal numbers, integers
        within the embedding's vocabulary.
    reference : path or torch.nn.Module, optional
        What a model of recurra is compared with, such as the file it was exported to. A module is called as it is.
    batches : sequence of int, default (1, 3)
        Sizes of the random batches; other open axes get sizes of 5 and more.
    seed : int, default 0
        Of the random inputs.
    print_fn : callable, optional
        Called with the table; by default ``print``.

    Returns
    -------
    Verification
        The figures. ``agrees`` tells whether all outputs are within 2e-5 of the largest element (1e-11 in float64);
        without the original's runtime, nothing is compared and ``note`` says so.

    Raises
    ------
    TypeError, ValueError
        If the model cannot be loaded or run, or does not say what it takes and no inputs are given.

    Notes
    -----
    Times are the median of up to five calls in this process, each runtime with its own threads; a hint, no benchmark.

    Examples
    --------
    >>> import recurra, torch
    >>> found = recurra.verify(torch.nn.LSTM(4, 8, batch_first=True))  # doctest: +SKIP
    torch.nn.LSTM: recurra beside torch 2.13.0
    """
    sizes = [_errors.check_integer("batches", size, 1) for size in batches]
    if not sizes:
        raise _errors.bad_value("batches", "at least one size", "none")
    ours, theirs, subject, lacking = _sides(what, reference)
    specs = ours.specs() or (theirs.specs() if theirs else None)
    if inputs is not None:
        drawn = [given(inputs, specs)]
    elif specs is None:
        raise _errors.bad_value("inputs", "inputs of your own", "none", f"{subject} does not say what it takes")
    else:
        drawn = [draw(specs, size, _errors.check_seed("seed", seed)) for size in sizes]
    mine = ours.compute(drawn)
    told = [shapes(batch) for batch in drawn]
    if theirs is None:
        found = Verification(subject, None, [], told, mine.seconds, note=lacking)
    else:
        original = theirs.compute(drawn)
        outputs = _compared(mine, original, subject)
        found = Verification(subject, theirs.title, outputs, told, mine.seconds, original.seconds)
    (print_fn or print)(str(found))
    return found


def _sides(what: Any, reference: Any) -> tuple[Side, Side | None, str, str]:
    """Return our side, the original's or None, what is verified, and what is lacking for it."""
    from recurra.layers.base import Layer

    if isinstance(what, str | os.PathLike):
        if reference is not None:
            raise _errors.bad_value("reference", "None beside a file", repr(reference), "load the file, pass the model")
        import recurra

        path = os.fspath(what)
        theirs, lacking = _of_file(path)
        model = recurra.load(path)
        ours = OurModel(model) if isinstance(model, Layer) else OurGraph(model)
        return ours, theirs, os.path.basename(path), lacking
    if isinstance(what, Layer):
        if reference is None:
            raise _errors.bad_value("reference", "what the model comes from, or was exported to", "None")
        if isinstance(reference, str | os.PathLike):
            theirs, lacking = _of_file(os.fspath(reference))
            return OurModel(what), theirs, what.name, lacking
        return OurModel(what), _module(reference, ours=False), what.name, ""
    if reference is not None:
        raise _errors.bad_value("reference", "None beside a module, which is its own", repr(reference))
    name = f"{type(what).__module__.replace('.modules.rnn', '')}.{type(what).__name__}"
    return _module(what, ours=True), _module(what, ours=False), name, ""


def _module(module: Any, ours: bool) -> Side:
    if "torch" not in sys.modules:
        raise _errors.bad_type("what", "a path, a model of recurra, or a torch.nn.Module", module)
    from recurra.verification.torch_modules import TorchModule, check_module

    return TorchModule(check_module(module), ours)


def _of_file(path: str) -> tuple[Side | None, str]:
    """Return the side of the runtime that a file is for; None and why, if it is not installed."""
    ending = os.path.splitext(path)[1].lower()
    if ending == ".onnx":
        if importlib.util.find_spec("onnxruntime") is None:
            return None, _not_installed("ONNX Runtime", "onnxruntime")
        from recurra.verification.onnx_runtime import OnnxRuntime

        return OnnxRuntime(path), ""
    if ending in (".keras", ".h5", ".hdf5"):
        if importlib.util.find_spec("keras") is None:
            return None, _not_installed("Keras", "keras")
        from recurra.verification.keras_process import KerasProcess

        return KerasProcess(path), ""
    expected = "a name ending in .onnx, .keras, .h5 or .hdf5"
    raise _errors.bad_value("what", expected, repr(path), "there is no other runtime to compare with")


def _not_installed(title: str, package: str) -> str:
    return f"{title} is not installed, so nothing was compared; pip install {package}"


def _compared(mine: Computed, original: Computed, subject: str) -> list[Difference]:
    """Return the differences of each output over all batches; outputs correspond by name, else by place."""
    found: dict[str, list[Difference]] = {}
    for ours, theirs in zip(mine.outputs, original.outputs, strict=True):
        if len(ours) != len(theirs):
            raise _errors.bad_value(subject, f"{len(theirs)} outputs ({', '.join(theirs)})", f"{len(ours)}")
        named = set(ours) == set(theirs)
        for (name, value), mate in zip(theirs.items(), ours.values(), strict=True):
            one: Array = ours[name] if named else mate
            found.setdefault(name, []).append(difference(name, one, value))
    return [worst(each) for each in found.values()]
