"""Metrics: numbers for people, beside the loss."""

from __future__ import annotations

from typing import Any

from recurra import _errors, _objects
from recurra.metrics.accuracy import (
    Accuracy,
    BinaryAccuracy,
    CategoricalAccuracy,
    SparseCategoricalAccuracy,
    SparseTopKCategoricalAccuracy,
    TopKCategoricalAccuracy,
)
from recurra.metrics.auc import AUC
from recurra.metrics.base import FunctionMetric, MeanMetric, Metric
from recurra.metrics.confusion import F1Score, Precision, Recall, confusion_matrix
from recurra.metrics.language import BitsPerCharacter, Mean, Perplexity
from recurra.metrics.regression import (
    MeanAbsoluteError,
    MeanAbsolutePercentageError,
    MeanSquaredError,
    R2Score,
    RootMeanSquaredError,
)
from recurra.metrics.sequence import (
    BLEU,
    CharacterErrorRate,
    CRFViterbiAccuracy,
    EditDistance,
    WordErrorRate,
)

_CLASSES: tuple[type[Metric], ...] = (
    Accuracy,
    BinaryAccuracy,
    CategoricalAccuracy,
    SparseCategoricalAccuracy,
    TopKCategoricalAccuracy,
    SparseTopKCategoricalAccuracy,
    Precision,
    Recall,
    F1Score,
    AUC,
    MeanSquaredError,
    RootMeanSquaredError,
    MeanAbsoluteError,
    MeanAbsolutePercentageError,
    R2Score,
    Perplexity,
    BitsPerCharacter,
    EditDistance,
    WordErrorRate,
    CharacterErrorRate,
    BLEU,
    CRFViterbiAccuracy,
    Mean,
)
_ALIASES = {
    "acc": "accuracy",
    "mse": "mean_squared_error",
    "rmse": "root_mean_squared_error",
    "mae": "mean_absolute_error",
    "mape": "mean_absolute_percentage_error",
    "wer": "word_error_rate",
    "cer": "character_error_rate",
}

# Every metric by the names that `compile` and files know.
METRICS: dict[str, type[Metric]] = {metric.name: metric for metric in _CLASSES}
METRICS.update({alias: METRICS[name] for alias, name in _ALIASES.items()})

__all__ = [
    "AUC",
    "BLEU",
    "METRICS",
    "Accuracy",
    "BinaryAccuracy",
    "BitsPerCharacter",
    "CRFViterbiAccuracy",
    "CategoricalAccuracy",
    "CharacterErrorRate",
    "EditDistance",
    "F1Score",
    "FunctionMetric",
    "Mean",
    "MeanAbsoluteError",
    "MeanAbsolutePercentageError",
    "MeanMetric",
    "MeanSquaredError",
    "Metric",
    "Perplexity",
    "Precision",
    "R2Score",
    "Recall",
    "RootMeanSquaredError",
    "SparseCategoricalAccuracy",
    "SparseTopKCategoricalAccuracy",
    "TopKCategoricalAccuracy",
    "WordErrorRate",
    "confusion_matrix",
    "deserialize",
    "get",
    "serialize",
]


def get(metric: Any) -> Metric:
    """Return the metric that a name, a configuration or a function stands for, or the object itself.

    A metric chosen by name is called that name in logs, as in Keras: "mae" stays "mae".

    Raises
    ------
    TypeError, ValueError
        If it stands for none.
    """
    if isinstance(metric, Metric):
        return metric
    if isinstance(metric, str):
        known = METRICS.get(metric.lower())
        return known(name=metric.lower()) if known else _errors.find_class("metrics", metric, METRICS)()
    if isinstance(metric, dict):
        return deserialize(metric)
    if callable(metric) and not isinstance(metric, type):
        return FunctionMetric(metric)
    raise _errors.bad_type("metrics", "names such as 'accuracy' or Metric objects", metric)


def serialize(metric: Metric) -> dict[str, Any]:
    """Return the class and the arguments of a metric, for `deserialize`; its state is left out."""
    return _objects.described(metric)


def deserialize(config: dict[str, Any], custom_objects: dict[str, type[Metric]] | None = None) -> Metric:
    """Return the metric that `serialize` described.

    Parameters
    ----------
    config : dict
        With "class_name" and "config".
    custom_objects : dict of str to class, optional
        Metrics of one's own by class name.

    Raises
    ------
    TypeError, ValueError
        If there is no such class or its arguments are wrong.
    """
    made: Metric = _objects.from_description("metrics", config, METRICS, custom_objects)
    return made
