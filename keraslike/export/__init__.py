"""Export of models as artifacts that other programs run. Each format has one module."""

from keraslike.core import registry
from keraslike.export.archive import ExportArchive, export_model
from keraslike.export.stablehlo import ExportedModel, load_exported

__all__ = ["ExportArchive"]

# Models and `keraslike.saving` look these functions up by name, so that they need not import them.
registry.publish(
    "keras.export", {}, aliases={"export_model": export_model, "load_exported": load_exported}
)
__dir__ = __all__.copy
