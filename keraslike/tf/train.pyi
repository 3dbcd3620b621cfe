"""Types of `keraslike.tf.train`. Written by tests/types/stubs.py, see there."""

import builtins as _builtins
from collections.abc import Callable as _Callable
from collections.abc import Sequence as _Sequence
from typing import Any as _Any

from keraslike.tf.averages import ExponentialMovingAverage as ExponentialMovingAverage
from keraslike.tf.checkpoint import Checkpoint as Checkpoint
from keraslike.tf.checkpoint import CheckpointOptions as CheckpointOptions
from keraslike.tf.checkpoint import CheckpointView as CheckpointView
from keraslike.tf.checkpoint_manager import CheckpointManager as CheckpointManager
from keraslike.tf.clusters import ClusterSpec as ClusterSpec
from keraslike.tf.coordinator import Coordinator as Coordinator

BytesList: _Any
Example: _Any
Feature: _Any
FeatureList: _Any
FeatureLists: _Any
Features: _Any
FloatList: _Any
Int64List: _Any
SequenceExample: _Any

def checkpoints_iterator(
    checkpoint_dir: _Any,
    min_interval_secs: _builtins.float = ...,
    timeout: _builtins.float | None = ...,
    timeout_fn: _Callable | None = ...,
) -> _Any: ...

experimental: _Any

def get_checkpoint_state(
    checkpoint_dir: _Any, latest_filename: _builtins.str | None = ...
) -> _Any: ...
def latest_checkpoint(
    checkpoint_dir: _Any, latest_filename: _builtins.str | None = ...
) -> _Any: ...
def list_variables(ckpt_dir_or_file: _Any) -> _Any: ...
def load_checkpoint(ckpt_dir_or_file: _Any) -> _Any: ...
def load_variable(ckpt_dir_or_file: _Any, name: _builtins.str) -> _Any: ...
