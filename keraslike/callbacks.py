"""Callbacks, under Keras's names."""

from keraslike.core import registry
from keraslike.training.callback_list import CallbackList
from keraslike.training.callbacks import (
    Callback,
    History,
    LambdaCallback,
    LearningRateScheduler,
    SwapEMAWeights,
    TerminateOnNaN,
)
from keraslike.training.checkpoints import BackupAndRestore, OrbaxCheckpoint
from keraslike.training.loggers import CSVLogger, ProgbarLogger, RemoteMonitor
from keraslike.training.monitors import EarlyStopping, ModelCheckpoint, ReduceLROnPlateau
from keraslike.training.tensorboard import TensorBoard

__all__ = registry.members(globals(), "training")
__dir__ = __all__.copy
