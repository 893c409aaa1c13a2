"""The metrics that names stand for, given the loss beside which they are shown."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from recurra import _errors
from recurra import metrics as known

if TYPE_CHECKING:
    from recurra.losses import Loss
    from recurra.metrics import Metric


def checked(metric: Any) -> Any:
    """Return a metric as an object, or its name, which must be known."""
    found = known.get(metric)
    return metric.lower() if isinstance(metric, str) else found


def for_loss(metric: Any, loss: Loss) -> Metric:
    """Return what a name stands for beside a loss; an object stays as it is.

    Where the loss takes logits, so does the metric; beside the CRF's loss "accuracy" is that of the best path.

    Raises
    ------
    ValueError
        If the loss takes logits of which the metric can make nothing.
    """
    from recurra.losses import BinaryCrossentropy, BinaryFocalCrossentropy, LinearChainCRF

    if not isinstance(metric, str):
        found: Metric = known.get(metric)
        return found
    plain = known.get(metric)
    if isinstance(loss, LinearChainCRF) and isinstance(plain, known.Accuracy):
        return known.CRFViterbiAccuracy(name=plain.name)
    if not getattr(loss, "from_logits", False) or plain.sequences or isinstance(plain, known.F1Score):
        return plain  # F1Score looks for the largest output, which is the same among logits
    cls: Any = type(plain)
    if isinstance(loss, BinaryCrossentropy | BinaryFocalCrossentropy):
        arguments: dict[str, Any] = {"from_logits": True, "threshold": 0.0, "thresholds": 0.0}
        own = inspect.signature(cls).parameters
        chosen = next((name for name in arguments if name in own), None)
        return plain if chosen is None else cls(name=plain.name, **{chosen: arguments[chosen]})
    if isinstance(plain, known.Perplexity | known.BitsPerCharacter):
        return cls(from_logits=True, name=plain.name)  # type: ignore[no-any-return]
    if isinstance(plain, known.AUC | known.BinaryAccuracy | known.Precision | known.Recall):
        hint = "end the model in softmax and drop the loss's from_logits, or pass a Metric of your own"
        raise _errors.bad_value("metrics", f"one that takes the logits of {loss.name!r}", repr(metric), hint)
    return plain
