"""`tf.train`: the messages that files of records hold."""

from typing import Any

from keraslike.tf import messages as _messages

__all__ = [
    *("BytesList", "Example", "Feature", "FeatureList", "FeatureLists", "Features"),
    *("FloatList", "Int64List", "SequenceExample"),
]


def __getattr__(name: str) -> Any:
    if name in __all__:
        return _messages.message(name)
    raise AttributeError(f"module 'tf.train' has no attribute {name!r}")


def __dir__() -> list[str]:
    return list(__all__)
