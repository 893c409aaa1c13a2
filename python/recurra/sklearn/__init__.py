"""Estimators for scikit-learn: recurrent networks that classify, regress and forecast. Needs the extra ``sklearn``."""

from __future__ import annotations

try:
    import sklearn as _sklearn  # noqa: F401
except ModuleNotFoundError as error:
    hint = "recurra.sklearn needs scikit-learn; pip install 'recurra[sklearn]'"
    raise ModuleNotFoundError(hint, name=error.name) from error

from recurra.sklearn.classifier import RNNClassifier
from recurra.sklearn.forecaster import RNNForecaster
from recurra.sklearn.regressor import RNNRegressor

__all__ = ["RNNClassifier", "RNNForecaster", "RNNRegressor"]
