"""Models: `Sequential`, the functional `Model(inputs, outputs)`, and subclasses of `Model`."""

from keraslike.core import registry
from keraslike.models.cloning import clone_model
from keraslike.models.functional import Functional
from keraslike.models.model import Model, load_model, model_from_json, save_model
from keraslike.models.sequential import Sequential
from keraslike.training import eager as eager  # Imported to set `core.repeated.Repeated`.

__all__ = ["Model", "Sequential", "clone_model", "load_model", "model_from_json", "save_model"]

registry.publish("keras", {"Model": Model, "Sequential": Sequential})
registry.publish("keras.src.models.functional", {"Functional": Functional})

__dir__ = __all__.copy
