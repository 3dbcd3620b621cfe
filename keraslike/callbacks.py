"""Callbacks: what happens around the steps and epochs of training."""

from keraslike.training.callbacks import (
    Callback,
    CallbackList,
    EarlyStopping,
    History,
    LambdaCallback,
    LearningRateScheduler,
    ModelCheckpoint,
    ProgbarLogger,
    TerminateOnNaN,
)
from keraslike.training.checkpoints import BackupAndRestore, OrbaxCheckpoint

__all__ = [
    "BackupAndRestore",
    "Callback",
    "CallbackList",
    "EarlyStopping",
    "History",
    "LambdaCallback",
    "LearningRateScheduler",
    "ModelCheckpoint",
    "OrbaxCheckpoint",
    "ProgbarLogger",
    "TerminateOnNaN",
]


def __dir__() -> list[str]:
    return list(__all__)
