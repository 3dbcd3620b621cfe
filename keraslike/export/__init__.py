"""Models as artifacts without their code, for other programs: a module a format."""

from keraslike.core import registry
from keraslike.export.archive import ExportArchive, export_model
from keraslike.export.stablehlo import ExportedModel, load_exported

__all__ = ["ExportArchive"]

# By these names models, and `keraslike.saving`, find what they need.
registry.publish(
    "keras.export", {}, aliases={"export_model": export_model, "load_exported": load_exported}
)
__dir__ = __all__.copy
