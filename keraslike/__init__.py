"""keraslike: the API of Keras 3 on JAX, its models pytrees.

>>> import keraslike as keras
>>> model = keras.Sequential([keras.layers.Input((8,)), keras.layers.Dense(1)])
>>> model.compile(loss="mse", optimizer="nadam")
"""

import importlib
import os
from typing import TYPE_CHECKING, Any

from keraslike.core.collector import paused

with paused():
    from keraslike import (
        activations,
        backend,
        callbacks,
        config,
        constraints,
        distillation,
        distribution,
        dtype_policies,
        errors,
        export,
        hub,
        initializers,
        layers,
        legacy,
        losses,
        metrics,
        mixed_precision,
        models,
        ops,
        optimizers,
        preprocessing,
        quantizers,
        random,
        regularizers,
        saving,
        tree,
        utils,
        visualization,
        wrappers,
    )
from keraslike.as_keras import as_keras, version
from keraslike.core.lowering import value_and_grad
from keraslike.core.operation import Operation, op
from keraslike.core.policies import DTypePolicy, FloatDTypePolicy
from keraslike.core.remat import RematScope, remat
from keraslike.core.rng import SeedGenerator
from keraslike.core.scopes import StatelessScope, SymbolicScope, name_scope
from keraslike.core.symbolic import KerasTensor
from keraslike.core.variable import Variable
from keraslike.distribution.devices import device
from keraslike.initializers import Initializer
from keraslike.layers import Input, InputSpec, Layer
from keraslike.losses import Loss
from keraslike.metrics import Metric
from keraslike.models import Model, Sequential
from keraslike.models.function import Function
from keraslike.optimizers import Optimizer
from keraslike.quantizers import Quantizer
from keraslike.regularizers import Regularizer

if TYPE_CHECKING:
    from keraslike import applications, datasets

__version__ = "0.1.0"

__all__ = [
    "DTypePolicy",
    "FloatDTypePolicy",
    "Function",
    "Initializer",
    "Input",
    "InputSpec",
    "KerasTensor",
    "Layer",
    "Loss",
    "Metric",
    "Model",
    "Operation",
    "Optimizer",
    "Quantizer",
    "Regularizer",
    "RematScope",
    "SeedGenerator",
    "Sequential",
    "StatelessScope",
    "SymbolicScope",
    "Variable",
    "activations",
    "applications",
    "as_keras",
    "backend",
    "callbacks",
    "config",
    "constraints",
    "datasets",
    "device",
    "distillation",
    "distribution",
    "dtype_policies",
    "errors",
    "export",
    "hub",
    "initializers",
    "layers",
    "legacy",
    "losses",
    "metrics",
    "mixed_precision",
    "models",
    "name_scope",
    "op",
    "ops",
    "optimizers",
    "preprocessing",
    "quantizers",
    "random",
    "regularizers",
    "remat",
    "saving",
    "tree",
    "utils",
    "value_and_grad",
    "version",
    "visualization",
    "wrappers",
]


# Modules that no other module imports are imported on first access.
_LATER = ("applications", "datasets")


def __getattr__(name: str) -> Any:
    if name in _LATER:
        return importlib.import_module(f"keraslike.{name}")
    raise AttributeError(f"module 'keraslike' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, "__version__"]


if os.environ.get("KERASLIKE_AS_KERAS") == "1":
    as_keras()
