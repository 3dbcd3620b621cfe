"""`tf.train`: checkpoints, and the messages in files of records."""

from types import SimpleNamespace as _Namespace
from typing import Any

from keraslike.tf import averages as _averages
from keraslike.tf import checkpoint as _checkpoint
from keraslike.tf import checkpoint_files as _files
from keraslike.tf import checkpoint_manager as _manager
from keraslike.tf import clusters as _clusters
from keraslike.tf import coordinator as _coordinator
from keraslike.tf import documentation
from keraslike.tf import messages as _messages
from keraslike.tf.python_state import PythonState as _PythonState

_MESSAGES = [
    *("BytesList", "Example", "Feature", "FeatureList", "FeatureLists", "Features"),
    *("FloatList", "Int64List", "SequenceExample"),
]

experimental = _Namespace(PythonState=_PythonState)
ClusterSpec = _clusters.ClusterSpec
__all__ = ["ClusterSpec", "experimental", *_MESSAGES]
for _module in (_averages, _checkpoint, _coordinator, _files, _manager):
    globals().update({_name: getattr(_module, _name) for _name in _module.__all__})
    __all__ += _module.__all__


def __getattr__(name: str) -> Any:
    if name in _MESSAGES:
        made = globals().setdefault(name, _messages.message(name))
        made.__doc__ = documentation.MADE[f"train.{name}"]
        return made
    raise AttributeError(f"module 'tf.train' has no attribute {name!r}")


__dir__ = __all__.copy
