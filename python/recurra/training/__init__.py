"""Compiling, fitting and evaluating models."""

from __future__ import annotations

from recurra.training.trainer import Trainer

__all__ = ["Trainer"]
