"""Callbacks: what happens around batches and epochs."""

from __future__ import annotations

from recurra.callbacks.backup_and_restore import BackupAndRestore
from recurra.callbacks.base import Callback
from recurra.callbacks.dispatch import CallbackList
from recurra.callbacks.early_stopping import EarlyStopping
from recurra.callbacks.gradient_monitor import GradientMonitor
from recurra.callbacks.history import History
from recurra.callbacks.learning_rate import LearningRateScheduler, ReduceLROnPlateau
from recurra.callbacks.loggers import CSVLogger, JSONLLogger
from recurra.callbacks.model_checkpoint import ModelCheckpoint
from recurra.callbacks.progress import ProgressBar
from recurra.callbacks.tensorboard import TensorBoard
from recurra.callbacks.various import LambdaCallback, SwapEMAWeights, TerminateOnNaN

# Every callback; tests go through the list.
CALLBACKS: tuple[type[Callback], ...] = (
    BackupAndRestore,
    CSVLogger,
    EarlyStopping,
    GradientMonitor,
    History,
    JSONLLogger,
    LambdaCallback,
    LearningRateScheduler,
    ModelCheckpoint,
    ProgressBar,
    ReduceLROnPlateau,
    SwapEMAWeights,
    TensorBoard,
    TerminateOnNaN,
)

__all__ = [
    "CALLBACKS",
    "BackupAndRestore",
    "CSVLogger",
    "Callback",
    "CallbackList",
    "EarlyStopping",
    "GradientMonitor",
    "History",
    "JSONLLogger",
    "LambdaCallback",
    "LearningRateScheduler",
    "ModelCheckpoint",
    "ProgressBar",
    "ReduceLROnPlateau",
    "SwapEMAWeights",
    "TensorBoard",
    "TerminateOnNaN",
]
