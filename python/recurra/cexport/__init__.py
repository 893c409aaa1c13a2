"""A model as one C99 file without dependencies: weights as constant arrays, plain loops, the state in a struct."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from recurra import _errors
from recurra.cexport import accuracy
from recurra.cexport.accuracy import Accuracy
from recurra.cexport.file import File
from recurra.cexport.interface import check_name, interface_of
from recurra.cexport.storage import KINDS, rounded
from recurra.io.atomic import replacing

if TYPE_CHECKING:
    from recurra.training.trainer import Trainer

__all__ = ["Accuracy", "export"]


def export(
    model: Trainer, path: str | os.PathLike[str], *, name: str = "model", weights: str = "float32", sample: Any = None
) -> Accuracy:
    """Write a model as a C file; see `Trainer.export_c`."""
    check_name(name)
    kind = _errors.check_choice("weights", weights, KINDS)
    if not os.fspath(path).endswith(".c"):
        raise _errors.bad_value("path", "a name that ends in .c", repr(os.fspath(path)))
    model._settle()
    model._require_built()
    model._allocate()
    interface = interface_of(model)
    file = File(interface, name, kind)
    sampled = accuracy.sample_of(model, interface, sample)
    stored = model if kind == "float32" else rounded(model, kind)
    found = sampled.outputs if stored is model else accuracy.run(stored, sampled.inputs)
    report = Accuracy(kind, file.constants, file.state, *accuracy.measure(sampled.outputs, found), sampled.origin)
    few = accuracy.tested(model, interface, sampled.inputs)
    outputs = accuracy.run(stored, few)
    text = file.text(_summary(model), _said(report), [x[0] for x in few], [y[0] for y in outputs])
    with replacing(path) as target:
        target.write(text.encode())
    if kind != "float32":
        print(report)
    return report


def _summary(model: Trainer) -> str:
    from recurra.training.summary import describe

    return describe(model)


def _said(report: Accuracy) -> list[str]:
    """Return what a file says about its accuracy."""
    lines = ["Activations: own approximations, errors up to 5e-7 (see each function)."]
    return lines if report.weights == "float32" else [*lines, f"Accuracy: {report}."]
